"""First-party plugins know of the core what anybody may know: import-linter holds the modules, this the names."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = sorted((ROOT / "plugins" / "s2s_plugins").rglob("*.py"))
PACKAGES = ("s2s", "s2s_plugins")


def private_names(tree: ast.AST, owner: str) -> Iterator[str]:
    """Names with a leading underscore that a module takes from another."""
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PACKAGES:
            names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            yield from (f"{node.module}: {name}" for name in names if is_private(name))
            imported |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            imported |= {
                alias.asname or alias.name.split(".")[0] for alias in node.names if owner in alias.name
            }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            root: ast.expr = node.value
            while isinstance(root, ast.Attribute):
                root = root.value
            if isinstance(root, ast.Name) and root.id in imported:
                yield f"{root.id}.{node.attr}"


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_plugins_take_no_private_names(path: Path) -> None:
    assert not list(private_names(ast.parse(path.read_text(encoding="utf-8")), "s2s"))


def test_a_private_name_would_be_seen() -> None:
    taken = (
        "import s2s.nn\nfrom s2s.nn import unroll\nfrom s2s.nn.unroll import _Swap\nunroll._x\ns2s.nn._y\n"
    )
    assert sorted(private_names(ast.parse(taken), "s2s")) == ["s2s._y", "s2s.nn.unroll: _Swap", "unroll._x"]
