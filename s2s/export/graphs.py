"""The two ONNX graphs of a model: the encoder, run once per sentence, and one step of the decoder."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from typing import Any, NamedTuple

import onnx
import onnx_ir as ir
import torch
from onnx import TensorProto, helper
from onnxscript import optimizer
from torch import Tensor, nn
from torch.export import Dim
from torch.nn import functional as F

from s2s.errors import ConfigError
from s2s.export.logarithms import TRANSLATIONS
from s2s.export.recurrence import marks_to_scans, traceable
from s2s.nn.cell import State, leaves, map_state
from s2s.nn.prepared import encode_for_search
from s2s.nn.seq2seq import Seq2Seq
from s2s.padded import Padded
from s2s.text.tokenizer import BOS, EOS, PAD

OPSET = 20
"""Version of ONNX's operators; onnxruntime has known it since 1.17."""
_ANY_SIZE = 2**40

_SENTENCES, _SOURCE, _BEAMS = 3, 5, 2
"""Sizes of the example. All differ, none is 1: a graph is traced for any sizes, and what is 1 may be taken as such."""


class Graphs(NamedTuple):
    """A model in ONNX.

    Attributes:
        encoder: from `tokens` [sentences, source] and `lengths` [sentences] to `memory_*` [sentences, ...] and
            `state_*` [sentences, ...], the state before the first token.
        step: from `tokens` [sentences, beams], `source` and `lengths` as the encoder's, `memory_*`, `state_*`
            [sentences, beams, ...] and `k` to the k best `log_probs` and their tokens `best`, [sentences, beams, k],
            the `next_state_*`, and `weights` [sentences, beams, source] where the model attends. Of a model that
            copies, `source` holds each sentence's own words, and they are among what is best; see `Head.copies`.
    """

    encoder: onnx.ModelProto
    step: onnx.ModelProto


class _Encoder(nn.Module):
    """See `Graphs.encoder`."""

    def __init__(self, model: Seq2Seq) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        memory, state = encode_for_search(self.model, Padded(tokens, lengths))
        return *leaves(memory), *leaves(state)


class _Step(nn.Module):
    """See `Graphs.step`; but all log-probabilities, not the k best."""

    barred: Tensor

    def __init__(self, model: Seq2Seq, memory: Any, state: State) -> None:
        super().__init__()
        self.model = model
        self.structure = (memory, state)
        # Padding and the begin of the sentence are never said, see ModelStepper.
        barred = torch.zeros(model.target_embedding.vocabulary_size)
        barred[[PAD, BOS]] = -torch.inf
        self.register_buffer("barred", barred)

    def forward(
        self, tokens: Tensor, source: Tensor, lengths: Tensor, memory: list[Tensor], state: list[Tensor]
    ) -> tuple[Tensor, ...]:
        given = iter(memory)
        own_memory = map_state(lambda _: next(given), self.structure[0])
        rows = iter(state)
        own_state = map_state(lambda _: next(rows).flatten(0, 1), self.structure[1])
        log_probs, following, weights = self.model.decode_step(
            tokens.flatten(), own_memory, own_state, Padded(source, lengths)
        )
        barred = F.pad(self.barred, (0, source.size(1))) if self.model.head.copies else self.barred
        results = [log_probs + barred, *leaves(following), *([] if weights is None else [weights])]
        return tuple(value.unflatten(0, tokens.shape) for value in results)


def to_onnx(model: Seq2Seq) -> Graphs:
    """The graphs of a model in float32, in evaluation mode, on a CPU.

    Raises:
        ConfigError: a part of it cannot be exported.
    """
    model.eval()
    tokens, lengths, memory, state = _encoded(model, _SENTENCES, _SOURCE)
    _, _, *others = _encoded(model, _SENTENCES + 1, _SOURCE + 2)
    free = [_free_axes(one, other) for one, other in zip((memory, state), others, strict=True)]
    beams = [leaf.unsqueeze(1).repeat_interleave(_BEAMS, 1) for leaf in leaves(state)]
    names = [f"memory_{place}" for place in range(len(leaves(memory)))]
    states = [f"state_{place}" for place in range(len(beams))]
    weights = ["weights"] if _attends(model, memory, state) else []
    with torch.no_grad(), traceable(model):
        encoder = export_part(
            _Encoder(model),
            (tokens, lengths),
            ({0: Dim.DYNAMIC, 1: Dim.DYNAMIC}, {0: Dim.DYNAMIC}),
            ["tokens", "lengths"],
            [*names, *states],
        )
        step = export_part(
            _Step(model, memory, state),
            (_tokens(_SENTENCES, _BEAMS), tokens, lengths, leaves(memory), beams),
            (
                {0: Dim.DYNAMIC, 1: Dim.DYNAMIC},
                {0: Dim.DYNAMIC, 1: Dim.DYNAMIC},
                {0: Dim.DYNAMIC},
                free[0],
                [{0: Dim.DYNAMIC, **{axis + 1: Dim.DYNAMIC for axis in axes}} for axes in free[1]],
            ),
            ["tokens", "source", "lengths", *names, *states],
            ["all_log_probs", *(f"next_{name}" for name in states), *weights],
        )
    return Graphs(encoder, _with_best(step))


