"""Labels of a bundle: those of its model, whatever stands beside a sentence."""

import random
from pathlib import Path

import pytest

import s2s
from s2s.errors import BundleError, ConfigError, DataError
from s2s.inference import labeller as module
from s2s.inference.labeller import Labeller
from s2s.inference.model_bundle import load_model_bundle
from s2s.nn import SequenceLabeller
from s2s.text.spelling import Spelling
from tests.references.tiny import tiny_bundle
from tests.references.tiny_labeller import tiny_labeller


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "crf"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_labeller(tmp_path_factory.mktemp("labeller") / "bundle", crf=request.param)


def sentences(number: int) -> list[str]:
    chance = random.Random(3)
    return [
        " ".join(
            "".join(chance.choice("abehmnostw") for _ in range(chance.randint(1, 9)))
            for _ in range(chance.randint(0, 12))
        )
        for _ in range(number)
    ]


def test_labels_are_those_of_the_model(folder: Path) -> None:
    bundle = load_model_bundle(folder, SequenceLabeller)
    spelling = Spelling(bundle.tokenizers["source_tokenizer"], bundle.tokenizers["piece_tokenizer"])
    labeller = Labeller.load(folder)
    for sentence in ("the man saw", "x"):
        labels = bundle.model.label(spelling([sentence.split()]))
        found = labeller.label(sentence, results=True)
        assert found.labels == bundle.tokenizers["target_tokenizer"].tokens(labels.ids[0].tolist())
        assert found.probabilities == pytest.approx(labels.probabilities[0].tolist())
        assert found.words == sentence.split()
        assert labeller.label(sentence) == found.labels


def test_what_a_sentence_gives_depends_on_it_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = sentences(60)
    labeller = Labeller.load(folder, threads=1)
    alone = [labeller.label(text, results=True) for text in texts]
    assert len({label for one in alone for label in one.labels}) > 2
    for words, threads in ((1, 1), (40, 2), (4096, 1)):
        monkeypatch.setattr(module, "BATCH_WORDS", words)
        labeller = Labeller.load(folder, threads=threads)
        together = labeller.label(texts[::-1], results=True)[::-1]
        for one, other in zip(alone, together, strict=True):
            assert one.labels == other.labels
            assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)
            assert len(one.labels) == len(one.words)


def test_lists_of_words_may_have_spaces_in_them(folder: Path) -> None:
    labeller = s2s.Labeller.load(folder)
    found = labeller.label(["the sea", ["the", "old boat"], "", []], results=True)
    assert [len(one.labels) for one in found] == [2, 2, 0, 0]
    assert found[1].words == ["the", "old boat"]
    assert found[1].labels == labeller.label("the old␣boat")
    assert labeller.label([]) == []
    assert len(labeller.label("a\ud800b")) == 1  # half a character is a possible str


def test_a_very_long_sentence_is_labelled_in_parts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labeller = Labeller.load(folder)
    words = ["the", "old", "man", "saw", "a", "boat"]
    expected = labeller.label([words[:4], words[4:]])
    monkeypatch.setattr(module, "MOST_WORDS", 4)
    found = labeller.label([words], results=True)[0]
    assert found.labels == expected[0] + expected[1]
    assert found.parts == 2


@pytest.mark.parametrize("word", ["", " ", 3, None])
def test_a_word_that_is_none(folder: Path, word: object) -> None:
    with pytest.raises(DataError, match=r"a word is .*; it must be a str that is not empty"):
        Labeller.load(folder).label([["the", word]])  # type: ignore[list-item]


def test_what_cannot_be(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="threads is 0; it must be 1 or more"):
        Labeller.load(folder, threads=0)
    with pytest.raises(ConfigError, match="device 'nowhere' cannot be used here"):
        Labeller.load(folder, device="nowhere")
    other = tiny_bundle(tmp_path / "other")
    with pytest.raises(
        BundleError, match="holds a recurrent encoder-decoder model; use it with: s2s translate"
    ):
        Labeller.load(other)
    with pytest.raises(BundleError, match="holds a recurrent labeller of words; use it with: s2s label"):
        s2s.Translator.load(folder)


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])
def test_threads_label_at_once_whatever_the_processor_is_called(folder: Path, device: str) -> None:
    assert Labeller.load(folder, device=device, threads=3)._threads == 3
