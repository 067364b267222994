"""What a corpus is like: lengths, pieces per word, unknowns, duplicates, and what two corpora share."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import numpy.typing as npt

from s2s.errors import DataError
from s2s.text.corpus import LineReport, open_text
from s2s.text.tokenizer import UNK, Tokenizer

_CHUNK_LINES = 10_000


@dataclass
class Lengths:
    """How long the lines are, in some unit."""

    mean: float
    median: float
    percentile_95: float
    longest: int

    @classmethod
    def of(cls, lengths: npt.NDArray[np.int64]) -> "Lengths":
        """Of the lengths of all lines, at least one."""
        return cls(
            float(lengths.mean()),
            float(np.median(lengths)),
            float(np.percentile(lengths, 95)),
            int(lengths.max()),
        )


@dataclass
class SideStatistics:
    """One side of a corpus.

    Attributes:
        lines: how many lines.
        characters: code points per line.
        words: words between whitespace, per line.
        distinct_words: how many different words.
        repeated_lines: lines that stood there before.
        pieces: tokens per line, if there is a tokenizer.
        pieces_per_word: tokens per word.
        unknown_share: part of the tokens that are unknown.
    """

    lines: int
    characters: Lengths
    words: Lengths
    distinct_words: int
    repeated_lines: int
    pieces: Lengths | None = None
    pieces_per_word: float | None = None
    unknown_share: float | None = None


@dataclass
class CorpusStatistics:
    """A corpus: one file of lines, or pairs.

    Attributes:
        name: as it was given.
        sides: statistics by side: "text", or "source" and "target".
        repeated_pairs: pairs that stood there before; None without pairs.
        report: lines that could not be read, a line per reason.
    """

    name: str
    sides: dict[str, SideStatistics]
    repeated_pairs: int | None
    report: list[str]
    _seen: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict, repr=False)


@dataclass
class Overlap:
    """How much of one corpus stands in another.

    Attributes:
        corpus: the one whose lines are looked for.
        inside: the one in which they are looked for.
        lines: how many of its lines are there, by side (and "pair").
    """

    corpus: str
    inside: str
    lines: dict[str, int]


def corpus_statistics(name: str, tokenizers: Sequence[Tokenizer] | None = None) -> CorpusStatistics:
    """Reads a corpus once.

    Args:
        name: a corpus as a configuration names it (`pairs.tsv`, `train.en,train.de`, the text of a mapping), or any
            file of lines; .gz too.
        tokenizers: of source and target; a file of lines is counted with the first.

    Raises:
        DataError: a file cannot be read, or no line in it can.
    """
    report = LineReport("skip")
    corpus = open_text(name)
    counters = {side: _Counter() for side in (corpus.sides if len(corpus.sides) > 1 else ["text"])}
    rows = (pair.texts(corpus.sides) for pair in corpus.pairs(report))
    pairs: list[npt.NDArray[np.int64]] = []
    while chunk := list(islice(rows, _CHUNK_LINES)):
        for i, counter in enumerate(counters.values()):
            counter.count([row[i] for row in chunk], tokenizers[i] if tokenizers else None)
        pairs.append(np.array([hash(row) for row in chunk], np.int64))
    if not pairs:
        raise DataError("; ".join([f"{name}: there is no line to count", *report.lines(detailed=True)]))
    seen = {side: np.concatenate(counter.hashes) for side, counter in counters.items()}
    if len(counters) == 2:
        seen["pair"] = np.concatenate(pairs)
    return CorpusStatistics(
        name,
        {side: counter.result() for side, counter in counters.items()},
        _repeated(seen["pair"]) if "pair" in seen else None,
        report.lines(),
        seen,
    )


def overlaps(corpora: Sequence[CorpusStatistics]) -> list[Overlap]:
    """For each corpus and each one before it: how many of its lines stand there too."""
    found = []
    for i, corpus in enumerate(corpora):
        for earlier in corpora[:i]:
            shared = {
                side: int(np.isin(hashes, earlier._seen[side]).sum())
                for side, hashes in corpus._seen.items()
                if side in earlier._seen
            }
            if shared:
                found.append(Overlap(corpus.name, earlier.name, shared))
    return found


class _Counter:
    """Counts the lines of one side, a chunk at a time."""

    def __init__(self) -> None:
        self.hashes: list[npt.NDArray[np.int64]] = []
        self.characters: list[int] = []
        self.words: list[int] = []
        self.pieces: list[int] = []
        self.unknown = 0
        self.distinct: set[str] = set()

    def count(self, lines: list[str], tokenizer: Tokenizer | None) -> None:
        self.hashes.append(np.array([hash(line) for line in lines], np.int64))
        self.characters.extend(map(len, lines))
        for line in lines:
            words = line.split()
            self.words.append(len(words))
            self.distinct.update(words)
        if tokenizer is not None:
            for ids in tokenizer.encode_batch(lines):
                self.pieces.append(len(ids))
                self.unknown += ids.count(UNK)

    def result(self) -> SideStatistics:
        words = np.array(self.words, np.int64)
        result = SideStatistics(
            len(words),
            Lengths.of(np.array(self.characters, np.int64)),
            Lengths.of(words),
            len(self.distinct),
            _repeated(np.concatenate(self.hashes)),
        )
        if self.pieces:
            pieces = np.array(self.pieces, np.int64)
            result.pieces = Lengths.of(pieces)
            result.pieces_per_word = float(pieces.sum() / max(1, words.sum()))
            result.unknown_share = float(self.unknown / max(1, pieces.sum()))
        return result


def _repeated(hashes: npt.NDArray[np.int64]) -> int:
    return len(hashes) - len(np.unique(hashes))