def _attends(model: Seq2Seq, memory: Any, state: State) -> bool:
    """Whether a step tells where it looked."""
    rows = leaves(state)[0].size(0)
    with torch.no_grad():
        decoded, _ = model.decoder.step(model.target_embedding(torch.full((rows,), EOS)), memory, state)
    return decoded.weights is not None


def _tokens(rows: int, columns: int) -> Tensor:
    return torch.full((rows, columns), EOS)


def _encoded(model: Seq2Seq, sentences: int, source: int) -> tuple[Tensor, Tensor, Any, State]:
    """An example: tokens, lengths, memory and state."""
    tokens, lengths = _tokens(sentences, source), torch.arange(source, source - sentences, -1)
    with torch.no_grad():
        memory, state = encode_for_search(model, Padded(tokens, lengths))
    return tokens, lengths, memory, state


def _free_axes(one: State, other: State) -> list[dict[int, Any]]:
    """For each leaf the axes whose sizes depend on the batch."""
    return [
        {axis: Dim.DYNAMIC for axis in range(leaf.dim()) if leaf.size(axis) != another.size(axis)}
        for leaf, another in zip(leaves(one), leaves(other), strict=True)
    ]


def export_part(
    part: nn.Module,
    inputs: tuple[Any, ...],
    free: Any,
    input_names: Sequence[str],
    output_names: Sequence[str],
) -> onnx.ModelProto:
    """Any module as a graph in ONNX; to be called within `traceable`.

    Args:
        part: takes and returns tensors.
        inputs: an example.
        free: for each input the axes whose sizes are free: place -> `Dim.DYNAMIC`.
        input_names: of all its inputs.
        output_names: of its outputs.

    Raises:
        ConfigError: it cannot be exported.
    """
    try:
        with _quiet():
            program = torch.onnx.export(
                part.eval(),
                inputs,
                dynamo=True,
                dynamic_shapes=free,
                custom_translation_table=TRANSLATIONS,
                input_names=list(input_names),
                opset_version=OPSET,
                optimize=False,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        cause = root_cause(error)
        raise ConfigError(
            f"{type(part).__name__.strip('_')} cannot be exported to ONNX: "
            f"{type(cause).__name__}: {str(cause).splitlines()[0]}. "
            "`s2s plugins check` tells which part causes it"
        ) from error
    assert program is not None
    model: ir.Model = program.model
    marks_to_scans(model)
    _name_outputs(model.graph, output_names)
    # Of any size: what is worked out from weights alone is worked out once, here.
    optimizer.optimize(model, input_size_limit=_ANY_SIZE, output_size_limit=_ANY_SIZE)
    return _bare(ir.to_proto(model))


def root_cause(error: BaseException) -> BaseException:
    """What was raised first; what wraps it says little."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _bare(model: onnx.ModelProto) -> onnx.ModelProto:
    """Without what the exporter notes of every value: the code that made it, with the paths of this machine."""
    model.ClearField("metadata_props")
    waiting = [model.graph]
    while waiting:
        graph = waiting.pop()
        graph.ClearField("value_info")
        for part in (graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
            part.ClearField("metadata_props")
            part.ClearField("doc_string")
        waiting += [one.g for node in graph.node for one in node.attribute if one.HasField("g")]
    return model


def _name_outputs(graph: ir.Graph, names: Sequence[str]) -> None:
    """Name them; one that is an input as well, or another output, is copied, for a value has one name."""
    for place, name in enumerate(names):
        value = graph.outputs[place]
        if value.producer() is None or value in graph.outputs[:place]:
            same = ir.Node("", "Identity", [value], name=f"node_{name}")
            same.outputs[0].type, same.outputs[0].shape = value.type, value.shape
            graph.append(same)
            graph.outputs[place] = value = same.outputs[0]
        value.name = name


def _with_best(step: onnx.ModelProto) -> onnx.ModelProto:
    """All log-probabilities become the k best; of equals the lower token comes first, as `s2s.nn.top` has it."""
    every, *others = list(step.graph.output)
    k = helper.make_tensor_value_info("k", TensorProto.INT64, [1])
    step.graph.input.append(k)
    step.graph.node.append(
        helper.make_node("TopK", [every.name, "k"], ["log_probs", "best"], name="best_of_all")
    )
    axes = ["sentences", "beams", "best"]
    del step.graph.output[:]
    step.graph.output.extend(
        [
            helper.make_tensor_value_info("log_probs", TensorProto.FLOAT, axes),
            helper.make_tensor_value_info("best", TensorProto.INT64, axes),
            *others,
        ]
    )
    return step


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter tells of its own progress and of packages that nobody asked for; errors are raised anyway.

    Where it fails, it prints the graph so far as well, a thousand lines for a decoder.
    """
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        exporter.setLevel(level)
