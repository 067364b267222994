"""Sequence encoders: from vectors to one output per position, and a state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from s2s.errors import PluginError
from s2s.nn.at_once import at_once, in_turn
from s2s.nn.cell import RecurrentCell, State, side_by_side
from s2s.nn.unroll import Segments, takes_steps_if_packed, unroll, unroll_folded

LARGE = 2**20
"""Numbers in a cell from which both directions are read at once where a thread is idle. One sentence of 14 tokens on an
Intel Xeon: an LSTM of 512 units per direction 9.7 -> 6.9 ms, of 384 units (1.2 million numbers) 8.5 -> 6.8; but of 256
units 4.2 -> 5.6, as most of a small step is Python, which runs in one thread at a time."""


_Reading = Callable[[], tuple[Tensor, State]]


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

    def fold_tokens(self, vectors: Tensor) -> State:
        """The part of `forward` that depends on each token alone, precomputed for the whole vocabulary; None: nothing.

        Args:
            vectors: embedded tokens, [..., input].

        Returns:
            Structured like a state, leaves [..., P].
        """
        return None

    def forward_folded(self, tokens: Tensor, lengths: Tensor, folded: State) -> Encoded:
        """`forward` for tokens, given `fold_tokens` of the whole vocabulary; only called without gradients.

        Args:
            tokens: ids, padded with any, [batch, source].
            lengths: as for `forward`.
            folded: leaves [vocabulary, P].
        """
        raise PluginError(f"{type(self).__name__} has fold_tokens, but no forward_folded")


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

    def fold_tokens(self, vectors: Tensor) -> State:
        """The cell's projection."""
        return _projection(self.cell, vectors)

    def forward_folded(self, tokens: Tensor, lengths: Tensor, folded: State) -> Encoded:
        """`forward` from the cell's projections."""
        outputs, state = unroll_folded(self.cell, tokens, lengths, folded)
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
        cells = (forward_cell, backward_cell)
        self._large = all(sum(one.numel() for one in cell.parameters()) >= LARGE for cell in cells)

    def forward(self, x: Tensor, lengths: Tensor) -> Encoded:
        """Outputs [batch, source, both outputs]; the state holds the last state of each direction."""
        read = partial(unroll, x=x, lengths=lengths, segments=self.segments)
        return self._both(
            lengths, lambda: read(self.forward_cell), lambda: read(self.backward_cell, reverse=True)
        )

    def fold_tokens(self, vectors: Tensor) -> State:
        """The projections of both cells."""
        both = _projection(self.forward_cell, vectors), _projection(self.backward_cell, vectors)
        return None if any(one is None for one in both) else both

    def forward_folded(self, tokens: Tensor, lengths: Tensor, folded: State) -> Encoded:
        """`forward` from the projections of both cells."""
        read = partial(unroll_folded, tokens=tokens, lengths=lengths)
        return self._both(
            lengths,
            lambda: read(self.forward_cell, projections=folded[0]),
            lambda: read(self.backward_cell, projections=folded[1], reverse=True),
        )

    def _both(self, lengths: Tensor, rightward: _Reading, leftward: _Reading) -> Encoded:
        # At once, if it pays and a thread is idle.
        both = at_once if self._large else in_turn
        (outputs, state), (more_outputs, more_state) = both(rightward, leftward)
        return Encoded(torch.cat([outputs, more_outputs], dim=-1), lengths, (state, more_state))

    def features(self, state: State) -> Tensor:
        """The concatenated features of both cells."""
        parts = [self.forward_cell.features(state[0]), self.backward_cell.features(state[1])]
        return torch.cat(parts, dim=-1)


def _projection(cell: RecurrentCell, x: Tensor) -> Tensor | None:
    return cell.project(x) if takes_steps_if_packed(cell) else None
