"""What users install: the wheel, run from a separate folder, and the editable install."""

import ast
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]


def run(*words: str | Path, cwd: Path, path: str = "") -> str:
    """Standard output of a command that must succeed; `path` is its PYTHONPATH."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "S2S_"))}
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env={**environment, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT, cwd=folder)
    (built,) = folder.glob("s2s-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's contents; dependencies come from this environment, s2s does not."""
    folder = tmp_path_factory.mktemp("installed")
    run(*PIP, "install", "--no-deps", "--no-index", "--target", folder, wheel, cwd=folder)
    return folder


def s2s(installed: Path, *words: str) -> str:
    return run(sys.executable, "-m", "s2s", *words, cwd=installed.parent, path=str(installed))


def test_the_wheel_holds_code_recipes_corpora_and_licence(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for recipe in (ROOT / "configs").glob("*.yaml"):
        assert f"s2s/_resources/configs/{recipe.name}" in names
    for template in (ROOT / "s2s" / "scaffold" / "templates").rglob("*.*"):
        if "__pycache__" not in template.parts:
            assert template.relative_to(ROOT).as_posix() in names
    for corpus in (ROOT / "data").rglob("*.tsv"):
        assert f"s2s/_resources/data/{corpus.relative_to(ROOT / 'data').as_posix()}" in names
    assert {"s2s/py.typed", "s2s_plugins/py.typed"} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.startswith(("tests/", "benchmarks/", "configs/", "data/")) for name in names)


def test_the_installed_wheel_is_what_runs(installed: Path) -> None:
    code = "import s2s, s2s_plugins; print(s2s.__file__); print(s2s_plugins.__file__)"
    printed = run(sys.executable, "-c", code, cwd=installed.parent, path=str(installed))
    assert all(line.startswith(str(installed)) for line in printed.split())


def test_the_installed_command_lists_commands_and_parts(installed: Path) -> None:
    assert "usage: s2s" in s2s(installed, "--help")
    rows = json.loads(s2s(installed, "plugins", "list", "--json"))
    found = {(row["kind"], row["name"]): row["status"] for row in rows}
    assert found["cell", "LSTM"] == found["tokenizer", "SentencePiece"] == "ok"


def test_the_installed_wheel_finds_its_recipes_and_corpora(installed: Path) -> None:
    code = (
        "from s2s.resources import folder, recipes;"
        "print(*[path for path in recipes().values()], *folder('data').rglob('*.tsv'), sep='\\n')"
    )
    found = run(sys.executable, "-c", code, cwd=installed.parent, path=str(installed)).split()
    assert {Path(line).name for line in found} >= {p.name for p in (ROOT / "configs").glob("*.yaml")}
    assert all(line.startswith(str(installed)) for line in found)


def test_the_installed_wheel_reads_a_recipe_by_name(installed: Path) -> None:
    printed = s2s(installed, "fit", "-c", "demo", "--print_config")
    assert printed.startswith("task: Seq2Seq\n")


def test_an_editable_install_points_into_the_checkout(tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=tmp_path)
    python = environment / "bin" / "python"
    (packages,) = environment.glob("lib/python*/site-packages")
    # The new environment uses this one's dependencies; s2s itself must come from its own install.
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [*PIP, "--python", str(python)]
    run(*pip, "install", "--no-deps", "--no-index", "--no-build-isolation", "--editable", ROOT, cwd=tmp_path)
    code = (
        "import s2s, s2s_plugins; from s2s.resources import folder;"
        "print(s2s.__file__, s2s_plugins.__file__, folder('configs'))"
    )
    core, plugins, configs = run(python, "-c", code, cwd=tmp_path).split()
    assert Path(core) == ROOT / "s2s" / "__init__.py"
    assert Path(plugins) == ROOT / "plugins" / "s2s_plugins" / "__init__.py"
    assert Path(configs) == ROOT / "configs"
    assert "LSTM" in run(environment / "bin" / "s2s", "plugins", "list", cwd=tmp_path)


@pytest.mark.parametrize("module", ["s2s", "s2s.errors", "s2s.registry", "s2s.resources", "s2s.__main__"])
def test_what_must_stay_light_imports_no_torch(module: str, tmp_path: Path) -> None:
    code = f"import sys, {module}; print({{'torch', 'numpy', 'pytorch_lightning'}} & set(sys.modules))"
    assert run(sys.executable, "-c", code, cwd=tmp_path, path=str(ROOT)) == "set()\n"


def test_every_public_name_is_there() -> None:
    import s2s

    for name in s2s.__all__:
        assert getattr(s2s, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'Translater'"):
        s2s.Translater  # noqa: B018


def test_first_party_plugins_use_public_names_only() -> None:
    private = []
    for file in (ROOT / "plugins").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "s2s":
                words = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
                private += [f"{file.name}: {word}" for word in words if word.startswith("_")]
    assert private == []


def normalized(name: str) -> str:
    """A distribution's name, normalized as in PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_constraints_pin_every_dependency_and_extra() -> None:
    pinned = {
        normalized(line.partition("==")[0])
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    required = {
        normalized(re.split(r"[^A-Za-z0-9._-]", line)[0]) for line in importlib.metadata.requires("s2s") or []
    }
    assert required <= pinned
