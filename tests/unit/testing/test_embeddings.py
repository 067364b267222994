"""The kit of embeddings against embeddings that are wrong, each in one way: the right check must say so."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s.nn import Embedding
from s2s.testing import KITS, check_embedding, models


@pytest.fixture(autouse=True)
def little_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough for the sound one, too."""
    monkeypatch.setattr(models, "STEPS", 75)


class Sound(Embedding):
    """A sound embedding; each wrong one differs in one place.

    Args:
        size: width of a vector.
    """

    def __init__(self, vocabulary_size: int, *, size: int = 16) -> None:
        super().__init__(vocabulary_size, size=size)
        self.weight = nn.Parameter(torch.empty(vocabulary_size, size).normal_(std=0.1))

    def forward(self, tokens: Tensor) -> Tensor:
        return F.embedding(tokens, self.weight)

    def several(self, *tokens: Tensor) -> list[Tensor]:
        flat = self(torch.cat([some.flatten() for some in tokens]))
        parts = flat.split([some.numel() for some in tokens])
        return [part.view(*some.shape, -1) for part, some in zip(parts, tokens, strict=True)]

    def table(self) -> nn.Parameter | None:
        return self.weight


class Undocumented(Sound):
    """An option that nobody explains."""

    def __init__(self, vocabulary_size: int, *, size: int = 16) -> None:
        super().__init__(vocabulary_size, size=size)


class HasItsOwnSize(Sound):
    def __init__(self, vocabulary_size: int, *, size: int = 16) -> None:
        super().__init__(vocabulary_size)


class CountsOneMore(Sound):
    def __init__(self, vocabulary_size: int, *, size: int = 16) -> None:
        super().__init__(vocabulary_size + 1, size=size)


class ToldTooNarrow(Sound):
    def forward(self, tokens: Tensor) -> Tensor:
        vectors = super().forward(tokens)
        return torch.cat([vectors, vectors], dim=-1)


class KnowsThePlace(Sound):
    def forward(self, tokens: Tensor) -> Tensor:
        return super().forward(tokens) + torch.arange(tokens.size(-1)).unsqueeze(-1)


class TwoOfAKind(Sound):
    def forward(self, tokens: Tensor) -> Tensor:
        return super().forward(tokens.clamp(min=1))


class SeveralForget(Sound):
    def several(self, *tokens: Tensor) -> list[Tensor]:
        return super().several(*tokens[:1])


class SeveralDiffer(Sound):
    def several(self, *tokens: Tensor) -> list[Tensor]:
        return [2 * vectors for vectors in super().several(*tokens)]


class SeveralStopGradients(Sound):
    def several(self, *tokens: Tensor) -> list[Tensor]:
        first, *others = super().several(*tokens)
        return [first, *(vectors.detach() for vectors in others)]


class TableIsACopy(Sound):
    def table(self) -> nn.Parameter | None:
        return nn.Parameter(self.weight.detach().clone())


class TableLiesAcross(Sound):
    def table(self) -> nn.Parameter | None:
        return nn.Parameter(self.weight.t())


class TableIsNotRead(Sound):
    """What an output layer would share is not what tokens are looked up in."""

    def __init__(self, vocabulary_size: int, *, size: int = 16) -> None:
        super().__init__(vocabulary_size, size=size)
        self.other = nn.Parameter(torch.randn(vocabulary_size, size))

    def table(self) -> nn.Parameter | None:
        return self.other


class LosesBits(Sound):
    """A large constant drowns the vectors where there are only eight bits."""

    def forward(self, tokens: Tensor) -> Tensor:
        vectors = super().forward(tokens)
        narrow = vectors.bfloat16() if torch.is_autocast_enabled("cpu") else vectors
        return (narrow + 1000.0 - 1000.0).to(vectors.dtype)


class Draws(Sound):
    def forward(self, tokens: Tensor) -> Tensor:
        vectors = super().forward(tokens)
        return vectors * torch.rand_like(vectors)


class KeepsTheLast(Sound):
    def forward(self, tokens: Tensor) -> Tensor:
        self.kept = super().forward(tokens)
        return self.kept


class WeightIsNoParameter(Sound):
    def __init__(self, vocabulary_size: int, *, size: int = 16) -> None:
        super().__init__(vocabulary_size, size=size)
        self.scale = float(torch.rand(()))

    def forward(self, tokens: Tensor) -> Tensor:
        return super().forward(tokens) * self.scale


