"""A sentence's encoding is its own: neither batch mates nor padding nor what lies in it has a part in it."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from s2s.nn import SequenceEncoder, leaves, length_mask
from s2s.testing.odd_cells import OddCell, SlotCell
from s2s_plugins.cells.gru import GRU
from s2s_plugins.encoders.convolutional import ConvolutionalEncoder
from s2s_plugins.encoders.gnmt import GNMTEncoder
from s2s_plugins.encoders.transformer import TransformerEncoder

INPUT, HIDDEN = 3, 8
ENCODERS: dict[str, Callable[..., SequenceEncoder]] = {
    "Transformer": partial(TransformerEncoder, hidden_size=HIDDEN, layers=2, heads=2),
    "Transformer-rotary": partial(
        TransformerEncoder, hidden_size=HIDDEN, layers=2, heads=2, positions="rotary"
    ),
    "Convolutional": partial(ConvolutionalEncoder, hidden_size=HIDDEN, layers=3, kernel_width=5),
    "Convolutional-learned": partial(ConvolutionalEncoder, hidden_size=HIDDEN, layers=2, positions="learned"),
    "GNMT": partial(GNMTEncoder, hidden_size=HIDDEN),
    "GNMT-GRU": partial(GNMTEncoder, hidden_size=HIDDEN, layers=2, cell=GRU),
    "GNMT-odd": partial(GNMTEncoder, hidden_size=HIDDEN, cell=OddCell),
    "GNMT-slots": partial(GNMTEncoder, hidden_size=HIDDEN, cell=SlotCell),
}
every_encoder = pytest.mark.parametrize("name", ENCODERS)


def build(name: str, *, dropout: float = 0.0) -> SequenceEncoder:
    torch.manual_seed(0)
    encoder = ENCODERS[name](INPUT, dropout=dropout)
    return encoder.eval()


def encode(encoder: SequenceEncoder, x: Tensor, lengths: Tensor) -> list[Tensor]:
    """Outputs and features."""
    outputs, _, state = encoder(x, lengths)
    return [outputs, encoder.features(state)]


@every_encoder
@pytest.mark.parametrize("filling", [float("nan"), float("inf"), 1e30])
def test_what_lies_in_the_padding(name: str, filling: float) -> None:
    """It changes no bit: of outputs, features, gradients in tokens and parameters."""
    encoder = build(name)
    lengths = torch.tensor([4, 1, 3])
    padding = ~length_mask(lengths, 6)  # a batch may be wider than its longest sentence
    clean = torch.randn(3, 6, INPUT)
    results = []
    for value in (0.0, filling):
        x = clean.clone()
        x[padding] = value
        x.requires_grad_()
        outputs, features = encode(encoder, x, lengths)
        assert not outputs[padding].any()
        loss = (outputs * clean.mean()).square().sum() + features.sum()
        results.append([outputs, features, *torch.autograd.grad(loss, [x, *encoder.parameters()])])
    assert not results[1][2][padding].any()
    for expected, found in zip(*results, strict=True):
        assert torch.equal(found, expected)


@every_encoder
@settings(max_examples=10, deadline=None)
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=5), seed=st.integers(0, 2**16))
def test_alone_as_in_a_batch(name: str, lengths: list[int], seed: int) -> None:
    """float32: within 1e-5, in any batch and in any order; and the same bits beside other mates as long."""
    encoder = build(name)
    torch.manual_seed(seed)
    x, tokens = torch.randn(len(lengths), max(lengths), INPUT), torch.tensor(lengths)
    with torch.no_grad():
        together = encode(encoder, x, tokens)
        backwards = encode(encoder, x.flip(0), tokens.flip(0))
        for row, length in enumerate(lengths):
            alone = encode(encoder, x[row : row + 1, :length], tokens[row : row + 1])
            for found in ([part[row] for part in together], [part[-1 - row] for part in backwards]):
                torch.testing.assert_close(found[0][:length], alone[0][0], rtol=0, atol=1e-5)
                torch.testing.assert_close(found[1], alone[1][0], rtol=0, atol=1e-5)
        mates = torch.randn_like(x)
        mates[0] = x[0]
        for found, expected in zip(encode(encoder, mates, tokens), together, strict=True):
            assert torch.equal(found[0], expected[0])


@every_encoder
def test_dropout_in_training_only(name: str) -> None:
    encoder = build(name, dropout=0.5)
    x, lengths = torch.randn(2, 5, INPUT), torch.tensor([5, 3])
    quiet = encode(encoder, x, lengths)
    assert torch.equal(encode(encoder, x, lengths)[0], quiet[0])
    noisy = encode(encoder.train(), x, lengths)
    assert not torch.equal(noisy[0], quiet[0]) and not torch.equal(encode(encoder, x, lengths)[0], noisy[0])
    assert not noisy[0][1, 3:].any()


@every_encoder
def test_mixed_precision(name: str) -> None:
    """bfloat16 keeps 8 bits, 4e-3 at each rounding; outputs and state stay in float32."""
    encoder = build(name)
    x, lengths = torch.randn(3, 6, INPUT), torch.tensor([6, 2, 4])
    exact = [part.detach() for part in encode(encoder, x, lengths)]
    with torch.autocast("cpu", torch.bfloat16):
        outputs, _, state = encoder(x, lengths)
        features = encoder.features(state)
    assert outputs.dtype == torch.float32 or name.startswith("GNMT")  # cells choose the type of their outputs
    assert {leaf.dtype for leaf in leaves(state)} == {torch.float32}
    for found, expected in zip((outputs.float(), features), exact, strict=True):
        torch.testing.assert_close(found, expected, rtol=0.05, atol=0.05 * float(expected.abs().max()))
