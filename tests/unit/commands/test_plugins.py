"""`s2s plugins list`, `show` and `check`."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from s2s import __version__, registry
from s2s.__main__ import main
from s2s.registry import KINDS, catalogue
from s2s.testing import KITS


@pytest.fixture(autouse=True)
def own_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_catalogue", None)
    monkeypatch.setattr(sys, "path", list(sys.path))


def test_the_list_has_name_kind_distribution_version_and_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "list"]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["name", "kind", "distribution", "version", "status"]
    assert ["LSTM", "cell", "s2s", __version__, "ok"] in [row.split() for row in rows]


def test_one_kind_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "list", "--kind", "cell", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["kind"] for row in rows} == {"cell"}
    assert {"Elman", "GRU", "LSTM"} <= {row["name"] for row in rows}


def test_broken_plugins_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "made_up_broken.py").write_text("import made_up_absent\n")
    assert main(["plugins", "list", "--plugin-dir", str(tmp_path)]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("made_up_broken"))
    assert "broken: ModuleNotFoundError" in row


def test_an_unknown_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "list", "--kind", "cells"]) == 2
    assert "unknown kind of part 'cells'; did you mean 'cell'" in capsys.readouterr().err


def test_listing_imports_no_torch() -> None:
    code = (
        "import sys; from s2s.__main__ import main; main(['plugins', 'list']);"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


CELL = '''
"""A file with one cell."""

import torch
from torch import nn

from s2s.nn import RecurrentCell
from s2s.registry import hookimpl


class {name}(RecurrentCell):
    """One gate less.

    Args:
        slope: of the nonlinearity.
    """

    {attributes}

    def __init__(self, input_size: int, hidden_size: int, *, slope: float = 1.0) -> None:
        super().__init__(input_size, hidden_size, projected_size=hidden_size)
        self.slope = slope
        self.recurrent = nn.Linear(hidden_size, hidden_size, bias=False)
        nn.init.orthogonal_(self.recurrent.weight)

    def step(self, x, state, noise=None):
        (h,) = state
        h = torch.tanh(self.slope * (x + self.recurrent(h{leak})))
        return h, (h,)


@hookimpl
def s2s_cells():
    return {{"{name}": "{module}:{name}"}}
'''


@pytest.fixture
def write(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Write a plugin of one file."""
    written = []

    def make(module: str, name: str, *, attributes: str = "", leak: str = "") -> Path:
        path = tmp_path / f"{module}.py"
        path.write_text(CELL.format(module=module, name=name, attributes=attributes, leak=leak))
        written.append(module)
        return path

    yield make
    for module in written:
        sys.modules.pop(module, None)


