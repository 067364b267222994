"""The conformance kit for heads.

Each check takes a factory (hidden_size, context_size, input_size, vocabulary_size) -> Head: a class, or a partial with
options. A head's `log_probs` define its distribution; all its other results are compared with them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s.errors import ConfigError
from s2s.nn.cell import map_state
from s2s.nn.decoder import Decoded
from s2s.nn.head import Head, HeadLoss
from s2s.nn.top import top
from s2s.nn.twins import holds
from s2s.nn.unroll import length_mask
from s2s.padded import Padded
from s2s.testing import constructors, models
from s2s.testing.comparing import TOLERANCES, expect_close
from s2s.testing.kit import Check, Nonconforming
from s2s.testing.modules import (
    expect_exported,
    expect_gradients,
    expect_nothing_kept,
    expect_same,
    expect_same_bits,
    expect_same_on_accelerator,
    expect_true_gradients,
    unsettle,
    with_gradients,
)

HeadFactory = Callable[[int, int, int, int], Head]

HIDDEN_SIZE, CONTEXT_SIZE, INPUT_SIZE, VOCABULARY = 4, 5, 3, 11
LENGTHS, SOURCE_LENGTHS = (4, 1, 3), (4, 1, 3)  # of target and source


def check_constructor(factory: HeadFactory) -> None:
    """The constructor is typed, documented, and builds from a name alone."""
    constructors.check_constructor(factory)


def check_shapes(factory: HeadFactory) -> None:
    """Log-probabilities for every token of the vocabulary, for all positions and one; with and without attention."""
    for where, head in _built(factory):
        decoded, source = draw_decoded(head), draw_source(head)
        width = VOCABULARY + (max(SOURCE_LENGTHS) if head.copies else 0)
        for one in (decoded, _at(decoded, 0)):
            leading, found = one.hidden.shape[:-1], head.log_probs(one, source)
            if found.shape != (*leading, width):
                raise Nonconforming(
                    f"log_probs of shape {tuple(found.shape)} {where}",
                    f"{(*leading, width)}",
                    "Give one log-probability to each token of the vocabulary and, if `copies` is True, one more for "
                    "each position of the source.",
                )


def check_probabilities(factory: HeadFactory) -> None:
    """Probabilities sum to one, in both precisions and under bfloat16 autocast."""
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        mixed = dtype == torch.bfloat16
        for where, head in _built(factory, torch.float32 if mixed else dtype):
            decoded, source = draw_decoded(head), draw_source(head)
            with torch.autocast(decoded.hidden.device.type, torch.bfloat16, enabled=mixed):
                log_probs = head.log_probs(decoded, source)
            sums = log_probs.double().exp().sum(-1)[target_mask()]
            remedy = "Return log-probabilities: end with log_softmax."
            what = f"the sum of probabilities {where} ({dtype})"
            expect_close(what, sums, torch.ones_like(sums), remedy, TOLERANCES[dtype])


def check_loss(factory: HeadFactory) -> None:
    """The loss is the sum over real tokens of -log_probs, gradients too; with label smoothing if it is set."""
    for smoothing in (0.0, 0.3) if models.takes(factory, "label_smoothing") else (None,):
        for where, head in _built(factory, smoothing=smoothing):
            decoded, source, gold = draw_decoded(head), draw_source(head), draw_gold(head)
            decoded = map_state(torch.Tensor.requires_grad_, decoded)
            found = loss_of(head, decoded, gold, source)
            expected = _loss_by_log_probs(head, decoded, gold, source)
            how = f"of loss and by log_probs ({where}, label_smoothing {head.label_smoothing})"
            remedy = "Let loss match log_probs: a sum over the real tokens, no mean."
            if int(found.tokens) != sum(LENGTHS):
                raise Nonconforming(
                    f"tokens {int(found.tokens)} {how}", f"{sum(LENGTHS)} real ones", "Count mask.sum()."
                )
            if found.nll.requires_grad or not found.total.requires_grad:
                raise Nonconforming(
                    f"gradients of total: {found.total.requires_grad}, of nll: {found.nll.requires_grad} {how}",
                    "one of total, which is minimized, none of nll, which is reported",
                    "Return nll.detach().",
                )
            expect_close(f"nll {how}", found.nll, expected.nll, remedy)
            if head.copies and head.label_smoothing:
                continue  # the head decides over which words it smooths
            inputs = _named(decoded)
            expect_same(
                with_gradients({"total": found.total}, inputs, head),
                with_gradients({"total": expected.total}, inputs, head),
                how,
                remedy,
            )


def check_padding(factory: HeadFactory) -> None:
    """The contents of the padding (NaN, other gold tokens) change no bit of the loss and its gradients."""
    for where, head in _built(factory):
        clean, source, gold = draw_decoded(head), draw_source(head), draw_gold(head)
        results, padding = [], ~target_mask()
        for filling, token in ((0.0, 0), (1e30, 1), (float("inf"), VOCABULARY - 1), (float("nan"), 2)):
            dirty = _fill(clean, padding, filling)
            answer = loss_of(head, dirty, gold.masked_fill(padding, token), source)
            values = {"total": answer.total, "nll": answer.nll}
            results.append((filling, with_gradients(values, _named(dirty), head)))
        for filling, found in results[1:]:
            how = f"when the padding holds {filling} instead of 0 ({where})"
            remedy = "Leave padding out before the first product: 0 * NaN would reach the weights' gradients."
            expect_same_bits(found, results[0][1], how, remedy)


def check_batch_mates(factory: HeadFactory) -> None:
    """A sentence alone, in a batch and in a reordered batch: the same log-probabilities and loss."""
    for where, head in _built(factory):
        decoded, source, gold = draw_decoded(head), draw_source(head), draw_gold(head)
        whole, alone = head.log_probs(decoded, source), []
        remedy = "No row may see another: no mean or normalization over the batch, or over all tokens."
        for row, length in enumerate(LENGTHS):
            index = torch.tensor([row])
            one = map_state(lambda part, i=index, n=length: part[i, :n], decoded)
            own_source = Padded(source.ids[index], source.lengths[index])
            found = head.log_probs(one, own_source)
            how = f"of a sentence in a batch and alone ({where})"
            expect_close(f"log_probs {how}", whole[index, :length], found, remedy)
            mask = torch.ones(1, length, dtype=torch.bool)
            alone.append(loss_of(head, one, gold[index, :length], own_source, mask).total)
        found_loss = loss_of(head, decoded, gold, source).total
        what = f"the loss of a batch and the sum of its sentences' losses ({where})"
        expect_close(what, found_loss, torch.stack(alone).sum(), remedy)
        order = torch.tensor([2, 0, 1])
        shuffled = head.log_probs(_rows(decoded, order), Padded(source.ids[order], source.lengths[order]))
        expect_close(f"log_probs in another order of the batch ({where})", shuffled, whole[order], remedy)


def check_one_step(factory: HeadFactory) -> None:
    """One position gives the same as all at once, also for several beams of a sentence."""
    for where, head in _built(factory):
        decoded, source = draw_decoded(head), draw_source(head)
        whole = head.log_probs(decoded, source)
        remedy = "Work along the last axis; rows are sentences * beams, sentence by sentence."
        found = head.log_probs(_at(decoded, 1), source)
        expect_close(f"log_probs of one position and of all ({where})", found, whole[:, 1], remedy)
        rows = torch.arange(len(LENGTHS)).repeat_interleave(2)
        beams = head.log_probs(_rows(_at(decoded, 1), rows), source)
        expect_close(f"log_probs of two beams per sentence ({where})", beams, whole[rows, 1], remedy)


def check_best(factory: HeadFactory) -> None:
    """`best` gives the top of log_probs except for excluded tokens; ties are broken by the lower token."""
    for where, head in _built(factory):
        _compare_best(head, where)
        with torch.no_grad():
            for parameter in head.parameters():  # now many tokens are equally probable
                parameter.zero_()
        if head.log_probs(_at(draw_decoded(head), 0), draw_source(head)).isfinite().all():
            _compare_best(head, f"{where}, all parameters zero")


def check_among(factory: HeadFactory) -> None:
    """If a head can score only some tokens (`among`), their scores match log_probs."""
    tokens = torch.tensor([9, 2, 5, 3])
    for where, head in _built(factory):
        decoded, source = _at(draw_decoded(head), 0), draw_source(head)
        if not holds(head, "among", "log_probs"):
            return  # not used
        try:
            scores = head.among(tokens)
        except ConfigError:
            return  # not supported
        with torch.no_grad():
            found = scores(decoded)
            expected = head.log_probs(decoded, source)[:, tokens].log_softmax(-1)
            what = f"scores among {tokens.tolist()}, after a softmax ({where})"
            remedy = "Give the scores of these tokens, in their order."
            if found.shape != expected.shape:
                raise Nonconforming(
                    f"scores among {len(tokens)} tokens of shape {tuple(found.shape)} ({where})",
                    f"{tuple(expected.shape)}",
                    remedy,
                )
            expect_close(what, found.log_softmax(-1), expected, remedy)
            found.add_(1e3 * torch.arange(len(tokens)))
            again = scores(decoded).log_softmax(-1)
            expect_close(
                f"{what}, asked again", again, expected, "Return new scores each time: they are overwritten."
            )


def check_copies(factory: HeadFactory) -> None:
    """A copying head gives a token the attention of all its positions, and copies own words only from their source."""
    for where, head in _built(factory):
        if not head.copies:
            continue
        decoded, source = _at(draw_decoded(head), 0), draw_source(head)
        assert decoded.weights is not None
        own, remedy = (
            VOCABULARY,
            "Add the weights of all positions of a token to its probability, and to no other.",
        )
        towards = [
            decoded._replace(weights=torch.eye(max(SOURCE_LENGTHS)).to(decoded.hidden)[[i, 0, i]])
            for i in range(3)
        ]
        at_first, at_other, at_second = (head.log_probs(one, source).exp() for one in towards)
        expect_close(
            f"probabilities when the first and when the second place of a word is attended to ({where})",
            at_first[0],
            at_second[0],
            remedy,
        )
        for token, when, instead in ((own, at_first, at_other), (5, at_other, at_first)):
            if not when[0, token] > instead[0, token]:
                raise Nonconforming(
                    f"that token {token} has probability {float(when[0, token]):.3g} when attention is on it, and "
                    f"{float(instead[0, token]):.3g} when it is elsewhere ({where})",
                    "more when attention is on it",
                    remedy,
                )
        found = head.log_probs(decoded, source).exp()
        strange = found[:, own:].clone()
        strange[0, 0], strange[1, 0], strange[2, :2] = 0.0, 0.0, 0.0
        if strange.max() > torch.finfo(strange.dtype).eps:
            raise Nonconforming(
                f"that words that a source lacks are copied with probability {float(strange.max()):.3g} ({where})",
                "0: ids beyond the vocabulary belong to one sentence",
                remedy,
            )


def check_tie(factory: HeadFactory) -> None:
    """If a head can share the embedding table (`tie`), of any width, it trains it, and its results stay consistent."""
    for width in (HIDDEN_SIZE, HIDDEN_SIZE + 3):
        head = build(factory)
        table = nn.Parameter(torch.randn(VOCABULARY, width, dtype=torch.float64))
        try:
            head.tie(table)
        except ConfigError:
            continue  # not supported
        head = head.double().eval()
        if not any(parameter is table for parameter in head.parameters()):
            raise Nonconforming(
                f"that a head tied to a table of width {width} does not have it among its parameters",
                "the table itself: both train it",
                "Assign it: self.weight = table.",
            )
        decoded, source, gold = draw_decoded(head), draw_source(head), draw_gold(head)
        decoded = map_state(torch.Tensor.requires_grad_, decoded)
        found = loss_of(head, decoded, gold, source)
        values, inputs = {"total": found.total}, {"the table": table, **_named(decoded)}
        gradients = with_gradients(values, inputs, head)
        if not gradients["gradient of the table"].any():
            raise Nonconforming(
                f"that a head tied to a table of width {width} does not read it",
                "that its probabilities depend on it",
                "Multiply with the table.",
            )
        expected = {"total": _loss_by_log_probs(head, decoded, gold, source).total}
        remedy = "Let loss and log_probs read the same weights."
        how = f"of loss and by log_probs, tied to a table of width {width}"
        expect_same(gradients, with_gradients(expected, inputs, head), how, remedy)
        _compare_best(head, f"tied to a table of width {width}")


def check_reads_context(factory: HeadFactory) -> None:
    """`reads_context` is correct: False if and only if no probability depends on the context."""
    head = build(factory)
    decoded, source = draw_decoded(head), draw_source(head)
    assert decoded.context is not None
    changed = decoded._replace(context=torch.randn_like(decoded.context))
    depends = not torch.equal(head.log_probs(decoded, source), head.log_probs(changed, source))
    if not (head.reads_context or not holds(head, "reads_context", "log_probs")):
        if depends:
            raise Nonconforming(
                "that reads_context is False, but log_probs depend on Decoded.context",
                "reads_context = True: else a search may omit the context",
                "Do not override reads_context.",
            )
        without = head.log_probs(decoded._replace(context=None), source)
        remedy = "Do not use Decoded.context, which may be None."
        expect_close("log_probs without a context", without, head.log_probs(decoded, source), remedy)
    elif not depends:
        raise Nonconforming(
            "that reads_context is True, but log_probs do not depend on Decoded.context",
            "reads_context = False: a search then need not compute it",
            "Set reads_context = False on the class; or read the context.",
        )


def check_mixed_precision(factory: HeadFactory) -> None:
    """Under bfloat16 autocast log-probabilities and loss are the same within rounding, and in float32."""
    for where, head in _built(factory, torch.float32):
        source, gold = draw_source(head), draw_gold(head)
        for decoded in (draw_decoded(head), _narrow(draw_decoded(head))):
            with torch.autocast(decoded.hidden.device.type, torch.bfloat16):
                found = _values(head, decoded, gold, source)
            how = f"under bfloat16 autocast, with hidden in {decoded.hidden.dtype} ({where})"
            expected = _values(head, map_state(Tensor.float, decoded), gold, source)
            remedy = "Take softmax and sums in float32."
            expect_same(found, expected, how, remedy, TOLERANCES[torch.bfloat16], types=False)
            for name, value in found.items():
                if value.dtype != torch.float32:
                    raise Nonconforming(
                        f"that {name} is {value.dtype} {how}",
                        "torch.float32",
                        "Compute log-probabilities and sums over tokens in float32: bfloat16 has eight bits, and "
                        "counts to 256.",
                    )


def _narrow(decoded: Decoded) -> Decoded:
    """As a decoder's last products under autocast give it; attention's weights and the embedded inputs are wider."""
    context = None if decoded.context is None else decoded.context.bfloat16()
    return decoded._replace(hidden=decoded.hidden.bfloat16(), context=context)


def check_keeps_nothing(factory: HeadFactory) -> None:
    """The same inputs give the same bits, a run leaves nothing on the part, and its state_dict is complete."""
    like = build(factory)
    source, gold = draw_source(like), draw_gold(like)

    def run(head: Head, decoded: Decoded) -> dict[str, Tensor]:
        best, tokens = head.best(_at(decoded, 0), source, 3, torch.tensor([0]))
        return {**_values(head, decoded, gold, source), "best": best, "best tokens": tokens}

    expect_nothing_kept(lambda: build(factory), draw_decoded, run)


def check_devices(factory: HeadFactory) -> None:
    """On an accelerator, here an emulated one, it computes the same: no tensor stays behind on the CPU."""

    def run(head: Head, inputs: tuple[Decoded, Tensor, Padded]) -> dict[str, Tensor]:
        decoded, gold, source = inputs
        first = torch.zeros(1, dtype=torch.long, device=gold.device)
        with torch.no_grad():
            best, tokens = head.best(_at(decoded, 0), source, 3, first)
        return {**_values(head, decoded, gold, source), "best": best, "best tokens": tokens}

    head = build(factory)
    expect_same_on_accelerator(head, (draw_decoded(head), draw_gold(head), draw_source(head)), run)


def check_gradients(factory: HeadFactory) -> None:
    """Gradients of log_probs match finite differences; hidden and every parameter get one of the loss."""
    for _, head in _built(factory):
        decoded, source, gold = draw_decoded(head), draw_source(head), draw_gold(head)
        decoded = map_state(torch.Tensor.requires_grad_, decoded)
        read = tuple(part for part in decoded if part is not None)

        def run(*parts: Tensor, head: Head = head, source: Padded = source) -> tuple[Tensor, ...]:
            given = Decoded(parts[0], None, None, parts[-1])
            if len(parts) == 4:  # attention gives padding no weight
                weights = parts[2].masked_fill(~source.mask.unsqueeze(1), 0.0)
                given = Decoded(parts[0], parts[1], weights, parts[3])
            found = head.log_probs(given, source)[target_mask()]
            return (found.masked_fill(found == -torch.inf, 0.0),)  # impossible tokens have no gradient

        expect_true_gradients(run, read, "log_probs")
        total = loss_of(head, decoded, gold, source).total
        expect_gradients({"loss": total}, {"hidden": decoded.hidden}, head)


def check_every_partner(factory: HeadFactory) -> None:
    """With every registered decoder, and without attention: teacher forcing equals stepping, beams stay independent."""
    models.expect_exact_beside("head", factory, ("decoder",))
    parts: dict[str, Any] = {"head": factory, "attention": None}
    try:
        model = models.small_model(size=8, **parts)
    except ConfigError:
        return  # it needs attention
    models.expect_exact(model, "without attention")


def check_export(factory: HeadFactory) -> None:
    """One position of several beams can be exported, for any number of sentences of any lengths."""
    head = build(factory, dtype=torch.float32)

    def draw(sentences: int, beams: int, padding: int) -> tuple[Tensor, ...]:
        decoded, source = draw_decoded(head), draw_source(head)
        index = torch.arange(sentences) % len(LENGTHS)
        hidden, context, weights, inputs = (part[index, :beams] for part in decoded if part is not None)
        ids = F.pad(source.ids[index], (0, padding))
        return hidden, context, F.pad(weights, (0, padding)), inputs, ids, source.lengths[index]

    rows = {0: "sentences", 1: "beams"}
    axes = (rows, rows, {**rows, 2: "source"}, rows, {0: "sentences", 1: "source"}, {0: "sentences"})
    expect_exported(_OnePosition(head), draw(3, 2, 0), draw(5, 4, 3), axes)


def check_learning(factory: HeadFactory) -> None:
    """A small model with it learns to copy short sequences in a few seconds."""
    models.expect_to_learn(models.learning_model(head=factory), "a model with the head")


class _OnePosition(nn.Module):
    """Log-probabilities [sentences, beams, ...] as a function of tensors alone."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = head

    def forward(self, *parts: Tensor) -> Tensor:
        decoded = Decoded(*(part.flatten(0, 1) for part in parts[:4]))
        log_probs = self.head.log_probs(decoded, Padded(*parts[4:]))
        return log_probs.unflatten(0, parts[0].shape[:2])  # type: ignore[no-any-return]


