"""Attention by words: held against the decoder stepped by hand, and links worked out by hand."""

import pytest
import torch

from s2s.errors import BundleError, ConfigError, DataError
from s2s.inference.alignment import Alignment, align, attention_of_search, pharaoh
from s2s.inference.bundle import load_bundle
from s2s.registry.parts import factory
from s2s.text.batch import pad
from s2s.text.tokenizer import BOS
from tests.references.tiny import tiny_bundle

SOURCES = ["ab cde f", "hello world", "one", "", "a b", "x"]
TARGETS = ["gh i", "bye", "", "two words", "c d e", "y z"]
FLOAT32 = 1e-5


@pytest.fixture(
    scope="module",
    params=[("InputFeeding", "LuongGeneral"), ("Recurrent", "Bahdanau"), ("Recurrent", "Coverage")],
)
def bundle(request, tmp_path_factory):
    decoder, attention = request.param
    return load_bundle(
        tiny_bundle(tmp_path_factory.mktemp("tiny") / "b", decoder=decoder, attention=attention)
    )


@torch.no_grad()
def stepped(bundle, source, target):
    """Weights by words; with the tokenizer of characters each sign is a piece, and a space belongs to what follows."""
    batch = pad([bundle.source_tokenizer.encode(source)])
    memory, state = bundle.model.encode(batch)
    rows, before = [], BOS
    for token in bundle.target_tokenizer.encode(target):
        _, state, weights = bundle.model.decode_step(torch.tensor([before]), memory, state, batch)
        rows.append(weights[0])
        before = token
    found = torch.zeros(len(target.split()), len(source.split()))
    for i, row in enumerate(rows):
        of = len(target[: i + 1].split()) - (target[i] != " ")
        for j, weight in enumerate(row):
            found[of, len(source[: j + 1].split()) - (source[j] != " ")] += weight
    lengths = [len(word) + (index > 0) for index, word in enumerate(target.split())]
    return found / torch.tensor(lengths).unsqueeze(1)


@pytest.mark.parametrize("batch_tokens", [1, 4096])
def test_weights_are_those_of_the_steps(bundle, batch_tokens):
    found = align(bundle, SOURCES, TARGETS, batch_tokens=batch_tokens)
    for source, target, one in zip(SOURCES, TARGETS, found, strict=True):
        assert (one.source_words, one.target_words) == (source.split(), target.split())
        assert one.weights.shape == (len(target.split()), len(source.split()))
        if source and target:
            assert torch.allclose(one.weights, stepped(bundle, source, target), atol=FLOAT32)
            assert torch.allclose(one.weights.sum(1), torch.ones(len(target.split())), atol=FLOAT32)
        else:
            assert one.links() == [] == one.links(0.1)


def test_a_search_attends_as_teacher_forcing_of_its_output_does(bundle):
    strategy = factory("search", {"class_path": "Beam", "init_args": {"size": 4}})()
    for source in ("hello, world", "a few words more"):
        found = attention_of_search(bundle, source, strategy)
        assert found.source_words == source.split()
        if found.target_words:
            (again,) = align(bundle, [source], [" ".join(found.target_words)])
            assert torch.allclose(found.weights, again.weights, atol=FLOAT32)
    assert any(
        attention_of_search(bundle, source).target_words
        for source in ("hello, world", "vxacybjcve", "straße")
    )


def test_links():
    weights = torch.tensor([[0.2, 0.6, 0.2], [0.5, 0.0, 0.5], [0.0, 0.0, 0.0]])
    one = Alignment(["a", "b", "c"], ["d", "e", "f"], weights)
    assert one.links() == [(0, 1), (1, 0)]
    assert one.links(0.5) == [(0, 1), (1, 0), (2, 1)]
    assert pharaoh(one.links(0.2)) == "0-0 0-1 1-0 2-0 2-1"
    assert pharaoh([]) == ""
    for threshold in (0, -1, 1.5, float("nan")):
        with pytest.raises(ConfigError, match=f"threshold is {threshold}; it must be above 0 and at most 1"):
            one.links(threshold)


def test_a_model_without_attention_is_refused_with_the_reason(tmp_path):
    bundle = load_bundle(tiny_bundle(tmp_path / "b", decoder="Recurrent", attention=None))
    message = r"has no attention \(its decoder is Recurrent with attention: None\).*--model.decoder.attention"
    with pytest.raises(BundleError, match=message):
        align(bundle, ["a"], ["b"])
    with pytest.raises(BundleError, match=message):
        attention_of_search(bundle, "a")


def test_what_cannot_be(bundle):
    with pytest.raises(DataError, match="there are 1 sources and 0 targets"):
        align(bundle, ["a"], [])
    with pytest.raises(DataError, match="the text has 2 lines; give one sentence"):
        attention_of_search(bundle, "a\nb")
    with pytest.raises(DataError, match="the sentence '' has no token"):
        attention_of_search(bundle, "")
