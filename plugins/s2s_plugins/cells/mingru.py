"""Minimal gated recurrent unit, whose gate depends on the input only."""

from torch import Tensor

from s2s.nn import Noise, RecurrentCell, State, linear_recurrence


class MinGRU(RecurrentCell):
    """minGRU (Feng et al. 2024, section 3.1): a GRU whose gate and candidate do not depend on the state.

    ::

        update = sigmoid(W_z x_t + b_z)
        candidate = W_h x_t + b_h
        h_t = (1 - update) * h_{t-1} + update * candidate

    The paper also has a log-space form, with positive candidates, for a parallel scan in log space; the recurrence used
    here is stable without it.

    Args:
        input_size: width of x.
        hidden_size: width of h.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, projected_size=2 * hidden_size)

    def step(self, x: Tensor, state: State, noise: Noise = None) -> tuple[Tensor, State]:
        """The equations above; x is W_z x_t + b_z and the candidate."""
        (h,) = state
        update, candidate = _gates(x)
        h = (1 - update) * h + update * candidate
        return h, (h,)

    def fused(self, x: Tensor, mask: Tensor, state: State, noise: Noise) -> tuple[Tensor, State]:
        """All gates at once, then h_t as a linear recurrence."""
        update, candidate = _gates(self.project(x))
        outputs, last = linear_recurrence(1 - update, update * candidate, mask, state[0])
        return outputs, (last,)


def _gates(x: Tensor) -> tuple[Tensor, Tensor]:
    update, candidate = x.chunk(2, dim=-1)
    return update.sigmoid(), candidate
