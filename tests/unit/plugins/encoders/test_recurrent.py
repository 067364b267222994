"""The recurrent encoder against its layers walked by hand: one sentence, direction and step at a time."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from s2s.errors import ConfigError
from s2s.nn import Bidirectional, RecurrentCell, Unidirectional, leaves, length_mask, map_state
from s2s.testing.cells import walk
from s2s.testing.odd_cells import OddCell, SlotCell
from s2s_plugins.cells.elman import Elman
from s2s_plugins.cells.gru import GRU
from s2s_plugins.cells.lstm import LSTM
from s2s_plugins.encoders.recurrent import RecurrentEncoder

INPUT, HIDDEN = 3, 4
LENGTHS = (4, 1, 3)
CELLS: dict[str, Callable[[int, int], RecurrentCell]] = {
    "LSTM": LSTM,
    "GRU": GRU,
    "GRU-reset-before": partial(GRU, reset_before=True),
    "Elman": Elman,
    "odd": OddCell,
    "slots": SlotCell,
}


def build(cell: str, **options: Any) -> RecurrentEncoder:
    torch.manual_seed(0)
    return RecurrentEncoder(INPUT, cell=CELLS[cell], hidden_size=HIDDEN, **options).double().eval()


def walk_sentence(encoder: RecurrentEncoder, x: Tensor) -> tuple[Tensor, Any]:
    """One sentence [time, input]: outputs [time, E] and the state, layer by layer."""
    x = x.unsqueeze(0)
    length = torch.tensor([x.size(1)])
    states = []
    for i, layer in enumerate(encoder.layers):
        if isinstance(layer, Bidirectional):
            cells = [(layer.forward_cell, False), (layer.backward_cell, True)]
        else:
            assert isinstance(layer, Unidirectional)
            cells = [(layer.cell, False)]
        runs = [
            walk(cell, x, length, cell.initial_state(1, like=x), reverse=reverse) for cell, reverse in cells
        ]
        outputs = torch.cat([outputs for outputs, _ in runs], dim=-1)
        states.append(tuple(state for _, state in runs))
        x = outputs + x if encoder.residual and i > 0 else outputs  # Wu et al. 2016: from the second layer on
    return x[0], tuple(states)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_against_walk(cell: str, layers: int, bidirectional: bool, residual: bool) -> None:
    """Padding holds NaN. Outputs, states, gradients are each sentence's alone; zero at padding."""
    encoder = build(cell, layers=layers, bidirectional=bidirectional, residual=residual)
    lengths = torch.tensor(LENGTHS)
    mask = length_mask(lengths, max(LENGTHS))
    x = torch.randn(*mask.shape, INPUT, dtype=torch.float64)
    x[~mask] = float("nan")
    x.requires_grad_()
    encoded = encoder(x, lengths)
    assert encoded.outputs.shape == (*mask.shape, encoder.output_size)
    assert not encoded.outputs[~mask].any()
    torch.testing.assert_close(encoded.lengths, lengths)

    walked = [walk_sentence(encoder, x[row, :length]) for row, length in enumerate(LENGTHS)]
    expected = torch.cat([outputs for outputs, _ in walked])
    torch.testing.assert_close(encoded.outputs[mask], expected, rtol=1e-10, atol=1e-10)
    expected_state = map_state(lambda *rows: torch.cat(rows), *(state for _, state in walked))
    for found, wanted in zip(leaves(encoded.state), leaves(expected_state), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)

    features = encoder.features(encoded.state)
    assert features.shape == (len(LENGTHS), encoder.feature_size)
    weights = torch.randn_like(expected)
    parameters = list(encoder.parameters())
    on_state = [torch.randn_like(leaf) for leaf in leaves(expected_state)]

    def gradients(outputs: Tensor, state: Any) -> tuple[Tensor, ...]:
        loss = (outputs * weights).sum()
        loss = loss + sum((leaf * on).sum() for leaf, on in zip(leaves(state), on_state, strict=True))
        return torch.autograd.grad(loss, [x, *parameters])

    found_gradients = gradients(encoded.outputs[mask], encoded.state)
    for found, wanted in zip(found_gradients, gradients(expected, expected_state), strict=True):
        assert found.isfinite().all()
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_first_layer_has_no_residual(bidirectional: bool) -> None:
    """Not even where the tokens are as wide as its outputs (Wu et al. 2016: from the second layer on)."""
    torch.manual_seed(0)
    width = 2 * HIDDEN if bidirectional else HIDDEN
    encoder = RecurrentEncoder(
        width, hidden_size=HIDDEN, layers=2, bidirectional=bidirectional, residual=True
    )
    encoder = encoder.double().eval()
    x = torch.randn(1, 4, width, dtype=torch.float64)
    expected, _ = walk_sentence(encoder, x[0])
    torch.testing.assert_close(encoder(x, torch.tensor([4])).outputs[0], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("cell", CELLS)
def test_reverse_is_the_reversed_source(cell: str) -> None:
    """The same cells over the words from last to first; outputs stand where their words stand."""
    forth = build(cell, layers=2, bidirectional=False, residual=True)
    back = build(cell, layers=2, bidirectional=False, residual=True, reverse=True)
    lengths = torch.tensor(LENGTHS)
    x = torch.randn(len(LENGTHS), max(LENGTHS), INPUT, dtype=torch.float64)
    x[~length_mask(lengths, max(LENGTHS))] = float("nan")
    found = back(x, lengths)
    for row, length in enumerate(LENGTHS):
        expected = forth(x[row : row + 1, :length].flip(1), torch.tensor([length]))
        torch.testing.assert_close(
            found.outputs[row, :length], expected.outputs[0].flip(0), rtol=1e-10, atol=1e-10
        )
        assert not found.outputs[row, length:].any()
        for leaf, wanted in zip(leaves(found.state), leaves(expected.state), strict=True):
            torch.testing.assert_close(leaf[row : row + 1], wanted, rtol=1e-10, atol=1e-10)


def test_reverse_is_for_one_direction() -> None:
    with pytest.raises(
        ConfigError, match="reverse: true has no meaning .*; set bidirectional: false as well"
    ):
        build("GRU", reverse=True)


@pytest.mark.parametrize("cell", CELLS)
def test_features_depend_on_every_leaf(cell: str) -> None:
    """A leaf that features leaves out would not reach the decoder."""
    encoder = build(cell, layers=2)
    encoded = encoder(torch.randn(2, 3, INPUT, dtype=torch.float64), torch.tensor([3, 2]))
    state = map_state(lambda leaf: leaf.detach().requires_grad_(), encoded.state)
    features = encoder.features(state)
    gradients = torch.autograd.grad((features * torch.randn_like(features)).sum(), leaves(state))
    assert all(gradient.abs().gt(0).all() for gradient in gradients)


@pytest.mark.parametrize("variational", [False, True])
def test_dropout_in_training_only(variational: bool) -> None:
    encoder = build("GRU", layers=2, dropout=0.5, variational=variational)
    x, lengths = torch.randn(2, 5, INPUT, dtype=torch.float64), torch.tensor([5, 3])
    quiet = encoder(x, lengths).outputs
    torch.testing.assert_close(encoder(x, lengths).outputs, quiet, rtol=0, atol=0)
    noisy = encoder.train()(x, lengths).outputs
    dropped = noisy[0] == 0
    assert dropped.any() and not dropped.all()
    same_at_all_positions = bool((dropped == dropped[:1]).all())
    assert same_at_all_positions == variational
    assert not noisy[1, 3:].any()


@pytest.mark.parametrize("cell", CELLS)
def test_bfloat16_keeps_the_state_s_type(cell: str) -> None:
    encoder = build(cell, layers=2).float()
    with torch.autocast("cpu", torch.bfloat16):
        encoded = encoder(torch.randn(2, 5, INPUT), torch.tensor([5, 3]))
    assert {leaf.dtype for leaf in leaves(encoded.state)} == {torch.float32}
    assert encoded.outputs.isfinite().all()


@pytest.mark.parametrize("cell", ["LSTM", "odd"])
@pytest.mark.parametrize(
    "options",
    [
        {"layers": 2, "residual": True},
        {"bidirectional": False, "layers": 2},
        {"bidirectional": False, "reverse": True},
    ],
    ids=str,
)
@torch.no_grad()
def test_folded_tokens_are_read_as_their_vectors(cell: str, options: dict[str, Any]) -> None:
    encoder = build(cell, **options)
    vectors, lengths = torch.randn(7, INPUT).double(), torch.tensor(LENGTHS)
    tokens = torch.tensor([[3, 0, 6, 1], [2, 5, 5, 5], [4, 4, 1, 0]])
    found = encoder.forward_folded(tokens, lengths, encoder.fold_tokens(vectors))
    expected = encoder(vectors[tokens], lengths)
    for one, other in zip(leaves(tuple(found)), leaves(tuple(expected)), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
