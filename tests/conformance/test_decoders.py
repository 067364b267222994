"""Every registered decoder with every registered attention, without one, and with parts unlike ours.

What every way of running a decoder is held against is `walk`: one sentence after the other, `start` and
`step` alone, nothing padded. One comparison covers teacher forcing, padding on both sides and batch mates.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from s2s.nn import (
    Attention,
    Decoded,
    Decoder,
    Encoded,
    RecurrentCell,
    leaves,
    length_mask,
    map_state,
    select_state,
)
from s2s.registry import catalogue
from s2s.testing.odd_attention import Coverage
from s2s.testing.odd_cells import OddCell, SlotCell
from s2s_plugins.cells.elman import Elman
from s2s_plugins.cells.gru import GRU
from s2s_plugins.cells.lstm import LSTM

INPUT, HIDDEN = 3, 4
SOURCES, TARGETS = (4, 1, 3), (3, 5, 1)
CELLS: dict[str, Callable[[int, int], RecurrentCell]] = {
    "LSTM": LSTM,
    "GRU": GRU,
    "GRU-reset-before": partial(GRU, reset_before=True),
    "Elman": Elman,
    "odd": OddCell,
    "slots": SlotCell,
}
DECODERS: dict[str, Any] = {
    e.name: catalogue().load("decoder", e.name) for e in catalogue().entries("decoder")
}
ATTENTIONS: dict[str, Any] = {
    **{e.name: catalogue().load("attention", e.name) for e in catalogue().entries("attention")},
    "none": None,
    "sequential": Coverage,
}
BRANCHES = [  # every decoder with every attention; every decoder with every cell
    *((decoder, attention, "LSTM") for decoder in DECODERS for attention in ATTENTIONS),
    *((decoder, "LuongGeneral", cell) for decoder in DECODERS for cell in CELLS if cell != "LSTM"),
    *(
        (decoder, attention, "odd")
        for decoder in DECODERS
        for attention in ("none", "sequential", "LuongDot")
    ),
]
every_branch = pytest.mark.parametrize(("decoder", "attention", "cell"), BRANCHES)


class Source(NamedTuple):
    """What an encoder and a bridge would give, and target-side inputs with NaN in their padding."""

    encoded: Encoded
    features: Tensor
    inputs: Tensor
    lengths: Tensor


def build(decoder: str, attention: str, cell: str, **options: Any) -> Decoder:
    torch.manual_seed(0)
    make_cell = CELLS[cell]
    # Luong's dot asks for equal widths; elsewhere the memory is wider than anything else
    memory_size = make_cell(1, HIDDEN).output_size if attention == "LuongDot" else 7
    built: Decoder = DECODERS[decoder](
        INPUT, memory_size, cell=make_cell, attention=ATTENTIONS[attention], hidden_size=HIDDEN, **options
    )
    return built.double().eval()


def make_source(
    decoder: Decoder,
    sources: tuple[int, ...] = SOURCES,
    targets: tuple[int, ...] = TARGETS,
    padding: float = 0.0,
) -> Source:
    lengths, target_lengths = torch.tensor(sources), torch.tensor(targets)
    outputs = torch.randn(len(sources), max(sources), decoder.memory_size, dtype=torch.float64)
    outputs[~length_mask(lengths, max(sources))] = padding
    inputs = torch.randn(len(targets), max(targets), INPUT, dtype=torch.float64)
    inputs[~length_mask(target_lengths, max(targets))] = float("nan")
    features = 0.5 * torch.randn(len(sources), decoder.feature_size, dtype=torch.float64)
    encoded = Encoded(outputs.requires_grad_(), lengths, None)
    return Source(encoded, features.requires_grad_(), inputs.requires_grad_(), target_lengths)


def select_one(source: Source, row: int) -> tuple[Encoded, Tensor]:
    """One sentence without its padding."""
    length = int(source.encoded.lengths[row])
    one = Encoded(source.encoded.outputs[row : row + 1, :length], source.encoded.lengths[row : row + 1], None)
    return one, source.features[row : row + 1]


def walk(
    decoder: Decoder, source: Source, started: tuple[Any, Any] | None = None
) -> tuple[list[Decoded], Any]:
    """Each sentence alone, `step` by `step`: the steps of all sentences, and the last states.

    Args:
        decoder: the decoder.
        source: the sentences.
        started: memory and state of the whole batch, where something is drawn.
    """
    steps, states = [], []
    for row, length in enumerate(source.lengths.tolist()):
        if started is None:
            memory, state = decoder.start(*select_one(source, row))
        else:
            memory, state = (select_state(part, torch.tensor([row])) for part in started)
        for time in range(length):
            decoded, state = decoder.step(source.inputs[row : row + 1, time], memory, state)
            steps.append(decoded)
        states.append(without_coverage(state))
    return steps, map_state(lambda *parts: torch.cat(parts), *states)


def real_values(decoded: Decoded, source: Source) -> list[Tensor | None]:
    """The parts of a Decoded at real positions, in the order of `walk`: [tokens, width]."""
    return [None if part is None else part[length_mask(source.lengths, part.size(1))] for part in decoded]


def walked_values(steps: list[Decoded], source: Source) -> list[Tensor | None]:
    """The same from single steps; weights filled with zeros up to the longest source."""
    width = source.encoded.outputs.size(1)
    values: list[Tensor | None] = []
    for name, parts in zip(Decoded._fields, zip(*steps, strict=True), strict=True):
        if parts[0] is None:
            values.append(None)
        elif name == "weights":
            values.append(torch.cat([torch.nn.functional.pad(w, (0, width - w.size(-1))) for w in parts]))
        else:
            values.append(torch.cat(parts))
    return values


def gradients(decoder: Decoder, source: Source, values: list[Tensor | None], state: Any) -> dict[str, Tensor]:
    """Of one random weighting of everything that came out, by the name of what it is taken for."""
    generator = torch.Generator().manual_seed(5)
    loss = torch.zeros((), dtype=torch.float64)
    for value in values:
        if value is not None:
            loss = loss + (value * torch.randn(value.shape, generator=generator, dtype=torch.float64)).sum()
    for leaf in leaves(state):
        if leaf.requires_grad:
            loss = loss + (leaf * torch.randn(leaf.shape, generator=generator, dtype=torch.float64)).sum()
    named = {"memory": source.encoded.outputs, "features": source.features, "inputs": source.inputs}
    named |= dict(decoder.named_parameters())
    found = torch.autograd.grad(loss, list(named.values()), allow_unused=True, retain_graph=True)
    return {
        name: torch.zeros_like(value) if gradient is None else gradient
        for (name, value), gradient in zip(named.items(), found, strict=True)
    }


def without_coverage(state: Any) -> Any:
    """The state without attention's part, whose width is the source's and so differs between batches."""
    return state._replace(attention=())


def assert_equal(found: Any, expected: Any, what: str) -> None:
    assert (found is None) == (expected is None), what
    if found is not None:
        torch.testing.assert_close(
            found, expected, rtol=1e-10, atol=1e-10, msg=lambda text: f"{what}: {text}"
        )


def hold_against_walk(decoder: Decoder, source: Source, *, shared_start: bool = False) -> None:
    memory, state = decoder.start(source.encoded, source.features)
    started = (memory, state) if shared_start else None
    decoded, last = decoder(source.inputs, source.lengths, memory, state)
    steps, walked_last = walk(decoder, source, started)
    found, expected = real_values(decoded, source), walked_values(steps, source)
    for name, value, wanted in zip(Decoded._fields, found, expected, strict=True):
        assert_equal(value, wanted, name)
    last = without_coverage(last)
    for i, (leaf, wanted_leaf) in enumerate(zip(leaves(last), leaves(walked_last), strict=True)):
        assert_equal(leaf, wanted_leaf, f"last state leaf {i}")
    found_gradients = gradients(decoder, source, found, last)
    for name, wanted in gradients(decoder, source, expected, walked_last).items():
        assert found_gradients[name].isfinite().all(), name
        assert_equal(found_gradients[name], wanted, f"gradient of {name}")
    for name, part in zip(Decoded._fields, decoded, strict=True):
        assert part is None or part.isfinite().all(), f"{name} is not finite at padding"


def test_parts_are_registered() -> None:
    assert {"Bahdanau", "ConditionalGRU", "GNMT", "InputFeeding", "Recurrent"} <= set(DECODERS)
    assert {"Bahdanau", "LuongDot", "LuongGeneral", "LuongConcat", "ScaledDot"} <= set(ATTENTIONS)


@every_branch
def test_forward_equals_steps(decoder: str, attention: str, cell: str) -> None:
    built = build(decoder, attention, cell)
    hold_against_walk(built, make_source(built))


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("attention", ["none", "Bahdanau", "sequential"])
@pytest.mark.parametrize("cell", ["GRU", "odd"])
def test_layers(decoder: str, attention: str, cell: str) -> None:
    built = build(decoder, attention, cell, layers=3, residual=True)
    hold_against_walk(built, make_source(built))


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("attention", ["none", "LuongGeneral", "sequential"])
@pytest.mark.parametrize("cell", ["LSTM", "slots"])
def test_training_with_equal_noise(decoder: str, attention: str, cell: str) -> None:
    """Variational masks are drawn by `start` and travel in the state, so steps and sequence share them."""
    built = build(decoder, attention, cell, layers=2, dropout=0.5, variational=True).train()
    hold_against_walk(built, make_source(built), shared_start=True)
    source = make_source(built)
    first, second = (
        built(source.inputs, source.lengths, *built.start(source.encoded, source.features))[0]
        for _ in range(2)
    )
    assert not torch.equal(first.hidden, second.hidden)  # drawn anew for each start


@settings(max_examples=15, deadline=None)
@given(
    pairs=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=4),
    decoder=st.sampled_from(sorted(DECODERS)),
    attention=st.sampled_from(sorted(ATTENTIONS)),
)
def test_any_lengths(pairs: list[tuple[int, int]], decoder: str, attention: str) -> None:
    built = build(decoder, attention, "GRU")
    sources, targets = zip(*pairs, strict=True)
    hold_against_walk(built, make_source(built, sources, targets))


@every_branch
def test_garbage_in_the_padding_of_the_source(decoder: str, attention: str, cell: str) -> None:
    built = build(decoder, attention, cell)
    results = []
    for padding in (0.0, 1e20):
        torch.manual_seed(1)
        source = make_source(built, padding=padding)
        decoded, _ = built(source.inputs, source.lengths, *built.start(source.encoded, source.features))
        results.append(real_values(decoded, source))
    for name, clean, dirty in zip(Decoded._fields, *results, strict=True):
        assert_equal(dirty, clean, name)


@every_branch
def test_weights(decoder: str, attention: str, cell: str) -> None:
    """Zero at padding, and each token's weights sum to one; None without attention."""
    built = build(decoder, attention, cell)
    source = make_source(built)
    decoded, _ = built(source.inputs, source.lengths, *built.start(source.encoded, source.features))
    if attention == "none":
        assert decoded.weights is None and decoded.context is None and built.context_size == 0
        return
    assert decoded.weights is not None and decoded.context is not None
    assert decoded.context.shape == (3, 5, built.context_size)
    assert decoded.hidden.shape == (3, 5, built.hidden_size)
    padding = ~length_mask(source.encoded.lengths, max(SOURCES)).unsqueeze(1).expand_as(decoded.weights)
    assert not decoded.weights[padding].any()
    torch.testing.assert_close(decoded.weights.sum(-1), torch.ones(3, 5, dtype=torch.float64))


