"""The whole diagnosis: gradients before and after training, how far back a cell learns, the effect of clipping."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from s2s.diagnosis.gradients import input_gradients
from s2s.diagnosis.learning import Learnt, learn
from s2s.diagnosis.problems import PROBLEMS, SOLVED, Copying, Problem
from s2s.diagnosis.settings import CELLS, Settings
from s2s.diagnosis.subjects import Subject, Unfit, scale_recurrence, subjects, try_out
from s2s.errors import ConfigError
from s2s.nn.cell import RecurrentCell
from s2s.registry.parts import Spec

SEQUENCES = 9
"""Number of sequences; gradients are medians over them, because the largest would dominate a mean."""

FORGET_BIASES = (0.0, 1.0, 3.0)
"""A forget gate that starts half open, at 0.73 (Jozefowicz et al. 2015) and at 0.95."""

CLIPPING_SCALE, CLIPPING_LAG, CLIPPING_STEPS, CLIPPING_RATE = 1.5, 40, 300, 0.1
"""Where clipping is tried: copying, by plain gradient descent as in Pascanu et al. 2013 (Adam divides by the gradients'
size and hides most of it), from recurrent weights that are too large."""


@dataclass(frozen=True)
class Gradients:
    """Norms of d h_T / d x_t against distance.

    Attributes:
        cell: label of the cell.
        series: "scale", "forget bias", or the name of a problem, on whose sequences it was measured.
        value: the scale, the bias, or "before" and "after" training.
        lag: of the problem; 0 for random inputs.
        norms: by distance, from 0.
    """

    cell: str
    series: str
    value: float | str
    lag: int
    norms: tuple[float, ...]


@dataclass(frozen=True)
class Learning:
    """One cell trained on one problem at one lag.

    Attributes:
        cell: label of the cell.
        problem: its name.
        lag: steps to bridge.
        guessing: the error of guessing.
        learnt: the result.
    """

    cell: str
    problem: str
    lag: int
    guessing: float
    learnt: Learnt

    @property
    def solved(self) -> bool:
        """The error is at most a tenth of guessing's."""
        return self.learnt.error <= SOLVED * self.guessing


@dataclass(frozen=True)
class Clipping:
    """One cell trained from large weights with clipped gradients.

    Attributes:
        cell: label of the cell.
        scale: factor on the initial recurrent weights.
        clip: maximum gradient norm; 0: no clipping.
        learnt: the result.
    """

    cell: str
    scale: float
    clip: float
    learnt: Learnt


@dataclass(frozen=True)
class Skipped:
    """What could not be measured of a cell, and why."""

    cell: str
    what: str
    reason: str


@dataclass
class Diagnosis:
    """All that was found.

    Attributes:
        settings: sizes and lengths.
        cells: labels, in the order given.
        gradients: before and after training.
        learning: every cell, problem and lag.
        clipping: with and without.
        skipped: what is missing.
        seconds: how long it took.
    """

    settings: Settings
    cells: list[str] = field(default_factory=list)
    gradients: list[Gradients] = field(default_factory=list)
    learning: list[Learning] = field(default_factory=list)
    clipping: list[Clipping] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    seconds: float = 0.0

    def longest_solved(self, cell: str, problem: str) -> int | None:
        """The longest lag that a cell bridged; None: none."""
        solved = [
            one.lag for one in self.learning if (one.cell, one.problem) == (cell, problem) and one.solved
        ]
        return max(solved, default=None)


