"""The picture of the confusion matrix."""

import io
import re
import xml.etree.ElementTree as tree

import pytest

from s2s.errors import ConfigError, DataError
from s2s.evaluation.classes import Classes
from s2s.inference.confusion import draw

CLASSES = Classes(
    ["a", "a", "b $x$", "b $x$", "b $x$", "a"], ["a", "a", "a", "a", "b $x$", "b $x$"], ["a", "b $x$"]
)


def test_shares_are_colours_and_texts_are_numbers() -> None:
    import numpy as np
    from matplotlib.image import imread

    contents, notes = draw(CLASSES, "picture.png")
    assert notes == [] and draw(CLASSES, "picture.png")[0] == contents
    pixels = imread(io.BytesIO(contents))[..., :3]
    # Of the map Blues: a share of 2/3 is darker than one of 1/3, and both occur twice, in opposite corners.
    from matplotlib import colormaps

    for share in (1 / 3, 2 / 3):
        colour = np.array(colormaps["Blues"](share)[:3])
        assert (np.abs(pixels - colour).max(-1) < 0.01).sum() > 1000, share


def test_names_and_numbers_stand_in_it() -> None:
    contents, _ = draw(CLASSES, "picture.SVG")
    tree.fromstring(contents)
    said = re.findall(r"<!-- (.*?) -->", contents.decode())
    assert {"a", "b $x$", "1", "2", "gold", "given", "accuracy 50.00, macro-F1 48.57, 6 texts"} <= set(said)


def test_many_classes() -> None:
    names = [f"class number {i}" for i in range(40)]
    assert draw(Classes(names, names, names), "picture.png")[0].startswith(b"\x89PNG")
    names = [str(i) for i in range(201)]
    with pytest.raises(DataError, match="there are 201 classes; a picture has room for 200"):
        draw(Classes(names, names, names), "picture.png")


def test_another_format() -> None:
    with pytest.raises(
        ConfigError, match=r"picture.gif ends with '.gif'; name a file that ends with .png or .svg"
    ):
        draw(CLASSES, "picture.gif")
