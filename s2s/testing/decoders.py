"""The conformance kit for decoders.

Each check takes a factory (input_size, memory_size) -> Decoder: a class, or a partial with the decoder's options. The
reference for every way to run a decoder is `walk`: one sentence after the other, by `start` and `step` alone.

A decoder with the options `cell`, `attention` or `layers` is checked in variants: without attention, with one that must
be stepped, with unusual cells, and with three layers.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s.errors import ConfigError
from s2s.nn.cell import State, leaves, map_state, select_state
from s2s.nn.decoder import Decoded, Decoder
from s2s.nn.encoder import Encoded
from s2s.nn.twins import holds
from s2s.nn.unroll import length_mask
from s2s.testing import constructors, models
from s2s.testing.comparing import TOLERANCES, expect_close, expect_shape, outline
from s2s.testing.kit import Check, Nonconforming, part_of
from s2s.testing.modules import (
    expect_batch_first,
    expect_exported,
    expect_gradients,
    expect_nothing_kept,
    expect_same,
    expect_same_bits,
    expect_same_on_accelerator,
    expect_true_gradients,
    modes,
    name_leaves,
    unsettle,
    with_gradients,
)
from s2s.testing.odd_attention import Coverage
from s2s.testing.odd_cells import OddCell, SlotCell

DecoderFactory = Callable[[int, int], Decoder]

INPUT_SIZE, MEMORY_SIZE, HIDDEN_SIZE = 3, 7, 4
AS_IT_COMES = "as it comes"
SOURCES, TARGETS = (4, 1, 3), (3, 5, 1)  # lengths; no sentence is the longest on both sides


class Sentences(NamedTuple):
    """What an encoder and a bridge would return, and the input tokens.

    Attributes:
        encoded: outputs are zero at padding.
        features: [batch, features].
        inputs: embedded tokens, NaN at padding, [batch, target, input].
        lengths: real target positions, [batch].
    """

    encoded: Encoded
    features: Tensor
    inputs: Tensor
    lengths: Tensor


def check_constructor(factory: DecoderFactory) -> None:
    """The constructor is typed, documented, and builds from a name alone."""
    constructors.check_constructor(factory)


def check_shapes(factory: DecoderFactory) -> None:
    """Memory and state hold one row per sentence, and what is decoded has the declared widths."""
    for where, decoder in variants(factory):
        sentences = draw(decoder)
        memory, state = decoder.start(sentences.encoded, sentences.features)
        expect_batch_first(f"the memory ({where})", memory, len(SOURCES))
        expect_batch_first(f"the state ({where})", state, len(SOURCES))
        decoded, last = run(decoder, sentences, memory, state)
        one, following = decoder.step(sentences.inputs[:, 0], memory, state)
        for what, after in (("step", following), ("forward", last)):
            if outline(after) != outline(state):
                raise Nonconforming(
                    f"that {what} returns a state of the form {outline(after)} ({where})",
                    f"{outline(state)}, as start gives",
                    "Return the same structure, the same widths and the same dtypes from all of them.",
                )
        for leading, answer in (((len(TARGETS), max(TARGETS)), decoded), ((len(TARGETS),), one)):
            _expect_widths(decoder, answer, leading, where)
        real = length_mask(sentences.lengths, max(TARGETS))
        remedy = "Return the inputs that were read: a head may use them."
        expect_close(f"Decoded.inputs ({where})", decoded.inputs[real], sentences.inputs[real], remedy)


def check_weights(factory: DecoderFactory) -> None:
    """Attention weights are zero at padding and sum to one."""
    for where, decoder in variants(factory):
        sentences = draw(decoder)
        weights = run(decoder, sentences)[0].weights
        if weights is None:
            continue
        weights = weights.detach()
        padding = ~length_mask(sentences.encoded.lengths, max(SOURCES)).unsqueeze(1).expand_as(weights)
        if weights[padding].any():
            raise Nonconforming(
                f"weights up to {float(weights[padding].abs().max()):.3g} at the source's padding ({where})",
                "zero",
                "Give attention the mask of the source: length_mask(encoded.lengths, source).",
            )
        sums = weights.sum(-1)
        remedy = "Return attention's weights as they are: searches, heads and alignments read them."
        expect_close(f"the sum of weights ({where})", sums, torch.ones_like(sums), remedy)


def check_forward_equals_steps(factory: DecoderFactory) -> None:
    """Teacher forcing equals each sentence alone, step by step: values, states, gradients; float64 and float32."""
    for dtype in (torch.float64, torch.float32):
        for where, decoder in variants(factory, dtype):
            hold_against_walk(decoder, draw(decoder), where)


def check_mixed_precision(factory: DecoderFactory) -> None:
    """Under bfloat16 autocast `forward` and `step` agree within rounding, and the state keeps its dtypes."""
    for where, decoder in variants(factory, torch.float32):
        sentences = draw(decoder)
        with torch.no_grad(), torch.autocast(sentences.features.device.type, torch.bfloat16):
            memory, state = decoder.start(sentences.encoded, sentences.features)
            decoded, last = run(decoder, sentences, memory, state)
            slow, stepped = decoder.forward_stepwise(sentences.inputs, sentences.lengths, memory, state)
            _, first = decoder.step(sentences.inputs[:, 0], memory, state)
        for after in (last, stepped, first):
            if outline(after) != outline(state):
                raise Nonconforming(
                    f"a state {outline(after)} under bfloat16 autocast ({where})",
                    f"{outline(state)}, as it began",
                    "Keep the dtypes of the state's leaves: s2s.nn.advance does so for cells.",
                )
        for leaf in leaves(state):
            if leaf.is_floating_point() and leaf.dtype != torch.float32:
                raise Nonconforming(
                    f"a first state {outline(state)} under bfloat16 autocast ({where})",
                    "leaves of float32, as the features are",
                    "A state in bfloat16 would lose small increments.",
                )
        expect_same(
            real_values(decoded, sentences),
            real_values(slow, sentences),
            f"at once and step by step ({where}, bfloat16 autocast)",
            "What is computed outside the loop must match step.",
            TOLERANCES[torch.bfloat16],
            types=False,
        )


def check_padding(factory: DecoderFactory) -> None:
    """The contents of the target's padding (even NaN) change no bit, and what is decoded there is finite."""
    for where, decoder in variants(factory):
        sentences, results = draw(decoder), []
        padding = ~length_mask(sentences.lengths, max(TARGETS)).unsqueeze(-1)
        for filling in (0.0, 1e30, float("inf"), float("nan")):
            inputs = sentences.inputs.detach().masked_fill(padding, filling).requires_grad_()
            dirty = sentences._replace(inputs=inputs)
            decoded, last = run(decoder, dirty)
            for name, part in _parts(decoded).items():
                if not part.isfinite().all():
                    raise Nonconforming(
                        f"that {name} is not finite where the padding holds {filling} ({where})",
                        "finite numbers",
                        "Zero the inputs at padding before the first product.",
                    )
            values = {**real_values(decoded, dirty), **name_leaves("last state", last)}
            results.append((filling, with_gradients(values, _inputs(dirty), decoder)))
        for filling, found in results[1:]:
            how = f"when the padding holds {filling} instead of 0 ({where})"
            remedy = "Zero the inputs at padding: 0 * NaN would reach the weights' gradients."
            expect_same_bits(found, results[0][1], how, remedy)


