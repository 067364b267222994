"""Problems of any lag that cannot be solved without memory, and the error of guessing."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F


class Drawn(NamedTuple):
    """Sequences of equal length and what is wanted of them."""

    x: Tensor  # [batch, time, input]
    target: Tensor  # [batch, answers]


class Problem(Protocol):
    """A source of sequences, and a measure.

    Attributes:
        name: in tables and files.
        input_size: width of the inputs.
        answers: the last steps, whose outputs are read.
        readout_size: numbers that are read off each of them.
        guessing: the error of the best answer that does not look at the input.
        measure: what `error` is, in words.
        shown: what `show` gives, in words.
    """

    name: str
    input_size: int
    answers: int
    readout_size: int
    guessing: float
    measure: str
    shown: str

    def draw(self, batch_size: int, lag: int, generator: torch.Generator) -> Drawn:
        """Sequences that no one has seen before."""
        ...

    def loss(self, read: Tensor, target: Tensor) -> Tensor:
        """What training minimizes; read [batch, answers, readout]."""
        ...

    def error(self, read: Tensor, target: Tensor) -> Tensor:
        """What is reported, a mean over answers; what is no number is not right."""
        ...

    def show(self, error: float) -> str:
        """An error as it stands in a table."""
        ...


class Adding:
    """The adding problem: the sum of the two numbers that are marked (Hochreiter & Schmidhuber 1997).

    As in Le et al. 2015 and Arjovsky et al. 2016: numbers are uniform in [0, 1]; of `lag` steps, one in the first half
    is marked and one in the second. So a number must be kept for at least half of the lag, and up to all of it.
    Guessing says 1, whose mean squared error is the variance of a sum of two such numbers: 2 / 12.
    """

    name = "adding"
    input_size = 2
    answers = 1
    readout_size = 1
    guessing = 1 / 6
    measure = "mean squared error"
    shown = "mean squared error"

    def draw(self, batch_size: int, lag: int, generator: torch.Generator) -> Drawn:
        """x: a number and its mark; target: the sum of the marked ones [batch, 1]."""
        numbers = torch.rand(batch_size, lag, generator=generator)
        half = lag // 2
        first = torch.randint(0, half, (batch_size, 1), generator=generator)
        second = torch.randint(half, lag, (batch_size, 1), generator=generator)
        marks = torch.zeros(batch_size, lag).scatter_(1, torch.cat([first, second], dim=1), 1.0)
        return Drawn(torch.stack([numbers, marks], dim=-1), (numbers * marks).sum(1, keepdim=True))

    def loss(self, read: Tensor, target: Tensor) -> Tensor:
        """Mean squared error."""
        return F.mse_loss(read.squeeze(-1), target)

    def error(self, read: Tensor, target: Tensor) -> Tensor:
        """Mean squared error."""
        return self.loss(read, target)

    def show(self, error: float) -> str:
        """As it is."""
        return f"{error:.3f}"


class Copying:
    """Copying after a delay: say again what was seen `lag` steps ago (Hochreiter & Schmidhuber 1997).

    Laid out as by Arjovsky et al. 2016, with fewer symbols, for few updates: symbols, blanks, a sign one step before
    the first answer, blanks. Only the answers count, each `lag` steps after its symbol. Without a memory all symbols
    are equally likely: the cross-entropy is ln 8 per answer, and one of 8 guesses is right.
    """

    name = "copying"
    symbols = 8
    answers = 3
    readout_size = symbols
    input_size = symbols + 2
    guessing = 1 - 1 / symbols
    measure = "share of wrong symbols"
    shown = "symbols recalled, %"

    def draw(self, batch_size: int, lag: int, generator: torch.Generator) -> Drawn:
        """x: one-hot, the symbols, the blank, the sign; target: the first symbols [batch, answers]."""
        blank, sign = self.symbols, self.symbols + 1
        target = torch.randint(0, self.symbols, (batch_size, self.answers), generator=generator)
        shown = torch.full((batch_size, lag + self.answers), blank)
        shown[:, : self.answers] = target
        shown[:, lag - 1] = sign
        return Drawn(F.one_hot(shown, self.input_size).to(torch.get_default_dtype()), target)

    def loss(self, read: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy per answer, in nats."""
        return F.cross_entropy(read.flatten(0, 1), target.flatten())

    def error(self, read: Tensor, target: Tensor) -> Tensor:
        """Share of wrong symbols."""
        chosen = read.argmax(-1)
        right = (chosen == target) & read.isfinite().all(-1)
        return 1 - right.to(read.dtype).mean()

    def show(self, error: float) -> str:
        """What is not wrong, in percent."""
        return f"{100 * (1 - error):.1f}"


PROBLEMS: tuple[Problem, ...] = (Adding(), Copying())

SOLVED = 0.1
"""A problem is solved where the error is at most this share of guessing's."""
