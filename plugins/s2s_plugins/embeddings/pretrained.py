"""An embedding initialized with pretrained word vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from s2s.errors import ConfigError, DataError
from s2s.resources import locate
from s2s.text.corpus import LineReport, read_lines
from s2s_plugins.embeddings.lookup import LookupEmbedding

_LARGEST = torch.finfo(torch.float32).max
_SPACE = "\u2581"  # marks subword pieces that begin a word


class PretrainedEmbedding(LookupEmbedding):
    """A table initialized with word vectors (GloVe: Pennington et al. 2014; fastText: Bojanowski et al. 2017).

    A token gets the vector of its word, or else of the word in lower case. Of subword pieces, only those that begin a
    word and those without letters are looked up. Tokens without a vector start at random, with the standard deviation
    of the vectors found. The file is read only when training of a new model begins.

    Args:
        vocabulary_size: number of tokens.
        path: text file of vectors, plain or .gz: in each line a word and its numbers, separated by spaces; the first
            line may give the number of words and the width instead.
        size: width of a vector; must be that of the file.
        dropout: dropout on the vectors.
        variational: one dropout mask per sentence instead of one per token (Gal & Ghahramani 2016).
        token_dropout: probability that a whole token is zeroed in training.
    """

    def __init__(
        self,
        vocabulary_size: int,
        *,
        path: str = "",
        size: int = 300,
        dropout: float = 0.0,
        variational: bool = False,
        token_dropout: float = 0.0,
    ) -> None:
        super().__init__(
            vocabulary_size, size=size, dropout=dropout, variational=variational, token_dropout=token_dropout
        )
        self.path = path

    def begin_with(self, tokens: Sequence[str]) -> str:
        """See `Embedding.begin_with`.

        Broken lines are skipped, counted and reported.

        Raises:
            ConfigError: no path, or vectors of another width.
            DataError: the file cannot be read, or has no valid line.
        """
        if not self.path:
            raise ConfigError(
                "the embedding Pretrained begins with vectors of a file; set model.embedding.path: FILE"
            )
        wanted, lowered = _words(tokens)
        exact: dict[str, torch.Tensor] = {}
        lower: dict[str, torch.Tensor] = {}
        report = LineReport(on_bad_line="skip")
        for word, vector in vectors(self.path, self.size, wanted.keys() | lowered.keys(), report):
            if word in wanted:
                exact.setdefault(word, vector)
            if word in lowered:
                lower.setdefault(word, vector)
        found = {row: vector for word, vector in lower.items() for row in lowered[word]}
        as_they_stand = {row: vector for word, vector in exact.items() for row in wanted[word]}
        found |= as_they_stand
        if found:
            with torch.no_grad():
                table = torch.stack(list(found.values()))
                self.weight.mul_(table.std(correction=0) / self.weight.std(correction=0))
                self.weight[list(found)] = table
        share = 100 * len(found) / max(1, len(tokens))
        said = (
            f"{self.path}: vectors for {len(found):,} of {len(tokens):,} tokens ({share:.1f} %), "
            f"{len(found) - len(as_they_stand):,} of them in lower case"
        )
        return "\n".join([said, *report.lines()])


def vectors(path: str, size: int, wanted: set[str], report: LineReport) -> Iterator[tuple[str, torch.Tensor]]:
    """Read the vectors of some words from a file.

    Args:
        path: see `PretrainedEmbedding`.
        size: width of the vectors.
        wanted: the words to read.
        report: collects broken lines.

    Raises:
        ConfigError: the vectors have another width.
        DataError: the file cannot be read, or has no valid line.
    """
    told = whole = False  # told: the width, by the first line with more than a word; whole: any valid line
    for line, text in read_lines(locate(path), report):
        if text is None:
            continue
        fields = text.rstrip(" ").split(" ")
        if not told and len(fields) > 1:
            told = True
            header = len(fields) == 2 and all(field.isdecimal() and len(field) < 20 for field in fields)
            _check_width(path, int(fields[1]) if header else len(fields) - 1, size)
            if header:
                continue
        place = f"{path}:{line}"
        if len(fields) <= size or (len(fields) > size + 1 and _number(fields[-size - 1]) is not None):
            report.bad(f"not {size} numbers behind the word", place)
            continue
        word = " ".join(fields[:-size])  # some files have words with spaces in them
        values = [_number(field) for field in fields[-size:]] if word in wanted else []
        if None in values:
            report.bad("a number that is no finite one", place)
            continue
        whole = True
        if values:
            yield word, torch.tensor(values)
    if not whole:
        raise DataError(
            "; ".join([f"{path}: no line has a word and {size} numbers behind it", *report.lines()])
        )


def _check_width(path: str, found: int, size: int) -> None:
    if found != size:
        raise ConfigError(
            f"{path} has vectors of {found} numbers, but the embedding has size {size}; set model.embedding.size: "
            f"{found}, or name a file of that width"
        )


def _number(field: str) -> float | None:
    try:
        value = float(field)
    except ValueError:
        return None
    return value if abs(value) <= _LARGEST else None


def _words(tokens: Sequence[str]) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
    """The rows of each word, as written and in lower case."""
    pieces = any(token.startswith(_SPACE) and len(token) > 1 for token in tokens)
    exact: dict[str, list[int]] = {}
    lowered: dict[str, list[int]] = {}
    for row, token in enumerate(tokens):
        if pieces and not token.startswith(_SPACE) and any(sign.isalpha() for sign in token):
            continue
        word = token.removeprefix(_SPACE)
        if word:
            exact.setdefault(word, []).append(row)
            lowered.setdefault(word.lower(), []).append(row)
    return exact, lowered