def check_source_padding(factory: DecoderFactory) -> None:
    """The lengths of the other sources in the batch do not matter."""
    for where, decoder in variants(factory):
        sentences = draw(decoder)
        whole = functools.partial(_of_all, decoder, sentences)
        for mode in modes(decoder, whole):
            steps, _ = walk(decoder, sentences, cut=True)
            remedy = "Give attention the mask of the source; divide by encoded.lengths, not by the width."
            how = f"of a source in a batch and alone ({where}, {mode})"
            expect_same(whole(), _stacked(steps, max(SOURCES)), how, remedy)


def _of_all(decoder: Decoder, sentences: Sentences) -> dict[str, Tensor]:
    return real_values(run(decoder, sentences)[0], sentences)


def check_beams(factory: DecoderFactory) -> None:
    """Several rows per sentence that share one memory get the same answers as rows with their own copies."""
    for where, decoder in variants(factory):
        sentences = draw(decoder)
        memory, state = decoder.start(sentences.encoded, sentences.features)
        rows = torch.arange(len(SOURCES)).repeat_interleave(2)
        expanded, state = select_state(memory, rows), select_state(state, rows)
        expected_state = state
        for order in (list(range(6)), [1, 1, 2, 3, 5, 4], [0, 0, 3, 2, 5, 5]):  # beams change places
            index = torch.tensor(order)
            state, expected_state = (select_state(one, index) for one in (state, expected_state))
            tokens = torch.randn(6, INPUT_SIZE, dtype=sentences.features.dtype)
            decoded, state = decoder.step(tokens, memory, state)
            expected, expected_state = decoder.step(tokens, expanded, expected_state)
            remedy = "Call attention by s2s.nn.attend_rows: rows = sentences * beams, sentence by sentence."
            how = f"of beams that share a memory ({where})"
            expect_same(_all(decoded, state), _all(expected, expected_state), how, remedy)


