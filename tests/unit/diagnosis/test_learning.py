"""Trainings: what is solved, what cannot be, what clipping does, what ends early."""

import functools

import pytest
import torch

from s2s.diagnosis import learning
from s2s.diagnosis.learning import Learnt, learn
from s2s.diagnosis.problems import SOLVED, Adding, Copying, Problem
from s2s.nn import RecurrentCell
from s2s_plugins.cells.elman import Elman
from s2s_plugins.cells.gru import GRU

ADAM = functools.partial(torch.optim.Adam, lr=0.01)


class Forgetful(RecurrentCell):
    """It has a state, and does not look at it."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, projected_size=hidden_size)

    def step(self, x, state, noise=None):
        return torch.tanh(x), (torch.tanh(x),)


def trained(cell: RecurrentCell, problem: Problem, *, lag: int = 5, **changed) -> Learnt:
    usual = {
        "steps": 100,
        "batch_size": 16,
        "clip": 1.0,
        "seed": 1,
        "optimizer": ADAM,
        "stop_when_solved": True,
    }
    return learn(cell, problem, lag, **{**usual, **changed})


def built(kind: type[RecurrentCell], problem: Problem, size: int = 16) -> RecurrentCell:
    torch.manual_seed(1)
    return kind(problem.input_size, size)


def test_a_memory_solves_it_and_ends_there() -> None:
    problem = Copying()
    learnt = trained(built(Elman, problem, 32), problem, steps=2000)
    assert learnt.updates < 2000 and not learnt.diverged
    assert learnt.error <= SOLVED * problem.guessing
    assert len(learnt.norms) == learnt.updates and len(learnt.curve) == learnt.updates // learning.WINDOW
    assert learnt.curve[-1] <= SOLVED * problem.guessing / 2 < learnt.curve[0]


def test_without_a_memory_there_is_only_guessing() -> None:
    problem = Copying()
    learnt = trained(built(Forgetful, problem), problem, steps=200)
    assert learnt.updates == 200
    assert learnt.error == pytest.approx(problem.guessing, abs=0.025)  # 4 times sqrt(7/64 / 3,000)


def test_equal_seeds_give_equal_trainings() -> None:
    first, again, other = (trained(built(GRU, Adding()), Adding(), steps=50, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize("clip", [0.001, 0.0])
def test_clipping_bounds_a_step(clip: float) -> None:
    """Gradient descent at rate 1 moves the weights by the gradient itself, cut to its longest length."""
    problem = Copying()
    cell = built(Elman, problem)
    before = torch.nn.utils.parameters_to_vector(cell.parameters()).detach().clone()
    learnt = trained(cell, problem, steps=1, clip=clip, optimizer=functools.partial(torch.optim.SGD, lr=1.0))
    moved = float((torch.nn.utils.parameters_to_vector(cell.parameters()).detach() - before).norm())
    (norm,) = learnt.norms
    assert norm > 0.01
    if clip:
        assert 0 < moved <= clip
    else:
        assert clip < 0.01 < moved <= norm


def test_a_training_that_diverges_is_ended_and_said() -> None:
    problem = Adding()
    learnt = trained(
        built(Elman, problem), problem, clip=0.0, optimizer=functools.partial(torch.optim.SGD, lr=1e30)
    )
    assert learnt.diverged and learnt.updates < 10


def test_it_is_measured_on_sequences_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []

    class Watched(Adding):
        def draw(self, batch_size, lag, generator):
            drawn = super().draw(batch_size, lag, generator)
            seen.append(drawn.x)
            return drawn

    monkeypatch.setattr(learning, "TESTED", 20)
    monkeypatch.setattr(learning, "PIECE", 10)
    trained(built(Elman, Adding()), Watched(), steps=3, batch_size=10)
    assert [len(x) for x in seen] == [10] * 5
    rows = {tuple(row.flatten().tolist()) for x in seen for row in x}
    assert len(rows) == 50
