"""The kit of bridges against bridges that are wrong, each in one way: the right check must say so."""

import pytest
import torch
from torch import Tensor, nn

from s2s.nn import Bridge
from s2s.testing import KITS, check_bridge, models


@pytest.fixture(autouse=True)
def little_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough for the sound one, too."""
    monkeypatch.setattr(models, "STEPS", 75)


class Sound(Bridge):
    """A sound bridge; each wrong one differs in one place."""

    def __init__(self, encoder_features: int, decoder_features: int) -> None:
        super().__init__(encoder_features, decoder_features)
        self.layer = nn.Linear(encoder_features, decoder_features)

    def forward(self, features: Tensor) -> Tensor:
        return torch.tanh(self.layer(features))


class Undocumented(Sound):
    """An option that nobody explains."""

    def __init__(self, encoder_features: int, decoder_features: int, *, scale: float = 1.0) -> None:
        super().__init__(encoder_features, decoder_features)


class KeepsTheWidth(Sound):
    def forward(self, features: Tensor) -> Tensor:
        return torch.cat([super().forward(features), features], dim=-1)[:, : self.encoder_features]


class Widens(Sound):
    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features).double()


class LosesALeaf(Sound):
    """The second half of the state, a memory for one, never crosses."""

    def forward(self, features: Tensor) -> Tensor:
        half = features.size(-1) // 2
        return super().forward(features.masked_fill(torch.arange(features.size(-1)) > half, 0.0))


class SaysNothing(Sound):
    def forward(self, features: Tensor) -> Tensor:
        return super().forward(0 * features)


class LosesBits(Sound):
    """A large constant drowns the features where there are only eight bits."""

    def forward(self, features: Tensor) -> Tensor:
        narrow = features.bfloat16() if torch.is_autocast_enabled("cpu") else features
        return super().forward((narrow + 1000.0 - 1000.0).to(features.dtype))


class MeanOverTheBatch(Sound):
    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features - features.mean(0))


class Draws(Sound):
    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features + torch.rand_like(features))


class KeepsTheLast(Sound):
    def forward(self, features: Tensor) -> Tensor:
        self.kept = super().forward(features)
        return self.kept


class WeightIsNoParameter(Sound):
    def __init__(self, encoder_features: int, decoder_features: int) -> None:
        super().__init__(encoder_features, decoder_features)
        self.scale = float(torch.rand(()))

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features * self.scale)


class StopsGradients(Sound):
    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features.detach())


class KeepsAConstant(Sound):
    def __init__(self, encoder_features: int, decoder_features: int) -> None:
        super().__init__(encoder_features, decoder_features)
        self.weights = torch.linspace(1, 2, decoder_features)

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features) * self.weights.to(features.dtype)


class ParameterWithoutAPart(Sound):
    def __init__(self, encoder_features: int, decoder_features: int) -> None:
        super().__init__(encoder_features, decoder_features)
        self.idle = nn.Parameter(torch.zeros(3))


class BranchesOnAValue(Sound):
    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features if features.sum() > 0 else 2 * features)


WRONG: list[tuple[type[Sound], str, str]] = [
    (Undocumented, "constructor", "does not tell of 'scale'; expected a line in its Args section"),
    (KeepsTheWidth, "shapes", r"a bridge from 3 to 7 gives of shape \(3, 3\); expected \(3, 7\)\."),
    (Widens, "shapes", "a bridge makes torch.float64 of torch.float32; expected torch.float32. Keep the"),
    (
        LosesALeaf,
        "every_feature",
        "feature 0 of 7 does not depend on feature 2 of 3; expected that every part",
    ),
    (SaysNothing, "every_feature", "feature 0 of 7 does not depend on feature 0 of 3"),
    (StopsGradients, "every_feature", "feature 0 of 7 does not depend on feature 0 of 3"),
    (LosesBits, "mixed_precision", "features in bfloat16 and in float32.*Take what bfloat16 cannot hold"),
    (MeanOverTheBatch, "batch_mates", "features alone and in a batch.*No row may see another"),
    (Draws, "keeps_nothing", "answer changes when the same is asked again; expected the same bits. Draw no"),
    (KeepsTheLast, "keeps_nothing", r"left \['\.kept'\] on the part; expected no change"),
    (WeightIsNoParameter, "keeps_nothing", "in a copy with the same state_dict.*a Parameter"),
    (
        KeepsAConstant,
        "devices",
        r"DeviceMismatch: mul of tensors .* one on the CPU, of shape \(7,\).*a Parameter or a buffer",
    ),
    (StopsGradients, "gradients", "gradients of the bridge that are wrong.*; expected those of finite"),
    (ParameterWithoutAPart, "gradients", "the gradient of parameter idle is zero everywhere; expected that"),
    (MeanOverTheBatch, "every_partner", "(log-probabilities|beam search|score) .*beside the plainest"),
    (BranchesOnAValue, "export", "torch.onnx refuses it.*; expected a graph.*branches on values"),
    (SaysNothing, "learning", r"a model with the bridge copied \d+% of .*; expected at least"),
]


def test_a_sound_bridge_passes() -> None:
    check_bridge(Sound)


@pytest.mark.parametrize(
    ("bridge", "check", "message"), WRONG, ids=lambda value: getattr(value, "__name__", None)
)
def test_a_wrong_bridge_fails(bridge: type[Sound], check: str, message: str) -> None:
    (run,) = (one for one in KITS["bridge"] if one.name == check)
    with pytest.raises(AssertionError, match=f"(?s){message}"):
        run(bridge)


def test_every_check_has_a_bridge_that_it_catches() -> None:
    assert {check for _, check, _ in WRONG} == {check.name for check in KITS["bridge"]}