@every_branch
def test_beams_share_one_memory(decoder: str, attention: str, cell: str) -> None:
    """rows = sentences * beams against a memory expanded by hand; select_state re-orders the beams."""
    built = build(decoder, attention, cell)
    source = make_source(built)
    memory, state = built.start(source.encoded, source.features)
    beams = 2
    state = select_state(state, torch.arange(3).repeat_interleave(beams))
    expanded = map_state(lambda leaf: leaf.repeat_interleave(beams, 0), memory)
    expected_state = state
    for order in ([0, 1, 2, 3, 4, 5], [1, 1, 2, 3, 5, 4], [0, 0, 3, 2, 5, 5]):
        state, expected_state = (select_state(s, torch.tensor(order)) for s in (state, expected_state))
        tokens = torch.randn(6, INPUT, dtype=torch.float64)
        decoded, state = built.step(tokens, memory, state)
        expected, expected_state = built.step(tokens, expanded, expected_state)
        for name, found, wanted in zip(Decoded._fields, decoded, expected, strict=True):
            assert_equal(found, wanted, name)
        for found, wanted in zip(leaves(state), leaves(expected_state), strict=True):
            assert_equal(found, wanted, "state")


@every_branch
def test_select_state_commutes_with_step(decoder: str, attention: str, cell: str) -> None:
    """Sentences leave and change places: choosing rows before a step or after it is the same."""
    built = build(decoder, attention, cell)
    source = make_source(built)
    memory, state = built.start(source.encoded, source.features)
    _, state = built.step(torch.randn(3, INPUT, dtype=torch.float64), memory, state)
    index, tokens = torch.tensor([2, 0]), torch.randn(3, INPUT, dtype=torch.float64)
    expected, expected_state = built.step(tokens, memory, state)
    decoded, chosen = built.step(tokens[index], select_state(memory, index), select_state(state, index))
    for name, found, wanted in zip(Decoded._fields, decoded, expected, strict=True):
        assert_equal(found, None if wanted is None else wanted[index], name)
    for found, wanted in zip(leaves(chosen), leaves(select_state(expected_state, index)), strict=True):
        assert_equal(found, wanted, "state")


