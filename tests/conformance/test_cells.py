"""Every registered cell, each built-in option that changes the equations, stacks, and cells unlike built-in ones."""

from collections.abc import Callable
from functools import partial

import pytest
import torch

from s2s.nn import RecurrentCell, Stack, unroll
from s2s.registry import catalogue
from s2s.testing import KITS, Check, check_cell
from s2s.testing.cells import LENGTHS, compare_with_walk
from s2s.testing.odd_cells import CountingCell, HookedCell, OddCell, RotatingCell, ScalarCell, SlotCell
from s2s_plugins.cells.elman import Elman
from s2s_plugins.cells.gru import GRU
from s2s_plugins.cells.indrnn import IndRNN
from s2s_plugins.cells.lstm import LSTM
from s2s_plugins.cells.qrnn import QRNN
from s2s_plugins.cells.slstm import SLSTM

CellFactory = Callable[[int, int], RecurrentCell]


def stack(*cells: CellFactory, **options: bool | float) -> CellFactory:
    """A stack as a cell factory: each cell reads the outputs of the one below."""

    def build(input_size: int, hidden_size: int) -> Stack:
        built: list[RecurrentCell] = []
        for cell in cells:
            built.append(cell(built[-1].output_size if built else input_size, hidden_size))
        return Stack(built, **options)

    return build


REGISTERED: dict[str, CellFactory] = {
    entry.name: catalogue().load("cell", entry.name) for entry in catalogue().entries("cell")
}
CELLS: dict[str, CellFactory] = REGISTERED | {
    "Elman-relu": partial(Elman, activation="relu"),
    "Elman-dropout": partial(Elman, recurrent_dropout=0.5),
    "LSTM-dropout": partial(LSTM, recurrent_dropout=0.5),
    "GRU-reset-before": partial(GRU, reset_before=True),
    "GRU-dropout": partial(GRU, recurrent_dropout=0.5),
    "GRU-reset-before-dropout": partial(GRU, reset_before=True, recurrent_dropout=0.5),
    "IndRNN-tanh": partial(IndRNN, activation="tanh"),
    "QRNN-window-3-zoneout": partial(QRNN, window=3, zoneout=0.5),
    "SLSTM-heads-exponential": partial(SLSTM, heads=2, forget_gate="exponential"),
    "odd": OddCell,
    "slots": SlotCell,
    "scalar": ScalarCell,
    "counting": CountingCell,
    "rotating": RotatingCell,
    "hooked": HookedCell,
    "stack": stack(LSTM, GRU),
    "stack-residual": stack(GRU, LSTM, OddCell, residual=True),
    "stack-one": stack(Elman),
    "stack-odd-first": stack(OddCell, SlotCell, ScalarCell),
    "stack-counting": stack(CountingCell, LSTM, CountingCell, residual=True),
    "stack-variational": stack(partial(LSTM, recurrent_dropout=0.5), GRU, dropout=0.5, variational=True),
    "stack-masks-only": stack(LSTM, LSTM, dropout=0.5, variational=True, residual=True),
}


def test_cells_are_registered() -> None:
    assert {"Elman", "GRU", "LSTM"} <= set(REGISTERED)


FOR_REGISTERED_CELLS = ("constructor", "learning", "export")
"""Checks of cells that a configuration can name; the cells that stand for third-party ones pass the others."""

CASES = [
    pytest.param(name, check, id=f"{name}-{check}")
    for name in CELLS
    for check in KITS["cell"]
    if not check.slow and (name in REGISTERED or check.name not in FOR_REGISTERED_CELLS)
]


@pytest.mark.parametrize(("name", "check"), CASES)
def test_cell(name: str, check: Check) -> None:
    check(CELLS[name])


NOISY = (
    "Elman-dropout",
    "LSTM-dropout",
    "GRU-dropout",
    "GRU-reset-before-dropout",
    "QRNN-window-3-zoneout",
    "slots",
)
NOISY_STACKS = ("stack-variational", "stack-masks-only", "stack-odd-first")


@pytest.mark.parametrize("name", NOISY + NOISY_STACKS)
def test_noise_is_used(name: str) -> None:
    """Noise that is sampled but not used would pass every comparison of two implementations."""
    torch.manual_seed(0)
    cell = CELLS[name](3, 4).double()
    x = torch.randn(len(LENGTHS), max(LENGTHS), 3, dtype=torch.float64)
    noise = cell.train().noise(len(LENGTHS), like=x)
    quiet, _ = unroll(cell.eval(), x, torch.tensor(LENGTHS))
    noisy, _ = unroll(cell, x, torch.tensor(LENGTHS), noise=noise)
    assert (noisy - quiet).abs().max() > 1e-3
    drawn, _ = unroll(cell.train(), x, torch.tensor(LENGTHS))  # not passed: sampled in training
    assert (drawn - quiet).abs().max() > 1e-3


@pytest.mark.parametrize("name", [name for name in CELLS if name not in NOISY + NOISY_STACKS])
def test_quiet_cells_draw_nothing(name: str) -> None:
    cell = CELLS[name](3, 4).train()
    assert cell.noise(2, like=torch.zeros(1)) is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no graphics card: cuDNN's kernels go unchecked")
@pytest.mark.parametrize("name", REGISTERED)
def test_on_a_graphics_card(name: str) -> None:
    check_cell(REGISTERED[name], device="cuda")


@pytest.mark.parametrize("name", ["LSTM", "GRU", "odd", "stack-residual"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_long_rows(name: str, dtype: torch.dtype) -> None:
    """Rounding and frozen states over forty steps, with the widest gap between lengths."""
    torch.manual_seed(0)
    compare_with_walk(CELLS[name], (40, 1, 17), dtype=dtype)


def test_no_part_of_ours_declares_a_failure() -> None:
    parts = [catalogue().load(kind, name) for kind in KITS for name in catalogue().names(kind)]
    assert not [part for part in parts if getattr(part, "expected_failures", {})]
