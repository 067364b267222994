"""Several systems, several metrics, several lengths: all the scores that are asked for, each with its signature."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from s2s.errors import ConfigError
from s2s.evaluation.defaults import LENGTHS, METRICS
from s2s.evaluation.metric import Metric, check_sizes
from s2s.registry import catalogue
from s2s.registry.parts import options

MOST_RESAMPLES = 10**6


@dataclass(frozen=True)
class Row:
    """One score.

    Attributes:
        system: its name.
        metric: name of the score, such as "chrF2".
        case: "cased", "lower-cased", or "" for a metric that does not distinguish.
        score: the value.
        confidence: half the width of the 95 % interval; None if it was not asked for.
        p_value: of the difference to the first system; None for that one, and where it was not asked for.
        sentences: how many were scored.
        signature: all that the score depends on.
        details: further numbers of the metric.
        lengths: (least, most) length of the references that were scored, most None: without end; None: all.
    """

    system: str
    metric: str
    case: str
    score: float
    confidence: float | None
    p_value: float | None
    sentences: int
    signature: str
    details: dict[str, Any]
    lengths: tuple[int, int | None] | None = None


def evaluate(
    systems: Mapping[str, Sequence[str]],
    references: Sequence[Sequence[str]],
    *,
    metrics: Sequence[str] = METRICS,
    resamples: int = 0,
    by_length: str | None = None,
    buckets: Sequence[int] | None = None,
) -> Iterator[Row]:
    """Score systems against the same references.

    Args:
        systems: outputs by the name of the system, one for each sentence; the first is what others are compared with.
        references: one or more sets of references.
        metrics: names in the catalogue.
        resamples: of a bootstrap over sentences, for intervals and, with several systems, p-values; 0 for none.
        by_length: "words" (between white space) or "characters": give scores by length of the first reference as well.
        buckets: the longest length of each bucket but the last, ascending; None is what is usual for the unit.

    Yields:
        For each metric the whole set, then its buckets; in each the systems in their order.

    Raises:
        ConfigError: an unknown metric, impossible resamples or buckets.
        DataError: nothing to score, or different numbers of sentences.
    """
    if resamples < 0 or resamples == 1 or resamples > MOST_RESAMPLES:
        raise ConfigError(
            f"resamples is {resamples}; it must be 0 for none, or 2 or more, usually 1000, and at most "
            f"{MOST_RESAMPLES:,}"
        )
    for hypotheses in systems.values():
        check_sizes(hypotheses, references)
    groups = {} if by_length is None else _by_length(references[0], by_length, buckets)
    for case, plain, with_interval in _metrics(metrics, resamples if len(systems) == 1 else 0):
        yield from _whole(systems, references, case, plain, with_interval, resamples)
        for lengths, chosen in groups.items():
            some = [[reference[index] for index in chosen] for reference in references]
            for system, hypotheses in systems.items():
                yield _row(system, case, plain, [hypotheses[index] for index in chosen], some, lengths)


def _metrics(names: Sequence[str], resamples: int) -> Iterator[tuple[str, Metric, Metric]]:
    # Case, the metric, and the metric with an interval if it can give one.
    for name in names:
        part = catalogue().load("metric", name)
        known = options(part)
        bootstrap = {"resamples": resamples} if resamples and "resamples" in known else {}
        cases = (
            {"cased": {"lowercase": False}, "lower-cased": {"lowercase": True}}
            if "lowercase" in known
            else {"": {}}
        )
        for case, option in cases.items():
            yield case, part(**option), part(**option, **bootstrap)


def _whole(
    systems: Mapping[str, Sequence[str]],
    references: Sequence[Sequence[str]],
    case: str,
    plain: Metric,
    with_interval: Metric,
    resamples: int,
) -> Iterator[Row]:
    if len(systems) == 1 or not resamples:
        for system, hypotheses in systems.items():
            yield _row(system, case, with_interval, hypotheses, references, None)
        return
    compared = plain.compare(list(systems.values()), references, resamples=resamples)
    for (system, hypotheses), one in zip(systems.items(), compared, strict=True):
        score = plain.score(hypotheses, references)
        yield Row(
            system,
            score.name,
            case,
            score.value,
            one.confidence,
            one.p_value,
            score.sentences,
            one.signature,
            score.details,
        )


def _row(
    system: str,
    case: str,
    metric: Metric,
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    lengths: tuple[int, int | None] | None,
) -> Row:
    score = metric.score(hypotheses, references)
    return Row(
        system,
        score.name,
        case,
        score.value,
        score.confidence,
        None,
        score.sentences,
        score.signature,
        score.details,
        lengths,
    )


def _by_length(
    reference: Sequence[str], unit: str, buckets: Sequence[int] | None
) -> dict[tuple[int, int | None], list[int]]:
    if unit not in LENGTHS:
        raise ConfigError(f"unknown unit of length {unit!r}; choose one of {', '.join(LENGTHS)}")
    most = list(LENGTHS[unit] if buckets is None else buckets)
    if not most or most[0] < 0 or any(one >= other for one, other in zip(most, most[1:], strict=False)):
        raise ConfigError(f"buckets are {most}; they must be lengths that rise, such as 10 20 30")
    bounds: list[tuple[int, int | None]] = [
        (least + 1, end) for least, end in zip([-1, *most], [*most, None], strict=True)
    ]
    groups: dict[tuple[int, int | None], list[int]] = {bound: [] for bound in bounds}
    for index, line in enumerate(reference):
        length = len(line.split()) if unit == "words" else len(line)
        groups[bounds[bisect.bisect_left(most, length)]].append(index)
    return {bound: chosen for bound, chosen in groups.items() if chosen}
