"""Attention by the angle between query and encoder output."""

import torch
from s2s.nn import ScoredAttention
from torch import Tensor, nn
from torch.nn import functional as F


class MyPart(ScoredAttention):
    """Addressing by content (Graves et al. 2014, Neural Turing Machines).

    ::

        score = sharpness * cosine(W query, output)
        weights = softmax(score) over the source

    Graves et al. predict the sharpness at every step; here it is one number, learnt.

    Args:
        query_size: width of the query, which is the decoder's state.
        memory_size: width of the encoder outputs.
        sharpness: its initial value; a cosine alone, at most 1, would leave the weights flat.
    """

    def __init__(self, query_size: int, memory_size: int, *, sharpness: float = 10.0) -> None:
        super().__init__(query_size, memory_size)
        self.query_layer = nn.Linear(query_size, memory_size, bias=False)
        self.sharpness = nn.Parameter(torch.tensor(sharpness))

    # Called once per sentence. The softmax, which leaves out padding, and the weighted mean
    # of the outputs are ScoredAttention's; another kind of attention derives from s2s.Attention.
    def keys(self, outputs: Tensor) -> Tensor:
        """The part of the score that depends on the source alone, [batch, source, memory]."""
        return F.normalize(outputs, dim=-1)

    # Called for all target positions at once in training, for one at a time in translation.
    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        """[batch, time, query] and [batch, source, memory] to [batch, time, source]."""
        directions = F.normalize(self.query_layer(query), dim=-1)
        return self.sharpness * (directions @ keys.transpose(1, 2))
