"""Translation edit rate (Snover et al. 2006) as sacreBLEU computes it."""

from collections.abc import Sequence

from sacrebleu.metrics.ter import TER as SacreTER

from s2s.evaluation.metric import Metric, Score
from s2s.evaluation.significance import RESAMPLES, Compared
from s2s_plugins.metrics.sacre import compare, sign


class TER(Metric):
    """Edits and shifts that turn the output into the reference, for 100 words of the reference; lower is
    better.

    Args:
        lowercase: compare without case.
        resamples: bootstrap resamples for a 95 % interval; 0 for none.
    """

    higher_is_better = False

    def __init__(self, lowercase: bool = False, resamples: int = 0) -> None:
        self.lowercase = lowercase
        self.resamples = resamples

    def score(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        """See `Metric.score`."""
        return sign(self._sacre(), hypotheses, references, self.resamples, ["num_edits", "ref_length"])

    def compare(
        self,
        systems: Sequence[Sequence[str]],
        references: Sequence[Sequence[str]],
        *,
        resamples: int = RESAMPLES,
    ) -> list[Compared]:
        """See `Metric.compare`; sacreBLEU's own."""
        return compare(self._sacre(), systems, references, resamples)

    def _sacre(self) -> SacreTER:
        return SacreTER(case_sensitive=not self.lowercase)
