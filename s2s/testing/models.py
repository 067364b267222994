"""Small whole models around a part, to check it together with other parts."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from s2s.errors import ConfigError, S2SError
from s2s.nn import Seq2Seq
from s2s.padded import Padded
from s2s.registry import catalogue
from s2s.registry.parts import factory, options
from s2s.search.hypotheses import Hypothesis
from s2s.search.stepper import ModelStepper
from s2s.search.strategy import SearchStrategy
from s2s.testing.comparing import expect_close
from s2s.testing.kit import Nonconforming, part_of, told
from s2s.text.batch import pad, pad_targets
from s2s.text.tokenizer import BOS, EOS

PARTNERS = {
    "cell": "LSTM",
    "attention": "LuongGeneral",
    "embedding": "Lookup",
    "encoder": "Recurrent",
    "bridge": "Linear",
    "decoder": "Recurrent",
    "head": "Softmax",
    "search": "Beam",
}
"""The other parts of a model in which a part is checked. Any registered part would do; these are the plainest."""

LEARNER = "Elman"
"""The cell of models trained to check another part: it learns short sequences in a third of an LSTM's time."""

LETTERS = tuple(range(4, 12))
VOCABULARY = 12
SENTENCES = ((4, 5, 6, 7, 8), (9,), (10, 11, 4))
OWN_SENTENCES = ((12, 5, 13, 5, 12), (9,), (10, 12, 4))
"""For models that copy: 12 and 13 are a sentence's own words."""

Part = Callable[..., Any]


def registered(kind: str) -> Iterator[tuple[str, Part]]:
    """Name and factory of every part of a kind that can be imported."""
    for name in catalogue().names(kind):
        try:
            yield name, factory(kind, name)
        except S2SError:
            continue  # not the fault of the part; `s2s plugins list` shows it


def takes(part: Part, option: str) -> bool:
    """Whether a part has an option that is not fixed already."""
    return option in options(part_of(part)) and option not in getattr(part, "keywords", {})


def with_options(part: Part, **wanted: Any) -> Part:
    """A part with the wanted options, except those that it lacks or that are fixed already."""
    return functools.partial(part, **{k: v for k, v in wanted.items() if takes(part, k)})


def small_model(*, size: int = 6, tied: bool = False, **parts: Part | None) -> Seq2Seq:
    """A model of tiny parts over `VOCABULARY` tokens.

    Args:
        size: of embeddings, states and anything else that has one.
        tied: share one embedding for both sides, and its table with the head.
        **parts: factories by kind (cell, attention, embedding, encoder, bridge, decoder, head), instead of
            `PARTNERS`; a cell is used in encoder and decoder.
    """
    chosen: dict[str, Any] = {
        kind: factory(kind, name) for kind, name in PARTNERS.items() if kind != "search"
    }
    chosen |= parts
    inner = {"cell": chosen["cell"], "attention": chosen["attention"]}
    return Seq2Seq(
        VOCABULARY,
        VOCABULARY,
        embedding=with_options(chosen["embedding"], size=size),
        encoder=with_options(chosen["encoder"], hidden_size=size, **inner),
        bridge=chosen["bridge"],
        decoder=with_options(chosen["decoder"], hidden_size=2 * size, **inner),  # as wide as both directions
        head=chosen["head"],
        share_embeddings=tied,
        tie_head=tied,
    )


def expect_exact_beside(kind: str, part: Part, partner_kinds: Sequence[str], *, size: int = 8) -> None:
    """`expect_exact` with the plainest partners, then with each registered part of some kinds.

    Args:
        kind: of the part.
        part: its factory.
        partner_kinds: the kinds to vary; a partner that refuses its sizes is skipped.
        size: see `small_model`.
    """
    chosen: dict[str, Any] = {kind: part}
    expect_exact(small_model(size=size, **chosen), "beside the plainest parts")
    for partner_kind in partner_kinds:
        for name, partner in registered(partner_kind):
            beside: dict[str, Any] = {**chosen, partner_kind: partner}
            expect_exact_with(f"with {partner_kind} {name}", size=size, **beside)


def expect_exact_with(partner: str, **small: Any) -> None:
    """`expect_exact` of a small model, unless the partner refuses its sizes.

    Args:
        partner: how the model differs, in words.
        **small: see `small_model`.

    Raises:
        Nonconforming: names the partner, whatever was raised.
    """
    try:
        try:
            model = small_model(**small)
        except ConfigError:
            return  # sizes that it refuses
        expect_exact(model, partner)
    except Nonconforming:
        raise
    except Exception as error:  # of either
        remedy = "Fix what raised it: the part, or its partner if that also fails with other parts."
        raise Nonconforming(f"{partner}: {told(error)}", "no error", remedy) from error


