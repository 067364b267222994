"""Reading and writing of files whose words are labelled."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from s2s.errors import ConfigError, DataError
from s2s.inference.incoming import Incoming
from s2s.text.annotated import (
    CONLLU_COLUMNS,
    LONGEST_SENTENCE,
    TOO_LONG,
    BadRow,
    ColumnsLayout,
    ConlluLayout,
    Layout,
)
from s2s.text.corpus import LINE_COST, plain_suffix, shown

if TYPE_CHECKING:
    from s2s.inference.labeller import Labelled

FORMS = ("text", "conllu", "columns")
_SUFFIXES = {".conllu": "conllu", ".conll": "columns", ".bio": "columns", ".iob": "columns"}


def form_of(paths: Sequence[str]) -> str:
    """The format of files, by their names: one of `FORMS`.

    Raises:
        ConfigError: not all have the same format.
    """
    forms = {path: _SUFFIXES.get(plain_suffix(path), "text") for path in paths}
    if len(set(forms.values())) > 1:
        told = ", ".join(f"{path} is {form}" for path, form in forms.items())
        raise ConfigError(f"{told}; label them one after the other, or give the format of all: --input FORM")
    return next(iter(forms.values()))


def layout_of(form: str, column: str | None, word_column: str | None, learnt: str | None) -> Layout | None:
    """The layout of sentences in files of a format; None for text.

    Args:
        form: one of `FORMS`.
        column: column of the labels; None: as in training, if that used such a file.
        word_column: column of the words; None: the default of the format.
        learnt: the name of the column that the training read.

    Raises:
        ConfigError: there is no such column, or the format has none.
    """
    if form == "text" and (column or word_column):
        raise ConfigError("text has no columns; give the format of the files: --input conllu or columns")
    if form == "conllu" and word_column:
        raise ConfigError("the words of CoNLL-U are its column FORM; leave out --word-column")
    if form == "conllu":
        return ConlluLayout(column or (learnt if learnt in CONLLU_COLUMNS else None))
    if form == "columns":
        return ColumnsLayout(word_column, column or (learnt if learnt and learnt.isdecimal() else None))
    return None


class Sentences(Incoming):
    """The sentences of some files: blocks of lines, each with the empty line that ends it.

    An empty line that ends no sentence is a block of its own. A missing empty line at the end of a file is added.
    """

    def _lines_of(self, path: str) -> Iterator[tuple[bytes | None, bool]]:
        block: list[bytes] = []
        size = 0
        for number, (line, waits) in enumerate(super()._lines_of(path), start=1):
            if line is not None and line.strip():
                block.append(line)
                size += len(line) + LINE_COST
                if size > LONGEST_SENTENCE:
                    raise DataError(f"{shown(path)}:{number - len(block) + 1}: {TOO_LONG}")
                continue
            yield b"".join(one + b"\n" for one in block), waits
            block, size = [], 0
        if block:
            yield b"".join(one + b"\n" for one in block), True


class Annotation:
    """Extracts the words of a text, and writes it with their labels.

    Args:
        layout: of a sentence with one line per word; None: a line of space-separated words.
        jsonl: write a JSON object for each sentence, instead of labels or of the sentence with its labels.

    Attributes:
        broken: number of sentences in another format; they are written unchanged.
    """

    def __init__(self, layout: Layout | None, *, jsonl: bool = False) -> None:
        self.layout = layout
        self.jsonl = jsonl
        self.read = self.broken = 0
        self._first = ""  # what is wrong with the first of the broken

    def words(self, text: str) -> list[str]:
        """The words of a text; none where it is broken, or an empty line."""
        if self.layout is None:
            return text.split()
        lines = text.split("\n")[:-1]
        if not lines:
            return []
        self.read += 1
        try:
            words = self.layout.words(lines)
            self.layout.filled(lines, words)
        except BadRow as bad:
            self.broken += 1
            self._first = self._first or f"{bad}: {lines[bad.place]!r}"
            return []
        return words

    def written(self, text: str, found: Labelled) -> str:
        """The output for a text and its labels, with its line end."""
        if self.jsonl:
            if self.layout is not None and not text:
                return ""  # an empty line between sentences
            row = {"words": found.words, "labels": found.labels, "probabilities": found.probabilities}
            return json.dumps(row, ensure_ascii=False) + "\n"
        if self.layout is None:
            return " ".join(found.labels) + "\n"
        if not found.words:
            return f"{text}\n"
        return "".join(f"{line}\n" for line in self.layout.filled(text.split("\n")[:-1], found.labels)) + "\n"

    def notes(self) -> Iterator[str]:
        """Notes about irregularities."""
        if self.broken:
            yield (
                f"{self.broken} of {self.read} sentences could not be read and were left unchanged. The first: "
                f"{self._first}"
            )
