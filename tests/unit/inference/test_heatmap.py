"""The picture: what is in it, what it says of fonts that are not there."""

import sys
import xml.etree.ElementTree as ElementTree

import pytest
import torch

from s2s.errors import ConfigError, DataError
from s2s.evaluation.pictures import format_of
from s2s.inference import heatmap
from s2s.inference.alignment import Alignment
from s2s.inference.heatmap import draw, fonts_for

plt = pytest.importorskip("matplotlib.image")


def alignment(source, target, most=0):
    weights = torch.zeros(len(target), len(source))
    weights[:, most] = 1.0
    return Alignment(list(source), list(target), weights)


def test_the_dark_column_is_the_word_that_is_attended_to(tmp_path):
    (tmp_path / "a.png").write_bytes(draw(alignment("abcde", "xyz", most=3), "png")[0])
    picture = plt.imread(tmp_path / "a.png")[..., :3]
    dark = (
        abs(picture - torch.tensor([8, 48, 107]).numpy() / 255).max(axis=2) < 0.02
    ).nonzero()  # end of the blues
    rows, columns = dark
    in_map = columns[columns < picture.shape[1] * 0.75]  # right of it is the scale
    left, right = in_map.min(), in_map.max()
    # Between the grid lines a column is a fifth of the map, and the fourth one is dark.
    assert 0.4 < (left + right) / 2 / picture.shape[1] < 0.65
    assert 20 < right - left < 0.2 * picture.shape[1]


def test_svg_is_well_formed_and_the_same_every_time():
    one = alignment(["$5", "and", "$6"], ["a_b^", "<&>"])
    first, notes = draw(one, "svg")
    assert ElementTree.fromstring(first).tag.endswith("svg") and notes == []
    assert draw(one, "svg")[0] == first


def test_a_sign_that_no_font_shows_is_told(monkeypatch):
    signs = heatmap._signs
    monkeypatch.setattr(heatmap, "_signs", lambda path: {sign for sign in signs(path) if sign < "\u1100"})
    picture, (note,) = draw(alignment(["한국", "中"], ["a"]), "png")
    assert picture.startswith(b"\x89PNG")
    assert note.startswith(
        "no installed font shows 中 국 한 (Cjk, Hangul): boxes stand for them; an SVG leaves them"
    )
    # In an SVG they are text, which another machine shows; what all fonts show is drawn as outlines.
    picture, (note,) = draw(alignment(["한국", "中"], ["a"]), "svg")
    assert {"한국", "中", "a"} <= {element.text for element in ElementTree.fromstring(picture).iter()}
    assert "they are left to the fonts of whoever views the file; for outlines, install" in note
    picture, _ = draw(alignment(["b"], ["a"]), "svg")
    assert "b" not in {element.text for element in ElementTree.fromstring(picture).iter()}


def test_a_font_is_found_that_shows_what_the_first_lacks(monkeypatch):
    monkeypatch.setattr(heatmap, "_signs", lambda path: {"中"} if "DejaVuSerif" in path else set("ab"))
    assert fonts_for("a中\n") == (["DejaVu Sans", "DejaVu Serif"], [])
    assert fonts_for("ab") == (["DejaVu Sans"], [])
    assert fonts_for("zy")[1] == ["y", "z"]


def test_old_matplotlib_and_arabic(monkeypatch):
    assert heatmap._notes("مرحبا", [], (3, 11), "png") == []
    (note,) = heatmap._notes("مرحبا", [], (3, 10), "png")
    assert "pip install --upgrade matplotlib" in note
    assert heatmap._notes("hello", [], (3, 8), "png") == []


def test_what_cannot_be(monkeypatch):
    assert format_of("a/b.PNG") == "png"
    with pytest.raises(ConfigError, match=r"a.pdf ends with '.pdf'; name a file that ends with .png or .svg"):
        format_of("a.pdf")
    with pytest.raises(ConfigError, match="unknown format 'gif'; choose one of png, svg"):
        draw(alignment("a", "b"), "gif")
    with pytest.raises(DataError, match="the output has no word"):
        draw(Alignment(["a"], [], torch.zeros(0, 1)), "png")
    with pytest.raises(DataError, match="the source has 401 words; a picture has room for 400"):
        draw(alignment("a" * 401, "b"), "png")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=r"needs matplotlib; install it with: pip install 's2s\[plots\]'"):
        draw(alignment("a", "b"), "png")
