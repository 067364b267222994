"""Lines of several sentences: nothing is lost, each is translated as if it stood alone, and a line stays a line."""

import json
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from s2s.errors import ConfigError
from s2s.inference.formats import jsonl
from s2s.inference.splitting import SentenceSplitter, joined
from s2s.inference.translation import Translation
from s2s.inference.translator import Translator
from tests.references.tiny import tiny_bundle

THREE = ["Abc de.", "Äß fgh!", "Ijk lm no?"]


@pytest.fixture(scope="module")
def translator(tmp_path_factory):
    return Translator.load(tiny_bundle(tmp_path_factory.mktemp("tiny") / "bundle"))


@pytest.mark.parametrize(
    ("language", "sentences"),
    [
        ("en", ["Dr. Smith has $3.50 left.", "Why?", "He went to Washington."]),
        ("de", ["Am 3. Mai kam z. B. Herr Dr. Müller.", "Er ging bald."]),
        ("zh", ["你好。", "世界真大！", "是吗？"]),
        ("ja", ["こんにちは。", "世界です。"]),
        ("ko", ["안녕하세요.", "반갑습니다!"]),
        ("ar", ["كيف حالك؟", "أنا بخير."]),
        ("hi", ["यह किताब है।", "वह घर है।"]),
        ("en", ["你好。", "世界真大！"]),  # whatever the language is
        ("xx", ["No such language.", "It is split anyway."]),
    ],
)
def test_sentences_of_many_scripts(language, sentences):
    space = "" if sentences[0].endswith("。") else "  "
    assert SentenceSplitter(language)(space.join(sentences)) == sentences


@given(st.text(max_size=60) | st.text(alphabet='ab AB.!?"()\x00\u00a0\u2028\r\t。“”', max_size=60))
@settings(deadline=None)
def test_nothing_is_lost_whatever_the_line_is(line):
    line = line.replace("\n", "").encode("utf-8", "replace").decode()
    parts = SentenceSplitter()(line)
    assert "".join("".join(parts).split()) == "".join(line.split())
    assert parts and (len(parts) > 1 or parts == [line])
    assert all(part == part.strip() and part for part in parts) or len(parts) == 1


def test_a_splitter_that_loses_text_is_not_followed(monkeypatch):
    splitter = SentenceSplitter()
    monkeypatch.setattr("s2s.inference.splitting.segments", lambda language, line: line.split(" "))
    assert splitter("a b") == ["a b"]


def test_each_sentence_as_if_it_stood_alone(translator):
    line = "  ".join(THREE)
    alone = translator.translate(THREE, results=True, weights=True)
    found = translator.translate(line, results=True, weights=True, split="sentences")
    assert found.text == " ".join(one.text for one in alone if one.text)
    assert [one.text for one in found.sentences] == [one.text for one in alone]
    assert found.score == pytest.approx(sum(one.score for one in alone) / 3, abs=1e-5)
    assert found.tokens == [token for one in alone for token in one.tokens]
    assert found.source_tokens == [token for one in alone for token in one.source_tokens]
    assert len(found.log_probs) == len(found.tokens) + sum(one.finished for one in alone)
    assert found.finished == all(one.finished for one in alone)
    # The block matrix that the line as a whole would have.
    blocks = torch.block_diag(*[one.weights for one in alone])
    assert found.alignment == blocks.argmax(dim=1).tolist()
    row = json.loads(jsonl(7, line, found, weights=True))
    assert (row["source"], row["alignment"], row["weights"]) == (line, found.alignment, None)
    for said, one in zip(row["sentences"], alone, strict=True):
        assert (said["text"], said["tokens"]) == (one.text, one.tokens)
        assert said["weights"] == [pytest.approx(weights, abs=1e-5) for weights in one.weights.tolist()]


def test_lines_of_one_sentence_are_as_without(translator):
    lines = ["abc", "", " ab ", "Abc de.", "\t"]
    options = {"results": True, "weights": True}
    for one, other in zip(
        translator.translate(lines, split="sentences", **options),
        translator.translate(lines, **options),
        strict=True,
    ):
        assert (one.text, one.tokens, one.sentences) == (other.text, other.tokens, [])
        assert one.score == pytest.approx(other.score, abs=1e-5)
    assert "sentences" not in json.loads(
        jsonl(0, "abc", Translation("", 0.0, [], [], True, []), weights=False)
    )


def test_one_line_out_for_one_line_in_in_every_window(translator):
    line = " ".join(THREE)
    lines = [line, "", "abc", line, THREE[1]]
    whole = translator.translate(lines, split="sentences")
    assert list(translator.stream(lines, split="sentences", window=1, batch_tokens=1)) == whole
    assert whole[0] == whole[3] and whole[1] == ""
    assert translator.translate("\n".join(lines), split="sentences").split("\n") == whole


def test_limits_are_those_of_a_sentence_and_the_lines_are_counted(translator):
    lines = ["Abcd ef. Ab. Abc defg.", "Ab. Abc."]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cut = translator.translate(lines, split="sentences", max_source_tokens=4)
    assert "1 of 2 lines have more than 4 tokens" in str(caught[0].message)
    assert cut[0].split() == " ".join(translator.translate(["Abcd", "Ab.", "Abc "])).split()
    found = translator.translate(lines, split="sentences", max_source_tokens=4, results=True)
    assert [one.truncated for one in found] == [True, False]
    assert [one.truncated for one in found[0].sentences] == [True, False, True]


def test_a_prefix_is_that_of_the_first_sentence_and_words_are_banned_in_all(translator):
    line = " ".join(THREE)
    first, *others = translator.translate(THREE, banned=["a", "e"])
    first = translator.translate(THREE[0], banned=["a", "e"], prefix="xyz")
    expected = " ".join(filter(None, [first, *others]))
    assert translator.translate(line, split="sentences", banned=["a", "e"], prefix="xyz") == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"n_best": 2, "beam": 3},
            "joins one output of each sentence, but n_best is 2; leave out n_best or split",
        ),
        ({"samples": 3}, "joins one output of each sentence, but samples is 3; leave out samples or split"),
        ({"phrases": ["abc"]}, "cannot know which sentence must contain 'abc'; leave out phrases or split"),
        ({"split": None, "language": "de"}, "language 'de' is only for split, which is not given"),
        ({"split": "words"}, "unknown split 'words'; known: sentences"),
    ],
)
def test_what_makes_no_sense_is_refused(translator, options, message):
    with pytest.raises(ConfigError, match=message):
        translator.translate("Abc. Def.", **{"split": "sentences", **options})


def test_what_goes_with_several_sentences(translator):
    line = " ".join(THREE)
    for options in ({"samples": 4, "minimum_risk": "ChrF"}, {"samples": 1}, {"replace_unknowns": True}):
        expected = translator.translate(THREE, **options)
        assert translator.translate(line, split="sentences", **options) == " ".join(filter(None, expected))


@pytest.mark.parametrize(
    ("outputs", "line"),
    [
        (["A b.", "", "C."], "A b. C."),
        (["你好。", "世界！", "Yes.", "是"], "你好。世界！Yes. 是"),
        (["네.", "안녕하세요."], "네. 안녕하세요."),
        (["", ""], ""),
    ],
)
def test_a_space_where_the_script_has_one(outputs, line):
    found = joined([Translation(text, -1.0, [], [], True, []) for text in outputs])
    assert (found.text, found.score, len(found.sentences)) == (line, -1.0, len(outputs))
