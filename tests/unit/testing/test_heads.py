"""The kit of heads against heads that are wrong, each in one way: the right check must say so."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s.nn import Decoded, Head, HeadLoss, top_log_probs
from s2s.padded import Padded
from s2s.testing import KITS, check_head, models
from s2s_plugins.heads.pointer_generator import PointerGenerator


@pytest.fixture(autouse=True)
def little_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough for the sound one, too."""
    monkeypatch.setattr(models, "STEPS", 75)


class Sound(Head):
    """A sound head that reads the context, with ways of its own; each wrong one differs in one place.

    Args:
        label_smoothing: share of the target spread evenly over the vocabulary.
    """

    def __init__(
        self,
        hidden_size: int,
        context_size: int,
        input_size: int,
        vocabulary_size: int,
        *,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(
            hidden_size, context_size, input_size, vocabulary_size, label_smoothing=label_smoothing
        )
        self.mix = nn.Linear(hidden_size + context_size, hidden_size)
        self.weight = nn.Parameter(torch.empty(vocabulary_size, hidden_size).normal_(std=hidden_size**-0.5))
        self.narrow: nn.Linear | None = None

    def mixed(self, decoded: Decoded) -> Tensor:
        parts = [decoded.hidden] if decoded.context is None else [decoded.hidden, decoded.context]
        mixed = torch.tanh(self.mix(torch.cat(parts, dim=-1)))
        return mixed if self.narrow is None else self.narrow(mixed)

    def log_probs(self, decoded: Decoded, source: Padded) -> Tensor:
        logits = F.linear(self.mixed(decoded), self.weight)
        return logits.log_softmax(-1, dtype=torch.promote_types(logits.dtype, torch.float32))

    def best(self, decoded: Decoded, source: Padded, k: int, never: Tensor) -> tuple[Tensor, Tensor]:
        return top_log_probs(F.linear(self.mixed(decoded), self.weight).float(), k, never)

    def among(self, tokens: Tensor) -> Callable[[Decoded], Tensor]:
        weight = self.weight[tokens]
        return lambda decoded: F.linear(self.mixed(decoded), weight)

    def tie(self, table: nn.Parameter) -> None:
        if table.size(1) != self.hidden_size:
            self.narrow = nn.Linear(self.hidden_size, table.size(1), bias=False)
        self.weight = table

    def loss(self, decoded: Decoded, gold: Tensor, mask: Tensor, source: Padded) -> HeadLoss:
        parts = Decoded(*(None if part is None else part[mask] for part in decoded))  # type: ignore[arg-type]
        log_probs = self.log_probs(parts, source)
        nll = -log_probs.gather(-1, gold[mask].unsqueeze(-1)).sum()
        smooth = -log_probs.mean(-1).sum()
        total = (1 - self.label_smoothing) * nll + self.label_smoothing * smooth
        return HeadLoss(total, nll.detach(), mask.sum())


class Undocumented(Sound):
    """An option that nobody explains."""


class LosesAToken(Sound):
    def log_probs(self, decoded: Decoded, source: Padded) -> Tensor:
        return super().log_probs(decoded, source)[..., 1:].log_softmax(-1)


class Unnormalized(Sound):
    def log_probs(self, decoded: Decoded, source: Padded) -> Tensor:
        return F.linear(self.mixed(decoded), self.weight)


class LossIsAMean(Sound):
    def loss(self, decoded: Decoded, gold: Tensor, mask: Tensor, source: Padded) -> HeadLoss:
        total, nll, tokens = super().loss(decoded, gold, mask, source)
        return HeadLoss(total / tokens, nll / tokens, tokens)


class LossIsNotSmooth(Sound):
    def loss(self, decoded: Decoded, gold: Tensor, mask: Tensor, source: Padded) -> HeadLoss:
        log_probs = self.log_probs(decoded, source).gather(-1, gold.unsqueeze(-1)).squeeze(-1)
        total = -log_probs.masked_fill(~mask, 0.0).sum()
        return HeadLoss(total, total.detach(), mask.sum())


class CountsPadding(Sound):
    def loss(self, decoded: Decoded, gold: Tensor, mask: Tensor, source: Padded) -> HeadLoss:
        return super().loss(decoded, gold, mask, source)._replace(tokens=torch.tensor(mask.numel()))


class TellsWithGradients(Sound):
    def loss(self, decoded: Decoded, gold: Tensor, mask: Tensor, source: Padded) -> HeadLoss:
        answer = super().loss(decoded, gold, mask, source)
        return answer._replace(nll=answer.total)


class LossStopsGradients(Sound):
    def loss(self, decoded: Decoded, gold: Tensor, mask: Tensor, source: Padded) -> HeadLoss:
        context = None if decoded.context is None else decoded.context.detach()
        return super().loss(decoded._replace(context=context), gold, mask, source)


class MasksTooLate(Sound):
    """The loss is right; but in the gradient of the weights zero meets NaN."""

    def loss(self, decoded: Decoded, gold: Tensor, mask: Tensor, source: Padded) -> HeadLoss:
        total = -self.log_probs(decoded, source).gather(-1, gold.unsqueeze(-1))[mask].sum()
        return HeadLoss(total, total.detach(), mask.sum())


class MeanOverTheBatch(Sound):
    def mixed(self, decoded: Decoded) -> Tensor:
        mixed = super().mixed(decoded)
        return mixed - mixed.mean(0)


class PositionsMix(Sound):
    def mixed(self, decoded: Decoded) -> Tensor:
        mixed = super().mixed(decoded)
        return mixed.cumsum(1) if mixed.dim() == 3 else mixed


class SecondBeamsDiffer(Sound):
    def mixed(self, decoded: Decoded) -> Tensor:
        mixed = super().mixed(decoded)
        factor = 2.0 if mixed.dim() == 2 and len(mixed) > 3 else 1.0
        return mixed * factor


class BestForgetsNever(Sound):
    def best(self, decoded: Decoded, source: Padded, k: int, never: Tensor) -> tuple[Tensor, Tensor]:
        return super().best(decoded, source, k, never[:0])


class BestSharesOutAnew(Sound):
    """What is never chosen loses its share of the probability."""

    def best(self, decoded: Decoded, source: Padded, k: int, never: Tensor) -> tuple[Tensor, Tensor]:
        scores = F.linear(self.mixed(decoded), self.weight).index_fill(-1, never, -torch.inf)
        return top_log_probs(scores.float(), k, never[:0])


class BestOfEqualsIsTheHigher(Sound):
    def best(self, decoded: Decoded, source: Padded, k: int, never: Tensor) -> tuple[Tensor, Tensor]:
        log_probs = self.log_probs(decoded, source).index_fill(-1, never, -torch.inf).float()
        values, places = log_probs.flip(-1).sort(dim=-1, descending=True, stable=True)
        return values[:, :k], (self.vocabulary_size - 1 - places)[:, :k]


class BestIsTooPrecise(Sound):
    def best(self, decoded: Decoded, source: Padded, k: int, never: Tensor) -> tuple[Tensor, Tensor]:
        values, tokens = super().best(decoded, source, k, never)
        return values.double(), tokens


class AmongInOtherOrder(Sound):
    def among(self, tokens: Tensor) -> Callable[[Decoded], Tensor]:
        return super().among(tokens.sort().values)


class AmongGivesAll(Sound):
    def among(self, tokens: Tensor) -> Callable[[Decoded], Tensor]:
        return super().among(torch.arange(self.vocabulary_size))


class AmongGivesTheSameAgain(Sound):
    def among(self, tokens: Tensor) -> Callable[[Decoded], Tensor]:
        scores, kept = super().among(tokens), dict[int, Tensor]()
        return lambda decoded: kept.setdefault(0, scores(decoded))


class TiesACopy(Sound):
    def tie(self, table: nn.Parameter) -> None:
        super().tie(nn.Parameter(table.detach().clone()))


class TieIsNotRead(Sound):
    def tie(self, table: nn.Parameter) -> None:
        self.table = table


class TieIsReadInPart(Sound):
    tied: Tensor | None = None

    def tie(self, table: nn.Parameter) -> None:
        self.tied = self.weight.detach().double()
        super().tie(table)

    def best(self, decoded: Decoded, source: Padded, k: int, never: Tensor) -> tuple[Tensor, Tensor]:
        if self.tied is None:
            return super().best(decoded, source, k, never)
        mixed = torch.tanh(self.mix(torch.cat([decoded.hidden, decoded.context], dim=-1)))  # type: ignore[list-item]
        return top_log_probs(F.linear(mixed, self.tied).float(), k, never)


class ReadsTheContextInSecret(Sound):
    reads_context = False


class SaysThatItReadsTheContext(Sound):
    def mixed(self, decoded: Decoded) -> Tensor:
        context = None if decoded.context is None else torch.zeros_like(decoded.context)
        return super().mixed(decoded._replace(context=context))


class TouchesTheContext(SaysThatItReadsTheContext):
    reads_context = False


class LosesBits(Sound):
    """A large constant drowns the scores where there are only eight bits."""

    def mixed(self, decoded: Decoded) -> Tensor:
        mixed = super().mixed(decoded)
        return mixed + 1000.0 - 1000.0


class SumsInBfloat16(Sound):
    def loss(self, decoded: Decoded, gold: Tensor, mask: Tensor, source: Padded) -> HeadLoss:
        answer = super().loss(decoded, gold, mask, source)
        narrow = torch.is_autocast_enabled("cpu")
        return answer._replace(total=answer.total.bfloat16() if narrow else answer.total)


class AnswersInTheTypeOfHidden(Sound):
    """In bfloat16 if the decoder says so, which its last product does under autocast."""

    def log_probs(self, decoded: Decoded, source: Padded) -> Tensor:
        return super().log_probs(decoded, source).to(decoded.hidden.dtype)


class Draws(Sound):
    def mixed(self, decoded: Decoded) -> Tensor:
        mixed = super().mixed(decoded)
        return mixed + torch.rand_like(mixed)


class KeepsTheLast(Sound):
    def mixed(self, decoded: Decoded) -> Tensor:
        self.kept = super().mixed(decoded)
        return self.kept


class WeightIsNoParameter(Sound):
    def __init__(
        self,
        hidden_size: int,
        context_size: int,
        input_size: int,
        vocabulary_size: int,
        *,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(
            hidden_size, context_size, input_size, vocabulary_size, label_smoothing=label_smoothing
        )
        self.scale = float(torch.rand(()))

    def mixed(self, decoded: Decoded) -> Tensor:
        return super().mixed(decoded) * self.scale


class MasksOnTheCPU(Sound):
    def mixed(self, decoded: Decoded) -> Tensor:
        mixed = super().mixed(decoded)
        return mixed * torch.ones(mixed.size(-1), dtype=mixed.dtype)


class StopsGradients(Sound):
    def mixed(self, decoded: Decoded) -> Tensor:
        return super().mixed(decoded._replace(hidden=decoded.hidden.detach()))


class ParameterWithoutAPart(Sound):
    def __init__(
        self,
        hidden_size: int,
        context_size: int,
        input_size: int,
        vocabulary_size: int,
        *,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(
            hidden_size, context_size, input_size, vocabulary_size, label_smoothing=label_smoothing
        )
        self.idle = nn.Parameter(torch.zeros(3))


class BranchesOnAValue(Sound):
    def mixed(self, decoded: Decoded) -> Tensor:
        mixed = super().mixed(decoded)
        return mixed if mixed.sum() > 0 else 2 * mixed


class SaysNothing(Sound):
    def mixed(self, decoded: Decoded) -> Tensor:
        return 0 * super().mixed(decoded)


class WiderThanItSays(PointerGenerator):
    copies = False


class CopiesTheFirstOccurrence(PointerGenerator):
    """Of positions with the same token, one gives its weight."""

    def log_probs(self, decoded: Decoded, source: Padded) -> Tensor:
        weights = decoded.weights
        assert weights is not None
        earlier = (source.ids.unsqueeze(1) == source.ids.unsqueeze(2)).tril(-1).any(-1)
        lost = earlier.repeat_interleave(len(weights) // len(earlier), 0)
        lost = lost.unsqueeze(1) if weights.dim() == 3 else lost
        return super().log_probs(decoded._replace(weights=weights.masked_fill(lost, 0.0)), source)


class CopiesNothing(PointerGenerator):
    def log_probs(self, decoded: Decoded, source: Padded) -> Tensor:
        generated = self.softmax.log_probs(decoded, source)
        return F.pad(generated, (0, source.ids.size(1)), value=-torch.inf)


class CopiesToEverySentence(PointerGenerator):
    """Own words that a sentence has not are given a share as well."""

    def log_probs(self, decoded: Decoded, source: Padded) -> Tensor:
        log_probs = super().log_probs(decoded, source)
        own = log_probs[..., self.vocabulary_size :]
        known = log_probs[..., : self.vocabulary_size]
        return torch.cat([known, torch.logaddexp(own, torch.full_like(own, -3.0))], -1).log_softmax(-1)


WRONG: list[tuple[type[Head], str, str]] = [
    (Undocumented, "constructor", "does not tell of 'label_smoothing'; expected a line in its Args section"),
    (
        LosesAToken,
        "shapes",
        r"log_probs of shape \(3, 4, 10\) with attention; expected \(3, 4, 11\).*Give one",
    ),
    (
        Unnormalized,
        "probabilities",
        "the sum of probabilities with attention.*; expected 1 .*with log_softmax",
    ),
    (LossIsAMean, "loss", "nll of loss and by log_probs .*a sum over the real tokens, no mean"),
    (LossIsNotSmooth, "loss", "total of loss and by log_probs .*label_smoothing 0.3"),
    (CountsPadding, "loss", "tokens 12 of loss .*; expected 8 real ones. Count mask.sum"),
    (TellsWithGradients, "loss", "gradients of total: True, of nll: True .*; expected one of total"),
    (LossStopsGradients, "loss", "gradient of context of loss and by log_probs"),
    (MasksTooLate, "padding", "gradient of .* changes when the padding holds inf.*before the first product"),
    (MeanOverTheBatch, "batch_mates", "log_probs of a sentence in a batch and alone.*No row may see another"),
    (PositionsMix, "one_step", "log_probs of one position and of all.*Work along the last axis"),
    (SecondBeamsDiffer, "one_step", "log_probs of two beams per sentence"),
    (
        BestForgetsNever,
        "best",
        r"the best \d without \[0, 1\].*excluded tokens keep their share",
    ),
    (BestSharesOutAnew, "best", r"log-probabilities of the best 1 without \[0, 1\]"),
    (BestOfEqualsIsTheHigher, "best", "tokens .*all parameters zero.*on ties, the lower token first"),
    (BestIsTooPrecise, "best", r"the best 1 .* as torch.float64\[3, 1\]; expected torch.float32\[3, 1\]"),
    (AmongInOtherOrder, "among", r"scores among \[9, 2, 5, 3\], after a softmax.*in their order"),
    (AmongGivesAll, "among", r"scores among 4 tokens of shape \(3, 11\).*; expected \(3, 4\)"),
    (AmongGivesTheSameAgain, "among", "asked again.*Return new scores each time: they are overwritten"),
    (
        TiesACopy,
        "tie",
        "tied to a table of width 4 does not have it among its parameters; expected the table",
    ),
    (TieIsNotRead, "tie", "tied to a table of width 4 does not read it; expected that its probabilities"),
    (TieIsReadInPart, "tie", "the best 1 .*tied to a table of width 4"),
    (
        ReadsTheContextInSecret,
        "reads_context",
        "reads_context is False, but log_probs depend.*; expected reads",
    ),
    (
        SaysThatItReadsTheContext,
        "reads_context",
        "reads_context is True, but log_probs do not depend.*Set reads",
    ),
    (TouchesTheContext, "reads_context", "mat1 and mat2 shapes cannot be multiplied"),
    (LosesBits, "mixed_precision", "log_probs under bfloat16 autocast.*Take softmax and sums in float32"),
    (AnswersInTheTypeOfHidden, "mixed_precision", "log_probs is torch.bfloat16 .* with hidden in torch.bfl"),
    (
        SumsInBfloat16,
        "mixed_precision",
        "total is torch.bfloat16 under .*; expected torch.float32. Compute log-pr",
    ),
    (Draws, "keeps_nothing", "changes when the same is asked again; expected the same bits. Draw nothing"),
    (KeepsTheLast, "keeps_nothing", r"left \['\.kept'\] on the part; expected no change"),
    (WeightIsNoParameter, "keeps_nothing", "in a copy with the same state_dict.*a Parameter"),
    (
        MasksOnTheCPU,
        "devices",
        r"DeviceMismatch: mul of tensors .* one on the CPU, of shape .*beside a given one",
    ),
    (StopsGradients, "gradients", "gradients of log_probs that are wrong.*; expected those of finite"),
    (ParameterWithoutAPart, "gradients", "the gradient of parameter idle is zero everywhere; expected that"),
    (MeanOverTheBatch, "every_partner", "(log-probabilities|beam search|score) .*beside the plainest"),
    (BranchesOnAValue, "export", "torch.onnx refuses it.*; expected a graph.*branches on values"),
    (WiderThanItSays, "shapes", r"log_probs of shape \(3, 4, 15\) with attention; expected \(3, 4, 11\)"),
    (CopiesTheFirstOccurrence, "copies", "when the first and when the second place of a word is attended to"),
    (
        CopiesNothing,
        "copies",
        "token 11 has probability 0 when attention is on it, and 0 when it is elsewhere",
    ),
    (CopiesToEverySentence, "copies", "words that a source lacks are copied with probability 0.0"),
    (SaysNothing, "learning", r"a model with the head copied \d+% of .*; expected at least"),
]


def test_a_sound_head_passes() -> None:
    check_head(Sound)


@pytest.mark.parametrize(
    ("head", "check", "message"), WRONG, ids=lambda value: getattr(value, "__name__", None)
)
def test_a_wrong_head_fails(head: type[Head], check: str, message: str) -> None:
    (run,) = (one for one in KITS["head"] if one.name == check)
    with pytest.raises((AssertionError, RuntimeError), match=f"(?s){message}"):
        run(head)


def test_every_check_has_a_head_that_it_catches() -> None:
    assert {check for _, check, _ in WRONG} == {check.name for check in KITS["head"]}
