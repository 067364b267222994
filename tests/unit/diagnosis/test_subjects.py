"""Cells by name, with options; cells that cannot take part; recurrent weights, scaled."""

import pytest
import torch

from s2s.diagnosis import subjects as module
from s2s.diagnosis.subjects import Subject, Unfit, scale_recurrence, subjects, try_out
from s2s.errors import ConfigError
from s2s.nn import RecurrentCell
from s2s.registry import catalogue
from s2s.testing.odd_cells import OddCell
from s2s_plugins.cells.elman import Elman
from s2s_plugins.cells.gru import GRU
from s2s_plugins.cells.indrnn import IndRNN
from s2s_plugins.cells.lstm import LSTM


def test_names_and_options() -> None:
    plain, wide = subjects(["LSTM", {"class_path": "LSTM", "init_args": {"forget_bias": 3.0}}])
    assert (plain.label, wide.label) == ("LSTM", "LSTM forget_bias=3.0")
    assert plain.has("forget_bias") and not Subject("GRU", {}).has("forget_bias")
    assert plain.with_option("forget_bias", 3.0) == wide
    assert wide.build(2, 3, seed=1).input_bias[3].item() == 3.0
    same, other = (plain.build(2, 3, seed=seed).recurrent_weight for seed in (1, 2))
    assert torch.equal(plain.build(2, 3, seed=1).recurrent_weight, same) and not torch.equal(same, other)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["LSTN"], r"unknown cell 'LSTN'; did you mean 'LSTM'\? Known: .*Elman.* See: s2s plugins list"),
        (
            [{"class_path": "LSTM", "init_args": {"forget_bais": 1}}],
            r"cell 'LSTM': unknown option 'forget_bais'; did you mean 'forget_bias'\?",
        ),
        (["GRU", "Elman", "GRU"], "cell 'GRU' is given twice; cells are compared with each other"),
        ([], "no cell is named. See: s2s plugins list --kind cell"),
    ],
)
def test_what_cannot_be_named(cells: list, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        subjects(cells)


@pytest.mark.parametrize("kind", [Elman, LSTM, GRU])
def test_only_the_recurrent_weights_are_scaled(kind: type[RecurrentCell]) -> None:
    torch.manual_seed(1)
    cell = kind(3, 5)
    before = {name: value.clone() for name, value in cell.named_parameters()}
    scale_recurrence(cell, 1.5)
    for name, value in cell.named_parameters():
        factor = 1.5 if name == "recurrent_weight" else 1.0
        assert torch.equal(value, factor * before[name]), name
    for block in cell.recurrent_weight.split(5):  # they start orthogonal
        radius = torch.linalg.eigvals(block.detach()).abs().max()
        assert float(radius) == pytest.approx(1.5, rel=1e-5)


def test_recurrent_weights_that_cannot_be_scaled() -> None:
    with pytest.raises(Unfit, match="it has no recurrent matrix"):
        scale_recurrence(IndRNN(3, 4), 2.0)
    with pytest.raises(Unfit, match="it owns no projection, so its recurrent weights cannot be told from"):
        scale_recurrence(OddCell(3, 4), 2.0)


class Choosy(RecurrentCell):
    def __init__(self, input_size: int, hidden_size: int) -> None:
        if hidden_size % 2:
            raise ValueError("an odd size\nand more")
        super().__init__(input_size, hidden_size, projected_size=hidden_size)

    def step(self, x, state, noise=None):
        if x.dtype == torch.float64:
            raise RuntimeError("no float64 here")
        return x, (x,)


def test_cells_that_cannot_take_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "factory", lambda kind, spec: Choosy)
    with pytest.raises(Unfit) as error:
        try_out(Subject("Choosy", {}), 3, 5)
    assert str(error.value) == "it cannot be built with input_size 3, hidden_size 5: ValueError: an odd size"
    with pytest.raises(Unfit) as error:
        try_out(Subject("Choosy", {}), 3, 4)
    assert str(error.value) == (
        "it cannot run with input_size 3, hidden_size 4 in torch.float64: RuntimeError: no float64 here"
    )


@pytest.mark.parametrize("name", catalogue().names("cell"))
def test_every_registered_cell_can(name: str) -> None:
    try_out(Subject(name, {}), 3, 8)
