"""The multiply-adds of the model's own matrix products, counted from the architecture alone.

Padding is not counted, looking up an embedding is no product, and additions of biases, gates and softmax are left out.
With D the width of an embedding, H the units of a cell, V the pieces, and encoder outputs of width 2H, one layer each:

    once per source token    encoder, both directions        2 x 4H (D + H)
                             attention's keys                2H x H
    once per sentence        bridge of hidden and memory     4H x 2H
    once per target token    decoder                         4H (D + H), with input feeding 4H (D + 2H)
                             attention, of S source tokens   S (H + 2H)        scores, and the weighted mean
                             attentional vector              (H + 2H) H
                             output layer                    H V

A further layer of the encoder reads 2H instead of D, one of the decoder H; each enlarges the bridge. Training costs
three times the forward pass: the gradients of both factors of every product are products of the same size.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Architecture:
    """The benchmark's model in its widths."""

    embedding: int = 512
    hidden: int = 512
    layers: int = 1
    vocabulary: int = 8_000
    feeding: bool = False

    def per_source_token(self) -> int:
        """Encoder and keys."""
        widths = [self.embedding, *[2 * self.hidden] * (self.layers - 1)]
        cells = sum(2 * 4 * self.hidden * (width + self.hidden) for width in widths)
        return cells + 2 * self.hidden * self.hidden

    def per_sentence(self) -> int:
        """The bridge: hidden and memory of both directions of all layers to those of the decoder's."""
        return (4 * self.hidden * self.layers) * (2 * self.hidden * self.layers)

    def per_target_token(self, source_tokens: int) -> int:
        """Decoder, attention and output layer."""
        first = self.embedding + (self.hidden if self.feeding else 0)
        widths = [first, *[self.hidden] * (self.layers - 1)]
        cells = sum(4 * self.hidden * (width + self.hidden) for width in widths)
        attention = source_tokens * 3 * self.hidden
        return cells + attention + 3 * self.hidden * self.hidden + self.hidden * self.vocabulary

    def forward(self, source_tokens: int, target_tokens: int) -> int:
        """One pair, one pass, every target token (the end counted) once."""
        return (
            source_tokens * self.per_source_token()
            + self.per_sentence()
            + target_tokens * self.per_target_token(source_tokens)
        )

    def training(self, pairs: Sequence[tuple[int, int]]) -> int:
        """Forward and backward over pairs of (source tokens, target tokens with the end)."""
        return 3 * sum(self.forward(source, target) for source, target in pairs)

    def decoding(self, pairs: Sequence[tuple[int, int]], *, beam: int = 1) -> int:
        """Translating: the first step has one hypothesis per sentence, every other `beam` of them.

        Args:
            pairs: (source tokens, tokens of the output with its end); what a search drops is not counted.
            beam: hypotheses per sentence.
        """
        return sum(self.forward(source, 1 + beam * (target - 1)) for source, target in pairs)

    def read_per_token(self) -> int:
        """Parameters that one greedy step of one sentence must read: decoder, output layer, one embedding row."""
        without_attention = self.per_target_token(0)
        biases = 4 * self.hidden * self.layers + self.hidden + self.vocabulary
        return without_attention + biases + self.embedding
