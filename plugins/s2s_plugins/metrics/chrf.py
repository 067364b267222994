"""Character n-gram F-score (Popović 2015) as sacreBLEU computes it."""

from collections.abc import Sequence

from sacrebleu.metrics.chrf import CHRF as SacreCHRF

from s2s.evaluation.metric import Metric, Score
from s2s.evaluation.significance import RESAMPLES, Compared
from s2s_plugins.metrics.sacre import compare, sign


class ChrF(Metric):
    """chrF, 0 to 100; needs no tokenization.

    Args:
        lowercase: compare without case.
        word_order: longest word n-gram; 0 is chrF, 2 is chrF++.
        resamples: bootstrap resamples for a 95 % interval; 0 for none.
    """

    def __init__(self, lowercase: bool = False, word_order: int = 0, resamples: int = 0) -> None:
        self.lowercase = lowercase
        self.word_order = word_order
        self.resamples = resamples

    def score(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        """See `Metric.score`."""
        return sign(self._sacre(), hypotheses, references, self.resamples, [])

    def compare(
        self,
        systems: Sequence[Sequence[str]],
        references: Sequence[Sequence[str]],
        *,
        resamples: int = RESAMPLES,
    ) -> list[Compared]:
        """See `Metric.compare`; sacreBLEU's own."""
        return compare(self._sacre(), systems, references, resamples)

    def _sacre(self) -> SacreCHRF:
        return SacreCHRF(lowercase=self.lowercase, word_order=self.word_order)
