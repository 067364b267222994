"""The conformance checks against cells that are wrong, each in one way: the right check must say so."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s.nn import RecurrentCell, run_steps
from s2s.testing.conformance import CELL_CHECKS, NonconformingCell, check_cell


class Sound(RecurrentCell):
    """A sound cell with a projection, two leaves and a fused way; each wrong one differs in one place."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, projected_size=hidden_size)
        self.recurrent_weight = nn.Parameter(0.5 * torch.randn(hidden_size, hidden_size))
        assert self.input_bias is not None
        nn.init.normal_(self.input_bias)

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.hidden_size, self.hidden_size)

    def step(self, x: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, Any]:
        hidden, trace = state
        recurrent = hidden if noise is None else hidden * noise[0]
        hidden = torch.tanh(x + F.linear(recurrent, self.recurrent_weight) + 0.3 * trace)
        return hidden, (hidden, 0.5 * trace + hidden)

    def fused(self, x: Tensor, mask: Tensor, state: Any, noise: Any) -> tuple[Tensor, Any] | None:
        return run_steps(self, x, mask, state, noise)

    def noise(self, batch_size: int, *, like: Tensor) -> Any:
        if not self.training:
            return None
        return (like.new_empty(batch_size, self.hidden_size).bernoulli_(0.5),)


class FusedIsOff(Sound):
    def fused(self, x: Tensor, mask: Tensor, state: Any, noise: Any) -> tuple[Tensor, Any] | None:
        outputs, state = run_steps(self, x, mask, state, noise)
        return outputs * (1 + 1e-4), state


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


class WeightIsNoParameter(Sound):
    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.scale = float(torch.rand(()))

    def step(self, x: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, Any]:
        return super().step(x * self.scale, state, noise)


class ParameterWithoutAPart(Sound):
    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.idle = nn.Parameter(torch.zeros(3))


class StepStopsGradients(Sound):
    def step(self, x: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, Any]:
        return super().step(x, tuple(leaf.detach() for leaf in state), noise)


WRONG: list[tuple[type[Sound], str, str]] = [
    (FusedIsOff, "sequence_equals_steps", "outputs at once and step by step .*found .* expected .*fused way"),
    (
        FusedRunsOnThroughPadding,
        "sequence_equals_steps",
        "last state leaf 0 .*stand still where mask is False",
    ),
    (FusedStopsGradients, "sequence_equals_steps", "gradient of first state leaf 0"),
    (FusedForgetsNoise, "noise", "outputs at once and step by step .*training"),
    (
        FusedNarrowsTheState,
        "mixed_precision",
        "last state leaf 0 is torch.bfloat16, it began as torch.float32",
    ),
    (FusedForInferenceIsOff, "sequence_equals_steps", "outputs without and with gradients"),
    (MeanOverTheBatch, "batch_mates", "alone and in a batch.*No row may see another"),
    (MeanOverTheBatch, "select_state", "after choosing rows"),
    (OutputIsTooWide, "shapes", r"step's output has shape \(2, 8\), expected \(2, 4\): pass output_size"),
    (StateLosesALeaf, "shapes", "step returns a state of the form .*Return the same structure"),
    (FeaturesLoseALeaf, "features", "state leaf 1 after features and state_from"),
    (ProjectionIsNotAffine, "projection", "Move what is not affine into step"),
    (ConstantInEveryPart, "projection", "the sum of project_part over columns"),
    (NoiseInEvaluation, "noise", "noise is drawn in evaluation mode; return None unless self.training"),
    (NoiseForTheWholeBatch, "noise", r"noise leaf 0 has shape \(1, 4\); the batch \(4\) must come first"),
    (KeepsTheLastSentence, "keeps_nothing", "keep no tensor of a sentence on self"),
    (WeightIsNoParameter, "keeps_nothing", "a copy with the same state_dict.*Parameter"),
    (ParameterWithoutAPart, "gradients", "gradient of parameter idle is zero everywhere"),
    (StepStopsGradients, "gradients", "not those of finite differences"),
]


def test_a_sound_cell_passes() -> None:
    check_cell(Sound)


@pytest.mark.parametrize(
    ("cell", "check", "message"), WRONG, ids=lambda value: getattr(value, "__name__", None)
)
def test_a_wrong_cell_fails(cell: type[Sound], check: str, message: str) -> None:
    checks: dict[str, Callable[..., None]] = {c.__name__: c for c in CELL_CHECKS}
    torch.manual_seed(0)
    with pytest.raises(NonconformingCell, match=f"(?s){message}"):
        checks[f"check_{check}"](cell)


def test_all_failures_are_told_at_once() -> None:
    with pytest.raises(
        NonconformingCell, match=r"(?s)\d of 12 checks failed\..*check_batch_mates: .*check_select_state: "
    ):
        check_cell(MeanOverTheBatch)


def test_every_check_has_a_cell_that_it_catches() -> None:
    """Padding and lengths are caught by the comparison with steps already; their checks look closer."""
    caught = {f"check_{check}" for _, check, _ in WRONG} | {
        "check_padding",
        "check_single_steps_and_full_rows",
    }
    assert caught == {check.__name__ for check in CELL_CHECKS}


class PaddingLeaks(Sound):
    """How much padding there is shows in the outputs."""

    def fused(self, x: Tensor, mask: Tensor, state: Any, noise: Any) -> tuple[Tensor, Any] | None:
        outputs, state = run_steps(self, x, mask, state, noise)
        return outputs + 0.1 * (~mask).sum(), state


def test_a_mask_that_leaks_into_values() -> None:
    torch.manual_seed(0)
    with pytest.raises(NonconformingCell, match="alone and in a batch|at once and step by step"):
        check_cell(PaddingLeaks)
