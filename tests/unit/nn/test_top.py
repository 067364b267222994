"""The k best entries, held against a sort of (score, place)."""

import importlib

import pytest
import torch

from s2s.nn.top import top, top_log_probs


@pytest.mark.parametrize("vocabulary", [1, 3, 63, 64, 65, 700, 1000, 1024])
@pytest.mark.parametrize("k", [1, 2, 6, 11])
@pytest.mark.parametrize("kind", ["distinct", "ties", "mostly impossible", "equal"])
@pytest.mark.parametrize("few", [2**14, 0], ids=["as they are", "in blocks"])
def test_top_is_the_head_of_a_sort(vocabulary, k, kind, few, monkeypatch):
    monkeypatch.setattr(importlib.import_module("s2s.nn.top"), "_FEW", few)  # s2s.nn has a `top`, too
    generator = torch.Generator().manual_seed(vocabulary)
    scores = torch.randn(4, 3, vocabulary, generator=generator)
    if kind == "ties":
        scores = (scores * 3).round() / 3 * torch.tensor([1.0, -1.0, 0.0]).view(1, 3, 1)  # -0.0 among them
    elif kind == "mostly impossible":
        scores[torch.rand(scores.shape, generator=generator) < 0.97] = -torch.inf
    elif kind == "equal":
        scores = torch.full_like(scores, -2.5)
    values, places = top(scores, k)
    k = min(k, vocabulary)
    assert values.shape == places.shape == (4, 3, k)
    for row, row_values, row_places in zip(
        scores.view(-1, vocabulary).tolist(),
        values.view(-1, k).tolist(),
        places.view(-1, k).tolist(),
        strict=True,
    ):
        expected = sorted(range(vocabulary), key=lambda place: (-row[place], place))[:k]
        assert row_places == expected
        assert row_values == [row[place] for place in expected]


def test_any_layout_and_dtype():
    scores = torch.randn(200, 5, dtype=torch.float64).t()
    values, places = top(scores, 3)
    assert values.dtype == torch.float32
    assert places.tolist() == scores.topk(3).indices.tolist()


@pytest.mark.parametrize("vocabulary", [5, 70, 1000])
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("scale", [1.0, 300.0])  # exp(300) is beyond float32
def test_top_of_the_softmax(vocabulary, k, scale):
    logits = torch.randn(6, vocabulary, generator=torch.Generator().manual_seed(k)) * scale
    logits[0, 2] = logits[0].max() + scale  # what may not be chosen is the most probable of all
    logits[1, 4] = logits[1, 3] = logits[1].max() + 1
    never = torch.tensor([0, 2])
    expected = logits.double().log_softmax(dim=-1)
    expected[:, never] = -torch.inf
    values, places = top_log_probs(logits, k, never)
    expected_values, expected_places = expected.sort(dim=-1, descending=True, stable=True)
    assert torch.equal(places, expected_places[:, :k])
    # two bits of the value, and the error of a sum of `vocabulary` numbers
    torch.testing.assert_close(values.double(), expected_values[:, :k], rtol=2.4e-7, atol=3e-7)


def test_a_softmax_of_nan_is_nan_and_fewer_places_than_asked_for_are_impossible():
    logits = torch.tensor([[0.0, torch.nan, 1.0, 2.0], [0.0, 1.0, 2.0, 3.0]])
    values, _ = top_log_probs(logits, 4, torch.tensor([0, 1]))
    assert values[0, :2].isnan().all()
    assert values[1, :2].isfinite().all()
    assert values[:, 2:].isneginf().all()
