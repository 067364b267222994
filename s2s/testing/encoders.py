"""The conformance kit for encoders.

Each check takes a factory (input_size) -> SequenceEncoder: a class, or a partial with the encoder's options.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from s2s.nn.cell import leaves, map_state, select_state
from s2s.nn.encoder import Encoded, SequenceEncoder
from s2s.nn.twins import holds
from s2s.nn.unroll import length_mask
from s2s.testing import constructors, models
from s2s.testing.comparing import TOLERANCES, expect_shape, outline
from s2s.testing.kit import Check, Nonconforming
from s2s.testing.modules import (
    ONNX_IS_HERE,
    asking_gradients,
    expect_batch_first,
    expect_gradients,
    expect_in_onnx,
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
from s2s.testing.odd_cells import OddCell, SlotCell

EncoderFactory = Callable[[int], SequenceEncoder]

INPUT_SIZE, HIDDEN_SIZE = 3, 8
LENGTHS = (4, 1, 3)  # the longest, the shortest possible, one between


def check_constructor(factory: EncoderFactory) -> None:
    """The constructor is typed, documented, and builds from a name alone."""
    constructors.check_constructor(factory)


def check_shapes(factory: EncoderFactory) -> None:
    """Outputs and features have the declared widths, and the state has one row per sentence, in any batch."""
    encoder = build(factory)
    forms = []
    for lengths in (LENGTHS, (2, 5)):
        encoded = encoder(draw_inputs(lengths), torch.tensor(lengths))
        outputs = (len(lengths), max(lengths), encoder.output_size)
        expect_shape("outputs", encoded.outputs, outputs, "pass output_size to super().__init__")
        expect_batch_first("the state", encoded.state, len(lengths))
        features = encoder.features(encoded.state)
        announced = (len(lengths), encoder.feature_size)
        expect_shape(
            "features(state)",
            features,
            announced,
            "pass feature_size to super().__init__, or override features",
        )
        if not torch.equal(encoded.lengths, torch.tensor(lengths)):
            raise Nonconforming(
                f"lengths {encoded.lengths.tolist()} beside the outputs",
                f"{list(lengths)}, as they were given",
                "Return one output for every input position.",
            )
        forms.append(outline(map_state(lambda leaf: leaf[:1], encoded.state)))
    if forms[0] != forms[1]:
        raise Nonconforming(
            f"that the state's form depends on the batch: {forms[1]}",
            f"{forms[0]}, as for another one",
            "Give the state one form: a bridge is built for the width of features.",
        )


def check_batch_mates(factory: EncoderFactory) -> None:
    """A sentence alone, padded in a batch, and in a reordered batch: the same outputs and features, both precisions."""
    for dtype in (torch.float64, torch.float32):
        compare_with_alone(factory, LENGTHS, dtype)


def check_short_and_full_rows(factory: EncoderFactory) -> None:
    """The same for sentences of length 1 only, and for a batch without padding."""
    for lengths in ((1, 1), (1,), (4, 4)):
        compare_with_alone(factory, lengths)


def check_padding(factory: EncoderFactory) -> None:
    """Outputs are zero at padding, and its contents (even NaN) change no bit of values and gradients."""
    encoder, lengths = build(factory), torch.tensor(LENGTHS)
    clean, padding = draw_inputs(LENGTHS), ~length_mask(lengths, max(LENGTHS))
    results = []
    for filling in (0.0, 1e30, float("inf"), float("nan")):
        x = clean.masked_fill(padding.unsqueeze(-1), filling).requires_grad_()
        values = encode(encoder, x, lengths)
        if values["outputs"][padding].any():
            raise Nonconforming(
                f"outputs that are not zero at padding, which holds {filling}",
                "zeros",
                "Fill them: outputs.masked_fill(~mask.unsqueeze(-1), 0.0).",
            )
        results.append((filling, with_gradients(values, {"inputs": x}, encoder)))
    for filling, found in results[1:]:
        expect_same_bits(
            found,
            results[0][1],
            f"when the padding holds {filling} instead of 0",
            "Zero the inputs at padding before the first product: 0 * NaN would reach the weights' gradients.",
        )


def check_mixed_precision(factory: EncoderFactory) -> None:
    """Under bfloat16 autocast outputs and features are the same within rounding, and the state keeps its dtypes."""
    encoder, lengths = build(factory, torch.float32), torch.tensor(LENGTHS)
    x = draw_inputs(LENGTHS, torch.float32)
    expected = encoder(x, lengths)
    with torch.autocast(x.device.type, torch.bfloat16), torch.no_grad():
        found = encoder(x, lengths)
        features = encoder.features(found.state)
    if outline(found.state) != outline(expected.state):
        raise Nonconforming(
            f"that the state is {outline(found.state)} under bfloat16 autocast",
            f"{outline(expected.state)}, as without it",
            "A state must keep its dtypes: bfloat16 would lose small increments.",
        )
    remedy = (
        "Take what bfloat16 cannot hold, such as sums over the source and positions, in float32 at least."
    )
    expect_same(
        {"outputs": found.outputs, "features": features},
        {"outputs": expected.outputs, "features": encoder.features(expected.state)},
        "in bfloat16 and in float32",
        remedy,
        TOLERANCES[torch.bfloat16],
        types=False,
    )


def check_features(factory: EncoderFactory) -> None:
    """Features depend on every element of the state, and selecting rows before or after them gives the same."""
    encoder = build(factory)
    encoded: Encoded = encoder(draw_inputs(LENGTHS), torch.tensor(LENGTHS))
    state = asking_gradients(encoded.state)
    features = encoder.features(state)
    asked = {name: leaf for name, leaf in name_leaves("state", state).items() if leaf.requires_grad}
    found = with_gradients({"features": features}, asked, encoder)
    for name in asked:
        if not found[f"gradient of {name}"].abs().gt(0).all():
            raise Nonconforming(
                f"that features does not depend on all of {name}",
                "a gradient for each of its elements: else a bridge loses it",
                "Put every leaf into features.",
            )
    index = torch.tensor([2, 0])
    chosen = encoder.features(select_state(state, index))
    remedy = "A row's features must depend on that row alone."
    expect_same({"features": chosen}, {"features": features[index]}, "after choosing rows", remedy)


def check_reads_all(factory: EncoderFactory) -> None:
    """At every position, the features and the output there depend on the token there."""
    encoder, length, draws = build(factory), 12, 4
    lengths = torch.tensor([length])
    x = draw_inputs((length,))
    plain = encode(encoder, x, lengths)
    for time in range(length):
        changed = x.repeat(draws, 1, 1)  # a maximum might ignore some of them
        changed[:, time] = 3.0 * torch.randn(draws, INPUT_SIZE, dtype=x.dtype)
        found = encode(encoder, changed, lengths.repeat(draws))
        for what, one, other in (
            ("the features do not", found["features"], plain["features"]),
            (f"the output at position {time} does not", found["outputs"][:, time], plain["outputs"][:, time]),
        ):
            if torch.allclose(one, other.expand_as(one), rtol=0.0, atol=TOLERANCES[torch.float64]):
                raise Nonconforming(
                    f"that {what} depend on the token at position {time} of {length}",
                    "that they depend on every token",
                    "Look for skipped positions, and for states taken at the wrong end.",
                )


def check_folded_tokens(factory: EncoderFactory) -> None:
    """If `fold_tokens` precomputes anything for the whole vocabulary, `forward_folded` with it equals `forward`."""
    tokens, lengths = torch.tensor([[7, 0, 4, 7], [2, 8, 8, 8], [5, 1, 6, 8]]), torch.tensor(LENGTHS)
    for each in (factory, *odd_cells(factory)):
        encoder = build(each)
        used = {name for name in ("fold_tokens", "forward_folded") if holds(encoder, name, "forward")}
        if not used:
            return
        if len(used) == 1:
            raise Nonconforming(
                f"only {used.pop()} beside forward",
                "fold_tokens and forward_folded, or neither",
                "Define both in the class that defines forward; without the other, search does not use the one.",
            )
        vocabulary = torch.randn(9, INPUT_SIZE, dtype=torch.float64)
        with torch.no_grad():
            folded = encoder.fold_tokens(vocabulary)
            if not leaves(folded):
                continue
            expect_batch_first("what fold_tokens returns", folded, len(vocabulary))
            encoded = encoder.forward_folded(tokens, lengths, folded)
            found = {"outputs": encoded.outputs, "features": encoder.features(encoded.state)}
            expected = encode(encoder, vocabulary[tokens], lengths)
        remedy = (
            "Let forward_folded do all that forward does behind the part of fold_tokens, also at padding."
        )
        expect_same(found, expected, "of folded tokens", remedy)


def check_keeps_nothing(factory: EncoderFactory) -> None:
    """The same sentences give the same bits, a run leaves nothing on the part, and its state_dict is complete."""
    lengths = torch.tensor(LENGTHS)
    expect_nothing_kept(
        lambda: build(factory),
        lambda encoder: draw_inputs(LENGTHS),
        lambda encoder, x: encode(encoder, x, lengths),
    )


def check_devices(factory: EncoderFactory) -> None:
    """On an accelerator, here an emulated one, it computes the same: no tensor stays behind on the CPU."""
    inputs = draw_inputs(LENGTHS), torch.tensor(LENGTHS)
    expect_same_on_accelerator(build(factory), inputs, lambda encoder, given: encode(encoder, *given))


def check_gradients(factory: EncoderFactory) -> None:
    """Gradients match finite differences; inputs and every parameter get one."""
    encoder, lengths = build(factory), torch.tensor([3, 1])
    x = draw_inputs((3, 1)).requires_grad_()

    def run(x: Tensor) -> tuple[Tensor, ...]:
        return tuple(encode(encoder, x, lengths).values())

    expect_true_gradients(run, (x,), "outputs and features")
    x = draw_inputs(LENGTHS).requires_grad_()
    expect_gradients(encode(encoder, x, torch.tensor(LENGTHS)), {"inputs": x}, encoder)


def check_odd_cells(factory: EncoderFactory) -> None:
    """With the option `cell`: cells with unusual states and widths meet the checks of shapes, batches and features."""
    for cell in odd_cells(factory):
        check_shapes(cell)
        compare_with_alone(cell, LENGTHS)
        check_features(cell)


def check_every_partner(factory: EncoderFactory) -> None:
    """With every registered decoder and bridge, and every cell if it takes one: teacher forcing equals stepping."""
    cells = ("cell",) if models.takes(factory, "cell") else ()
    models.expect_exact_beside("encoder", factory, ("decoder", "bridge", *cells))


def check_learning(factory: EncoderFactory) -> None:
    """A small model with it learns to copy short sequences in a few seconds."""
    models.expect_to_learn(models.learning_model(encoder=factory), "a model with the encoder")


def build(factory: EncoderFactory, dtype: torch.dtype = torch.float64) -> SequenceEncoder:
    """A small encoder in evaluation mode."""
    encoder: SequenceEncoder = models.with_options(factory, hidden_size=HIDDEN_SIZE)(INPUT_SIZE)
    return unsettle(encoder.to(dtype)).eval()


def odd_cells(factory: EncoderFactory) -> Iterator[EncoderFactory]:
    """The encoder with each odd cell; nothing if it has no option `cell`."""
    if models.takes(factory, "cell"):
        yield from (functools.partial(factory, cell=cell) for cell in (OddCell, SlotCell))  # type: ignore[call-arg]


def draw_inputs(lengths: Sequence[int], dtype: torch.dtype = torch.float64) -> Tensor:
    """Random inputs [batch, source, input], also at padding."""
    return torch.randn(len(lengths), max(lengths), INPUT_SIZE, dtype=dtype)


def encode(encoder: SequenceEncoder, x: Tensor, lengths: Tensor) -> dict[str, Tensor]:
    """Outputs and features."""
    encoded: Encoded = encoder(x, lengths)
    return {"outputs": encoded.outputs, "features": encoder.features(encoded.state)}


def compare_with_alone(
    factory: EncoderFactory, lengths: Sequence[int], dtype: torch.dtype = torch.float64
) -> None:
    """Check that values and gradients of a batch, whose padding is NaN, equal those of each sentence alone."""
    encoder, real = build(factory, dtype), torch.tensor(lengths)
    x = draw_inputs(lengths, dtype)
    x[~length_mask(real, max(lengths))] = float("nan")
    x.requires_grad_()
    for mode in modes(encoder, lambda: encode(encoder, x, real)):
        whole, rows = encode(encoder, x, real), []
        for row, length in enumerate(lengths):
            one = encode(encoder, x[row : row + 1, :length], real[row : row + 1])
            missing = (0, 0, 0, max(lengths) - length)
            rows.append(one | {"outputs": torch.nn.functional.pad(one["outputs"], missing)})
        alone = {name: torch.cat([row[name] for row in rows]) for name in whole}
        remedy = "No row may see another, and no position may see padding: no mean or normalization over the batch."
        inputs: dict[str, Any] = {"inputs": x}
        expect_same(
            with_gradients(whole, inputs, encoder),
            with_gradients(alone, inputs, encoder),
            f"of sentences of lengths {tuple(lengths)} in a batch and alone ({dtype}, {mode})",
            remedy,
            TOLERANCES[dtype],
        )
        order = torch.arange(len(lengths)).flip(0)
        shuffled = encode(encoder, x[order], real[order])
        expected = {name: value[order] for name, value in whole.items()}
        expect_same(shuffled, expected, f"in another order of the batch ({mode})", remedy, TOLERANCES[dtype])


def check_export(factory: EncoderFactory) -> None:
    """It can be exported, for any number of sentences of any lengths, and gives the same numbers."""
    encoder = build(factory, torch.float32)
    if not ONNX_IS_HERE:  # torch.export alone cannot export a loop over time
        return

    def draw(lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
        return draw_inputs(lengths, torch.float32), torch.tensor(lengths)

    axes: list[dict[int, str]] = [{0: "rows", 1: "source"}, {0: "rows"}]
    expect_in_onnx(_Encoding(encoder), draw((5, 2, 3)), draw((4, 7, 1, 6)), axes)


class _Encoding(nn.Module):
    """An encoder as a function of tensors alone: outputs and features."""

    def __init__(self, encoder: SequenceEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        encoded = self.encoder(x, lengths)
        return encoded.outputs, self.encoder.features(encoded.state)


ENCODER_CHECKS = tuple(
    Check("encoder", run)
    for run in (
        check_constructor,
        check_shapes,
        check_batch_mates,
        check_short_and_full_rows,
        check_padding,
        check_mixed_precision,
        check_features,
        check_reads_all,
        check_folded_tokens,
        check_keeps_nothing,
        check_devices,
        check_gradients,
        check_odd_cells,
        check_every_partner,
        check_export,
        check_learning,
    )
)
