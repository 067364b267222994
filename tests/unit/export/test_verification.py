"""An export that is not the model is refused."""

import copy

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from s2s.errors import ConfigError
from s2s.export.graphs import Graphs
from s2s.export.verification import verify
from s2s.inference.bundle import load_bundle


@pytest.fixture(scope="module")
def model(tiny_exports):
    return load_bundle(tiny_exports.bundle).model


@pytest.fixture(scope="module")
def graphs(tiny_exports):
    return Graphs(*(onnx.load(tiny_exports.onnx / name) for name in ("encoder.onnx", "step.onnx")))


def test_the_model_itself_passes(model, graphs):
    verify(model, graphs)


@pytest.mark.parametrize("which", ["encoder", "step"])
def test_other_weights(model, graphs, which):
    changed = copy.deepcopy(graphs)
    weight = max(getattr(changed, which).graph.initializer, key=lambda tensor: len(tensor.raw_data))
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) + np.float32(0.01), weight.name))
    with pytest.raises(
        ConfigError, match=r"gives other numbers than the model with 1 sentence of up to 1 token and "
    ):
        verify(model, changed)


def test_a_graph_of_one_size(model, graphs):
    changed = copy.deepcopy(graphs)
    for value in changed.encoder.graph.input:
        value.type.tensor_type.shape.dim[0].dim_value = 3
    with pytest.raises(
        ConfigError, match=r"cannot be run with 1 sentence of .*`s2s plugins check` tells which part"
    ):
        verify(model, changed)
