"""The bundle of `tiny` and its exports, made once for all tests that only read them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import NamedTuple

import pytest

from s2s.export.folder import export_bundle
from s2s.export.graphs import to_onnx
from s2s.inference.bundle import load_bundle
from tests.references.tiny import tiny_bundle


class Exports(NamedTuple):
    """Folders of the bundle and of what was made of it."""

    bundle: Path
    onnx: Path
    int8: Path


def tiny_exports(folder: Path) -> Exports:
    """Write them."""
    return exports_of(tiny_bundle(folder / "bundle"), folder)


def exports_of(bundle: Path, folder: Path) -> Exports:
    """The exports of a bundle, in a folder; the graphs, which take seconds, are made once."""
    graphs = to_onnx(load_bundle(bundle).model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("s2s.export.folder.to_onnx", lambda model: copy.deepcopy(graphs))
        return Exports(
            bundle,
            export_bundle(bundle, folder / "exported"),
            export_bundle(bundle, folder / "quantized", int8=True),
        )