@every_branch
def test_next_input(decoder: str, attention: str, cell: str) -> None:
    """Scheduled sampling: given the gold inputs that is teacher forcing; else it sees what was decoded."""
    built = build(decoder, attention, cell)
    source = make_source(built, targets=(4, 4, 4))
    memory, state = built.start(source.encoded, source.features)
    forced, forced_state = built(source.inputs, source.lengths, memory, state)
    again, again_state = built(
        source.inputs, source.lengths, memory, state, next_input=lambda decoded, time: source.inputs[:, time]
    )
    for name, found, wanted in zip(Decoded._fields, again, forced, strict=True):
        assert_equal(found, wanted, name)
    for found, wanted in zip(leaves(again_state), leaves(forced_state), strict=True):
        assert_equal(found, wanted, "state")

    asked = []

    def own(decoded: Decoded, time: int) -> Tensor:
        asked.append(time)
        return torch.tanh(decoded.hidden[:, :INPUT])

    fed, _ = built(source.inputs, source.lengths, memory, state, next_input=own)
    assert asked == [1, 2, 3]
    token = source.inputs[:, 0]
    for time in range(4):
        expected, state = built.step(token, memory, state)
        assert_equal(fed.hidden[:, time], expected.hidden, "hidden")
        token = torch.tanh(expected.hidden[:, :INPUT])


