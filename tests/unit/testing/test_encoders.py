"""The kit of encoders against encoders that are wrong, each in one way: the right check must say so."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from s2s.nn import Bidirectional, Encoded, RecurrentCell, SequenceEncoder, State, length_mask, map_state
from s2s.testing import KITS, check_encoder, examine, models
from s2s_plugins.cells.elman import Elman
from s2s_plugins.cells.gru import GRU


@pytest.fixture(autouse=True)
def little_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough for the sound one, too."""
    monkeypatch.setattr(models, "STEPS", 75)


class Sound(SequenceEncoder):
    """A sound encoder of two cells; each wrong one differs in one place.

    Args:
        cell: of both directions.
        hidden_size: of both cells.
    """

    def __init__(
        self, input_size: int, *, cell: Callable[[int, int], RecurrentCell] = GRU, hidden_size: int = 8
    ) -> None:
        both = Bidirectional(cell(input_size, hidden_size), cell(input_size, hidden_size))
        super().__init__(input_size, output_size=both.output_size, feature_size=both.feature_size)
        self.both = both

    def forward(self, x: Tensor, lengths: Tensor) -> Encoded:
        encoded: Encoded = self.both(x, lengths)
        return encoded

    def fold_tokens(self, vectors: Tensor) -> State:
        return self.both.fold_tokens(vectors)

    def forward_folded(self, tokens: Tensor, lengths: Tensor, folded: State) -> Encoded:
        return self.both.forward_folded(tokens, lengths, folded)

    def features(self, state: State) -> Tensor:
        return self.both.features(state)


class Undocumented(Sound):
    """An option that nobody explains."""

    def __init__(self, input_size: int, *, hidden_size: int = 8) -> None:
        super().__init__(input_size, hidden_size=hidden_size)


class ToldTooNarrow(Sound):
    def __init__(self, input_size: int, *, hidden_size: int = 8) -> None:
        super().__init__(input_size, hidden_size=hidden_size)
        self.output_size = hidden_size


class FeaturesToldTooNarrow(Sound):
    def __init__(self, input_size: int, *, hidden_size: int = 8) -> None:
        super().__init__(input_size, hidden_size=hidden_size)
        self.feature_size = hidden_size


class StateHoldsANumber(Sound):
    def forward(self, x: Tensor, lengths: Tensor) -> Encoded:
        outputs, _, state = super().forward(x, lengths)
        return Encoded(outputs, lengths, (state, x.size(1)))

    def features(self, state: State) -> Tensor:
        return super().features(state[0])


class StateIsAsLongAsTheSource(Sound):
    def forward(self, x: Tensor, lengths: Tensor) -> Encoded:
        outputs, _, state = super().forward(x, lengths)
        return Encoded(outputs, lengths, (state, outputs[..., 0]))

    def features(self, state: State) -> Tensor:
        return super().features(state[0])


class LosesAPosition(Sound):
    def forward(self, x: Tensor, lengths: Tensor) -> Encoded:
        outputs, _, state = super().forward(x, lengths)
        return Encoded(outputs, (lengths - 1).clamp(min=1), state)


class MeanOverTheBatch(Sound):
    def forward(self, x: Tensor, lengths: Tensor) -> Encoded:
        mask = length_mask(lengths, x.size(1)).unsqueeze(-1)
        return super().forward(x - x.masked_fill(~mask, 0.0).mean(0), lengths)


class MeanWhileItLearns(Sound):
    def forward(self, x: Tensor, lengths: Tensor) -> Encoded:
        mask = length_mask(lengths, x.size(1)).unsqueeze(-1)
        return super().forward(x - self.training * x.masked_fill(~mask, 0.0).mean(0), lengths)


class CountsPadding(Sound):
    def forward(self, x: Tensor, lengths: Tensor) -> Encoded:
        return super().forward(x * x.size(1), lengths)


class NoiseOfShortSentences(Sound):
    """The variance of a single number is zero."""

    def forward(self, x: Tensor, lengths: Tensor) -> Encoded:
        return super().forward(x / x.var(1, keepdim=True, correction=0) if x.size(1) == 1 else x, lengths)


class OutputsAtPadding(Sound):
    def forward(self, x: Tensor, lengths: Tensor) -> Encoded:
        outputs, _, state = super().forward(x, lengths)
        return Encoded(outputs + 1.0, lengths, state)


class ZeroesTooLate(Sound):
    """The values are right; but in the gradient of the layer zero meets NaN."""

    def __init__(self, input_size: int, *, hidden_size: int = 8) -> None:
        super().__init__(input_size, hidden_size=hidden_size)
        self.layer = nn.Linear(input_size, input_size)

    def forward(self, x: Tensor, lengths: Tensor) -> Encoded:
        return super().forward(self.layer(x), lengths)


