"""`s2s align` and `s2s heatmap` as a person runs them."""

import subprocess
import sys
from pathlib import Path

import pytest

from s2s.__main__ import main
from s2s.inference.alignment import align, pharaoh
from s2s.inference.bundle import load_bundle
from tests.references.tiny import tiny_bundle

TALKATIVE = Path(__file__).parents[2] / "data" / "bundle_of_format_1"
SOURCES, TARGETS = ["ab cde f", "", "hello world"], ["gh i", "a", "bye bye"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("align")
    tiny_bundle(folder / "bundle")
    tiny_bundle(folder / "blind", decoder="Recurrent", attention=None)
    (folder / "source").write_text("\n".join(SOURCES))
    (folder / "target").write_text("\n".join(TARGETS))
    return folder


def words(files, command, bundle="bundle"):
    return [command, *(str(files / name) for name in (bundle, "source", "target"))]


def test_a_line_for_a_line(files, capsys, tmp_path):
    found = align(load_bundle(files / "bundle"), SOURCES, TARGETS)
    assert main(words(files, "align")) == 0
    assert capsys.readouterr().out.split("\n") == [*(pharaoh(one.links()) for one in found), ""]
    assert main([*words(files, "align"), "--threshold", "0.3", "--output", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out").read_text().split("\n") == [*(pharaoh(one.links(0.3)) for one in found), ""]


def test_what_cannot_be_aligned(files, capsys, tmp_path):
    out = tmp_path / "out"
    assert main([*words(files, "align", "blind"), "--output", str(out)]) == 2
    assert "this model has no attention (its decoder is Recurrent" in capsys.readouterr().err
    assert main([*words(files, "align"), "--threshold", "2"]) == 2
    assert "threshold is 2.0; it must be above 0" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_heatmap(files, capsys, tmp_path, monkeypatch):
    out = tmp_path / "picture.svg"
    for beam in (["--beam", "2"], []):
        assert main(["heatmap", str(TALKATIVE), "hello, world", "--output", str(out), *beam]) == 0
        assert out.read_bytes().startswith(b"<?xml") and f"{out}: " in capsys.readouterr().out
    assert main(["heatmap", str(files / "bundle"), "a", "--output", "a.jpg"]) == 2
    assert "a.jpg ends with '.jpg'; name a file that ends with .png or .svg" in capsys.readouterr().err
    monkeypatch.setattr("s2s.inference.alignment.attention_of_search", None)  # before the work
    assert main(["heatmap", str(files / "bundle"), "a", "--output", str(tmp_path / "gone" / "a.png")]) == 2
    assert "gone/a.png: No such file or directory; its folder is not there" in capsys.readouterr().err
    monkeypatch.undo()
    assert main(["heatmap", str(files / "blind"), "a", "--output", str(tmp_path / "b.png")]) == 2
    assert "this model has no attention" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["picture.svg"]


@pytest.mark.parametrize("command", ["align", "heatmap"])
def test_help_starts_without_torch(command):
    code = (
        "import sys\nfrom s2s.__main__ import main\n"
        f"try: main(['{command}', '--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit(bool({'torch', 'numpy', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
