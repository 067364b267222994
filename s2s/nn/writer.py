"""What writes tokens one after the other, and all that a search asks of it, with or without a source."""

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
    """An embedding of what was said, a decoder, and a head that says the next token; a subclass makes them.

    Attributes:
        target_embedding: of the tokens that are said.
        decoder: reads them from left to right.
        head: predicts the next one.
    """

    target_embedding: Embedding
    decoder: Decoder
    head: Head

    @abstractmethod
    def encode(self, source: Padded) -> tuple[Any, State]:
        """What is done once per sentence.

        Returns:
            The decoder's memory (one row per sentence; None without attention) and its state before the first token.
        """

    @property
    def vocabulary_size(self) -> int:
        """Target tokens, without what a head copies."""
        return self.head.vocabulary_size

    def tie_head(self) -> None:
        """Make the target embedding the output weights of the head.

        Raises:
            ConfigError: the embedding has no table, or the head cannot.
        """
        table = self.target_embedding.table()
        if table is None:
            raise ConfigError(
                f"tie_head needs an embedding with a table, but {type(self.target_embedding).__name__} has none; "
                "set model.tie_head: false"
            )
        self.head.tie(table)

    def known(self, tokens: Tensor) -> Tensor:
        """Tokens as an embedding knows them: to it, a sentence's own words (see `Head.copies`) are unknown."""
        return tokens.masked_fill(tokens >= self.head.vocabulary_size, UNK) if self.head.copies else tokens

    def read(self, tokens: Tensor) -> Tensor:
        """What the decoder reads of target tokens, [...] to [..., input]."""
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
        """`Decoder.forward`, by steps where the decoder's fast way is not a twin of its step."""
        fast = holds(self.decoder, "forward", "step", "step_folded", "fold_tokens")
        run = self.decoder.forward if fast else self.decoder.forward_stepwise
        return run(vectors, lengths, memory, state, next_input=next_input)

    def head_loss(self, decoded: Decoded, gold: Tensor, mask: Tensor, source: Padded) -> HeadLoss:
        """`Head.loss`, in the general way where the head's own is not a twin of its `log_probs`."""
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
            head: instead of the model's own.

        Returns:
            Log-probabilities, see `Head.log_probs`, the next state, attention's weights [rows, source] or None.
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
        """`decode_step` for those who need the best tokens only.

        Args:
            tokens: as for `decode_step`; so are `memory`, `state` and `source`.
            k: how many tokens.
            never: tokens that are not chosen, [tokens] of int64.
            head: instead of the model's own.

        Returns:
            Log-probabilities [rows, k], tokens [rows, k], see `Head.best`; the next state; attention's weights or None.
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
