"""Training one cell on one problem: a cell, a linear readout, fresh sequences at every update."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn

from s2s.diagnosis.problems import SOLVED, Problem
from s2s.nn.cell import RecurrentCell
from s2s.nn.unroll import unroll

TESTED, PIECE = 1000, 100
"""Sequences of the final measurement, and how many of them at once."""

WINDOW = 50
"""Updates over which a training error is averaged."""

_TEST_SEED = 2**31
"""Added to the seed for those sequences; seeds are below it, and torch's generator looks at 32 bits."""

Optimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


@dataclass(frozen=True)
class Learnt:
    """The result of a training.

    Attributes:
        error: on sequences that it was not trained on.
        updates: number of updates made.
        diverged: the last gradient was not finite, and training ended there.
        curve: error of each `WINDOW` updates, on sequences before they were learnt from.
        norms: norm of the gradient at each update, before clipping.
    """

    error: float
    updates: int
    diverged: bool
    curve: tuple[float, ...]
    norms: tuple[float, ...]


def learn(
    cell: RecurrentCell,
    problem: Problem,
    lag: int,
    *,
    steps: int,
    batch_size: int,
    clip: float,
    seed: int,
    optimizer: Optimizer,
    stop_when_solved: bool,
) -> Learnt:
    """Train a cell and a new readout.

    Args:
        cell: changed in place.
        problem: at this lag.
        lag: steps to bridge.
        steps: maximum updates.
        batch_size: sequences per update.
        clip: maximum gradient norm; 0: no clipping.
        seed: of readout and sequences.
        optimizer: made for the parameters.
        stop_when_solved: end once the error of the last `WINDOW` updates is half of what counts as solved.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    readout = nn.Linear(cell.output_size, problem.readout_size)
    parameters = [*cell.parameters(), *readout.parameters()]
    updater = optimizer(parameters)
    cell.train()

    def read(x: torch.Tensor) -> torch.Tensor:
        outputs, _ = unroll(cell, x, torch.full((x.size(0),), x.size(1)))
        answers: torch.Tensor = readout(outputs[:, -problem.answers :])
        return answers

    norms: list[float] = []
    curve: list[float] = []
    window: list[float] = []
    for _ in range(steps):
        x, target = problem.draw(batch_size, lag, generator)
        answers = read(x)
        loss = problem.loss(answers, target)
        updater.zero_grad()
        loss.backward()
        norm = float(nn.utils.clip_grad_norm_(parameters, clip or math.inf))
        norms.append(norm)
        window.append(float(problem.error(answers.detach(), target)))
        if not math.isfinite(norm):  # weights would be lost, and with them all that follows
            break
        updater.step()
        if len(window) == WINDOW:
            curve.append(sum(window) / WINDOW)
            window.clear()
            if stop_when_solved and curve[-1] <= SOLVED * problem.guessing / 2:
                break
    cell.eval()
    generator.manual_seed(seed + _TEST_SEED)
    error = 0.0
    with torch.no_grad():
        for _ in range(TESTED // PIECE):
            x, target = problem.draw(PIECE, lag, generator)
            error += float(problem.error(read(x), target)) * PIECE / TESTED
    return Learnt(error, len(norms), not math.isfinite(norms[-1]), tuple(curve), tuple(norms))