def build(
    factory: HeadFactory,
    context_size: int = CONTEXT_SIZE,
    dtype: torch.dtype = torch.float64,
    smoothing: float | None = None,
) -> Head:
    """A head in evaluation mode.

    Args:
        factory: of heads.
        context_size: 0: without attention.
        dtype: of its parameters.
        smoothing: label smoothing; None: the head's default.
    """
    options = {} if smoothing is None else {"label_smoothing": smoothing}
    head: Head = functools.partial(factory, **options)(HIDDEN_SIZE, context_size, INPUT_SIZE, VOCABULARY)
    return unsettle(head.to(dtype)).eval()


def _built(
    factory: HeadFactory, dtype: torch.dtype = torch.float64, smoothing: float | None = None
) -> Iterator[tuple[str, Head]]:
    yield "with attention", build(factory, dtype=dtype, smoothing=smoothing)
    try:
        yield "without attention", build(factory, 0, dtype, smoothing)
    except ConfigError:
        return  # it needs attention


def draw_source(head: Head) -> Padded:
    """Source sentences; for a copying head with own words, one of them twice, and a known token twice."""
    mask = length_mask(torch.tensor(SOURCE_LENGTHS), max(SOURCE_LENGTHS))
    ids = torch.randint(4, VOCABULARY, mask.shape).masked_fill(~mask, 0)
    if head.copies:
        own = VOCABULARY
        ids[0], ids[1, 0], ids[2, :3] = torch.tensor([own, 5, own, 5]), own, torch.tensor([6, own, own + 1])
    return Padded(ids, torch.tensor(SOURCE_LENGTHS))


