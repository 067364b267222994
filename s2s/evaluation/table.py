"""Readable tables of scores: one or more systems, each metric with its signature."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from s2s.counted import counted
from s2s.evaluation.evaluate import Row

FEW_SENTENCES = 20
"""With fewer, samples are so similar that intervals are too narrow and p-values too small."""


def table(rows: Iterable[Row], unit: str | None = None) -> Iterator[str]:
    """Lines; those of a metric come as soon as all its rows have come.

    Args:
        rows: as `evaluate` yields them.
        unit: of the lengths, if there are scores by length.
    """
    for _, group in groupby(
        rows, key=lambda row: (row.metric, row.options, row.case, row.signature.partition("|")[0])
    ):
        yield from _metric(list(group), unit)


def bootstrap_note(sentences: int, resamples: int) -> str | None:
    """A warning about intervals and p-values of few sentences; None where there is no need of one.

    Args:
        sentences: how many were scored.
        resamples: see `evaluate`.
    """
    if not resamples or sentences >= FEW_SENTENCES:
        return None
    wanted = f"a bootstrap needs {FEW_SENTENCES} or more"
    if sentences == 1:
        return f"1 sentence has no interval and no p-value, because all samples of it are the same; {wanted}"
    return f"intervals and p-values of {sentences} sentences are not reliable; {wanted}"


def _metric(rows: list[Row], unit: str | None) -> Iterator[str]:
    whole = [row for row in rows if row.lengths is None]
    several = len(whole) > 1
    if several:
        yield f"{_label(whole[0])}{whole[0].signature}"
    width = max(len(row.system) for row in rows)
    for row in whole:
        interval = "" if row.confidence is None else f" ± {row.confidence:.2f}"
        if several:
            p_value = "" if row.p_value is None else f"  p {row.p_value:.4f}"
            yield f"  {row.system:<{width}} {row.score:7.2f}{interval}{p_value}"
        else:
            yield f"{_label(row)}{row.score:6.2f}{interval}  {row.signature}"
    for lengths, group in groupby(rows[len(whole) :], key=lambda row: row.lengths):
        assert lengths is not None
        least, most = lengths
        bucket = list(group)
        named = f"{least}-{most}" if most is not None else f"{least} and more"
        label = f"{named} {unit}, {counted(bucket[0].sentences, 'sentence')}"
        yield f"  {label:<36} {'  '.join(f'{row.score:7.2f}' for row in bucket)}"


def _label(row: Row) -> str:
    # Names of one metric stand below each other, with case and without.
    name = " ".join([row.metric, *(f"{option}={value}" for option, value in row.options.items())])
    return f"{name:<5} {row.case:<11} " if row.case else f"{name:<10}  "
