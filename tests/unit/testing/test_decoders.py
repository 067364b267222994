"""The kit of decoders against decoders that are wrong, each in one way: the right check must say so."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from s2s.nn import (
    Attention,
    Decoded,
    Decoder,
    Encoded,
    NextInput,
    RecurrentCell,
    SequenceDropout,
    State,
    advance,
    attend_rows,
    length_mask,
    map_state,
    unroll,
)
from s2s.testing import KITS, check_decoder, models
from s2s_plugins.attention.luong import LuongGeneral
from s2s_plugins.cells.gru import GRU


@pytest.fixture(autouse=True)
def little_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough for the sound one, too."""
    monkeypatch.setattr(models, "STEPS", 75)


class Moving(NamedTuple):
    """The state."""

    cell: State
    attention: State
    noise: Any
    mask: Tensor | None


class Folded(NamedTuple):
    """A memory whose answers are what `context_layer` makes of the context."""

    memory: Any


class Sound(Decoder):
    """A sound decoder without feedback, with all ways of its own; each wrong one differs in one place.

    Args:
        cell: reads the tokens.
        attention: asked with its output; None: the cell alone speaks.
        hidden_size: of the cell and of what is decoded.
        dropout: on what is decoded.
        variational: one mask per sentence.
    """

    def __init__(
        self,
        input_size: int,
        memory_size: int,
        *,
        cell: Callable[[int, int], RecurrentCell] = GRU,
        attention: Callable[[int, int], Attention] | None = LuongGeneral,
        hidden_size: int = 8,
        dropout: float = 0.0,
        variational: bool = False,
    ) -> None:
        reads = cell(input_size, hidden_size)
        attends = None if attention is None else attention(reads.output_size, memory_size)
        super().__init__(
            input_size,
            memory_size,
            hidden_size=hidden_size,
            context_size=0 if attends is None else attends.context_size,
            feature_size=reads.feature_size,
        )
        self.cell = reads
        self.attention = attends
        self.output_layer = nn.Linear(reads.output_size, hidden_size)
        if attends is not None:
            self.context_layer = nn.Linear(attends.context_size, hidden_size, bias=False)
        self.dropout = SequenceDropout(dropout, variational=variational)

    def source_mask(self, encoded: Encoded) -> Tensor:
        return length_mask(encoded.lengths, encoded.outputs.size(1))

    def start(self, encoded: Encoded, features: Tensor) -> tuple[Any, Any]:
        memory, asked = None, ()
        if self.attention is not None:
            memory = self.attention.memorize(encoded.outputs, self.source_mask(encoded))
            asked = self.attention.initial_state(memory)
        rows = features.size(0)
        noise = self.cell.noise(rows, like=features)
        mask = self.dropout.draw(rows, self.hidden_size, like=features)
        return memory, Moving(self.cell.state_from(features), asked, noise, mask)

    def ask(self, query: Tensor, memory: Any, state: State) -> Any:
        assert self.attention is not None
        if query.dim() == 2:
            return attend_rows(self.attention, query, memory, state)
        return self.attention.attend(query, memory, state)

    def say(self, output: Tensor, inputs: Tensor, memory: Any, state: Moving) -> tuple[Decoded, State]:
        hidden = self.output_layer(output)
        if self.attention is None:
            return Decoded(self.dropout(torch.tanh(hidden), state.mask), None, None, inputs), ()
        folded = isinstance(memory, Folded)
        context, weights, asked = self.ask(output, memory.memory if folded else memory, state.attention)
        hidden = torch.tanh(hidden + (context if folded else self.context_layer(context)))
        hidden = self.dropout(hidden, state.mask)
        return Decoded(hidden, None if folded else context, weights, inputs), asked

    def fold_tokens(self, vectors: Tensor) -> Tensor:
        return self.cell.project(vectors)

    def fold_memory(self, memory: Any) -> Any:
        if self.attention is None:
            return memory
        folded = self.attention.map_values(memory, self.context_layer)
        return memory if folded is None else Folded(folded)

    def step(self, input: Tensor, memory: Any, state: Any) -> tuple[Decoded, Any]:
        return self.step_folded(self.fold_tokens(input), input, memory, state)

    def step_folded(self, folded: Tensor, input: Tensor, memory: Any, state: Any) -> tuple[Decoded, Any]:
        output, cell = advance(self.cell, folded, state.cell, state.noise)
        decoded, asked = self.say(output, input, memory, state)
        return decoded, state._replace(cell=cell, attention=asked)

    def forward(
        self,
        inputs: Tensor,
        lengths: Tensor,
        memory: Any,
        state: Any,
        *,
        next_input: NextInput | None = None,
    ) -> tuple[Decoded, Any]:
        if next_input is not None or (self.attention is not None and self.attention.sequential):
            return self.forward_stepwise(inputs, lengths, memory, state, next_input=next_input)
        inputs = inputs.masked_fill(~length_mask(lengths, inputs.size(1)).unsqueeze(-1), 0.0)
        outputs, cell = unroll(self.cell, inputs, lengths, state.cell, noise=state.noise)
        decoded, asked = self.say(outputs, inputs, memory, state)
        return decoded, state._replace(cell=cell, attention=asked)


