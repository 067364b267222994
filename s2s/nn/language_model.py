"""The recurrent language model (Mikolov et al. 2010): the next token from all tokens before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from s2s.errors import ConfigError
from s2s.nn.cell import State
from s2s.nn.decoder import Decoded, Decoder
from s2s.nn.embedding import Embedding
from s2s.nn.encoder import Encoded
from s2s.nn.head import Head, HeadLoss
from s2s.nn.unroll import length_mask
from s2s.nn.writer import Writer
from s2s.padded import Padded


class LanguageModel(Writer):
    """A decoder without a source: it starts from zeros and predicts each token from those before it.

    ::

        p(y_1 ... y_n) = product of p(y_t | y_1 ... y_{t-1})

    Every part is given as a factory; the model passes the sizes.

    Args:
        vocabulary_size: number of tokens.
        embedding: makes an embedding from a vocabulary size.
        decoder: makes a decoder from the widths of its input and of encoder outputs; it must be without attention.
        head: makes a head from the widths of hidden, context (0) and input, and the vocabulary size.
        tie_head: the head's output weights are the embedding (Press & Wolf 2017).

    Raises:
        ConfigError: a decoder with attention, a head that copies, or a head that cannot be tied.
    """

    def __init__(
        self,
        vocabulary_size: int,
        *,
        embedding: Callable[[int], Embedding],
        decoder: Callable[[int, int], Decoder],
        head: Callable[[int, int, int, int], Head],
        tie_head: bool = False,
    ) -> None:
        super().__init__()
        self.target_embedding = embedding(vocabulary_size)
        # A memory of width 1: a width of 0 would hide that there is attention.
        self.decoder = decoder(self.target_embedding.size, 1)
        if self.decoder.context_size:
            raise ConfigError(
                f"a language model has no source that {type(self.decoder).__name__} could attend to; set "
                "model.decoder.attention: null, or choose a decoder that can do without"
            )
        self.head = head(self.decoder.hidden_size, 0, self.target_embedding.size, vocabulary_size)
        if self.head.copies:
            raise ConfigError(
                f"{type(self.head).__name__} copies from a source, and a language model has none; choose another "
                "model.head, such as Softmax"
            )
        if tie_head:
            self.tie_head()

    def begin(self, rows: int) -> State:
        """The state before the first token of a text: made of zeros.

        Args:
            rows: texts.
        """
        like = next(self.decoder.parameters())
        nothing = Encoded(like.new_zeros(rows, 0, 1), like.new_zeros(rows).long(), ())
        return self.decoder.start(nothing, like.new_zeros(rows, self.decoder.feature_size))[1]

    def encode(self, source: Padded) -> tuple[Any, State]:
        """See `Writer.encode`; only the number of rows of the source is used."""
        return None, self.begin(len(source.lengths))

    def forward(self, inputs: Padded, state: State = None) -> tuple[Decoded, State]:
        """Teacher forcing: predict what follows each token.

        Args:
            inputs: tokens, with bos where a text begins, [batch, time].
            state: after the tokens before them; None: there are none.

        Returns:
            Decoded with leading axes [batch, time], and the state after each row's last token.
        """
        state = self.begin(len(inputs.lengths)) if state is None else state
        return self.forced(self.read(inputs.ids), inputs.lengths, None, state)

    def loss(self, inputs: Padded, gold: Tensor, state: State = None) -> tuple[HeadLoss, State]:
        """Summed cross-entropy of `gold` [batch, time], the inputs shifted by one; and the state after them.

        Args:
            inputs: as for `forward`; so is `state`.
            gold: the tokens to predict.
        """
        decoded, state = self.forward(inputs, state)
        mask = length_mask(inputs.lengths, gold.size(1))
        return self.head_loss(decoded, gold, mask, no_source(inputs.lengths)), state


def no_source(lengths: Tensor) -> Padded:
    """Empty sources, one for each of `lengths` [batch], for functions that require a source."""
    return Padded(lengths.new_zeros(len(lengths), 0), lengths.new_zeros(len(lengths)))
