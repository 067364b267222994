"""The kit of cells against cells that are wrong, each in one way: the right check must say so."""

import functools
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s.errors import ConfigError
from s2s.nn import RecurrentCell, run_steps
from s2s.testing import KITS, FailedChecks, check_cell, examine
from s2s.testing.odd_cells import CountingCell, RotatingCell


class Sound(RecurrentCell):
    """A sound cell with a projection, two leaves and a fused way; each wrong one differs in one place."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, projected_size=hidden_size)
        self.recurrent_weight = nn.Parameter(torch.randn(hidden_size, hidden_size) / hidden_size**0.5)
        assert self.input_bias is not None
        nn.init.normal_(self.input_bias, std=0.1)

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.hidden_size, self.hidden_size)

    def step(self, x: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, Any]:
        hidden, trace = state
        recurrent = hidden if noise is None else hidden * noise[0]
        hidden = torch.tanh(x + F.linear(recurrent, self.recurrent_weight) + 0.1 * torch.tanh(trace))
        return hidden, (hidden, 0.5 * trace + hidden)

    def fused(self, x: Tensor, mask: Tensor, state: Any, noise: Any) -> tuple[Tensor, Any] | None:
        return run_steps(self, x, mask, state, noise)

    def noise(self, batch_size: int, *, like: Tensor) -> Any:
        if not self.training:
            return None
        return (like.new_empty(batch_size, self.hidden_size).bernoulli_(0.9) / 0.9,)


class FusedIsOff(Sound):
    def fused(self, x: Tensor, mask: Tensor, state: Any, noise: Any) -> tuple[Tensor, Any] | None:
        outputs, state = run_steps(self, x, mask, state, noise)
        return outputs * (1 + 1e-4), state


class FusedIsOffAmongRounding(Sound):
    """However much a cell's own steps round, its ways may differ by the tolerance and no more."""

    def step(self, x: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, Any]:
        hidden, state = super().step(x, state, noise)
        return hidden + 64 - 64, state  # float32 has no more than 3.8e-6 there

    def fused(self, x: Tensor, mask: Tensor, state: Any, noise: Any) -> tuple[Tensor, Any] | None:
        outputs, state = run_steps(self, x, mask, state, noise)
        return outputs + (1.4e-5 if x.dtype == torch.float32 else 0.0), state


class FusedRunsOnThroughPadding(Sound):
    def fused(self, x: Tensor, mask: Tensor, state: Any, noise: Any) -> tuple[Tensor, Any] | None:
        return run_steps(self, x, torch.ones_like(mask), state, noise)


class FusedStopsGradients(Sound):
    def fused(self, x: Tensor, mask: Tensor, state: Any, noise: Any) -> tuple[Tensor, Any] | None:
        return run_steps(self, x, mask, tuple(leaf.detach() for leaf in state), noise)


class FusedForgetsNoise(Sound):
    def fused(self, x: Tensor, mask: Tensor, state: Any, noise: Any) -> tuple[Tensor, Any] | None:
        return run_steps(self, x, mask, state, None)


class FusedNarrowsTheState(Sound):
    def fused(self, x: Tensor, mask: Tensor, state: Any, noise: Any) -> tuple[Tensor, Any] | None:
        outputs, state = run_steps(self, x, mask, state, noise)
        narrow = torch.is_autocast_enabled("cpu")
        return outputs, tuple(leaf.bfloat16() if narrow else leaf for leaf in state)


class FusedForInferenceIsOff(Sound):
    def fused(self, x: Tensor, mask: Tensor, state: Any, noise: Any) -> tuple[Tensor, Any] | None:
        outputs, state = run_steps(self, x, mask, state, noise)
        return outputs if torch.is_grad_enabled() else outputs.float().to(outputs.dtype), state


class MeanOverTheBatch(Sound):
    def step(self, x: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, Any]:
        return super().step(x - x.mean(0), state, noise)


class OutputIsTooWide(Sound):
    def step(self, x: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, Any]:
        output, state = super().step(x, state, noise)
        return torch.cat([output, output], -1), state


class StateLosesALeaf(Sound):
    def step(self, x: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, Any]:
        output, state = super().step(x, state, noise)
        return output, state[:1]


class FeaturesLoseALeaf(Sound):
    def features(self, state: Any) -> Tensor:
        return torch.cat([state[0], state[0]], -1)


class CutsAGradient(Sound):
    def state_from(self, features: Tensor) -> Any:
        hidden, trace = super().state_from(features)
        return hidden, trace.detach()


class BranchesInTheBridge(Sound):
    def state_from(self, features: Tensor) -> Any:
        return super().state_from(features if features.sum() > -1e9 else -features)


class ProjectionIsNotAffine(Sound):
    def project(self, x: Tensor) -> Tensor:
        return super().project(x).relu()


class ConstantInEveryPart(Sound):
    def project_part(self, x: Tensor, start: int) -> Tensor:
        assert self.input_bias is not None
        return super().project_part(x, start) + (0 if start == 0 else self.input_bias)


class NoiseInEvaluation(Sound):
    def noise(self, batch_size: int, *, like: Tensor) -> Any:
        return (like.new_ones(batch_size, self.hidden_size),)


class NoiseForTheWholeBatch(Sound):
    def noise(self, batch_size: int, *, like: Tensor) -> Any:
        return (like.new_ones(1, self.hidden_size),) if self.training else None


class KeepsTheLastSentence(Sound):
    kept: Tensor | float = 0.0

    def step(self, x: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, Any]:
        output, following = super().step(x + self.kept, state, noise)
        self.kept = output.detach().mean()
        return output, following


