"""Both decoders against Luong et al. 2015, written out token by token.

`forward` and `step` share code, so their agreement would not show a wrong equation; here the cell's whole input is put
together and projected at once, attention is asked by hand, and eq. 5 is worked out in NumPy.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from s2s.nn import Attention, Decoded, Encoded, RecurrentCell, length_mask, map_state
from s2s.testing.odd_attention import Coverage
from s2s.testing.odd_cells import OddCell, SlotCell
from s2s_plugins.attention.bahdanau import Bahdanau
from s2s_plugins.attention.luong import LuongGeneral
from s2s_plugins.cells.gru import GRU
from s2s_plugins.cells.lstm import LSTM
from s2s_plugins.decoders.attentional import AttentionalDecoder
from s2s_plugins.decoders.input_feeding import InputFeedingDecoder
from s2s_plugins.decoders.recurrent import RecurrentDecoder

INPUT, HIDDEN, MEMORY = 3, 4, 5
CELLS: dict[str, Callable[[int, int], RecurrentCell]] = {
    "LSTM": LSTM,
    "GRU-dropout": partial(GRU, recurrent_dropout=0.5),
    "odd": OddCell,
    "slots": SlotCell,
}
ATTENTIONS: dict[str, Callable[[int, int], Attention] | None] = {
    "none": None,
    "Bahdanau": Bahdanau,
    "LuongGeneral": LuongGeneral,
    "coverage": Coverage,
}


def by_hand(
    decoder: AttentionalDecoder, inputs: Tensor, memory: Any, state: Any
) -> tuple[list[Decoded], Any]:
    """One batch without padding, [batch, time, input], from the state that `start` gave."""
    feeding = isinstance(decoder, InputFeedingDecoder)
    cells, attention, masks = decoder.cells, decoder.attention, state.masks
    cell, coverage = state.cell, state.attention
    fed = torch.zeros(inputs.size(0), decoder.hidden_size, dtype=inputs.dtype)  # nothing was attended to yet
    steps = []
    for time in range(inputs.size(1)):
        x = inputs[:, time]
        whole = (
            torch.cat([x, fed], dim=-1) if feeding else x
        )  # section 3.3: the attentional vector beside the token
        projected = cells.project(whole)
        output, cell = cells.step(projected, cell, masks.cell) if masks.cell else cells.step(projected, cell)
        context = weights = None
        hidden = output
        if attention is not None:
            context, weights, coverage = attention.attend(output, memory, coverage)
            W_h, b = (p.detach().numpy() for p in (decoder.output_layer.weight, decoder.output_layer.bias))
            W_c = np.concatenate([decoder.context_layer.weight.detach().numpy(), W_h], axis=1)
            both = torch.cat([context, output], dim=-1).detach().numpy()
            hidden = torch.from_numpy(np.tanh(both @ W_c.T + b))  # eq. 5: tanh(W_c [c; h])
        if masks.vector is not None:
            hidden = hidden * masks.vector
        fed = hidden
        steps.append(Decoded(hidden, context, weights, x))
    return steps, cell


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("make", [RecurrentDecoder, InputFeedingDecoder])
def test_equations(make: Any, cell: str, attention: str, training: bool) -> None:
    torch.manual_seed(0)
    decoder = make(
        INPUT,
        MEMORY,
        cell=CELLS[cell],
        attention=ATTENTIONS[attention],
        hidden_size=HIDDEN,
        layers=2,
        dropout=0.5,
        variational=True,
    )
    decoder = decoder.double().train(training)
    lengths = torch.tensor([4, 2])
    outputs = torch.randn(2, 4, MEMORY, dtype=torch.float64)
    outputs = outputs.masked_fill(~length_mask(lengths, 4).unsqueeze(-1), 0.0)
    features = torch.randn(2, decoder.feature_size, dtype=torch.float64)
    inputs = torch.randn(2, 5, INPUT, dtype=torch.float64)
    memory, state = decoder.start(Encoded(outputs, lengths, None), features)
    assert (state.masks.vector is None) == (not training)
    assert (state.masks.cell is None) == (not training)

    decoded, last = decoder(inputs, torch.tensor([5, 5]), memory, state)
    expected, cell_state = by_hand(decoder, inputs, memory, state)
    for time, wanted in enumerate(expected):
        for name, found, value in zip(Decoded._fields, decoded, wanted, strict=True):
            assert (found is None) == (value is None)
            if value is not None:
                torch.testing.assert_close(found[:, time], value, rtol=1e-10, atol=1e-10, msg=name)
    map_state(partial(torch.testing.assert_close, rtol=1e-10, atol=1e-10), last.cell, cell_state)


@pytest.mark.parametrize("make", [RecurrentDecoder, InputFeedingDecoder])
def test_masks_are_used(make: Any) -> None:
    """Noise inside the cells and on the attentional vector both show in training."""
    torch.manual_seed(0)
    for cell, options in ((CELLS["GRU-dropout"], {}), (GRU, {"dropout": 0.5, "variational": True})):
        decoder = make(INPUT, MEMORY, cell=cell, attention=LuongGeneral, hidden_size=HIDDEN, **options)
        encoded = Encoded(torch.randn(1, 3, MEMORY), torch.tensor([3]), None)
        features, inputs = torch.randn(1, decoder.feature_size), torch.randn(1, 4, INPUT)
        results = []
        for training in (False, True):
            decoder.train(training)
            results.append(decoder(inputs, torch.tensor([4]), *decoder.start(encoded, features))[0].hidden)
        assert not torch.allclose(*results)