def draw_gold(head: Head) -> Tensor:
    """Tokens to predict, zero at padding, [batch, target]; for a copying head, some from the sources."""
    gold = torch.randint(1, VOCABULARY, target_mask().shape).masked_fill(~target_mask(), 0)
    if head.copies:
        gold[0, 0], gold[0, 1], gold[2, 1] = VOCABULARY, 5, VOCABULARY + 1
    return gold


def target_mask() -> Tensor:
    """True at real target positions."""
    return length_mask(torch.tensor(LENGTHS), max(LENGTHS))


def draw_decoded(head: Head) -> Decoded:
    """Random decoder outputs, with attention if the head has a context."""
    shape = target_mask().shape
    dtype = next((parameter.dtype for parameter in head.parameters()), torch.float64)
    hidden, inputs = (torch.randn(*shape, width, dtype=dtype) for width in (HIDDEN_SIZE, INPUT_SIZE))
    if not head.context_size:
        return Decoded(hidden, None, None, inputs)
    source = length_mask(torch.tensor(SOURCE_LENGTHS), max(SOURCE_LENGTHS)).unsqueeze(1)
    weights = torch.rand(*shape, max(SOURCE_LENGTHS), dtype=dtype).masked_fill(~source, 0.0)
    context = torch.randn(*shape, CONTEXT_SIZE, dtype=dtype)
    return Decoded(hidden, context, weights / weights.sum(-1, keepdim=True), inputs)


def loss_of(
    head: Head, decoded: Decoded, gold: Tensor, source: Padded, mask: Tensor | None = None
) -> HeadLoss:
    """The head's loss as a model computes it: its own, unless a subclass overrides only `log_probs`."""
    mask = target_mask().to(gold.device) if mask is None else mask
    if holds(head, "loss", "log_probs"):
        return head.loss(decoded, gold, mask, source)
    return Head.loss(head, decoded, gold, mask, source)


def _loss_by_log_probs(head: Head, decoded: Decoded, gold: Tensor, source: Padded) -> HeadLoss:
    # The definition, token by token (label smoothing: Szegedy et al. 2016, section 7).
    log_probs, smoothing = head.log_probs(decoded, source), head.label_smoothing
    total = nll = log_probs.new_zeros(())
    for row, length in enumerate(LENGTHS):
        for time in range(length):
            own = -log_probs[row, time, gold[row, time]]
            nll = nll + own.detach()
            total = total + (1 - smoothing) * own
            if smoothing:
                total = total - smoothing * log_probs[row, time, : head.vocabulary_size].mean()
    return HeadLoss(total, nll, torch.tensor(sum(LENGTHS)))


def _compare_best(head: Head, where: str) -> None:
    decoded, source = _at(draw_decoded(head), 0), draw_source(head)
    for k in (1, 3, VOCABULARY + 50):
        for never in (torch.tensor([0, 1]), torch.tensor([], dtype=torch.int64)):
            with torch.no_grad():
                log_probs = head.log_probs(decoded, source).index_fill(-1, never, -torch.inf)
                ours = holds(head, "best", "log_probs")
                found, tokens = (
                    head.best(decoded, source, k, never)
                    if ours
                    else Head.best(head, decoded, source, k, never)
                )
            expected, expected_tokens = top(log_probs, k)
            what = f"the best {k} without {never.tolist()} ({where})"
            remedy = "Return what top(log_probs, k) returns, float32; excluded tokens keep their share."
            if tokens.shape != expected_tokens.shape or found.dtype != torch.float32:
                raise Nonconforming(
                    f"{what} as {found.dtype}{list(tokens.shape)}",
                    f"torch.float32{list(expected_tokens.shape)}: k is limited by the vocabulary",
                    remedy,
                )
            chosen = expected.isfinite()
            if found[~chosen].isfinite().any():
                raise Nonconforming(f"{what} with more tokens than may be chosen", "-inf for those", remedy)
            expect_close(
                f"log-probabilities of {what}",
                found.where(chosen, 0.0),
                expected.where(chosen, 0.0),
                remedy,
                TOLERANCES[torch.float32],
            )
            if not torch.equal(tokens[chosen], expected_tokens[chosen]):
                raise Nonconforming(
                    f"tokens {tokens.tolist()} as {what}",
                    f"{expected_tokens.tolist()}",
                    "Best first; on ties, the lower token first.",
                )