def check_select_state(factory: DecoderFactory) -> None:
    """Selecting rows of memory and state before or after a step gives the same, as searches require."""
    for where, decoder in variants(factory):
        sentences = draw(decoder)
        memory, state = decoder.start(sentences.encoded, sentences.features)
        inputs = torch.randn(2, len(SOURCES), INPUT_SIZE, dtype=sentences.features.dtype)
        _, state = decoder.step(inputs[0], memory, state)
        index = torch.tensor([2, 0])
        whole = _all(*decoder.step(inputs[1], memory, state))
        chosen = decoder.step(inputs[1, index], select_state(memory, index), select_state(state, index))
        remedy = "Every leaf must be [batch, ...], and a row's step must depend on that row alone."
        expected = {name: value[index] for name, value in whole.items()}
        expect_same(_all(*chosen), expected, f"after choosing rows ({where})", remedy)


def check_next_input(factory: DecoderFactory) -> None:
    """`next_input` is called at each position but the first, with what was decoded, and its result is read."""
    for where, decoder in variants(factory):
        sentences = draw(decoder, targets=(4, 4, 4))
        memory, state = decoder.start(sentences.encoded, sentences.features)
        forced = run(decoder, sentences, memory, state)
        tokens = sentences.inputs.unbind(1)
        again = run(decoder, sentences, memory, state, functools.partial(_gold_input, tokens))
        remedy = "Call next_input, as forward_stepwise does."
        how = f"with next_input that returns the tokens themselves, and without it ({where})"
        expect_same(_all(*again), _all(*forced), how, remedy)
        asked: list[int] = []
        fed, _ = run(decoder, sentences, memory, state, functools.partial(_own_input, asked))
        if asked != [1, 2, 3]:
            raise Nonconforming(
                f"that next_input was called at positions {asked} of 4 ({where})", "[1, 2, 3]", remedy
            )
        token, steps = tokens[0], []
        for _ in range(4):
            decoded, state = decoder.step(token, memory, state)
            steps.append(decoded)
            token = _own_input([], decoded, 0)
        expected = torch.stack([step.hidden for step in steps], dim=1)
        expect_close(f"hidden with inputs made of what was decoded ({where})", fed.hidden, expected, remedy)


