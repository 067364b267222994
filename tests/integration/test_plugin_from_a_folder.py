"""A custom cell from a folder: it trains, is exported by name, and translates."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = '''
"""A minimal gated unit (Zhou et al. 2016), with one gate."""

import torch
from torch import Tensor, nn

from s2s.evaluation.metric import Metric, Score
from s2s.nn.cell import RecurrentCell, State
from s2s.registry import hookimpl


@hookimpl
def s2s_cells():
    return {"OneGate": "one_gate:OneGate"}


@hookimpl
def s2s_metrics():
    return {"Judge": "one_gate:Judge"}


class Judge(Metric):
    """Likes all outputs.

    Args:
        order: at least 1.
    """

    def __init__(self, *, order: int = 1) -> None:
        if order < 1:
            raise TypeError("an order of nothing")

    def score(self, hypotheses, references):
        return Score(1.0, "Judge|version:1.0", "Judge", len(hypotheses))


class OneGate(RecurrentCell):
    """h' = (1 - forget) * h + forget * candidate.

    Args:
        bias: Initial bias of the gate.
    """

    def __init__(self, input_size: int, hidden_size: int, *, bias: float = 1.0) -> None:
        super().__init__(input_size, hidden_size, projected_size=2 * hidden_size)
        if bias < 0:
            raise ValueError("the gate must begin open")
        self.recurrent = nn.Linear(hidden_size, hidden_size)
        nn.init.constant_(self.recurrent.bias, bias)

    def step(self, x: Tensor, state: State, noise: object = None) -> tuple[Tensor, State]:
        (h,) = state
        gate_in, candidate_in = x.chunk(2, -1)
        forget = torch.sigmoid(gate_in + self.recurrent(h))
        h = (1 - forget) * h + forget * torch.tanh(candidate_in + forget * h)
        return h, (h,)
'''


def s2s(*words: str, cwd: Path, text: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "s2s", *words]
    return subprocess.run(command, cwd=cwd, input=text, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run in which a model with the custom cell was trained."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "plugins").mkdir()
    (folder / "plugins" / "one_gate.py").write_text(PLUGIN)
    lines = [f"{a} {b} boat\tboat {b} {a}\n" for a in "abcdefgh" for b in "rstuvw"]
    (folder / "pairs.tsv").write_text("".join(lines))
    words = ["--data.train=pairs.tsv", "--data.validation=pairs.tsv", "--data.tokenizer=Words"]
    words += [
        "--model.encoder.cell=OneGate",
        "--model.encoder.cell.bias=0.5",
        "--model.encoder.hidden_size=8",
    ]
    words += ["--model.decoder.cell=OneGate", "--model.decoder.hidden_size=8", "--model.embedding.size=8"]
    options = ["--trainer.max_epochs=1", "--run_folder=run", "--plugin-dir", "plugins"]
    trained = s2s("fit", *words, *options, cwd=folder)
    assert trained.returncode == 0, trained.stderr
    return folder


def test_the_cell_is_listed(folder: Path) -> None:
    listed = s2s("plugins", "list", "--kind", "cell", "--plugin-dir", "plugins", cwd=folder).stdout
    assert ["OneGate", "cell", "plugins", "ok"] in [line.split() for line in listed.splitlines()]


def test_run_and_bundle_know_it_by_its_name(folder: Path) -> None:
    for file in ("run/config.yaml", "run/bundle/config.json"):
        text = (folder / file).read_text()
        assert "OneGate" in text and "one_gate" not in text


def test_its_bundle_translates(folder: Path) -> None:
    text = "a r boat\n\nb s boat\n"
    translated = s2s("translate", "run/bundle", "--plugin-dir", "plugins", cwd=folder, text=text)
    assert translated.returncode == 0, translated.stderr
    assert translated.stdout.count("\n") == 3


def test_without_the_folder_the_bundle_says_what_is_missing(folder: Path) -> None:
    told = s2s("translate", "run/bundle", cwd=folder, text="a\n")
    assert told.returncode == 2
    assert "unknown cell 'OneGate'" in told.stderr and "Traceback" not in told.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--model.encoder.cell=OneGate", "--model.encoder.cell.bias=-1"],
            r"cell 'OneGate' cannot be built with input_size=\d+, hidden_size=\d+, bias=-1.0: ValueError: the gate "
            r"must begin open \(line \d+ of one_gate\). See: s2s plugins show OneGate",
        ),
        (
            ["--model.metric=Judge", "--model.metric.order=0", "--model.monitor=val_Judge"],
            r"metric 'Judge' cannot be built with order=0: TypeError: an order of nothing \(line \d+ of one_gate\)",
        ),
    ],
)
def test_a_value_that_its_constructor_refuses(folder: Path, words: list[str], message: str) -> None:
    data = ["--data.train=pairs.tsv", "--data.tokenizer=Words", "--run_folder=refused"]
    told = s2s("fit", *data, *words, "--plugin-dir", "plugins", cwd=folder)
    assert told.returncode == 2
    assert re.search(f"^s2s: error: {message}", told.stderr, re.MULTILINE) and "Traceback" not in told.stderr
