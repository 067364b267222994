"""8-bit weights by the dynamic quantization of onnxruntime."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from s2s.export.graphs import Graphs


def to_int8(graphs: Graphs) -> Graphs:
    """Graphs whose matrix products, LSTMs and embeddings have weights of eight bits.

    What is multiplied with them is rounded to eight bits as it comes, on a scale from the least to the largest value
    of the whole batch: so a sentence's result depends a little on its batch mates, as it never does in float32. Each
    column of a weight has a scale of its own. One bit of the weights is left unused (`reduce_range`): processors
    without VNNI would overflow in the sum of two products, and give other results than those with it. A product with
    a vector, which onnxruntime cannot do in eight bits, stays as it is.
    """
    return Graphs(*(_quantized(graph) for graph in graphs))


def _quantized(graph: onnx.ModelProto) -> onnx.ModelProto:
    root = logging.getLogger()
    level = root.level
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root.setLevel(logging.ERROR)  # it advises to preprocess, which the export has done
        try:
            path = Path(folder) / "int8.onnx"
            quantize_dynamic(
                graph,
                path,
                weight_type=QuantType.QInt8,
                per_channel=True,
                reduce_range=True,
                nodes_to_exclude=[*_of_vectors(graph.graph)],
                extra_options={"EnableSubgraph": True},
            )
            return onnx.load(path)
        finally:
            root.setLevel(level)


def _of_vectors(graph: onnx.GraphProto) -> Iterator[str]:
    vectors = {tensor.name for tensor in graph.initializer if len(tensor.dims) == 1}
    for node in graph.node:
        if node.op_type == "MatMul" and not vectors.isdisjoint(node.input):
            yield node.name
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _of_vectors(attribute.g)