def check_folded_tokens(factory: DecoderFactory) -> None:
    """If `fold_tokens` precomputes anything for the whole vocabulary, `step_folded` with it equals `step`."""
    for where, decoder in variants(factory):
        if not (holds(decoder, "step_folded", "step") and holds(decoder, "fold_tokens", "step")):
            return  # not used
        sentences = draw(decoder)
        vocabulary = torch.randn(9, INPUT_SIZE, dtype=sentences.features.dtype)
        folded = decoder.fold_tokens(vocabulary)
        if folded is None:
            continue
        memory, state = decoder.start(sentences.encoded, sentences.features)
        tokens = torch.tensor([7, 0, 4])
        found = decoder.step_folded(folded[tokens], vocabulary[tokens], memory, state)
        expected = decoder.step(vocabulary[tokens], memory, state)
        remedy = "Let step be step_folded(fold_tokens(input), input, memory, state)."
        expect_same(_all(*found), _all(*expected), f"of a folded token ({where})", remedy)


def check_folded_memory(factory: DecoderFactory) -> None:
    """Steps with the memory of `fold_memory` are the same, except that the context may be missing."""
    for where, decoder in variants(factory):
        sentences = draw(decoder)
        memory, state = decoder.start(sentences.encoded, sentences.features)
        folded = decoder.fold_memory(memory)
        expect_batch_first(f"the memory of fold_memory ({where})", folded, len(SOURCES))
        rows = torch.arange(len(SOURCES)).repeat_interleave(2)
        state, index = select_state(state, rows), torch.tensor([2, 0])
        tokens = torch.randn(6, INPUT_SIZE, dtype=sentences.features.dtype)
        remedy = "Do to the memory what the decoder does to every context, or do not override fold_memory."
        for what, chosen in (("", torch.arange(3)), (", after choosing rows", index)):
            beams = (2 * chosen.unsqueeze(1) + torch.arange(2)).flatten()
            plain, own_state = select_state(memory, chosen), select_state(state, beams)
            expected = _all(*decoder.step(tokens[beams], plain, own_state))
            found = _all(*decoder.step(tokens[beams], select_state(folded, chosen), own_state))
            expected = {name: value for name, value in expected.items() if name in found or name != "context"}
            expect_same(found, expected, f"with a folded memory ({where}{what})", remedy)


def check_noise(factory: DecoderFactory) -> None:
    """In training, `start` samples all noise and keeps it in the state: `forward` equals `step`."""
    wanted: dict[str, Any] = {"dropout": 0.5, "variational": True}
    drawing = all(models.takes(factory, option) for option in wanted)
    noisy = models.with_options(factory, **wanted) if drawing else factory
    for where, decoder in variants(noisy):
        decoder.train()
        sentences = draw(decoder)
        started = decoder.start(sentences.encoded, sentences.features)
        hold_against_walk(decoder, sentences, f"{where}, training", started)
        if drawing:
            first, second = (run(decoder, sentences)[0].hidden for _ in range(2))
            if torch.equal(first, second):
                raise Nonconforming(
                    f"that two runs in training with dropout 0.5 are equal ({where})",
                    "new masks from each start",
                    "Sample masks in start, and use them.",
                )


def check_keeps_nothing(factory: DecoderFactory) -> None:
    """The same sentences give the same bits, a run leaves nothing on the part, and its state_dict is complete."""

    def values(decoder: Decoder, sentences: Sentences) -> dict[str, Tensor]:
        return _all(*run(decoder, sentences))

    expect_nothing_kept(lambda: build(factory), draw, values)


def check_devices(factory: DecoderFactory) -> None:
    """On an accelerator, here an emulated one, it computes the same: no tensor stays behind on the CPU."""
    for _, decoder in variants(factory):
        expect_same_on_accelerator(decoder, draw(decoder), lambda one, sentences: _all(*run(one, sentences)))


