"""Attentions whose weights may be exactly zero, with the optional package entmax."""

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
    """The scores of another attention, mapped to sparse weights.

    Args:
        query_size: width of the query.
        memory_size: width of the encoder outputs.
        attention: the attention that computes the scores.

    Raises:
        ConfigError: the attention is not a plain softmax of scores.
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
        """The keys of the other attention."""
        return self.scored.keys(outputs)

    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        """The scores of the other attention."""
        return self.scored.score(query, keys)

    def masked_scores(self, queries: Tensor, memory: ScoredMemory) -> Tensor:
        """The masked scores of the other attention."""
        return self.scored.masked_scores(queries, memory)


class Sparsemax(SparseAttention):
    """Sparsemax (Martins & Astudillo 2016, eq. 2): the weights are the distribution nearest to the scores.

    Args:
        query_size: width of the query.
        memory_size: width of the encoder outputs.
        attention: the attention that computes the scores.
    """

    def normalize(self, scores: Tensor) -> Tensor:
        """``weight_j = max(score_j - tau, 0)``, with tau such that the weights sum to one (eq. 3)."""
        weights: Tensor = entmax.sparsemax(scores, dim=-1)
        return weights


class Entmax15(SparseAttention):
    """1.5-entmax, halfway between softmax and sparsemax (Peters et al. 2019, alpha = 1.5).

    Args:
        query_size: width of the query.
        memory_size: width of the encoder outputs.
        attention: the attention that computes the scores.
    """

    def normalize(self, scores: Tensor) -> Tensor:
        """``weight_j = max(score_j / 2 - tau, 0)^2``, with tau such that the weights sum to one."""
        weights: Tensor = entmax.entmax15(scores, dim=-1)
        return weights


def takes_softmax(attention: ScoredAttention) -> bool:
    """Whether an attention is a plain softmax of scores, so that another mapping can replace the softmax."""
    return all(
        getattr(type(attention), method) is getattr(ScoredAttention, method)
        for method in ("memorize", "normalize", "attend")
    )
