"""States as structures, and what a cell inherits."""

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from s2s.errors import PluginError
from s2s.nn import RecurrentCell, Stack, advance, leaves, map_state, orthogonal_blocks, select_state, unroll
from s2s.nn.cell import side_by_side
from s2s.testing.odd_cells import OddCell


class Pair(NamedTuple):
    left: Any
    right: Any


A, B, C = torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0, 4.0], [5.0, 6.0]]), torch.ones(2, 2, 3)
NESTED = Pair((A, Pair(B, None)), (C, ()))


def test_map_state_keeps_the_structure() -> None:
    mapped = map_state(lambda x, y: x + 10 * y, NESTED, NESTED)
    assert isinstance(mapped, Pair) and isinstance(mapped.left[1], Pair)
    assert type(mapped.left) is tuple and mapped.right[1] == () and mapped.left[1].right is None
    assert torch.equal(mapped.left[0], 11 * A) and torch.equal(mapped.right[0], 11 * C)
    assert map_state(lambda x: x, None) is None
    assert map_state(lambda x: x, ()) == ()
    assert torch.equal(map_state(lambda x: -x, A), -A)


def test_leaves_go_from_left_to_right() -> None:
    assert [leaf.shape[1:] for leaf in leaves(NESTED)] == [(1,), (2,), (2, 3)]
    assert leaves(None) == leaves(()) == []


def test_a_state_side_by_side_has_a_place_for_each_number_of_a_row() -> None:
    """Leaves [batch], [batch, width] and [batch, ...]; a batch without rows, too."""
    state = (A[:, 0], (B, None), C.double())
    assert side_by_side(state).tolist() == [[1, 3, 4, *[1] * 6], [2, 5, 6, *[1] * 6]]
    assert side_by_side(select_state(state, torch.tensor([], dtype=torch.int64))).shape == (0, 9)


def test_select_state() -> None:
    chosen = select_state(NESTED, torch.tensor([1, 1, 0]))
    assert chosen.left[0].flatten().tolist() == [2, 2, 1]
    assert chosen.left[1].left.tolist() == [[5, 6], [5, 6], [3, 4]]
    assert chosen.right[0].shape == (3, 2, 3)
    assert select_state(NESTED, torch.tensor([], dtype=torch.int64)).left[0].shape == (0, 1)


class Least(RecurrentCell):
    """`step` and nothing else."""

    def step(self, x: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, Any]:
        total = state[0] + x
        return total, (total,)


def test_what_a_cell_inherits() -> None:
    cell = Least(4, 4)
    x = torch.randn(2, 4, dtype=torch.float64)
    assert cell.output_size == cell.feature_size == 4 and cell.state_sizes == (4,)
    state = cell.initial_state(2, like=x)
    assert torch.equal(state[0], torch.zeros(2, 4, dtype=torch.float64))  # no parameters: the type of `like`
    assert cell.project(x) is x
    assert cell.fused(x.unsqueeze(1), torch.ones(2, 1, dtype=torch.bool), state, None) is None
    assert cell.noise(2, like=x) is None
    torch.testing.assert_close(
        cell.project_part(x[:, 1:3], 1), torch.cat([x[:, :1] * 0, x[:, 1:3], x[:, :1] * 0], 1)
    )


def test_first_state_takes_the_type_of_the_parameters() -> None:
    """Under mixed precision the input may be narrower than what the state must hold."""
    cell = RecurrentCell.__new__(type("Projected", (Least,), {}))
    RecurrentCell.__init__(cell, 3, 4, projected_size=8)
    assert cell.initial_state(2, like=torch.zeros(2, 3, dtype=torch.bfloat16))[0].dtype == torch.float32
    assert cell.input_weight is not None and cell.input_weight.shape == (8, 3)
    assert cell.input_bias is not None and not cell.input_bias.any()


def test_step_is_all_that_is_abstract() -> None:
    with pytest.raises(TypeError, match="step"):
        RecurrentCell(3, 4)  # type: ignore[abstract]


def test_advance_keeps_types_and_leaves_noise_out() -> None:
    """OddCell.step has no noise argument; a step's bfloat16 must not become the state's type."""

    class Narrowing(Least):
        def step(self, x: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, Any]:
            output, following = super().step(x, state)
            return output.bfloat16(), (following[0].bfloat16(),)

    x = torch.zeros(2, 4)
    output, state = advance(Narrowing(4, 4), x, (x,), None)
    assert output.dtype == torch.bfloat16 and state[0].dtype == torch.float32
    odd = OddCell(3, 4)
    advance(odd, torch.zeros(2, 3), odd.initial_state(2, like=x), None)


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        (lambda h: h, "a tensor"),
        (lambda h: (h, h), r"\(a tensor, a tensor\)"),
        (lambda h: None, "None"),
        (lambda h: (h, None), r"\(a tensor, None\)"),
        (lambda h: (h,), r"\(a tensor,\)"),
        (lambda h: (h, h, (h,)), r"\(a tensor, a tensor, \(a tensor,\)\)"),
        (lambda h: ((h,), h), r"\(\(a tensor,\), a tensor\)"),
        (lambda h: {"output": h, "state": h}, "a dict"),
    ],
)
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_what_is_no_step_is_told_by_the_name_of_the_cell(returned: Any, told: str, rows: int) -> None:
    """A tensor of two rows must not be taken for an output and a state."""

    class Bad(Least):
        def step(self, x: Tensor, state: Any, noise: Any = None) -> Any:
            return returned(state[0] + x)

    message = (
        r"^step of Bad must return \(output, state\), state a tuple of tensors: \(a tensor, \(a tensor,\)\), not "
        + told
        + "; see: s2s plugins check$"
    )
    x = torch.zeros(rows, 4)
    with pytest.raises(PluginError, match=message):
        advance(Bad(4, 4), x, (x,), None)
    lengths = torch.ones(rows, dtype=torch.int64)
    for cell in (Bad(4, 4), Stack([Least(4, 4), Bad(4, 4)])):
        with pytest.raises(PluginError, match=message):
            unroll(cell, x.unsqueeze(1), lengths)


def test_a_list_is_as_good_as_a_tuple_in_a_step() -> None:
    class Listing(Least):
        def step(self, x: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, Any]:
            output, following = super().step(x, state)
            return output, list(following)

    x = torch.ones(2, 4)
    _, state = advance(Listing(4, 4), x, (x,), None)
    assert isinstance(state, tuple) and torch.equal(state[0], 2 * x)


def test_orthogonal_blocks() -> None:
    weight = torch.nn.Parameter(torch.zeros(6, 3, dtype=torch.float64))
    orthogonal_blocks(weight, 3)
    for block in weight.split(3):
        torch.testing.assert_close(block @ block.T, torch.eye(3, dtype=torch.float64))
    assert not torch.equal(weight[:3], weight[3:])