def diagnose(
    cells: Sequence[Spec] = CELLS,
    settings: Settings | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Diagnosis:
    """Measure how far back cells remember.

    Equal settings, seed and number of threads give equal numbers; torch's global random state is unchanged.

    Args:
        cells: names of the catalogue, or `{"class_path": NAME, "init_args": {...}}`.
        settings: sizes and lengths.
        tell: is given a line when something is done.

    Raises:
        ConfigError: an unknown cell or option, or no cell that can be examined.
        PluginError: a cell that cannot be imported.
    """
    begun = time.monotonic()
    found = Diagnosis(settings or Settings())
    chosen = subjects(cells)
    with torch.random.fork_rng(devices=[]):
        fit = [subject for subject in chosen if _is_fit(subject, found, tell)]
        if not fit:
            reasons = "; ".join(f"{one.cell}: {one.reason}" for one in found.skipped)
            raise ConfigError(f"no cell is left to examine. {reasons}")
        for subject in fit:
            found.cells.append(subject.label)
            _before_training(subject, found, tell)
        for problem in PROBLEMS:
            for lag in sorted(found.settings.lags):
                for subject in fit:
                    _train(subject, problem, lag, found, tell)
        for subject in fit:
            _clip(subject, found, tell)
    found.seconds = time.monotonic() - begun
    return found


def _is_fit(subject: Subject, found: Diagnosis, tell: Callable[[str], None]) -> bool:
    settings = found.settings
    try:
        for width in (settings.input_size, *(problem.input_size for problem in PROBLEMS)):
            try_out(subject, width, settings.hidden_size)
    except Unfit as error:
        _skip(subject, "everything", error, found, tell)
        return False
    return True


def _skip(subject: Subject, what: str, reason: object, found: Diagnosis, tell: Callable[[str], None]) -> None:
    found.skipped.append(Skipped(subject.label, what, str(reason)))
    tell(f"{subject.label}: skipped: {what}: {reason}")


def _before_training(subject: Subject, found: Diagnosis, tell: Callable[[str], None]) -> None:
    """Gradients on random inputs, the recurrent weights larger and smaller, the forget gate's bias too."""
    settings = found.settings
    generator = torch.Generator().manual_seed(settings.seed)
    x = torch.randn(SEQUENCES, settings.distance + 1, settings.input_size, generator=generator)

    def measure(cell: RecurrentCell, series: str, value: float) -> None:
        found.gradients.append(Gradients(subject.label, series, value, 0, median_norms(cell, x)))

    def build(of: Subject) -> RecurrentCell:
        return of.build(settings.input_size, settings.hidden_size, settings.seed)

    scales = sorted({1.0, *settings.scales})
    try:
        scale_recurrence(build(subject), 1.0)
    except Unfit as error:
        _skip(subject, "scales of the recurrent weights", error, found, tell)
        scales = [1.0]
    for scale in scales:
        cell = build(subject)
        if scale != 1.0:
            scale_recurrence(cell, scale)
        measure(cell, "scale", scale)
    if subject.has("forget_bias"):
        for bias in FORGET_BIASES:
            measure(build(subject.with_option("forget_bias", bias)), "forget bias", bias)
    else:
        _skip(subject, "biases of the forget gate", "it has no option forget_bias", found, tell)
    tell(f"{subject.label}: gradients over {settings.distance} steps before training")


def median_norms(cell: RecurrentCell, x: torch.Tensor) -> tuple[float, ...]:
    """`input_gradients`, the median over sequences; by distance."""
    return tuple(input_gradients(cell, x).median(dim=0).values.tolist())


def _train(
    subject: Subject, problem: Problem, lag: int, found: Diagnosis, tell: Callable[[str], None]
) -> None:
    settings = found.settings
    begun = time.monotonic()
    cell = subject.build(problem.input_size, settings.hidden_size, settings.seed)
    looked_at = lag == max(settings.lags)
    if looked_at:
        generator = torch.Generator().manual_seed(settings.seed)
        x, _ = problem.draw(SEQUENCES, lag, generator)
        norms = median_norms(cell, x)
        found.gradients.append(Gradients(subject.label, problem.name, "before", lag, norms))
    learnt = learn(
        cell,
        problem,
        lag,
        steps=settings.steps,
        batch_size=settings.batch_size,
        clip=settings.clip,
        seed=settings.seed,
        optimizer=functools.partial(torch.optim.Adam, lr=settings.learning_rate),
        stop_when_solved=True,
    )
    if looked_at:
        norms = median_norms(cell, x)
        found.gradients.append(Gradients(subject.label, problem.name, "after", lag, norms))
    one = Learning(subject.label, problem.name, lag, problem.guessing, learnt)
    found.learning.append(one)
    verdict = "diverged" if learnt.diverged else "solved" if one.solved else "not solved"
    tell(
        f"{problem.name}, lag {lag}, {subject.label}: {verdict} after {learnt.updates} updates, {problem.measure} "
        f"{learnt.error:.3f} (guessing {problem.guessing:.3f}), {time.monotonic() - begun:.0f} s"
    )


def _clip(subject: Subject, found: Diagnosis, tell: Callable[[str], None]) -> None:
    settings = found.settings
    if not settings.clip:
        _skip(subject, "clipping", "clip is 0, so there is nothing to compare with", found, tell)
        return
    problem = Copying()
    for clip in (settings.clip, 0.0):
        cell = subject.build(problem.input_size, settings.hidden_size, settings.seed)
        scale = CLIPPING_SCALE
        try:
            scale_recurrence(cell, scale)
        except Unfit:  # it was told before; what it is like without is of interest too
            scale = 1.0
        learnt = learn(
            cell,
            problem,
            CLIPPING_LAG,
            steps=min(CLIPPING_STEPS, settings.steps),
            batch_size=settings.batch_size,
            clip=clip,
            seed=settings.seed,
            optimizer=functools.partial(torch.optim.SGD, lr=CLIPPING_RATE),
            stop_when_solved=False,
        )
        found.clipping.append(Clipping(subject.label, scale, clip, learnt))
        how = f"clipped at {clip:g}" if clip else "not clipped"
        tell(
            f"{problem.name} by gradient descent, {subject.label}, {how}: {problem.measure} {learnt.error:.3f}, "
            f"longest gradient {max(learnt.norms):.3g}"
        )
