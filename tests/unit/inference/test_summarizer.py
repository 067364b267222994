"""Documents in, summaries out: the translator's promises, for texts of several lines."""

from pathlib import Path

import pytest

import s2s
from s2s.errors import BundleError, ConfigError, DataError
from s2s.inference.summarizer import Summarizer
from s2s.inference.translator import Translator
from tests.references.tiny import sentences, tiny_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its source knows no digit, and its outputs have several lines."""
    return tiny_bundle(tmp_path_factory.mktemp("tiny") / "bundle", target_text=["a\n"], seed=1)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that has learnt to be asked for a length, as it says."""
    return tiny_bundle(tmp_path_factory.mktemp("tiny") / "bundle", training={"told_lengths": True})


def test_a_document_is_read_as_one_and_a_summary_may_have_lines(bundle: Path) -> None:
    documents = ["\n".join(sentences(3, seed)) for seed in range(20)] + ["", "abc"]
    summarizer, translator = s2s.Summarizer.load(bundle), Translator.load(bundle)
    found = summarizer.summarize(documents, min_tokens=3)
    # A newline is a letter that this tokenizer does not know; the translator is given another such.
    expected = translator.translate(
        [document.replace("\n", "\u2603") for document in documents], min_tokens=3
    )
    assert [one.replace("\n", " ") for one in found] == expected
    assert any("\n" in one for one in found) and found[-2] == ""
    assert summarizer.summarize(documents[3], min_tokens=3) == found[3]
    assert list(summarizer.stream(documents, window=4, min_tokens=3)) == found
    results = summarizer.summarize(documents, results=True, n_best=2, beam=3)
    alternatives = [[one.text, *(other.text for other in one.alternatives)] for one in results]
    assert [texts[0] for texts in alternatives] == summarizer.summarize(documents, beam=3)
    assert all(len(texts) == 2 for texts in alternatives[:20])


def test_a_wanted_length_stands_before_the_document(asked: Path) -> None:
    summarizer = Summarizer.load(asked)
    documents = [*sentences(8), ""]
    expected = [f"<16> {text}".replace("16", "15") if text else "" for text in documents]
    assert summarizer.summarize(documents, words=16) == Translator.load(asked).translate(expected)
    with pytest.raises(ConfigError, match="words is 0; it must be 1 or more"):
        summarizer.summarize(documents, words=0)
    with pytest.raises(
        ConfigError, match="words 5 is for the summary of a whole document, but split 'sentences'"
    ):
        summarizer.summarize(documents, words=5, split="sentences")


def test_what_cannot_be(bundle: Path) -> None:
    summarizer = Summarizer.load(bundle)
    with pytest.raises(
        BundleError, match="was not trained with length control; train it with a corpus that tells"
    ):
        summarizer.summarize("abc", words=5)
    with pytest.raises(ConfigError, match="unknown option 'beams'; did you mean 'beam'?"):
        summarizer.summarize("abc", beams=5)  # type: ignore[call-overload]
    with pytest.raises(DataError, match="document 1 is a int, not a str: 5"):
        summarizer.summarize(["a", 5])  # type: ignore[list-item]
    with pytest.raises(
        DataError, match="stream takes documents, such as a list; for one document use summarize"
    ):
        summarizer.stream("abc")


def test_what_is_too_long_is_counted(bundle: Path) -> None:
    summarizer = Summarizer.load(bundle)
    with pytest.warns(
        UserWarning, match="2 of 3 documents have more than 4 tokens; only so many were read of each"
    ):
        found = summarizer.summarize(["ab\ncd", "abcde", "abcd"], max_source_tokens=4)
    assert found[1:] == summarizer.summarize(["abcd", "abcd"])
    assert summarizer.summarize("abcde", max_source_tokens=4, results=True).truncated


def test_length_and_repetition_are_search_options(bundle: Path) -> None:
    documents = sentences(12, seed=5)
    for one in Summarizer.load(bundle).summarize(documents, results=True, no_repeat_ngram=3, min_tokens=9):
        triples = list(zip(one.tokens, one.tokens[1:], one.tokens[2:], strict=False))
        assert len(triples) == len(set(triples))
        assert len(one.tokens) >= 9


def test_a_blank_document_is_asked_for_no_length(asked: Path) -> None:
    assert Summarizer.load(asked).summarize([" \n", ""], words=7) == ["", ""]


def test_with_a_window_of_one_each_document_is_answered_before_the_next_is_read(bundle: Path) -> None:
    read = []

    def documents():
        for name in ("abc", "de"):
            read.append(name)
            yield name

    summaries = Summarizer.load(bundle).stream(documents(), window=1)
    next(summaries)
    assert read == ["abc"]
    summaries.close()
    with pytest.raises(ConfigError, match="window is 0; it must be 1 or more"):
        Summarizer.load(bundle).stream([], window=0)
