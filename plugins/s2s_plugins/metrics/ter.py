"""Translation edit rate (Snover et al. 2006) as sacreBLEU computes it."""

from sacrebleu.metrics.ter import TER as SacreTER

from s2s_plugins.metrics.sacre import SacreMetric


class TER(SacreMetric):
    """Edits and shifts that turn the output into the reference, per 100 words of the reference; lower is
    better.

    Args:
        lowercase: compare without case.
        resamples: bootstrap resamples for a 95 % interval; 0 for none.
    """

    higher_is_better = False

    details = ["num_edits", "ref_length"]

    def __init__(self, lowercase: bool = False, resamples: int = 0) -> None:
        super().__init__(resamples)
        self.lowercase = lowercase

    def sacre(self) -> SacreTER:
        """See `SacreMetric.sacre`."""
        return SacreTER(case_sensitive=not self.lowercase)
