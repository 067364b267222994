"""Scores with signatures, and comparisons, from sacreBLEU's results."""

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

from sacrebleu.significance import PairedTest

from s2s.evaluation.defaults import RESAMPLES
from s2s.evaluation.metric import Metric, Score, check_sizes
from s2s.evaluation.significance import Compared


class SacreMetric(Metric):
    """One of sacreBLEU's metrics.

    Args:
        resamples: bootstrap resamples for a 95 % interval; 0 for none.
    """

    details: ClassVar[list[str]] = []
    """Attributes of sacreBLEU's result that are copied to the score."""

    def __init__(self, resamples: int) -> None:
        self.resamples = resamples

    @abstractmethod
    def sacre(self) -> Any:
        """An instance of a class of `sacrebleu.metrics`, with this metric's options."""

    def score(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        """See `Metric.score`."""
        return sign(self.sacre(), hypotheses, references, self.resamples, self.details)

    def gain(self, output: str, reference: str) -> float:
        """See `Metric.gain`; sacreBLEU's score of a sentence."""
        value = float(self._of_sentences.sentence_score(output, [reference]).score)
        return value if self.higher_is_better else -value

    def sacre_of_sentences(self) -> Any:
        """As `sacre`, with the settings for scores of single sentences."""
        return self.sacre()

    @cached_property
    def _of_sentences(self) -> Any:
        return self.sacre_of_sentences()

    def compare(
        self,
        systems: Sequence[Sequence[str]],
        references: Sequence[Sequence[str]],
        *,
        resamples: int = RESAMPLES,
    ) -> list[Compared]:
        """See `Metric.compare`; uses sacreBLEU's own test."""
        return compare(self.sacre(), systems, references, resamples)


def sign(
    metric: Any,
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    resamples: int,
    details: list[str],
) -> Score:
    """Score with one of sacreBLEU's metrics.

    Args:
        metric: an instance of a class of `sacrebleu.metrics`.
        hypotheses: outputs.
        references: sets of references.
        resamples: bootstrap resamples for a 95 % interval; 0 for none. The seed is in the signature.
        details: attributes of sacreBLEU's result to copy to the score.

    Raises:
        DataError: there is nothing to score, or the numbers of sentences differ.
    """
    check_sizes(hypotheses, references)
    sets = [list(reference) for reference in references]
    result = metric.corpus_score(list(hypotheses), sets, n_bootstrap=max(resamples, 1))
    _forget_lines(metric)
    return Score(
        value=float(result.score),
        signature=f"{result.name}|{metric.get_signature()}",
        name=result.name,
        sentences=len(hypotheses),
        confidence=float(result._ci) if resamples > 1 else None,
        details={name: getattr(result, name) for name in details},
    )


def compare(
    metric: Any, systems: Sequence[Sequence[str]], references: Sequence[Sequence[str]], resamples: int
) -> list[Compared]:
    """Compare with one of sacreBLEU's metrics, by its paired bootstrap, which sums up statistics of each sentence.

    Args:
        metric: an instance of a class of `sacrebleu.metrics`.
        systems: outputs of each system; others are compared with the first.
        references: sets of references.
        resamples: how many samples are drawn. The seed is in the signature.

    Raises:
        DataError: there is nothing to score, or the numbers of sentences differ.
    """
    for hypotheses in systems:
        check_sizes(hypotheses, references)
    named: Any = [(str(number), list(hypotheses)) for number, hypotheses in enumerate(systems)]
    sets = [list(reference) for reference in references]
    test = PairedTest(named, {"metric": metric}, sets, test_type="bs", n_samples=resamples)
    signatures: Any
    scores: Any
    signatures, scores = test()
    _forget_lines(metric)
    ((name, results),) = ((name, found) for name, found in scores.items() if name != "System")
    (signature,) = signatures.values()
    return [
        Compared(
            float(result.score),
            float(result.ci),
            None if result.p_value is None else _p_value(result, results[0]),
            f"{name}|{signature}",
        )
        for result in results
    ]


def _forget_lines(metric: Any) -> None:
    """Clear the caches of sacreBLEU's tokenizers, which keep 65,536 tokenized lines and are never hit again.

    The cache key includes the tokenizer, and each metric has its own: a training that validates after every epoch would
    hold some 60 MiB of them.
    """
    tokenizer = getattr(metric, "tokenizer", None)
    for one in (tokenizer, *vars(tokenizer).values()) if tokenizer is not None else ():
        forget = getattr(getattr(type(one), "__call__", None), "cache_clear", None)  # noqa: B004
        if forget is not None:
            forget()


def _p_value(result: Any, baseline: Any) -> float:
    # For two identical systems sacreBLEU gives 1 / (resamples + 1), as for those that could not differ more.
    return 1.0 if result.score == baseline.score else float(result.p_value)
