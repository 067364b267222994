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

    With `reverse`, without `bidirectional`, and with a `Recurrent` decoder whose attention is null, this is the model
    of Sutskever et al. 2014, except for the bridge: it learns a map of the state, which the paper copies.

    Args:
        input_size: width of the embedded tokens.
        cell: the recurrent cell.
        hidden_size: width of the cell's state, in each direction.
        layers: number of layers.
        bidirectional: read in both directions; each layer sees both directions of the one below.
        reverse: read from right to left, so that the beginning of the source is read last (Sutskever et al. 2014,
            section 3.3); only without `bidirectional`.
        residual: add a layer's input to its output where they are equally wide, from the second layer on.
        dropout: dropout between the layers and on the outputs.
        variational: one dropout mask per sentence instead of one per position (Gal & Ghahramani 2016).
        segment_length: in training, process long sources in segments of this many positions, so that each layer and
            direction holds the activations of one segment at a time; null: all at once.
        segment_gradients: checkpointed recomputes each segment in the backward pass and gives the same gradients as
            without segments; truncated stops them between segments (truncated backpropagation through time); last gives
            gradients only to the segment that is read last. The outputs are always the same as without segments.
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

    @property
    def lowest(self) -> SequenceEncoder:
        """The layer that reads the tokens."""
        return self.layers[0]  # type: ignore[return-value]

    def forward(self, x: Tensor, lengths: Tensor) -> Encoded:
        """Outputs of the highest layer; the state holds one part per layer."""
        if self.reverse:
            x = reverse_within(x, lengths)
        return self._above(self.lowest(x, lengths), lengths)

    def fold_tokens(self, vectors: Tensor) -> State:
        """What the lowest layer folds."""
        return self.lowest.fold_tokens(vectors)

    def forward_folded(self, tokens: Tensor, lengths: Tensor, folded: State) -> Encoded:
        """`forward` from what the lowest layer folds."""
        if self.reverse:
            tokens = reverse_within(tokens, lengths)
        return self._above(self.lowest.forward_folded(tokens, lengths, folded), lengths)

    def _above(self, encoded: Encoded, lengths: Tensor) -> Encoded:
        """The outputs of the encoder, given those of its lowest layer."""
        below, _, state = encoded
        states = [state]
        x = self.dropout(below)
        for layer in self.layers[1:]:
            outputs, _, state = layer(x, lengths)
            states.append(state)
            if self.residual and outputs.size(-1) == below.size(-1):
                outputs = outputs + below  # before its dropout, as in a Stack
            below = outputs
            x = self.dropout(outputs)
        return Encoded(reverse_within(x, lengths) if self.reverse else x, lengths, tuple(states))

    def features(self, state: State) -> Tensor:
        """The features of all layers, concatenated."""
        parts = [layer.features(part) for layer, part in zip(self.layers, state, strict=True)]  # type: ignore[operator]
        return torch.cat(parts, dim=-1)
