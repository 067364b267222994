"""What `s2s plugins new` writes, and what it refuses to write."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from s2s.errors import ConfigError
from s2s.registry import KINDS as HOOKS
from s2s.scaffold import KINDS, distribution, new, next_steps


def files(folder: Path) -> dict[str, str]:
    """Path below a folder -> text."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in found}


@pytest.mark.parametrize("kind", KINDS)
def test_one_module_one_test_one_configuration(kind: str, tmp_path: Path) -> None:
    folder = new(kind, "SomethingElse", tmp_path / "not" / "there" / "yet")
    assert folder == tmp_path / "not" / "there" / "yet" / "something-else"
    written = files(folder)
    assert set(written) == {
        "README.md",
        "pyproject.toml",
        "something_else.yaml",
        "something_else/__init__.py",
        f"something_else/{kind}.py",
        "tests/test_something_else.py",
    }
    assert "class SomethingElse(" in written[f"something_else/{kind}.py"]
    assert f"def {HOOKS[kind]}()" in written["something_else/__init__.py"]
    for text in (*written, *written.values()):
        assert not re.search(r"my.?part|PART_", text, flags=re.IGNORECASE)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_as_ruff_likes_it(kind: str, tmp_path: Path) -> None:
    folder = new(kind, "my_part_of_some_kind", tmp_path)
    ruff = [sys.executable, "-m", "ruff"]
    for words in (["check", "--select=E,F,I,B,UP,SIM,D100,D101"], ["format", "--diff"]):
        command = [*ruff, *words, "--isolated", "--no-cache", "--line-length=110", "."]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_template_for_each_kind_and_no_other() -> None:
    folders = {path.name for path in distribution._TEMPLATES.iterdir()}
    assert folders == {*KINDS, "every_kind"}
    assert set(KINDS) <= set(HOOKS)


def test_what_tools_leave_behind_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installer compiles the templates, linters keep caches beside them."""
    templates = shutil.copytree(distribution._TEMPLATES, tmp_path / "templates")
    monkeypatch.setattr(distribution, "_TEMPLATES", templates)
    for name in ("cell/my_part/__pycache__/cell.cpython-311.pyc", "every_kind/.ruff_cache/0.8/1234"):
        (templates / name).parent.mkdir(parents=True, exist_ok=True)
        (templates / name).write_bytes(b"\xff")
    written = files(new("cell", "my_cell", tmp_path))
    assert not [path for path in written if "cache" in path]


def test_next_steps_are_the_commands_of_the_readme(tmp_path: Path) -> None:
    folder = new("cell", "my_cell", tmp_path / "a folder")
    first, empty, enter, *commands = next_steps(folder).splitlines()
    assert (first, empty) == (f"{folder} is written. Next:", "")
    assert enter == f"    cd '{folder}'"
    assert [command.split()[0] for command in commands] == ["pip", "pytest", "s2s", "s2s", "echo"]
    assert "\n".join(commands) in (folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("cel", "my_cell", r"unknown template 'cel'; did you mean 'cell'\? Known: attention, .*hooks\.md"),
        ("bridge", "my_bridge", "unknown template 'bridge'"),
        ("cell", "my-cell", "'my-cell' is no name"),
        ("cell", "LSTM", r"there is a cell 'LSTM' already, of s2s [\d.]+; .* for instance MyLSTM"),
        ("cell", "lstm", "there is a cell 'LSTM' already"),
        ("search", "beam", "there is a search 'Beam' already"),
        ("cell", "Tests", "'tests' is the folder of the new part's test; .* for instance my_tests"),
        ("cell", "json", r"there is a module 'json' already \(.*json.*\).* for instance my_json"),
        ("cell", "Torch", "there is a module 'torch' already"),
        ("cell", "sys", r"there is a module 'sys' already \(built-in\)"),
    ],
)
def test_what_it_refuses(kind: str, name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        new(kind, name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_name_of_a_part_of_another_kind_is_free(tmp_path: Path) -> None:
    assert new("attention", "elman", tmp_path).is_dir()


def test_a_mere_folder_of_the_name_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_cell").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert new("cell", "my_cell", tmp_path).is_dir()


def test_it_writes_over_nothing(tmp_path: Path) -> None:
    folder = new("cell", "my_cell", tmp_path)
    (folder / "README.md").write_text("mine")
    with pytest.raises(
        ConfigError, match=r"my-cell is there already; choose another name or another --output"
    ):
        new("metric", "my_cell", tmp_path)
    assert (folder / "README.md").read_text() == "mine"
    with pytest.raises(ConfigError, match=r"README\.md is a file; name a folder"):
        new("cell", "my_cell", folder / "README.md")


def test_it_imports_no_torch() -> None:
    code = "import sys, s2s.scaffold; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
