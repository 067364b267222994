"""Scores of several systems with several metrics, also by length, each with its signature."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from s2s.errors import ConfigError
from s2s.evaluation.defaults import LENGTHS, METRICS
from s2s.evaluation.metric import Metric, Score, check_sizes
from s2s.evaluation.significance import Compared
from s2s.registry.parts import Spec, factory, options, read_spec

MOST_RESAMPLES = 10**6


@dataclass(frozen=True)
class Row:
    """One score.

    Attributes:
        system: its name.
        metric: name of the score, such as "chrF2".
        case: "cased", "lower-cased", or "" for a metric that does not distinguish.
        score: the value.
        confidence: half the width of the 95 % interval; None if not requested, and for a single sentence, because all
            samples of it are the same.
        p_value: of the difference to the first system; None for that one, and as for `confidence`.
        sentences: number of sentences scored.
        signature: everything that the score depends on.
        details: further numbers of the metric.
        lengths: (minimum, maximum) length of the references that were scored, maximum None: no limit; None: all.
        options: of the metric, as they were given.
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
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def as_score(self) -> Score:
        """As the metric gave it."""
        return Score(
            self.score, self.signature, self.metric, self.sentences, self.confidence, dict(self.details)
        )


def evaluate(
    systems: Mapping[str, Sequence[str]],
    references: Sequence[Sequence[str]],
    *,
    metrics: Sequence[Spec] = METRICS,
    resamples: int = 0,
    by_length: str | None = None,
    buckets: Sequence[int] | None = None,
) -> Iterator[Row]:
    """Score systems against the same references.

    Args:
        systems: outputs by the name of the system, one for each sentence; the first is what others are compared with.
        references: one or more sets of references.
        metrics: names in the catalogue, or {"class_path": name, "init_args": options}. One that can tell case is
            scored with case and without, unless its options say `lowercase`.
        resamples: of a bootstrap over sentences, for intervals and, with several systems, p-values; 0 for none.
        by_length: "words" (between white space) or "characters": give scores by length of the first reference as well.
        buckets: the longest length of each bucket but the last, ascending; None is what is usual for the unit.

    Yields:
        For each metric the whole set, then its buckets; in each the systems in their order.

    Raises:
        ConfigError: an unknown metric or option, one given twice, impossible values, resamples or buckets.
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
    for measure in _measures(metrics, resamples if len(systems) == 1 else 0):
        yield from _whole(systems, references, measure, resamples)
        for lengths, chosen in groups.items():
            some = [[reference[index] for index in chosen] for reference in references]
            for system, hypotheses in systems.items():
                score = measure.plain.score([hypotheses[index] for index in chosen], some)
                yield _row(system, measure, score, lengths=lengths)


class _Measure(NamedTuple):
    """A metric, with case or without, and the same with an interval if it can give one."""

    options: dict[str, Any]
    case: str
    plain: Metric
    with_interval: Metric


def _measures(metrics: Sequence[Spec], resamples: int) -> list[_Measure]:
    # All of them before the first score, so that errors are raised before the work.
    found: list[_Measure] = []
    seen: list[tuple[str, dict[str, Any]]] = []
    for spec in metrics:
        name, given = read_spec("metric", spec)
        if (name, given) in seen:
            label = " ".join([name, *(f"{option}={value}" for option, value in given.items())])
            raise ConfigError(f"metric {label!r} is given twice; name it once, or with other options")
        seen.append((name, given))
        part = factory("metric", spec)
        if "resamples" in given:
            raise ConfigError(
                f"metric {name!r}: resamples is {given['resamples']!r}, but all metrics are resampled alike; give it "
                "for all, as the option --resamples or the argument resamples"
            )
        known = options(part)
        bootstrap = {"resamples": resamples} if resamples and "resamples" in known else {}
        cases = (
            {"cased": {"lowercase": False}, "lower-cased": {"lowercase": True}}
            if "lowercase" in known
            else {"": {}}
        )
        for case, option in cases.items():
            if given.get("lowercase") in (None, option.get("lowercase")):
                found.append(_Measure(given, case, part(**option), part(**option, **bootstrap)))
    return found


def _whole(
    systems: Mapping[str, Sequence[str]],
    references: Sequence[Sequence[str]],
    measure: _Measure,
    resamples: int,
) -> Iterator[Row]:
    if len(systems) == 1 or not resamples:
        for system, hypotheses in systems.items():
            yield _row(system, measure, measure.with_interval.score(hypotheses, references))
        return
    compared = measure.plain.compare(list(systems.values()), references, resamples=resamples)
    for (system, hypotheses), one in zip(systems.items(), compared, strict=True):
        yield _row(system, measure, measure.plain.score(hypotheses, references), one)


def _row(
    system: str,
    measure: _Measure,
    score: Score,
    compared: Compared | None = None,
    lengths: tuple[int, int | None] | None = None,
) -> Row:
    bootstrap = (score.confidence, None) if compared is None else (compared.confidence, compared.p_value)
    confidence, p_value = bootstrap if score.sentences > 1 else (None, None)
    return Row(
        system=system,
        metric=score.name,
        case=measure.case,
        score=score.value,
        confidence=confidence,
        p_value=p_value,
        sentences=score.sentences,
        signature=score.signature if compared is None else compared.signature,
        details=score.details,
        lengths=lengths,
        options=measure.options,
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
