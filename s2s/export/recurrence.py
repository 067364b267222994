"""Recurrences in ONNX: a cell over a time axis of any length, which cannot be traced as a Python loop.

A cell with a matching ONNX operator becomes that operator. For any other cell, one step is traced between two marks;
afterwards the nodes between the marks become the body of a Scan.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import onnx_ir as ir
import torch
from torch import Tensor, nn

from s2s.nn.cell import Noise, RecurrentCell, State, advance, leaves, map_state
from s2s.nn.onnx_operator import OnnxOperator
from s2s.nn.stack import Stack
from s2s.nn.twins import holds
from s2s.nn.unroll import stand_still

_DOMAIN, _BEGIN, _END, _LOOP = "s2s", "Begin", "End", "loop"


@contextmanager
def traceable(model: nn.Module) -> Iterator[None]:
    """While it lasts, no cell of the model walks over time in Python.

    Each cell's `fused` way is replaced, for `unroll` asks it first. A stack keeps its own, which asks its layers.
    """
    number = itertools.count()

    def fused_by(operator: OnnxOperator | None) -> Any:
        def fused(cell: Any, x: Tensor, mask: Tensor, state: State, noise: Noise) -> tuple[Tensor, State]:
            if operator is None:
                return _marked_step(cell, x, mask, state, next(number))
            return _run_operator(operator, x, mask, state)

        return fused

    cells = [
        part for part in model.modules() if isinstance(part, RecurrentCell) and not isinstance(part, Stack)
    ]
    classes = [(cell, type(cell)) for cell in cells]
    for cell, own in classes:
        # Worked out here, so that the graph has the operator's weights and not what is done to the cell's.
        methods = {"fused": fused_by(_operator_of(cell)), "__module__": own.__module__}
        cell.__class__ = type(own.__name__, (own,), methods)
    try:
        yield
    finally:
        for cell, own in classes:
            cell.__class__ = own


def _operator_of(cell: RecurrentCell) -> OnnxOperator | None:
    if not holds(cell, "onnx_operator", "step", "project"):
        return None
    with torch.no_grad():
        return cell.onnx_operator()


def _run_operator(operator: OnnxOperator, x: Tensor, mask: Tensor, state: State) -> tuple[Tensor, State]:
    """A recurrence by an operator; its states stand still behind `sequence_lens`."""
    before = [leaf.unsqueeze(0) for leaf in leaves(state)]
    memory = [*before[1:], None][:1]
    weights = [
        part.unsqueeze(0) for part in (operator.input_weight, operator.recurrent_weight, operator.bias)
    ]
    peepholes = None if operator.peepholes is None else operator.peepholes.unsqueeze(0)
    rows, time, _ = x.shape
    size = operator.recurrent_weight.size(1)
    outputs, *last = torch.onnx.ops.symbolic_multi_out(
        operator.name,
        [x.transpose(0, 1), *weights, mask.sum(1).to(torch.int32), before[0], *memory, peepholes],
        {"hidden_size": size, **operator.attributes},
        dtypes=[x.dtype] * (1 + len(before)),
        shapes=[(time, 1, rows, size), *((1, rows, size) for _ in before)],
    )
    given = iter(last)
    return outputs.squeeze(1).transpose(0, 1), map_state(lambda _: next(given).squeeze(0), state)


def _marked_step(
    cell: RecurrentCell, x: Tensor, mask: Tensor, state: State, number: int
) -> tuple[Tensor, State]:
    """One step of the cell between two marks; the marks have the shapes of the whole loop."""
    projected = cell.project(x).transpose(0, 1)
    before = leaves(state)
    now, moving, *carried = _mark(
        _BEGIN, number, [projected, mask.t(), *before], [projected[0], mask[:, 0], *before]
    )
    given = iter(carried)
    carry = map_state(lambda _: next(given), state)
    output, following = advance(cell, now, carry, None)
    following = leaves(stand_still(moving, following, carry))
    all_outputs = output.unsqueeze(0).expand(x.size(1), *output.shape)
    outputs, *last = _mark(_END, number, [output, *following], [all_outputs, *following])
    given = iter(last)
    return outputs.transpose(0, 1), map_state(lambda _: next(given), state)


def _mark(name: str, number: int, values: list[Tensor], like: list[Tensor]) -> list[Tensor]:
    return list(
        torch.onnx.ops.symbolic_multi_out(
            f"{_DOMAIN}::{name}",
            values,
            {_LOOP: number},
            dtypes=[value.dtype for value in like],
            shapes=[value.shape for value in like],
            version=1,
        )
    )


def marks_to_scans(model: ir.Model) -> None:
    """Make a Scan of what lies between each two marks, in place.

    What lies between them and depends on the weights alone stays outside of the loop.
    """
    graph = model.graph
    marks = {
        (node.op_type, node.attributes[_LOOP].as_int()): node for node in graph if node.domain == _DOMAIN
    }
    for number in sorted(number for name, number in marks if name == _BEGIN):
        _fold(graph, marks[_BEGIN, number], marks[_END, number])
    model.opset_imports.pop(_DOMAIN, None)


def _fold(graph: ir.Graph, begin: ir.Node, end: ir.Node) -> None:
    behind = _reached([begin], lambda node: [use.node for value in node.outputs for use in value.uses()])
    before = _reached(
        [end], lambda node: [made for value in node.inputs if value and (made := value.producer())]
    )
    between = [node for node in graph if node in behind and node in before and node not in (begin, end)]
    inside = {value for node in between for value in node.outputs}
    for value in inside:
        outside = [use.node for use in value.uses() if use.node is not end and use.node not in between]
        assert not outside and not value.is_graph_output(), (
            f"{value.name} of a loop's step is used outside of it"
        )

    states = len(begin.outputs) - 2
    inputs = [
        ir.Value(name=f"{value.name}_now", type=value.type, shape=value.shape) for value in begin.outputs
    ]
    for value, own in zip(begin.outputs, inputs, strict=True):
        value.replace_all_uses_with(own)
    graph.remove(between)
    results: list[ir.Value] = []
    for result in end.inputs:
        assert result is not None
        given = result
        if (
            result not in inside or result in results
        ):  # a body gives each value once, and none that it did not make
            same = ir.Node("", "Identity", [result], name=f"{end.name}_{len(results)}")
            given = same.outputs[0]
            given.name, given.type, given.shape = (
                f"{result.name}_{len(results)}_given",
                result.type,
                result.shape,
            )
            between.append(same)
        results.append(given)
    (output, *following), (now, moving, *carried) = results, inputs
    body = ir.Graph(
        [*carried, now, moving],
        [*following, output],
        nodes=between,
        name=f"{end.name}_body",
        opset_imports=graph.opset_imports,
    )
    projected, mask, *first = begin.inputs
    scan = ir.Node(
        "",
        "Scan",
        [*first, projected, mask],
        [ir.AttrGraph("body", body), ir.AttrInt64("num_scan_inputs", 2)],
        num_outputs=states + 1,
        name=f"{end.name}_scan",
    )
    graph.insert_before(end, scan)
    outputs, *last = end.outputs
    for value, own in zip([*last, outputs], scan.outputs, strict=True):
        own.name, own.type, own.shape = f"{value.name}_scanned", value.type, value.shape
        value.replace_all_uses_with(own, replace_graph_outputs=True)
    graph.remove([end, begin], safe=True)


def _reached(start: list[ir.Node], neighbours: Any) -> set[ir.Node]:
    found: set[ir.Node] = set()
    waiting = list(start)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += neighbours(node)
    return found
