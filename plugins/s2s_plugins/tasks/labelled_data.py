"""Sentences of labelled words as batches."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from s2s.errors import ConfigError
from s2s.padded import Padded, Spelled
from s2s.registry import catalogue
from s2s.registry.parts import describe
from s2s.text.batch import Batch
from s2s.text.corpus import BadLinePolicy, Sides
from s2s.text.spelling import Spelling
from s2s.text.store_builder import TooLongPolicy
from s2s.text.tokenizer import Tokenizer
from s2s.training.datamodule import Corpora, PairData
from s2s_plugins.tokenizers.words import Words

LABELS: Callable[[], Tokenizer] = partial(Words, vocabulary_size=1_000_000)
"""All labels of the training text are known, however many there are."""

WORDS = 1_000_000
"""Upper limit of the number of whole words in the vocabulary; in effect `minimum_count` decides."""

PIECES = "piece_tokenizer"
"""Name of the piece tokenizer in folders, beside those of source (whole words) and target (labels)."""


class LabelledBatch(NamedTuple):
    """Sentences and the labels of their words.

    Attributes:
        source: the words.
        labels: [batch, words].
        lines: see `Batch.lines`.
    """

    source: Spelled
    labels: Tensor
    lines: Tensor

    def to(self, device: torch.device | str) -> "LabelledBatch":
        """The same on another device."""
        return LabelledBatch(self.source.to(device), self.labels.to(device), self.lines.to(device))

    @property
    def size(self) -> int:
        """How many sentences there are."""
        return self.lines.size(0)

    def rows(self, part: slice) -> "LabelledBatch":
        """Some of the sentences, see `Batch.rows`."""
        source = self.source.rows(part)
        return LabelledBatch(source, self.labels[part, : source.words.ids.size(1)], self.lines[part])


class LabelledData(PairData):
    """Sentences of labelled words from files to batches.

    Otherwise like `PairData`. The source of a pair is words separated by spaces, its target as many labels.

    Args:
        train: training text: `train.conllu`, `train.conll` (plain or .gz), any other text of pairs (words, and as many
            labels), or a mapping with path | source and target, weight, source_key (where words are), target_key (where
            labels are), reader; or a list of these.
        validation: text for validation, in the same forms.
        test: text for the test, in the same forms.
        tokenizer: how a word becomes pieces; Characters if none is given.
        minimum_count: words that are rarer in the training text are left out of the word vocabulary.
        batch_tokens: most padded words and labels in a batch, rows x 2 x longest sentence; null: 32,768.
        batch_sentences: most sentences in a batch; null: no such limit.
        max_words: longest training sentence, in words; null: no limit.
        on_too_long: what happens to longer training sentences; skipped and cut ones are counted and reported.
        on_bad_line: what happens to sentences that cannot be used: an error that names file and line, or a counted and
            reported skip.
        cache: folder for tokenizers and stored text.
        num_workers: processes that prepare training batches beside the training process.
        seed: decides the order of training.
    """

    default_parts = {"tokenizer": "Characters"}
    one_to_one = True
    further_tokenizers = (PIECES,)

    def __init__(
        self,
        *,
        train: Corpora | None = None,
        validation: Corpora | None = None,
        test: Corpora | None = None,
        tokenizer: Callable[[], Tokenizer] | None = None,
        minimum_count: int = 2,
        batch_tokens: int | None = None,
        batch_sentences: int | None = 32,
        max_words: int | None = None,
        on_too_long: TooLongPolicy = "skip",
        on_bad_line: BadLinePolicy = "error",
        cache: str = "runs/cache",
        num_workers: int = 0,
        seed: int = 1,
    ) -> None:
        if max_words is not None and max_words < 1:
            raise ConfigError(f"data.max_words is {max_words}; it must be at least 1, or null for no limit")
        super().__init__(
            train=train,
            validation=validation,
            test=test,
            tokenizer=partial(Words, vocabulary_size=WORDS, minimum_count=minimum_count),
            joint=False,
            batch_tokens=batch_tokens,
            batch_sentences=batch_sentences,
            max_source_tokens=max_words,
            max_target_tokens=max_words,
            on_too_long=on_too_long,
            on_bad_line=on_bad_line,
            cache=cache,
            num_workers=num_workers,
            seed=seed,
        )
        self.piece_tokenizer: Callable[[], Tokenizer] = (
            tokenizer
            if tokenizer is not None
            else catalogue().load("tokenizer", self.default_parts["tokenizer"])
        )
        self._spelling: Spelling | None = None

    @property
    def spelling(self) -> Spelling:
        """Converts words to ids; the first use trains the tokenizers.

        Raises:
            ConfigError: the tokenizer samples, or there is no training text.
            DataError: the training text cannot be read or is too small.
        """
        if self._spelling is None:
            pieces = self.trained("pieces", self.piece_tokenizer, ["source"])
            self._spelling = Spelling(self.tokenizers.source, _unsampled(pieces))
        return self._spelling

    def tokenizer_of(self, side: Sides) -> Callable[[], Tokenizer]:
        """Labels have a tokenizer of their own."""
        return LABELS if side == "target" else self.tokenizer

    def named_tokenizers(self) -> dict[str, tuple[Tokenizer, Callable[[], Tokenizer]]]:
        """The tokenizers of whole words, of labels, and of pieces."""
        return {**super().named_tokenizers(), PIECES: (self.spelling.pieces, self.piece_tokenizer)}

    def use_named_tokenizers(self, named: Mapping[str, tuple[Tokenizer, Callable[[], Tokenizer]]]) -> None:
        """See `PairData.use_named_tokenizers`."""
        super().use_named_tokenizers(named)
        pieces, self.piece_tokenizer = named[PIECES]
        self._spelling = Spelling(self.tokenizers.source, _unsampled(pieces))

    def tokenizer_options(self) -> dict[str, Any]:
        """See `PairData.tokenizer_options`; the configured tokenizer is that of pieces."""
        words: Any = describe(self.tokenizer)
        return {
            "data.tokenizer": describe(self.piece_tokenizer),
            "data.minimum_count": words["init_args"]["minimum_count"],
        }

    def prepare_data(self) -> None:
        """Trains tokenizers and builds stores that are missing; runs in one process per machine."""
        self.named_tokenizers()
        super().prepare_data()

    def labels(self) -> list[str]:
        """All labels of the training text."""
        tokenizer = self.tokenizers.target
        return tokenizer.tokens(range(4, tokenizer.vocabulary_size))

    def on_before_batch_transfer(self, batch: Batch, dataloader_idx: int) -> LabelledBatch:
        """Adds the pieces of words to their ids, which are all that Lightning's loaders give."""
        trainer: Any = self.trainer
        store = self.store("train" if trainer.training else "test" if trainer.testing else "validation")
        sentences = [store.text("source", pair).split() for pair in batch.lines.tolist()]
        lengths = batch.source.lengths.tolist()
        cut = [sentence[:length] for sentence, length in zip(sentences, lengths, strict=True)]
        labels = Padded(batch.target.ids[:, 1:-1], batch.target.lengths - 2)
        return LabelledBatch(self.spelling(cut), labels.ids.masked_fill(~labels.mask, 0), batch.lines)


def _unsampled(tokenizer: Tokenizer) -> Tokenizer:
    if tokenizer.samples:
        raise ConfigError(
            f"data.tokenizer {type(tokenizer).__name__} samples, and a word is always split alike here; leave "
            "sampling_alpha out"
        )
    return tokenizer
