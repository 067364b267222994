"""The recurrent encoder."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from s2s.errors import ConfigError
from s2s.nn import (
    Bidirectional,
    Encoded,
    RecurrentCell,
    Segments,
    SequenceDropout,
    SequenceEncoder,
    State,
    Unidirectional,
    check_size,
    reverse_within,
)
from s2s_plugins.cells.lstm import LSTM


class RecurrentEncoder(SequenceEncoder):
    """Layers of cells over the source, in one or both directions (Bahdanau et al. 2015, section 3.2).

    With `reverse` and without `bidirectional`, under a `Recurrent` decoder whose attention is null, it is the model of
    Sutskever et al. 2014; but for the bridge, which learns what the paper copies.

    Args:
        input_size: width of the embedded tokens.
        cell: the recurrent cell.
        hidden_size: width of the cell's state, in each direction.
        layers: number of layers.
        bidirectional: read in both directions; each layer sees both directions of the one below.
        reverse: read from right to left, so that the beginning of the source is read last (Sutskever et al. 2014,
            section 3.3); in one direction only.
        residual: add a layer's input to its output where they are equally wide, from the second layer on.
        dropout: dropout between the layers and on the outputs.
        variational: one dropout mask per sentence instead of one per position (Gal & Ghahramani 2016).
        segment_length: in training read long sources in pieces of so many positions, with the memory of one piece at a
            time in each layer and direction; null: in one piece.
        segment_gradients: checkpointed computes each piece again for its gradients, which are those of one piece;
            truncated cuts them between pieces (truncated backpropagation through time); last lets only the piece that
            is read last learn. The values are always those of one piece.
    """

    def __init__(
        self,
        input_size: int,
        *,
        cell: Callable[[int, int], RecurrentCell] = LSTM,
        hidden_size: int = 512,
        layers: int = 1,
        bidirectional: bool = True,
        reverse: bool = False,
        residual: bool = False,
        dropout: float = 0.0,
        variational: bool = False,
        segment_length: int | None = None,
        segment_gradients: Literal["checkpointed", "truncated", "last"] = "checkpointed",
    ) -> None:
        if reverse and bidirectional:
            raise ConfigError(
                "reverse: true has no meaning where both directions are read; set bidirectional: false as well"
            )
        segments = Segments.of(segment_length, segment_gradients)
        built: list[SequenceEncoder] = []
        width = input_size
        for _ in range(check_size("layers", layers)):
            built.append(
                Bidirectional(cell(width, hidden_size), cell(width, hidden_size), segments=segments)
                if bidirectional
                else Unidirectional(cell(width, hidden_size), segments=segments)
            )
            width = built[-1].output_size
        super().__init__(
            input_size, output_size=width, feature_size=sum(layer.feature_size for layer in built)
        )
        self.layers = nn.ModuleList(built)
        self.reverse = reverse
        self.residual = residual
        self.dropout = SequenceDropout(dropout, variational=variational)

    def forward(self, x: Tensor, lengths: Tensor) -> Encoded:
        """Outputs of the highest layer; the state holds one part per layer."""
        if self.reverse:
            x = reverse_within(x, lengths)
        states: list[State] = []
        below = x
        for i, layer in enumerate(self.layers):
            outputs, _, state = layer(x, lengths)
            states.append(state)
            if self.residual and i > 0 and outputs.size(-1) == below.size(-1):
                outputs = outputs + below  # as it was before its dropout, as in a Stack
            below = outputs
            x = self.dropout(outputs)
        return Encoded(reverse_within(x, lengths) if self.reverse else x, lengths, tuple(states))

    def features(self, state: State) -> Tensor:
        """The features of all layers side by side."""
        parts = [layer.features(part) for layer, part in zip(self.layers, state, strict=True)]  # type: ignore[operator]
        return torch.cat(parts, dim=-1)
