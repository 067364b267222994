"""Whole models in ONNX against torch: every decoder, beams, padding, lengths unlike the example's.

Each cell, attention, encoder, head, bridge and embedding alone is exported by its kit (tests/conformance).
"""

import copy
import functools

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from s2s.errors import ConfigError
from s2s.export.graphs import to_onnx
from s2s.export.weights import share_weights
from s2s.inference.bundle import build_model
from s2s.nn import leaves, map_state, top
from s2s.nn.prepared import encode_for_search
from s2s.padded import Padded
from s2s.text.tokenizer import BOS, PAD

MODELS = {
    # decoder: cell, attention, encoder
    "Recurrent": ("GRU", None, "Convolutional"),
    "InputFeeding": ("LSTM", "Coverage", "Recurrent"),
    "Bahdanau": ("SLSTM", "MultiHead", "Convolutional"),
    "ConditionalGRU": ("QRNN", "LocalP", "Convolutional"),
    "GNMT": ("LayerNormLSTM", "Location", "Convolutional"),
}
LAYERS = {"Bahdanau": {"layers": 2}, "GNMT": {"layers": 2}}
SIZES = [(3, 7, 2), (1, 1, 1), (4, 12, 3), (1, 5, 1), (2, 1, 4)]
"""Sentences, source tokens, beams."""
VOCABULARY = 19


def small_model(decoder):
    tie, copies = decoder == "InputFeeding", decoder == "Bahdanau"
    cell, attention, encoder = MODELS[decoder]
    of_encoder = {"hidden_size": 8, "layers": 1, **({"cell": cell} if encoder == "Recurrent" else {})}
    torch.manual_seed(1)
    return build_model(
        {
            "source_vocabulary_size": VOCABULARY if tie or copies else 17,
            "target_vocabulary_size": VOCABULARY,
            "embedding": {"class_path": "Lookup", "init_args": {"size": 6}},
            "encoder": {"class_path": encoder, "init_args": of_encoder},
            "bridge": "Linear",
            "decoder": {
                "class_path": decoder,
                "init_args": {
                    "hidden_size": 8,
                    "cell": cell,
                    "attention": attention,
                    **LAYERS.get(decoder, {}),
                },
            },
            "head": "PointerGenerator" if copies else "Softmax",
            "share_embeddings": tie,
            "tie_head": tie,
        }
    ).eval()


def structured(state, flat):
    """Leaves in the structure of a state."""
    given = iter(flat)
    return map_state(lambda _: next(given), state)


@functools.cache
def graphs_of(decoder):
    """Which take seconds."""
    return to_onnx(small_model(decoder))


@pytest.mark.parametrize("decoder", MODELS)
def test_graphs_equal_the_model(decoder):
    model = small_model(decoder)
    encoder, step = (onnxruntime.InferenceSession(graph.SerializeToString()) for graph in graphs_of(decoder))
    for sentences, source, beams in SIZES:
        own = source if model.head.copies else 0  # words that the vocabulary lacks
        tokens = torch.randint(4, 17 + own, (sentences, source))
        lengths = torch.randint(1, source + 1, (sentences,))
        lengths[0] = source
        with torch.no_grad():
            memory, state = encode_for_search(model, Padded(tokens, lengths))
        found = encoder.run(None, {"tokens": tokens.numpy(), "lengths": lengths.numpy()})
        for value, wanted in zip(found, (*leaves(memory), *leaves(state)), strict=True):
            assert value.astype(float) == pytest.approx(wanted.double().numpy(), abs=1e-5)

        # From states that differ from beam to beam.
        rows = [
            leaf.unsqueeze(1) + 0.1 * torch.randn(leaf.size(0), beams, *leaf.shape[1:])
            for leaf in leaves(state)
        ]
        read = torch.randint(4, VOCABULARY + own, (sentences, beams))
        flat = structured(state, [leaf.flatten(0, 1) for leaf in rows])
        with torch.no_grad():
            log_probs, following, weights = model.decode_step(
                read.flatten(), memory, flat, Padded(tokens, lengths)
            )
        log_probs[:, [PAD, BOS]] = -torch.inf
        best, places = top(log_probs, 6)
        feed = {"tokens": read, "source": tokens, "lengths": lengths, "k": torch.tensor([6])}
        feed |= {f"memory_{place}": leaf for place, leaf in enumerate(leaves(memory))}
        feed |= {f"state_{place}": leaf for place, leaf in enumerate(rows)}
        wanted = [best, places, *leaves(following), *([] if weights is None else [weights])]
        found = step.run(None, {name: value.numpy() for name, value in feed.items()})
        for value, expected in zip(found, wanted, strict=True):
            assert value.shape == (sentences, beams, *expected.shape[1:])
            assert value.reshape(expected.shape).astype(float) == pytest.approx(
                expected.double().numpy(), abs=1e-5
            )


def test_shared_weights_are_written_once(tmp_path):
    graphs = copy.deepcopy(graphs_of("InputFeeding"))
    sizes = [
        onnx.numpy_helper.to_array(tensor).nbytes for graph in graphs for tensor in graph.graph.initializer
    ]
    sessions = [onnxruntime.InferenceSession(graph.SerializeToString()) for graph in graphs]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("s2s.export.weights.SMALL", 64)
        share_weights(graphs, tmp_path / "weights.bin")
    for name, graph in graphs._asdict().items():
        onnx.save(graph, tmp_path / f"{name}.onnx")
    content = (tmp_path / "weights.bin").read_bytes()
    table = small_model("InputFeeding").target_embedding.weight.detach().numpy().tobytes()
    assert content.count(table) == 1
    assert len(content) <= sum(sizes) - len(table)
    feed = {"tokens": np.array([[4, 5, 6]]), "lengths": np.array([3])}
    again = onnxruntime.InferenceSession(tmp_path / "encoder.onnx")
    for value, wanted in zip(again.run(None, feed), sessions[0].run(None, feed), strict=True):
        assert np.array_equal(value, wanted)
    assert [value.name for value in onnxruntime.InferenceSession(tmp_path / "step.onnx").get_outputs()]


def test_what_cannot_be_exported_is_named(capsys: pytest.CaptureFixture[str]):
    model = small_model("Recurrent")

    class Loops(type(model.bridge)):
        def forward(self, features):
            return super().forward(features) if features.sum().item() > 0 else super().forward(-features)

    model.bridge.__class__ = Loops
    with pytest.raises(
        ConfigError, match=r"Encoder cannot be exported to ONNX: .*`s2s plugins check` tells which"
    ):
        to_onnx(model)
    assert capsys.readouterr().err == ""  # the exporter would print the whole graph


def test_graphs_tell_nothing_of_the_machine_that_made_them():
    for graph in graphs_of("Recurrent"):
        assert b".py" not in graph.SerializeToString()
