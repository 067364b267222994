"""Base class of decoders whose cells read attention's context: only the first layer runs step by step."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from s2s.nn import (
    Attention,
    Decoded,
    Decoder,
    Encoded,
    NextInput,
    RecurrentCell,
    SequenceDropout,
    State,
    advance,
    attend_rows,
    gathered_weight_gradients,
    leaves,
    length_mask,
    map_state,
    stand_still,
)
from s2s_plugins.decoders.deep_output import DeepOutput
from s2s_plugins.decoders.upper_layers import UpperLayers


class Drawn(NamedTuple):
    """Masks drawn once per sentence: for the first layer, for the upper layers, and on the hidden vector."""

    first: Any
    upper: Any
    vector: Tensor | None


class ConditionedState(NamedTuple):
    """States of the first layer, of attention and of the upper layers, and the masks drawn for the sentence."""

    first: State
    attention: State
    upper: State
    drawn: Drawn


class Turn(NamedTuple):
    """Outputs of one iteration of the loop, [rows, ...]; context and weights are None without attention."""

    output: Tensor
    context: Tensor | None
    weights: Tensor | None


class ConditionedDecoder(Decoder):
    """Runs the first layer and attention step by step, the upper layers and the output for all positions at once.

    The tokens' part of the first layer's projection, and of the deep output, is computed outside the loop as well.

    Args:
        input_size: width of the embedded tokens.
        memory_size: width of the encoder outputs.
        first: the cell of the first layer.
        attention: the attention; None: no attention.
        upper: the layers above; may be empty.
        deep_output: applied to the highest layer's output; None: the output is used as it is.
        dropout: dropout on `Decoded.hidden`.
        variational: one dropout mask per sentence instead of one per position (Gal & Ghahramani 2016).
    """

    def __init__(
        self,
        input_size: int,
        memory_size: int,
        *,
        first: RecurrentCell,
        attention: Attention | None,
        upper: UpperLayers,
        deep_output: DeepOutput | None,
        dropout: float,
        variational: bool,
    ) -> None:
        super().__init__(
            input_size,
            memory_size,
            hidden_size=upper.output_size if deep_output is None else deep_output.size,
            context_size=0 if attention is None else attention.context_size,
            feature_size=first.feature_size + upper.feature_size,
        )
        self.first = first
        self.attention = attention
        self.upper = upper
        self.deep_output = deep_output
        self.dropout = SequenceDropout(dropout, variational=variational)

    def start(self, encoded: Encoded, features: Tensor) -> tuple[Any, State]:
        """Memory and first state."""
        memory, attention = None, ()
        if self.attention is not None:
            mask = length_mask(encoded.lengths, encoded.outputs.size(1))
            memory = self.attention.memorize(encoded.outputs, mask)
            attention = self.attention.initial_state(memory)
        parts = features.split([self.first.feature_size, self.upper.feature_size], dim=-1)
        first, upper = self.first.state_from(parts[0]), self.upper.state_from(parts[1])
        return memory, ConditionedState(first, attention, upper, self._draw(features))

    def redraw(self, state: ConditionedState) -> State:
        """The state with newly drawn masks."""
        return state._replace(drawn=self._draw(leaves(state.first)[0]))

    def _draw(self, like: Tensor) -> Drawn:
        rows = like.size(0)
        return Drawn(
            self.draw_first(rows, like=like),
            self.upper.draw(rows, like=like),
            self.dropout.draw(rows, self.hidden_size, like=like),
        )

    def draw_first(self, batch_size: int, *, like: Tensor) -> Any:
        """Draw the first layer's noise, once per sentence."""
        return self.first.noise(batch_size, like=like)

    def ask(self, query: Tensor, memory: Any, state: State) -> tuple[Tensor | None, Tensor | None, State]:
        """Compute context, weights and attention's next state; without attention the first two are None.

        Args:
            query: [rows, hidden].
            memory: attention's memory, of as many sentences as rows, or of fewer.
            state: attention's state.
        """
        return (
            (None, None, state)
            if self.attention is None
            else attend_rows(self.attention, query, memory, state)
        )

    def turn(
        self, known: Tensor, memory: Any, first: State, attention: State, noise: Any
    ) -> tuple[Turn, State, State]:
        """One step of the first layer: query attention with the last state, then read its context and the token.

        Args:
            known: the token's part of the projection, [rows, P].
            memory: attention's memory.
            first: the first layer's state.
            attention: attention's state.
            noise: as returned by `draw_first`.

        Returns:
            The outputs, the next state of the first layer, and the next state of attention.
        """
        context, weights, attention = self.ask(self.first.read(first), memory, attention)
        if context is not None:
            known = known + self.first.project_part(context, self.input_size)
        output, first = advance(self.first, known, first, noise)
        return Turn(output, context, weights), first, attention

    def step(self, input: Tensor, memory: Any, state: ConditionedState) -> tuple[Decoded, State]:
        """One token."""
        return self.step_folded(self.fold_tokens(input), input, memory, state)

    def fold_tokens(self, vectors: Tensor) -> Tensor:
        """The tokens' part of the first layer's projection, concatenated with that of the deep output."""
        known = self.first.project_part(vectors, 0)
        if self.deep_output is None:
            return known
        return torch.cat([known, self.deep_output.token_layer(vectors)], dim=-1)

    def step_folded(
        self, folded: Tensor, input: Tensor, memory: Any, state: ConditionedState
    ) -> tuple[Decoded, State]:
        """One token, given its result of `fold_tokens`."""
        known, tokens = self._shares(folded)
        turn, first, attention = self.turn(known, memory, state.first, state.attention, state.drawn.first)
        output, upper = self.upper.step(turn.output, self._read_above(turn), state.upper, state.drawn.upper)
        following = ConditionedState(first, attention, upper, state.drawn)
        return self._decoded(output, tokens, turn, input, state.drawn), following

    def forward(
        self,
        inputs: Tensor,
        lengths: Tensor,
        memory: Any,
        state: ConditionedState,
        *,
        next_input: NextInput | None = None,
    ) -> tuple[Decoded, State]:
        """All tokens: the first layer step by step, everything above it at once."""
        if next_input is not None:
            return self.forward_stepwise(inputs, lengths, memory, state, next_input=next_input)
        mask = length_mask(lengths, inputs.size(1))
        shortest = int(lengths.min())
        inputs = inputs.masked_fill(~mask.unsqueeze(-1), 0.0)
        known, tokens = self._shares(self.fold_tokens(inputs))
        moving = state.first, state.attention
        turns: list[Turn] = []
        with gathered_weight_gradients():
            for time, now in enumerate(known.unbind(1)):
                turn, *following = self.turn(now, memory, *moving, state.drawn.first)
                turns.append(turn)
                moving = (
                    tuple(following)
                    if time < shortest
                    else stand_still(mask[:, time], tuple(following), moving)
                )
        turn = map_state(lambda *said: torch.stack(said, dim=1), *turns)
        output, upper = self.upper(
            turn.output, self._read_above(turn), lengths, state.upper, state.drawn.upper
        )
        last = ConditionedState(*moving, upper, state.drawn)
        return self._decoded(output, tokens, turn, inputs, state.drawn), last

    def _shares(self, folded: Tensor) -> tuple[Tensor, Tensor | None]:
        # Splits what `fold_tokens` concatenated.
        if self.deep_output is None:
            return folded, None
        known, tokens = folded.split([folded.size(-1) - self.deep_output.sums, self.deep_output.sums], dim=-1)
        return known, tokens

    def _read_above(self, turn: Turn) -> Tensor | None:
        return turn.context if self.upper.context_size else None

    def _decoded(
        self, output: Tensor, tokens: Tensor | None, turn: Turn, inputs: Tensor, drawn: Drawn
    ) -> Decoded:
        hidden = output if self.deep_output is None else self.deep_output(output, tokens, turn.context)
        return Decoded(self.dropout(hidden, drawn.vector), turn.context, turn.weights, inputs)
