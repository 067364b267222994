"""Each cell against its paper's equations in NumPy: outputs, last states and gradients over padded batches, float64.

torch runs a batch, by `unroll` and step by step; NumPy runs one sentence at a time. A gradient is held against the
differences of the NumPy loss along a random direction, one for each tensor that the loss depends on.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from s2s.nn import RecurrentCell, leaves, run_steps, unroll
from s2s.nn.unroll import length_mask
from s2s_plugins.cells.indrnn import IndRNN
from s2s_plugins.cells.layer_norm_lstm import LayerNormLSTM
from s2s_plugins.cells.mgu import MGU
from s2s_plugins.cells.mingru import MinGRU
from s2s_plugins.cells.minlstm import MinLSTM
from s2s_plugins.cells.multiplicative_lstm import MultiplicativeLSTM
from s2s_plugins.cells.peephole_lstm import PeepholeLSTM
from s2s_plugins.cells.qrnn import QRNN
from s2s_plugins.cells.slstm import SLSTM
from s2s_plugins.cells.sru import SRU
from s2s_plugins.cells.ssru import SSRU
from tests.references import elementwise_cells, recurrent_cells

Array = NDArray[np.float64]
State = tuple[Array, ...]
Weights = dict[str, Array]  # the cell's parameters, by its own names
Reference = Callable[[Weights, Array, State], tuple[Array, State]]

INPUT, HIDDEN = 3, 4
DISTANCE = (
    1e-5  # of the differences: they err by its square, 1e-10, and by the rounding of the loss over it, 1e-11
)
VALUES, GRADIENTS = 1e-11, 1e-7  # relative, or absolute below 1: float64 over a few steps; differences


def by_gate(stacked: Array, gates: str) -> dict[str, Array]:
    """The blocks of rows that belong to the gates, by their letters."""
    return dict(zip(gates, np.split(stacked, len(gates)), strict=True))


# The functions below give a cell's weights the names that the paper has for them.


def layer_norm_lstm(p: Weights, x: Array, state: State) -> tuple[Array, State]:
    alpha = p["recurrent_gain"], p["input_gain"], p["memory_gain"]
    beta = np.zeros(4 * HIDDEN), np.zeros(4 * HIDDEN), p["memory_bias"]
    b = p["bias"]
    return recurrent_cells.layer_norm_lstm(x, state, p["recurrent_weight"], p["input_weight"], b, alpha, beta)


def peephole_lstm(p: Weights, x: Array, state: State) -> tuple[Array, State]:
    W = {f"x{gate}": block for gate, block in by_gate(p["input_weight"], "ifco").items()}
    W |= {f"h{gate}": block for gate, block in by_gate(p["recurrent_weight"], "ifco").items()}
    W |= {f"b{gate}": block for gate, block in by_gate(p["input_bias"], "ifco").items()}
    W |= {f"c{gate}": row for gate, row in zip("ifo", p["peephole_weight"], strict=True)}
    return recurrent_cells.peephole_lstm(x, state, W)


def multiplicative_lstm(p: Weights, x: Array, state: State) -> tuple[Array, State]:
    W = {f"{gate}x": block for gate, block in by_gate(p["input_weight"], "ifhom").items()}
    W |= {f"{gate}m": block for gate, block in by_gate(p["recurrent_weight"], "ifho").items()}
    W |= {f"b{gate}": block for gate, block in by_gate(p["bias"], "ifho").items()}
    return recurrent_cells.multiplicative_lstm(x, state, W | {"mh": p["intermediate_weight"]})


def mgu(p: Weights, x: Array, state: State) -> tuple[Array, State]:
    W = by_gate(np.concatenate([p["recurrent_weight"], p["input_weight"]], axis=1), "fh")
    b = by_gate(p["input_bias"], "fh")
    return recurrent_cells.mgu(x, state, W["f"], b["f"], W["h"], b["h"])


def slstm(
    p: Weights, x: Array, state: State, heads: int = 1, exponential_forget: bool = False
) -> tuple[Array, State]:
    """The cell's c / n and log n are the paper's c, n and m with n = 1 and m = log n."""

    def gates_of_heads(stacked: Array) -> dict[str, Array]:
        by_head = [by_gate(block, "zifo") for block in np.split(stacked, heads)]
        return {gate: np.concatenate([head[gate] for head in by_head]) for gate in "zifo"}

    blocks = gates_of_heads(p["recurrent_weight"])
    size = HIDDEN // heads
    R = {gate: np.zeros((HIDDEN, HIDDEN)) for gate in "zifo"}  # block-diagonal
    for gate in "zifo":
        for own in (slice(head * size, (head + 1) * size) for head in range(heads)):
            R[gate][own, own] = blocks[gate][own]
    h, content, log_normalizer = state
    outputs, (h, c, n, m) = recurrent_cells.slstm(
        x,
        (h, content, np.ones(HIDDEN), log_normalizer),
        gates_of_heads(p["input_weight"]),
        R,
        gates_of_heads(p["input_bias"]),
        exponential_forget=exponential_forget,
    )
    return outputs, (h, c / n, np.log(n) + m)


def indrnn(p: Weights, x: Array, state: State, activation: str) -> tuple[Array, State]:
    W, u, b = p["input_weight"], p["recurrent_weight"], p["input_bias"]
    return elementwise_cells.indrnn(x, state, W, u, b, activation)


def sru(p: Weights, x: Array, state: State, highway_bias: float = 0.0) -> tuple[Array, State]:
    W = by_gate(p["input_weight"], "cfrs" if len(p["input_weight"]) == 4 * HIDDEN else "cfr")
    alpha = np.sqrt(1.0 + 2.0 * np.exp(highway_bias))
    highway = W.get("s", alpha * np.eye(HIDDEN))
    (v_f, v_r), (b_f, b_r) = p["gate_weight"], p["gate_bias"]
    return elementwise_cells.sru(x, state, W["c"], W["f"], v_f, b_f, W["r"], v_r, b_r, highway)


def ssru(p: Weights, x: Array, state: State) -> tuple[Array, State]:
    W = by_gate(p["input_weight"], "cf")
    return elementwise_cells.ssru(x, state, W["c"], W["f"], p["forget_bias"])


def qrnn(
    p: Weights, x: Array, state: State, window: int = 2, kept: Array | None = None
) -> tuple[Array, State]:
    lags = [by_gate(block, "zfo") for block in np.split(p["input_weight"], window)]
    W = {gate: [lag[gate] for lag in lags] for gate in "zfo"}
    return elementwise_cells.qrnn(x, state, W, by_gate(p["bias"], "zfo"), kept)


def mingru(p: Weights, x: Array, state: State) -> tuple[Array, State]:
    W, b = by_gate(p["input_weight"], "zh"), by_gate(p["input_bias"], "zh")
    return elementwise_cells.mingru(x, state, W["z"], b["z"], W["h"], b["h"])


def minlstm(p: Weights, x: Array, state: State) -> tuple[Array, State]:
    W, b = by_gate(p["input_weight"], "fih"), by_gate(p["input_bias"], "fih")
    return elementwise_cells.minlstm(x, state, W, b)


CASES: dict[str, tuple[Callable[[], RecurrentCell], Reference]] = {
    "LayerNormLSTM": (lambda: LayerNormLSTM(INPUT, HIDDEN), layer_norm_lstm),
    "PeepholeLSTM": (lambda: PeepholeLSTM(INPUT, HIDDEN), peephole_lstm),
    "MultiplicativeLSTM": (lambda: MultiplicativeLSTM(INPUT, HIDDEN), multiplicative_lstm),
    "MGU": (lambda: MGU(INPUT, HIDDEN), mgu),
    "SLSTM": (lambda: SLSTM(INPUT, HIDDEN), slstm),
    "SLSTM-heads-exponential": (
        lambda: SLSTM(INPUT, HIDDEN, heads=2, forget_gate="exponential"),
        partial(slstm, heads=2, exponential_forget=True),
    ),
    "IndRNN": (lambda: IndRNN(INPUT, HIDDEN), partial(indrnn, activation="relu")),
    "IndRNN-tanh": (lambda: IndRNN(INPUT, HIDDEN, activation="tanh"), partial(indrnn, activation="tanh")),
    "SRU": (lambda: SRU(INPUT, HIDDEN), sru),
    "SRU-same-size": (
        lambda: SRU(HIDDEN, HIDDEN, highway_bias=-2.0),
        partial(sru, highway_bias=-2.0),
    ),
    "SSRU": (lambda: SSRU(INPUT, HIDDEN), ssru),
    "QRNN": (lambda: QRNN(INPUT, HIDDEN), qrnn),
    "QRNN-window-1": (lambda: QRNN(INPUT, HIDDEN, window=1), partial(qrnn, window=1)),
    "QRNN-window-4": (lambda: QRNN(INPUT, HIDDEN, window=4), partial(qrnn, window=4)),
    "MinGRU": (lambda: MinGRU(INPUT, HIDDEN), mingru),
    "MinLSTM": (lambda: MinLSTM(INPUT, HIDDEN), minlstm),
}


def hold(name: str, lengths: list[int], *, reverse: bool = False, steps_only: bool = False) -> None:
    make, reference = CASES[name]
    cell = make().double()
    for parameter in cell.parameters():  # off the initial values: a zero would hide what it multiplies
        torch.nn.init.normal_(parameter, std=0.5)
    batch, time = len(lengths), max(lengths)
    mask = length_mask(torch.tensor(lengths), time)
    state = [torch.randn(batch, size, dtype=torch.float64) for size in cell.state_sizes]
    named = {
        "x": torch.randn(batch, time, cell.input_size, dtype=torch.float64).masked_fill(
            ~mask.unsqueeze(-1), 0
        )
    }
    named |= {f"first state leaf {i}": leaf for i, leaf in enumerate(state)}
    named |= dict(cell.named_parameters())
    for value in named.values():
        value.requires_grad_()
    if steps_only:
        outputs, last = run_steps(cell, named["x"], mask, tuple(state), None)
    else:
        outputs, last = unroll(cell, named["x"], torch.tensor(lengths), tuple(state), reverse=reverse)
    weights = [torch.randn_like(value).numpy() for value in (outputs, *leaves(last))]
    weights[0][~mask.numpy()] = 0

    def run(values: dict[str, Array], row: int) -> list[Array]:
        """What NumPy makes of a sentence: outputs in the source's order, and the last state."""
        order = slice(None, None, -1) if reverse else slice(None)
        first = tuple(values[f"first state leaf {i}"][row] for i in range(len(state)))
        found, final = reference(values, values["x"][row, : lengths[row]][order], first)
        return [found[order], *final]

    def loss(values: dict[str, Array]) -> float:
        total = 0.0
        for row, length in enumerate(lengths):
            for value, weight in zip(run(values, row), weights, strict=True):
                total += (value * (weight[row, :length] if value.ndim == 2 else weight[row])).sum()
        return total

    values = {key: value.detach().numpy() for key, value in named.items()}
    for row, length in enumerate(lengths):
        found = [outputs[row, :length], *(leaf[row] for leaf in leaves(last))]
        for mine, paper in zip(found, run(values, row), strict=True):
            np.testing.assert_allclose(mine.detach().numpy(), paper, rtol=VALUES, atol=VALUES)

    total = sum(
        (v * torch.from_numpy(w)).sum() for v, w in zip((outputs, *leaves(last)), weights, strict=True)
    )
    gradients: Any = torch.autograd.grad(total, list(named.values()))
    for (key, value), gradient in zip(values.items(), gradients, strict=True):
        direction = torch.randn(value.shape, dtype=torch.float64).numpy()
        up, down = (loss(values | {key: value + sign * DISTANCE * direction}) for sign in (1, -1))
        np.testing.assert_allclose(
            (gradient.numpy() * direction).sum(),
            (up - down) / (2 * DISTANCE),
            rtol=GRADIENTS,
            atol=GRADIENTS,
            err_msg=f"gradient of {key}",
        )


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_unroll(name: str, reverse: bool) -> None:
    torch.manual_seed(1)
    hold(name, [5, 1, 3], reverse=reverse)


@pytest.mark.parametrize("name", CASES)
def test_steps(name: str) -> None:
    torch.manual_seed(2)
    hold(name, [4, 2], steps_only=True)
