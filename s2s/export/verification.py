"""Checks that exported graphs match the model, at other sizes than those they were traced with."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor

from s2s.counted import counted
from s2s.errors import ConfigError
from s2s.export.graphs import Graphs
from s2s.nn.cell import State, leaves, map_state
from s2s.nn.prepared import encode_for_search
from s2s.nn.seq2seq import Seq2Seq
from s2s.nn.top import top
from s2s.padded import Padded
from s2s.text.tokenizer import BOS, PAD, SPECIALS

SIZES = ((1, 1, 1), (4, 9, 3))
"""Sentences, source tokens, beams."""
TOLERANCE = 1e-4
"""Ten times the known rounding error; real mismatches are far larger."""


@torch.no_grad()
def verify(model: Seq2Seq, graphs: Graphs, *, exact: bool = True) -> None:
    """Compare graphs with their model: the encoder, and a decoder step with beams that differ.

    Args:
        model: the exported model.
        graphs: its graphs.
        exact: the graphs are in float32 and must give the same numbers; if not, only shapes are compared.

    Raises:
        ConfigError: they cannot be run, or give other numbers.
    """
    model.eval()
    generator = torch.Generator().manual_seed(0)
    for sentences, source, beams in SIZES:
        sizes = f"{counted(sentences, 'sentence')} of up to {counted(source, 'token')} and {counted(beams, 'beam')}"
        lengths = torch.arange(source, source - sentences, -1).clamp(min=1)
        own = source if model.head.copies else 0  # so many words that the vocabulary lacks a source may have
        tokens = _draw((sentences, source), model.source_embedding.vocabulary_size + own, generator)
        memory, state = encode_for_search(model, Padded(tokens, lengths))
        names = [f"memory_{place}" for place in range(len(leaves(memory)))]
        names += [f"state_{place}" for place in range(len(leaves(state)))]
        expected = dict(zip(names, (*leaves(memory), *leaves(state)), strict=True))
        _compare(graphs.encoder, {"tokens": tokens, "lengths": lengths}, expected, sizes, exact)

        rows = map_state(lambda leaf, b=beams: leaf.repeat_interleave(b, 0), state)
        for _ in range(2):  # after the first, every beam has a state of its own
            read = _draw((sentences, beams), model.target_embedding.vocabulary_size + own, generator)
            before = rows
            log_probs, rows, _ = model.decode_step(read.flatten(), memory, rows, Padded(tokens, lengths))
        log_probs[:, [PAD, BOS]] = -torch.inf
        given = {"tokens": read, "source": tokens, "lengths": lengths, "k": torch.tensor([len(SPECIALS)])}
        given |= {name: expected[name] for name in names if name.startswith("memory_")}
        given |= _named("state", before, read.shape)
        best = top(log_probs, len(SPECIALS))[0].unflatten(0, read.shape)
        expected = {"log_probs": best, **_named("next_state", rows, read.shape)}
        _compare(graphs.step, given, expected, sizes, exact)


def _draw(shape: tuple[int, int], vocabulary_size: int, generator: torch.Generator) -> Tensor:
    return torch.randint(0, vocabulary_size, shape, generator=generator)


def _named(name: str, state: State, shape: torch.Size) -> dict[str, Tensor]:
    return {f"{name}_{place}": leaf.unflatten(0, shape) for place, leaf in enumerate(leaves(state))}


def _compare(
    graph: onnx.ModelProto, given: dict[str, Tensor], expected: dict[str, Tensor], sizes: str, exact: bool
) -> None:
    feed = {name: value.contiguous().numpy() for name, value in given.items()}
    try:
        session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
        found = session.run(list(expected), feed)
    except Exception as error:  # onnxruntime's own have no class in common
        raise ConfigError(
            f"the exported model cannot be run with {sizes}: {str(error).splitlines()[0]}. "
            "`s2s plugins check` tells which part causes it"
        ) from error
    for value, (name, wanted) in zip(found, expected.items(), strict=True):
        same = not exact or np.allclose(
            value.astype(np.float64), wanted.double().numpy(), rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True
        )
        if value.shape != wanted.shape or not same:
            raise ConfigError(
                f"the exported model gives other numbers than the model with {sizes} ({name}): a part of it depends on "
                "the sizes of the example that it was traced with. `s2s plugins check` tells which"
            )
