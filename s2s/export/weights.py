"""One file of weights for several graphs, with shared weights stored once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx
from onnx.external_data_helper import set_external_data

SMALL = 1024
"""Bytes of a tensor that stays in its graph."""
_ALIGNMENT = 64  # bytes: a cache line, as kernels like it


def share_weights(models: Iterable[onnx.ModelProto], path: Path) -> None:
    """Move the large weights of graphs to a file, equal ones to one place.

    So a table that embeds source and target tokens, and is the output layer as well, is there once.

    Args:
        models: changed in place; they are to be saved beside the file.
        path: of the file that is written.
    """
    places: dict[bytes, tuple[int, int]] = {}
    with path.open("wb") as file:
        for tensor in (tensor for model in models for tensor in _initializers(model.graph)):
            content = onnx.numpy_helper.to_array(tensor).tobytes()
            if len(content) < SMALL:
                continue
            key = hashlib.sha256(content).digest()
            if key not in places:
                file.write(bytes(-file.tell() % _ALIGNMENT))
                places[key] = (file.tell(), len(content))
                file.write(content)
            offset, length = places[key]
            tensor.raw_data = content  # the helper wants it there, and leaves it there
            set_external_data(tensor, path.name, offset=offset, length=length)
            for field in ("raw_data", "float_data", "int32_data", "int64_data"):
                tensor.ClearField(field)


def _initializers(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _initializers(attribute.g)
