"""How abstractive outputs are: shares of new, copied and repeated n-grams, and lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from s2s.evaluation.extracts import ngrams
from s2s.text.words import words

ORDERS = (1, 2, 3, 4)
"""Of the n-grams that are counted."""


@dataclass(frozen=True)
class Abstraction:
    """Of a system's outputs, or of references; words are those of `s2s.text.words`.

    Attributes:
        novelty: for each n the share of n-grams that the source does not have (See et al. 2017, figure 6).
        repetition: for each n the share of n-grams that the same output has had before.
        copied: share of words in runs that stand in the source, too (Grusky et al. 2018, "coverage").
        run: mean length of the run that a word is copied in, 0 for a new one (Grusky et al. 2018, "density").
        lengths: words of each output.
    """

    novelty: dict[int, float]
    repetition: dict[int, float]
    copied: float
    run: float
    lengths: list[int]

    @property
    def length(self) -> float:
        """Mean words of an output."""
        return fmean(self.lengths)


def abstraction(outputs: Sequence[str], sources: Sequence[str]) -> Abstraction:
    """Count; shares are of all n-grams of all outputs.

    Args:
        outputs: one for each source.
        sources: the documents.
    """
    new, repeated, total = ({n: 0 for n in ORDERS} for _ in range(3))
    lengths, runs = [], []
    for output, source in zip(outputs, sources, strict=True):
        said, read = words(output), words(source)
        lengths.append(len(said))
        runs += copied_runs(said, read)
        for n in ORDERS:
            grams = ngrams(said, n)
            known = set(ngrams(read, n))
            new[n] += sum(gram not in known for gram in grams)
            repeated[n] += len(grams) - len(set(grams))
            total[n] += len(grams)
    every = max(1, sum(lengths))
    return Abstraction(
        novelty={n: new[n] / max(1, total[n]) for n in ORDERS},
        repetition={n: repeated[n] / max(1, total[n]) for n in ORDERS},
        copied=sum(runs) / every,
        run=sum(run * run for run in runs) / every,
        lengths=lengths,
    )


def copied_runs(said: Sequence[str], read: Sequence[str]) -> list[int]:
    """Lengths of the runs of words that stand in the source, greedily the longest first (Grusky et al. 2018, figure 2).

    Args:
        said: words of an output.
        read: words of its source.
    """
    places: dict[str, list[int]] = {}
    for place, word in enumerate(read):
        places.setdefault(word, []).append(place)
    runs = []
    begin = 0
    while begin < len(said):
        longest = 0
        for place in places.get(said[begin], ()):
            length = 0
            while (
                said[begin + length : begin + length + 1] == read[place + length : place + length + 1] != []
            ):
                length += 1
            longest = max(longest, length)
        if longest:
            runs.append(longest)
        begin += max(1, longest)
    return runs
