"""Gathered weight gradients are the plain ones: autograd without them is the oracle."""

from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s.nn import gathered_weight_gradients

STEPS, BATCH, SIZE = 5, 3, 4


class Loop(nn.Module):
    """A recurrence that multiplies by its weights in one of the ways an author may choose."""

    def __init__(self, multiply: Callable[["Loop", Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.weight = nn.Parameter(torch.randn(SIZE, SIZE, dtype=torch.float64))
        self.wide = nn.Parameter(torch.randn(SIZE, 2 * SIZE, dtype=torch.float64))
        self.layer = nn.Linear(SIZE, SIZE, dtype=torch.float64)
        self.multiply = multiply

    def forward(self, x: Tensor, *, gathered: bool) -> Tensor:
        state = x[:, 0]
        with gathered_weight_gradients() if gathered else nullcontext():
            for step in x.unbind(1):
                state = (step + self.multiply(self, state)).tanh()
        return state


WAYS: dict[str, Callable[[Loop, Tensor], Tensor]] = {
    "linear": lambda loop, h: F.linear(h, loop.weight),
    "linear by keyword": lambda loop, h: F.linear(input=h, weight=loop.weight),
    "module with bias": lambda loop, h: loop.layer(h),
    "at": lambda loop, h: h @ loop.weight,
    "at, transposed": lambda loop, h: h @ loop.weight.t(),
    "matmul": lambda loop, h: torch.matmul(h, loop.weight),
    "two parts of one weight": lambda loop, h: (
        F.linear(h, loop.wide[:, :SIZE]) + F.linear(h * h, loop.wide[:, SIZE:])
    ),
    "one weight twice": lambda loop, h: F.linear(F.linear(h, loop.weight).tanh(), loop.weight),
    "one weight both ways": lambda loop, h: F.linear(h @ loop.weight, loop.weight),
    "a weight made anew at each step": lambda loop, h: F.linear(h, loop.weight * 0.5),
    "products of activations": lambda loop, h: (h.unsqueeze(1) @ h.unsqueeze(2)).squeeze(1) * h,
}


@pytest.fixture
def x() -> Tensor:
    return torch.randn(
        BATCH, STEPS, SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(2)
    ).requires_grad_()


@pytest.mark.parametrize("way", WAYS)
def test_values_and_gradients_are_those_of_autograd(way: str, x: Tensor) -> None:
    loop = Loop(WAYS[way])
    wanted = [x, *loop.parameters()]
    outputs, gradients = [], []
    for gathered in (True, False):
        output = loop(x, gathered=gathered)
        outputs.append(output)
        gradients.append(torch.autograd.grad(output.square().sum(), wanted, allow_unused=True))
    torch.testing.assert_close(*outputs, rtol=1e-12, atol=1e-12)
    for found, expected in zip(*gradients, strict=True):
        assert (found is None) == (expected is None)
        if found is not None:
            torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_a_pass_that_did_not_ask_for_the_weight_leaves_nothing_behind(x: Tensor) -> None:
    loop = Loop(WAYS["linear"])
    loss = loop(x, gathered=True).square().sum()
    torch.autograd.grad(loss, [x], retain_graph=True)
    twice = [torch.autograd.grad(loss, [loop.weight], retain_graph=True)[0] for _ in range(2)]
    (expected,) = torch.autograd.grad(loop(x, gathered=False).square().sum(), [loop.weight])
    for found in twice:
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_one_product_per_weight_and_pass(x: Tensor) -> None:
    """What it is for: STEPS steps, one product for the weight's gradient (and one per step for the state's)."""
    loop = Loop(WAYS["linear"])
    counts = []
    for gathered in (True, False):
        loss = loop(x, gathered=gathered).square().sum()
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            loss.backward()
        counts.append(sum(event.count for event in profile.key_averages() if event.key == "aten::mm"))
    assert counts == [STEPS + 1, 2 * STEPS]


def test_mixed_precision_multiplies_in_bfloat16_and_gives_the_weight_its_own_type(x: Tensor) -> None:
    loop = Loop(WAYS["linear"]).float()
    with torch.autocast("cpu", torch.bfloat16):
        product = None

        def multiply(given: Loop, h: Tensor) -> Tensor:
            nonlocal product
            product = F.linear(h, given.weight)
            return product

        loop.multiply = multiply
        output = loop(x.float(), gathered=True)
    assert product is not None and product.dtype == torch.bfloat16
    output.sum().backward()
    assert loop.weight.grad is not None and loop.weight.grad.dtype == torch.float32
    plain = Loop(WAYS["linear"]).float()
    plain(x.float(), gathered=False).sum().backward()
    assert plain.weight.grad is not None
    torch.testing.assert_close(loop.weight.grad, plain.weight.grad, rtol=0.05, atol=0.05)


def test_nothing_is_gathered_where_no_gradient_is_taken(x: Tensor) -> None:
    with torch.no_grad():
        assert isinstance(gathered_weight_gradients(), nullcontext)
