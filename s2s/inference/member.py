"""One model of an ensemble, which mostly has only one."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import torch

from s2s.errors import ConfigError
from s2s.inference.bundle import Bundle
from s2s.inference.windows import encodable
from s2s.nn.cell import State
from s2s.nn.prepared import Prepared
from s2s.nn.shortlist import Shortlisted
from s2s.padded import Padded
from s2s.search.stepper import ModelStepper
from s2s.text.batch import pad
from s2s.text.extended import ExtendedVocabulary
from s2s.text.shortlist import Shortlist

Tokens = list[int]


class Member:
    """A bundle's model, ready for step-by-step decoding.

    Args:
        bundle: its model is moved to the device.
        device: where it computes.
        narrow: see `Prepared`.
    """

    def __init__(self, bundle: Bundle, device: torch.device, *, narrow: bool) -> None:
        self.bundle = bundle
        self.device = device
        self.prepared = Prepared(bundle.model.to(device).eval(), narrow=narrow)
        self._read_tokens = 0  # until the model is folded
        self._is_folded = False
        self._folding = threading.Lock()

    @property
    def copies(self) -> bool:
        """Whether it reads and generates out-of-vocabulary words; see `Head.copies`."""
        return self.bundle.model.head.copies

    def encode(self, lines: Sequence[str]) -> list[Tokens]:
        """The source tokens of lines; every str is a line."""
        return self.bundle.source_tokenizer.encode_batch([encodable(line) for line in lines])

    def extended(
        self, vocabularies: Sequence[ExtendedVocabulary], lines: Sequence[str], sources: Sequence[Tokens]
    ) -> list[Tokens]:
        """Source tokens with each line's out-of-vocabulary words, which are added to its vocabulary."""
        return [
            list(vocabulary.source(encodable(line), source))
            for vocabulary, line, source in zip(vocabularies, lines, sources, strict=True)
        ]

    def fold_when_it_pays(self, tokens: int) -> None:
        """Fold the model once enough tokens are translated; see `Prepared.fold`."""
        # Folding reads every token of the vocabulary once. While a thread does it, others go on without, and so does a
        # process forked in the meantime, where nobody would release the lock.
        if self._is_folded or not self._folding.acquire(blocking=False):
            return
        try:
            self._read_tokens += tokens
            if self._read_tokens >= self.bundle.model.target_embedding.vocabulary_size:
                self.prepared.fold()
                self._is_folded = True  # or there is nothing to fold
        finally:
            self._folding.release()

    def begin(
        self, sources: list[Tokens], candidates: Shortlist | None, first: Padded | None, *, with_weights: bool
    ) -> tuple[ModelStepper, State]:
        """A stepper for these sources, and the state before the first token.

        Args:
            sources: tokens of each sentence.
            candidates: the shortlist to use.
            first: the sentences in the tokens of the first model, for the shortlist; None if this is the first model.
            with_weights: see `ModelStepper`.
        """
        source = pad(sources).to(self.device)
        memory, state = self.prepared.encode(source)
        head = (
            None if candidates is None else self._shortlisted(source if first is None else first, candidates)
        )
        return ModelStepper(self.prepared, source, memory, with_weights=with_weights, head=head), state

    def _shortlisted(self, source: Padded, shortlist: Shortlist) -> Shortlisted:
        candidates, always = (
            torch.from_numpy(tokens).long().to(self.device)
            for tokens in (shortlist.candidates(source.ids.cpu().numpy()), shortlist.always)
        )
        return Shortlisted(self.prepared.model.head, candidates, always)


def check_targets(bundles: Sequence[Bundle]) -> None:
    """Check that models can form an ensemble: all must have the same target pieces, in the same order.

    Raises:
        ConfigError: one has different ones.
    """
    if len(bundles) == 1:
        return
    first = _pieces(bundles[0])
    together = "but only models with the same pieces can translate together; train them with one tokenizer"
    for number, bundle in enumerate(bundles[1:], start=2):
        other = _pieces(bundle)
        if len(first) != len(other):
            raise ConfigError(
                f"the first model has {len(first)} target pieces and number {number} has {len(other)}, {together}"
            )
        for place, (piece, another) in enumerate(zip(first, other, strict=True)):
            if piece != another:
                raise ConfigError(
                    f"target piece {place} is {piece!r} in the first model and {another!r} in number {number}, "
                    f"{together}"
                )


def same_sources(one: Bundle, other: Bundle) -> bool:
    """Whether two models split a source into the same tokens, so that their attention weights can be compared."""
    return one.source_tokenizer.fingerprint() == other.source_tokenizer.fingerprint()


def _pieces(bundle: Bundle) -> list[str]:
    return bundle.target_tokenizer.tokens(range(bundle.target_tokenizer.vocabulary_size))
