"""The deep encoder of Google's translation system."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from s2s.errors import ConfigError
from s2s.nn import (
    Bidirectional,
    Encoded,
    RecurrentCell,
    Segments,
    SequenceDropout,
    SequenceEncoder,
    Stack,
    State,
    Unidirectional,
)
from s2s_plugins.cells.lstm import LSTM


class GNMTEncoder(SequenceEncoder):
    """A bidirectional layer, then left-to-right layers, with residual connections from the third layer on.

    Wu et al. 2016: residual connections are section 3.1, eq. 5-6, the bidirectional layer is section 3.2; figure 1
    shows them together.

    Args:
        input_size: width of the embedded tokens.
        cell: the recurrent cell.
        hidden_size: width of the cell's state, in the lowest layer in each direction.
        layers: number of layers, at least 2; the paper has 8.
        dropout: dropout between the layers and on the outputs.
        variational: one dropout mask per sentence instead of one per position (Gal & Ghahramani 2016).
        segment_length: in training, process long sources in segments of this many positions, see the encoder Recurrent;
            null: all at once. The upper layers draw new dropout masks for each segment, unless it is variational.
        segment_gradients: how far gradients are propagated, see the encoder Recurrent.

    Raises:
        ConfigError: fewer than two layers.
    """

    def __init__(
        self,
        input_size: int,
        *,
        cell: Callable[[int, int], RecurrentCell] = LSTM,
        hidden_size: int = 512,
        layers: int = 4,
        dropout: float = 0.0,
        variational: bool = False,
        segment_length: int | None = None,
        segment_gradients: Literal["checkpointed", "truncated", "last"] = "checkpointed",
    ) -> None:
        if layers < 2:
            raise ConfigError(
                f"layers {layers} is impossible: GNMT has one layer in both directions and at least one above it; "
                "choose 2 or more, or the encoder Recurrent"
            )
        segments = Segments.of(segment_length, segment_gradients)
        lowest = Bidirectional(
            cell(input_size, hidden_size), cell(input_size, hidden_size), segments=segments
        )
        cells: list[RecurrentCell] = []
        width = lowest.output_size
        for _ in range(layers - 1):
            cells.append(cell(width, hidden_size))
            width = cells[-1].output_size
        # A stack's residual connections start at its own second layer, which is the third of the encoder.
        stack = Stack(cells, residual=True, dropout=dropout, variational=variational)
        higher = Unidirectional(stack, segments=segments)
        super().__init__(
            input_size, output_size=width, feature_size=lowest.feature_size + higher.feature_size
        )
        self.lowest = lowest
        self.higher = higher
        self.dropout = SequenceDropout(dropout, variational=variational)

    def forward(self, x: Tensor, lengths: Tensor) -> Encoded:
        """Outputs of the highest layer; the state holds the states of both parts."""
        return self._above(self.lowest(x, lengths), lengths)

    def fold_tokens(self, vectors: Tensor) -> State:
        """What the lowest layer folds."""
        return self.lowest.fold_tokens(vectors)

    def forward_folded(self, tokens: Tensor, lengths: Tensor, folded: State) -> Encoded:
        """`forward` from what the lowest layer folds."""
        return self._above(self.lowest.forward_folded(tokens, lengths, folded), lengths)

    def _above(self, encoded: Encoded, lengths: Tensor) -> Encoded:
        """The outputs of the encoder, given those of its lowest layer."""
        outputs, _, lowest = encoded
        outputs, _, higher = self.higher(self.dropout(outputs), lengths)
        return Encoded(self.dropout(outputs), lengths, (lowest, higher))

    def features(self, state: State) -> Tensor:
        """The features of both parts, concatenated."""
        lowest, higher = state
        return torch.cat([self.lowest.features(lowest), self.higher.features(higher)], dim=-1)
