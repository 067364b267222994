"""The pages in docs/ are run: every block, in page order, in a separate folder per page.

A Python block whose first line is a comment with a file name is written to that file (a later one of the same name
is appended); so are YAML and text files. All other Python blocks up to the next shell block run in one process.
Lines of `sh` blocks are run unchanged; `fit` is shortened, and programs do not import torch again.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from s2s.registry.hookspecs import KINDS
from s2s.testing import KITS
from tests.integration.warm_python import WarmPython

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
READMES = [ROOT / "README.md", *(ROOT / name / "README.md" for name in ("configs", "data", "benchmarks"))]
QUICK = "--trainer.max_epochs 1 " + " ".join(
    f"--trainer.limit_{part}_batches 2" for part in ("train", "val", "test")
)


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Language and text of the fenced blocks."""
    yield from re.findall(
        r"^```(\w*)\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )


@pytest.fixture(scope="module")
def warm() -> Iterator[WarmPython]:
    with WarmPython() as made:
        yield made


def environment(folder: Path, warm: WarmPython) -> dict[str, str]:
    path = os.pathsep.join([str(warm.programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    modules = os.pathsep.join([str(folder), str(folder / "site"), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PATH": path, "PYTHONPATH": modules, "OMP_NUM_THREADS": "1"}


def run_shell(line: str, folder: Path, warm: WarmPython) -> None:
    if re.search(r"\bs2s\b.* (fit|test) ", line):
        line += f" {QUICK}"
    # Packages are installed into the page's own folder, in addition to the existing ones.
    line = line.replace(
        "pip install ", "python -m pip install -q --no-deps --no-build-isolation --target site "
    )
    done = run(["bash", "-c", line], folder, warm)
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def run_python(texts: list[str], folder: Path, warm: WarmPython) -> None:
    if texts:
        done = run([str(warm.programs / "python"), "-c", "\n".join(texts)], folder, warm)
        assert done.returncode == 0, done.stderr


def run(command: list[str], folder: Path, warm: WarmPython) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env=environment(folder, warm), capture_output=True, text=True, timeout=300
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_every_block_runs(page: Path, tmp_path: Path, warm: WarmPython) -> None:
    waiting: list[str] = []
    for language, text in blocks(page):
        first = text.partition("\n")[0]
        name = re.fullmatch(r"# ([\w./-]+\.\w+)", first)
        if name:
            path = tmp_path / name[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text((path.read_text() if path.exists() else "") + text, encoding="utf-8")
        elif language == "python":
            waiting.append(text)
        elif language == "sh":
            run_python(waiting, tmp_path, warm)
            waiting = []
            for line in text.strip().replace("\\\n", " ").splitlines():
                run_shell(line, tmp_path, warm)
        else:
            assert language in ("", "text", "yaml"), (
                f"{page.name}: a block of {language!r}, which nothing runs"
            )
    run_python(waiting, tmp_path, warm)


@pytest.mark.parametrize("page", [*PAGES, *READMES], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text(encoding="utf-8")):
        file, _, anchor = target.partition("#")
        linked = (page.parent / file).resolve() if file else page
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked), target


def test_every_page_is_linked_from_the_first_pages() -> None:
    first = [ROOT / "README.md", DOCS / "README.md"]
    linked = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in first
        for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text(encoding="utf-8"))
    }
    assert {page.relative_to(ROOT).as_posix() for page in {*PAGES, *READMES} - linked - set(first)} == set()


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("kind", KITS)
def test_every_check_has_its_remedy_in_the_guide(kind: str) -> None:
    for check in KITS[kind]:
        file, _, anchor = check.docs.partition("#")
        assert anchor in anchors(ROOT / file), f"{check.docs}: no such heading"


def test_every_hook_is_documented() -> None:
    rows = re.findall(r"^\| `(s2s_\w+)` \| ", (DOCS / "plugins" / "hooks.md").read_text(), flags=re.MULTILINE)
    assert sorted(rows) == sorted(KINDS.values())
