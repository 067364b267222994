"""The CRF against all label sequences that there are, one by one, in NumPy."""

import itertools
import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from s2s.nn import CRF

LABELS, LENGTHS = 3, (4, 1, 3)
Array = NDArray[np.float64]


@pytest.fixture
def crf() -> CRF:
    torch.manual_seed(1)
    made = CRF(LABELS).double()
    for parameter in made.parameters():
        parameter.data.normal_()
    return made


@pytest.fixture
def scores() -> torch.Tensor:
    return torch.randn(
        3, 4, LABELS, dtype=torch.float64, generator=torch.Generator().manual_seed(2), requires_grad=True
    )


def enumerated(crf: CRF, scores: Array) -> dict[tuple[int, ...], float]:
    """The score of each sequence of labels of a sentence [words, labels], from the definition."""
    between, first, last = (value.detach().numpy() for value in (crf.transitions, crf.first, crf.last))
    found = {}
    for labels in itertools.product(range(LABELS), repeat=len(scores)):
        score = first[labels[0]] + last[labels[-1]]
        score += sum(scores[time, label] for time, label in enumerate(labels))
        score += sum(between[before, after] for before, after in itertools.pairwise(labels))
        found[labels] = float(score)
    return found


def sentences(scores: torch.Tensor) -> list[Array]:
    return [row[:length].numpy() for row, length in zip(scores.detach(), LENGTHS, strict=True)]


def test_partition_likelihood_marginals_and_best_labels(crf: CRF, scores: torch.Tensor) -> None:
    lengths = torch.tensor(LENGTHS)
    gold = torch.tensor([[2, 0, 1, 1], [1, 0, 0, 0], [0, 0, 2, 0]])
    padding = torch.arange(4) >= lengths.unsqueeze(1)
    allowed = (gold.unsqueeze(2) == torch.arange(LABELS)) | padding.unsqueeze(2)
    partition, nll = crf.log_partition(scores, lengths), crf.nll(scores, allowed, lengths)
    marginals, best = crf.marginals(scores, lengths), crf.best(scores, lengths)
    for row, own in enumerate(sentences(scores)):
        every = enumerated(crf, own)
        expected = math.log(sum(map(math.exp, every.values())))
        assert partition[row].item() == pytest.approx(expected, abs=1e-12)
        right = tuple(gold[row, : len(own)].tolist())
        assert nll[row].item() == pytest.approx(expected - every[right], abs=1e-12)
        assert tuple(best[row, : len(own)].tolist()) == max(every, key=lambda labels: every[labels])
        for time in range(len(own)):
            for label in range(LABELS):
                share = sum(
                    math.exp(score - expected) for labels, score in every.items() if labels[time] == label
                )
                assert marginals[row, time, label].item() == pytest.approx(share, abs=1e-12)
        assert bool((marginals[row, len(own) :] == 0).all())


def test_gradients_are_counts_minus_expected_counts(crf: CRF, scores: torch.Tensor) -> None:
    """Lafferty et al. 2001, section 4: what the gold labels have, less what the model expects."""
    gold = [(2, 0, 1, 1), (1,), (0, 0, 2)]
    allowed = torch.ones(3, 4, LABELS, dtype=torch.bool)
    for row, labels in enumerate(gold):
        for time, label in enumerate(labels):
            allowed[row, time] = torch.arange(LABELS) == label
    crf.nll(scores, allowed, torch.tensor(LENGTHS)).sum().backward()
    transitions, first, last = np.zeros((LABELS, LABELS)), np.zeros(LABELS), np.zeros(LABELS)
    emitted = np.zeros((3, 4, LABELS))
    for row, own in enumerate(sentences(scores)):
        every = enumerated(crf, own)
        total = sum(map(math.exp, every.values()))
        weights = {labels: math.exp(score) / total for labels, score in every.items()}
        for labels, weight in [*weights.items(), (gold[row], -1.0)]:
            first[labels[0]] += weight
            last[labels[-1]] += weight
            for before, after in itertools.pairwise(labels):
                transitions[before, after] += weight
            for time, label in enumerate(labels):
                emitted[row, time, label] += weight
    for found, expected in (
        (crf.transitions.grad, transitions),
        (crf.first.grad, first),
        (crf.last.grad, last),
        (scores.grad, emitted),
    ):
        assert found is not None
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


def test_a_label_that_is_not_known_may_be_any(crf: CRF, scores: torch.Tensor) -> None:
    allowed = torch.ones(1, 4, LABELS, dtype=torch.bool)
    for time, label in ((0, 2), (3, 1)):
        allowed[0, time] = torch.arange(LABELS) == label
    own = scores[:1]
    every = enumerated(crf, own[0].detach().numpy())
    fitting = sum(math.exp(score) for labels, score in every.items() if (labels[0], labels[3]) == (2, 1))
    expected = math.log(sum(map(math.exp, every.values())) / fitting)
    loss = crf.nll(own, allowed, torch.tensor([4]))
    assert loss.item() == pytest.approx(expected, abs=1e-12)
    loss.sum().backward()
    assert all(
        parameter.grad is not None and bool(parameter.grad.isfinite().all()) for parameter in crf.parameters()
    )


def test_batch_mates_and_padding_change_nothing(crf: CRF) -> None:
    rows = [*LENGTHS] * 8  # padding leads astray in some of them only
    scores = torch.randn(
        len(rows), 6, LABELS, dtype=torch.float64, generator=torch.Generator().manual_seed(5)
    )
    scores[1, 1:] = 1e6
    together = [crf.marginals(scores, torch.tensor(rows)), crf.best(scores, torch.tensor(rows))]
    for row, length in enumerate(rows):
        alone, only = scores[row : row + 1, :length], torch.tensor([length])
        for found, expected in zip(
            together, (crf.marginals(alone, only), crf.best(alone, only)), strict=True
        ):
            torch.testing.assert_close(found[row, :length], expected[0])


def test_marginals_where_nothing_learns(crf: CRF, scores: torch.Tensor) -> None:
    expected = crf.marginals(scores, torch.tensor(LENGTHS))
    with torch.inference_mode():
        found = crf.marginals(scores.clone(), torch.tensor(LENGTHS))
    torch.testing.assert_close(found, expected)
    assert all(parameter.grad is None for parameter in crf.parameters())


def test_marginals_of_a_long_sentence_are_exact() -> None:
    # Sums over label sequences grow with the words: in float32, these marginals are wrong in the third digit.
    torch.manual_seed(1)
    crf = CRF(12)
    for parameter in crf.parameters():
        parameter.data.normal_()
    scores, lengths = 3 * torch.randn(2, 1500, 12), torch.tensor([1500, 7])
    marginals = crf.marginals(scores, lengths)
    assert marginals.dtype == torch.float32
    assert marginals[0].sum(1).numpy() == pytest.approx(np.ones(1500), abs=1e-6)
    assert torch.allclose(marginals[0], crf.marginals(scores[:1, :1500], lengths[:1])[0], atol=1e-6, rtol=0)
    exact = CRF(12).double()
    exact.load_state_dict(crf.state_dict())
    assert torch.allclose(marginals, exact.marginals(scores.double(), lengths).float(), atol=1e-6, rtol=0)
    gold = torch.nn.functional.one_hot(torch.randint(12, (2, 1500)), 12).bool()
    allowed = gold | (torch.arange(1500) >= lengths.unsqueeze(1)).unsqueeze(2)
    losses = crf.nll(scores, allowed, lengths)
    assert losses.dtype == torch.float32
    assert torch.allclose(losses, exact.nll(scores.double(), allowed, lengths).float(), rtol=1e-6)
