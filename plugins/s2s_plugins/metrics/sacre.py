"""From sacreBLEU's results to signed scores."""

from collections.abc import Sequence
from typing import Any

from s2s.evaluation.metric import Score, check_sizes


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
        resamples: bootstrap resamples for a 95 % interval; 0 for none. The seed stands in the signature.
        details: attributes of sacreBLEU's result to hand on.

    Raises:
        DataError: there is nothing to score, or the numbers of sentences differ.
    """
    check_sizes(hypotheses, references)
    sets = [list(reference) for reference in references]
    result = metric.corpus_score(list(hypotheses), sets, n_bootstrap=max(resamples, 1))
    return Score(
        value=float(result.score),
        signature=f"{result.name}|{metric.get_signature()}",
        name=result.name,
        sentences=len(hypotheses),
        confidence=float(result._ci) if resamples > 1 else None,
        details={name: getattr(result, name) for name in details},
    )
