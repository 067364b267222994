"""Long sequences in pieces: the values of one piece, and gradients that go as far as is said, row by row."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from s2s.nn import RecurrentCell, Segments, Stack, leaves, map_state, unroll
from s2s.nn.cell import advance
from s2s.registry import catalogue
from s2s.testing.odd_cells import OddCell, SlotCell
from s2s_plugins.cells.lstm import LSTM
from s2s_plugins.encoders.gnmt import GNMTEncoder
from s2s_plugins.encoders.recurrent import RecurrentEncoder

LENGTHS = torch.tensor([11, 4, 1, 8])
"""With pieces of 4: rows that end within a piece, at its end, in the first, the second and the last."""
GRADIENTS = ("checkpointed", "truncated", "last")
CELLS: dict[str, Callable[[], RecurrentCell]] = {
    **{
        entry.name: lambda name=entry.name: catalogue().load("cell", name)(3, 4)
        for entry in catalogue().entries("cell")
    },
    "Odd": lambda: OddCell(3, 4),
    "Slots": lambda: SlotCell(3, 4),
    "Stack": lambda: Stack([LSTM(3, 4), LSTM(4, 4)], residual=True),
}
every_cell = pytest.mark.parametrize("name", CELLS)
every_way = pytest.mark.parametrize("gradients", GRADIENTS)


def made(name: str) -> tuple[RecurrentCell, Tensor]:
    torch.manual_seed(0)
    return CELLS[name]().double().eval(), torch.randn(4, 11, 3, dtype=torch.float64, requires_grad=True)


def answer(cell: RecurrentCell, x: Tensor, outputs: Tensor, state: Any) -> list[Tensor]:
    """Outputs, last state, and the gradients of a weighting of them all."""
    values = [outputs, *leaves(state)]
    generator = torch.Generator().manual_seed(1)
    total = sum(
        (value * torch.randn(value.shape, generator=generator, dtype=value.dtype)).sum() for value in values
    )
    gradients = torch.autograd.grad(total, [x, *cell.parameters()], allow_unused=True)
    return [value.detach() for value in values] + [
        torch.zeros(()) if gradient is None else gradient for gradient in gradients
    ]


def by_hand(
    cell: RecurrentCell, x: Tensor, length: int, gradients: str, *, reverse: bool
) -> tuple[Tensor, Any]:
    """One row after the other, one step after the other, cut by `detach` where it is to be cut."""
    rows, states = [], []
    for row, own in enumerate(LENGTHS.tolist()):
        places = list(range(own))[:: -1 if reverse else 1]
        state = cell.initial_state(1, like=x)
        outputs = [torch.zeros(cell.output_size, dtype=x.dtype)] * x.size(1)
        for time, place in enumerate(places):
            if time and time % length == 0 and gradients != "checkpointed":
                state = map_state(torch.Tensor.detach, state)
            output, state = advance(cell, cell.project(x[row : row + 1, place]), state, None)
            earlier = time // length < (own - 1) // length
            outputs[place] = output[0].detach() if earlier and gradients == "last" else output[0]
        rows.append(torch.stack(outputs))
        states.append(state)
    return torch.stack(rows), map_state(lambda *parts: torch.cat(parts), *states)


@every_cell
@every_way
@pytest.mark.parametrize("reverse", [False, True])
def test_values_and_gradients_against_steps_cut_by_hand(name: str, gradients: Any, reverse: bool) -> None:
    cell, x = made(name)
    found = answer(cell, x, *unroll(cell, x, LENGTHS, reverse=reverse, segments=Segments(4, gradients)))
    expected = answer(cell, x, *by_hand(cell, x, 4, gradients, reverse=reverse))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10)


@every_way
def test_one_piece_is_no_piece(gradients: Any) -> None:
    cell, x = made("LSTM")
    plain = answer(cell, x, *unroll(cell, x, LENGTHS))
    for length in (11, 100):
        for one, other in zip(
            answer(cell, x, *unroll(cell, x, LENGTHS, segments=Segments(length, gradients))),
            plain,
            strict=True,
        ):
            assert torch.equal(one, other)


def test_cut_gradients_differ_from_whole_ones() -> None:
    """Else the tests above would show nothing."""
    cell, x = made("GRU")
    weights = [
        answer(cell, x, *unroll(cell, x, LENGTHS, segments=Segments(4, gradients)))[-1]
        for gradients in GRADIENTS
    ]
    assert not torch.allclose(weights[0], weights[1]) and not torch.allclose(weights[1], weights[2])


@every_way
@pytest.mark.parametrize(
    "kind",
    [partial(RecurrentEncoder, layers=2), partial(GNMTEncoder, layers=4, variational=True)],
    ids=["Recurrent", "GNMT"],
)
def test_an_encoder_in_pieces_with_dropout(kind: Callable[..., Any], gradients: Any) -> None:
    """Both directions, several layers, dropout between and within: the same masks when a piece is computed again."""
    x = torch.randn(4, 11, 3, requires_grad=True)
    results = []
    for length in (None, 4):
        torch.manual_seed(0)
        encoder = kind(3, hidden_size=4, dropout=0.3, segment_length=length, segment_gradients=gradients)
        torch.manual_seed(1)
        encoded = encoder(x, LENGTHS)
        total = encoded.outputs.square().sum() + encoder.features(encoded.state).sum()
        results.append((encoded.outputs, torch.autograd.grad(total, list(encoder.parameters()))))
    torch.testing.assert_close(results[0][0], results[1][0])
    if gradients == "checkpointed":
        for one, other in zip(results[0][1], results[1][1], strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_random_numbers_within_a_cell_are_drawn_again() -> None:
    """A stack drops between its layers at every step: what is computed again for gradients drops the same."""
    x = torch.randn(2, 9, 3, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([9, 6])
    torch.manual_seed(0)
    cell = Stack([LSTM(3, 4), LSTM(4, 4)], dropout=0.5).double()

    def total(x: Tensor) -> Tensor:
        torch.manual_seed(5)
        outputs, _ = unroll(cell, x, lengths, segments=Segments(3, "checkpointed"))
        return outputs.square().sum()

    assert torch.autograd.gradcheck(total, (x,), fast_mode=True)