def expect_exact(model: Seq2Seq, what: str) -> None:
    """Check that teacher forcing equals stepping, and that a search finds the same alone and in a batch.

    Args:
        model: any model over `VOCABULARY` tokens; it is put into float64.
        what: its name in messages.
    """
    model = model.double().eval()
    with torch.no_grad():
        for parameter in model.parameters():  # larger than trained ones, so that leaks show
            parameter.mul_(2)
    sentences = OWN_SENTENCES if model.head.copies else SENTENCES
    source, target = pad(sentences), pad_targets(tuple(reversed(sentences)))
    inputs = Padded(target.ids[:, :-1], target.lengths - 1)
    with torch.no_grad():
        at_once = model.head.log_probs(model(source, inputs), source)
        memory, state = model.encode(source)
        real = inputs.mask
        for time, tokens in enumerate(inputs.ids.unbind(1)):
            one, state, _ = model.decode_step(tokens, memory, state, source)
            rows = real[:, time]
            remedy = "A step must depend on its row and its state alone."
            expect_close(f"log-probabilities at step {time} {what}", one[rows], at_once[rows, time], remedy)
        together = search(model, source, limit=5)
        for row, found in enumerate(together):
            index = torch.tensor([row])
            length = int(source.lengths[row])
            alone = search(model, Padded(source.ids[index, :length], source.lengths[index]), limit=5)[0]
            _expect_same(found, alone, what)


def search(model: Seq2Seq, source: Padded, strategy: SearchStrategy | None = None, limit: int = 8) -> Any:
    """Hypotheses of each sentence."""
    strategy = strategy or with_options(factory("search", PARTNERS["search"]), size=3)()
    memory, state = model.encode(source)
    stepper = ModelStepper(model, source, memory)
    limits = torch.full_like(source.lengths, limit)
    return strategy.search(stepper, state, bos=BOS, eos=EOS, limits=limits)


def _expect_same(found: list[Hypothesis], alone: list[Hypothesis], what: str) -> None:
    if [one.tokens for one in found] != [one.tokens for one in alone]:
        raise Nonconforming(
            f"that beam search {what} gives {[one.tokens for one in found]} in a batch",
            f"{[one.tokens for one in alone]}, as for the sentence alone",
            "No row may see another; every leaf of a state or memory is [batch, ...].",
        )
    for one, other in zip(found, alone, strict=True):
        scores = torch.tensor([one.score, other.score], dtype=torch.float64)
        expect_close(
            f"the score of a hypothesis in a batch {what}", scores[:1], scores[1:], "No row may see another."
        )


def learning_model(*, size: int = 24, **parts: Part | None) -> Seq2Seq:
    """A `small_model` that learns quickly."""
    chosen: dict[str, Any] = {"cell": factory("cell", LEARNER), **parts}
    return small_model(size=size, **chosen)


def expect_to_learn(
    model: Seq2Seq, what: str, *, reverse: bool = False, longest: int = 5, steps: int | None = None
) -> None:
    """Check that after a few seconds of training, the model copies (or reverses) unseen short sequences.

    Args:
        model: any model over `VOCABULARY` tokens.
        what: its name in messages.
        reverse: the target is the source from right to left.
        longest: most letters of a sequence; the shortest has two.
        steps: most training steps, of 32 sequences each; None: `STEPS`.
    """
    steps = STEPS if steps is None else steps
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, steps)
    held_out, learnt = _sequences(64, longest, seed=1), 0.0
    asked = {tuple(one) for one in held_out}
    for step in range(steps):
        model.train()
        sources = [one for one in _sequences(32, longest, seed=2 + step) if tuple(one) not in asked]
        source, target = pad(sources), pad_targets([one[::-1] if reverse else one for one in sources])
        inputs = Padded(target.ids[:, :-1], target.lengths - 1)
        loss = model.loss(source, inputs, target.ids[:, 1:])
        optimizer.zero_grad()
        (loss.total / loss.tokens).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if (step + 1) % ASKED_EVERY == 0 or step + 1 == steps:
            learnt = _share_learnt(model, held_out, reverse=reverse)
            if learnt >= LEARNT:
                return
    verb = "reversed" if reverse else "copied"
    raise Nonconforming(
        f"that {what} {verb} {learnt:.0%} of {len(held_out)} held-out sequences after {steps} steps",
        f"at least {LEARNT:.0%}",
        "Check the initialization, and look for saturated gates and detached gradients.",
    )


def _share_learnt(model: Seq2Seq, held_out: list[list[int]], *, reverse: bool) -> float:
    model.eval()
    with torch.no_grad():
        found = [one[0].tokens for one in search(model, pad(held_out))]
    wanted = [one[::-1] if reverse else one for one in held_out]
    return sum(map(list.__eq__, found, wanted)) / len(wanted)


STEPS = 300
"""Most training steps. The parts that come with s2s need 25 to 125."""

ASKED_EVERY = 25
"""Steps between evaluations, each of which takes as long as two steps."""

LEARNT = 0.75
"""Share of held-out sequences. A guess is almost never right (8 letters, 2 to 5 in a row); cells whose gates do not see
the state learn more slowly than others: 0.92 and more after all steps."""


def _sequences(number: int, longest: int, seed: int) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(2, longest + 1, (number,), generator=generator).tolist()
    letters: Tensor = torch.randint(LETTERS[0], LETTERS[-1] + 1, (number, longest), generator=generator)
    return [row[:length] for row, length in zip(letters.tolist(), lengths, strict=True)]
