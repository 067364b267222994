"""Options of the encoders: what cannot be is refused in one line, what can be does what it says."""

from collections.abc import Callable
from functools import partial

import pytest
import torch

from s2s.errors import ConfigError
from s2s.nn import Bidirectional, Unidirectional, leaves, map_state, unroll
from s2s.testing.odd_cells import OddCell, SlotCell
from s2s_plugins.cells.elman import Elman
from s2s_plugins.encoders.convolutional import ConvolutionalEncoder
from s2s_plugins.encoders.gnmt import GNMTEncoder
from s2s_plugins.encoders.positions import rotate, sinusoids
from s2s_plugins.encoders.transformer import TransformerEncoder


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            partial(TransformerEncoder, hidden_size=10, heads=4),
            "hidden_size 10 cannot .* 4 heads; choose a multiple of 4",
        ),
        (
            partial(TransformerEncoder, hidden_size=6, heads=2, positions="rotary"),
            "a head has 3; choose hidden_size as a multiple of 4, or positions: sinusoidal",
        ),
        (partial(TransformerEncoder, heads=0), "heads 0 is impossible"),
        (partial(TransformerEncoder, layers=0), "layers 0 is impossible"),
        (partial(TransformerEncoder, hidden_size=0), "hidden_size 0 is impossible"),
        (
            partial(TransformerEncoder, hidden_size=8, feed_forward_size=0),
            "feed_forward_size 0 is impossible",
        ),
        (partial(TransformerEncoder, dropout=1.0), "a dropout probability of 1.0 is impossible"),
        (
            partial(ConvolutionalEncoder, kernel_width=2),
            "kernel_width 2 has no middle; choose an odd one, as 3",
        ),
        (partial(ConvolutionalEncoder, kernel_width=0), "kernel_width 0 is impossible"),
        (partial(ConvolutionalEncoder, layers=0), "layers 0 is impossible"),
        (partial(ConvolutionalEncoder, hidden_size=-1), "hidden_size -1 is impossible"),
        (partial(ConvolutionalEncoder, positions="learned", longest=0), "longest 0 is impossible"),
        (partial(ConvolutionalEncoder, dropout=-0.1), "a dropout probability of -0.1 is impossible"),
        (
            partial(GNMTEncoder, layers=1),
            "layers 1 is impossible.*choose 2 or more, or the encoder Recurrent",
        ),
        (partial(GNMTEncoder, hidden_size=0), "hidden_size 0 is impossible"),
    ],
)
def test_what_describes_no_network(make: Callable[[int], object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(3)


def test_a_table_of_positions_has_an_end() -> None:
    encoder = ConvolutionalEncoder(3, hidden_size=4, positions="learned", longest=5)
    encoder(torch.randn(1, 5, 3), torch.tensor([5]))
    with pytest.raises(
        ConfigError, match="6 tokens.* ends at 5; train with encoder.longest .*encoder.positions: sinusoidal"
    ):
        encoder(torch.randn(1, 6, 3), torch.tensor([6]))


def test_every_position_has_its_own_wave() -> None:
    waves = sinusoids(1000, 8, like=torch.zeros(1, dtype=torch.float64))
    assert torch.cdist(waves, waves).fill_diagonal_(1.0).min() > 1e-3
    assert sinusoids(3, 8, like=torch.zeros(1, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_rotated_products_know_the_distance_alone() -> None:
    """Su et al. 2021, eq. 16: equal vectors, moved on together by any number of positions."""
    torch.manual_seed(0)
    query, key = torch.randn(2, 1, 6, dtype=torch.float64)
    products = rotate(query.expand(9, 6)) @ rotate(key.expand(9, 6)).T
    for distance in range(-8, 9):
        diagonal = products.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), rtol=1e-12, atol=1e-12)
    assert products[0].unique().numel() == 9
    torch.testing.assert_close(rotate(query.expand(9, 6)).norm(dim=-1), query.norm().expand(9))


def test_gated_convolutions_begin_with_the_variance_kept() -> None:
    """Gehring et al. 2017, section 3.5: neither explodes nor fades on its way through the paper's 15 blocks."""
    torch.manual_seed(0)
    encoder = ConvolutionalEncoder(64, hidden_size=64, layers=15)
    tokens = 0.1 * torch.randn(8, 30, 64)  # as embeddings begin
    outputs = encoder(tokens, torch.full((8,), 30)).outputs
    ratio = outputs.var() / (tokens + encoder.positions(tokens)).var()
    assert 0.3 < ratio < 3.0


@pytest.mark.parametrize("cell", [Elman, OddCell, SlotCell])
def test_gnmt_is_its_layers_in_order(cell: type) -> None:
    """Wu et al. 2016 with any cell: both directions, then forwards; what is read is added from the third layer on."""
    torch.manual_seed(0)
    encoder = GNMTEncoder(3, cell=cell, hidden_size=4, layers=4).double().eval()
    assert isinstance(encoder.lowest, Bidirectional) and isinstance(encoder.higher, Unidirectional)
    x, lengths = torch.randn(2, 5, 3, dtype=torch.float64), torch.tensor([5, 3])
    rightward, first = unroll(encoder.lowest.forward_cell, x, lengths)
    leftward, second = unroll(encoder.lowest.backward_cell, x, lengths, reverse=True)
    h, states = torch.cat([rightward, leftward], dim=-1), [first, second]
    for layer, own in enumerate(encoder.higher.cell.layers, start=2):
        outputs, state = unroll(own, h, lengths)
        h = outputs + h if layer >= 3 else outputs
        states.append(state)
    found = encoder(x, lengths)
    torch.testing.assert_close(found.outputs, h, rtol=1e-10, atol=1e-12)
    for leaf, expected in zip(leaves(found.state), leaves(tuple(states)), strict=True):
        torch.testing.assert_close(leaf, expected, rtol=1e-10, atol=1e-12)
    state = map_state(lambda leaf: leaf.detach().requires_grad_(), found.state)
    features = encoder.features(state)
    assert features.shape == (2, encoder.feature_size)
    for gradient in torch.autograd.grad((features * torch.randn_like(features)).sum(), leaves(state)):
        assert gradient.abs().gt(0).all()
