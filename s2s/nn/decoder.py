"""Decoders: from a state and the tokens so far to the inputs of an output head."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from s2s.nn.cell import State
from s2s.nn.encoder import Encoded
from s2s.nn.unroll import length_mask, stand_still
from s2s.nn.weight_gradients import gathered_weight_gradients


class Decoded(NamedTuple):
    """A decoder's output, the input of a head. The leading axes are [batch, target], or [batch] for one step.

    Attributes:
        hidden: what the next token is predicted from, [..., hidden].
        context: attention context, [..., context]; None without attention, and after `Decoder.fold_memory`.
        weights: attention weights, [..., source]; None without attention.
        inputs: the embedded tokens that were read, [..., input].
    """

    hidden: Tensor
    context: Tensor | None
    weights: Tensor | None
    inputs: Tensor


NextInput = Callable[[Decoded, int], Tensor]
"""Called with the `Decoded` of time t, and t + 1; returns the input [batch, input] at t + 1 (scheduled sampling)."""


class Decoder(nn.Module, ABC):
    """Reads target tokens from left to right, starting from the encoded source.

    Args:
        input_size: width of the embedded tokens.
        memory_size: width of the encoder outputs.
        hidden_size: width of `Decoded.hidden`.
        context_size: width of `Decoded.context`; 0 without attention.
        feature_size: width F of the bridge's output that `start` receives.
    """

    def __init__(
        self, input_size: int, memory_size: int, *, hidden_size: int, context_size: int, feature_size: int
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.memory_size = memory_size
        self.hidden_size = hidden_size
        self.context_size = context_size
        self.feature_size = feature_size

    @abstractmethod
    def start(self, encoded: Encoded, features: Tensor) -> tuple[Any, State]:
        """Compute the memory and the initial state, once per sentence.

        Args:
            encoded: the encoder's output.
            features: the bridge's output, [batch, F].

        Returns:
            The memory (State-like, one row per sentence; None without attention) and the state before the first token.
        """

    def redraw(self, state: State) -> State:
        """The same state with newly sampled noise, for the next segment of a long text.

        `start` samples noise once per sentence. A decoder with noise in its state overrides this.

        Args:
            state: leaves [batch, ...].
        """
        return state

    @abstractmethod
    def step(self, input: Tensor, memory: Any, state: State) -> tuple[Decoded, State]:
        """Read one token.

        Args:
            input: embedded tokens, [rows, input]; rows = sentences * beams, sentence-major.
            memory: of `sentences` sentences.
            state: leaves [rows, ...].
        """

    def fold_tokens(self, vectors: Tensor) -> Tensor | None:
        """The part of `step` that depends on the token alone, precomputed for the whole vocabulary; None: nothing.

        Args:
            vectors: embedded tokens, [..., input].

        Returns:
            [..., P]; `step_folded` receives the rows of the tokens that it reads.
        """
        return None

    def step_folded(self, folded: Tensor, input: Tensor, memory: Any, state: State) -> tuple[Decoded, State]:
        """`step` with the output of `fold_tokens` for the same tokens, [rows, P]."""
        return self.step(input, memory, state)

    def fold_memory(self, memory: Any) -> Any:
        """A memory for steps whose `Decoded.context` is not used (it may be None); by default the memory itself.

        What the decoder does to every context can thus be done to the memory, once per sentence.
        """
        return memory

    def forward(
        self,
        inputs: Tensor,
        lengths: Tensor,
        memory: Any,
        state: State,
        *,
        next_input: NextInput | None = None,
    ) -> tuple[Decoded, State]:
        """Read all tokens at once (teacher forcing), with the same results as one `step` at a time.

        Args:
            inputs: embedded tokens, [batch, target, input].
            lengths: real positions, at least 1, [batch].
            memory: as returned by `start`.
            state: as returned by `start`.
            next_input: provides the input of each step but the first; None: `inputs` does.

        Returns:
            Decoded with leading axes [batch, target], and the state after each row's last real position.
        """
        return self.forward_stepwise(inputs, lengths, memory, state, next_input=next_input)

    def forward_stepwise(
        self,
        inputs: Tensor,
        lengths: Tensor,
        memory: Any,
        state: State,
        *,
        next_input: NextInput | None = None,
    ) -> tuple[Decoded, State]:
        """`forward` by `step` alone: the slow reference for faster implementations."""
        mask = length_mask(lengths, inputs.size(1))
        inputs = inputs.masked_fill(~mask.unsqueeze(-1), 0.0)
        shortest = int(lengths.min())
        steps: list[Decoded] = []
        with gathered_weight_gradients():
            for time, gold in enumerate(inputs.unbind(1)):
                given = gold if next_input is None or time == 0 else next_input(steps[-1], time)
                decoded, following = self.step(given, memory, state)
                steps.append(decoded)
                state = following if time < shortest else stand_still(mask[:, time], following, state)
        return stack_steps(steps), state


def stack_steps(steps: list[Decoded]) -> Decoded:
    """Stack single steps, each [batch, ...], into one Decoded [batch, target, ...]."""

    def stack(parts: list[Tensor | None]) -> Tensor | None:
        present = [part for part in parts if part is not None]
        return torch.stack(present, dim=1) if present else None

    return Decoded(
        torch.stack([step.hidden for step in steps], dim=1),
        stack([step.context for step in steps]),
        stack([step.weights for step in steps]),
        torch.stack([step.inputs for step in steps], dim=1),
    )