class NarrowsTheState(Sound):
    def forward(self, x: Tensor, lengths: Tensor) -> Encoded:
        outputs, _, state = super().forward(x, lengths)
        narrow = torch.is_autocast_enabled("cpu")
        return Encoded(outputs, lengths, map_state(lambda leaf: leaf.bfloat16() if narrow else leaf, state))


class LosesBits(Sound):
    """A large constant drowns the tokens where there are only eight bits."""

    def forward(self, x: Tensor, lengths: Tensor) -> Encoded:
        narrow = x.bfloat16() if torch.is_autocast_enabled("cpu") else x
        return super().forward((narrow + 1000.0 - 1000.0).to(x.dtype), lengths)


class FeaturesLoseALeaf(Sound):
    def features(self, state: State) -> Tensor:
        return super().features((state[0], state[0]))


class FeaturesByPlace(Sound):
    def features(self, state: State) -> Tensor:
        features = super().features(state)
        return features * torch.arange(1, 1 + len(features), dtype=features.dtype).unsqueeze(1)


class ReadsTheBeginning(Sound):
    def forward(self, x: Tensor, lengths: Tensor) -> Encoded:
        return super().forward(torch.cat([x[:, :8], torch.zeros_like(x[:, 8:])], dim=1), lengths)


class OutputsAreLate(Sound):
    def forward(self, x: Tensor, lengths: Tensor) -> Encoded:
        _, _, state = super().forward(x, lengths)
        late = torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], dim=1)
        return Encoded(super().forward(late, lengths).outputs, lengths, state)


class FoldsHalf(Sound):
    """Its `forward` does something to what its `fold_tokens` knows nothing of."""

    def forward(self, x: Tensor, lengths: Tensor) -> Encoded:
        return super().forward(x / 2, lengths)

    def fold_tokens(self, vectors: Tensor) -> State:
        return super().fold_tokens(vectors)

    def forward_folded(self, tokens: Tensor, lengths: Tensor, folded: State) -> Encoded:
        return super().forward_folded(tokens, lengths, folded)


class FoldsTheWholeVocabulary(Sound):
    def fold_tokens(self, vectors: Tensor) -> State:
        return map_state(lambda leaf: leaf.t(), super().fold_tokens(vectors))


class FoldsInVain(SequenceEncoder):
    """Half of what it takes."""

    def __init__(self, input_size: int, *, hidden_size: int = 8) -> None:
        super().__init__(input_size, output_size=input_size, feature_size=input_size)

    def forward(self, x: Tensor, lengths: Tensor) -> Encoded:
        return Encoded(x, lengths, (x.sum(1),))

    def fold_tokens(self, vectors: Tensor) -> State:
        return vectors


class Draws(Sound):
    def forward(self, x: Tensor, lengths: Tensor) -> Encoded:
        return super().forward(x + torch.rand_like(x), lengths)


class KeepsTheLast(Sound):
    def forward(self, x: Tensor, lengths: Tensor) -> Encoded:
        self.kept = super().forward(x, lengths)
        return self.kept


class WeightIsNoParameter(Sound):
    def __init__(self, input_size: int, *, hidden_size: int = 8) -> None:
        super().__init__(input_size, hidden_size=hidden_size)
        self.scale = float(torch.rand(()))

    def forward(self, x: Tensor, lengths: Tensor) -> Encoded:
        return super().forward(x * self.scale, lengths)


class MasksOnTheCPU(Sound):
    """Only in training."""

    def forward(self, x: Tensor, lengths: Tensor) -> Encoded:
        mask = torch.ones(x.shape[1:]) if self.training else 1
        return super().forward(x * mask, lengths)


class StopsGradients(Sound):
    def forward(self, x: Tensor, lengths: Tensor) -> Encoded:
        outputs, _, state = super().forward(x, lengths)
        return Encoded(outputs, lengths, map_state(torch.detach, state))


class ParameterWithoutAPart(Sound):
    def __init__(self, input_size: int, *, hidden_size: int = 8) -> None:
        super().__init__(input_size, hidden_size=hidden_size)
        self.idle = nn.Parameter(torch.zeros(3))


class OutputsAsWideAsHidden(Sound):
    def __init__(
        self, input_size: int, *, cell: Callable[[int, int], RecurrentCell] = GRU, hidden_size: int = 8
    ) -> None:
        super().__init__(input_size, cell=cell, hidden_size=hidden_size)
        self.output_size = 2 * hidden_size


class WalksInPython(Sound):
    def forward(self, x: Tensor, lengths: Tensor) -> Encoded:
        return super().forward(torch.stack([x[:, time] for time in range(x.size(1))], dim=1), lengths)


class SaysNothing(Sound):
    def forward(self, x: Tensor, lengths: Tensor) -> Encoded:
        return super().forward(0 * x, lengths)


