"""Sequence encoders: from vectors to one output per position, and a state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from s2s.nn.cell import RecurrentCell, State, side_by_side
from s2s.nn.unroll import Segments, unroll


class Encoded(NamedTuple):
    """A batch of encoded sentences.

    Attributes:
        outputs: [batch, source, E], zero at padding.
        lengths: real positions, [batch].
        state: the encoder's final state; leaves [batch, ...].
    """

    outputs: Tensor
    lengths: Tensor
    state: State


class SequenceEncoder(nn.Module, ABC):
    """Encodes whole sequences, in one direction or both.

    Args:
        input_size: width of the vectors.
        output_size: width E of the outputs.
        feature_size: width F of `features`.

    Attributes:
        longest: maximum number of positions; translation truncates longer sources; None: no limit.
    """

    longest: int | None = None

    def __init__(self, input_size: int, *, output_size: int, feature_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.output_size = output_size
        self.feature_size = feature_size

    @abstractmethod
    def forward(self, x: Tensor, lengths: Tensor) -> Encoded:
        """Encode [batch, source, input] with `lengths` [batch]."""

    def features(self, state: State) -> Tensor:
        """The whole state as one vector per row, [batch, F], for a bridge."""
        return side_by_side(state)


class Unidirectional(SequenceEncoder):
    """One cell, from left to right.

    Args:
        cell: reads from left to right.
        segments: see `unroll`.
    """

    def __init__(self, cell: RecurrentCell, *, segments: Segments | None = None) -> None:
        super().__init__(cell.input_size, output_size=cell.output_size, feature_size=cell.feature_size)
        self.cell = cell
        self.segments = segments

    def forward(self, x: Tensor, lengths: Tensor) -> Encoded:
        """Outputs [batch, source, output]; the state is the cell's last."""
        outputs, state = unroll(self.cell, x, lengths, segments=self.segments)
        return Encoded(outputs, lengths, state)

    def features(self, state: State) -> Tensor:
        """The cell's features."""
        return self.cell.features(state)


class Bidirectional(SequenceEncoder):
    """Two cells, one per direction, with concatenated outputs (Schuster & Paliwal 1997).

    Args:
        forward_cell: reads from left to right.
        backward_cell: reads from right to left.
        segments: see `unroll`; each direction has its own segments.
    """

    def __init__(
        self, forward_cell: RecurrentCell, backward_cell: RecurrentCell, *, segments: Segments | None = None
    ) -> None:
        super().__init__(
            forward_cell.input_size,
            output_size=forward_cell.output_size + backward_cell.output_size,
            feature_size=forward_cell.feature_size + backward_cell.feature_size,
        )
        self.forward_cell = forward_cell
        self.backward_cell = backward_cell
        self.segments = segments

    def forward(self, x: Tensor, lengths: Tensor) -> Encoded:
        """Outputs [batch, source, both outputs]; the state holds the last state of each direction."""
        rightward, forward_state = unroll(self.forward_cell, x, lengths, segments=self.segments)
        leftward, backward_state = unroll(
            self.backward_cell, x, lengths, reverse=True, segments=self.segments
        )
        return Encoded(torch.cat([rightward, leftward], dim=-1), lengths, (forward_state, backward_state))

    def features(self, state: State) -> Tensor:
        """The concatenated features of both cells."""
        parts = [self.forward_cell.features(state[0]), self.backward_cell.features(state[1])]
        return torch.cat(parts, dim=-1)
