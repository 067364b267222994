"""A decoder that weighs its previous outputs against the source."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from s2s.nn import (
    Attention,
    Decoded,
    Decoder,
    Encoded,
    Noise,
    RecurrentCell,
    State,
    advance,
    attend_rows,
    length_mask,
)
from s2s_plugins.attention.luong import LuongGeneral
from s2s_plugins.cells.lstm import LSTM
from torch import Tensor, nn


# All that a sentence needs goes into its state, never onto `self`: every leaf is [rows, ...].
class MyPartState(NamedTuple):
    """The cell's state, attention's state, and the cell's noise for the sentence."""

    cell: State
    attention: State
    noise: Noise


class MyPart(Decoder):
    """One cell, attention, and a gate between their outputs (after Tu et al. 2017).

    ::

        s_t = cell(y_{t-1}, s_{t-1})
        c_t = attention(s_t)
        gate = sigmoid(W_g [s_t; c_t] + b_g)
        hidden = tanh(gate * (W_c c_t + b_c) + (1 - gate) * (W_s s_t + b_s))

    Tu et al. put the gate before the cell, between source context and target context.

    Args:
        input_size: width of the embedded tokens.
        memory_size: width of the encoder outputs.
        cell: the recurrent cell.
        attention: the attention.
        hidden_size: width of the cell's state, and of the output that predicts the next token.
    """

    def __init__(
        self,
        input_size: int,
        memory_size: int,
        *,
        cell: Callable[[int, int], RecurrentCell] = LSTM,
        attention: Callable[[int, int], Attention] = LuongGeneral,
        hidden_size: int = 512,
    ) -> None:
        reader = cell(input_size, hidden_size)
        attends = attention(reader.output_size, memory_size)
        super().__init__(
            input_size,
            memory_size,
            hidden_size=hidden_size,
            context_size=attends.context_size,
            feature_size=reader.feature_size,
        )
        self.cell = reader
        self.attention = attends
        both = reader.output_size + attends.context_size
        self.gate_layer = nn.Linear(both, hidden_size)
        self.context_layer = nn.Linear(attends.context_size, hidden_size)
        self.output_layer = nn.Linear(reader.output_size, hidden_size)

    # Called once per sentence. `features` is the bridge's output, made from the encoder's state.
    def start(self, encoded: Encoded, features: Tensor) -> tuple[Any, State]:
        """Attention's memory, and the state before the first token."""
        mask = length_mask(encoded.lengths, encoded.outputs.size(1))
        memory = self.attention.memorize(encoded.outputs, mask)
        return memory, MyPartState(
            self.cell.state_from(features),
            self.attention.initial_state(memory),
            self.cell.noise(features.size(0), like=features),
        )

    # Used in training too; override `forward` if all target positions can be computed at once.
    def step(self, input: Tensor, memory: Any, state: MyPartState) -> tuple[Decoded, State]:
        """The equations above for one token of every row, [rows, input]."""
        projected = self.cell.project(input)
        output, cell = advance(self.cell, projected, state.cell, state.noise)
        context, weights, attention = attend_rows(self.attention, output, memory, state.attention)
        gate = self.gate_layer(torch.cat([output, context], dim=-1)).sigmoid()
        read, said = self.context_layer(context), self.output_layer(output)
        hidden = (gate * read + (1 - gate) * said).tanh()
        decoded = Decoded(hidden, context, weights, input)
        return decoded, MyPartState(cell, attention, state.noise)
