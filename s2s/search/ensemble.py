"""Ensembles: several models that search together, each with its own state and memory."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from s2s.errors import ConfigError
from s2s.nn.cell import State
from s2s.search.stepper import Step, Stepper


class StepperEnsemble(Stepper):
    """The mean of the members' probabilities at every step. A strategy sees no difference from a single
    model.

    The state is the tuple of the members' states; the attention weights are the mean of those that members
    give. The members must agree on the target vocabulary, and on the sentences, though not on how they split
    them into source tokens: weights are given only if they do.

    Args:
        members: one stepper for each model, of the same sentences.

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

    def __call__(self, tokens: Tensor, state: State) -> Step:
        """See `Stepper`; `state` holds one state for each member."""
        steps = [member(tokens, own) for member, own in zip(self.members, state, strict=True)]
        vocabularies = [step.log_probs.size(-1) for step in steps]
        if len(set(vocabularies)) > 1:
            raise ConfigError(
                f"the members of an ensemble must share their target tokens, but have {vocabularies}"
            )
        log_probs = torch.stack([step.log_probs for step in steps]).logsumexp(dim=0) - math.log(len(steps))
        weights = [step.weights for step in steps if step.weights is not None]
        comparable = bool(weights) and len({part.shape for part in weights}) == 1
        return Step(
            log_probs,
            tuple(step.state for step in steps),
            torch.stack(weights).mean(dim=0) if comparable else None,
        )

    def fingerprints(self) -> Tensor:
        """See `Stepper.fingerprints`; of the first member, for all read the same text."""
        return self.members[0].fingerprints()

    def keep(self, sentences: Tensor) -> StepperEnsemble:
        """See `Stepper`."""
        return StepperEnsemble([member.keep(sentences) for member in self.members])
