"""Cells with unusual states, which the core must support."""

import warnings
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from s2s.nn.cell import RecurrentCell


class OddCell(RecurrentCell):
    """Three leaves of different widths, an output width other than the hidden width, a nonzero initial state.

    It implements `step` and its state only: no projection, no `fused`, no noise.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, output_size=hidden_size + 2)
        width = sum(self.state_sizes)
        self.mix = nn.Linear(input_size + width, width)
        self.first = nn.Parameter(torch.randn(width))
        nn.init.normal_(self.mix.weight, std=0.2)  # small: chaos would amplify rounding errors

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.output_size, self.hidden_size, 1)

    def initial_state(self, batch_size: int, *, like: Tensor) -> Any:
        return tuple(self.first.expand(batch_size, -1).split(list(self.state_sizes), dim=-1))

    def step(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:  # type: ignore[override]  # it has no noise
        said, hidden, clock = state
        mixed = self.mix(torch.cat([x, *state], dim=-1))
        new_said, new_hidden, tick = mixed.split(list(self.state_sizes), dim=-1)
        clock = 0.5 * clock + torch.sigmoid(tick)
        hidden = torch.tanh(new_hidden) * clock + 0.5 * hidden
        said = torch.tanh(new_said) - 0.3 * said
        return said * clock, (said, hidden, clock)


class Slots(NamedTuple):
    """A state with a name for each part, a nested part, and a leaf that is a matrix."""

    summary: Tensor  # [batch, hidden]
    inner: tuple[Tensor, Tensor]  # slots [batch, 2, hidden], of length 1; and their age [batch, 1]


class SlotCell(RecurrentCell):
    """A nested state with a constrained matrix leaf, its own affine projection and noise."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, output_size=hidden_size)
        self.enter = nn.Linear(input_size, 2 * hidden_size + 1)
        self.recur = nn.Linear(hidden_size, 2 * hidden_size)
        nn.init.normal_(self.enter.bias)

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.hidden_size, 2 * self.hidden_size, 1)

    def initial_state(self, batch_size: int, *, like: Tensor) -> Slots:
        weight = self.enter.weight
        slots = weight.new_ones(batch_size, 2, self.hidden_size) / self.hidden_size**0.5
        return Slots(weight.new_zeros(batch_size, self.hidden_size), (slots, weight.new_ones(batch_size, 1)))

    def project(self, x: Tensor) -> Tensor:
        projected: Tensor = self.enter(x)
        return projected

    def step(self, x: Tensor, state: Slots, noise: Any = None) -> tuple[Tensor, Slots]:
        summary, (slots, age) = state
        entering, aging = x[:, :-1], x[:, -1:]
        recurring = self.recur(summary if noise is None else summary * noise[0])
        update = (entering + recurring).unflatten(-1, (2, -1))
        slots = nn.functional.normalize(slots + age.unsqueeze(-1) * torch.tanh(update), dim=-1)
        summary = torch.tanh(summary - slots.sum(1) * update[:, 0])
        return summary, Slots(summary, (slots, torch.sigmoid(aging) + 0.1 * age))

    def state_from(self, features: Tensor) -> Slots:
        summary, slots, age = features.split(list(self.state_sizes), dim=-1)
        return Slots(summary, (nn.functional.normalize(slots.unflatten(-1, (2, -1)), dim=-1), age))

    def noise(self, batch_size: int, *, like: Tensor) -> Any:
        if not self.training:
            return None
        return (like.new_empty(batch_size, self.hidden_size).bernoulli_(0.5) * 2,)


class ScalarCell(RecurrentCell):
    """Besides the hidden state, a leaf of one number per row, [batch]: its running mean."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, projected_size=hidden_size)
        self.recur = nn.Linear(hidden_size, hidden_size)

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.hidden_size, 1)

    def initial_state(self, batch_size: int, *, like: Tensor) -> tuple[Tensor, Tensor]:
        return self.state_from(like.new_zeros(batch_size, self.feature_size, dtype=self.recur.weight.dtype))

    def step(
        self, x: Tensor, state: tuple[Tensor, Tensor], noise: Any = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        hidden, mean = state
        hidden = torch.tanh(x + self.recur(hidden) - mean.unsqueeze(-1))
        return hidden, (hidden, 0.5 * mean + 0.5 * hidden.mean(-1))

    def state_from(self, features: Tensor) -> tuple[Tensor, Tensor]:
        hidden, mean = features.split(list(self.state_sizes), dim=-1)
        return hidden, mean.squeeze(-1)


class CountingCell(RecurrentCell):
    """Leaves without a gradient: the number of steps, [batch] of int64, and which units were positive."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, projected_size=hidden_size)
        self.recur = nn.Linear(hidden_size, hidden_size)

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.hidden_size, 1, self.hidden_size)

    def initial_state(self, batch_size: int, *, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.state_from(like.new_zeros(batch_size, self.feature_size, dtype=self.recur.weight.dtype))

    def step(
        self, x: Tensor, state: tuple[Tensor, Tensor, Tensor], noise: Any = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        hidden, steps, positive = state
        sign = (1 - 2 * (steps % 2)).unsqueeze(-1)
        hidden = torch.tanh(x + sign * self.recur(torch.where(positive, 0.5 * hidden, hidden)))
        return hidden, (hidden, steps + 1, hidden > 0)

    def state_from(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        hidden, steps, positive = features.split(list(self.state_sizes), dim=-1)
        return hidden, steps.squeeze(-1).round().long(), positive > 0.5


class RotatingCell(RecurrentCell):
    """A complex leaf, rotated by an angle at every step, and a real one that reads it."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, projected_size=2 * hidden_size)
        self.angle = nn.Parameter(torch.randn(hidden_size))

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.hidden_size, self.hidden_size)

    @property
    def feature_size(self) -> int:
        return 3 * self.hidden_size

    def initial_state(self, batch_size: int, *, like: Tensor) -> tuple[Tensor, Tensor]:
        return self.state_from(like.new_zeros(batch_size, self.feature_size, dtype=self.angle.dtype))

    def step(
        self, x: Tensor, state: tuple[Tensor, Tensor], noise: Any = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        hidden, wave = state
        turn = torch.polar(torch.full_like(self.angle, 0.9), self.angle)
        wave = turn * wave + torch.complex(*torch.tanh(x.to(hidden.dtype)).chunk(2, dim=-1))
        hidden = torch.tanh(wave.real + 0.5 * wave.imag - 0.3 * hidden)
        return hidden, (hidden, wave)

    def features(self, state: tuple[Tensor, Tensor]) -> Tensor:
        hidden, wave = state
        return torch.cat([hidden, wave.real, wave.imag], dim=-1)

    def state_from(self, features: Tensor) -> tuple[Tensor, Tensor]:
        hidden, real, imaginary = features.to(self.angle.dtype).chunk(3, dim=-1)
        return hidden, torch.complex(real, imaginary)


class HookedCell(RecurrentCell):
    """It holds a tensor computed by a hook, weight normalization (Salimans & Kingma 2016), and cannot be copied."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, projected_size=hidden_size)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # the recommended function can be copied
            self.recur = nn.utils.weight_norm(nn.Linear(hidden_size, hidden_size))

    def step(self, x: Tensor, state: tuple[Tensor], noise: Any = None) -> tuple[Tensor, tuple[Tensor]]:
        hidden = torch.tanh(x + self.recur(state[0]))
        return hidden, (hidden,)
