"""Packed weights: another type or library in products, what they were in everything else, the same on every machine."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from s2s.nn import PackedMatrix, pack_matrices, packed
from s2s.spare import SpareThread, helping

CPU = torch.device("cpu")


@pytest.fixture(params=["as the machine can", "no bfloat16", "plain", "one row by columns", "halves"])
def way(request, monkeypatch):
    """All ways of taking the product, whatever this machine can."""
    can = packed.can_pack
    if request.param == "no bfloat16":
        monkeypatch.setattr(packed, "can_pack", lambda d, dtype: dtype != torch.bfloat16 and can(d, dtype))
    elif request.param == "plain":
        monkeypatch.setattr(packed, "can_pack", lambda device, dtype: False)
    elif request.param == "one row by columns":
        monkeypatch.setattr(packed, "SMALLEST", 0)
        monkeypatch.setattr(packed, "one_row_reads_columns", lambda device, dtype: dtype == torch.float32)
    elif request.param == "halves":
        monkeypatch.setattr(packed, "HALVED_BYTES", 0)
    return request.param


BITS = {torch.bfloat16: 8, torch.float32: 24}
DTYPES = pytest.mark.parametrize("dtype", BITS, ids=str)


@DTYPES
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(48,), (1, 48), (1, 1, 48), (7, 48), (2, 3, 48), (0, 48)])
def test_products_are_those_of_rounded_factors(way, shape, bias, dtype):
    torch.manual_seed(0)
    layer = nn.Linear(48, 32, bias=bias)
    x = torch.randn(shape)
    with torch.inference_mode():
        found = pack_matrices(layer, dtype)(x)
        expected = x.to(dtype).double() @ layer.weight.to(dtype).double().t()
        if layer.bias is not None:
            expected = expected + layer.bias.double()
    assert found.dtype == torch.float32 and type(found) is torch.Tensor
    # The sum is rounded once more, and the bias where it cannot be given in float32; 48 terms of float32 add theirs.
    close = 2.0 ** (1 - BITS[dtype]) * (1 if dtype == torch.bfloat16 else 16)
    torch.testing.assert_close(found.double(), expected, rtol=close, atol=close)
    assert pack_matrices(layer, dtype)(x.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("way", ["no bfloat16", "plain"], indirect=True)
def test_without_instructions_for_bfloat16_the_products_of_rounded_factors_are_taken_in_float32(way):
    torch.manual_seed(0)
    x, weight, bias = torch.randn(7, 48), torch.randn(32, 48), torch.randn(32)
    found = F.linear(x, PackedMatrix.of(weight, torch.bfloat16), bias)
    expected = x.bfloat16().double() @ weight.bfloat16().double().t() + bias.double()
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)


def test_factors_may_be_named(way):
    weight, x = torch.randn(32, 48), torch.randn(7, 48)
    bias = torch.randn(32)
    matrix = PackedMatrix.of(weight, torch.bfloat16)
    expected = F.linear(x, matrix, bias)
    assert not torch.equal(expected, F.linear(x, weight, bias)), "it is not packed"
    for found in (
        F.linear(x, weight=matrix, bias=bias),
        F.linear(input=x, weight=matrix, bias=bias),
        F.linear(x, matrix, bias=bias),
    ):
        assert torch.equal(found, expected)
    assert torch.equal(F.linear(matrix, weight=weight), F.linear(weight, weight))


def test_all_but_products_sees_the_weight_itself(way):
    weight = nn.Linear(48, 32).weight
    matrix = PackedMatrix.of(weight, torch.bfloat16)
    x = torch.randn(7, 48)
    for found, expected in [
        (x @ matrix.t(), x @ weight.t()),
        (F.embedding(torch.tensor([3]), matrix), weight[3:4]),
        (torch.cat([matrix, matrix]), torch.cat([weight, weight])),
        (matrix + 1, weight + 1),
        (matrix[3], weight[3]),
        (matrix.double(), weight.double()),
    ]:
        assert type(found) is torch.Tensor
        assert torch.equal(found, expected)


@DTYPES
def test_slices_are_packed_once(way, dtype):
    matrix = PackedMatrix.of(torch.randn(32, 48), dtype)
    x = torch.randn(7, 16)
    part = matrix[:, 16:32]
    assert isinstance(part, PackedMatrix) and matrix[:, 16:32] is part and matrix[:, :16] is not part
    expected = x.to(dtype).double() @ torch.Tensor(matrix)[:, 16:32].to(dtype).double().t()
    close = 2.0 ** (5 - BITS[dtype])
    torch.testing.assert_close(F.linear(x, part).double(), expected, rtol=close, atol=close)


@DTYPES
def test_chosen_rows_are_packed_too(way, dtype):
    weight, x = torch.randn(32, 48), torch.randn(7, 48)
    chosen = torch.tensor([3, 17, 4])
    rows = PackedMatrix.of(weight, dtype).index_select(0, chosen)
    assert isinstance(rows, PackedMatrix)
    assert torch.equal(F.linear(x, rows), F.linear(x, PackedMatrix.of(weight[chosen], dtype)))


def test_rows_may_be_chosen_by_name(way):
    matrix, chosen = PackedMatrix.of(torch.randn(32, 48), torch.float32), torch.tensor([3, 17, 4])
    rows = matrix.index_select(0, index=chosen)
    assert isinstance(rows, PackedMatrix) and torch.equal(torch.Tensor(rows), torch.Tensor(matrix)[chosen])
    assert torch.equal(matrix.index_select(dim=0, index=chosen), torch.Tensor(matrix)[chosen])
    assert torch.equal(matrix.index_select(dim=1, index=chosen), torch.Tensor(matrix)[:, chosen])


def test_a_changing_slice_does_not_keep_a_copy_for_each_bound(way):
    matrix, x = PackedMatrix.of(torch.randn(200, 8), torch.float32), torch.randn(5, 8)
    for rows in (*range(201), *range(201)):
        found = F.linear(x, matrix[:rows])
        torch.testing.assert_close(found, x @ torch.Tensor(matrix)[:rows].t(), rtol=1e-5, atol=1e-5)
        assert len(matrix._slices) <= packed.MOST_SLICES


@pytest.mark.parametrize("precise", [torch.float64, torch.float16])
def test_the_result_has_the_type_of_what_is_multiplied(way, precise):
    matrix, bias = PackedMatrix.of(torch.randn(32, 48), torch.float32), torch.randn(32).to(precise)
    for rows in (1, 7):
        x = torch.randn(rows, 48).to(precise)
        found = F.linear(x, matrix, bias)
        expected = x.double() @ torch.Tensor(matrix).double().t() + bias.double()
        assert found.dtype == precise
        torch.testing.assert_close(found.double(), expected, rtol=1e-2, atol=1e-2)


def test_a_copy_shares_its_weights_and_leaves_the_model_alone():
    model = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.Embedding(5, 8))
    model[2].weight = nn.Parameter(torch.randn(8, 8))
    model[0].weight = model[2].weight  # tied
    copy = pack_matrices(model, torch.bfloat16)
    assert copy[0].weight is copy[2].weight and isinstance(copy[0].weight, PackedMatrix)
    assert copy[0].weight.data_ptr() == model[0].weight.data_ptr()
    assert copy[1].weight is model[1].weight
    assert type(model[0].weight) is nn.Parameter
    assert not isinstance(pack_matrices(model.double(), torch.float32)[0].weight, PackedMatrix)


@pytest.mark.parametrize("held", [nn.Linear(8, 8).weight * 1, threading.Lock()], ids=["not a leaf", "a lock"])
def test_a_model_that_cannot_be_copied_is_itself(held):
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    model[1].held = held
    assert pack_matrices(model, torch.float32) is model
    assert type(model[0].weight) is nn.Parameter and model[1].held is held


def used_threads(monkeypatch, call, *, expected):
    """The number of threads in which a call takes products, if it has a spare one."""
    found, take, enough = set(), packed._product, threading.Event()

    def noted(*given):
        found.add(threading.get_ident())
        if len(found) == 2:
            enough.set()
        enough.wait(10 if expected == 2 else 0.02)  # for the other one to begin
        return take(*given)

    monkeypatch.setattr(packed, "_product", noted)
    with ThreadPoolExecutor(1) as pool, helping(SpareThread(pool)):
        call()
    monkeypatch.setattr(packed, "_product", take)
    return len(found)


@DTYPES
@pytest.mark.parametrize("rows", [31, 32])
@pytest.mark.parametrize("columns", [False, True])
def test_a_row_and_a_large_weight_are_multiplied_by_two_threads(rows, columns, dtype, monkeypatch):
    monkeypatch.setattr(packed, "HALVED_BYTES", rows * 48 * packed._taken_in(CPU, dtype).itemsize)
    monkeypatch.setattr(packed, "SMALLEST", 0 if columns else 2**16)
    monkeypatch.setattr(packed, "one_row_reads_columns", lambda device, dtype: columns)
    matrix, bias = PackedMatrix.of(torch.randn(rows, 48), dtype), torch.randn(rows)
    one, two = torch.randn(1, 48), torch.randn(2, 48)
    with torch.inference_mode():
        alone = F.linear(one, matrix, bias)
        assert used_threads(monkeypatch, lambda: F.linear(one, matrix, bias), expected=2) == 2
        assert used_threads(monkeypatch, lambda: F.linear(two, matrix, bias), expected=1) == 1
        assert used_threads(monkeypatch, lambda: F.linear(one, matrix[:-1], bias[:-1]), expected=1) == 1, (
            "smaller"
        )
        with ThreadPoolExecutor(1) as pool, helping(SpareThread(pool)):
            assert all(torch.equal(F.linear(one, matrix, bias), alone) for _ in range(20))
    assert used_threads(monkeypatch, lambda: F.linear(one, matrix, bias), expected=1) == 1, (
        "a graph may be recorded"
    )
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert used_threads(monkeypatch, lambda: F.linear(one, matrix, bias), expected=1) == 1, (
            "autocast is a thread's"
        )
