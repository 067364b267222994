"""Character n-gram F-score (Popović 2015) as sacreBLEU computes it."""

from collections.abc import Sequence

from sacrebleu.metrics.chrf import CHRF as SacreCHRF

from s2s.evaluation.metric import Metric, Score
from s2s_plugins.metrics.sacre import sign


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
        metric = SacreCHRF(lowercase=self.lowercase, word_order=self.word_order)
        return sign(metric, hypotheses, references, self.resamples, [])
