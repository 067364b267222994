"""The kit of metrics against metrics that are wrong, each in one way: the right check must say so."""

import random
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from s2s.errors import DataError
from s2s.evaluation.metric import Metric, Score, check_sizes
from s2s.testing import KITS, check_metric


class Sound(Metric):
    """How many words a sentence shares with its reference: the mean of F1 over sentences, 0 to 100.

    Args:
        lowercase: compare without case.
        resamples: of a bootstrap over sentences; 0 for none.
    """

    def __init__(self, lowercase: bool = False, resamples: int = 0) -> None:
        self.lowercase = lowercase
        self.resamples = resamples

    def score(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        check_sizes(hypotheses, references)
        shares = [
            self.best([self.share(hypothesis, reference) for reference in of_sentence])
            for hypothesis, *of_sentence in zip(hypotheses, *references, strict=True)
        ]
        confidence = None
        if self.resamples:
            chance = self.generator()
            means = [self.mean(chance.choices(shares, k=len(shares))) for _ in range(self.resamples)]
            confidence = 1.96 * statistics.pstdev(means)
        return Score(self.mean(shares), self.signature(), "F1", len(shares), confidence)

    def share(self, hypothesis: str, reference: str) -> float:
        found, wanted = self.words(hypothesis), self.words(reference)
        total = found.total() + wanted.total()
        return 200 * (found & wanted).total() / total if total else 100.0

    def words(self, text: str) -> Counter[str]:
        return Counter((text.lower() if self.lowercase else text).split())

    def best(self, shares: list[float]) -> float:
        return max(shares)

    def mean(self, shares: list[float]) -> float:
        return sum(shares) / len(shares)

    def generator(self) -> random.Random:
        return random.Random(12)

    def signature(self) -> str:
        case = "lc" if self.lowercase else "mixed"
        bootstrap = f"|bs:{self.resamples}|seed:12" if self.resamples else ""
        return f"F1|case:{case}{bootstrap}|version:1.0"


class TakesAnything(Sound):
    """No typo would be seen."""

    def __init__(self, **options: Any) -> None:
        super().__init__()


class GivesANumber(Sound):
    def score(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Any:
        return super().score(hypotheses, references).value


class GivesAFraction(Sound):
    def mean(self, shares: list[float]) -> Any:
        return Fraction(super().mean(shares))


class CountsWords(Sound):
    def score(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        words = sum(len(hypothesis.split()) for hypothesis in hypotheses)
        return replace(super().score(hypotheses, references), sentences=words)


class WithoutAVersion(Sound):
    def signature(self) -> str:
        return super().signature().replace("|version:1.0", "")


class DetailsAreObjects(Sound):
    def score(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        return replace(super().score(hypotheses, references), details={"words": {1, 2}})


class CaseIsNotSigned(Sound):
    def signature(self) -> str:
        return super().signature().replace("lc", "mixed")


class ErrorRateUnsaid(Sound):
    def share(self, hypothesis: str, reference: str) -> float:
        return 100 - super().share(hypothesis, reference)


class DirectionIsAWord(Sound):
    higher_is_better = "max"  # type: ignore[assignment]


class LastOnesWeighLess(Sound):
    def mean(self, shares: list[float]) -> float:
        return super().mean([share / (1 + i) for i, share in enumerate(shares)])


class FirstSetAlone(Sound):
    def best(self, shares: list[float]) -> float:
        return shares[0]


class WorstOfAllSets(Sound):
    def best(self, shares: list[float]) -> float:
        return min(shares)


class DividesByTheLength(Sound):
    def share(self, hypothesis: str, reference: str) -> float:
        return super().share(hypothesis, reference) + 0 / self.words(hypothesis).total()


class NotANumberWithoutWords(Sound):
    def share(self, hypothesis: str, reference: str) -> float:
        return super().share(hypothesis, reference) if reference.strip() else float("nan")


class LeavesEmptyLinesOut(Sound):
    def score(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        pairs = [pair for pair in zip(hypotheses, references[0], strict=True) if all(pair)]
        return super().score([h for h, _ in pairs] or [""], [[r for _, r in pairs] or [""]])


class SilencePays(Sound):
    def share(self, hypothesis: str, reference: str) -> float:
        return super().share(hypothesis, reference) if hypothesis.strip() else 100.0


class CutsToTheShorter(Sound):
    def score(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        shortest = min([len(hypotheses), *map(len, references)])
        return super().score(hypotheses[:shortest], [reference[:shortest] for reference in references])


class FailsByAccident(Sound):
    def score(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        return super().score([hypotheses[i] for i in range(len(references[0]))], references)


class SaysTooLittle(Sound):
    def score(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        try:
            return super().score(hypotheses, references)
        except DataError as error:
            raise DataError("bad input") from error


class NeedsSeveralSentences(Sound):
    def mean(self, shares: list[float]) -> float:
        return super().mean(shares) if len(shares) > 1 else 0.0


class GainOfErrors(ErrorRateUnsaid):
    """A low gain for the right one."""

    higher_is_better = False

    def best(self, shares: list[float]) -> float:
        return min(shares)

    def gain(self, output: str, reference: str) -> float:
        return self.score([output], [[reference]]).value


class AddsUp(Sound):
    def __init__(self, lowercase: bool = False, resamples: int = 0) -> None:
        super().__init__(lowercase, resamples)
        self.seen: list[float] = []

    def mean(self, shares: list[float]) -> float:
        self.seen += shares
        return super().mean(self.seen)


class DrawsASample(Sound):
    def mean(self, shares: list[float]) -> float:
        return super().mean(random.sample(shares, len(shares) // 2 + 1)) + random.random()


class EmptiesTheLists(Sound):
    def score(self, hypotheses: Any, references: Any) -> Score:
        score = super().score(hypotheses, references)
        if isinstance(hypotheses, list):
            hypotheses.clear()
        return score


class BootstrapWithoutASeed(Sound):
    def generator(self) -> random.Random:
        return random.Random()


class BootstrapIsNotSigned(Sound):
    def signature(self) -> str:
        return "F1|case:mixed|version:1.0"


class MeanOfTheSamples(Sound):
    def score(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        score = super().score(hypotheses, references)
        return replace(score, value=score.value - (score.confidence or 0) / 10)


class WithoutAnInterval(Sound):
    def score(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        return replace(super().score(hypotheses, references), confidence=None)


WRONG: list[tuple[type[Sound], str, str]] = [
    (TakesAnything, "constructor", r"\*\*options.*; expected named arguments only"),
    (GivesANumber, "signed", "score gives a float; expected a Score. Return Score"),
    (GivesAFraction, "signed", r"value Fraction.* \(Fraction\) for .*; expected a finite float"),
    (CountsWords, "signed", r"sentences \d\d of 8; expected 8"),
    (
        WithoutAVersion,
        "signed",
        r"signature 'F1\|case:mixed'; expected a name, and a signature that holds it and",
    ),
    (DetailsAreObjects, "signed", r"a score that JSON cannot hold \(.*set.*\).*; expected numbers, text"),
    (CaseIsNotSigned, "options_signed", r"lowercase=True makes .* under the signature .*; expected another"),
    (
        ErrorRateUnsaid,
        "direction",
        "0 for the references themselves, .* True; expected each below the one before",
    ),
    (DirectionIsAWord, "direction", "higher_is_better 'max'; expected True or False"),
    (LastOnesWeighLess, "order", r"for the same sentences in the order \(7, .*weigh all places alike"),
    (FirstSetAlone, "references", "for the same two sets of references, in both orders; expected the same"),
    (
        WorstOfAllSets,
        "references",
        "beside one of wrong ones, .* without it; expected a better value with it",
    ),
    (DividesByTheLength, "empty_lines", "ZeroDivisionError where a hypothesis is empty.*; expected a score"),
    (NotANumberWithoutWords, "empty_lines", "value nan .* a reference is empty; expected a finite float"),
    (
        LeavesEmptyLinesOut,
        "empty_lines",
        "sentences 7 where a hypothesis is empty; expected 8. Leave no line out",
    ),
    (SilencePays, "empty_lines", "100 with one empty hypothesis, 100 without; expected a worse value"),
    (
        CutsToTheShorter,
        "sizes",
        "the value 100 for 7 hypotheses and 8 references; expected a DataError with both",
    ),
    (FailsByAccident, "sizes", "IndexError for 7 hypotheses and 8 references.*Begin with .*check_sizes"),
    (SaysTooLittle, "sizes", "the message 'bad input' for 7 hypotheses and 8 references; expected"),
    (
        NeedsSeveralSentences,
        "one_sentence",
        "0 for .* against itself, 0 for another .*Treat one sentence as any",
    ),
    (
        GainOfErrors,
        "one_sentence",
        "gain 0 of .* against itself, .* of another .*Leave out gain",
    ),
    (AddsUp, "keeps_nothing", "for the same text again; expected F1 .*Keep nothing of a text on self"),
    (DrawsASample, "keeps_nothing", "for the same text again; expected F1"),
    (EmptiesTheLists, "keeps_nothing", "score changes the lists that it is given; expected no change"),
    (BootstrapWithoutASeed, "intervals", "half widths .* and .* interval; expected the same each time"),
    (BootstrapIsNotSigned, "intervals", "the signature .* with resamples and without; expected two"),
    (MeanOfTheSamples, "intervals", r"with 20 resamples; expected [\d.]+, as without"),
    (WithoutAnInterval, "intervals", "confidence None .*; expected half the width"),
]


class ErrorRate(ErrorRateUnsaid):
    """As `Sound`, but it counts what is wrong, and says so.

    Args:
        lowercase: compare without case.
    """

    higher_is_better = False

    def __init__(self, lowercase: bool = False) -> None:
        super().__init__(lowercase)

    def best(self, shares: list[float]) -> float:
        return min(shares)


@pytest.mark.parametrize("metric", [Sound, ErrorRate])
def test_a_sound_metric_passes(metric: type[Sound]) -> None:
    check_metric(metric)


@pytest.mark.parametrize(
    ("metric", "check", "message"), WRONG, ids=lambda value: getattr(value, "__name__", None)
)
def test_a_wrong_metric_fails(metric: type[Sound], check: str, message: str) -> None:
    (run,) = (one for one in KITS["metric"] if one.name == check)
    with pytest.raises(AssertionError, match=f"(?s){message}"):
        run(metric)


def test_every_check_has_a_metric_that_it_catches() -> None:
    assert {check for _, check, _ in WRONG} == {check.name for check in KITS["metric"]}
