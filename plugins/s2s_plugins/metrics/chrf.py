"""Character n-gram F-score (Popović 2015) as sacreBLEU computes it."""

from sacrebleu.metrics.chrf import CHRF as SacreCHRF

from s2s_plugins.metrics.sacre import SacreMetric


class ChrF(SacreMetric):
    """chrF, 0 to 100; needs no tokenization.

    Args:
        lowercase: compare without case.
        word_order: longest word n-gram; 0 is chrF, 2 is chrF++.
        resamples: bootstrap resamples for a 95 % interval; 0 for none.
    """

    def __init__(self, lowercase: bool = False, word_order: int = 0, resamples: int = 0) -> None:
        super().__init__(resamples)
        self.lowercase = lowercase
        self.word_order = word_order

    def sacre(self) -> SacreCHRF:
        """See `SacreMetric.sacre`."""
        return SacreCHRF(lowercase=self.lowercase, word_order=self.word_order)
