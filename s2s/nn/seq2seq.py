"""The encoder-decoder model (Sutskever et al. 2014; Bahdanau et al. 2015)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from s2s.errors import ConfigError
from s2s.nn.bridge import Bridge
from s2s.nn.cell import State
from s2s.nn.coverage import coverage_loss
from s2s.nn.decoder import Decoded, Decoder, NextInput
from s2s.nn.embedding import Embedding
from s2s.nn.encoder import Encoded, SequenceEncoder
from s2s.nn.head import Head, HeadLoss
from s2s.nn.scheduled_sampling import with_own_tokens
from s2s.nn.twins import holds
from s2s.nn.unroll import length_mask
from s2s.nn.writer import Writer
from s2s.padded import Padded


class Seq2Seq(Writer):
    """From source tokens to the probabilities of target tokens.

    Every part is given as a factory; the model passes the sizes.

    Args:
        source_vocabulary_size: number of source tokens.
        target_vocabulary_size: number of target tokens.
        embedding: makes an embedding from a vocabulary size; used for each side.
        encoder: makes an encoder from the width of its input.
        bridge: makes a bridge from the widths of the encoder's and of the decoder's features.
        decoder: makes a decoder from the widths of its input and of the encoder's outputs.
        head: makes a head from the widths of hidden, context and input, and the target vocabulary size.
        share_embeddings: one embedding for both sides; they must share their vocabulary.
        tie_head: the head's output weights are the target embedding.

    Raises:
        ConfigError: invalid sizes or ties.
    """

    def __init__(
        self,
        source_vocabulary_size: int,
        target_vocabulary_size: int,
        *,
        embedding: Callable[[int], Embedding],
        encoder: Callable[[int], SequenceEncoder],
        bridge: Callable[[int, int], Bridge],
        decoder: Callable[[int, int], Decoder],
        head: Callable[[int, int, int, int], Head],
        share_embeddings: bool = False,
        tie_head: bool = False,
    ) -> None:
        super().__init__()
        if share_embeddings and source_vocabulary_size != target_vocabulary_size:
            raise ConfigError(
                f"share_embeddings needs one vocabulary, but the source has {source_vocabulary_size} tokens and the "
                f"target {target_vocabulary_size}; set data.joint: true or model.share_embeddings: false"
            )
        self.source_embedding = embedding(source_vocabulary_size)
        self.target_embedding = (
            self.source_embedding if share_embeddings else embedding(target_vocabulary_size)
        )
        self.encoder = encoder(self.source_embedding.size)
        self.decoder = decoder(self.target_embedding.size, self.encoder.output_size)
        self.bridge = bridge(self.encoder.feature_size, self.decoder.feature_size)
        self.head = head(
            self.decoder.hidden_size,
            self.decoder.context_size,
            self.target_embedding.size,
            target_vocabulary_size,
        )
        if self.head.copies and source_vocabulary_size != target_vocabulary_size:
            raise ConfigError(
                f"{type(self.head).__name__} copies source tokens as they are, but the source has "
                f"{source_vocabulary_size} and the target {target_vocabulary_size}; set data.joint: true"
            )
        if tie_head:
            self.tie_head()

    def encode(self, source: Padded) -> tuple[Any, State]:
        """Encode the source, once per sentence.

        Returns:
            The decoder's memory (one row per sentence; None without attention) and its state before the first token.
        """
        return self._encode(self.source_embedding(self.known(source.ids)), source)

    @property
    def source_vocabulary_size(self) -> int:
        """See `Writer.source_vocabulary_size`."""
        return self.source_embedding.vocabulary_size

    def fold_source(self, tokens: Tensor) -> State:
        """What the encoder folds."""
        fast = all(holds(self.encoder, name, "forward") for name in ("forward_folded", "fold_tokens"))
        return self.encoder.fold_tokens(self.source_embedding(tokens)) if fast else None

    def encode_folded(self, source: Padded, folded: State) -> tuple[Any, State]:
        """See `Writer.encode_folded`."""
        return self._start(self.encoder.forward_folded(self.known(source.ids), source.lengths, folded))

    def _encode(self, vectors: Tensor, source: Padded) -> tuple[Any, State]:
        return self._start(self.encoder(vectors, source.lengths))

    def _start(self, encoded: Encoded) -> tuple[Any, State]:
        features = self.encoder.features(encoded.state)
        bridged = self.bridge(features).to(
            features.dtype
        )  # mixed precision must not narrow the decoder's state
        return self.decoder.start(encoded, bridged)

    def forward(
        self,
        source: Padded,
        inputs: Padded,
        *,
        next_input: NextInput | None = None,
        gold_share: float = 1.0,
    ) -> Decoded:
        """Teacher forcing: all target positions from their gold prefixes.

        Args:
            source: source tokens, [batch, source].
            inputs: target tokens, beginning with bos, [batch, target].
            next_input: see `Decoder.forward`.
            gold_share: scheduled sampling, see `with_own_tokens`: the model first samples its own tokens, without
                gradients, and then reads the mixture like gold tokens, all at once.
        """
        shared = self.target_embedding
        if shared is self.source_embedding and holds(shared, "several", "forward"):
            read, vectors = shared.several(self.known(source.ids), self.known(inputs.ids))
        else:
            read, vectors = self.source_embedding(self.known(source.ids)), self.read(inputs.ids)
        memory, state = self._encode(read, source)
        run = self.forced
        if gold_share < 1.0:
            mixed = with_own_tokens(
                inputs,
                gold_share,
                decode=lambda own: run(vectors, inputs.lengths, memory, state, next_input=own),
                read=self.read,
                head=self.head,
                source=source,
            )
            vectors = self.read(mixed.ids)
        return run(vectors, inputs.lengths, memory, state, next_input=next_input)[0]

    def loss(
        self,
        source: Padded,
        inputs: Padded,
        gold: Tensor,
        *,
        gold_share: float = 1.0,
        coverage: float = 0.0,
    ) -> HeadLoss:
        """Summed cross-entropy of `gold` [batch, target], the inputs shifted by one and ending with eos.

        Args:
            source: as for `forward`; so are `inputs` and `gold_share`.
            gold: the tokens to predict.
            coverage: factor of the coverage loss, see `coverage_loss`; it needs attention.
        """
        decoded = self.forward(source, inputs, gold_share=gold_share)
        mask = length_mask(inputs.lengths, gold.size(1))
        loss = self.head_loss(decoded, gold, mask, source)
        if coverage and decoded.weights is not None:
            loss = loss._replace(total=loss.total + coverage * coverage_loss(decoded.weights, mask))
        return loss
