"""Ensembles: several models that search together, each with its own state and memory."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from s2s.errors import ConfigError
from s2s.nn.cell import State
from s2s.reserved import UNK
from s2s.search.stepper import Step, Stepper


class StepperEnsemble(Stepper):
    """Averages the members' probabilities at every step; to a strategy it looks like a single model.

    The state is the tuple of the members' states; the attention weights are the mean over the members that
    provide them. The members must share the target vocabulary and the sentences. They may split the source into
    different tokens, but then there are no attention weights. A copied word outside the vocabulary has probability 0
    for a member that does not copy, which reads it as unknown.

    Args:
        members: one stepper per model, for the same sentences.

    Raises:
        ConfigError: there are no members, or they have different numbers of sentences.
    """

    def __init__(self, members: Sequence[Stepper]) -> None:
        if not members:
            raise ConfigError("an ensemble needs at least one member")
        sizes = [len(member.source_lengths) for member in members]
        if len(set(sizes)) > 1:
            raise ConfigError(
                f"the members of an ensemble must have the same sentences, but they have {sizes}"
            )
        self.members = list(members)
        self.source_lengths = members[0].source_lengths

    @property
    def vocabulary_size(self) -> int | None:
        """See `Stepper.vocabulary_size`."""
        return self.members[0].vocabulary_size

    def __call__(self, tokens: Tensor, state: State) -> Step:
        """See `Stepper`; `state` holds one state for each member."""
        steps = [
            member(self._known(tokens, member), own) for member, own in zip(self.members, state, strict=True)
        ]
        vocabularies = [
            member.vocabulary_size or step.log_probs.size(-1)
            for member, step in zip(self.members, steps, strict=True)
        ]
        if len(set(vocabularies)) > 1:
            raise ConfigError(
                f"the members of an ensemble must share their target tokens, but have {vocabularies}"
            )
        widest = max(step.log_probs.size(-1) for step in steps)
        spoken = [
            F.pad(step.log_probs, (0, widest - step.log_probs.size(-1)), value=-torch.inf) for step in steps
        ]
        log_probs = torch.stack(spoken).logsumexp(dim=0) - math.log(len(steps))
        weights = [step.weights for step in steps if step.weights is not None]
        comparable = bool(weights) and len({part.shape for part in weights}) == 1
        return Step(
            log_probs,
            tuple(step.state for step in steps),
            torch.stack(weights).mean(dim=0) if comparable else None,
        )

    @staticmethod
    def _known(tokens: Tensor, member: Stepper) -> Tensor:
        size = member.vocabulary_size
        return tokens if size is None else tokens.masked_fill(tokens >= size, UNK)

    def fingerprints(self) -> Tensor:
        """See `Stepper.fingerprints`; those of the first member, as all read the same text."""
        return self.members[0].fingerprints()

    def keep(self, sentences: Tensor) -> StepperEnsemble:
        """See `Stepper`."""
        return StepperEnsemble([member.keep(sentences) for member in self.members])