class Undocumented(Sound):
    """Options that nobody explains."""


class HiddenIsWider(Sound):
    def say(self, output: Tensor, inputs: Tensor, memory: Any, state: Moving) -> tuple[Decoded, State]:
        decoded, asked = super().say(output, inputs, memory, state)
        return decoded._replace(hidden=torch.cat([decoded.hidden, decoded.hidden], dim=-1)), asked


class ContextIsNotTold(Sound):
    def start(self, encoded: Encoded, features: Tensor) -> tuple[Any, Any]:
        self.context_size = 0
        return super().start(encoded, features)


class StateGrows(Sound):
    def step_folded(self, folded: Tensor, input: Tensor, memory: Any, state: Any) -> tuple[Decoded, Any]:
        decoded, following = super().step_folded(folded, input, memory, state)
        return decoded, following._replace(mask=decoded.hidden)


class MemoryHoldsANumber(Sound):
    def start(self, encoded: Encoded, features: Tensor) -> tuple[Any, Any]:
        memory, state = super().start(encoded, features)
        return (memory, encoded.outputs.size(1)), state


class InputsAreOthers(Sound):
    def say(self, output: Tensor, inputs: Tensor, memory: Any, state: Moving) -> tuple[Decoded, State]:
        return super().say(output, 2 * inputs, memory, state)


class AttendsToPadding(Sound):
    def source_mask(self, encoded: Encoded) -> Tensor:
        return torch.ones_like(super().source_mask(encoded))


class WeightsAreDoubled(Sound):
    def say(self, output: Tensor, inputs: Tensor, memory: Any, state: Moving) -> tuple[Decoded, State]:
        decoded, asked = super().say(output, inputs, memory, state)
        return decoded._replace(weights=None if decoded.weights is None else 2 * decoded.weights), asked


class Fast(Sound):
    """What `forward` alone does wrongly."""

    def forward(
        self,
        inputs: Tensor,
        lengths: Tensor,
        memory: Any,
        state: Any,
        *,
        next_input: NextInput | None = None,
    ) -> tuple[Decoded, Any]:
        if next_input is not None:
            return super().forward(inputs, lengths, memory, state, next_input=next_input)
        decoded, last = super().forward(inputs, lengths, memory, self.before(state))
        return self.after(decoded), last

    def before(self, state: Any) -> Any:
        return state

    def after(self, decoded: Decoded) -> Decoded:
        return decoded


class ForwardIsOff(Fast):
    def after(self, decoded: Decoded) -> Decoded:
        return decoded._replace(hidden=decoded.hidden * (1 + 1e-4))


class ForwardStopsGradients(Fast):
    def before(self, state: Any) -> Any:
        return map_state(torch.detach, state)


class ForwardRunsOn(Sound):
    """The state goes on through padding."""

    def forward(
        self,
        inputs: Tensor,
        lengths: Tensor,
        memory: Any,
        state: Any,
        *,
        next_input: NextInput | None = None,
    ) -> tuple[Decoded, Any]:
        inputs = inputs.masked_fill(~length_mask(lengths, inputs.size(1)).unsqueeze(-1), 0.0)
        whole = torch.full_like(lengths, inputs.size(1))
        return self.forward_stepwise(inputs, whole, memory, state, next_input=next_input)


class NarrowsTheState(Sound):
    def step_folded(self, folded: Tensor, input: Tensor, memory: Any, state: Any) -> tuple[Decoded, Any]:
        decoded, following = super().step_folded(folded, input, memory, state)
        narrow = torch.is_autocast_enabled("cpu")
        cell = map_state(lambda leaf: leaf.bfloat16() if narrow else leaf, following.cell)
        return decoded, following._replace(cell=cell)


class StartsNarrow(Sound):
    def start(self, encoded: Encoded, features: Tensor) -> tuple[Any, Any]:
        narrow = torch.is_autocast_enabled("cpu")
        return super().start(encoded, features.bfloat16() if narrow else features)


class ForwardLosesBits(Fast):
    def after(self, decoded: Decoded) -> Decoded:
        narrow = decoded.hidden.bfloat16() if torch.is_autocast_enabled("cpu") else decoded.hidden
        return decoded._replace(hidden=narrow + 1000.0 - 1000.0)


class InputsKeepTheirPadding(Sound):
    def forward(
        self,
        inputs: Tensor,
        lengths: Tensor,
        memory: Any,
        state: Any,
        *,
        next_input: NextInput | None = None,
    ) -> tuple[Decoded, Any]:
        decoded, last = super().forward(inputs, lengths, memory, state, next_input=next_input)
        return decoded._replace(inputs=inputs), last


class MasksTooLate(Sound):
    """The values are right; but in the gradient of the layer zero meets NaN."""

    def __init__(self, input_size: int, memory_size: int) -> None:
        super().__init__(input_size, memory_size)
        self.layer = nn.Linear(input_size, input_size)

    def forward(
        self,
        inputs: Tensor,
        lengths: Tensor,
        memory: Any,
        state: Any,
        *,
        next_input: NextInput | None = None,
    ) -> tuple[Decoded, Any]:
        return super().forward(self.layer(inputs), lengths, memory, state, next_input=next_input)


class CountsSourcePadding(Sound):
    def start(self, encoded: Encoded, features: Tensor) -> tuple[Any, Any]:
        return super().start(encoded, features / encoded.outputs.size(1))


class BeamsLoseTheirSentence(Sound):
    def ask(self, query: Tensor, memory: Any, state: State) -> Any:
        assert self.attention is not None
        if query.dim() == 2:
            beams = query.size(0) // memory[0].size(0)
            memory = map_state(lambda leaf: leaf.repeat(beams, *[1] * (leaf.dim() - 1)), memory)
        return self.attention.attend(query, memory, state)


class RowsByPlace(Sound):
    def say(self, output: Tensor, inputs: Tensor, memory: Any, state: Moving) -> tuple[Decoded, State]:
        place = torch.arange(len(output), dtype=output.dtype).view(-1, *[1] * (output.dim() - 1))
        return super().say(output + place, inputs, memory, state)


class IgnoresNextInput(Sound):
    def forward(
        self,
        inputs: Tensor,
        lengths: Tensor,
        memory: Any,
        state: Any,
        *,
        next_input: NextInput | None = None,
    ) -> tuple[Decoded, Any]:
        return super().forward(inputs, lengths, memory, state)


class ReadsBothInputs(Sound):
    """It asks, but reads the mean of the answer and of the token."""

    def forward(
        self,
        inputs: Tensor,
        lengths: Tensor,
        memory: Any,
        state: Any,
        *,
        next_input: NextInput | None = None,
    ) -> tuple[Decoded, Any]:
        def mean(decoded: Decoded, time: int) -> Tensor:
            assert next_input is not None
            return (next_input(decoded, time) + inputs[:, time]) / 2

        own = None if next_input is None else mean
        return super().forward(inputs, lengths, memory, state, next_input=own)


class FoldsOtherTokens(Sound):
    def fold_tokens(self, vectors: Tensor) -> Tensor:
        return super().fold_tokens(2 * vectors)

    def step(self, input: Tensor, memory: Any, state: Any) -> tuple[Decoded, Any]:
        return self.step_folded(super().fold_tokens(input), input, memory, state)

    def step_folded(self, folded: Tensor, input: Tensor, memory: Any, state: Any) -> tuple[Decoded, Any]:
        return super().step_folded(folded, input, memory, state)


