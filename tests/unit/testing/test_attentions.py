"""The kit of attentions against attentions that are wrong, each in one way: the right check must say so."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from s2s.nn import Attended, ScoredAttention, ScoredMemory
from s2s.testing import KITS, check_attention, models


@pytest.fixture(autouse=True)
def little_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough for the sound one, too."""
    monkeypatch.setattr(models, "STEPS", 75)


class Sound(ScoredAttention):
    """A sound attention with a bilinear score; each wrong one differs in one place."""

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        self.key_layer = nn.Linear(memory_size, query_size)

    def keys(self, outputs: Tensor) -> Tensor:
        keys: Tensor = self.key_layer(outputs)
        return keys

    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        return query @ keys.transpose(1, 2)


class SoundWithHistory(Sound):
    """What each position got so far adds to its score; asked step by step."""

    sequential = True

    def initial_state(self, memory: ScoredMemory) -> Any:
        return (memory.values.new_zeros(memory.mask.shape, dtype=self.key_layer.weight.dtype),)

    def attend(self, query: Tensor, memory: ScoredMemory, state: Any) -> Attended:
        (got,) = state
        memory = memory._replace(keys=memory.keys - got.unsqueeze(-1))
        context, weights, _ = super().attend(query, memory, ())
        return Attended(context, weights, (got + weights.to(got.dtype),))

    def map_values(self, memory: Any, linear: Callable[[Tensor], Tensor]) -> Any | None:
        return memory._replace(values=linear(memory.values))


class Undocumented(Sound):
    """An option that nobody explains."""

    def __init__(self, query_size: int, memory_size: int, *, scale: float = 1.0) -> None:
        super().__init__(query_size, memory_size)


class ContextIsNarrower(Sound):
    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        self.context_size = memory_size + 1


class WeightsLoseAPosition(Sound):
    def attend(self, query: Tensor, memory: Any, state: Any) -> Attended:
        context, weights, state = super().attend(query, memory, state)
        return Attended(context, weights[..., 1:], state)


class MemoryHoldsANumber(Sound):
    def memorize(self, outputs: Tensor, mask: Tensor) -> Any:
        return (super().memorize(outputs, mask), outputs.size(1))


class MemoryHasNoRows(Sound):
    def memorize(self, outputs: Tensor, mask: Tensor) -> Any:
        return (super().memorize(outputs, mask), self.key_layer.weight)


class StateGrows(Sound):
    def attend(self, query: Tensor, memory: Any, state: Any) -> Attended:
        context, weights, state = super().attend(query, memory, state)
        return Attended(context, weights, (*state, weights))


class AttendsToPadding(Sound):
    def masked_scores(self, queries: Tensor, memory: ScoredMemory) -> Tensor:
        return self.score(queries, memory.keys)


class WeightsAreShares(Sound):
    def normalize(self, scores: Tensor) -> Tensor:
        return scores.sigmoid()


class WeightsBelowZero(Sound):
    def normalize(self, scores: Tensor) -> Tensor:
        weights = super().normalize(scores)
        return torch.where(weights > 0, 2 * weights - 1 / (scores > -torch.inf).sum(-1, keepdim=True), 0.0)


class SequentialForNothing(Sound):
    sequential = True


class HistoryIsNotTold(SoundWithHistory):
    sequential = False

    def attend(self, query: Tensor, memory: ScoredMemory, state: Any) -> Attended:
        if query.dim() == 2:
            return super().attend(query, memory, state)
        context, weights, _ = Sound.attend(self, query, memory, ())
        return Attended(context, weights, state)


class TimesMix(Sound):
    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        return super().score(query - query.mean(1, keepdim=True) if query.size(1) > 1 else query, keys)


class NarrowsTheState(SoundWithHistory):
    def attend(self, query: Tensor, memory: ScoredMemory, state: Any) -> Attended:
        context, weights, state = super().attend(query, memory, state)
        narrow = torch.is_autocast_enabled("cpu")
        return Attended(context, weights, tuple(leaf.bfloat16() if narrow else leaf for leaf in state))


class LosesBits(Sound):
    """A large constant drowns the scores where the product has only eight bits."""

    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        return super().score(query, keys) + 1000.0


class MeanOverTheBatch(Sound):
    def keys(self, outputs: Tensor) -> Tensor:
        return super().keys(outputs - outputs.mean(0))


class MeanWhileItLearns(Sound):
    def keys(self, outputs: Tensor) -> Tensor:
        return super().keys(outputs - self.training * outputs.mean(0))


class CountsPadding(Sound):
    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        return super().score(query, keys) * keys.size(1)


class RowsByPlace(Sound):
    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        place = torch.arange(len(keys), dtype=keys.dtype).view(-1, 1, 1)
        return super().score(query, keys * (1 + place))


class MapsMoreThanValues(Sound):
    def attend(self, query: Tensor, memory: Any, state: Any) -> Attended:
        context, weights, state = super().attend(query, memory, state)
        return Attended(context + 1.0, weights, state)

    def map_values(self, memory: Any, linear: Callable[[Tensor], Tensor]) -> Any | None:
        return memory._replace(values=linear(memory.values))


class Draws(Sound):
    def keys(self, outputs: Tensor) -> Tensor:
        return super().keys(outputs + torch.rand_like(outputs))


class LosesBitsOfTheQuery(Sound):
    """Only where the query has no more than eight."""

    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        return super().score(query + 1000 - 1000, keys)


class KeepsTheLast(Sound):
    def keys(self, outputs: Tensor) -> Tensor:
        keys = super().keys(outputs)
        self.kept = keys.detach()
        return keys


class WritesOverTheLast(KeepsTheLast):
    kept: Tensor | None

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        self.kept = None


class HoldsItsQueryUntilTheEnd(Sound):
    """Nothing is left, but other threads write it meanwhile."""

    held: Tensor

    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        self.held = query
        scores = super().score(torch.tanh(query), keys) + super().score(self.held, keys)
        self.__dict__.pop("held", None)
        return scores


class WeightIsNoParameter(Sound):
    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        self.scale = float(torch.rand(()))

    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        return super().score(query, keys) * self.scale


class CountsOnTheCPU(Sound):
    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        return super().score(query, keys) * torch.arange(keys.size(1))


class StopsGradients(Sound):
    def keys(self, outputs: Tensor) -> Tensor:
        return super().keys(outputs.detach())


class ParameterWithoutAPart(Sound):
    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        self.idle = nn.Parameter(torch.zeros(3))


class BranchesOnAValue(Sound):
    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        return super().score(query if query.sum() > 0 else 2 * query, keys)


class SaysNothing(Sound):
    def attend(self, query: Tensor, memory: Any, state: Any) -> Attended:
        context, weights, state = super().attend(query, memory, state)
        return Attended(0 * context, weights, state)


class AlwaysInFloat32(Sound):
    def normalize(self, scores: Tensor) -> Tensor:
        return super().normalize(scores.float())


