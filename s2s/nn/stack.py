"""Stacked cells: a stack of cells is itself a cell."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from s2s.nn.cell import Noise, RecurrentCell, State, advance
from s2s.nn.dropout import check_rate, drop, dropout_mask
from s2s.nn.unroll import run


class Stack(RecurrentCell):
    """Layers of cells, each reading the outputs of the one below.

    A sequence is run layer by layer, so each layer can use `fused`; `step` runs all layers for one time step, for
    decoders with input feeding.

    Args:
        cells: from the lowest to the highest; each takes the outputs of the one before.
        residual: add a layer's input to its output, from the second layer on (Wu et al. 2016, section 3.1).
        dropout: dropout probability between layers.
        variational: one dropout mask per sequence instead of one per step (Gal & Ghahramani 2016).
    """

    def __init__(
        self,
        cells: Sequence[RecurrentCell],
        *,
        residual: bool = False,
        dropout: float = 0.0,
        variational: bool = False,
    ) -> None:
        super().__init__(cells[0].input_size, cells[-1].hidden_size, output_size=cells[-1].output_size)
        self.cells = nn.ModuleList(cells)
        self.residual = residual
        self.dropout = check_rate(dropout)
        self.variational = variational

    @property
    def layers(self) -> list[RecurrentCell]:
        """The cells, from the lowest to the highest."""
        return [cell for cell in self.cells if isinstance(cell, RecurrentCell)]

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Widths of the leaves, layer by layer."""
        return tuple(size for cell in self.layers for size in cell.state_sizes)

    def initial_state(self, batch_size: int, *, like: Tensor) -> State:
        """One state per layer."""
        return tuple(cell.initial_state(batch_size, like=like) for cell in self.layers)

    def project(self, x: Tensor) -> Tensor:
        """The lowest layer's projection."""
        return self.layers[0].project(x)

    def project_part(self, x: Tensor, start: int) -> Tensor:
        """The lowest layer's partial projection."""
        return self.layers[0].project_part(x, start)

    def step(self, x: Tensor, state: State, noise: Noise = None) -> tuple[Tensor, State]:
        """Run all layers for one time step; `x` is projected for the lowest."""
        noises, masks = noise if noise is not None else (None, None)
        states: list[State] = []
        output = x
        for i, cell in enumerate(self.layers):
            below = output
            if i > 0:
                mask = masks[i - 1] if masks is not None else None
                output = cell.project(self._drop(below, mask))
            output, following = advance(cell, output, state[i], noises[i] if noises is not None else None)
            states.append(following)
            if i > 0:
                output = self._add(output, below)
        return output, tuple(states)

    def fused(self, x: Tensor, mask: Tensor, state: State, noise: Noise) -> tuple[Tensor, State]:
        """Layer by layer over the whole sequence."""
        noises, masks = noise if noise is not None else (None, None)
        states: list[State] = []
        padding = ~mask.unsqueeze(-1)
        for i, cell in enumerate(self.layers):
            below = x
            if i > 0:
                dropped = masks[i - 1].unsqueeze(1) if masks is not None else None
                x = self._drop(below, dropped).masked_fill(padding, 0.0)
            x, following = run(cell, x, mask, state[i], noises[i] if noises is not None else None)
            states.append(following)
            if i > 0:
                x = self._add(x, below)
        return x, tuple(states)

    def read(self, state: State) -> Tensor:
        """The output of the highest layer."""
        return self.layers[-1].read(state[-1])

    @property
    def feature_size(self) -> int:
        """Sum over the layers."""
        return sum(cell.feature_size for cell in self.layers)

    def features(self, state: State) -> Tensor:
        """The concatenated features of the layers."""
        return torch.cat([cell.features(part) for cell, part in zip(self.layers, state, strict=True)], dim=-1)

    def state_from(self, features: Tensor) -> State:
        """One state per layer, each built from that layer's features."""
        parts = features.split([cell.feature_size for cell in self.layers], dim=-1)
        return tuple(cell.state_from(part) for cell, part in zip(self.layers, parts, strict=True))

    def noise(self, batch_size: int, *, like: Tensor) -> Noise:
        """The layers' noise and, with variational dropout, the masks between the layers."""
        noises = tuple(cell.noise(batch_size, like=like) for cell in self.layers)
        masks = None
        if self.training and self.variational and self.dropout > 0:
            masks = tuple(
                dropout_mask(like, (batch_size, cell.output_size), self.dropout) for cell in self.layers[:-1]
            )
        drawn = any(noise is not None for noise in noises)
        return (noises if drawn else None, masks) if drawn or masks else None

    def _drop(self, x: Tensor, mask: Tensor | None) -> Tensor:
        if mask is not None:
            return x * mask
        dropping = self.training and not self.variational and self.dropout > 0
        return drop(x, self.dropout) if dropping else x

    def _add(self, output: Tensor, below: Tensor) -> Tensor:
        return output + below if self.residual and output.size(-1) == below.size(-1) else output
