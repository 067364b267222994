"""Lines with wishes of their own: each gives what it would if its wishes were those of all."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import s2s
from s2s.errors import ConfigError, DataError
from s2s.inference.json_lines import JsonLines
from s2s.inference.line import Line
from s2s.inference.translator import Translator
from tests.references.tiny import sentences, tiny_bundle


@pytest.fixture(scope="module")
def translator(tmp_path_factory):
    return Translator.load(tiny_bundle(tmp_path_factory.mktemp("tiny") / "bundle"))


def lines_with_wishes():
    wishes = [
        {},
        {"prefix": "xy"},
        {"phrases": ["ab", "q"]},
        {"banned": ["a", "th"]},
        {"prefix": "b", "phrases": ["zz"], "banned": ["e"]},
        {"banned": ["e", "i", "o"]},
    ]
    return [(text, wishes[number % 6]) for number, text in enumerate(sentences(24, seed=5))]


def test_what_a_line_gives_depends_on_its_own_wishes_alone(translator):
    pairs = lines_with_wishes()
    expected = [translator.translate(text, results=True, **wishes) for text, wishes in pairs]
    lines = [Line(text, **wishes) if wishes else text for text, wishes in pairs]
    for found in (
        translator.translate(lines, results=True),
        list(translator.stream(lines, results=True, window=5, batch_tokens=40)),
    ):
        assert [one.text for one in found] == [one.text for one in expected]
        assert [one.unmet for one in found] == [one.unmet for one in expected]
        assert [one.score for one in found] == pytest.approx([one.score for one in expected], abs=1e-4)
    assert translator.translate(lines) == [one.text for one in expected]
    assert translator.translate(lines[1]) == expected[1].text
    # They are heard.
    for (_, wishes), one in zip(pairs, expected, strict=True):
        assert one.text.startswith(wishes.get("prefix", ""))
        assert not any(word in one.text for word in wishes.get("banned", ()))
        assert all(phrase in one.text or phrase in one.unmet for phrase in wishes.get("phrases", ()))


def test_wishes_of_a_line_beside_those_of_all(translator):
    line = "abcdefgh"
    found = translator.translate(
        [Line(line, prefix="x", banned=["e"]), Line(line, prefix=""), line], prefix="y", banned=["a"]
    )
    assert found == [
        translator.translate(line, prefix="x", banned=["a", "e"]),
        translator.translate(line, banned=["a"]),
        translator.translate(line, prefix="y", banned=["a"]),
    ]


def test_what_a_model_cannot_say_ends_nothing_but_is_told(translator):
    lines = [Line("abc", phrases=["ab", "中"]), Line("abc", prefix="中"), "de"]
    found = translator.translate(lines, results=True)
    assert [one.unmet for one in found] == [["中"], ["中"], []]
    assert "ab" in found[0].text
    assert found[1].text == translator.translate("abc")
    with pytest.warns(UserWarning, match="2 of 3 outputs lack a requested phrase or prefix"):
        translator.translate(lines)


def test_wishes_that_do_not_go_with_the_options(translator):
    line = Line("abc", phrases=["ab"])
    with pytest.raises(
        ConfigError, match="search 'Sampling' takes no 'phrases'. What takes it: ConstrainedBeam"
    ):
        translator.translate(line, samples=2, search="Sampling")
    with pytest.raises(ConfigError, match="split 'sentences' cannot know which sentence must contain 'ab'"):
        translator.translate(line, split="sentences")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"text": 3}, "the text of a line is 3; it must be a str"),
        ({"text": "a\nb"}, r"a line contains a \\n: 'a\\nb'; split it there"),
        ({"text": "a", "prefix": 3}, "prefix is 3; it must be a str"),
        ({"text": "a", "phrases": "ab"}, "phrases is 'ab'; it must be a list of str"),
        (
            {"text": "a", "banned": ["x", " "]},
            r"banned is \['x', ' '\]; it must be a list of str, and none of them",
        ),
    ],
)
def test_lines_that_cannot_be(given, message):
    with pytest.raises(DataError, match=message):
        s2s.Line(**given)


def test_json_objects_become_lines():
    read = JsonLines()
    assert read('{"source": "a\\nb", "phrases": ["c"], "prefix": null}') == Line("a b", phrases=["c"])
    assert read('{"source": "a", "prefix": "b", "banned": ["c"]}') == Line("a", "b", banned=["c"])
    assert read("") == read("  ") == Line("")
    assert list(read.notes()) == []


def test_what_is_no_usable_object_becomes_an_empty_line_and_is_counted():
    read = JsonLines()
    broken = [
        "{",
        "3",
        '"text"',
        '{"text": "a"}',
        '{"source": 3}',
        '{"source": "a", "phrases": "b"}',
        "[" * 10**5,
    ]
    for text in broken:
        assert read(text) == Line("")
    assert read('{"source": "a", "phrase": ["b"]}') == Line("a")
    counted, unread = read.notes()
    assert counted.startswith(
        "7 of 8 lines were not usable JSON objects; their outputs are empty. The first: "
    )
    assert "line 1: Expecting property name" in counted
    assert unread == "ignored JSON keys: phrase. Known keys: source, prefix, phrases, banned"


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_whatever_a_line_of_json_is(text):
    assert isinstance(JsonLines()(text), Line)


@given(st.fixed_dictionaries({"source": st.text()}, optional={"prefix": st.text() | st.none()}))
def test_every_text_comes_through(row):
    read = JsonLines()
    assert read(json.dumps(row)).text == row["source"].replace("\n", " ")
    assert not read.broken
