"""Sentences of any script."""

import sys

import pytest
from sentencex import segment

from s2s.text import sentences as module
from s2s.text.sentences import LONG, segments, sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ('He said: "Go." She went.', ['He said: "Go."', "She went."]),
        ("It costs 7.50 crowns. It is here.", ["It costs 7.50 crowns.", "It is here."]),
        ("Dr. Smith met J. R. Jones. They spoke.", ["Dr. Smith met J. R. Jones.", "They spoke."]),
        ("It opens at 9 a.m. every day, e.g. today.", ["It opens at 9 a.m. every day, e.g. today."]),
        ("a line\nanother\r\n\n  a third ", ["a line", "another", "a third"]),
        ("老人走了。海很大！", ["老人走了。", "海很大！"]),
        ("वह गया। वह आया।", ["वह गया।", "वह आया।"]),
        ("노인은 간다. 바다는 크다.", ["노인은 간다.", "바다는 크다."]),
        ("ذهب؟ نعم.", ["ذهب؟", "نعم."]),
        ("Mr.\u00a0Smith came. He left.", ["Mr.\u00a0Smith came.", "He left."]),
        ("no end", ["no end"]),
        (" \n ", []),
        ("", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@pytest.mark.parametrize(
    "space", [s for s in map(chr, range(sys.maxunicode + 1)) if s.isspace() and s > "\x7f"]
)
def test_any_space_may_stand_before_a_full_stop(space: str) -> None:
    line = f"C'est{space}le plan B{space}. Il va bien{space}! Oui.{space}"
    assert segments("fr", line) == [f"C'est{space}le plan B{space}. Il va bien{space}! ", f"Oui.{space}"]


PROSE = [
    "Dr. Smith met J. R. Jones at 9 a.m. on the quay. ",
    'He said: "Go home." ',
    "It costs 7.50 crowns, e.g. today!  ",
    "What?! ",
    "B\u00a0. Il va bien\u00a0! ",
    "The boat " + "is on the water and " * 40 + "comes. ",
    "老人走了。海很大！",
]


def test_a_long_line_is_split_as_a_short_one() -> None:
    line = "".join(PROSE[number * number % 7 - number % 3] for number in range(1000))
    assert len(line) > 3 * LONG
    expected = list(segment("en", line.replace("\u00a0", " ")))
    found = segments("en", line)
    assert [part.replace("\u00a0", " ") for part in found] == expected
    assert "".join(found) == line


@pytest.mark.parametrize(
    ("unit", "least"),
    [
        ("これは。", 40_000),
        ("« a. ", 1),
        ("a", 1),
        ("word ", 1),
        (".", 1),
        ("A. ", 1),
        ("Go! " + "a" * 9_000 + ". ", 34),
    ],
)
def test_the_time_of_a_long_line_grows_with_its_length(
    unit: str, least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = (unit * 160_000)[:160_000]
    given: list[int] = []

    def counted(language: str, text: str) -> list[str]:
        given.append(len(text))
        return list(segment(language, text))

    monkeypatch.setattr(module, "segment", counted)
    found = segments("ja", line)
    assert "".join(found) == line and len(found) >= least
    assert max(given) < LONG and sum(given) < 3 * len(line)


@pytest.mark.parametrize("letters", [LONG, LONG + 1])
def test_a_sentence_that_is_longer_than_a_piece(letters: int) -> None:
    long = "word " * (letters // 5 - 1) + "end. "
    assert segments("en", f"{long}Go. {long}{long}Go.") == [long, "Go. ", long, long, "Go."]
