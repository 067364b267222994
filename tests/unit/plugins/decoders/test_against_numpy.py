"""Decoders against their papers' equations in NumPy, Sutskever's whole model too; gradients by differences."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from s2s.nn import Decoded, Encoded, length_mask
from s2s.testing.numpy_cells import Affine, Array, GRUParameters, LSTMParameters
from s2s_plugins.attention.bahdanau import Bahdanau
from s2s_plugins.bridges.linear import LinearBridge
from s2s_plugins.cells.gru import GRU
from s2s_plugins.cells.lstm import LSTM
from s2s_plugins.decoders.bahdanau import BahdanauDecoder
from s2s_plugins.decoders.conditional import ConditionalDecoder
from s2s_plugins.decoders.conditioned import ConditionedDecoder, ConditionedState
from s2s_plugins.decoders.gnmt import GNMTDecoder
from s2s_plugins.decoders.recurrent import RecurrentDecoder
from s2s_plugins.encoders.recurrent import RecurrentEncoder
from tests.references import attention as formulas
from tests.references import decoders as published
from tests.references.decoders import Ask, Cell, Said

INPUT, HIDDEN, MEMORY = 3, 4, 5
TOLERANCE = 1e-12  # a few sums in float64
SOURCES, TARGETS = (4, 1, 3), (3, 5, 1)


def array(tensor: Tensor) -> Array:
    return tensor.detach().numpy()


def gates(cell: Any, number: int) -> list[Affine]:
    parts = (cell.input_weight, cell.recurrent_weight, cell.input_bias)
    return [
        Affine(*(array(part).reshape(number, HIDDEN, *part.shape[1:])[i] for part in parts))
        for i in range(number)
    ]


def gru(cell: Any) -> Cell:
    before = cell.candidate_bias is None
    bias = np.zeros(HIDDEN) if before else array(cell.candidate_bias)
    reset, update, candidate = gates(cell, 3)
    return published.gru(GRUParameters(reset, update, candidate, bias), reset_after=not before)


def lstm(cell: Any) -> Cell:
    return published.lstm(LSTMParameters(*gates(cell, 4)))


def asking(attention: Any, memory: Array) -> Ask:
    """Bahdanau's attention over the outputs of one sentence, [source, memory]."""
    W, U, b = (
        array(p) for p in (attention.query_layer.weight, attention.key_layer.weight, attention.key_layer.bias)
    )
    return lambda query: formulas.attend(
        formulas.bahdanau(query, memory, W, U, b, array(attention.vector)), memory
    )


def output(decoder: ConditionedDecoder) -> list[Array]:
    deep = decoder.deep_output
    assert deep is not None and deep.context_layer is not None
    layers = (deep.state_layer, deep.token_layer, deep.context_layer)
    return [*(array(layer.weight) for layer in layers), array(deep.state_layer.bias)]


def by_bahdanau(decoder: ConditionedDecoder, y: Array, ask: Ask, state: ConditionedState, row: int) -> Said:
    return published.bahdanau(y, array(state.first[0][row]), gru(decoder.first), ask, *output(decoder))


def by_nematus(decoder: Any, y: Array, ask: Ask, state: ConditionedState, row: int) -> Said:
    first, second = gru(decoder.first), gru(decoder.second)
    return published.conditional(y, array(state.first[0][row]), first, second, ask, *output(decoder))


def by_gnmt(decoder: ConditionedDecoder, y: Array, ask: Ask, state: ConditionedState, row: int) -> Said:
    states = [(array(h[row]), array(c[row])) for h, c in (state.first, *state.upper)]
    return published.gnmt(y, states, [lstm(cell) for cell in (decoder.first, *decoder.upper.layers)], ask)


CASES: dict[str, tuple[Callable[..., ConditionedDecoder], Callable[..., Said]]] = {
    "Bahdanau": (partial(BahdanauDecoder, cell=partial(GRU, reset_before=True)), by_bahdanau),
    "ConditionalGRU": (partial(ConditionalDecoder, cell=GRU), by_nematus),
    "GNMT": (partial(GNMTDecoder, cell=LSTM, layers=4), by_gnmt),
}


def make(name: str) -> ConditionedDecoder:
    torch.manual_seed(0)
    decoder = CASES[name][0](INPUT, MEMORY, attention=Bahdanau, hidden_size=HIDDEN).double()
    for parameter in decoder.parameters():  # off the initial values: zero biases would hide a wrong one
        nn.init.normal_(parameter, std=0.5)
    return decoder


def sentences(decoder: ConditionedDecoder) -> tuple[Encoded, Tensor, Tensor, Tensor]:
    """Encoded sources, features, inputs and their lengths."""
    lengths = torch.tensor(SOURCES)
    outputs = torch.randn(len(SOURCES), max(SOURCES), MEMORY, dtype=torch.float64)
    outputs = outputs.masked_fill(~length_mask(lengths, max(SOURCES)).unsqueeze(-1), 0.0)
    features = torch.randn(len(SOURCES), decoder.feature_size, dtype=torch.float64)
    inputs = torch.randn(len(TARGETS), max(TARGETS), INPUT, dtype=torch.float64)
    return Encoded(outputs, lengths, None), features, inputs, torch.tensor(TARGETS)


