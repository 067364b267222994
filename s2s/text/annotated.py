"""Sentences of labelled words, one word per line in columns, with an empty line after each sentence, as in CoNLL-U.

A sentence is read as a pair: its words with a space between them, and its labels likewise.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from s2s.errors import ConfigError
from s2s.registry.near_names import unknown
from s2s.text.corpus import LINE_COST, LONGEST_LINE, Corpus, CorpusSpec, LineReport, Pair, read_lines

SPACE_WITHIN = "\u2423"
"""What stands for a space within a word (an open box), so that a word is what stands between spaces."""

UNSPECIFIED = "_"
LONGEST_SENTENCE = LONGEST_LINE
"""Letters of a sentence that is read, each line counted with `LINE_COST` more: at most 260,000 words."""
TOO_LONG = "a sentence with too many lines; an empty line ends each"
CONLLU_COLUMNS = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")


class BadRow(Exception):
    """A line that no sentence of this layout can have.

    Args:
        place: of the line in its sentence, from 0.
        reason: what is wrong, the same words for all such lines.
        detail: more about this line.
    """

    def __init__(self, place: int, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason} ({detail})" if detail else reason)
        self.place = place
        self.reason = reason
        self.detail = detail


class Row(NamedTuple):
    """A word with its columns.

    Attributes:
        place: of its line in the sentence, from 0.
        columns: as they stand.
        separator: what stands between them.
    """

    place: int
    columns: list[str]
    separator: str


class Layout(ABC):
    """How the sentences of a format stand in a file.

    Attributes:
        word: the column of the word, from 0.
        label: the column of the label, from 0.
        label_name: what that column is called.
    """

    word: int
    label: int
    label_name: str

    @abstractmethod
    def rows(self, lines: Sequence[str]) -> list[Row]:
        """The words of a sentence; other lines are left out.

        Args:
            lines: of one sentence.

        Raises:
            BadRow: one is of another format, or there is no word.
        """

    def words(self, lines: Sequence[str]) -> list[str]:
        """The words of a sentence, as they stand.

        Raises:
            BadRow: one is of another format, or there is no word.
        """
        return [row.columns[self.word] for row in self.rows(lines)]

    def labels(self, lines: Sequence[str]) -> list[str]:
        """The labels of a sentence.

        Raises:
            BadRow: one is of another format, or has no label that is one word.
        """
        return [self._label(row) for row in self.rows(lines)]

    def _label(self, row: Row) -> str:
        if len(row.columns) <= self.label:
            raise BadRow(row.place, f"no column {self.label_name}", f"it has {len(row.columns)}")
        label = row.columns[self.label]
        if not label.strip():
            raise BadRow(row.place, "empty column", self.label_name)
        if label.split() != [label]:
            raise BadRow(row.place, "a space within a label", repr(label))
        return label

    def filled(self, lines: Sequence[str], labels: Sequence[str]) -> list[str]:
        """The sentence with other labels; where the column is the first that is missing, it is added.

        Args:
            lines: of one sentence.
            labels: one for each word.

        Raises:
            BadRow: one is of another format, or has not even the columns before the label's.
        """
        filled = list(lines)
        for row, label in zip(self.rows(lines), labels, strict=True):
            if len(row.columns) < self.label:
                raise BadRow(row.place, f"no column before {self.label_name}", f"it has {len(row.columns)}")
            columns = [*row.columns[: self.label], label, *row.columns[self.label + 1 :]]
            filled[row.place] = row.separator.join(columns)
        return filled


class ConlluLayout(Layout):
    """CoNLL-U: ten columns with tabs between them; comments, ranges of words (1-2) and empty nodes (1.1) are no words.

    Args:
        column: of the label: its name, or its number from 1; None: UPOS.

    Raises:
        ConfigError: there is no such column, or it is that of the words or of their numbers.
    """

    word = 1

    def __init__(self, column: str | None = None) -> None:
        column = column or "UPOS"
        if column.isdecimal() and 1 <= int(column) <= len(CONLLU_COLUMNS):
            column = CONLLU_COLUMNS[int(column) - 1]
        if column.upper() not in CONLLU_COLUMNS:
            raise ConfigError(unknown("column of CoNLL-U", column, CONLLU_COLUMNS))
        self.label_name = column.upper()
        self.label = CONLLU_COLUMNS.index(self.label_name)
        if self.label <= self.word:
            held = "words" if self.label == self.word else "numbers of words"
            others = ", ".join(CONLLU_COLUMNS[self.word + 1 :])
            raise ConfigError(
                f"column {self.label_name} cannot hold labels, as it holds the {held}; choose from: {others}"
            )

    def rows(self, lines: Sequence[str]) -> list[Row]:
        """See `Layout.rows`."""
        rows = []
        for place, line in enumerate(lines):
            if line.startswith("#"):
                continue
            columns = line.split("\t")
            if len(columns) != len(CONLLU_COLUMNS):
                raise BadRow(place, f"not {len(CONLLU_COLUMNS)} columns", f"it has {len(columns)}")
            if columns[0].isdecimal():
                rows.append(_row(place, columns, "\t", self.word))
            elif not columns[0].replace("-", "").replace(".", "").isdecimal():
                raise BadRow(place, "no number of a word", repr(columns[0]))
        return _some(rows)

    def _label(self, row: Row) -> str:
        label = super()._label(row)
        if (
            label == UNSPECIFIED and self.label_name == "UPOS"
        ):  # in other columns it may say that there is nothing
            raise BadRow(row.place, "no part of speech", f"its UPOS is {UNSPECIFIED}")
        return label


class ColumnsLayout(Layout):
    """A word and its label, as the shared tasks of CoNLL had them (Tjong Kim Sang & Buchholz 2000), perhaps with more.

    Between columns is a tab, in lines that have one, or else a space.

    Args:
        word: number of the word's column, from 1; None: 1.
        label: number of the label's column, from 1; None: 2.

    Raises:
        ConfigError: it is no such number, or both are the same.
    """

    def __init__(self, word: str | None = None, label: str | None = None) -> None:
        for key in (word, label):
            if key is not None and not (key.isdecimal() and int(key) > 0):
                raise ConfigError(f"column {key!r} is not a number from 1")
        self.word, self.label = int(word or 1) - 1, int(label or 2) - 1
        self.label_name = str(self.label + 1)
        if self.word == self.label:
            raise ConfigError(f"column {self.label_name} cannot hold both words and labels; name another")

    def rows(self, lines: Sequence[str]) -> list[Row]:
        """See `Layout.rows`."""
        rows = []
        for place, line in enumerate(lines):
            separator = "\t" if "\t" in line else " "
            rows.append(_row(place, line.split(separator), separator, self.word))
        return _some(rows)


def _row(place: int, columns: list[str], separator: str, word: int) -> Row:
    if len(columns) <= word:
        raise BadRow(place, f"no column {word + 1}", f"it has {len(columns)}")
    if not columns[word].strip():
        raise BadRow(place, "empty column", "that of the word")
    return Row(place, columns, separator)


def _some(rows: list[Row]) -> list[Row]:
    if not rows:
        raise BadRow(0, "a sentence without words")
    return rows


def as_word(form: str) -> str:
    """A word as models read it: spaces of any kind within it become `SPACE_WITHIN`."""
    if form.split() == [form]:  # most often
        return form
    return "".join(SPACE_WITHIN if sign.isspace() else sign for sign in form)


class AnnotatedCorpus(Corpus):
    """A reader of sentences of labelled words.

    Args:
        spec: of the corpus.
        layout: of its file.
    """

    labelled = True

    def __init__(self, spec: CorpusSpec, layout: Layout) -> None:
        super().__init__(spec)
        self.layout = layout

    def pairs(self, report: LineReport) -> Iterator[Pair]:
        """Words and labels of each sentence, in order; one with a bad line is bad as a whole."""
        (path,) = self.spec.paths
        spaced = 0
        for sentence in _sentences(path, report):
            lines = [text for _, text in sentence if text is not None]
            if len(lines) < len(sentence):  # read_lines has told
                continue
            try:
                rows = self.layout.rows(lines)
                labels = self.layout.labels(lines)
            except BadRow as bad:
                report.bad(bad.reason, f"{path}:{sentence[bad.place][0]}", bad.detail)
                continue
            forms = [row.columns[self.layout.word] for row in rows]
            words = [as_word(form) for form in forms]
            spaced += sum(word != form for word, form in zip(words, forms, strict=True))
            yield Pair(" ".join(words), " ".join(labels), sentence[rows[0].place][0])
        if spaced:
            report.notes.append(
                f"{path}: spaces within words ({spaced:,}) are read as {SPACE_WITHIN} (U+2423)"
            )


def _sentences(path: str, report: LineReport) -> Iterator[list[tuple[int, str | None]]]:
    """Number and text of the lines of each sentence; see `read_lines`. One that is too long is reported."""
    sentence: list[tuple[int, str | None]] = []
    size = 0
    for line, text in read_lines(path, report):
        if text is None or text.strip():
            if size <= LONGEST_SENTENCE:
                sentence.append((line, text))
                size += len(text or "") + LINE_COST
                if size > LONGEST_SENTENCE:
                    report.bad(TOO_LONG, f"{path}:{sentence[0][0]}")
                    sentence.clear()
            continue
        if sentence:
            yield sentence
        sentence, size = [], 0
    if sentence:
        yield sentence
