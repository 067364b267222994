"""Base class of decoders whose attention follows the recurrence (Luong et al. 2015, section 3)."""

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor, nn

from s2s.nn import (
    Attended,
    Attention,
    Decoded,
    Decoder,
    Encoded,
    RecurrentCell,
    SequenceDropout,
    Stack,
    State,
    attend_rows,
    check_size,
    holds,
    length_mask,
    tanh,
)


class Masks(NamedTuple):
    """Drawn once per sentence: the cells' noise and the dropout mask on the attentional vector; None: no dropout."""

    cell: Any
    vector: Tensor | None


class Folded(NamedTuple):
    """Attention's memory with `context_layer` already applied, so that attention returns the projected context."""

    memory: Any


class AttentionalDecoder(Decoder):
    """A stack of cells, attention queried with its output, and the attentional vector (Luong et al. 2015, eq. 5).

    ::

        attentional = tanh(W_c [context; output])                without attention: the output itself

    Args:
        input_size: width of the embedded tokens.
        memory_size: width of the encoder outputs.
        fed_size: width of the further input that a subclass feeds to the cells along with the tokens.
        cell: the recurrent cell.
        attention: the attention; None: only the encoder's state is used (Sutskever et al. 2014).
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
        fed_size: int,
        *,
        cell: Callable[[int, int], RecurrentCell],
        attention: Callable[[int, int], Attention] | None,
        hidden_size: int,
        layers: int,
        residual: bool,
        dropout: float,
        variational: bool,
    ) -> None:
        width = input_size + fed_size
        cells: list[RecurrentCell] = []
        for _ in range(check_size("layers", layers)):
            cells.append(cell(width, hidden_size))
            width = cells[-1].output_size
        stack = Stack(cells, residual=residual, dropout=dropout, variational=variational)
        attends = attention(stack.output_size, memory_size) if attention is not None else None
        super().__init__(
            input_size,
            memory_size,
            hidden_size=hidden_size if attends is not None else stack.output_size,
            context_size=attends.context_size if attends is not None else 0,
            feature_size=stack.feature_size,
        )
        self.cells = stack
        self.attention = attends
        self.dropout = SequenceDropout(dropout, variational=variational)
        if attends is not None:
            self.output_layer = nn.Linear(stack.output_size, hidden_size)
            self.context_layer = nn.Linear(attends.context_size, hidden_size, bias=False)

    def memorize(self, encoded: Encoded) -> tuple[Any, State]:
        """Attention's memory (None without attention) and its first state."""
        if self.attention is None:
            return None, ()
        memory = self.attention.memorize(
            encoded.outputs, length_mask(encoded.lengths, encoded.outputs.size(1))
        )
        return memory, self.attention.initial_state(memory)

    def fold_memory(self, memory: Any) -> Any:
        """Apply `context_layer` to the memory in advance, if the attention allows it."""
        known = holds(self, "fold_memory", "answer") and holds(self, "step_folded", "step")
        if self.attention is None or not known:
            return memory
        folded = self.attention.map_values(memory, self.context_layer)
        return memory if folded is None else Folded(folded)

    def draw(self, like: Tensor) -> Masks:
        """Draw masks for new sentences, one row per row of `like`."""
        return Masks(
            self.cells.noise(like.size(0), like=like),
            self.dropout.draw(like.size(0), self.hidden_size, like=like),
        )

    def answer(
        self, output: Tensor, inputs: Tensor, memory: Any, state: State, mask: Tensor | None
    ) -> tuple[Decoded, State]:
        """Compute attention and the attentional vector, for one step or for all.

        Args:
            output: the stack's output, [rows, hidden] or [batch, target, hidden].
            inputs: the embedded input tokens, for `Decoded.inputs`.
            memory: attention's memory.
            state: attention's state.
            mask: dropout mask on the attentional vector, or None.
        """
        if self.attention is None:
            return Decoded(self.dropout(output, mask), None, None, inputs), state
        folded = isinstance(memory, Folded)
        memory = memory.memory if folded else memory
        if output.dim() == 2:
            attended: Attended = attend_rows(self.attention, output, memory, state)
        else:
            attended = self.attention.attend(output, memory, state)
        context = None if folded else attended.context
        vector = tanh(
            self.output_layer(output) + (attended.context if context is None else self.context_layer(context))
        )
        return Decoded(self.dropout(vector, mask), context, attended.weights, inputs), attended.state
