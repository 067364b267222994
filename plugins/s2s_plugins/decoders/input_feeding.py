"""The decoder with input feeding: each step reads the attentional vector of the previous step."""

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
    built_for_sizes,
    gathered_weight_gradients,
    length_mask,
    stack_steps,
    stand_still,
)
from s2s_plugins.attention.luong import LuongGeneral
from s2s_plugins.cells.lstm import LSTM
from s2s_plugins.decoders.attentional import AttentionalDecoder, Masks


class FeedingState(NamedTuple):
    """The cells' state, attention's state, the last attentional vector [rows, hidden], and the masks."""

    cell: State
    attention: State
    fed: Tensor
    masks: Masks


class InputFeedingDecoder(AttentionalDecoder):
    """Feeds the attentional vector to the next step together with the token (Luong et al. 2015, section 3.3).

    The tokens' part of the cells' projection is computed for all positions at once; only the fed part is in the loop.

    Args:
        input_size: width of the embedded tokens.
        memory_size: width of the encoder outputs.
        cell: the recurrent cell.
        attention: the attention; None: the cells' last output is fed.
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
        fed_size = hidden_size
        if attention is None:
            fed_size = built_for_sizes(cell, input_size + hidden_size, hidden_size).output_size
        super().__init__(
            input_size,
            memory_size,
            fed_size,
            cell=cell,
            attention=attention,
            hidden_size=hidden_size,
            layers=layers,
            residual=residual,
            dropout=dropout,
            variational=variational,
        )

    def start(self, encoded: Encoded, features: Tensor) -> tuple[Any, State]:
        """Memory and first state; the first step is fed zeros."""
        memory, attention = self.memorize(encoded)
        fed = features.new_zeros(features.size(0), self.hidden_size)
        return memory, FeedingState(self.cells.state_from(features), attention, fed, self.draw(features))

    def redraw(self, state: FeedingState) -> State:
        """The state with newly drawn masks."""
        return state._replace(masks=self.draw(state.fed))

    def step(self, input: Tensor, memory: Any, state: FeedingState) -> tuple[Decoded, State]:
        """One token."""
        return self.step_folded(self.fold_tokens(input), input, memory, state)

    def fold_tokens(self, vectors: Tensor) -> Tensor:
        """The tokens' part of the lowest cell's projection."""
        return self.cells.project_part(vectors, 0)

    def forward(
        self,
        inputs: Tensor,
        lengths: Tensor,
        memory: Any,
        state: FeedingState,
        *,
        next_input: NextInput | None = None,
    ) -> tuple[Decoded, State]:
        """All tokens, step by step, with their projections computed at once."""
        if next_input is not None:
            return self.forward_stepwise(inputs, lengths, memory, state, next_input=next_input)
        mask = length_mask(lengths, inputs.size(1))
        shortest = int(lengths.min())
        inputs = inputs.masked_fill(~mask.unsqueeze(-1), 0.0)
        steps: list[Decoded] = []
        pairs = zip(self.fold_tokens(inputs).unbind(1), inputs.unbind(1), strict=True)
        with gathered_weight_gradients():
            for time, (known, input) in enumerate(pairs):
                decoded, following = self.step_folded(known, input, memory, state)
                steps.append(decoded)
                state = following if time < shortest else stand_still(mask[:, time], following, state)
        return stack_steps(steps), state

    def step_folded(
        self, folded: Tensor, input: Tensor, memory: Any, state: FeedingState
    ) -> tuple[Decoded, FeedingState]:
        """One token, given its part of the projection."""
        fed = self.cells.project_part(state.fed, self.input_size)
        output, cell = advance(self.cells, folded + fed, state.cell, state.masks.cell)
        decoded, attention = self.answer(output, input, memory, state.attention, state.masks.vector)
        return decoded, FeedingState(cell, attention, decoded.hidden.to(state.fed.dtype), state.masks)
