"""Plugins made up for one test: installed distributions and plugin folders, gone when the test ends."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from s2s import registry


@pytest.fixture(autouse=True)
def own_process_state(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Import path, modules and catalogue as they were, whatever plugins the test brought in."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(registry, "_catalogue", None)
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("made_up"):
            del sys.modules[name]


@pytest.fixture
def install(tmp_path: Path) -> Callable[..., Path]:
    """install("dist", "1.0", module="made_up_x", source=...): as pip would, on the import path."""

    def install(distribution: str, version: str, *, module: str, source: str) -> Path:
        folder = tmp_path / distribution
        info = folder / f"{distribution}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[s2s]\n{distribution} = {module}\n")
        (folder / f"{module}.py").write_text(source)
        sys.path.append(str(folder))
        return folder

    return install
