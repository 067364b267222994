"""Encoders against their papers in NumPy, one sentence at a time; gradients by differences."""

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from s2s.nn import SequenceEncoder, leaves, length_mask
from s2s.testing.numpy_cells import Affine, LSTMParameters
from s2s_plugins.cells.lstm import LSTM
from s2s_plugins.encoders.convolutional import ConvolutionalEncoder
from s2s_plugins.encoders.gnmt import GNMTEncoder
from s2s_plugins.encoders.transformer import TransformerEncoder, TransformerLayer
from tests.references.attention import Array
from tests.references.encoder_convolutional import convolutional
from tests.references.encoder_gnmt import gnmt
from tests.references.encoder_transformer import Layer, Norm, transformer, wave

INPUT = 3
TOLERANCE = {"rtol": 1e-10, "atol": 1e-10}  # float64 over a few layers, normed in between

Reference = Callable[..., tuple[Array, list[Array]]]
"""(encoder, x [source, input]) to outputs [source, output] and the leaves of the state."""


def array(tensor: Tensor | None) -> Array:
    assert tensor is not None
    return tensor.detach().numpy()


def transformer_layer(layer: TransformerLayer) -> Layer:
    W_q, W_k, W_v = (
        np.split(block, layer.attention.heads)
        for block in np.split(array(layer.attention.input_layer.weight), 3)
    )
    norms = [
        Norm(array(norm.weight), array(norm.bias)) for norm in (layer.attention_norm, layer.feed_forward_norm)
    ]
    hidden, output = layer.hidden_layer, layer.output_layer
    return Layer(
        norms[0],
        W_q,
        W_k,
        W_v,
        array(layer.attention.output_layer.weight),
        norms[1],
        array(hidden.weight),
        array(hidden.bias),
        array(output.weight),
        array(output.bias),
    )


def transformer_of(encoder: TransformerEncoder, x: Array) -> tuple[Array, list[Array]]:
    layers = [transformer_layer(layer) for layer in encoder.layers]
    norm = Norm(array(encoder.norm.weight), array(encoder.norm.bias))
    W_in = array(encoder.input_layer.weight)
    outputs = transformer(x, W_in, layers, norm, rotary=encoder.positions == "rotary")
    return outputs, [outputs.mean(axis=0)]


def convolutional_of(encoder: ConvolutionalEncoder, x: Array) -> tuple[Array, list[Array]]:
    if encoder.table is None:  # waves as widely spread as the learned table at its start, 0.1
        positions = np.stack([0.1 * np.sqrt(2.0) * wave(i, INPUT) for i in range(len(x))])
    else:
        positions = array(encoder.table.weight)[: len(x)]
    blocks = [(array(block.weight).transpose(0, 2, 1), array(block.bias)) for block in encoder.blocks]
    layer = encoder.input_layer
    outputs = convolutional(x, positions, array(layer.weight), array(layer.bias), blocks)
    return outputs, [outputs.mean(axis=0)]


def lstm_parameters(cell: nn.Module) -> LSTMParameters:
    assert isinstance(cell, LSTM)
    stacked = (cell.input_weight, cell.recurrent_weight, cell.input_bias)
    gates = zip(*(np.split(array(parameter), 4) for parameter in stacked), strict=True)
    return LSTMParameters(**dict(zip(("input", "forget", "cell", "output"), map(affine, gates), strict=True)))


def affine(arrays: Iterable[Array]) -> Affine:
    return Affine(*arrays)


def gnmt_of(encoder: GNMTEncoder, x: Array) -> tuple[Array, list[Array]]:
    lowest = (encoder.lowest.forward_cell, encoder.lowest.backward_cell)
    higher = [lstm_parameters(cell) for cell in encoder.higher.cell.layers]
    outputs, states = gnmt(x, *map(lstm_parameters, lowest), higher)
    return outputs, [leaf for state in states for leaf in state]


CASES: dict[str, tuple[Callable[[int], SequenceEncoder], Reference]] = {
    "Transformer": (
        partial(TransformerEncoder, hidden_size=4, layers=2, heads=2, feed_forward_size=5),
        transformer_of,
    ),
    "Transformer-odd": (partial(TransformerEncoder, hidden_size=5, layers=1, heads=1), transformer_of),
    "Transformer-rotary": (
        partial(TransformerEncoder, hidden_size=8, layers=2, heads=2, positions="rotary"),
        transformer_of,
    ),
    "Convolutional": (partial(ConvolutionalEncoder, hidden_size=4, layers=3), convolutional_of),
    "Convolutional-learned": (
        partial(ConvolutionalEncoder, hidden_size=4, layers=2, positions="learned", longest=6),
        convolutional_of,
    ),
    "Convolutional-wide": (
        partial(ConvolutionalEncoder, hidden_size=2, layers=2, kernel_width=5),
        convolutional_of,
    ),
    "Convolutional-narrow": (
        partial(ConvolutionalEncoder, hidden_size=2, layers=1, kernel_width=1),
        convolutional_of,
    ),
    "GNMT": (partial(GNMTEncoder, hidden_size=4), gnmt_of),
    "GNMT-two": (partial(GNMTEncoder, hidden_size=4, layers=2), gnmt_of),
}
every_case = pytest.mark.parametrize("name", CASES)


def prepare(name: str, lengths: list[int]) -> tuple[SequenceEncoder, Tensor, Tensor, Tensor]:
    """An encoder with weights far from their first values; tokens with NaN in their padding."""
    encoder = CASES[name][0](INPUT).double()
    for parameter in encoder.parameters():
        nn.init.normal_(parameter, std=0.5)
    tokens = torch.tensor(lengths)
    mask = length_mask(tokens, max(lengths))
    x = torch.randn(*mask.shape, INPUT, dtype=torch.float64)
    x[~mask] = float("nan")
    return encoder, x, tokens, mask


@every_case
@settings(max_examples=10, deadline=None)
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4), seed=st.integers(0, 2**16))
def test_values(name: str, lengths: list[int], seed: int) -> None:
    torch.manual_seed(seed)
    encoder, x, tokens, mask = prepare(name, lengths)
    outputs, _, state = encoder(x, tokens)
    assert outputs.shape == (*mask.shape, encoder.output_size)
    assert not outputs[~mask].any()
    for row, length in enumerate(lengths):
        expected, expected_state = CASES[name][1](encoder, array(x)[row, :length])
        np.testing.assert_allclose(array(outputs)[row, :length], expected, **TOLERANCE)
        for leaf, wanted in zip(leaves(state), expected_state, strict=True):
            np.testing.assert_allclose(array(leaf)[row], wanted, **TOLERANCE)


@every_case
def test_gradients(name: str) -> None:
    """Against finite differences along random directions, in tokens and parameters."""
    torch.manual_seed(0)
    encoder, x, tokens, mask = prepare(name, [3, 1, 2])
    real = x[mask].requires_grad_()

    def encode(*_: Tensor) -> tuple[Tensor, ...]:  # what is learnt is moved in place
        padded = torch.full_like(x, float("nan")).masked_scatter(mask.unsqueeze(-1), real)
        outputs, _, state = encoder(padded, tokens)
        return outputs, *leaves(state)

    assert torch.autograd.gradcheck(encode, [real, *encoder.parameters()], fast_mode=True)
