"""Words of any script."""

import pytest

from s2s.text.words import words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't stop: it's 19:15!", ["don", "t", "stop", "it", "s", "19", "15"]),
        ("snake_case, e-mail", ["snake", "case", "e", "mail"]),
        ("ÉTÉ straße", ["été", "straße"]),
        ("老人は海へ", ["老", "人", "は", "海", "へ"]),
        ("第3回", ["第", "3", "回"]),
        ("ที่ทะเล", ["ที่", "ท", "ะ", "เ", "ล"]),  # marks stay with their character
        ("धीरे-धीरे", ["धीरे", "धीरे"]),
        ("노인은 천천히", ["노인은", "천천히"]),
        ("العجوز ينزل", ["العجوز", "ينزل"]),
        ("ﬁne ½", ["fine", "1", "2"]),
        ("👍🏽 … — ", []),
        ("", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected
