"""Constraints on outputs: steppers that bar tokens, so that every strategy can be constrained."""

from __future__ import annotations

import copy
import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from s2s.errors import ConfigError
from s2s.nn.cell import State
from s2s.search.stepper import Step, Stepper
from s2s.text.tokenizer import BOS, EOS, PAD

_NONE = -1
"""Placeholder where there is no token."""


class Constraint(ABC):
    """Bars tokens depending on the tokens before them."""

    @abstractmethod
    def barred(self, prefixes: Tensor) -> Tensor:
        """The tokens that may not follow.

        Args:
            prefixes: the tokens generated so far, without bos, [sentences, beams, time].

        Returns:
            [sentences, beams, barred] of int64, -1 where there is none; with as few columns as is practical.
        """

    def keep(self, sentences: Tensor) -> Constraint:
        """See `Stepper.keep`; a constraint that is the same for all sentences stays as it is."""
        return self


class NoRepeatNgram(Constraint):
    """No n-gram twice in an output (Paulus et al. 2018, who bar trigrams).

    Args:
        size: tokens per n-gram; 1 bars every token that was already generated.

    Raises:
        ConfigError: a size below 1.
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ConfigError(f"no_repeat_ngram {size} is impossible; it must be 1 token or more")
        self.size = size

    def barred(self, prefixes: Tensor) -> Tensor:
        """See `Constraint.barred`."""
        if prefixes.size(-1) < self.size:
            return prefixes[..., :0]
        ngrams = prefixes.unfold(-1, self.size, 1)  # [sentences, beams, ngrams, size]
        begun = prefixes[..., prefixes.size(-1) - self.size + 1 :].unsqueeze(-2)
        seen = (ngrams[..., :-1] == begun).all(dim=-1)
        return torch.where(seen, ngrams[..., -1], _NONE)


class Banned(Constraint):
    """Token sequences that an output must not contain, separate for each sentence.

    Args:
        sequences: the banned token sequences of each sentence, each at least one token long.
        device: device of the prefixes.

    Raises:
        ConfigError: an empty sequence, or a negative token.
    """

    def __init__(
        self, sequences: Sequence[Sequence[Sequence[int]]], *, device: torch.device | str = "cpu"
    ) -> None:
        for sequence in itertools.chain(*sequences):
            if not sequence or min(sequence) < 0:
                raise ConfigError(
                    f"banned sequence {list(sequence)} is impossible; it needs one token or more, each 0 or more"
                )
        longest = max(map(len, itertools.chain(*sequences)), default=1)
        most = max(map(len, sequences), default=0)
        padded = [
            [[_NONE] * (longest - len(sequence)) + list(sequence) for sequence in own]
            + [[_NONE] * longest] * (most - len(own))
            for own in sequences
        ]
        table = torch.tensor(padded, dtype=torch.int64, device=device).view(len(sequences), most, longest)
        self._begins = table[..., :-1]  # [sentences, sequences, longest - 1]
        self._ends = table[..., -1]  # [sentences, sequences]

    def barred(self, prefixes: Tensor) -> Tensor:
        """See `Constraint.barred`."""
        length = self._begins.size(-1)
        missing = prefixes.new_full((*prefixes.shape[:-1], length), _NONE - 1)  # matches nothing
        latest = torch.cat([missing, prefixes], dim=-1)[..., prefixes.size(-1) :]
        begins, ends = self._begins.unsqueeze(1), self._ends.unsqueeze(1)  # the same for all beams
        begun = ((latest.unsqueeze(-2) == begins) | (begins == _NONE)).all(dim=-1)
        return torch.where(begun, ends, _NONE)

    def keep(self, sentences: Tensor) -> Banned:
        """See `Constraint.keep`."""
        kept = copy.copy(self)
        kept._begins, kept._ends = self._begins[sentences], self._ends[sentences]
        return kept


class Said(NamedTuple):
    """The state of constrained beams.

    Attributes:
        tokens: all tokens so far, bos first, [rows, time].
        inner: state of the wrapped stepper.
    """

    tokens: Tensor
    inner: State


class ConstrainedStepper(Stepper):
    """Wraps another stepper and excludes barred tokens.

    The other tokens keep the log-probabilities that the model gives them: a constrained output has the score that the
    model gives to it, and probabilities of a step no longer sum to one. If all tokens are barred, the hypothesis ends
    unfinished.

    `best` is taken from the whole distribution, so that no barred token takes the place of another. (Requesting as many
    extra candidates as there are barred tokens is exact as well, but measured slower.)

    Constraints do not apply within a forced prefix, but its n-grams count for the tokens after it.

    Args:
        stepper: the stepper to constrain, a single model or an ensemble.
        constraints: apply to all of the sentences.
        forced: the tokens that each output begins with, for each sentence; an empty prefix forces nothing. A limit may
            cut it short.

    Raises:
        ConfigError: there is not one forced prefix per sentence, or one contains a reserved token.
    """

    def __init__(
        self,
        stepper: Stepper,
        constraints: Sequence[Constraint] = (),
        forced: Sequence[Sequence[int]] | None = None,
        *,
        _table: Tensor | None = None,
    ) -> None:
        self.stepper = stepper
        self.constraints = list(constraints)
        self.source_lengths = stepper.source_lengths
        self._forced = self._forced_table(forced) if _table is None else _table

    def _forced_table(self, forced: Sequence[Sequence[int]] | None) -> Tensor:
        # [sentences, longest], -1 where nothing is forced
        sentences = len(self.source_lengths)
        forced = [[]] * sentences if forced is None else forced
        if len(forced) != sentences:
            raise ConfigError(f"{len(forced)} forced prefixes for {sentences} sentences; give one for each")
        for prefix in forced:
            if min(prefix, default=0) < 0 or {PAD, BOS, EOS} & set(prefix):
                raise ConfigError(
                    f"forced prefix {list(prefix)} is impossible; padding ({PAD}), begin ({BOS}) and end ({EOS}) of "
                    "the sentence cannot be said"
                )
        longest = max(map(len, forced), default=0)
        padded = [[*prefix, *[_NONE] * (longest - len(prefix))] for prefix in forced]
        table = torch.tensor(padded, dtype=torch.int64, device=self.source_lengths.device)
        return table.view(sentences, longest)

    @property
    def vocabulary_size(self) -> int | None:
        """See `Stepper.vocabulary_size`."""
        return self.stepper.vocabulary_size

    def begin(self, state: State) -> Said:
        """The state before the first token.

        Args:
            state: of the wrapped stepper, before its first token.
        """
        sentences = len(self.source_lengths)
        return Said(
            torch.zeros(sentences, 0, dtype=torch.int64, device=self.source_lengths.device),
            state,
        )

    def __call__(self, tokens: Tensor, state: Said) -> Step:
        """See `Stepper`; `state` comes from `begin` or the previous step."""
        said = self._said(tokens, state)
        step = self.stepper(tokens, state.inner)
        prefixes = said.view(*tokens.shape, said.size(1))[..., 1:]
        barred, wanted = self._barred(prefixes), self._wanted(prefixes.size(-1))
        log_probs = step.log_probs
        if barred.size(-1):
            possible = (barred >= 0) & (barred < log_probs.size(-1))
            bars = torch.where(possible, -torch.inf, torch.inf).to(log_probs.dtype)
            log_probs = log_probs.scatter_reduce(-1, torch.where(possible, barred, 0), bars, "amin")
        if wanted is not None:
            others = torch.arange(log_probs.size(-1), device=tokens.device) != wanted.unsqueeze(1)
            others &= (wanted >= 0).unsqueeze(1)
            log_probs = log_probs.masked_fill(others.unsqueeze(1), -torch.inf)
        return Step(log_probs, Said(said, step.state), step.weights)

    def fingerprints(self) -> Tensor:
        """See `Stepper.fingerprints`."""
        return self.stepper.fingerprints()

    def keep(self, sentences: Tensor) -> ConstrainedStepper:
        """See `Stepper`."""
        constraints = [constraint.keep(sentences) for constraint in self.constraints]
        return ConstrainedStepper(self.stepper.keep(sentences), constraints, _table=self._forced[sentences])

    @staticmethod
    def _said(tokens: Tensor, state: Said) -> Tensor:
        return torch.cat([state.tokens, tokens.reshape(-1, 1)], dim=1)

    def _wanted(self, time: int) -> Tensor | None:
        # The token that is forced after `time` others, -1 where none is, [sentences]; None where none is at all.
        return self._forced[:, time] if time < self._forced.size(1) else None

    def _barred(self, prefixes: Tensor) -> Tensor:
        parts = [constraint.barred(prefixes) for constraint in self.constraints]
        if not parts:
            return prefixes[..., :0]
        barred = torch.cat(parts, dim=-1)
        wanted = self._wanted(prefixes.size(-1))
        if wanted is not None:
            barred = barred.masked_fill((wanted >= 0).view(-1, 1, 1), _NONE)
        return barred


def constrain(
    stepper: Stepper,
    state: State,
    *,
    no_repeat_ngram: int | None = None,
    banned: Sequence[Sequence[Sequence[int]]] | None = None,
    forced: Sequence[Sequence[int]] | None = None,
) -> tuple[Stepper, State]:
    """Add constraints to a stepper and its first state; without constraints, both are returned unchanged.

    Args:
        stepper: the stepper to constrain.
        state: its state before the first token.
        no_repeat_ngram: see `NoRepeatNgram`.
        banned: see `Banned`; None bans nothing.
        forced: see `ConstrainedStepper`.

    Raises:
        ConfigError: an invalid constraint.
    """
    constraints: list[Constraint] = []
    if no_repeat_ngram is not None:
        constraints.append(NoRepeatNgram(no_repeat_ngram))
    banned = banned or []
    if any(banned):
        sentences = len(stepper.source_lengths)
        if len(banned) != sentences:
            raise ConfigError(
                f"{len(banned)} lists of what is banned for {sentences} sentences; give one for each"
            )
        constraints.append(Banned(banned, device=stepper.source_lengths.device))
    if not constraints and not any(forced or ()):
        return stepper, state
    constrained = ConstrainedStepper(stepper, constraints, forced)
    return constrained, constrained.begin(state)