@every_branch
def test_state_keeps_its_type_under_autocast(decoder: str, attention: str, cell: str) -> None:
    """A memory kept in bfloat16 would forget what is added to it in small amounts."""
    built = build(decoder, attention, cell).float()
    source = make_source(built)
    with torch.autocast("cpu", torch.bfloat16):
        encoded = source.encoded._replace(outputs=source.encoded.outputs.float())
        memory, state = built.start(encoded, source.features.float())
        decoded, last = built(source.inputs.float(), source.lengths, memory, state)
        _, stepped = built.step(source.inputs[:, 0].float(), memory, state)
    for leaf, walked, first in zip(leaves(last), leaves(stepped), leaves(state), strict=True):
        assert leaf.dtype == walked.dtype == first.dtype
    for leaf in leaves(state):
        assert leaf.dtype == torch.float32
    assert decoded.hidden.isfinite().all()


@every_branch
def test_float32_forward_equals_steps(decoder: str, attention: str, cell: str) -> None:
    """On the kernels that are shipped: 1e-5, relative to the largest number, in values and gradients."""
    built = build(decoder, attention, cell).float()
    source = make_source(built)
    results = []
    for run in (built.forward, built.forward_stepwise):
        encoded = source.encoded._replace(outputs=source.encoded.outputs.float())
        memory, state = built.start(encoded, source.features.float())
        decoded, last = run(source.inputs.float(), source.lengths, memory, state)
        values = real_values(decoded, source)
        results.append(
            {name: value for name, value in zip(Decoded._fields, values, strict=True) if value is not None}
            | gradients(built, source, values, without_coverage(last))
        )
    for name, wanted in results[1].items():
        allowed = 1e-5 * max(1.0, float(wanted.detach().abs().max()))
        assert (results[0][name] - wanted).abs().max() <= allowed, name


@every_branch
def test_bfloat16_forward_equals_steps(decoder: str, attention: str, cell: str) -> None:
    """bfloat16 keeps 8 bits: 4e-3 at each rounding, a few of them per step."""
    built = build(decoder, attention, cell).float()
    source = make_source(built)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        encoded = source.encoded._replace(outputs=source.encoded.outputs.float())
        memory, state = built.start(encoded, source.features.float())
        inputs = source.inputs.float()
        decoded, _ = built(inputs, source.lengths, memory, state)
        slow, _ = built.forward_stepwise(inputs, source.lengths, memory, state)
    for name, found, wanted in zip(
        Decoded._fields, real_values(decoded, source), real_values(slow, source), strict=True
    ):
        if found is not None:
            torch.testing.assert_close(found.float(), wanted.float(), rtol=0.05, atol=0.05, msg=name)


def test_part_is_an_attention() -> None:
    assert issubclass(Coverage, Attention)