def test_check_tells_each_promise_and_counts(
    write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write("made_up_sound", "MadeUpSound")
    assert main(["plugins", "check", str(path), "--option", "slope=0.9"]) == 0
    head, *lines, summary = capsys.readouterr().out.splitlines()
    assert head == f"cell MadeUpSound, from {path}"
    assert [line.split()[:2] for line in lines] == [
        ["ok", check.name] for check in KITS["cell"] if not check.slow
    ]
    assert re.fullmatch(
        rf"{len(lines)} checks in [\d.]+ s: {len(lines)} passed, 0 failed, 0 expected failures", summary
    )


def test_check_tells_what_was_found_expected_and_where_the_remedy_stands(
    write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write("made_up_leaking", "MadeUpLeaking", leak=" - h.mean(0)")
    assert main(["plugins", "check", str(path)]) == 1
    out = capsys.readouterr().out
    block = out[out.index("FAILED   batch_mates") :].splitlines()[1:5]
    assert [line.split()[0] for line in block] == ["found", "expected", "remedy", "see"]
    assert block[2].split(maxsplit=1)[1].startswith("No row may see another")
    assert block[3].split()[1] == "docs/plugins/cell.md#batch-mates"


def test_a_cause_is_told_once(write: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    path = write("made_up_forgetful", "MadeUpForgetful")
    path.write_text(path.read_text().replace("return h, (h,)", "return h"))
    assert main(["plugins", "check", str(path)]) == 1
    out = capsys.readouterr().out
    told = [line.split("found     ")[1] for line in out.splitlines() if "found     " in line]
    assert out.count("FAILED") == len(told) > 10
    causes = [one for one in told if not one.startswith("the same as in ")]
    assert causes == [
        "that step returns a tensor",
        "step of MadeUpForgetful must return (output, state), state a tuple of tensors: (a tensor, (a tensor,)), "
        "not a tensor",
    ]
    assert {one.removeprefix("the same as in ") for one in told if one not in causes} == {
        "shapes",
        "sequence_equals_steps",
    }


def test_a_cause_is_told_where_it_is_not_expected(
    write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(
        "made_up_declared", "MadeUpDeclared", attributes='expected_failures = {"shapes": "it is so"}'
    )
    path.write_text(path.read_text().replace("return h, (h,)", "return h"))
    assert main(["plugins", "check", str(path)]) == 1
    out = capsys.readouterr().out
    assert "same as in shapes" not in out
    assert out.index("expected shapes") < out.index("found     that step returns a tensor")
    assert out.count("found     that step returns a tensor") == 1


SEVERAL = '''
from s2s.registry import hookimpl


@hookimpl
def s2s_cells():
    return {
        "MadeUpAbsent": "made_up_several:Absent",
        "MadeUpNumber": "made_up_several:NUMBER",
        "MadeUpRated": "made_up_several:Rated",
        "MadeUpSound": "made_up_several_sound:MadeUpSound",
    }


@hookimpl
def s2s_attentions():
    return {"MadeUpOptional": "made_up_several_optional:Optional"}


NUMBER = 3


from made_up_several_sound import MadeUpSound


class Rated(MadeUpSound):
    """One more option.

    Args:
        rate: of what it does.
    """

    def __init__(self, input_size: int, hidden_size: int, *, rate: float) -> None:
        super().__init__(input_size, hidden_size, slope=rate)
'''

OPTIONAL = """
from s2s.errors import ConfigError

try:
    import made_up_package
except ImportError as missing:
    raise ConfigError("Optional needs made_up_package: pip install made-up-package") from missing
"""


@pytest.fixture
def several(write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A plugin of five parts, of which one can be checked; the kits have one check, that of the constructor."""
    write("made_up_several_sound", "MadeUpSound")
    (tmp_path / "made_up_several.py").write_text(SEVERAL)
    (tmp_path / "made_up_several_optional.py").write_text(OPTIONAL)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("s2s.testing.KITS", {kind: checks[:1] for kind, checks in KITS.items()})
    yield str(tmp_path / "made_up_several.py")
    for module in ("made_up_several", "made_up_several_optional"):
        sys.modules.pop(module, None)


def test_a_part_that_cannot_be_built_fails_and_the_others_are_checked(
    several: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plugins", "check", several, "--json"]) == 1
    reports = json.loads(capsys.readouterr().out)
    told = {one["name"]: (one["checks"][0]["status"], one["checks"][0]["explanation"]) for one in reports}
    assert [len(one["checks"]) for one in reports] == [1] * 5
    assert {name for name, (status, _) in told.items() if status == "passed"} == {"MadeUpSound"}
    assert "AttributeError: module 'made_up_several' has no attribute 'Absent'" in told["MadeUpAbsent"][1]
    assert "Correct the target in the plugin's hook" in told["MadeUpAbsent"][1]
    assert "option 'rate' has no default" in told["MadeUpRated"][1]
    assert "To check the rest first: --option rate=VALUE" in told["MadeUpRated"][1]
    assert "needs made_up_package: pip install made-up-package" in told["MadeUpOptional"][1]

    assert main(["plugins", "check", several]) == 1
    *_, summary = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"5 parts, 5 checks in [\d.]+ s: 1 passed, 4 failed, 0 expected failures", summary)


def test_of_several_parts_those_get_an_option_that_have_it(
    several: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--option", "rate=0.5", "--option", "slope=0.9"]
    assert main(["plugins", "check", several, "--json", *words]) == 1
    told = {one["name"]: one["checks"][0] for one in json.loads(capsys.readouterr().out)}
    assert told["MadeUpSound"]["status"] == "passed"
    assert "that 'rate' of made_up_several.Rated has no default" in told["MadeUpRated"]["explanation"]
    assert main(["plugins", "check", "LSTM", "--option", "forget=1"]) == 2
    assert "unknown option 'forget'; did you mean 'forget_bias'" in capsys.readouterr().err


def test_among_all_a_part_that_asks_for_a_package_is_told(
    several: str, capsys: pytest.CaptureFixture[str]
) -> None:
    everything = ["plugins", "check", "--all", "--kind", "attention", "--plugin-dir", several]
    assert main(everything) == 0
    out = capsys.readouterr().out
    assert "  not checked: Optional needs made_up_package: pip install made-up-package\n" in out
    assert re.search(r"\n\d+ parts, 1 not checked, \d+ checks in .* 0 failed, 0 expected failures\n$", out)
    assert main([*everything, "--json"]) == 0
    told = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert told["MadeUpOptional"]["not_checked"].startswith("Optional needs made_up_package")
    assert not told["MadeUpOptional"]["checks"]
    assert told["Bahdanau"]["not_checked"] == ""


MIXES_ROWS = (
    "sequence_equals_steps",
    "mixed_precision",
    "single_steps_and_full_rows",
    "batch_mates",
    "select_state",
    "noise",
    "stack",
    "directions",
    "every_partner",
)
"""Checks that a cell fails whose rows see each other."""


def test_an_expected_failure_is_declared_with_its_reason(
    write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    reason = "rows are normalized together"
    told = ", ".join(f"{check!r}: {reason!r}" for check in MIXES_ROWS)
    path = write(
        "made_up_declared",
        "MadeUpDeclared",
        leak=" - h.mean(0)",
        attributes=f"expected_failures = {{{told}}}",
    )
    assert main(["plugins", "check", str(path), "--json"]) == 0
    (report,) = json.loads(capsys.readouterr().out)
    statuses = {check["name"]: check["status"] for check in report["checks"]}
    assert statuses["batch_mates"] == "expected failure"
    assert statuses["shapes"] == "passed"
    assert {check["reason"] for check in report["checks"] if check["status"] == "expected failure"} == {
        reason
    }


def test_a_declared_failure_that_passes_is_told(
    write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write("made_up_outdated", "MadeUpOutdated", attributes='expected_failures = {"shapes": "none"}')
    assert main(["plugins", "check", str(path)]) == 1
    assert "Take 'shapes' out of expected_failures" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["check"], "name a part or a path to check, or ask for --all"),
        (["check", "LSTN"], "unknown part 'LSTN'; did you mean 'LSTM'"),
        (["check", "LSTM", "--kind", "attention"], "unknown attention 'LSTM'"),
        (["check", "./absent"], "./absent: no such file or folder"),
        (["check", "LSTM", "--option", "forget_bias"], "--option 'forget_bias': expected KEY=VALUE"),
        (["check", "LSTM", "--option", "forget=1"], "unknown option 'forget'; did you mean 'forget_bias'"),
        (
            ["check", "LSTM", "--option", "forget_bias=many"],
            "--option: cell 'LSTM': option 'forget_bias' is 'many'; it must be of type float",
        ),
        (
            ["check", "MultiHead", "--option", "heads=5"],
            "--option: attention_size 4 cannot be shared out among 5 heads; choose a multiple of 5 (the sizes here: in",
        ),
        (
            ["check", "Beam", "--option", "size=0"],
            "--option: beam size 0 is impossible; it must be 1 or more",
        ),
        (["check", "fit"], "there is no kit for kind command; there are kits for cell"),
        (["show", "Recurrent"], "several parts; say which: --kind encoder, --kind decoder"),
        (["show", "LSTM", "--size", "width=3"], "unknown size of cell LSTM 'width'"),
        (["show", "LSTM", "--size", "hidden_size=0"], "expected a whole number, at least 1"),
    ],
)
def test_errors_tell_the_remedy(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", *words]) == 2
    assert message in capsys.readouterr().err


def test_a_path_without_parts_and_a_broken_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "made_up_idle.py").write_text("")
    assert main(["plugins", "check", str(tmp_path / "made_up_idle.py")]) == 2
    assert "names no part; implement a hook in it (s2s_cells" in capsys.readouterr().err
    (tmp_path / "made_up_fails.py").write_text("import made_up_absent\n")
    assert main(["plugins", "check", str(tmp_path / "made_up_fails.py")]) == 2
    assert "cannot be used: ModuleNotFoundError" in capsys.readouterr().err


def test_a_name_of_no_part_tells_of_a_file_that_names_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "made_up_idle_too.py"
    path.write_text("def s2s_cells():\n    return {'Idle': 'made_up_idle_too:Idle'}\n")
    assert main(["plugins", "show", "Idle", "--plugin-dir", str(path)]) == 2
    assert f". {path} names no part; implement a hook in it, marked with @hookimpl" in capsys.readouterr().err


def test_show_counts_parameters_at_the_given_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--size", "input_size=3", "--size", "hidden_size=5"]
    assert main(["plugins", "show", "LSTM", "--json", *sizes]) == 0
    (shown,) = json.loads(capsys.readouterr().out)
    assert shown["parameters"] == 4 * 5 * (3 + 5) + 4 * 5  # W, U and one bias of four gates
    assert shown["state_sizes"] == [5, 5]
    assert shown["fused"]


def test_show_of_a_cell_whose_constructor_looks_at_values(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "made_up_orthogonal.py"
    path.write_text(ORTHOGONAL)
    assert main(["plugins", "show", str(path), "--json", "--size", "hidden_size=5"]) == 0
    (shown,) = json.loads(capsys.readouterr().out)
    assert shown["parameters"] == 5 * 5 and shown["state_sizes"] == [5]


def test_show_tells_docs_paper_options_and_state(
    write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write("made_up_shown", "MadeUpShown")
    assert main(["plugins", "show", str(path)]) == 0
    out = capsys.readouterr().out
    assert "One gate less." in out
    assert "slope NUMBER" in out and "of the nonlinearity (default: 1.0)" in out
    assert "parameters  524,800 (at input_size 512, hidden_size 512)" in out  # 2 * 512 * 512 + 512
    assert "fused path  no" in out
    assert main(["plugins", "show", "GRU"]) == 0
    assert "Cho et al. 2014" in capsys.readouterr().out


def test_show_of_a_cell_with_a_required_option_tells_what_must_be_given(
    several: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rated = ["plugins", "show", "MadeUpRated", "--plugin-dir", several]
    assert main(rated) == 0
    out = capsys.readouterr().out
    assert "\nnot known   parameters and state: no default, must be given: --option rate=VALUE\n" in out
    assert "rate NUMBER" in out and "of what it does (must be given)" in out
    assert main([*rated, "--option", "rate=0.5"]) == 0
    assert "\nparameters  524,800 (at " in capsys.readouterr().out
    assert main([*rated, "--option", "rat=0.5"]) == 2
    assert "unknown option 'rat'; did you mean 'rate'" in capsys.readouterr().err


ORTHOGONAL = """
from torch import nn
from torch.nn.utils import parametrizations

from s2s.nn import RecurrentCell
from s2s.registry import hookimpl


class MadeUpOrthogonal(RecurrentCell):
    '''It is made of the values of its weight.'''

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.recurrent = parametrizations.orthogonal(nn.Linear(hidden_size, hidden_size, bias=False))

    def step(self, x, state, noise=None):
        hidden = x + self.recurrent(state[0])
        return hidden, (hidden,)


@hookimpl
def s2s_cells():
    return {"MadeUpOrthogonal": "made_up_orthogonal:MadeUpOrthogonal"}
"""


WRONG = """
from torch import nn

from s2s.nn import RecurrentCell
from s2s.registry import hookimpl


class Raises(RecurrentCell):
    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.recurrent = nn.Linear(hidden, hidden)

    def step(self, x, state, noise=None):
        return x, state


class NoStep(RecurrentCell):
    pass


class WantsMore(RecurrentCell):
    def __init__(self, input_size: int, hidden_size: int, alpha) -> None:
        super().__init__(input_size, hidden_size)

    def step(self, x, state, noise=None):
        return x, state


class NoCell(nn.Module):
    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()


@hookimpl
def s2s_cells():
    return {name: f"made_up_wrong:{name}" for name in ("Raises", "NoStep", "WantsMore", "NoCell")}
"""


@pytest.fixture
def wrong_cells(tmp_path: Path) -> Iterator[str]:
    """The folder of a file with cells that cannot be used."""
    (tmp_path / "made_up_wrong.py").write_text(WRONG)
    yield str(tmp_path)
    sys.modules.pop("made_up_wrong", None)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "Raises",
            "cell 'Raises' cannot be built (at input_size 512, hidden_size 512): NameError: name 'hidden' is not "
            "defined. See: s2s plugins check",
        ),
        ("NoStep", "TypeError: Can't instantiate abstract class NoStep with"),
        ("WantsMore", "constructor argument 'alpha' of WantsMore has no default and no type; "),
        (
            "NoCell",
            "NoCell is no RecurrentCell; derive it from s2s.nn.cell.RecurrentCell. See: s2s plugins check",
        ),
    ],
)
def test_show_of_a_part_that_cannot_be_built(
    name: str, message: str, wrong_cells: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plugins", "show", name, "--plugin-dir", wrong_cells]) == 2
    told = capsys.readouterr()
    assert told.err.startswith("s2s: error: ") and told.err.count("\n") == 1
    assert message in told.err
    assert not told.out


def test_check_says_of_another_class_what_it_is_not(
    wrong_cells: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plugins", "check", "NoCell", "--json", "--plugin-dir", wrong_cells]) == 1
    ((checks,),) = [[one["checks"] for one in json.loads(capsys.readouterr().out)]]
    for check in checks:
        assert "that NoCell is no RecurrentCell\n" in check["explanation"]
        assert "Derive it from s2s.nn.cell.RecurrentCell" in check["explanation"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_part_can_be_shown(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name in catalogue().names(kind):
        assert main(["plugins", "show", name, "--kind", kind]) == 0
        assert capsys.readouterr().out.startswith(f"{kind} {name}, from s2s ")