class RemembersItsGate(Sound):
    """The same numbers at every call, but other threads write it at the same time."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.gate: Tensor | None = None

    def step(self, x: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, Any]:
        self.gate = x
        return super().step(self.gate, state, noise)


class CollectsItsInputs(Sound):
    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.seen: dict[str, list[Tensor]] = {"x": []}

    def step(self, x: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, Any]:
        self.seen["x"].append(x)
        return super().step(x, state, noise)


class HasADict(Sound):
    def initial_state(self, batch_size: int, *, like: Tensor) -> Any:
        return {"both": super().initial_state(batch_size, like=like)}

    def step(self, x: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, Any]:
        output, following = super().step(x, state["both"], noise)
        return output, {"both": following}


class HoldsItsGateUntilTheEnd(Sound):
    """Nothing is left, but other threads write it meanwhile."""

    gate: Tensor

    def step(self, x: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, Any]:
        self.gate = torch.sigmoid(x)
        output, following = super().step(x, state, noise)
        output = output * self.gate
        self.__dict__.pop("gate", None)
        return output, following


class WeightIsNoParameter(Sound):
    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.scale = float(torch.rand(()))

    def step(self, x: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, Any]:
        return super().step(x * self.scale, state, noise)


class StartsOnTheCPU(Sound):
    def initial_state(self, batch_size: int, *, like: Tensor) -> Any:
        zeros = torch.zeros(batch_size, self.hidden_size, dtype=like.dtype)
        return zeros, zeros


class OtherOnAnAccelerator(Sound):
    def step(self, x: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, Any]:
        return super().step(x if x.device.type == "cpu" else 1.001 * x, state, noise)


class ParameterWithoutAPart(Sound):
    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.idle = nn.Parameter(torch.zeros(3))


class StepStopsGradients(Sound):
    def step(self, x: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, Any]:
        return super().step(x, tuple(leaf.detach() for leaf in state), noise)


class DrawsInEvaluation(Sound):
    def step(self, x: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, Any]:
        return super().step(x + torch.rand_like(x), state, noise)


class PaddingLeaks(Sound):
    """How much padding there is shows in the outputs."""

    def fused(self, x: Tensor, mask: Tensor, state: Any, noise: Any) -> tuple[Tensor, Any] | None:
        outputs, state = run_steps(self, x, mask, state, noise)
        return outputs + 0.1 * (~mask).sum(), state


class FusedForgetsOneStep(Sound):
    def fused(self, x: Tensor, mask: Tensor, state: Any, noise: Any) -> tuple[Tensor, Any] | None:
        return None if x.size(1) > 1 else (x.new_zeros(*x.shape[:2], self.hidden_size), state)


class TakesOneWidth(Sound):
    def step(self, x: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, Any]:
        assert self.input_size == 3
        return super().step(x, state, noise)


class BranchesOnAValue(Sound):
    def step(self, x: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, Any]:
        return super().step(x if x.sum() > 0 else 2 * x, state, noise)


class RefusesMoreThanFive(Sound):
    def __init__(self, input_size: int, hidden_size: int) -> None:
        if hidden_size > 5:
            raise ConfigError(f"hidden_size {hidden_size} is more than 5")
        super().__init__(input_size, hidden_size)


class SaysNothing(Sound):
    def step(self, x: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, Any]:
        output, state = super().step(x, state, noise)
        return 0 * output, state


class ReturnsItsOutputAlone(Sound):
    """Of two rows, it could be taken for an output and a state."""

    def step(self, x: Tensor, state: Any, noise: Any = None) -> Any:
        return super().step(x, state, noise)[0]


class ReturnsNoTuple(Sound):
    """A state of one tensor is a tuple, too."""

    def step(self, x: Tensor, state: Any, noise: Any = None) -> Any:
        output, following = super().step(x, state, noise)
        return output, following[0]


class ReturnsNothing(Sound):
    """The last line was forgotten."""

    def step(self, x: Tensor, state: Any, noise: Any = None) -> Any:
        super().step(x, state, noise)


class Undocumented(Sound):
    """An option that nobody explains."""

    def __init__(self, input_size: int, hidden_size: int, *, scale: float = 1.0) -> None:
        super().__init__(input_size, hidden_size)


class TakesAnything(Sound):
    """No typo would be seen."""

    def __init__(self, input_size: int, hidden_size: int, **options: Any) -> None:
        super().__init__(input_size, hidden_size)


class WithoutADefault(Sound):
    """A name alone does not build it.

    Args:
        scale: of nothing.
    """

    def __init__(self, input_size: int, hidden_size: int, *, scale: float) -> None:
        super().__init__(input_size, hidden_size)


class FusedCountsThePadding(CountingCell):
    def fused(self, x: Tensor, mask: Tensor, state: Any, noise: Any) -> tuple[Tensor, Any] | None:
        outputs, (hidden, steps, positive) = run_steps(self, x, mask, state, noise)
        return outputs, (hidden, steps + (~mask).sum(1), positive)


class FeaturesLoseTheCount(CountingCell):
    def features(self, state: Any) -> Tensor:
        hidden, steps, positive = state
        return super().features((hidden, torch.zeros_like(steps), positive))


class FusedTurnsBack(RotatingCell):
    def fused(self, x: Tensor, mask: Tensor, state: Any, noise: Any) -> tuple[Tensor, Any] | None:
        outputs, (hidden, wave) = run_steps(self, x, mask, state, noise)
        return outputs, (hidden, wave.conj())


WRONG: list[tuple[type[RecurrentCell], str, str]] = [
    (Undocumented, "constructor", "does not tell of 'scale'; expected a line in its Args section"),
    (TakesAnything, "constructor", r"\*\*options.*; expected named arguments only.*Write the arguments out"),
    (WithoutADefault, "constructor", "'scale' of .* has no default; expected one"),
    (OutputIsTooWide, "shapes", r"step's output of shape \(2, 8\); expected \(2, 4\)\. pass output_size"),
    (ReturnsItsOutputAlone, "shapes", "step returns a tensor; expected .*return output, state"),
    (ReturnsNoTuple, "shapes", r"step returns \(a tensor, a tensor\); expected .*\(a tensor, \(a tensor, "),
    (ReturnsNothing, "shapes", "step returns None; expected .*return output, state"),
    (ReturnsItsOutputAlone, "gradients", "step returns a tensor; expected"),
    (StateLosesALeaf, "shapes", "step returns a state of the form .*Return the same structure"),
    (FusedIsOff, "sequence_equals_steps", "outputs at once and step by step .*; expected .*implements fused"),
    (
        FusedIsOffAmongRounding,
        "sequence_equals_steps",
        "outputs at once and .*float32.*allowed difference 1e-05",
    ),
    (
        FusedRunsOnThroughPadding,
        "sequence_equals_steps",
        "last state leaf 0 .*keep the state where mask is False",
    ),
    (FusedCountsThePadding, "sequence_equals_steps", "last state leaf 1 .*; expected .*keep the state"),
    (FusedTurnsBack, "sequence_equals_steps", "last state leaf 1 .*; expected .*implements fused"),
    (FusedStopsGradients, "sequence_equals_steps", "gradient of first state leaf 0"),
    (FusedForInferenceIsOff, "sequence_equals_steps", "outputs without and with gradients"),
    (PaddingLeaks, "sequence_equals_steps", "outputs at once and step by step"),
    (
        FusedNarrowsTheState,
        "mixed_precision",
        "last state leaf 0 is torch.bfloat16 .*; expected torch.float32, as it began",
    ),
    (
        FusedForgetsOneStep,
        "single_steps_and_full_rows",
        r"outputs at once and step by step .*lengths \(1, 1\)",
    ),
    (DrawsInEvaluation, "padding", "outputs changes when the padding holds .*; expected the same bits"),
    (MeanOverTheBatch, "batch_mates", "alone and in a batch.*No row may see another"),
    (MeanOverTheBatch, "select_state", "after choosing rows"),
    (FeaturesLoseALeaf, "features", "state leaf 1 after features and state_from"),
    (
        CutsAGradient,
        "features",
        "does not pass the gradient of state leaf 1 on: 0 .*Detach nothing in state_from",
    ),
    (FeaturesLoseTheCount, "features", "state leaf 1 after features and state_from"),
    (ProjectionIsNotAffine, "projection", "Move what is not affine into step"),
    (ConstantInEveryPart, "projection", "the sum of project_part over columns"),
    (NoiseInEvaluation, "noise", "noise is sampled in evaluation mode; expected None. Return None unless"),
    (NoiseForTheWholeBatch, "noise", r"noise leaf 0 has shape \(1, 4\); expected the batch \(4\) first"),
    (FusedForgetsNoise, "noise", "outputs at once and step by step .*training"),
    (KeepsTheLastSentence, "keeps_nothing", "keep no tensor of a sentence on self"),
    (RemembersItsGate, "keeps_nothing", r"a run changed \['\.gate'\] and left \[\] on the cell"),
    (CollectsItsInputs, "keeps_nothing", r"a run changed \['\.seen'\] and left \[\] on the cell"),
    (HoldsItsGateUntilTheEnd, "keeps_nothing", "beside other threads.*not even until its end"),
    (WeightIsNoParameter, "keeps_nothing", "a copy with the same state_dict.*Parameter"),
    (DrawsInEvaluation, "keeps_nothing", "outputs of a second run"),
    (
        StartsOnTheCPU,
        "devices",
        r"DeviceMismatch: .* of tensors .* one on the CPU, of shape \(4, 4\) and torch.float64 \(.*test_cells.py, line",
    ),
    (OtherOnAnAccelerator, "devices", r"outputs on an accelerator: .*; expected"),
    (ParameterWithoutAPart, "gradients", "gradient of parameter idle is zero everywhere; expected that"),
    (
        StepStopsGradients,
        "gradients",
        "gradients of step that are wrong.*; expected those of finite differences",
    ),
    (TakesOneWidth, "stack", "assert 4 == 3"),
    (MeanOverTheBatch, "directions", "outputs of both directions"),
    (
        MeanOverTheBatch,
        "every_partner",
        "(log-probabilities at step|beam search) .*beside the plainest parts",
    ),
    (BranchesInTheBridge, "export", "refuses it.*; expected a graph.*branches on values"),
    (BranchesOnAValue, "export", "torch.onnx refuses it.*; expected a graph.*branches on values"),
    (SaysNothing, "learning", "the cell copied .*; expected at least 75%"),
    (BranchesOnAValue, "compiled", "torch.compile refuses step.*; expected a graph without breaks"),
]


def test_a_sound_cell_passes() -> None:
    check_cell(Sound)


@pytest.mark.parametrize(
    ("cell", "check", "message"), WRONG, ids=lambda value: getattr(value, "__name__", None)
)
def test_a_wrong_cell_fails(cell: type[RecurrentCell], check: str, message: str) -> None:
    (run,) = (one for one in KITS["cell"] if one.name == check)
    with pytest.raises(AssertionError, match=f"(?s){message}"):
        run(cell)


def test_every_check_has_a_cell_that_it_catches() -> None:
    assert {check for _, check, _ in WRONG} == {check.name for check in KITS["cell"]}


def test_a_cell_that_no_model_can_be_built_with_fails() -> None:
    """A partner may refuse its sizes; the cell that is checked may not."""
    (run,) = (one for one in KITS["cell"] if one.name == "every_partner")
    (outcome,) = examine([run], RefusesMoreThanFive).outcomes
    assert outcome.status == "failed"
    assert "ConfigError: hidden_size 6 is more than 5" in outcome.explanation


class Headed(Sound):
    """It refuses widths that are no multiple of an option."""

    def __init__(self, input_size: int, hidden_size: int, *, heads: int = 8) -> None:
        if hidden_size % heads:
            raise ConfigError(f"hidden_size {hidden_size} is no multiple of heads {heads}")
        super().__init__(input_size, hidden_size)


def test_a_cell_that_rightly_refuses_a_size_is_to_be_given_other_options() -> None:
    checks = [one for one in KITS["cell"] if one.name in ("shapes", "stack", "every_partner", "learning")]
    assert len(checks) == 4
    for outcome in examine(checks, Headed).outcomes[:3]:
        assert "ConfigError: hidden_size" in outcome.explanation
        assert "\nremedy    if it rightly refuses a size, give it options that fit" in outcome.explanation
        assert "states of 4, 6, 8, 12 and more, all even): --option NAME=VALUE" in outcome.explanation
    assert not examine(checks, functools.partial(Headed, heads=2)).failures


class ClampedWhereItStands(Sound):
    """A leaf that stands at its limit: differences to both sides are not the gradient."""

    def initial_state(self, batch_size: int, *, like: Tensor) -> Any:
        return *super().initial_state(batch_size, like=like), like.new_zeros(batch_size, 1)

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.hidden_size, self.hidden_size, 1)

    def step(self, x: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, Any]:
        output, both = super().step(x, state[:2], noise)
        return output, (*both, state[2])

    def state_from(self, features: Tensor) -> Any:
        hidden, trace, limited = super().state_from(features)
        return hidden, trace, limited.clamp(min=0)


def test_a_leaf_at_its_limit_may_be_clamped_by_state_from() -> None:
    torch.manual_seed(0)
    next(one for one in KITS["cell"] if one.name == "features").run(ClampedWhereItStands)


def test_a_dict_as_state_is_told() -> None:
    checks = [one for one in KITS["cell"] if one.name in ("shapes", "sequence_equals_steps")]
    assert len(checks) == 2
    for outcome in examine(checks, HasADict).outcomes:
        assert "found     a state is a tuple of tensors, nested or not, not a dict" in outcome.explanation


def test_all_failures_are_told_at_once() -> None:
    message = (
        r"(?s)\d of \d+ checks of cell MeanOverTheBatch failed.*"
        r"batch_mates  \(see docs/plugins/cell.md#batch-mates\)\nfound .*\nexpected .*\nremedy .*select_state  "
    )
    with pytest.raises(FailedChecks, match=message):
        check_cell(functools.partial(MeanOverTheBatch))
