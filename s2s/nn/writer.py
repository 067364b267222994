"""The base of models that generate tokens from left to right, with all that a search needs; the source is optional."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn

from s2s.errors import ConfigError
from s2s.nn.cell import State
from s2s.nn.decoder import Decoded, Decoder, NextInput
from s2s.nn.embedding import Embedding
from s2s.nn.head import Head, HeadLoss
from s2s.nn.shortlist import Shortlisted
from s2s.nn.twins import holds
from s2s.padded import Padded
from s2s.reserved import UNK


class Writer(nn.Module, ABC):
    """A target embedding, a decoder, and a head that predicts the next token; a subclass builds them.

    Attributes:
        target_embedding: of the target tokens.
        decoder: reads them from left to right.
        head: predicts the next one.
    """

    target_embedding: Embedding
    decoder: Decoder
    head: Head

    @abstractmethod
    def encode(self, source: Padded) -> tuple[Any, State]:
        """Encode the source, once per sentence.

        Returns:
            The decoder's memory (one row per sentence; None without attention) and its state before the first token.
        """

    @property
    def source_vocabulary_size(self) -> int:
        """Number of source tokens; 0 without a source."""
        return 0

    def fold_source(self, tokens: Tensor) -> State:
        """The part of `encode` that depends on each token alone, precomputed for the whole vocabulary; None: nothing.

        Args:
            tokens: source tokens, [...].

        Returns:
            Structured like a state, leaves [..., P].
        """
        return None

    def encode_folded(self, source: Padded, folded: State) -> tuple[Any, State]:
        """`encode`, given `fold_source` of the whole vocabulary in its order; only called without gradients."""
        return self.encode(source)

    @property
    def vocabulary_size(self) -> int:
        """Number of target tokens, without those that a head copies."""
        return self.head.vocabulary_size

    def tie_head(self) -> None:
        """Make the target embedding the output weights of the head.

        Raises:
            ConfigError: the embedding has no table, or the head does not support it.
        """
        table = self.target_embedding.table()
        if table is None:
            raise ConfigError(
                f"tie_head needs an embedding with a table, but {type(self.target_embedding).__name__} has none; "
                "set model.tie_head: false"
            )
        self.head.tie(table)

    def known(self, tokens: Tensor) -> Tensor:
        """Tokens for an embedding: copied words that are not in the vocabulary (see `Head.copies`) become unknown."""
        return tokens.masked_fill(tokens >= self.head.vocabulary_size, UNK) if self.head.copies else tokens

    def read(self, tokens: Tensor) -> Tensor:
        """Embed target tokens for the decoder, [...] to [..., input]."""
        vectors: Tensor = self.target_embedding(self.known(tokens))
        return vectors

    def forced(
        self,
        vectors: Tensor,
        lengths: Tensor,
        memory: Any,
        state: State,
        *,
        next_input: NextInput | None = None,
    ) -> tuple[Decoded, State]:
        """`Decoder.forward`, or step by step if the decoder's own is not valid for its `step` (see `holds`)."""
        fast = holds(self.decoder, "forward", "step", "step_folded", "fold_tokens")
        run = self.decoder.forward if fast else self.decoder.forward_stepwise
        return run(vectors, lengths, memory, state, next_input=next_input)

    def head_loss(self, decoded: Decoded, gold: Tensor, mask: Tensor, source: Padded) -> HeadLoss:
        """`Head.loss`, or the general one if the head's own is not valid for its `log_probs` (see `holds`)."""
        if holds(self.head, "loss", "log_probs"):
            return self.head.loss(decoded, gold, mask, source)
        return Head.loss(self.head, decoded, gold, mask, source)

    def decode_step(
        self, tokens: Tensor, memory: Any, state: State, source: Padded, head: Shortlisted | None = None
    ) -> tuple[Tensor, State, Tensor | None]:
        """Read one token per row and predict the next.

        Args:
            tokens: [rows]; rows = sentences * beams, sentence-major.
            memory: of `sentences` sentences.
            state: leaves [rows, ...].
            source: the sentences.
            head: replaces the model's own.

        Returns:
            Log-probabilities, see `Head.log_probs`, the next state, attention weights [rows, source] or None.
        """
        decoded, state = self.decoder.step(self.read(tokens), memory, state)
        return (head or self.head).log_probs(decoded, source), state, decoded.weights

    def decode_best(
        self,
        tokens: Tensor,
        memory: Any,
        state: State,
        source: Padded,
        k: int,
        never: Tensor,
        head: Shortlisted | None = None,
    ) -> tuple[Tensor, Tensor, State, Tensor | None]:
        """`decode_step` for searches that need only the best tokens.

        Args:
            tokens: as for `decode_step`; so are `memory`, `state` and `source`.
            k: number of tokens.
            never: tokens that are not chosen, [tokens] of int64.
            head: replaces the model's own.

        Returns:
            Log-probabilities [rows, k], tokens [rows, k], see `Head.best`; the next state; attention weights or None.
        """
        decoded, state = self.decoder.step(self.read(tokens), memory, state)
        return *self.best(decoded, source, k, never, head), state, decoded.weights

    def best(
        self, decoded: Decoded, source: Padded, k: int, never: Tensor, head: Shortlisted | None = None
    ) -> tuple[Tensor, Tensor]:
        """The best tokens of one step, see `Head.best`."""
        if head is not None or holds(self.head, "best", "log_probs"):
            return (head or self.head).best(decoded, source, k, never)
        return Head.best(self.head, decoded, source, k, never)
