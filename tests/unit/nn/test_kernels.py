"""Products and tanh by either library: those of float64 to rounding, whatever lies how in memory."""

import pytest
import torch
from torch import nn

from s2s.nn import kernels
from s2s.nn.kernels import linear, tanh


@pytest.fixture(params=["oneDNN", "torch's own"])
def way(request, monkeypatch):
    """Both ways, whatever this machine's would be."""
    available = torch.backends.mkldnn.is_available()
    if request.param == "oneDNN" and not available:
        pytest.skip("this build of torch has no oneDNN")
    monkeypatch.setattr(kernels, "mkl_is_slow", lambda: request.param == "oneDNN")
    monkeypatch.setattr(kernels, "tanh_is_slow", lambda: request.param == "oneDNN")
    monkeypatch.setattr(kernels, "SMALLEST", 0)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(48,), (7, 48), (2, 3, 48), (1, 48)])
def test_products_are_those_of_float64(way, shape, bias):
    torch.manual_seed(0)
    x, weight = torch.randn(shape), torch.randn(32, 48)
    shift = torch.randn(32) if bias else None
    expected = torch.einsum("...i,oi->...o", x.double(), weight.double()) + (shift.double() if bias else 0)
    found = linear(x, weight, shift)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)  # 48 terms, 24 bits each
    exact = linear(x.double(), weight.double(), None if shift is None else shift.double())
    torch.testing.assert_close(exact, expected)


def test_factors_may_lie_in_memory_as_they_like(way):
    torch.manual_seed(0)
    wide, tall = torch.randn(7, 96), torch.randn(48, 32)
    for x, weight in [
        (wide[:, 48:], tall.t()),
        (wide[:, ::2], tall.t()),
        (tall.t(), wide[:, :48]),
        (tall.t(), wide[:1, :48]),
    ]:
        torch.testing.assert_close(
            linear(x, weight).double(), x.double() @ weight.double().t(), rtol=1e-5, atol=1e-5
        )


def test_nothing_times_something(way):
    assert linear(torch.zeros(0, 48), torch.randn(32, 48)).shape == (0, 32)


@pytest.mark.parametrize("few", [kernels.FEW, 0], ids=["few", "many"])
def test_tanh_is_that_of_float64(way, few, monkeypatch):
    monkeypatch.setattr(kernels, "FEW", few)
    x = torch.cat(
        [torch.linspace(-12, 12, 4001), torch.tensor([0.0, 1e-6, -1e4, 1e4, torch.inf, -torch.inf])]
    )
    assert x.numel() <= kernels.FEW or few == 0
    torch.testing.assert_close(tanh(x).double(), x.double().tanh(), rtol=0, atol=2.4e-7)
    assert tanh(torch.tensor([torch.nan])).isnan()
    views = torch.randn(5, 8)[:, 2:6]
    before = views.clone()
    torch.testing.assert_close(tanh(views), before.tanh(), rtol=0, atol=2.4e-7)
    assert torch.equal(views, before), "its argument has changed"


def test_tanh_has_a_gradient(way):
    x = torch.linspace(-3, 3, 7, requires_grad=True)
    tanh(x).sum().backward()
    torch.testing.assert_close(x.grad, 1 - x.detach().tanh() ** 2)
    assert torch.equal(tanh(x.detach().double()), x.detach().double().tanh())


class Layer(nn.Linear):
    def forward(self, input):
        return tanh(linear(input, self.weight, self.bias))


def exported(layer, x):
    program = torch.export.export(layer, (x,))
    return program.module(), program.graph


def traced(layer, x):
    program = torch.jit.trace(layer, (x,))
    return program, program.inlined_graph


def compiled(layer, x):
    graphs = []

    def keep(module, inputs):
        graphs.append(str(module.graph))
        return module.forward

    program = torch.compile(layer, backend=keep, fullgraph=True)
    program(x)
    return program, graphs


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("record", [exported, traced, compiled])
@torch.no_grad()
def test_what_is_recorded_is_for_any_processor(way, record):
    """Other compilers and machines know neither oneDNN's operator nor why tanh should be written with a sigmoid."""
    torch.manual_seed(0)
    layer, x = Layer(48, 32), torch.randn(7, 48)
    program, graph = record(layer, x)
    assert "mkldnn" not in str(graph) and "sigmoid" not in str(graph)
    torch.testing.assert_close(program(x), (x @ layer.weight.t() + layer.bias).tanh(), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("vendor", "capability", "slow", "slow_tanh"),
    [
        ("AuthenticAMD", "AVX512", True, True),
        ("AuthenticAMD", "AVX2", False, True),
        ("AuthenticAMD", "DEFAULT", False, False),
        ("GenuineIntel", "AVX512", False, False),
        ("GenuineIntel", "AVX2", False, False),
        ("", "AVX512", False, False),
    ],
)
def test_the_choice_is_the_processors(monkeypatch, vendor, capability, slow, slow_tanh):
    if not (torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()):
        pytest.skip("this build of torch has not both libraries")
    monkeypatch.setattr(kernels, "_vendor", lambda: vendor)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert kernels.mkl_is_slow.__wrapped__() is slow
    assert kernels.tanh_is_slow.__wrapped__() is slow_tanh
