"""Exports a bundle to a folder that needs no torch; see `s2s.inference.exported` for its contents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx

from s2s import __version__
from s2s.durable import durable_folder
from s2s.export.graphs import to_onnx
from s2s.export.verification import verify
from s2s.export.weights import share_weights
from s2s.inference import checksums
from s2s.inference.bundle import load_bundle
from s2s.inference.card import render_export
from s2s.inference.exported import ENCODER, EXPORTED, README, SEARCH_OPTIONS, STEP, WEIGHTS
from s2s.inference.shipped import LIMIT
from s2s.search.options import call_options, constructor_options

_KEPT = (
    *("task", "search", LIMIT, "tokenizer", "source_tokenizer", "target_tokenizer"),
    *("training", "scores", "card"),
)
"""Entries of a bundle's configuration that hold for the export as well."""


def export_bundle(bundle: str | Path, folder: str | Path, *, int8: bool = False) -> Path:
    """Write a bundle's model as ONNX, beside its place first; an export that is already there is replaced.

    Args:
        bundle: folder of the bundle.
        folder: where the export shall lie.
        int8: weights of eight bits: smaller, often faster, and a little less exact.

    Returns:
        the folder.

    Raises:
        BundleError: the bundle is incomplete or damaged, or there is something else at the place.
        ConfigError: a part of the model cannot be exported, or gives other numbers when exported.
    """
    bundle, folder = Path(bundle), Path(folder)
    EXPORTED.check_place(folder)
    loaded = load_bundle(bundle)
    graphs = to_onnx(loaded.model)
    verify(loaded.model, graphs)
    if int8:
        from s2s.export.quantization import to_int8

        graphs = to_int8(graphs)
        verify(loaded.model, graphs, exact=False)
    strategy = type(loaded.search)
    with durable_folder(folder) as new:
        loaded.source_tokenizer.save(
            new / ("tokenizer" if "tokenizer" in loaded.config else "source_tokenizer")
        )
        if "target_tokenizer" in loaded.config:
            loaded.target_tokenizer.save(new / "target_tokenizer")
        share_weights(graphs, new / WEIGHTS)
        for graph, name in zip(graphs, (ENCODER, STEP), strict=True):
            onnx.save(graph, new / name)
        files = sorted(path for path in new.rglob("*") if path.is_file())
        sizes = ("source_vocabulary_size", "target_vocabulary_size")
        config: dict[str, Any] = {
            "format": EXPORTED.format,
            "s2s_version": __version__,
            "runtime": "onnx",
            "precision": "int8" if int8 else "float32",
            "opset": graphs.step.opset_import[0].version,
            "model": {
                **{size: loaded.config["model"][size] for size in sizes},
                "copies": loaded.model.head.copies,
                "longest": loaded.model.encoder.longest,
            },
            "graphs": {
                name: {
                    "inputs": [value.name for value in graph.graph.input],
                    "outputs": [value.name for value in graph.graph.output],
                }
                for name, graph in graphs._asdict().items()
            },
            "bundle": {
                "s2s_version": loaded.config["s2s_version"],
                checksums.OWN: checksums.of_config(loaded.config),
            },
            **{key: loaded.config[key] for key in _KEPT if key in loaded.config},
            SEARCH_OPTIONS: [*constructor_options(strategy), *call_options(strategy)],
            "sha256": checksums.of_files(new, files),
        }
        file_bytes = {path.relative_to(new).as_posix(): path.stat().st_size for path in files}
        (new / README).write_text(render_export(folder.name, config, file_bytes), encoding="utf-8")
        config[checksums.CARD] = checksums.of_file(new / README)
        EXPORTED.write_config(new, config)
    return folder
