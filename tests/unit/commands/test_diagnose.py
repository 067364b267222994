"""`s2s diagnose`: options, files, messages."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from s2s import registry
from s2s.__main__ import main

TINY = [
    "--input-size",
    "3",
    "--hidden-size",
    "4",
    "--distance",
    "5",
    "--scales",
    "0.5",
    "--lags",
    "4",
    "--steps",
    "2",
]

CELL = '''
import torch
from s2s.nn import RecurrentCell
from s2s.registry import hookimpl


@hookimpl
def s2s_cells():
    return {"Slow": "made_up_slow_cells:Slow", "Picky": "made_up_slow_cells:Picky"}


class Slow(RecurrentCell):
    """Half of the old, half of the new; nothing but a step."""

    def __init__(self, input_size, hidden_size, *, kept: float = 0.5):
        super().__init__(input_size, hidden_size, projected_size=hidden_size)
        self.kept = kept

    def step(self, x, state, noise=None):
        h = self.kept * state[0] + (1 - self.kept) * torch.tanh(x)
        return h, (h,)


class Picky(Slow):
    def __init__(self, input_size, hidden_size):
        raise ValueError("not today")
'''


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(registry, "_catalogue", None)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "made_up_slow_cells.py").write_text(CELL)
    return str(tmp_path / "plugins")


def test_a_plugin_beside_a_known_cell(
    plugin: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    output = tmp_path / "new" / "folder"
    words = ["--plugin-dir", plugin, "diagnose", "--cells", "Elman", "Slow", "Slow,kept=0.9", "Picky", *TINY]
    assert main([*words, "--output", str(output)]) == 0
    printed, progress = capsys.readouterr()
    assert (output / "report.txt").read_text() == printed
    assert sorted(path.name for path in output.iterdir()) == [
        "gradients.csv", "gradients.png", "learning.csv", "learning.png", "report.json", "report.txt"
    ]  # fmt: skip
    told = json.loads((output / "report.json").read_text())
    assert told["cells"] == ["Elman", "Slow", "Slow kept=0.9"]
    assert told["settings"]["lags"] == [4] and told["settings"]["clip"] == 1.0
    # h_T = sum of kept^distance (1 - kept) tanh(x): the factor of a step is what is kept.
    for cell, kept in (("Slow", 0.5), ("Slow kept=0.9", 0.9)):
        (norms,) = (
            g["norms"]
            for g in told["gradients"]
            if (g["cell"], g["series"], g["value"]) == (cell, "scale", 1)
        )
        assert len(norms) == 6
        assert norms[5] / norms[1] == pytest.approx(kept**4, rel=0.6)  # other inputs, other slopes of tanh
    reason = "it cannot be built with input_size 3, hidden_size 4: ValueError: not today"
    assert f"s2s: Picky: skipped: everything: {reason}\n" in progress
    assert f"Picky: skipped: everything: {reason}" in printed
    assert "Slow: skipped: scales of the recurrent weights: it has no recurrent matrix" in printed
    assert "s2s: adding, lag 4, Slow: not solved after 2 updates" in progress


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--cells", "LSTN"], "unknown cell 'LSTN'; did you mean 'LSTM'? Known: "),
        (["--cells", "LSTM,forget_bias"], "--cells 'forget_bias': expected KEY=VALUE"),
        (["--cells", "LSTM,forget_bias=2001-99-99"], "'forget_bias=2001-99-99': the value is no YAML"),
        (["--cells", f"LSTM,forget_bias={'[' * 9999}"], "[': the value is no YAML"),
        (
            ["--cells", "LSTM,forget_bais=1"],
            "cell 'LSTM': unknown option 'forget_bais'; did you mean 'forget_bias'?",
        ),
        (["--lags", "10", "2"], "a lag is 2; it must be 4 or more"),
        (["--lags", "ten"], "--lags is 'ten'; it must be a whole number"),
        (["--steps", "0"], "steps is 0; it must be 1 or more"),
        (["--clip", "-1"], "clip is -1.0; it must be 0 (no clipping) or more"),
        (["--threads", str(10**23)], f"--threads is {10**23}; it must be 1 or more, and at most 1,024"),
        (["--threads", "0"], "--threads is 0; it must be 1 or more"),
        (["--legs", "10"], "unknown option '--legs'; did you mean '--lags'?"),
    ],
)
def test_what_cannot_be(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagnose", *words]) == 2
    assert message in capsys.readouterr().err


def test_a_folder_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["diagnose", "--output", str(tmp_path / "file" / "folder")]) == 2
    assert (
        f"cannot write {tmp_path}/file/folder: Not a directory; what should be its folder is a file"
        in capsys.readouterr().err
    )


def test_pictures_need_matplotlib(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["diagnose", "--output", str(tmp_path)]) == 2
    assert "pictures need matplotlib; install it: pip install 's2s[plots]'" in capsys.readouterr().err


def test_help_tells_the_defaults_without_torch() -> None:
    code = (
        "import atexit, sys; from s2s.__main__ import main;"
        "atexit.register(lambda: print('torch' in sys.modules)); main(['diagnose', '--help'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    told = " ".join(done.stdout.split())
    assert "(default: Elman LSTM GRU)" in told and "(default: 10 20 40 80)" in told
    assert told.endswith("False")