def check_gradients(factory: DecoderFactory) -> None:
    """Gradients of a step match finite differences; memory, tokens, parameters and each feature get one."""
    for where, decoder in variants(factory):
        sentences = draw(decoder)
        mask = length_mask(sentences.encoded.lengths, max(SOURCES)).unsqueeze(-1)

        def one_step(
            token: Tensor,
            features: Tensor,
            outputs: Tensor,
            decoder: Decoder = decoder,
            encoded: Encoded = sentences.encoded,
            mask: Tensor = mask,
        ) -> list[Tensor]:
            memory, state = decoder.start(encoded._replace(outputs=outputs * mask), features)
            decoded, state = decoder.step(token, memory, state)
            return list(_all(*decoder.step(token, memory, state)).values()) + list(_parts(decoded).values())

        token = sentences.inputs.detach()[:, 0].clone().requires_grad_()
        inputs = (token, sentences.features, sentences.encoded.outputs)
        expect_true_gradients(one_step, inputs, f"step ({where})")
        decoded, _ = run(decoder, sentences)
        values = {"hidden": real_values(decoded, sentences)["hidden"]}
        wanted = _inputs(sentences)
        if decoded.context is None:
            del wanted["memory"]
        if where == AS_IT_COMES:  # an odd cell's initial state is not checked
            expect_gradients(values, wanted, decoder)
        gradient = with_gradients(values, wanted, decoder)["gradient of features"]
        for feature, column in enumerate(gradient.unbind(1)):
            if not column.any():
                raise Nonconforming(
                    f"that nothing depends on feature {feature} of {decoder.feature_size} ({where})",
                    "that every part of the bridge's output is used",
                    "Build every leaf of the initial state from the features, as RecurrentCell.state_from does.",
                )


def check_every_partner(factory: DecoderFactory) -> None:
    """With every registered encoder, head, and attention and cell if it takes them: teacher forcing equals stepping."""
    held = tuple(kind for kind in ("attention", "cell") if models.takes(factory, kind))
    models.expect_exact_beside("decoder", factory, (*held, "encoder", "head"))


def check_export(factory: DecoderFactory) -> None:
    """A step can be exported, for any number of rows, and gives the same numbers."""
    decoder = build(factory, torch.float32)

    def rows(targets: Sequence[int]) -> tuple[Tensor, ...]:
        sentences = draw(decoder, targets, targets)
        memory, state = decoder.start(sentences.encoded, sentences.features)
        tokens = sentences.inputs.detach()[:, 0]
        return tokens, *(leaf.detach() for leaf in (*leaves(memory), *leaves(state)))

    inputs = rows((3, 4, 2))
    expect_exported(_Step(decoder), inputs, rows((3, 2, 1, 4, 2)), [{0: "rows"}] * len(inputs))


def check_learning(factory: DecoderFactory) -> None:
    """A small model with it learns to copy short sequences in a few seconds."""
    models.expect_to_learn(models.learning_model(decoder=factory), "a model with the decoder")