class AnswersOnTheCPU(Sound):
    def forward(self, tokens: Tensor) -> Tensor:
        return super().forward(tokens).cpu()


class InfiniteGradients(Sound):
    """The root of zero has no slope."""

    def forward(self, tokens: Tensor) -> Tensor:
        vectors = super().forward(tokens)
        return vectors + (vectors - vectors).sqrt()


class ParameterWithoutAPart(Sound):
    def __init__(self, vocabulary_size: int, *, size: int = 16) -> None:
        super().__init__(vocabulary_size, size=size)
        self.idle = nn.Parameter(torch.zeros(3))


class MeanOverTheBatch(Sound):
    def forward(self, tokens: Tensor) -> Tensor:
        vectors = super().forward(tokens)
        return vectors - vectors.mean(0) if tokens.size(0) > 1 else vectors


class BranchesOnAValue(Sound):
    def forward(self, tokens: Tensor) -> Tensor:
        vectors = super().forward(tokens)
        return vectors if vectors.sum() > 0 else 2 * vectors


class SaysNothing(Sound):
    def forward(self, tokens: Tensor) -> Tensor:
        return 0 * super().forward(tokens)


WRONG: list[tuple[type[Sound], str, str]] = [
    (Undocumented, "constructor", "does not tell of 'size'; expected a line in its Args section"),
    (HasItsOwnSize, "shapes", "size=6 makes an embedding of size 16; expected 6. Pass size on"),
    (CountsOneMore, "shapes", "a vocabulary_size of 12; expected 11, as it was given"),
    (
        ToldTooNarrow,
        "shapes",
        r"vectors of tokens \(11,\) of shape \(11, 12\); expected \(11, 6\)\. pass size",
    ),
    (KnowsThePlace, "every_token", "vectors of tokens in a batch and alone.*depends on its token alone"),
    (TwoOfAKind, "every_token", "tokens 0 and 1 have the same vector; expected that each token has its own"),
    (SeveralForget, "several", "1 answers of several; expected 3. Return one per input"),
    (SeveralDiffer, "several", "vectors 0 of several and one by one.*Override several together with forward"),
    (SeveralStopGradients, "several", "gradient of parameter weight of several and one by one"),
    (TableIsACopy, "table", "a table that is no parameter of the embedding; expected the parameter itself"),
    (TableLiesAcross, "table", r"the table of shape \(6, 11\); expected \(11, 6\)\. return the parameter"),
    (TableIsNotRead, "table", "rows of the table that no token's vector depends on.*Return None if"),
    (LosesBits, "mixed_precision", "vectors in bfloat16 and in float32.*Take what bfloat16 cannot hold"),
    (Draws, "keeps_nothing", "vectors changes when the same is asked again; expected the same bits. Draw no"),
    (KeepsTheLast, "keeps_nothing", r"left \['\.kept'\] on the part; expected no change"),
    (WeightIsNoParameter, "keeps_nothing", "in a copy with the same state_dict.*a Parameter"),
    (
        AnswersOnTheCPU,
        "devices",
        r"vectors on the CPU for inputs on an accelerator; expected the same device",
    ),
    (
        InfiniteGradients,
        "gradients",
        "the gradient of parameter weight is not finite; expected finite numbers",
    ),
    (ParameterWithoutAPart, "gradients", "the gradient of parameter idle is zero everywhere; expected that"),
    (MeanOverTheBatch, "every_partner", "(log-probabilities|beam search|score) .*beside the plainest"),
    (BranchesOnAValue, "export", "torch.onnx refuses it.*; expected a graph.*branches on values"),
    (SaysNothing, "learning", r"a model with the embedding copied \d+% of .*; expected at least"),
]


def test_a_sound_embedding_passes() -> None:
    check_embedding(Sound)


@pytest.mark.parametrize(
    ("embedding", "check", "message"), WRONG, ids=lambda value: getattr(value, "__name__", None)
)
def test_a_wrong_embedding_fails(embedding: type[Sound], check: str, message: str) -> None:
    (run,) = (one for one in KITS["embedding"] if one.name == check)
    with pytest.raises(AssertionError, match=f"(?s){message}"):
        run(embedding)


def test_every_check_has_an_embedding_that_it_catches() -> None:
    assert {check for _, check, _ in WRONG} == {check.name for check in KITS["embedding"]}
