"""Sentences of any script."""

import sys

import pytest

from s2s.text.sentences import segments, sentences


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
