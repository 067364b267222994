"""A head that generates words from the vocabulary or copies them from the source."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s.errors import ConfigError
from s2s.nn import Decoded, Head, HeadLoss, linear_cross_entropy, map_state, top
from s2s.padded import Padded
from s2s_plugins.heads.softmax import ROWS_AT_ONCE, SoftmaxHead


class PointerGenerator(Head):
    """Pointer-generator (See et al. 2017, eq. 8-9): a gate chooses between a softmax and attention's weights.

    ::

        p_gen = sigmoid(w_h context + w_s hidden + w_x input + b)                              eq. 8
        P(w) = p_gen softmax(W hidden + c)_w + (1 - p_gen) sum of weights_i where w_i = w      eq. 9

    Source words outside the vocabulary are copied as they are. The decoder must have attention; any decoder and any
    attention will do. The paper's two linear layers over state and context (eq. 4) are left to the decoder, whose
    `hidden` already depends on the context.

    Label smoothing applies to the softmax part only: the loss of a token is
    ``(1 - e) -log P(gold) + e / vocabulary * sum over w of -log(p_gen softmax_w)``.

    Args:
        hidden_size: width of the decoder's answer.
        context_size: width of the context.
        input_size: width of the embedded token.
        vocabulary_size: number of tokens.
        label_smoothing: share of the target spread evenly over the vocabulary (Szegedy et al. 2016).

    Raises:
        ConfigError: the decoder has no attention.
    """

    copies = True

    def __init__(
        self,
        hidden_size: int,
        context_size: int,
        input_size: int,
        vocabulary_size: int,
        *,
        label_smoothing: float = 0.0,
    ) -> None:
        if not context_size:
            raise ConfigError(
                "PointerGenerator copies by attention's weights, but the decoder has no attention; give it one, as "
                "--model.decoder.attention Bahdanau, or choose --model.head Softmax"
            )
        super().__init__(
            hidden_size, context_size, input_size, vocabulary_size, label_smoothing=label_smoothing
        )
        self.softmax = SoftmaxHead(hidden_size, context_size, input_size, vocabulary_size)
        self.context_gate = nn.Linear(context_size, 1)
        self.hidden_gate = nn.Linear(hidden_size, 1, bias=False)
        self.input_gate = nn.Linear(input_size, 1, bias=False)

    def tie(self, table: nn.Parameter) -> None:
        """Share the embedding table with the softmax."""
        self.softmax.tie(table)

    def gate(self, decoded: Decoded) -> Tensor:
        """The logit of p_gen, [..., 1] in float32 at least."""
        assert decoded.context is not None
        logit: Tensor = (
            self.context_gate(decoded.context)
            + self.hidden_gate(decoded.hidden)
            + self.input_gate(decoded.inputs)
        )
        return logit.to(torch.promote_types(logit.dtype, torch.float32))

    def log_probs(self, decoded: Decoded, source: Padded) -> Tensor:
        """[..., vocabulary + source] in float32 at least."""
        gate = self.gate(decoded)
        generated = self.softmax.log_probs(decoded, source) + F.logsigmoid(gate)
        wide = F.pad(generated, (0, source.ids.size(1)), value=-torch.inf)
        pointed = self._pointed(decoded, source)
        by_sentence = wide.view(*pointed.log_weights.shape[:2], -1)
        both = torch.logaddexp(
            by_sentence.gather(-1, pointed.tokens),
            pointed.log_weights + F.logsigmoid(-gate).view(*by_sentence.shape[:2], 1),
        )
        if both.requires_grad:  # one of the positions with the same token represents all of them
            both = torch.where(pointed.last, both, both.detach())
        return by_sentence.scatter(-1, pointed.tokens, both).view(wide.shape)

    def best(self, decoded: Decoded, source: Padded, k: int, never: Tensor) -> tuple[Tensor, Tensor]:
        """Mixes the two distributions only for the source's tokens; all others are ranked by the softmax's scores."""
        beams = decoded.hidden.size(0) // source.ids.size(0)
        step = max(1, ROWS_AT_ONCE // beams)
        found = []
        for first in range(0, source.ids.size(0), step):
            sentences = slice(first, first + step)
            rows = slice(first * beams, (first + step) * beams)
            some = map_state(lambda part, rows=rows: part[rows], decoded)
            found.append(self._best(some, Padded(*(part[sentences] for part in source)), k, never))
        values, tokens = zip(*found, strict=True)
        return torch.cat(values), torch.cat(tokens)

    def _best(self, decoded: Decoded, source: Padded, k: int, never: Tensor) -> tuple[Tensor, Tensor]:
        logits = F.linear(self.softmax.narrowed(decoded.hidden), self.softmax.weight, self.softmax.bias)
        scores = F.pad(logits.float(), (0, source.ids.size(1)), value=-torch.inf)
        normalizer, gate = (
            scores[:, : self.vocabulary_size].logsumexp(-1, keepdim=True),
            self.gate(decoded).float(),
        )
        pointed = self._pointed(decoded, source)
        by_sentence = scores.view(*pointed.log_weights.shape[:2], -1)
        both = torch.logaddexp(
            by_sentence.gather(-1, pointed.tokens),
            pointed.log_weights + (normalizer - gate).view(*by_sentence.shape[:2], 1),
        )
        by_sentence.scatter_(-1, pointed.tokens, both.float())
        values, tokens = top(scores.index_fill_(-1, never, -torch.inf), k)
        return values + (F.logsigmoid(gate) - normalizer), tokens

    def loss(self, decoded: Decoded, gold: Tensor, mask: Tensor, source: Padded) -> HeadLoss:
        """Of the copy distribution, only the weights at the gold token's positions are computed."""
        assert decoded.weights is not None
        elsewhere = (source.ids.unsqueeze(1) != gold.unsqueeze(2)) | ~mask.unsqueeze(2)
        copied = _log(decoded.weights.masked_fill(elsewhere, 0.0).sum(-1)[mask])
        real: Decoded = map_state(lambda part: part[mask], decoded._replace(weights=None))
        gate = self.gate(real).squeeze(-1)
        known = gold[mask]
        known = known.masked_fill(known >= self.vocabulary_size, -1)
        total, nll = linear_cross_entropy(
            self.softmax.narrowed(real.hidden),
            self.softmax.weight,
            self.softmax.bias,
            known,
            label_smoothing=self.label_smoothing,
            beside=copied - gate,
        )
        chosen = F.softplus(-gate).sum()  # -log p_gen of all tokens
        return HeadLoss(total + chosen, nll + chosen.detach(), mask.sum())

    def _pointed(self, decoded: Decoded, source: Padded) -> "_Pointed":
        assert decoded.weights is not None
        sentences, positions = source.ids.shape
        weights = decoded.weights.reshape(sentences, -1, positions)
        weights = weights.to(torch.promote_types(weights.dtype, torch.float32))
        place = torch.arange(positions, device=source.ids.device)
        # The table is written and read only at the source's tokens; which of several equal tokens wins does not matter.
        table = source.ids.new_empty(sentences, self.vocabulary_size + positions)
        chosen = table.scatter_(1, source.ids, place.expand_as(source.ids)).gather(1, source.ids)
        among = chosen.unsqueeze(1).expand_as(weights)
        sums = torch.zeros_like(weights).scatter_add(-1, among, weights).gather(-1, among)
        tokens = source.ids.unsqueeze(1).expand_as(weights)
        return _Pointed(tokens, _log(sums), (chosen == place).unsqueeze(1))


class _Pointed(NamedTuple):
    """The distribution over source tokens that attention gives.

    Attributes:
        tokens: the source's tokens, [sentences, rows per sentence, source].
        log_weights: for each position, the log of the summed weights of all positions with its token, same shape.
        last: whether this position represents all positions with its token, [sentences, 1, source].
    """

    tokens: Tensor
    log_weights: Tensor
    last: Tensor


def _log(weights: Tensor) -> Tensor:
    # Clamps 0 to the smallest normal number, whose logarithm has a gradient (0); infinity has none.
    return weights.clamp(min=torch.finfo(weights.dtype).tiny).log()
