"""Minimal long short-term memory, whose gates depend on the input only."""

from torch import Tensor
from torch.nn import functional as F

from s2s.nn import Noise, RecurrentCell, State, linear_recurrence


class MinLSTM(RecurrentCell):
    """minLSTM (Feng et al. 2024, section 3.2): an LSTM whose gates do not depend on the state, and sum to 1.

    ::

        forget = sigmoid(W_f x_t + b_f)
        input  = sigmoid(W_i x_t + b_i)
        candidate = W_h x_t + b_h
        h_t = forget / (forget + input) * h_{t-1} + input / (forget + input) * candidate

    The paper also has a log-space form, with positive candidates, for a parallel scan in log space; the recurrence used
    here is stable without it.

    Args:
        input_size: width of x.
        hidden_size: width of h.
        forget_bias: initial b_f; above 0 the state is kept for longer at first.
    """

    def __init__(self, input_size: int, hidden_size: int, *, forget_bias: float = 0.0) -> None:
        super().__init__(input_size, hidden_size, projected_size=3 * hidden_size)
        assert self.input_bias is not None
        self.input_bias.data[:hidden_size] = forget_bias  # blocks: forget, input, candidate

    def step(self, x: Tensor, state: State, noise: Noise = None) -> tuple[Tensor, State]:
        """The equations above; x is W_f x_t + b_f, W_i x_t + b_i and the candidate."""
        (h,) = state
        keep, candidate = _gates(x)
        h = keep * h + (1 - keep) * candidate
        return h, (h,)

    def fused(self, x: Tensor, mask: Tensor, state: State, noise: Noise) -> tuple[Tensor, State]:
        """All gates at once, then h_t as a linear recurrence."""
        keep, candidate = _gates(self.project(x))
        outputs, last = linear_recurrence(keep, (1 - keep) * candidate, mask, state[0])
        return outputs, (last,)


def _gates(x: Tensor) -> tuple[Tensor, Tensor]:
    forget, input_gate, candidate = x.chunk(3, dim=-1)
    # f / (f + i) = sigmoid(log f - log i), which is correct even where f + i underflows to 0.
    return (F.logsigmoid(forget) - F.logsigmoid(input_gate)).sigmoid(), candidate
