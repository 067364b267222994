"""A weight that a part makes after its constructor is refused at the first step, by the part's name and its own."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback
from torch import Tensor, nn

import s2s
from s2s import registry
from s2s.errors import PluginError
from s2s.nn import RecurrentCell, State
from s2s.registry import Catalogue, Entry
from s2s.registry.discovery import discover
from s2s.training.late_weights import WeightsAtStart


class MakesLate(RecurrentCell):
    """Makes what it learns in its step."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, projected_size=hidden_size)

    def step(self, x: Tensor, state: State, noise: object = None) -> tuple[Tensor, State]:
        (h,) = state
        if not hasattr(self, "recurrent"):
            self.recurrent = nn.Linear(self.hidden_size, self.hidden_size)
        h = torch.tanh(x + self.recurrent(h))
        return h, (h,)


class MakesAnew(MakesLate):
    """Has made it in its constructor too, but replaces it."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.recurrent = nn.Linear(hidden_size, hidden_size)

    def step(self, x: Tensor, state: State, noise: object = None) -> tuple[Tensor, State]:
        self.recurrent = nn.Linear(self.hidden_size, self.hidden_size)
        return super().step(x, state)


class MakesInValidation(MakesLate):
    """Makes something else when it is validated."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.recurrent = nn.Linear(hidden_size, hidden_size)

    def step(self, x: Tensor, state: State, noise: object = None) -> tuple[Tensor, State]:
        if not self.training:
            self.scale = nn.Parameter(torch.ones(self.hidden_size))
        return super().step(x, state)


CELLS = [MakesLate, MakesAnew, MakesInValidation]


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A small training; the cells are in the catalogue."""
    entries = [Entry("cell", cell.__name__, f"{__name__}:{cell.__name__}", "made-up", "1") for cell in CELLS]
    monkeypatch.setattr(registry, "_catalogue", Catalogue([*discover().entries(), *entries]))
    (tmp_path / "pairs.tsv").write_text("".join(f"{a} {b}\t{b} {a}\n" for a in "abcd" for b in "efgh"))
    return {
        "model.embedding.size": 4,
        "model.encoder": {"class_path": "Recurrent", "init_args": {"hidden_size": 4}},
        "model.decoder": {"class_path": "Recurrent", "init_args": {"hidden_size": 4}},
        "data.train": str(tmp_path / "pairs.tsv"),
        "data.validation": str(tmp_path / "pairs.tsv"),
        "data.tokenizer": "Words",
        "data.batch_sentences": 4,
        "data.cache": str(tmp_path / "cache"),
        "trainer.max_epochs": 2,
        "trainer.logger": False,
        "trainer.accelerator": "cpu",
        "run_folder": str(tmp_path / "run"),
    }


@pytest.mark.parametrize("cell", ["MakesLate", "MakesAnew"])
def test_no_step_is_taken_without_a_weight(options: dict[str, Any], cell: str) -> None:
    steps: list[int] = []

    class Counting(Callback):
        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            steps.append(trainer.global_step)

    told = rf"^{cell} made recurrent.weight, recurrent.bias in `step` .*; make it in __init__"
    with pytest.raises(PluginError, match=told):
        s2s.fit({**options, "model.encoder.cell": cell}, callbacks=[Counting()])
    assert not steps
    assert not list(Path(options["run_folder"]).rglob("*.ckpt"))


def test_a_weight_that_validation_makes_is_refused_before_a_checkpoint_holds_it(
    options: dict[str, Any],
) -> None:
    with pytest.raises(PluginError, match=r"^MakesInValidation made scale in `step` .*; make it in __init__"):
        s2s.fit({**options, "model.encoder.cell": "MakesInValidation"})
    folder = Path(options["run_folder"])
    assert not (folder / "checkpoints" / "best.ckpt").exists()
    for checkpoint in folder.rglob("*.ckpt"):  # from before the validation
        names = torch.load(checkpoint, weights_only=True)["state_dict"]
        assert not [name for name in names if "scale" in name]


def test_what_is_there_from_the_start_is_no_late_weight() -> None:
    model = nn.Sequential(nn.LazyLinear(3), nn.Linear(3, 2))
    start = WeightsAtStart(model)
    model(torch.zeros(1, 4))  # torch's own lazy module: its weight was there, without a shape
    model.load_state_dict(model.state_dict())
    model.double()
    start.refuse_others(model)


def test_the_part_is_named_that_was_there_at_the_start() -> None:
    model = nn.Sequential(nn.Sequential(nn.Linear(2, 2)))
    start = WeightsAtStart(model)
    model[0][0].extra = nn.Bilinear(1, 1, 1)
    model.late = nn.Sequential(nn.Linear(1, 1, bias=False))
    message = (
        "^Linear made extra.weight, extra.bias, Sequential made late.0.weight in `step` or `forward`, so"
    )
    with pytest.raises(PluginError, match=message):
        start.refuse_others(model)
    model.more = nn.Linear(1, 1)
    with pytest.raises(PluginError, match=r"late.0.weight, and 2 more in"):
        start.refuse_others(model)