class _Step(nn.Module):
    """One step as a function of tensors alone: tokens and the leaves of memory and state in, all outputs out."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder
        sentences = draw(decoder, (1,), (1,))
        self.structure = decoder.start(sentences.encoded, sentences.features)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        given = iter(inputs[1:])
        memory, state = map_state(lambda _: next(given), self.structure)
        return tuple(_all(*self.decoder.step(inputs[0], memory, state)).values())


def build(factory: DecoderFactory, dtype: torch.dtype = torch.float64) -> Decoder:
    """A small decoder in evaluation mode; its memory is wider than all else, unless it requires another width."""
    small = models.with_options(factory, hidden_size=HIDDEN_SIZE)
    try:
        decoder: Decoder = small(INPUT_SIZE, MEMORY_SIZE)
    except ConfigError:
        decoder = small(INPUT_SIZE, HIDDEN_SIZE)
    return unsettle(decoder.to(dtype)).eval()


def variants(factory: DecoderFactory, dtype: torch.dtype = torch.float64) -> Iterator[tuple[str, Decoder]]:
    """The decoder as it comes, and with what its options allow; variants that it refuses are skipped."""
    yield AS_IT_COMES, build(factory, dtype)
    changed: list[tuple[str, dict[str, Any]]] = []
    if models.takes(factory, "attention"):
        if _may_be_none(factory, "attention"):
            changed.append(("without attention", {"attention": None}))
        changed.append(("attention that must be stepped", {"attention": Coverage}))
    if models.takes(factory, "cell"):
        changed.append(("a cell of three leaves", {"cell": OddCell}))
        changed.append(("a cell with a nested state", {"cell": SlotCell, "attention": Coverage}))
    if models.takes(factory, "layers"):
        changed.append(("three layers", {"layers": 3, "residual": True}))
    for where, options in changed:
        try:
            yield where, build(models.with_options(factory, **options), dtype)
        except ConfigError:
            continue  # it says why


def _may_be_none(factory: DecoderFactory, option: str) -> bool:
    part = part_of(factory)
    hints = typing.get_type_hints(part.__init__ if inspect.isclass(part) else part)
    return type(None) in typing.get_args(hints.get(option))


def draw(
    decoder: Decoder,
    sources: Sequence[int] = SOURCES,
    targets: Sequence[int] = TARGETS,
) -> Sentences:
    """Random sentences of given lengths, for a decoder of any sizes."""
    dtype = next((parameter.dtype for parameter in decoder.parameters()), torch.float64)
    lengths, target_lengths = torch.tensor(sources), torch.tensor(targets)
    outputs = torch.randn(len(sources), max(sources), decoder.memory_size, dtype=dtype)
    outputs[~length_mask(lengths, max(sources))] = 0.0
    inputs = torch.randn(len(targets), max(targets), decoder.input_size, dtype=dtype)
    inputs[~length_mask(target_lengths, max(targets))] = float("nan")
    features = 0.5 * torch.randn(len(sources), decoder.feature_size, dtype=dtype)
    encoded = Encoded(outputs.requires_grad_(), lengths, None)
    return Sentences(encoded, features.requires_grad_(), inputs.requires_grad_(), target_lengths)


def run(
    decoder: Decoder,
    sentences: Sentences,
    memory: Any = None,
    state: State = None,
    next_input: Any = None,
) -> tuple[Decoded, State]:
    """Read all tokens as a model does: by `forward`, unless a subclass overrides only `step`."""
    if state is None:
        memory, state = decoder.start(sentences.encoded, sentences.features)
    fast = holds(decoder, "forward", "step", "step_folded", "fold_tokens")
    read = decoder.forward if fast else decoder.forward_stepwise
    return read(sentences.inputs, sentences.lengths, memory, state, next_input=next_input)


def walk(
    decoder: Decoder, sentences: Sentences, started: tuple[Any, State] | None = None, *, cut: bool = False
) -> tuple[list[Decoded], State]:
    """Each sentence alone, `step` by `step`: the steps of all sentences in turn, and the last states.

    Args:
        decoder: the decoder.
        sentences: the sentences.
        started: memory and state of the whole batch, if they hold noise.
        cut: without the padding of the source; last states are then those of the last sentence.
    """
    steps: list[Decoded] = []
    states: list[State] = []
    for row, length in enumerate(sentences.lengths.tolist()):
        index = torch.tensor([row])
        encoded = sentences.encoded
        real = int(encoded.lengths[row]) if cut else encoded.outputs.size(1)
        if started is None:
            alone = Encoded(encoded.outputs[index, :real], encoded.lengths[index], None)
            memory, state = decoder.start(alone, sentences.features[index])
        else:
            memory, state = (select_state(part, index) for part in started)
        for time in range(length):
            decoded, state = decoder.step(sentences.inputs[index, time], memory, state)
            steps.append(decoded)
        states.append(state)
    if cut:
        return steps, states[-1]
    return steps, map_state(lambda *parts: torch.cat(parts), *states)


def hold_against_walk(
    decoder: Decoder, sentences: Sentences, where: str, started: tuple[Any, State] | None = None
) -> None:
    """Compare `run` with `walk`: what is decoded, last states, gradients of memory, features, tokens and parameters.

    Args:
        decoder: the decoder.
        sentences: the sentences.
        where: for messages.
        started: see `walk`.
    """
    dtype = sentences.features.dtype
    memory, state = decoder.start(sentences.encoded, sentences.features) if started is None else started
    decoded, last = run(decoder, sentences, memory, state)
    steps, walked = walk(decoder, sentences, started)
    found = {**real_values(decoded, sentences), **name_leaves("last state", last)}
    expected = {**_stacked(steps), **name_leaves("last state", walked)}
    inputs = _inputs(sentences)
    expect_same(
        with_gradients(found, inputs, decoder),
        with_gradients(expected, inputs, decoder),
        f"at once and of each sentence alone, step by step ({where}, {dtype})",
        "forward must match step, keep the state at padding, and let no row see another.",
        TOLERANCES[dtype],
    )


def real_values(decoded: Decoded, sentences: Sentences) -> dict[str, Tensor]:
    """What was decoded at real positions, sentence by sentence, [tokens, width]."""
    real = length_mask(sentences.lengths, decoded.hidden.size(1))
    return {name: part[real] for name, part in _parts(decoded).items()}


def _stacked(steps: list[Decoded], source: int | None = None) -> dict[str, Tensor]:
    # Single steps, [tokens, width]; weights are filled up to `source` positions.
    values: dict[str, Tensor] = {}
    for name in _parts(steps[0]):
        parts: list[Tensor] = [getattr(step, name) for step in steps]
        if name == "weights" and source is not None:
            parts = [F.pad(part, (0, source - part.size(-1))) for part in parts]
        values[name] = torch.cat(parts)
    return values


def _parts(decoded: Decoded) -> dict[str, Tensor]:
    return {name: part for name, part in zip(Decoded._fields, decoded, strict=True) if part is not None}


def _all(decoded: Decoded, state: State) -> dict[str, Tensor]:
    return {**_parts(decoded), **name_leaves("state", state)}


def _inputs(sentences: Sentences) -> dict[str, Tensor]:
    return {
        "memory": sentences.encoded.outputs,
        "features": sentences.features,
        "inputs": sentences.inputs,
    }


def _gold_input(tokens: Sequence[Tensor], decoded: Decoded, time: int) -> Tensor:
    return tokens[time]


def _own_input(asked: list[int], decoded: Decoded, time: int) -> Tensor:
    # An input made of what was decoded; records when it was called.
    asked.append(time)
    return torch.tanh(decoded.hidden.repeat(1, INPUT_SIZE)[:, :INPUT_SIZE])


def _expect_widths(decoder: Decoder, decoded: Decoded, leading: tuple[int, ...], where: str) -> None:
    advice = "pass it to super().__init__"
    expect_shape(f"hidden ({where})", decoded.hidden, (*leading, decoder.hidden_size), advice)
    expect_shape(f"inputs ({where})", decoded.inputs, (*leading, decoder.input_size), advice)
    if (decoded.context is None) != (decoder.context_size == 0):
        raise Nonconforming(
            f"that context is {'None' if decoded.context is None else 'there'} with context_size "
            f"{decoder.context_size} ({where})",
            "None if, and only if, context_size is 0",
            "A head is as wide as context_size says.",
        )
    if decoded.context is not None:
        expect_shape(f"context ({where})", decoded.context, (*leading, decoder.context_size), advice)
    if decoded.weights is not None:
        positions = "give one weight to every source position"
        expect_shape(f"weights ({where})", decoded.weights, (*leading, max(SOURCES)), positions)


DECODER_CHECKS = tuple(
    Check("decoder", check)
    for check in (
        check_constructor,
        check_shapes,
        check_weights,
        check_forward_equals_steps,
        check_mixed_precision,
        check_padding,
        check_source_padding,
        check_beams,
        check_select_state,
        check_next_input,
        check_folded_tokens,
        check_folded_memory,
        check_noise,
        check_keeps_nothing,
        check_devices,
        check_gradients,
        check_every_partner,
        check_export,
        check_learning,
    )
)
