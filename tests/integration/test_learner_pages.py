"""The pages on recurrence and on shapes: the code they quote is the actual code."""

import ast
import re
import runpy
from pathlib import Path

import pytest

from tests.integration.test_docs import blocks

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGE = DOCS / "recurrence.md"


def test_the_numpy_cells_are_quoted_word_for_word() -> None:
    source = (ROOT / "s2s" / "testing" / "numpy_cells.py").read_text(encoding="utf-8")
    lines = source.splitlines()
    parts = {
        node.name: "\n".join(lines[node.lineno - 1 : node.end_lineno])
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    code = [text for language, text in blocks(PAGE) if language == "python"]
    quoted = {name for name, part in parts.items() if f"{part}\n" in code}
    passes = {f"{cell}_{way}" for cell in ("elman", "lstm", "gru") for way in ("forward", "backward")}
    assert passes | {"Affine", "sigmoid"} <= quoted
    defined = re.findall(r"^(?:def|class) (\w+)", "".join(code), flags=re.MULTILINE)
    assert {name for name in defined if name in parts} == quoted  # none is paraphrased


def test_the_tables_are_those_of_the_report() -> None:
    report = (DOCS / "figures" / "diagnose.txt").read_text(encoding="utf-8")
    tables = [text for language, text in blocks(PAGE) if language == "text"]
    assert len(tables) == 7
    for text in tables:
        assert text in report


def test_every_shape_is_drawn_and_shown(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    drawing = runpy.run_path(str(DOCS / "figures" / "draw_shapes.py"))
    shown = re.findall(r"\]\(figures/([\w-]+)\.png\)", (DOCS / "shapes.md").read_text(encoding="utf-8"))
    assert shown == list(drawing["SHAPES"])
    for name, steps in drawing["SHAPES"].items():
        drawing["draw"](steps).savefig(tmp_path / f"{name}.png")
        assert (DOCS / "figures" / f"{name}.png").stat().st_size < 50_000
