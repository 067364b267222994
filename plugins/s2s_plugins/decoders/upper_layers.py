"""The upper layers of a decoder, whose outputs are not fed back."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from s2s.nn import RecurrentCell, SequenceDropout, State, advance, unroll


class UpperLayers(nn.Module):
    """Cells on top of a decoder's first layer; each reads the output of the one below, and the context if there is any.

    A sequence is processed layer by layer, so that each cell can use its `fused` implementation.

    Args:
        below_size: width of the first layer's outputs.
        context_size: width of the context that each layer reads; 0: no context.
        cell: the recurrent cell.
        hidden_size: width of the cells' state.
        layers: number of layers.
        residual_from: lowest layer, from 0, whose input (without the context) is added to its output; None: no layer.
        dropout: dropout on what each layer reads from below.
        variational: one dropout mask per sentence instead of one per position (Gal & Ghahramani 2016).
    """

    def __init__(
        self,
        below_size: int,
        context_size: int,
        *,
        cell: Callable[[int, int], RecurrentCell],
        hidden_size: int,
        layers: int,
        residual_from: int | None,
        dropout: float,
        variational: bool,
    ) -> None:
        super().__init__()
        cells: list[RecurrentCell] = []
        width = below_size
        for _ in range(layers):
            cells.append(cell(width + context_size, hidden_size))
            width = cells[-1].output_size
        self.cells = nn.ModuleList(cells)
        self.below_size = below_size
        self.context_size = context_size
        self.output_size = width
        self.residual_from = layers if residual_from is None else residual_from
        self.dropout = SequenceDropout(dropout, variational=variational)

    @property
    def layers(self) -> list[RecurrentCell]:
        """The cells, from the lowest to the highest."""
        return [cell for cell in self.cells if isinstance(cell, RecurrentCell)]

    def forward(
        self, x: Tensor, context: Tensor | None, lengths: Tensor, states: State, drawn: Any
    ) -> tuple[Tensor, State]:
        """All positions: outputs [batch, target, output] and the states after each row's last real position.

        Args:
            x: outputs of the first layer, [batch, target, below].
            context: [batch, target, context]; None where none is read.
            lengths: real positions, [batch].
            states: one per layer.
            drawn: as returned by `draw`.
        """

        def run(cell: RecurrentCell, x: Tensor, state: State, noise: Any) -> tuple[Tensor, State]:
            return unroll(cell, x, lengths, state, noise=noise)

        return self._climb(run, x, context, states, drawn)

    def step(self, x: Tensor, context: Tensor | None, states: State, drawn: Any) -> tuple[Tensor, State]:
        """One position: [rows, output] and the next states; arguments as for `forward`, without the time axis."""

        def run(cell: RecurrentCell, x: Tensor, state: State, noise: Any) -> tuple[Tensor, State]:
            return advance(cell, cell.project(x), state, noise)

        return self._climb(run, x, context, states, drawn)

    def _climb(
        self,
        run: Callable[[RecurrentCell, Tensor, State, Any], tuple[Tensor, State]],
        x: Tensor,
        context: Tensor | None,
        states: State,
        drawn: Any,
    ) -> tuple[Tensor, State]:
        following: list[State] = []
        for i, (cell, state, (noise, mask)) in enumerate(zip(self.layers, states, drawn, strict=True)):
            below = x
            x = self.dropout(below, mask)
            x, last = run(cell, x if context is None else torch.cat([x, context], dim=-1), state, noise)
            following.append(last)
            if i >= self.residual_from and x.size(-1) == below.size(-1):
                x = x + below
        return x, tuple(following)

    def draw(self, batch_size: int, *, like: Tensor) -> Any:
        """For each layer, the cell's noise and the dropout mask on what it reads from below; None: no dropout."""
        widths = [self.below_size, *(cell.output_size for cell in self.layers)]
        return tuple(
            (cell.noise(batch_size, like=like), self.dropout.draw(batch_size, width, like=like))
            for cell, width in zip(self.layers, widths, strict=False)
        )

    @property
    def feature_size(self) -> int:
        """Sum over the layers."""
        return sum(cell.feature_size for cell in self.layers)

    def state_from(self, features: Tensor) -> State:
        """Each layer builds its state from its own part of [batch, features]."""
        parts = features.split([cell.feature_size for cell in self.layers], dim=-1)
        return tuple(cell.state_from(part) for cell, part in zip(self.layers, parts, strict=True))
