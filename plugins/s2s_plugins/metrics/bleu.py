"""BLEU (Papineni et al. 2002) as sacreBLEU computes it (Post 2018)."""

from collections.abc import Sequence

from sacrebleu.metrics.bleu import BLEU as SacreBLEU

from s2s.errors import ConfigError
from s2s.evaluation.metric import Metric, Score
from s2s.evaluation.significance import RESAMPLES, Compared
from s2s_plugins.metrics.sacre import compare, sign


class BLEU(Metric):
    """BLEU of detokenized text, 0 to 100.

    Args:
        lowercase: compare without case.
        tokenize: sacreBLEU's tokenization; 13a is what published scores use, for Chinese zh, for Japanese
            ja-mecab.
        resamples: bootstrap resamples for a 95 % interval; 0 for none.
    """

    def __init__(self, lowercase: bool = False, tokenize: str = "13a", resamples: int = 0) -> None:
        if tokenize not in SacreBLEU.TOKENIZERS:
            known = ", ".join(sorted(SacreBLEU.TOKENIZERS))
            raise ConfigError(f"unknown tokenization {tokenize!r} of BLEU; sacreBLEU knows: {known}")
        self.lowercase = lowercase
        self.tokenize = tokenize
        self.resamples = resamples

    def score(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        """See `Metric.score`."""
        return sign(
            self._sacre(), hypotheses, references, self.resamples, ["precisions", "bp", "sys_len", "ref_len"]
        )

    def compare(
        self,
        systems: Sequence[Sequence[str]],
        references: Sequence[Sequence[str]],
        *,
        resamples: int = RESAMPLES,
    ) -> list[Compared]:
        """See `Metric.compare`; sacreBLEU's own."""
        return compare(self._sacre(), systems, references, resamples)

    def _sacre(self) -> SacreBLEU:
        # force: no complaint about periods that look tokenized; output of a bad model may well do.
        return SacreBLEU(lowercase=self.lowercase, tokenize=self.tokenize, force=True)
