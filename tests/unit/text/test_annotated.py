"""Sentences in columns: what is a word, what is bad, and that labels go where they belong."""

import pytest

from s2s.errors import ConfigError
from s2s.text.annotated import BadRow, ColumnsLayout, ConlluLayout, as_word

CONLLU = [
    "# text = Don't go to New York",
    "1-2\tDon't\t_\t_\t_\t_\t_\t_\t_\t_",
    "1\tDo\tdo\tAUX\tVB\tMood=Imp\t3\taux\t_\t_",
    "2\tn't\tnot\tPART\tRB\t_\t3\tadvmod\t_\t_",
    "3\tgo\tgo\tVERB\tVB\t_\t0\troot\t_\t_",
    "3.1\tgone\tgo\tVERB\tVB\t_\t_\t_\t0:root\t_",
    "4\tNew York\tNew York\tPROPN\tNNP\t_\t3\tobl\t_\t_",
]


def test_words_and_labels_of_conllu() -> None:
    layout = ConlluLayout()
    assert layout.words(CONLLU) == ["Do", "n't", "go", "New York"]
    assert layout.labels(CONLLU) == ["AUX", "PART", "VERB", "PROPN"]
    assert ConlluLayout("XPOS").labels(CONLLU) == ["VB", "RB", "VB", "NNP"]
    assert ConlluLayout("xpos").label_name == ConlluLayout("5").label_name == "XPOS"
    assert ConlluLayout("FEATS").labels(CONLLU) == ["Mood=Imp", "_", "_", "_"]


def test_other_lines_and_columns_stay_as_they_are() -> None:
    filled = ConlluLayout().filled(CONLLU, ["A", "B", "C", "D"])
    expected = list(CONLLU)
    for place, before, after in ((2, "AUX", "A"), (3, "PART", "B"), (4, "VERB", "C"), (6, "PROPN", "D")):
        expected[place] = expected[place].replace(f"\t{before}\t", f"\t{after}\t")
    assert filled == expected


def test_columns() -> None:
    lines = ["the DT B-NP", "New York\tNNP\tI-NP"]
    assert ColumnsLayout().words(lines) == ["the", "New York"]
    assert ColumnsLayout(None, "3").labels(lines) == ["B-NP", "I-NP"]
    assert ColumnsLayout("2", "1").labels(lines[:1]) == ["the"]
    assert ColumnsLayout().filled(lines, ["X", "Y"]) == ["the X B-NP", "New York\tY\tI-NP"]
    assert ColumnsLayout(None, "4").filled(lines, ["X", "Y"]) == ["the DT B-NP X", "New York\tNNP\tI-NP\tY"]
    assert ColumnsLayout().filled(["the", "sea"], ["X", "Y"]) == ["the X", "sea Y"]


@pytest.mark.parametrize(
    ("layout", "lines", "place", "message"),
    [
        (ConlluLayout(), ["# c", "1\tgo\tgo\tVERB"], 1, r"not 10 columns \(it has 4\)"),
        (ConlluLayout(), ["# nothing"], 0, "a sentence without words"),
        (ConlluLayout(), ["a\tgo\t_\tVERB\t_\t_\t_\t_\t_\t_"], 0, r"no number of a word \('a'\)"),
        (ConlluLayout(), ["1\tgo\t_\t_\t_\t_\t_\t_\t_\t_"], 0, r"no part of speech \(its UPOS is _\)"),
        (ConlluLayout(), ["1\tgo\t_\t\t_\t_\t_\t_\t_\t_"], 0, r"empty column \(UPOS\)"),
        (ConlluLayout(), ["1\t \t_\tX\t_\t_\t_\t_\t_\t_"], 0, r"empty column \(that of the word\)"),
        (ConlluLayout("MISC"), ["1\tgo\t_\tX\t_\t_\t_\t_\t_\ta b"], 0, r"a space within a label \('a b'\)"),
        (ColumnsLayout(), ["the A", "sea"], 1, r"no column 2 \(it has 1\)"),
        (ColumnsLayout("3"), ["the A"], 0, r"no column 3 \(it has 2\)"),
    ],
)
def test_bad_rows(layout: ConlluLayout | ColumnsLayout, lines: list[str], place: int, message: str) -> None:
    with pytest.raises(BadRow, match=message) as caught:
        layout.labels(lines)
    assert caught.value.place == place


def test_a_label_goes_no_further_than_the_first_column_that_is_missing() -> None:
    with pytest.raises(BadRow, match=r"no column before 4 \(it has 2\)"):
        ColumnsLayout(None, "4").filled(["the A"], ["X"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ConlluLayout("UPSO"), "unknown column of CoNLL-U 'UPSO'; did you mean 'UPOS'?"),
        (lambda: ConlluLayout("11"), "unknown column of CoNLL-U '11'"),
        (lambda: ColumnsLayout("word"), "column 'word' is not a number from 1"),
        (lambda: ColumnsLayout(None, "0"), "column '0' is not a number from 1"),
        (lambda: ColumnsLayout("2"), "column 2 cannot hold both words and labels; name another"),
    ],
)
def test_columns_that_there_are_not(make: object, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make()  # type: ignore[operator]
    assert message in str(caught.value)


def test_spaces_of_any_kind_within_a_word() -> None:
    assert as_word("New York") == "New␣York"
    assert as_word("20\u00a0000\u2028") == "20␣000␣"
    assert as_word("plain\u200b") == "plain\u200b"
    assert len(as_word("a \t b").split()) == 1


@pytest.mark.parametrize(
    ("column", "held"),
    [("FORM", "words"), ("2", "words"), ("id", "numbers of words"), ("1", "numbers of words")],
)
def test_words_and_their_numbers_are_not_overwritten_with_labels(column: str, held: str) -> None:
    with pytest.raises(
        ConfigError, match=f"cannot hold labels, as it holds the {held}; choose from: LEMMA, UPOS"
    ):
        ConlluLayout(column)
