"""The k best entries, held against a sort of (score, place)."""

import pytest
import torch

from s2s.search.top import top


@pytest.mark.parametrize("vocabulary", [1, 3, 63, 64, 65, 700, 1000, 1024])
@pytest.mark.parametrize("k", [1, 2, 6, 11])
@pytest.mark.parametrize("kind", ["distinct", "ties", "mostly impossible", "equal"])
def test_top_is_the_head_of_a_sort(vocabulary, k, kind):
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
