"""BLEU (Papineni et al. 2002) as sacreBLEU computes it (Post 2018)."""

from sacrebleu.metrics.bleu import BLEU as SacreBLEU

from s2s.errors import ConfigError
from s2s_plugins.metrics.sacre import SacreMetric


class BLEU(SacreMetric):
    """BLEU of detokenized text, 0 to 100.

    Args:
        lowercase: compare without case.
        tokenize: sacreBLEU's tokenization; 13a is what published scores use, for Chinese zh, for Japanese
            ja-mecab.
        resamples: bootstrap resamples for a 95 % interval; 0 for none.
    """

    details = ["precisions", "bp", "sys_len", "ref_len"]

    def __init__(self, lowercase: bool = False, tokenize: str = "13a", resamples: int = 0) -> None:
        known = ", ".join(sorted(SacreBLEU.TOKENIZERS))
        if tokenize not in SacreBLEU.TOKENIZERS:
            raise ConfigError(f"unknown tokenization {tokenize!r} of BLEU; sacreBLEU knows: {known}")
        super().__init__(resamples)
        self.lowercase = lowercase
        self.tokenize = tokenize
        try:
            self.sacre()
        except (RuntimeError, OSError) as error:  # some need further packages, some a model from the network
            told = " ".join(str(error).split())
            raise ConfigError(
                f"tokenization {tokenize!r} of BLEU cannot be had here: {told}; there are: {known}"
            ) from error

    def sacre(self) -> SacreBLEU:
        """See `SacreMetric.sacre`."""
        return self._sacre(effective_order=False)

    def sacre_of_sentences(self) -> SacreBLEU:
        """Without the n-grams that are longer than the sentence: otherwise a short one scores 0, right or wrong."""
        return self._sacre(effective_order=True)

    def _sacre(self, *, effective_order: bool) -> SacreBLEU:
        # force: no warning about periods that look tokenized, as they may well do in the output of a bad model.
        return SacreBLEU(
            lowercase=self.lowercase, tokenize=self.tokenize, force=True, effective_order=effective_order
        )