WRONG: list[tuple[type[Sound], str, str]] = [
    (Undocumented, "constructor", "does not tell of 'scale'; expected a line in its Args section"),
    (
        ContextIsNarrower,
        "shapes",
        r"context for a query of .* of shape \(3, 6\); expected \(3, 7\)\. pass con",
    ),
    (WeightsLoseAPosition, "shapes", r"weights for a query of .* of shape \(3, 4\); expected \(3, 5\)"),
    (MemoryHoldsANumber, "shapes", "the memory holds a int; expected tensors in tuples"),
    (MemoryHasNoRows, "shapes", r"the memory has a leaf of shape \(4, 6\); expected the batch \(3\) first"),
    (StateGrows, "shapes", "attend returns a state of the form .*; expected .*as initial_state gives"),
    (AttendsToPadding, "weights", "weights up to .* at padding; expected zero. Fill the scores"),
    (WeightsAreShares, "weights", "the sum of weights.*; expected 1 .*Normalize the weights"),
    (
        AlwaysInFloat32,
        "weights",
        r"the sum of weights, in float32: 1, off by \d.*e-0[78], at .*; expected 1 .*in float32 at least, not always",
    ),
    (WeightsBelowZero, "weights", "a weight of -.*; expected none below zero"),
    (SequentialForNothing, "sequential", "sequential is True, but no answer .*; expected sequential = False"),
    (HistoryIsNotTold, "at_once_equals_steps", "at once and one by one .*Set sequential = True"),
    (TimesMix, "at_once_equals_steps", "at once and one by one .*fix the axis of time"),
    (NarrowsTheState, "mixed_precision", "state leaf 0 is torch.bfloat16 .*; expected torch.float32"),
    (LosesBits, "mixed_precision", "under bfloat16 autocast.*Take what bfloat16 cannot hold"),
    (MeanOverTheBatch, "batch_mates", "in a batch and alone.*let no row see another"),
    (CountsPadding, "batch_mates", "in a batch and alone"),
    (MeanWhileItLearns, "batch_mates", "in a batch and alone .in training"),
    (RowsByPlace, "batch_mates", "of a sentence in a batch and alone"),
    (RowsByPlace, "select_state", "context after choosing rows.*Every leaf must be"),
    (TimesMix, "beams", r"of beams that share a memory.*Let attend take \[batch, time, hidden\]"),
    (MapsMoreThanValues, "map_values", "context with mapped values.*Return None from map_values unless"),
    (
        LosesBitsOfTheQuery,
        "mixed_precision",
        "with queries and outputs in torch.bfloat16.*in float32 at least",
    ),
    (Draws, "keeps_nothing", "changes when the same is asked again; expected the same bits. Draw nothing"),
    (KeepsTheLast, "keeps_nothing", r"left \['\.kept'\] on the part; expected no change"),
    (
        WritesOverTheLast,
        "keeps_nothing",
        r"changed \['\.kept'\] and left \[\] on the part; expected no change",
    ),
    (HoldsItsQueryUntilTheEnd, "keeps_nothing", "beside other threads.*not even until its end"),
    (WeightIsNoParameter, "keeps_nothing", "in a copy with the same state_dict.*a Parameter"),
    (
        CountsOnTheCPU,
        "devices",
        r"DeviceMismatch: mul of tensors .* one on the CPU, of shape \(\d+,\) and torch.int64.*x.new_zeros",
    ),
    (StopsGradients, "gradients", "gradients of attend that are wrong.*; expected those of finite"),
    (
        AlwaysInFloat32,
        "gradients",
        r"gradients of attend, in float32, that are wrong: [^\n]*analytical:\S+; expected .* float32 at least, not",
    ),
    (ParameterWithoutAPart, "gradients", "the gradient of parameter idle is zero everywhere; expected that"),
    (MeanOverTheBatch, "every_partner", "(log-probabilities|beam search|score) .*beside the plainest"),
    (BranchesOnAValue, "export", "torch.onnx refuses it.*; expected a graph.*branches on values"),
    (SaysNothing, "learning", r"a model with the attention copied \d+% of .*; expected at least"),
]


@pytest.mark.parametrize("attention", [Sound, SoundWithHistory])
def test_a_sound_attention_passes(attention: type[Sound]) -> None:
    check_attention(attention)


@pytest.mark.parametrize(
    ("attention", "check", "message"), WRONG, ids=lambda value: getattr(value, "__name__", None)
)
def test_a_wrong_attention_fails(attention: type[Sound], check: str, message: str) -> None:
    (run,) = (one for one in KITS["attention"] if one.name == check)
    with pytest.raises(AssertionError, match=f"(?s){message}"):
        run(attention)


def test_every_check_has_an_attention_that_it_catches() -> None:
    assert {check for _, check, _ in WRONG} == {check.name for check in KITS["attention"]}
