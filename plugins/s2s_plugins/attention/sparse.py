"""Attentions whose weights may be exactly zero, by the optional package entmax."""

from collections.abc import Callable

from torch import Tensor

from s2s.errors import ConfigError
from s2s.nn import Attention, ScoredAttention, ScoredMemory
from s2s_plugins.attention.luong import LuongGeneral

try:
    import entmax
except ImportError as missing:
    raise ConfigError(
        "Sparsemax and Entmax15 need the package entmax: pip install 's2s[entmax]'; or choose another attention"
    ) from missing


class SparseAttention(ScoredAttention):
    """The scores of another attention, with a mapping to weights that leaves positions out.

    Args:
        query_size: width of the query.
        memory_size: width of the encoder outputs.
        attention: whose scores are taken.

    Raises:
        ConfigError: that attention is more than a softmax of scores.
    """

    def __init__(
        self,
        query_size: int,
        memory_size: int,
        *,
        attention: Callable[[int, int], Attention] = LuongGeneral,
    ) -> None:
        super().__init__(query_size, memory_size)
        scored = attention(query_size, memory_size)
        if not (isinstance(scored, ScoredAttention) and takes_softmax(scored)):
            raise ConfigError(
                f"{type(self).__name__} needs an attention that is a softmax of one score per position, which "
                f"{type(scored).__name__} is not; choose LuongGeneral, Bahdanau or ScaledDot"
            )
        self.scored = scored

    def keys(self, outputs: Tensor) -> Tensor:
        """Those of the other attention."""
        return self.scored.keys(outputs)

    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        """That of the other attention."""
        return self.scored.score(query, keys)

    def masked_scores(self, queries: Tensor, memory: ScoredMemory) -> Tensor:
        """Those of the other attention."""
        return self.scored.masked_scores(queries, memory)


class Sparsemax(SparseAttention):
    """Sparsemax (Martins & Astudillo 2016, eq. 2): the weights are the distribution that is nearest to the scores.

    Args:
        query_size: width of the query.
        memory_size: width of the encoder outputs.
        attention: whose scores are taken.
    """

    def normalize(self, scores: Tensor) -> Tensor:
        """``weight_j = max(score_j - tau, 0)``, tau such that they sum to one (eq. 3)."""
        weights: Tensor = entmax.sparsemax(scores, dim=-1)
        return weights


class Entmax15(SparseAttention):
    """1.5-entmax, half way from softmax to sparsemax (Peters et al. 2019, alpha = 1.5).

    Args:
        query_size: width of the query.
        memory_size: width of the encoder outputs.
        attention: whose scores are taken.
    """

    def normalize(self, scores: Tensor) -> Tensor:
        """``weight_j = max(score_j / 2 - tau, 0)^2``, tau such that they sum to one."""
        weights: Tensor = entmax.entmax15(scores, dim=-1)
        return weights


def takes_softmax(attention: ScoredAttention) -> bool:
    """Whether an attention is a softmax of scores and no more, so that another mapping can take its place."""
    return all(
        getattr(type(attention), method) is getattr(ScoredAttention, method)
        for method in ("memorize", "normalize", "attend")
    )