@pytest.mark.parametrize("name", CASES)
def test_equations(name: str) -> None:
    """The whole padded batch at once against one sentence after the other."""
    decoder = make(name)
    encoded, features, inputs, lengths = sentences(decoder)
    memory, state = decoder.start(encoded, features)
    decoded: Decoded = decoder(inputs, lengths, memory, state)[0]
    for row, (source, target) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        ask = asking(decoder.attention, array(encoded.outputs[row, :source]))
        said = CASES[name][1](decoder, array(inputs[row, :target]), ask, state, row)
        assert decoded.context is not None and decoded.weights is not None
        for part, found in zip(
            said._fields, (decoded.hidden, decoded.context, decoded.weights[..., :source]), strict=True
        ):
            np.testing.assert_allclose(
                array(found[row, :target]), getattr(said, part), rtol=0, atol=TOLERANCE
            )


@pytest.mark.parametrize("name", CASES)
def test_gradients(name: str) -> None:
    """Those of finite differences: of the memory, the first state, the inputs and every parameter."""
    decoder = make(name)
    encoded, features, inputs, lengths = sentences(decoder)
    parameters = dict(decoder.named_parameters())

    def run(outputs: Tensor, features: Tensor, inputs: Tensor, *values: Tensor) -> Tensor:
        def forward() -> Tensor:
            memory, state = decoder.start(Encoded(outputs, encoded.lengths, None), features)
            hidden: Tensor = decoder(inputs, lengths, memory, state)[0].hidden
            return hidden[length_mask(lengths, inputs.size(1))]

        given = {f"decoder.{name}": value for name, value in zip(parameters, values, strict=True)}
        result: Tensor = torch.func.functional_call(Called(decoder, forward), given)
        return result

    values = [
        tensor.detach().requires_grad_()
        for tensor in (encoded.outputs, features, inputs, *parameters.values())
    ]
    assert torch.autograd.gradcheck(run, values, fast_mode=True)


def test_sutskever() -> None:
    """A model of the catalogue's parts: the source read in reverse by two layers, and the last states alone."""
    torch.manual_seed(0)
    encoder = RecurrentEncoder(
        INPUT, cell=LSTM, hidden_size=HIDDEN, layers=2, bidirectional=False, reverse=True
    )
    decoder = RecurrentDecoder(INPUT, HIDDEN, cell=LSTM, attention=None, hidden_size=HIDDEN, layers=2)
    bridge = LinearBridge(encoder.feature_size, decoder.feature_size, activation="none")
    parts = nn.ModuleList([encoder, bridge, decoder]).double()
    for parameter in parts.parameters():
        nn.init.normal_(parameter, std=0.5)
    lengths, target_lengths = torch.tensor(SOURCES), torch.tensor(TARGETS)
    x = torch.randn(len(SOURCES), max(SOURCES), INPUT, dtype=torch.float64)
    inputs = torch.randn(len(TARGETS), max(TARGETS), INPUT, dtype=torch.float64)
    encoded = encoder(x, lengths)
    memory, state = decoder.start(encoded, bridge(encoder.features(encoded.state)))
    assert memory is None
    hidden = decoder(inputs, target_lengths, memory, state)[0].hidden

    def across(states: list[tuple[Array, Array]]) -> list[tuple[Array, Array]]:
        whole = np.concatenate([part for state in states for part in state])
        h1, c1, h2, c2 = np.split(array(bridge.layer.weight) @ whole + array(bridge.layer.bias), 4)
        return [(h1, c1), (h2, c2)]

    reading = [lstm(layer.cell) for layer in encoder.layers]
    writing = [lstm(cell) for cell in decoder.cells.layers]
    zeros = [(np.zeros(HIDDEN), np.zeros(HIDDEN))] * 2
    for row, (source, target) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        expected = published.sutskever(
            array(x[row, :source]), array(inputs[row, :target]), reading, zeros, across, writing
        )
        np.testing.assert_allclose(array(hidden[row, :target]), expected, rtol=0, atol=TOLERANCE)


class Called(nn.Module):
    """A module whose forward is a function: what `functional_call` needs."""

    def __init__(self, decoder: nn.Module, function: Callable[[], Tensor]) -> None:
        super().__init__()
        self.decoder = decoder
        self.function = function

    def forward(self) -> Tensor:
        return self.function()


def test_the_paper_s_decoder_has_no_other_weights() -> None:
    """Nothing that the equations do not name: two transitions, attention, three matrices and a bias."""
    decoder = make("ConditionalGRU")
    owners = {name.partition(".")[0] for name, _ in decoder.named_parameters()}
    assert owners == {"first", "second", "attention", "deep_output"}
