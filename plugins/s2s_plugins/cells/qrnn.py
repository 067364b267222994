"""Quasi-recurrent neural network."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s.nn import Noise, RecurrentCell, State, check_rate, check_size, last_output, linear_recurrence

TICK = 2.0**-10
"""Unit of zoneout's step counter: small values that a bridge can produce, exact in float32 for thousands of steps."""


class QRNN(RecurrentCell):
    """Quasi-recurrent network (Bradbury et al. 2017, eq. 1, fo-pooling, eq. 4, and zoneout, eq. 6).

    ::

        candidate = tanh(W_z^1 x_{t-k+1} + ... + W_z^k x_t + b_z)                   (k: the window)
        forget = sigmoid(W_f^1 x_{t-k+1} + ... + W_f^k x_t + b_f)
        output = sigmoid(W_o^1 x_{t-k+1} + ... + W_o^k x_t + b_o)
        c_t = forget * c_{t-1} + (1 - forget) * candidate
        h_t = output * c_t

    Inputs before the first one are zero. The state is c and, for each of the next k - 1 steps, the partial sums that
    the inputs so far contribute to it. The biases are the usual addition.

    With zoneout, in training, each unit keeps its c at each step with a given probability: forget = 1 - dropout(1 -
    forget), not rescaled. Masks are a hash of the step number and of a random number per unit and sequence, so `step`
    and `fused` draw the same ones. For this, the last leaf of the state is a step counter, the clock.

    Args:
        input_size: width of x.
        hidden_size: width of c and h.
        window: k, number of inputs that a gate sees, including the current one.
        zoneout: probability that a unit keeps its c.
    """

    def __init__(self, input_size: int, hidden_size: int, *, window: int = 2, zoneout: float = 0.0) -> None:
        blocks = 3 * check_size("window", window)  # current input first; for each: candidate, forget, output
        super().__init__(input_size, hidden_size, projected_size=blocks * hidden_size)
        self.input_bias = None  # added once per step, not once per input of the window
        self.window = window
        self.zoneout = check_rate(zoneout)
        self.bias = nn.Parameter(torch.zeros(3 * hidden_size))

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Memory c, partial sums of the next k - 1 steps, and, with zoneout, the clock."""
        return (self.hidden_size, *(self.window - 1) * [3 * self.hidden_size], *([1] if self.zoneout else []))

    def state_from(self, features: Tensor) -> State:
        """The leaves from left to right; the clock is rounded to a whole tick."""
        state = super().state_from(features)
        return (*state[:-1], TICK * (state[-1] / TICK).round()) if self.zoneout else state

    def project(self, x: Tensor) -> Tensor:
        """The contributions of x_t to the sums of its own step, biases included, and of the next k - 1."""
        return self.project_part(x, 0)

    def project_part(self, x: Tensor, start: int) -> Tensor:
        """The contributions of some columns of x_t; the part that starts at 0 includes the biases."""
        assert self.input_weight is not None
        bias = F.pad(self.bias, (0, (self.window - 1) * len(self.bias))) if start == 0 else None
        return F.linear(x, self.input_weight[:, start : start + x.size(-1)], bias)

    def step(self, x: Tensor, state: State, noise: Noise = None) -> tuple[Tensor, State]:
        """The equations above; x is the output of `project`."""
        memory, sums, clock = self._parts(state)
        *added, last = x.split(3 * self.hidden_size, dim=-1)
        now, *later = (*(a + b for a, b in zip(added, sums, strict=True)), last)
        forget, candidate, output = self._gates(now, noise, clock)
        memory = forget * memory + (1 - forget) * candidate
        return output * memory, (memory, *later, *(ticks + TICK for ticks in clock))

    def fused(self, x: Tensor, mask: Tensor, state: State, noise: Noise) -> tuple[Tensor, State]:
        """The sums as a convolution, then c_t as a linear recurrence."""
        memory, sums, clock = self._parts(state)
        now, *later = self.project(x).split(3 * self.hidden_size, dim=-1)
        time, ahead, lengths = x.size(1), self.window - 1, mask.sum(1)
        if ahead:  # sums of all steps and of `ahead` more, without the contribution of each step's own input
            total = torch.cat([torch.stack(list(sums), dim=1), later[-1]], dim=1)
            for lag, part in enumerate(later[:-1], start=1):
                total = total + F.pad(part, (0, 0, lag, ahead - lag))
            now = now + total[:, :time]
            sums = [last_output(total, lengths + lag) for lag in range(1, ahead + 1)]  # x is 0 at padding
        ticks = TICK * torch.arange(time, device=x.device).unsqueeze(-1)
        noise = None if noise is None else (noise[0].unsqueeze(1),)
        forget, candidate, output = self._gates(now, noise, [start.unsqueeze(1) + ticks for start in clock])
        memories, memory = linear_recurrence(forget, (1 - forget) * candidate, mask, memory)
        return output * memories, (memory, *sums, *(start + TICK * lengths.unsqueeze(-1) for start in clock))

    def noise(self, batch_size: int, *, like: Tensor) -> Noise:
        """32 random bits per unit and sequence."""
        if not self.training or self.zoneout == 0:
            return None
        bits = torch.empty(batch_size, self.hidden_size, dtype=torch.int32, device=like.device)
        return (bits.random_(-(2**31), 2**31 - 1),)

    def _parts(self, state: State) -> tuple[Tensor, Sequence[Tensor], Sequence[Tensor]]:
        return state[0], state[1 : self.window], state[self.window :]

    def _gates(self, sums: Tensor, noise: Noise, clock: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        candidate, forget, output = sums.chunk(3, dim=-1)
        forget = forget.sigmoid()
        if noise is not None:
            forget = forget.masked_fill(_hash(noise[0], clock[0]) < 2**32 * self.zoneout - 2**31, 1.0)
        return forget, candidate.tanh(), output.sigmoid()


def _hash(bits: Tensor, clock: Tensor) -> Tensor:
    """New random bits for each tick: one multiply-and-shift round as in MurmurHash3's finalizer; int32."""
    mixed = bits + (clock / TICK).round().int() * -1640531527  # 2^32 / golden ratio
    return (mixed ^ (mixed >> 16)) * -2048144789  # 0x85ebca6b