class FoldsOtherMemory(Sound):
    def fold_memory(self, memory: Any) -> Any:
        if self.attention is None:
            return memory
        folded = self.attention.map_values(memory, lambda values: 2 * self.context_layer(values))
        return memory if folded is None else Folded(folded)


class DrawsAtEachStep(Sound):
    def say(self, output: Tensor, inputs: Tensor, memory: Any, state: Moving) -> tuple[Decoded, State]:
        kept = torch.rand_like(output) if self.training else 1.0
        return super().say(output * kept, inputs, memory, state)


class DropsNothing(Sound):
    def say(self, output: Tensor, inputs: Tensor, memory: Any, state: Moving) -> tuple[Decoded, State]:
        decoded, asked = super().say(output, inputs, memory, state._replace(mask=torch.ones(1)))
        return decoded, asked


class Draws(Sound):
    def start(self, encoded: Encoded, features: Tensor) -> tuple[Any, Any]:
        return super().start(encoded, features + torch.rand_like(features))


class KeepsTheLast(Sound):
    def start(self, encoded: Encoded, features: Tensor) -> tuple[Any, Any]:
        self.kept = encoded
        return super().start(encoded, features)


class WeightIsNoParameter(Sound):
    def __init__(self, input_size: int, memory_size: int) -> None:
        super().__init__(input_size, memory_size)
        self.scale = float(torch.rand(()))

    def start(self, encoded: Encoded, features: Tensor) -> tuple[Any, Any]:
        return super().start(encoded, features * self.scale)


class KeepsAConstant(Sound):
    def __init__(self, input_size: int, memory_size: int) -> None:
        super().__init__(input_size, memory_size)
        self.weights = torch.linspace(1, 2, self.feature_size)

    def start(self, encoded: Encoded, features: Tensor) -> tuple[Any, Any]:
        return super().start(encoded, features * self.weights.to(features.dtype))


class StopsGradients(Sound):
    def start(self, encoded: Encoded, features: Tensor) -> tuple[Any, Any]:
        return super().start(encoded._replace(outputs=encoded.outputs.detach()), features)


class LosesAFeature(Sound):
    def start(self, encoded: Encoded, features: Tensor) -> tuple[Any, Any]:
        return super().start(encoded, torch.cat([features[:, :-1], torch.zeros_like(features[:, :1])], dim=1))


class ParameterWithoutAPart(Sound):
    def __init__(self, input_size: int, memory_size: int) -> None:
        super().__init__(input_size, memory_size)
        self.idle = nn.Parameter(torch.zeros(3))


class MeanOverTheBatch(Sound):
    def start(self, encoded: Encoded, features: Tensor) -> tuple[Any, Any]:
        return super().start(encoded, features - features.mean(0))


class MeanWhileItLearns(Sound):
    def start(self, encoded: Encoded, features: Tensor) -> tuple[Any, Any]:
        return super().start(encoded, features - self.training * features.mean(0))


class BranchesOnAValue(Sound):
    def fold_tokens(self, vectors: Tensor) -> Tensor:
        return super().fold_tokens(vectors if vectors.sum() > 0 else 2 * vectors)


class SaysNothing(Sound):
    def say(self, output: Tensor, inputs: Tensor, memory: Any, state: Moving) -> tuple[Decoded, State]:
        decoded, asked = super().say(output, inputs, memory, state)
        return decoded._replace(hidden=0 * decoded.hidden), asked


