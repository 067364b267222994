"""Texts for language models: line by line, or as one long stream in segments."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from s2s.errors import ConfigError
from s2s.evaluation.perplexity import TextSizes
from s2s.registry import catalogue
from s2s.text.corpus import BadLinePolicy, CorpusSpec, Sides
from s2s.text.sampler import Place
from s2s.text.store_builder import TooLongPolicy
from s2s.text.stream import Stream, StreamBatches, StreamOrder, segments
from s2s.text.tokenizer import Tokenizer
from s2s.training.datamodule import Corpora, PairData, Split
from s2s.training.pair_loader import PairLoader

_READER = "Lines"
"""The reader of files whose name no reader recognizes."""


class LanguageModelData(PairData):
    """Texts, without a source, from files to batches.

    Args:
        train: training text: `texts.txt`, a file of lines by any name, or a mapping: path, target_key (where the text
            is in a record: key of a .jsonl, column of a .tsv), weight, reader; of pairs only the target is read. Plain
            or .gz; or a list of these.
        validation: text for validation, in the same forms.
        test: text for the test, in the same forms.
        tokenizer: how text becomes tokens.
        segment_tokens: read all texts as one stream, in segments of this many tokens: the state is carried from one to
            the next, gradients are not (truncated backpropagation through time, Williams & Peng 1990). null: each text
            alone.
        vary_segments: draw segment lengths near segment_tokens, anew in each epoch, and scale the learning rate of a
            step by its segment's length (Merity et al. 2018, section 4.1).
        batch_tokens: most padded tokens in a batch; null: 32,768.
        batch_sentences: most texts in a batch; of a stream, most tracks that are read in parallel; null: no such
            limit.
        max_tokens: longest training text, in tokens; null: no limit.
        on_too_long: what happens to longer training texts; skipped and cut ones are counted and reported.
        on_bad_line: what happens to lines that are empty or not UTF-8: an error that names file and line, or a
            counted and reported skip.
        cache: folder for tokenizers and stored text.
        num_workers: processes that prepare training batches beside the training process.
        seed: decides the order of training.
    """

    sides: tuple[Sides, ...] = ("target",)

    def __init__(
        self,
        *,
        train: Corpora | None = None,
        validation: Corpora | None = None,
        test: Corpora | None = None,
        tokenizer: Callable[[], Tokenizer] | None = None,
        segment_tokens: int | None = None,
        vary_segments: bool = False,
        batch_tokens: int | None = 4096,
        batch_sentences: int | None = None,
        max_tokens: int | None = None,
        on_too_long: TooLongPolicy = "skip",
        on_bad_line: BadLinePolicy = "error",
        cache: str = "runs/cache",
        num_workers: int = 0,
        seed: int = 1,
    ) -> None:
        super().__init__(
            train=train,
            validation=validation,
            test=test,
            tokenizer=tokenizer,
            batch_tokens=batch_tokens,
            batch_sentences=batch_sentences,
            on_too_long=on_too_long,
            on_bad_line=on_bad_line,
            cache=cache,
            num_workers=num_workers,
            seed=seed,
        )
        if max_tokens is not None and max_tokens < 1:
            raise ConfigError(f"max_tokens is {max_tokens}; it must be at least 1, or null for no limit")
        self.max_target_tokens = max_tokens
        self.corpora = {split: [_texts(spec) for spec in specs] for split, specs in self.corpora.items()}
        self._sizes: dict[str, TextSizes] = {}
        self.segment_tokens = segment_tokens
        self.vary_segments = vary_segments
        if segment_tokens is not None:
            self._check_stream(segment_tokens)
        elif vary_segments:
            raise ConfigError(
                "vary_segments is for a stream; say how long its segments are: --data.segment_tokens 70"
            )

    def _check_stream(self, length: int) -> None:
        most = self.limits.tokens
        if length < 1 or (most is not None and length > most):
            raise ConfigError(
                f"segment_tokens is {length}; it must be at least 1 and at most batch_tokens, {most}, or null to read "
                "each text alone"
            )
        for spec in self.corpora["train"]:
            if spec.weight != 1:
                raise ConfigError(
                    f"the weight of corpus {','.join(spec.paths)} is {spec.weight}, but a stream is read once; leave "
                    "it out, or set segment_tokens: null"
                )

    @property
    def vocabulary_size(self) -> int:
        """How many ids the tokenizer has."""
        return self.target_vocabulary_size

    def sizes(self, split: Split) -> TextSizes:
        """How large a split is."""
        if split not in self._sizes:
            store = self.store(split)
            self._sizes[split] = TextSizes.of(
                (store.text("target", text), store.ids("target", text).tolist()) for text in range(len(store))
            )
        return self._sizes[split]

    # --- as a stream ---

    def stream(self, split: Split) -> Stream:
        """A split in as many tracks as the limits of a batch allow."""
        assert self.segment_tokens is not None
        tokens, tracks = self.limits
        by_tokens = tokens // self.segment_tokens if tokens is not None else tracks
        assert by_tokens is not None
        return Stream(self.store(split), by_tokens if tracks is None else min(tracks, by_tokens))

    def setup(self, stage: str | None = None) -> None:
        """See `PairData.setup`.

        Raises:
            ConfigError: several processes would read one stream.
        """
        if self.segment_tokens is not None and self.trainer is not None and self.trainer.world_size > 1:
            raise ConfigError(
                f"a stream is read by one process, and here are {self.trainer.world_size}; set trainer.devices: 1, or "
                "data.segment_tokens: null"
            )
        super().setup(stage)

    def _make_sampler(self) -> Place:
        if self.segment_tokens is None:
            return super()._make_sampler()
        stream = self.stream("train")
        about = [
            self.store("train").fingerprint,
            stream.tracks,
            self.segment_tokens,
            self.vary_segments,
        ]
        return StreamOrder(
            stream,
            self.segment_tokens,
            varies=self.vary_segments,
            seed=self.seed,
            fingerprint=hashlib.sha256(json.dumps(about).encode()).hexdigest(),
        )

    @property
    def _order(self) -> StreamOrder | None:
        """The order of a stream; None where each text is read alone."""
        return self.place if isinstance(self.place, StreamOrder) else None

    def _report(self) -> None:
        if self._order is None:
            super()._report()
            return
        stream = self._order.stream
        what = (
            f"train: a stream of {stream.tokens:,} tokens in {stream.tracks} tracks, "
            f"{len(self._order.segments(0)):,} segments of {'about ' * self.vary_segments}{self.segment_tokens} tokens"
        )
        self._tell([*self._left_out(), what])

    def batches_per_epoch(self) -> int:
        """See `PairData.batches_per_epoch`."""
        return super().batches_per_epoch() if self._order is None else len(self._order.segments(0))

    def train_dataloader(self) -> PairLoader[Any]:
        """The batches of the trainer's current epoch from the saved position on."""
        order = self._order
        if order is None:
            return super().train_dataloader()
        epoch = self.trainer.current_epoch if self.trainer is not None else order.epoch
        return PairLoader(order.batches(epoch), start=order.start(epoch), num_workers=self.num_workers)

    def _evaluated(self, split: Split, *, shuffled: bool = False) -> PairLoader[Any]:
        if self.segment_tokens is None:
            return super()._evaluated(split, shuffled=shuffled)
        stream = self.stream(split)
        return PairLoader(StreamBatches(stream, segments(stream.longest, self.segment_tokens)))


def _texts(spec: CorpusSpec) -> CorpusSpec:
    """A corpus of which only the targets are read.

    Raises:
        ConfigError: it sets an option of sources, or a key of lines that have none.
    """
    given = [name for name in ("source_key", "tell_length") if getattr(spec, name)]
    if given:
        raise ConfigError(
            f"corpus {','.join(spec.paths)} has {given[0]}, but a language model reads one text of each record; say "
            "which by target_key"
        )
    if spec.path is None:
        return spec
    names = catalogue().names("corpus")
    reader = spec.reader or next(
        (name for name in names if catalogue().load("corpus", name).reads(spec)), None
    )
    if reader in (None, _READER) and spec.target_key is not None:
        raise ConfigError(
            f"corpus {spec.path} has target_key {spec.target_key}, but each of its lines is a text, without columns or "
            "keys; take it out, or name the reader of its records, such as reader: TSV or reader: JSONL"
        )
    # Readers of pairs need a source; the text itself serves as one, and is not stored.
    return replace(spec, source_key=spec.target_key, reader=spec.reader if reader else _READER)
