"""Multiply-adds of the model's own matrix products, computed from the architecture alone.

Padding is not counted, nor are embedding lookups (no products), additions of biases, gates and softmax.
With D the width of an embedding, H the units of a cell, V the pieces, and encoder outputs of width 2H, one layer each:

    once per source token    encoder, both directions        2 x 4H (D + H)
                             attention's keys                2H x H
    once per sentence        bridge of hidden and memory     4H x 2H
    once per target token    decoder                         4H (D + H), with input feeding 4H (D + 2H)
                             attention, of S source tokens   S (H + 2H)        scores, and the weighted mean
                             attentional vector              (H + 2H) H
                             output layer                    H V

A further encoder layer has input 2H instead of D, a further decoder layer H; each enlarges the bridge. Training costs
three times the forward pass: the gradients of both factors of every product are products of the same size.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

Pairs = Sequence[tuple[int, int]]
"""(source tokens, target tokens with the end) of each sentence."""


class Shape(NamedTuple):
    """x [rows, inner] times w [columns, inner] transposed."""

    rows: int
    inner: int
    columns: int


class Part(NamedTuple):
    """A weight [columns, inner] that is applied `times` times to each source token, sentence or target token.

    Attributes:
        stepped: whether the recurrence requires one position of each sentence at a time.
    """

    inner: int
    columns: int
    each: Literal["source", "sentence", "target"]
    stepped: bool = False
    times: int = 1


@dataclass(frozen=True)
class Architecture:
    """The widths of the benchmark's model."""

    embedding: int = 512
    hidden: int = 512
    layers: int = 1
    vocabulary: int = 8_000
    feeding: bool = False

    def parts(self) -> Iterator[Part]:
        """All products with weights."""
        hidden = self.hidden
        gates = 4 * hidden
        for layer in range(self.layers):
            yield Part(2 * hidden if layer else self.embedding, gates, "source", times=2)
            yield Part(hidden, gates, "source", stepped=True, times=2)
        yield Part(2 * hidden, hidden, "source")
        yield Part(4 * hidden * self.layers, 2 * hidden * self.layers, "sentence")
        for layer in range(self.layers):
            yield Part(
                hidden if layer else self.embedding, gates, "target", stepped=self.feeding and layer > 0
            )
            fed = hidden if self.feeding and layer == 0 else 0
            yield Part(hidden + fed, gates, "target", stepped=True)
        yield Part(3 * hidden, hidden, "target", stepped=self.feeding)
        yield Part(hidden, self.vocabulary, "target")

    def forward(self, pairs: Pairs) -> int:
        """The forward pass, with every target token once."""
        return sum(amount for _, _, amount in self._amounts(pairs))

    def training(self, pairs: Pairs) -> int:
        """Forward and backward pass."""
        return 3 * self.forward(pairs)

    def decoding(self, pairs: Pairs, *, beam: int = 1) -> int:
        """Translation; hypotheses that the search discards are not counted.

        Args:
            pairs: (source tokens, output tokens including the end).
            beam: hypotheses per sentence; at the first step there is one.
        """
        return self.forward(_searched(pairs, beam))

    def training_shapes(self, pairs: Pairs, batch: int) -> list[tuple[Shape, int]]:
        """The products of `training` in the largest pieces that the recurrence allows, and their multiply-adds.

        Args:
            pairs: the sentences, in batches of `batch`.
            batch: sentences per batch.
        """
        shapes = []
        for part, rows, amount in self._amounts(pairs):
            all_rows = max(1, round(rows * batch / len(pairs)))
            at_once = batch if part.stepped else all_rows
            shapes += [
                (Shape(at_once, part.inner, part.columns), amount),
                (Shape(at_once, part.columns, part.inner), amount),  # gradient of x
                (
                    Shape(part.columns, all_rows, part.inner),
                    amount,
                ),  # gradient of w, for all positions at once
            ]
        return shapes

    def decoding_shapes(self, pairs: Pairs, batch: int, *, beam: int = 1) -> list[tuple[Shape, int]]:
        """The products of `decoding`, in batches that no sentence has left yet, and their multiply-adds."""
        shapes = []
        for part, rows, amount in self._amounts(_searched(pairs, beam)):
            at_once = {"source": round(rows * batch / len(pairs)), "sentence": batch, "target": batch * beam}
            rows_at_once = batch if part.stepped and part.each == "source" else at_once[part.each]
            shapes.append((Shape(rows_at_once, part.inner, part.columns), amount))
        return shapes

    def read_per_token(self) -> int:
        """Parameters that one greedy step of one sentence must read: decoder, output layer, one embedding row."""
        weights = sum(part.inner * part.columns for part in self.parts() if part.each == "target")
        biases = 4 * self.hidden * self.layers + self.hidden + self.vocabulary
        return weights + biases + self.embedding

    def _amounts(self, pairs: Pairs) -> Iterator[tuple[Part, int, int]]:
        """Each part, the number of rows that it is applied to, and its multiply-adds.

        Attention's own products, 0.3 % of all, are counted with the attentional vector.
        """
        counts = {
            "source": sum(source for source, _ in pairs),
            "sentence": len(pairs),
            "target": sum(target for _, target in pairs),
        }
        attention = 3 * self.hidden * sum(source * target for source, target in pairs)
        for part in self.parts():
            rows = counts[part.each]
            vector = part[:3] == (3 * self.hidden, self.hidden, "target")
            yield part, rows, part.times * rows * part.inner * part.columns + (attention if vector else 0)


def _searched(pairs: Pairs, beam: int) -> list[tuple[int, int]]:
    return [(source, 1 + beam * (target - 1)) for source, target in pairs]
