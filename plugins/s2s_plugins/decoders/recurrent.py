"""The decoder without feedback: its whole recurrence runs before attention."""

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor

from s2s.nn import (
    Attention,
    Decoded,
    Encoded,
    NextInput,
    RecurrentCell,
    State,
    advance,
    leaves,
    length_mask,
    unroll,
)
from s2s_plugins.attention.luong import LuongGeneral
from s2s_plugins.cells.lstm import LSTM
from s2s_plugins.decoders.attentional import AttentionalDecoder, Masks


class RecurrentState(NamedTuple):
    """The cells' state, attention's state, and the masks drawn for the sentence."""

    cell: State
    attention: State
    masks: Masks


class RecurrentDecoder(AttentionalDecoder):
    """Cells over the tokens, then attention for all positions at once (Luong et al. 2015, section 3.1).

    Args:
        input_size: width of the embedded tokens.
        memory_size: width of the encoder outputs.
        cell: the recurrent cell.
        attention: the attention; None: only the encoder's state is used (Sutskever et al. 2014, with an encoder that is
            `reverse`d and not `bidirectional`).
        hidden_size: width of the cells' state and of the attentional vector.
        layers: number of layers.
        residual: add a layer's input to its output, from the second layer on.
        dropout: dropout between the layers and on the attentional vector.
        variational: one dropout mask per sentence instead of one per position (Gal & Ghahramani 2016).
    """

    def __init__(
        self,
        input_size: int,
        memory_size: int,
        *,
        cell: Callable[[int, int], RecurrentCell] = LSTM,
        attention: Callable[[int, int], Attention] | None = LuongGeneral,
        hidden_size: int = 512,
        layers: int = 1,
        residual: bool = False,
        dropout: float = 0.0,
        variational: bool = False,
    ) -> None:
        super().__init__(
            input_size,
            memory_size,
            0,
            cell=cell,
            attention=attention,
            hidden_size=hidden_size,
            layers=layers,
            residual=residual,
            dropout=dropout,
            variational=variational,
        )

    def start(self, encoded: Encoded, features: Tensor) -> tuple[Any, State]:
        """Memory and first state."""
        memory, attention = self.memorize(encoded)
        return memory, RecurrentState(self.cells.state_from(features), attention, self.draw(features))

    def redraw(self, state: RecurrentState) -> State:
        """The state with newly drawn masks."""
        return state._replace(masks=self.draw(leaves(state.cell)[0]))

    def step(self, input: Tensor, memory: Any, state: RecurrentState) -> tuple[Decoded, State]:
        """One token."""
        return self.step_folded(self.fold_tokens(input), input, memory, state)

    def fold_tokens(self, vectors: Tensor) -> Tensor:
        """The lowest cell's projection."""
        return self.cells.project(vectors)

    def step_folded(
        self, folded: Tensor, input: Tensor, memory: Any, state: RecurrentState
    ) -> tuple[Decoded, State]:
        """One token, given its projection."""
        output, cell = advance(self.cells, folded, state.cell, state.masks.cell)
        decoded, attention = self.answer(output, input, memory, state.attention, state.masks.vector)
        return decoded, RecurrentState(cell, attention, state.masks)

    def forward(
        self,
        inputs: Tensor,
        lengths: Tensor,
        memory: Any,
        state: RecurrentState,
        *,
        next_input: NextInput | None = None,
    ) -> tuple[Decoded, State]:
        """All tokens: one unroll of the cells, one call to attention."""
        if next_input is not None or (self.attention is not None and self.attention.sequential):
            return self.forward_stepwise(inputs, lengths, memory, state, next_input=next_input)
        padding = ~length_mask(lengths, inputs.size(1))
        inputs = inputs.masked_fill(padding.unsqueeze(-1), 0.0)  # a head may read them
        outputs, cell = unroll(self.cells, inputs, lengths, state.cell, noise=state.masks.cell)
        decoded, attention = self.answer(outputs, inputs, memory, state.attention, state.masks.vector)
        return decoded, RecurrentState(cell, attention, state.masks)
