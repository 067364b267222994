"""An encoder that reads in both directions."""

from collections.abc import Callable

import torch
from s2s.nn import Encoded, RecurrentCell, SequenceEncoder, State, unroll
from s2s_plugins.cells.lstm import LSTM
from torch import Tensor


class MyPart(SequenceEncoder):
    """Two cells, one per direction (Schuster & Paliwal 1997), whose outputs are added.

    ::

        output_t = rightward_t + leftward_t

    So the outputs are half as wide as with concatenation.

    Args:
        input_size: width of the embedded tokens.
        cell: the recurrent cell.
        hidden_size: width of the cell's state.
    """

    # A part that holds another takes a factory, under a name that ends with its kind.
    def __init__(
        self,
        input_size: int,
        *,
        cell: Callable[[int, int], RecurrentCell] = LSTM,
        hidden_size: int = 512,
    ) -> None:
        rightward, leftward = (cell(input_size, hidden_size) for _ in range(2))
        super().__init__(
            input_size,
            output_size=rightward.output_size,
            feature_size=rightward.feature_size + leftward.feature_size,
        )
        self.rightward = rightward
        self.leftward = leftward

    # `unroll` runs any cell over time, and skips padding.
    def forward(self, x: Tensor, lengths: Tensor) -> Encoded:
        """Encode [batch, source, input] with `lengths` [batch]."""
        rightward, last = unroll(self.rightward, x, lengths)
        leftward, first = unroll(self.leftward, x, lengths, reverse=True)
        return Encoded(rightward + leftward, lengths, (last, first))

    # From these, the bridge builds the decoder's initial state.
    def features(self, state: State) -> Tensor:
        """The last states of both cells, concatenated, [batch, features]."""
        last, first = state
        parts = [self.rightward.features(last), self.leftward.features(first)]
        return torch.cat(parts, dim=-1)
