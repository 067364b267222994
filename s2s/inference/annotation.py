"""Files whose words are labelled: what is read of them, and what is written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from s2s.errors import ConfigError, DataError
from s2s.inference.incoming import Incoming
from s2s.inference.labeller import Labelled
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

FORMS = ("text", "conllu", "columns")
_SUFFIXES = {".conllu": "conllu", ".conll": "columns", ".bio": "columns", ".iob": "columns"}


def form_of(paths: Sequence[str]) -> str:
    """What files hold, by their names: one of `FORMS`.

    Raises:
        ConfigError: not all hold the same.
    """
    forms = {path: _SUFFIXES.get(plain_suffix(path), "text") for path in paths}
    if len(set(forms.values())) > 1:
        told = ", ".join(f"{path} is {form}" for path, form in forms.items())
        raise ConfigError(f"{told}; label them one after the other, or say what all are: --input FORM")
    return next(iter(forms.values()))


def layout_of(form: str, column: str | None, word_column: str | None, learnt: str | None) -> Layout | None:
    """How sentences stand in files of a form; None for text.

    Args:
        form: one of `FORMS`.
        column: where labels go; None: where the labels of the training stood, if that was such a file.
        word_column: where words are; None: where the form has them.
        learnt: the name of the column that the training read.

    Raises:
        ConfigError: there is no such column, or the form has none.
    """
    if form == "text" and (column or word_column):
        raise ConfigError("text has no columns; say what the files are: --input conllu or columns")
    if form == "conllu" and word_column:
        raise ConfigError("the words of CoNLL-U are its column FORM; leave out --word-column")
    if form == "conllu":
        return ConlluLayout(column or (learnt if learnt in CONLLU_COLUMNS else None))
    if form == "columns":
        return ColumnsLayout(word_column, column or (learnt if learnt and learnt.isdecimal() else None))
    return None


class Sentences(Incoming):
    """The sentences of some files: blocks of lines, each with the empty line that ends it.

    An empty line that ends no sentence is a block of its own. At the end of a file the line is added where it is
    missing.
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
    """From a text to its words, and from their labels to what is written.

    Args:
        layout: of a sentence that has a line for each word; None: a line of words with spaces between them.
        jsonl: write an object for each sentence, instead of labels or of the sentence with its labels.

    Attributes:
        broken: sentences that are of another format; they are written as they are.
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
        """What is written of a text and its labels, with its end."""
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
        """For a person."""
        if self.broken:
            yield (
                f"{self.broken} of {self.read} sentences could not be read and are as they were. The first: "
                f"{self._first}"
            )