WRONG: list[tuple[type[Sound], str, str]] = [
    (Undocumented, "constructor", "does not tell of 'hidden_size'; expected a line in its Args section"),
    (ToldTooNarrow, "shapes", r"outputs of shape \(3, 4, 16\); expected \(3, 4, 8\)\. pass output_size"),
    (FeaturesToldTooNarrow, "shapes", r"features\(state\) of shape \(3, 16\); expected \(3, 8\)\. pass feat"),
    (StateHoldsANumber, "shapes", "the state holds a int; expected tensors in tuples"),
    (StateIsAsLongAsTheSource, "shapes", "the state's form depends on the batch.*Give the state one form"),
    (LosesAPosition, "shapes", r"lengths \[3, 1, 2\] beside the outputs; expected \[4, 1, 3\]"),
    (MeanOverTheBatch, "batch_mates", "outputs of sentences .* in a batch and alone.*No row may see another"),
    (CountsPadding, "batch_mates", "outputs of sentences .* in a batch and alone"),
    (MeanWhileItLearns, "batch_mates", "outputs of sentences .* in a batch and alone .*in training"),
    (NoiseOfShortSentences, "short_and_full_rows", r"outputs of sentences of lengths \(1, 1\)"),
    (OutputsAtPadding, "padding", "outputs that are not zero at padding, .*; expected zeros. Fill them"),
    (ZeroesTooLate, "padding", "gradient of .* changes when the padding holds inf.*before the first product"),
    (NarrowsTheState, "mixed_precision", "the state is .*bfloat16.*; expected .*float32.*, as without it"),
    (LosesBits, "mixed_precision", "outputs in bfloat16 and in float32.*Take what bfloat16 cannot hold"),
    (FeaturesLoseALeaf, "features", "features does not depend on all of state leaf 1; expected a gradient"),
    (FeaturesByPlace, "features", "features after choosing rows.*must depend on that row alone"),
    (
        ReadsTheBeginning,
        "reads_all",
        "the features do not depend on the token at position 8 of 12; expected that",
    ),
    (OutputsAreLate, "reads_all", "the output at position 11 does not depend on the token at position 11 of"),
    (FoldsHalf, "folded_tokens", "outputs of folded tokens.*Let forward_folded do all that forward does"),
    (FoldsTheWholeVocabulary, "folded_tokens", r"what fold_tokens returns has a leaf of shape \(24, 9\)"),
    (FoldsInVain, "folded_tokens", "only fold_tokens beside forward; expected fold_tokens and forw"),
    (Draws, "keeps_nothing", "changes when the same is asked again; expected the same bits. Draw nothing"),
    (KeepsTheLast, "keeps_nothing", r"left \['\.kept'\] on the part; expected no change"),
    (WeightIsNoParameter, "keeps_nothing", "in a copy with the same state_dict.*a Parameter"),
    (
        MasksOnTheCPU,
        "devices",
        r"DeviceMismatch: mul of tensors .* one on the CPU, of shape .*x \* mask, lengths.*beside a given one",
    ),
    (StopsGradients, "gradients", "gradients of outputs and features that are wrong.*finite differences"),
    (ParameterWithoutAPart, "gradients", "the gradient of parameter idle is zero everywhere; expected that"),
    (OutputsAsWideAsHidden, "odd_cells", r"outputs of shape \(3, 4, 20\); expected \(3, 4, 16\)"),
    (MeanOverTheBatch, "every_partner", "(log-probabilities|beam search|score) .*beside the plainest"),
    (WalksInPython, "export", "torch.onnx refuses it.*; expected a graph.*sizes taken as Python numbers"),
    (SaysNothing, "learning", r"a model with the encoder copied \d+% of .*; expected at least"),
]


def test_a_sound_encoder_passes() -> None:
    check_encoder(Sound)


@pytest.mark.parametrize(
    ("encoder", "check", "message"), WRONG, ids=lambda value: getattr(value, "__name__", None)
)
def test_a_wrong_encoder_fails(encoder: type[Sound], check: str, message: str) -> None:
    (run,) = (one for one in KITS["encoder"] if one.name == check)
    with pytest.raises(AssertionError, match=f"(?s){message}"):
        run(encoder)


class RaisesAtAStep(Elman):
    """A partner that is broken."""

    def step(self, x: Tensor, state: Any, noise: Any = None) -> Any:
        raise RuntimeError("sizes that do not fit")

    def fused(self, x: Tensor, mask: Tensor, state: Any, noise: Any) -> Any:
        return None


def test_what_is_raised_beside_a_partner_is_told_with_its_name_and_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(models, "registered", lambda kind: [("Broken", RaisesAtAStep)] * (kind == "cell"))
    (run,) = (one for one in KITS["encoder"] if one.name == "every_partner")
    (outcome,) = examine([run], Sound).outcomes
    assert outcome.status == "failed"
    assert "with cell Broken: RuntimeError: sizes that do not fit (" in outcome.explanation
    assert f"{__file__}, line " in outcome.explanation


def test_every_check_has_an_encoder_that_it_catches() -> None:
    assert {check for _, check, _ in WRONG} == {check.name for check in KITS["encoder"]}
