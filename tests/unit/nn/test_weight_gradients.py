"""Gathered weight gradients are the plain ones: autograd without them is the oracle."""

import gc
import weakref
from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

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

    def forward(self, x: Tensor, *, gathered: bool, state: Tensor | None = None) -> Tensor:
        state = x[:, 0] if state is None else state
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
    factors = []

    def multiply(loop: Loop, state: Tensor) -> Tensor:
        factors.append(weakref.ref(state))
        return F.linear(state, loop.weight)

    loop = Loop(multiply)
    loss = loop(x, gathered=True).square().sum()
    torch.autograd.grad(loss, [x], retain_graph=True)
    del loss
    gc.collect()
    assert [factor() is None for factor in factors] == [True] * STEPS, "the graph is kept alive"
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


def test_a_first_state_that_is_a_constant_is_put_aside_as_the_others(x: Tensor) -> None:
    loop, start = Loop(WAYS["linear"]), torch.ones(BATCH, SIZE, dtype=torch.float64)
    counts, gradients = [], []
    for gathered in (True, False):
        loss = loop(x, gathered=gathered, state=start).square().sum()
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            gradients.append(torch.autograd.grad(loss, [x, loop.weight]))
        counts.append(sum(event.count for event in profile.key_averages() if event.key == "aten::mm"))
    assert counts == [STEPS, 2 * STEPS - 1], "the constant needs no gradient"
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-12)


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


def recomputed(function: Callable[[Tensor], Tensor], reentrant: bool) -> Callable[[Tensor], Tensor]:
    return lambda h: checkpoint(function, h, use_reentrant=reentrant)  # type: ignore[no-any-return]


def without_gradient(loop: Loop, h: Tensor) -> Tensor:
    with torch.no_grad():
        size = F.linear(h, loop.weight).norm()
    return F.linear(h, loop.weight) / (1 + size)


OUTSIDE: dict[str, Callable[[Loop, Tensor], Tensor]] = {
    "a part of the step is recomputed": lambda loop, h: (
        recomputed(loop.layer, False)(h) + F.linear(h, loop.weight)
    ),
    "a part of the step is recomputed, reentrant": lambda loop, h: (
        recomputed(loop.layer, True)(h) + F.linear(h, loop.weight)
    ),
    "a product before without a gradient": without_gradient,
}


@pytest.mark.parametrize("way", OUTSIDE)
def test_what_autograd_walks_otherwise_is_left_to_it(way: str, x: Tensor) -> None:
    loop = Loop(OUTSIDE[way])
    gradients = []
    for gathered in (True, False):
        loop(x, gathered=gathered).square().sum().backward()
        gradients.append([value.grad for value in (x, *loop.parameters()) if value.grad is not None])
        x.grad = None
        loop.zero_grad()
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-12)


def test_a_recomputed_loop_is_gathered(x: Tensor) -> None:
    loop = Loop(WAYS["module with bias"])
    loss = checkpoint(lambda x: loop(x, gathered=True), x, use_reentrant=False).square().sum()
    wanted = [x, *loop.layer.parameters()]
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        found = torch.autograd.grad(loss, wanted)
    assert sum(event.count for event in profile.key_averages() if event.key == "aten::mm") == STEPS + 1
    expected = torch.autograd.grad(loop(x, gathered=False).square().sum(), wanted)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("way", ["linear", "module with bias", "at", "at, transposed"])
def test_values_under_autocast_are_autocasts_own(way: str, x: Tensor) -> None:
    loop = Loop(WAYS[way]).float()
    nn.init.normal_(loop.layer.bias, std=10.0, generator=torch.Generator().manual_seed(3))
    with torch.autocast("cpu", torch.bfloat16):
        found, expected = (loop(x.float(), gathered=gathered) for gathered in (True, False))
    assert torch.equal(found, expected)
    gradients = [
        torch.autograd.grad(y.float().square().sum(), loop.layer.bias, allow_unused=True)[0]
        for y in (found, expected)
    ]
    if gradients[1] is not None:
        # autocast adds the steps up in bfloat16: 8 bits
        torch.testing.assert_close(*gradients, rtol=2**-6, atol=2**-6)


def test_one_weight_in_two_precisions(x: Tensor) -> None:
    def multiply(loop: Loop, h: Tensor) -> Tensor:
        narrow = F.linear(h, loop.weight)
        with torch.autocast("cpu", enabled=False):
            return narrow + F.linear(h.float(), loop.weight)

    loop = Loop(multiply).float()
    gradients = []
    with torch.autocast("cpu", torch.bfloat16):
        for gathered in (True, False):
            output = loop(x.float(), gathered=gathered)
            gradients.append(torch.autograd.grad(output.sum(), [loop.weight])[0])
    torch.testing.assert_close(*gradients, rtol=2**-6, atol=2**-6)  # 8 bits, added up in another order


@pytest.mark.parametrize("autocast", [False, True])
def test_factors_that_do_not_fit_raise_as_they_do_outside(x: Tensor, autocast: bool) -> None:
    loop = Loop(WAYS["linear"]).float()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        for gathered in (False, True):
            with pytest.raises(RuntimeError, match="dtype"):
                loop(x, gathered=gathered)


def test_a_second_derivative_is_refused(x: Tensor) -> None:
    (gradient,) = torch.autograd.grad(Loop(WAYS["linear"])(x, gathered=True).sum(), [x], create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice"):
        gradient.sum().backward()


def test_nothing_is_gathered_where_no_gradient_is_taken(x: Tensor) -> None:
    with torch.no_grad():
        assert isinstance(gathered_weight_gradients(), nullcontext)