def _values(head: Head, decoded: Decoded, gold: Tensor, source: Padded) -> dict[str, Tensor]:
    answer = loss_of(head, decoded, gold, source)
    log_probs = head.log_probs(decoded, source)[target_mask().to(gold.device)]
    return {"log_probs": log_probs, "total": answer.total, "nll": answer.nll}


def _named(decoded: Decoded) -> dict[str, Tensor]:
    return {
        name: part
        for name, part in zip(Decoded._fields, decoded, strict=True)
        if part is not None and part.requires_grad
    }


def _at(decoded: Decoded, time: int) -> Decoded:
    one: Decoded = map_state(lambda part: part[:, time], decoded)
    return one


def _rows(decoded: Decoded, index: Tensor) -> Decoded:
    rows: Decoded = map_state(lambda part: part[index], decoded)
    return rows


def _fill(decoded: Decoded, padding: Tensor, filling: float) -> Decoded:
    filled: Decoded = map_state(
        lambda part: part.masked_fill(padding.unsqueeze(-1), filling).requires_grad_(), decoded
    )
    return filled


HEAD_CHECKS = tuple(
    Check("head", run)
    for run in (
        check_constructor,
        check_shapes,
        check_probabilities,
        check_loss,
        check_padding,
        check_batch_mates,
        check_one_step,
        check_best,
        check_among,
        check_copies,
        check_tie,
        check_reads_context,
        check_mixed_precision,
        check_keeps_nothing,
        check_devices,
        check_gradients,
        check_every_partner,
        check_export,
        check_learning,
    )
)