WRONG: list[tuple[type[Sound], str, str]] = [
    (Undocumented, "constructor", "does not tell of 'cell'; expected a line in its Args section"),
    (
        HiddenIsWider,
        "shapes",
        r"hidden \(as it comes\) of shape \(3, 5, 8\); expected \(3, 5, 4\)\. pass it to",
    ),
    (ContextIsNotTold, "shapes", "context is there with context_size 0 .*; expected None if, and only if"),
    (StateGrows, "shapes", "step returns a state of the form .*; expected .*, as start gives. Return the"),
    (MemoryHoldsANumber, "shapes", r"the memory \(as it comes\) holds a int; expected tensors in tuples"),
    (InputsAreOthers, "shapes", "Decoded.inputs .*Return the inputs that were read"),
    (
        AttendsToPadding,
        "weights",
        "weights up to .* at the source's padding .*; expected zero. Give attention",
    ),
    (
        WeightsAreDoubled,
        "weights",
        "the sum of weights .*; expected 1 .*Return attention's weights as they are",
    ),
    (
        ForwardIsOff,
        "forward_equals_steps",
        "hidden at once and of each sentence alone, step by step .*float64",
    ),
    (
        ForwardStopsGradients,
        "forward_equals_steps",
        "gradient of features at once and of each sentence alone",
    ),
    (ForwardRunsOn, "forward_equals_steps", "last state leaf 0 at once .*keep the state at padding"),
    (MeanOverTheBatch, "forward_equals_steps", "hidden at once and of each sentence alone"),
    (NarrowsTheState, "mixed_precision", "a state .*bfloat16.*; expected .*as it began. Keep the dtypes"),
    (StartsNarrow, "mixed_precision", "a first state .*bfloat16.*; expected leaves of float32"),
    (
        ForwardLosesBits,
        "mixed_precision",
        "hidden at once and step by step .*bfloat16 autocast.*computed outside",
    ),
    (
        InputsKeepTheirPadding,
        "padding",
        "inputs is not finite where the padding holds inf .*; expected finite",
    ),
    (MasksTooLate, "padding", "gradient of .* changes when the padding holds inf .*0 \\* NaN would reach"),
    (
        CountsSourcePadding,
        "source_padding",
        "hidden of a source in a batch and alone.*divide by encoded.lengths",
    ),
    (MeanWhileItLearns, "source_padding", "hidden of a source in a batch and alone .*in training"),
    (
        BeamsLoseTheirSentence,
        "beams",
        "hidden of beams that share a memory.*Call attention by s2s.nn.attend_rows",
    ),
    (RowsByPlace, "select_state", "hidden after choosing rows.*a row's step must depend on that row alone"),
    (
        IgnoresNextInput,
        "next_input",
        r"next_input was called at positions \[\] of 4 .*; expected \[1, 2, 3\]",
    ),
    (ReadsBothInputs, "next_input", "hidden with inputs made of what was decoded.*Call next_input"),
    (FoldsOtherTokens, "folded_tokens", r"hidden of a folded token.*Let step be step_folded\(fold_tokens"),
    (
        FoldsOtherMemory,
        "folded_memory",
        "hidden with a folded memory.*what the decoder does to every context",
    ),
    (DrawsAtEachStep, "noise", "hidden at once and of each sentence alone, step by step .*training"),
    (DropsNothing, "noise", "two runs in training with dropout 0.5 are equal .*; expected new masks"),
    (Draws, "keeps_nothing", "changes when the same is asked again; expected the same bits. Draw nothing"),
    (KeepsTheLast, "keeps_nothing", r"left \['\.kept'\] on the part; expected no change"),
    (WeightIsNoParameter, "keeps_nothing", "in a copy with the same state_dict.*a Parameter"),
    (
        KeepsAConstant,
        "devices",
        r"DeviceMismatch: mul of tensors .* one on the CPU, of shape .*a Parameter or a buffer",
    ),
    (StopsGradients, "gradients", "gradients of step .* that are wrong.*; expected those of finite"),
    (LosesAFeature, "gradients", "nothing depends on feature 3 of 4 .*; expected that every part"),
    (ParameterWithoutAPart, "gradients", "the gradient of parameter idle is zero everywhere; expected that"),
    (MeanOverTheBatch, "every_partner", "(log-probabilities|beam search|score) .*beside the plainest"),
    (BranchesOnAValue, "export", "torch.onnx refuses it.*; expected a graph.*branches on values"),
    (SaysNothing, "learning", r"a model with the decoder copied \d+% of .*; expected at least"),
]


def test_a_sound_decoder_passes() -> None:
    check_decoder(Sound)


@pytest.mark.parametrize(
    ("decoder", "check", "message"), WRONG, ids=lambda value: getattr(value, "__name__", None)
)
def test_a_wrong_decoder_fails(decoder: type[Sound], check: str, message: str) -> None:
    (run,) = (one for one in KITS["decoder"] if one.name == check)
    with pytest.raises(AssertionError, match=f"(?s){message}"):
        run(decoder)


def test_every_check_has_a_decoder_that_it_catches() -> None:
    assert {check for _, check, _ in WRONG} == {check.name for check in KITS["decoder"]}
