"""The conformance kit for metrics.

Each check takes a factory () -> Metric: a class, or a partial with the metric's options. Metrics may measure
anything, but must tell good from bad in the direction that they declare, and sign their scores.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from s2s.errors import DataError, S2SError
from s2s.evaluation.metric import Metric, Score
from s2s.registry.parts import options
from s2s.testing import constructors
from s2s.testing.kit import Check, Nonconforming, part_of
from s2s.testing.texts import ENGLISH, HARD_LINES, TEXT, shortened

MetricFactory = Callable[[], Metric]

REFERENCES = ENGLISH
ONE_WRONG = (*ENGLISH[:-1], "A bird sang in some tall green tree by night.")
ALL_WRONG = (*ENGLISH[1:], ENGLISH[0])
"""Each sentence is in the place of another."""
SHORTENED = tuple(" ".join(line.split()[: len(line.split()) - i]) for i, line in enumerate(ENGLISH))
"""Each sentence lacks one word more than the one before: two samples rarely have the same value."""

ROUNDING = 1e-9
"""Relative tolerance, for sums of the same counts in another order."""

RESAMPLES = 20
DRAWS = 4
"""Bootstrap scores that must be equal: a single pair may agree by chance."""


def check_constructor(factory: MetricFactory) -> None:
    """The constructor is typed, documented, and builds from a name alone."""
    constructors.check_constructor(factory)


def check_signed(factory: MetricFactory) -> None:
    """A score has a value, a name, the number of sentences, and a signature with the version; JSON can store it."""
    score = factory().score(ONE_WRONG, [REFERENCES])
    if not isinstance(score, Score):
        raise Nonconforming(
            f"that score gives a {type(score).__name__}",
            "a Score",
            "Return Score(value=..., signature=..., name=..., sentences=...).",
        )
    _expect_number(score, "a text with one wrong sentence")
    if score.sentences != len(REFERENCES):
        raise Nonconforming(
            f"sentences {score.sentences} of {len(REFERENCES)}",
            f"{len(REFERENCES)}",
            "Count all sentences scored, empty lines included.",
        )
    if not score.name or score.name not in score.signature or not re.search(VERSION, score.signature):
        raise Nonconforming(
            f"name {score.name!r} and signature {score.signature!r}",
            "a name, and a signature that holds it and `version:` with a version",
            "Include all that the value depends on: NAME|case:mixed|version:1.0.",
        )
    try:
        json.dumps(asdict(score), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise Nonconforming(
            f"a score that JSON cannot hold ({error}): {score.details}",
            "numbers, text, lists and mappings: scores are stored in a bundle's config.json",
            "Convert what a library returns, such as NumPy numbers.",
        ) from error


VERSION = r"\bversion:[^|\s]+"


def check_options_signed(factory: MetricFactory) -> None:
    """An option that changes the value changes the signature: scores with the same signature are comparable."""
    hypotheses = [line.lower().replace(",", " ,") for line in ONE_WRONG]
    plain = factory().score(hypotheses, [REFERENCES])
    for name, value in constructors.other_options(factory):
        try:
            other = _built(factory, **{name: value}).score(hypotheses, [REFERENCES])
        except S2SError:
            continue  # an invalid value
        if other.signature == plain.signature and not _equal(other.value, plain.value):
            raise Nonconforming(
                f"that {name}={value!r} makes {plain.value:.4g} into {other.value:.4g} under the signature "
                f"{other.signature!r}",
                "another signature",
                f"Add {name} to the signature.",
            )


def check_direction(factory: MetricFactory) -> None:
    """The references score best, a text with one wrong sentence worse, and a text with only wrong ones worst."""
    metric = factory()
    if not isinstance(metric.higher_is_better, bool):
        raise Nonconforming(f"higher_is_better {metric.higher_is_better!r}", "True or False", "Set it.")
    values = [metric.score(text, [REFERENCES]).value for text in (REFERENCES, ONE_WRONG, ALL_WRONG)]
    for better, worse in zip(values, values[1:], strict=False):
        if not _is_better(metric, better, worse):
            raise Nonconforming(
                f"{values[0]:.6g} for the references themselves, {values[1]:.6g} with one of {len(REFERENCES)} "
                f"sentences wrong, {values[2]:.6g} with all wrong, and higher_is_better is {metric.higher_is_better}",
                f"each {'below' if metric.higher_is_better else 'above'} the one before",
                "higher_is_better decides which checkpoint is best: set it to False for an error rate.",
            )


def check_order(factory: MetricFactory) -> None:
    """The order of the sentences does not change the score of a text."""
    metric = factory()
    expected = metric.score(ONE_WRONG, [REFERENCES]).value
    for order in ((7, 6, 5, 4, 3, 2, 1, 0), (3, 7, 0, 5, 1, 6, 2, 4)):
        hypotheses, references = ([text[i] for i in order] for text in (ONE_WRONG, REFERENCES))
        found = metric.score(hypotheses, [references]).value
        if not _equal(found, expected):
            raise Nonconforming(
                f"{found:.9g} for the same sentences in the order {order}",
                f"{expected:.9g}",
                "Score each hypothesis against the reference at its place, and weigh all places alike.",
            )


def check_references(factory: MetricFactory) -> None:
    """A sentence may match any of several references, and the order of their sets does not matter."""
    metric = factory()
    wrong = metric.score(ONE_WRONG, [ALL_WRONG]).value
    first = metric.score(ONE_WRONG, [ALL_WRONG, REFERENCES]).value
    second = metric.score(ONE_WRONG, [REFERENCES, ALL_WRONG]).value
    if not _equal(first, second):
        raise Nonconforming(
            f"{first:.9g} and {second:.9g} for the same two sets of references, in both orders",
            "the same",
            "Use all sets.",
        )
    if not _is_better(metric, first, wrong):
        raise Nonconforming(
            f"{first:.6g} with a set of good references beside one of wrong ones, {wrong:.6g} without it",
            "a better value with it",
            "For each sentence, use the best-matching reference of all sets.",
        )


def check_empty_lines(factory: MetricFactory) -> None:
    """Lines without text are scored like others: no error, none left out, always a number."""
    metric = factory()
    empty = ("",) * len(REFERENCES)
    hard = [line for line in HARD_LINES.values() if len(line) < 1000]
    for what, hypotheses, references in (
        ("a hypothesis is empty", ("", *REFERENCES[1:]), REFERENCES),
        ("a hypothesis is a space", (" ", *REFERENCES[1:]), REFERENCES),
        ("a reference is empty", REFERENCES, ("", *REFERENCES[1:])),
        ("all hypotheses are empty", empty, REFERENCES),
        ("all references are empty", REFERENCES, empty),
        ("all are empty", empty, empty),
        ("lines hold unusual characters", hard, hard[::-1]),
    ):
        try:
            score = metric.score(hypotheses, [references])
        except Exception as error:
            raise Nonconforming(
                f"{type(error).__name__} where {what}: {error}",
                "a score: an untrained model may output nothing",
                "Look for divisions by a length or by a count of matches.",
            ) from error
        _expect_number(score, f"text where {what}")
        if score.sentences != len(hypotheses):
            raise Nonconforming(
                f"sentences {score.sentences} where {what}", f"{len(hypotheses)}", "Leave no line out."
            )
    best, missing = (metric.score(text, [REFERENCES]).value for text in (REFERENCES, ("", *REFERENCES[1:])))
    if not _is_better(metric, best, missing):
        raise Nonconforming(
            f"{missing:.6g} with one empty hypothesis, {best:.6g} without",
            "a worse value",
            "Score empty lines too: a model must not gain by empty outputs.",
        )


def check_sizes(factory: MetricFactory) -> None:
    """Texts of different lengths, or none, raise a DataError with the numbers."""
    metric = factory()
    for what, hypotheses, references, numbers in (
        ("7 hypotheses and 8 references", REFERENCES[:7], [REFERENCES], ("7", "8")),
        ("8 hypotheses and 7 references", REFERENCES, [REFERENCES[:7]], ("7", "8")),
        (
            "8 hypotheses and 6 references in the second set",
            REFERENCES,
            [REFERENCES, REFERENCES[:6]],
            ("6", "8"),
        ),
        ("no hypotheses", (), [()], ()),
        ("no set of references", REFERENCES, [], ()),
    ):
        try:
            value = metric.score(hypotheses, references).value
        except DataError as error:
            if all(number in str(error) for number in numbers):
                continue
            found = f"the message {str(error)!r} for {what}"
        except Exception as error:
            found = f"{type(error).__name__} for {what}: {error}"
        else:
            found = f"the value {value:.6g} for {what}"
        raise Nonconforming(
            found,
            f"a DataError{' with both numbers' if numbers else ''}",
            "Begin with s2s.evaluation.metric.check_sizes(hypotheses, references).",
        )


def check_one_sentence(factory: MetricFactory) -> None:
    """A text of one sentence has a score, in any language; the right sentence has the better one, and more gain."""
    metric = factory()
    for line in TEXT:
        _expect_number(metric.score([line], [[line]]), f"the text {shortened(line)}")
    for line, other in zip(ENGLISH, ALL_WRONG, strict=True):
        right, wrong = (metric.score([text], [[line]]) for text in (line, other))
        if right.sentences != 1 or not _is_better(metric, right.value, wrong.value):
            raise Nonconforming(
                f"{right.value:.6g} for {shortened(line)} against itself, {wrong.value:.6g} for another sentence, "
                f"and sentences {right.sentences}",
                "a better value for the right one, and sentences 1",
                "Treat one sentence as any other number of them.",
            )
        right_gain, wrong_gain = (metric.gain(text, line) for text in (line, other))
        if not right_gain > wrong_gain:
            raise Nonconforming(
                f"gain {right_gain:.6g} of {shortened(line)} against itself, {wrong_gain:.6g} of another sentence",
                "a higher gain of the right one, whatever higher_is_better is",
                "Leave out gain, which is then derived from score, or turn its sign.",
            )


def check_keeps_nothing(factory: MetricFactory) -> None:
    """The same texts have the same score, whatever was scored before, and are not modified."""
    metric = factory()
    expected = metric.score(ONE_WRONG, [REFERENCES])
    metric.score(ALL_WRONG[:3], [REFERENCES[:3]])
    hypotheses, references = list(ONE_WRONG), [list(REFERENCES)]
    again = metric.score(hypotheses, references)
    if (hypotheses, references) != (list(ONE_WRONG), [list(REFERENCES)]):
        raise Nonconforming("that score changes the lists that it is given", "no change", "Copy them first.")
    for what, found in (("again", again), ("by another instance", factory().score(ONE_WRONG, [REFERENCES]))):
        if found != expected:
            raise Nonconforming(
                f"{found} for the same text {what}",
                f"{expected}",
                "Keep nothing of a text on self; seed all sampling, and add the seed to the signature.",
            )


def check_intervals(factory: MetricFactory) -> None:
    """With the option `resamples`, a bootstrap adds an interval to the same value, is repeatable, and is signed."""
    plain = factory().score(SHORTENED, [REFERENCES])
    if "resamples" not in options(part_of(factory)):
        if plain.confidence is not None:
            _expect_interval(plain)
        return
    score, *others = (
        _built(factory, resamples=RESAMPLES).score(SHORTENED, [REFERENCES]) for _ in range(DRAWS)
    )
    _expect_interval(score)
    if not _equal(score.value, plain.value):
        raise Nonconforming(
            f"{score.value:.9g} with {RESAMPLES} resamples",
            f"{plain.value:.9g}, as without",
            "Return the value of the whole text, not the mean of the samples.",
        )
    for other in others:
        if score.confidence != other.confidence:
            raise Nonconforming(
                f"half widths {score.confidence} and {other.confidence} of the same text's interval",
                "the same each time",
                "Sample with a fixed seed, and add it to the signature.",
            )
    if score.signature == plain.signature:
        raise Nonconforming(
            f"the signature {score.signature!r} with resamples and without",
            "two",
            "Add the number of resamples and the seed to the signature.",
        )


METRIC_CHECKS = tuple(
    Check("metric", run)
    for run in (
        check_constructor,
        check_signed,
        check_options_signed,
        check_direction,
        check_order,
        check_references,
        check_empty_lines,
        check_sizes,
        check_one_sentence,
        check_keeps_nothing,
        check_intervals,
    )
)
"""All of them, in the order in which they are run."""


def _built(factory: MetricFactory, **given: Any) -> Metric:
    return functools.partial(factory, **given)()


def _is_better(metric: Metric, one: float, other: float) -> bool:
    if _equal(one, other):
        return False
    return one > other if metric.higher_is_better else one < other


def _equal(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=ROUNDING, abs_tol=ROUNDING)


def _expect_number(score: Score, what: str) -> None:
    if not isinstance(score.value, float) or not math.isfinite(score.value):
        raise Nonconforming(
            f"value {score.value!r} ({type(score.value).__name__}) for {what}",
            "a finite float",
            "Define the value where there is nothing to divide by, and convert with float().",
        )


def _expect_interval(score: Score) -> None:
    half = score.confidence
    if not isinstance(half, float) or not math.isfinite(half) or half <= 0:
        raise Nonconforming(
            f"confidence {half!r} for a text that lacks words in most sentences",
            "half the width of a 95 % interval, a float above 0",
            "Resample the sentences of the text, with replacement.",
        )
