"""The interface of metrics: outputs and references in, a score with a signature out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from s2s.errors import DataError
from s2s.evaluation.defaults import RESAMPLES
from s2s.evaluation.significance import Compared, paired_bootstrap


@dataclass(frozen=True)
class Score:
    """A score with a signature of everything that it depends on.

    Attributes:
        value: as it is usually printed; BLEU, chrF and TER from 0 to 100 (TER may exceed it).
        signature: metric, version, tokenization, case, seed: scores with the same signature are comparable.
        name: name of the metric, such as "BLEU" or "chrF2".
        sentences: how many sentences, or other units, were scored.
        confidence: half the width of the 95 % interval of a bootstrap over sentences; None if it was not
            requested.
        details: further numbers of the metric, such as n-gram precisions.
        unit: what was scored.
        decimals: with how many the value is printed.
    """

    value: float
    signature: str
    name: str
    sentences: int
    confidence: float | None = None
    details: dict[str, Any] = field(default_factory=dict)
    unit: str = "sentences"
    decimals: int = 2

    @property
    def figure(self) -> str:
        """Name and value, as a person should see them."""
        return f"{self.name} {self.value:.{self.decimals}f}"

    def __str__(self) -> str:
        interval = "" if self.confidence is None else f" ± {self.confidence:.2f}"
        return f"{self.figure}{interval} ({self.sentences} {self.unit}; {self.signature})"


class Metric(ABC):
    """Scores outputs against references.

    Attributes:
        higher_is_better: False for error rates; decides which checkpoint is best.
    """

    higher_is_better: bool = True

    @abstractmethod
    def score(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        """Score a whole set.

        Args:
            hypotheses: detokenized outputs, one for each sentence.
            references: one or more sets of references, each with one reference for each sentence, in order.

        Raises:
            DataError: there is nothing to score, or the numbers of sentences differ.
        """

    def gain(self, output: str, reference: str) -> float:
        """How good one output is if this is the reference: higher is better, whatever the metric's direction.

        Minimum Bayes risk calls it for each pair of samples. By default it is the score of that one sentence; a metric
        that needs smoothing for a single sentence, or knows a faster way, can override it.
        """
        value = self.score([output], [[reference]]).value
        return value if self.higher_is_better else -value

    def compare(
        self,
        systems: Sequence[Sequence[str]],
        references: Sequence[Sequence[str]],
        *,
        resamples: int = RESAMPLES,
    ) -> list[Compared]:
        """Whether systems differ from the first one by more than chance: a paired bootstrap (Koehn 2004).

        By default every sample is scored anew; a metric that keeps sums over sentences may know a faster way.

        Args:
            systems: the outputs of each, one for each sentence.
            references: as for `score`.
            resamples: how many samples are drawn.

        Raises:
            DataError: there is nothing to score, or the numbers of sentences differ.
        """
        for hypotheses in systems:
            check_sizes(hypotheses, references)

        def scores(chosen: Sequence[int]) -> list[float]:
            some = [[reference[index] for index in chosen] for reference in references]
            return [self.score([system[index] for index in chosen], some).value for system in systems]

        signature = self.score(systems[0], references).signature
        return paired_bootstrap(scores, len(systems[0]), signature, resamples)


def check_sizes(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    """Check the input of a metric.

    Raises:
        DataError: there is nothing to score, or the numbers of sentences differ.
    """
    if not hypotheses:
        raise DataError("there are no hypotheses to score")
    if not references:
        raise DataError("there are no references; give at least one set, as a list of lists of sentences")
    for number, reference in enumerate(references, start=1):
        if isinstance(reference, str):
            raise DataError(
                "references must be sets of sentences, got a sentence; wrap a single set: [references]"
            )
        if len(reference) != len(hypotheses):
            raise DataError(
                f"{len(hypotheses)} hypotheses, but {len(reference)} references in set {number}; "
                "each hypothesis needs its reference at the same place"
            )
