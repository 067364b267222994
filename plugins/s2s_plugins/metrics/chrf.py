"""Character n-gram F-score (Popović 2015) as sacreBLEU computes it."""

from sacrebleu.metrics.chrf import CHRF as SacreCHRF

from s2s.errors import ConfigError
from s2s_plugins.metrics.sacre import SacreMetric

MOST_WORDS = 100
"""Limit of word n-grams: no two texts share so many words in a row, and memory grows with it."""


class ChrF(SacreMetric):
    """chrF, 0 to 100; needs no tokenization.

    Args:
        lowercase: compare without case.
        word_order: longest word n-gram; 0 is chrF, 2 is chrF++.
        resamples: bootstrap resamples for a 95 % interval; 0 for none.
    """

    def __init__(self, lowercase: bool = False, word_order: int = 0, resamples: int = 0) -> None:
        if not 0 <= word_order <= MOST_WORDS:
            raise ConfigError(
                f"word_order of ChrF is {word_order}; it must be 0 for chrF, 2 for chrF++, and at most {MOST_WORDS}"
            )
        super().__init__(resamples)
        self.lowercase = lowercase
        self.word_order = word_order

    def sacre(self) -> SacreCHRF:
        """See `SacreMetric.sacre`."""
        return SacreCHRF(lowercase=self.lowercase, word_order=self.word_order)
