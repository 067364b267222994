"""The sequences, worked out one by one, and what guessing achieves on many of them."""

import math

import pytest
import torch

from s2s.diagnosis.problems import PROBLEMS, Adding, Copying
from s2s.diagnosis.settings import SHORTEST_LAG

MANY = 20_000


def generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("lag", [4, 5, 20])
def test_adding(lag: int) -> None:
    x, target = Adding().draw(200, lag, generator())
    assert x.shape == (200, lag, 2) and target.shape == (200, 1)
    first, second = set(), set()
    for sequence, wanted in zip(x.tolist(), target.tolist(), strict=True):
        marked = [place for place, (_, mark) in enumerate(sequence) if mark == 1.0]
        assert all(mark in (0.0, 1.0) and 0.0 <= number < 1.0 for number, mark in sequence)
        one, other = marked
        first.add(one)
        second.add(other)
        assert wanted[0] == pytest.approx(sequence[one][0] + sequence[other][0])
    assert first == set(range(lag // 2)) and second == set(range(lag // 2, lag))


def test_guessing_a_sum() -> None:
    """Two numbers uniform in [0, 1]: mean 1, variance 2 / 12; no other constant is as good."""
    problem = Adding()
    _, target = problem.draw(MANY, 10, generator())
    errors = {
        guess: float(problem.error(torch.full((MANY, 1, 1), guess), target)) for guess in (0.9, 1.0, 1.1)
    }
    assert problem.guessing == pytest.approx(1 / 6)
    assert errors[1.0] == pytest.approx(1 / 6, abs=0.006)  # 4 standard errors: 0.21 / sqrt(20,000) each
    assert errors[1.0] < min(errors[0.9], errors[1.1])
    assert float(problem.error(target.unsqueeze(-1) + 0.5, target)) == pytest.approx(0.25)


@pytest.mark.parametrize("lag", [4, 5, 9])
def test_copying(lag: int) -> None:
    x, target = Copying().draw(50, lag, generator())
    assert x.shape == (50, lag + 3, 10) and (x.sum(-1) == 1).all()
    for sequence, wanted in zip(x.argmax(-1).tolist(), target.tolist(), strict=True):
        assert sequence == [*wanted, *[8] * (lag - 4), 9, 8, 8, 8]
    assert set(target.flatten().tolist()) == set(range(8))


def test_guessing_a_symbol() -> None:
    problem = Copying()
    _, target = problem.draw(MANY, 10, generator())
    read = torch.randn(MANY, 3, 8, generator=generator(2))
    assert problem.guessing == 7 / 8
    assert float(problem.error(read, target)) == pytest.approx(
        7 / 8, abs=0.006
    )  # 4 times sqrt(7/64 / 60,000)
    assert float(problem.loss(torch.zeros(MANY, 3, 8), target)) == pytest.approx(math.log(8), rel=1e-5)


def test_the_share_of_wrong_symbols() -> None:
    problem = Copying()
    target = torch.tensor([[1, 2, 3], [4, 5, 6]])
    said = torch.tensor([[1, 2, 0], [4, 0, 0]])
    read = torch.nn.functional.one_hot(said, 8).float()
    assert float(problem.error(read, target)) == pytest.approx(3 / 6)
    assert float(problem.error(torch.full_like(read, math.nan), torch.zeros_like(target))) == 1.0
    assert problem.show(0.25) == "75.0" and Adding().show(1 / 6) == "0.167"


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_the_shortest_lag_has_room_for_all(problem) -> None:
    x, target = problem.draw(3, SHORTEST_LAG, generator())
    assert x.size(-1) == problem.input_size and target.size(1) == problem.answers <= x.size(1)


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_equal_seeds_give_equal_sequences(problem) -> None:
    draws = [problem.draw(5, 8, generator(seed)).x for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])
