"""Text pairs for Lightning: cached tokenizers and token stores, and a training order that can resume at any batch."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
import pytorch_lightning as pl
from pytorch_lightning.trainer.states import TrainerFn
from rich.console import Console

from s2s.counted import counted
from s2s.durable import durable_folder
from s2s.errors import ConfigError, DataError
from s2s.registry import catalogue
from s2s.registry.near_names import unknown
from s2s.registry.parts import describe, factory, options
from s2s.text.batch import Batch
from s2s.text.corpus import BadLinePolicy, CorpusSpec, Sides, corpus_spec
from s2s.text.sampler import BatchLimits, Place, Sampler, beyond_budget, by_length
from s2s.text.store import PairStore, further_references
from s2s.text.store_builder import TooLongPolicy, corpus_lines, file_digest, one_builder, pair_store
from s2s.text.tokenizer import DEFAULT_TOKENIZER, SPECIALS, UNK, Tokenizer
from s2s.training.pair_loader import PairBatches, PairLoader, Sampling, Tokenizers
from s2s.untrusted import read_json

Corpora: TypeAlias = str | dict[str, Any] | list[str | dict[str, Any]]
Split: TypeAlias = Literal["train", "validation", "test"]

_FORMAT = 3  # part of the fingerprints: raise it when the treatment of text or the making of batches changes


_MOST_TOKENS = 2**15
"""Padded tokens of a batch where `batch_tokens` sets no limit: hundreds of sentences of usual length. The attention of
a single pair that fills it takes a gigabyte; with a higher limit, one huge sentence could end a run."""

_FEWEST_OF_EACH = 3
"""Tokens of text per vocabulary entry; with fewer on average, most entries occur once or never."""

_SPLITS: dict[TrainerFn | None, tuple[Split, ...]] = {
    TrainerFn.FITTING: ("train", "validation"),
    TrainerFn.VALIDATING: ("validation",),
    TrainerFn.TESTING: ("test",),
    None: ("train", "validation", "test"),
}
_NEEDED: dict[TrainerFn | None, Split] = {
    TrainerFn.FITTING: "train",
    TrainerFn.VALIDATING: "validation",
    TrainerFn.TESTING: "test",
}


@runtime_checkable
class KeepsTokenizers(Protocol):
    """A data module that saves its tokenizers in the run folder, so that checkpoints are scored with the same ones."""

    def save_tokenizers(self, folder: Path) -> None:
        """Writes them; the folder is replaced."""

    def load_tokenizers(self, folder: Path) -> None:
        """Reads what `save_tokenizers` wrote; to be called before anything else."""


class Example(NamedTuple):
    """One example of a batch, in readable form.

    Attributes:
        origin: the file or files that it comes from, and its line.
        record: its texts, under the default keys of a .jsonl corpus.
    """

    origin: str
    record: dict[str, str]


@runtime_checkable
class NamesExamples(Protocol):
    """A data module that can list the examples of a training batch, so that a bad batch can be inspected."""

    def examples(self, batch: Any) -> list[Example]:
        """The examples of a training batch as they are in the files."""


class PairData(pl.LightningDataModule):
    """Reads text pairs from files and makes batches of them.

    Tokenizers are trained on the training text, and texts are stored with their ids in `cache`; both are
    rebuilt when text or options change. The training order is a function of (seed, epoch); the position in it
    is saved in checkpoints (`state_dict`).

    Args:
        train: training text: `pairs.tsv`, `pairs.jsonl` (plain or .gz), `train.en,train.de`, or a mapping
            with path | source and target, weight, source_key, target_key, reader, tell_length; or a list of
            these.
        validation: validation text, in the same forms; with references_key, further references for scores.
        test: test text, in the same forms as validation.
        tokenizer: how text is split into tokens.
        joint: share one tokenizer, trained on both sides, instead of one for each.
        batch_tokens: maximum padded tokens in a batch, rows x (longest source + longest target), measured on
            plain segmentations, not on sampled ones, which are longer; training pairs that exceed it alone are
            left out, counted and reported; null: 32,768.
        batch_sentences: maximum pairs in a batch; null: no limit.
        max_source_tokens: maximum length of a training source, in tokens; null: no limit.
        max_target_tokens: maximum length of a training target, in tokens; null: no limit.
        on_too_long: what to do with training pairs beyond these limits; skipped and truncated ones are counted
            and reported.
        on_bad_line: what to do with lines that are empty, not UTF-8, or without a partner: an error that
            names file and line, or a counted and reported skip.
        cache: folder for tokenizers and stored text.
        num_workers: worker processes that prepare training batches.
        seed: determines the order of training and sampled segmentations.

    Attributes:
        copies: whether batches hold ids beyond the vocabulary, see `Batch.words`; for a model that copies.
        one_to_one: whether each source token has one target token, see `pair_store`; true for labelling tasks.
    """

    one_to_one = False
    default_parts: Mapping[str, str] = {"tokenizer": DEFAULT_TOKENIZER}
    """Default parts, by option; the help shows them."""

    def __init__(
        self,
        *,
        train: Corpora | None = None,
        validation: Corpora | None = None,
        test: Corpora | None = None,
        tokenizer: Callable[[], Tokenizer] | None = None,
        joint: bool = True,
        batch_tokens: int | None = 4096,
        batch_sentences: int | None = None,
        max_source_tokens: int | None = None,
        max_target_tokens: int | None = None,
        on_too_long: TooLongPolicy = "skip",
        on_bad_line: BadLinePolicy = "error",
        cache: str = "runs/cache",
        num_workers: int = 0,
        seed: int = 1,
    ) -> None:
        super().__init__()
        # A process without a validation or test batch is not an error.
        self.allow_zero_length_dataloader_with_multiple_devices = True
        given = {"train": train, "validation": validation, "test": test}
        self.corpora: dict[str, list[CorpusSpec]] = {
            split: _specs(corpora) for split, corpora in given.items()
        }
        if (
            unused := next((spec for spec in self.corpora["train"] if spec.references_key), None)
        ) is not None:
            raise ConfigError(
                f"data.train: references_key of {','.join(unused.paths)} is only for scoring, and training uses the "
                "target alone; set it in data.validation and data.test"
            )
        for split in ("validation", "test"):
            if weighted := next((spec for spec in self.corpora[split] if spec.weight != 1), None):
                raise ConfigError(
                    f"data.{split}: {','.join(weighted.paths)} has a weight, which only training uses; scoring counts "
                    "each line once; remove it"
                )
        self.tokenizer: Callable[[], Tokenizer] = (
            tokenizer
            if tokenizer is not None
            else catalogue().load("tokenizer", self.default_parts["tokenizer"])
        )
        self.joint = joint
        self.limits = BatchLimits(batch_tokens, batch_sentences)
        self.limits.check()
        if batch_tokens is None:
            self.limits = self.limits._replace(tokens=_MOST_TOKENS)
        for name, limit in (
            ("max_source_tokens", max_source_tokens),
            ("max_target_tokens", max_target_tokens),
        ):
            if limit is not None and limit < 1:
                raise ConfigError(f"{name} is {limit}; it must be at least 1, or null for no limit")
        self.max_source_tokens = max_source_tokens
        self.max_target_tokens = max_target_tokens
        self.on_too_long = on_too_long
        self.on_bad_line = on_bad_line
        self.cache = Path(cache)
        self.num_workers = num_workers
        self.seed = seed
        self.copies = False
        self._tokenizers: Tokenizers | None = None
        self._learnt: list[Tokenizer] = []
        self._stores: dict[str, PairStore] = {}
        self._further: dict[str, list[list[str]]] = {}
        self._sampler: Place | None = None
        self._restored: dict[str, Any] | None = None

    sides: tuple[Sides, ...] = ("source", "target")
    """Sides of the pairs; a task without sources has targets only, and every source is empty."""

    further_tokenizers: tuple[str, ...] = ()
    """Names of a task's tokenizers other than those of the sides; see `named_tokenizers`."""

    # --- tokenizers ---

    def tokenizer_of(self, side: Sides) -> Callable[[], Tokenizer]:
        """The factory of a side's tokenizer; a task whose targets are labels overrides it for them."""
        return self.tokenizer

    @property
    def tokenizers(self) -> Tokenizers:
        """The trained tokenizers; the first use trains them, unless they are in the cache.

        Raises:
            DataError: the training text cannot be read or is too little.
        """
        if self._tokenizers is None:
            self._tokenizers = self._make_tokenizers()
        return self._tokenizers

    def use_tokenizers(
        self, source: Tokenizer, target: Tokenizer, tokenizer: Callable[[], Tokenizer] | None = None
    ) -> None:
        """Uses trained tokenizers, such as those of a bundle, instead of training any; to be called first.

        Args:
            source: tokenizer of the sources.
            target: tokenizer of the targets; the same object if they are joint.
            tokenizer: the factory that made them, as the next bundle will describe it; None: as
                configured.
        """
        self._tokenizers = Tokenizers(source, target)
        self.joint = source is target
        if tokenizer is not None:
            self.tokenizer = tokenizer

    def use_named_tokenizers(self, named: Mapping[str, tuple[Tokenizer, Callable[[], Tokenizer]]]) -> None:
        """Uses trained tokenizers, all that `named_tokenizers` names, instead of training any; to be called first."""
        source = named.get("tokenizer") or named["source_tokenizer"]
        target = named.get("tokenizer") or named["target_tokenizer"]
        self.use_tokenizers(source[0], target[0], source[1])

    def named_tokenizers(self) -> dict[str, tuple[Tokenizer, Callable[[], Tokenizer]]]:
        """All tokenizers and their factories, by the names that folders have for them."""
        source, target = self.tokenizers
        if source is target:
            return {"tokenizer": (source, self.tokenizer_of("source"))}
        return {
            "source_tokenizer": (source, self.tokenizer_of("source")),
            "target_tokenizer": (target, self.tokenizer_of("target")),
        }

    def tokenizer_options(self) -> dict[str, Any]:
        """The options that decide about the tokenizers, by their keys, and the values in use."""
        return {"data.tokenizer": describe(self.tokenizer), "data.joint": self.joint}

    def save_tokenizers(self, folder: Path) -> None:
        """Writes the tokenizers as `s2s tokenizer` reads them; the folder is replaced.

        Args:
            folder: holds config.json, and tokenizer/ or source_tokenizer/ and target_tokenizer/.

        Raises:
            WriteError: they cannot be written; existing ones are unchanged.
        """
        named = self.named_tokenizers()
        config = {name: describe(made_by) for name, (_, made_by) in named.items()}
        with durable_folder(folder) as new:
            for name, (tokenizer, _) in named.items():
                tokenizer.save(new / name)
            (new / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")

    def load_tokenizers(self, folder: Path) -> None:
        """Uses the tokenizers that `save_tokenizers` wrote, instead of training any; to be called first.

        Raises:
            DataError: they are damaged.
        """
        joint = (folder / "tokenizer").is_dir()
        names = ["tokenizer"] if joint else ["source_tokenizer", "target_tokenizer"]
        names += self.further_tokenizers
        self.use_named_tokenizers({name: self.load_tokenizer(folder, name) for name in names})

    def load_tokenizer(self, folder: Path, name: str) -> tuple[Tokenizer, Callable[[], Tokenizer]]:
        """A tokenizer that `save_tokenizers` wrote, and its factory.

        Args:
            folder: where `save_tokenizers` wrote them.
            name: name of the tokenizer, see `named_tokenizers`.

        Raises:
            DataError: it is damaged.
        """
        try:
            config = read_json(folder / "config.json")
            made_by = factory("tokenizer", config[name])
            tokenizer: Tokenizer = made_by()
        except (OSError, ValueError, KeyError, TypeError, ConfigError) as error:
            raise DataError(f"{folder} does not contain the tokenizers of a run: {error}") from error
        tokenizer.load(folder / name)
        return tokenizer, made_by

    @property
    def source_vocabulary_size(self) -> int:
        """How many ids the source tokenizer has."""
        return self.tokenizers.source.vocabulary_size

    @property
    def target_vocabulary_size(self) -> int:
        """How many ids the target tokenizer has."""
        return self.tokenizers.target.vocabulary_size

    def _make_tokenizers(self) -> Tokenizers:
        sides: dict[str, list[Sides]] = (
            {"joint": [*self.sides]} if self.joint else {"source": ["source"], "target": ["target"]}
        )
        made = [self.trained(name, self.tokenizer_of(of[0]), of) for name, of in sides.items()]
        return Tokenizers(made[0], made[-1])

    def trained(self, name: str, made_by: Callable[[], Tokenizer], sides: list[Sides]) -> Tokenizer:
        """A tokenizer trained on the training text, taken from the cache if it is there.

        Args:
            name: distinguishes it from others.
            made_by: its factory.
            sides: sides of the text to train on.

        Raises:
            ConfigError: there is no training text.
            DataError: it cannot be read or is too little.
        """
        if not self.corpora["train"]:
            raise ConfigError(
                "data.train is not set, but the tokenizers are trained on it: --data.train pairs.tsv"
            )
        tokenizer = made_by()
        if not tokenizer.trained:
            self._learnt.append(tokenizer)
        about = [_FORMAT, self.on_bad_line, f"{name} {tokenizer.fingerprint()}"]
        about += sides if len(self.sides) == 1 else []
        for spec in self.corpora["train"]:
            digests = [file_digest(path, self.cache) for path in spec.paths]
            about.append(json.dumps([*spec.treatment, spec.reader, digests]))
        folder = self.cache / f"tokenizer-{_digest(about)[:16]}"
        if not folder.exists():
            with one_builder(folder):
                if not folder.exists():
                    tokenizer.train(corpus_lines(self.corpora["train"], sides, self.on_bad_line))
                    with durable_folder(folder) as new:
                        tokenizer.save(new / name)
        if not tokenizer.trained:
            tokenizer.load(folder / name)
        return tokenizer

    # --- stores ---

    def store(self, split: Split) -> PairStore:
        """The stored pairs of a split, built at the first use if they are not in the cache.

        Length limits apply to training only: nothing of validation and test is left out or cut.

        Raises:
            ConfigError: no text is configured for this split.
            DataError: a file cannot be read, a line is bad, or no pair is left.
        """
        if split not in self.corpora:
            raise ConfigError(unknown("split", split, self.corpora))
        if not self.corpora[split]:
            raise ConfigError(f"data.{split} is not set: --data.{split} pairs.tsv")
        if split not in self._stores:
            training = split == "train"
            self._stores[split] = pair_store(
                self.cache,
                split,
                self.corpora[split],
                *self.tokenizers,
                on_bad_line=self.on_bad_line,
                max_source_tokens=self.max_source_tokens if training else None,
                max_target_tokens=self.max_target_tokens if training else None,
                on_too_long=self.on_too_long,
                one_to_one=self.one_to_one,
                sides=self.sides,
            )
        return self._stores[split]

    def sources(self, split: Split) -> list[str]:
        """The source lines of a split as they are in the files; `Batch.lines` holds indices into this list."""
        store = self.store(split)
        return [store.text("source", pair) for pair in range(len(store))]

    def references(self, split: Split) -> list[list[str]]:
        """Sets of references of a split as they are in the files; `Batch.lines` holds indices into each of these lists.

        The first set are the targets, others what `references_key` of the corpora names.
        """
        store = self.store(split)
        if split not in self._further:
            self._further[split] = further_references(store, self.corpora[split])
        return [[store.text("target", pair) for pair in range(len(store))], *self._further[split]]

    def unknown_targets(self, split: Split) -> list[str]:
        """Texts in the targets of a split that are unknown to their tokenizer, each once, sorted."""
        store, tokenizer = self.store(split), self.tokenizers.target
        if not store.id_counts("target")[UNK : UNK + 1].any():  # most often: no text need be read
            return []
        found = set()
        for pair in range(len(store)):
            ids = store.ids("target", pair)
            if UNK in ids:
                found.update(tokenizer.unknown_texts(store.text("target", pair), ids.tolist()))
        return sorted(found)

    def has_known_targets(self, split: Split) -> bool:
        """Whether any target of a split holds anything that its tokenizer knows."""
        return bool(self.store(split).id_counts("target")[len(SPECIALS) :].any())

    def examples(self, batch: Any) -> list[Example]:
        """The examples of a training batch as they are in the files; `batch.lines` holds their indices."""
        store = self.store("train")
        return [Example(store.origin(pair), self._record(store, pair)) for pair in batch.lines.tolist()]

    def _record(self, store: PairStore, pair: int) -> dict[str, str]:
        # Readers of pairs expect a source, even where a task has none.
        texts = {side: store.text(side, pair) for side in self.sides}
        return {"source": texts.get("source", texts["target"]), "target": texts["target"]}

    # --- what Lightning calls ---

    def prepare_data(self) -> None:
        """Trains tokenizers and builds stores that are missing; called in one process per machine."""
        self._open_stores()

    def setup(self, stage: str | None = None) -> None:
        """Opens what `prepare_data` made."""
        self._open_stores()
        if self.corpora["train"] and stage in (None, "fit"):
            self._sampler = self._make_sampler()
            self._report()
            if self._restored is not None:
                self._sampler.load_state_dict(self._restored)
                self._restored = None

    def _open_stores(self) -> None:
        function = self.trainer.state.fn if self.trainer is not None else None
        if function in _NEEDED:
            self.store(_NEEDED[function])
        for split in _SPLITS.get(function, _SPLITS[None]):
            if self.corpora[split]:
                self.store(split)
            if any(spec.references_key for spec in self.corpora[split]):
                self.references(split)  # so that errors in them are raised before training

    def _make_sampler(self) -> Place:
        store = self.store("train")
        weights = [spec.weight for spec in self.corpora["train"]]
        return Sampler(
            store.lengths("source"),
            store.lengths("target"),
            self.limits,
            seed=self.seed,
            fingerprint=_digest([_FORMAT, store.fingerprint, *self.limits, *weights]),
            bounds=store.bounds,
            weights=weights,
            rank=self.trainer.global_rank if self.trainer is not None else 0,
            ranks=self.trainer.world_size if self.trainer is not None else 1,
        )

    def _report(self) -> None:
        """Reports what was left out, and how well batches are filled."""
        sampler = self.sampler
        lines = self._left_out()
        batches = sampler.batches(0)
        bounds = self.store("train").bounds
        shares = [
            spec.weight * (stop - start)
            for spec, (start, stop) in zip(self.corpora["train"], bounds, strict=True)
        ]
        if 0 < max(shares, default=0) < 1:
            raise DataError(
                f"some epochs would contain none of the {counted(len(self.store('train')), 'pair')}: the weights in "
                "data.train are too small; a weight of 0.5 takes half of a corpus"
            )
        rows = batches.pairs_seen / max(1, len(batches))
        unit = "pairs" if len(self.sides) == 2 else "texts"
        lines.append(
            f"train: {counted(len(batches), 'batch', 'batches')} per epoch, {rows:.0f} {unit} each, "
            f"{batches.padding_share:.1%} padding"
        )
        beyond = beyond_budget(sampler.source_lengths, sampler.target_lengths, self.limits)
        if len(beyond):
            place = self.store("train").origin(int(beyond[0]))
            what = f"{len(beyond):,} pairs are longer than the {self.limits.tokens:,} tokens of a batch"
            if self.on_too_long == "error" or not batches.pairs_seen:
                raise DataError(f"{what}, first at {place}; raise batch_tokens, or choose on_too_long: skip")
            lines.append(
                f"train: {what} and left out, first at {place}; see batch_tokens and max_source_tokens"
            )
        self._tell(lines + self._too_many_pieces())

    def _too_many_pieces(self) -> list[str]:
        """A note if a vocabulary is so large for its text that most of it occurs once or never."""
        tokens = [self.store("train").tokens(side) for side in ("source", "target")]
        of_each = (
            [(self.tokenizers.source, sum(tokens))]
            if self.joint
            else zip(self.tokenizers, tokens, strict=True)
        )
        told = []
        for tokenizer, number in of_each:
            learnt = any(tokenizer is one for one in self._learnt)  # else its size was not chosen here
            size = tokenizer.vocabulary_size
            if (
                learnt
                and size > max(1_000, number / _FEWEST_OF_EACH)
                and "vocabulary_size" in options(type(tokenizer))
            ):
                told.append(
                    f"train: a vocabulary of {size:,} is large for {number:,} tokens of text: most entries occur too "
                    "rarely to be learnt; use a smaller one: --data.tokenizer.vocabulary_size "
                    f"{max(500, number // 2000 * 100)}"
                )
        return told

    def _left_out(self) -> list[str]:
        return [f"{split}: {line}" for split, store in self._stores.items() for line in store.report]

    def _tell(self, lines: Sequence[str]) -> None:
        """Print on the first process."""
        if self.place.rank != 0:
            return
        console = Console(stderr=True)
        for line in lines:
            console.print(line, highlight=False, markup=False, soft_wrap=True)

    @property
    def place(self) -> Place:
        """The current position in the training order."""
        if self._sampler is None:
            raise DataError(
                "the data module is not set up for training; call prepare_data() and setup('fit')"
            )
        return self._sampler

    @property
    def sampler(self) -> Sampler:
        """The training order and the position in it."""
        sampler = self.place
        assert isinstance(sampler, Sampler)
        return sampler

    @property
    def moved_to(self) -> int | None:
        """See `Place.moved_to`."""
        return self._sampler.moved_to if self._sampler is not None else None

    def batches_per_epoch(self) -> int:
        """Training batches of this process in the first epoch; later ones may differ by a few."""
        return len(self.sampler.dealt(self.sampler.batches(0)))

    def batch_done(self) -> None:
        """Counts a training batch as consumed; to be called before a checkpoint that includes it is made."""
        self.place.batch_done()

    def train_dataloader(self) -> PairLoader[Batch]:
        """The batches of the trainer's current epoch, starting at the saved position.

        The trainer must call this in each epoch: `reload_dataloaders_every_n_epochs=1`.
        """
        epoch = self.trainer.current_epoch if self.trainer is not None else self.sampler.epoch
        start = self.sampler.start(epoch)
        batches = self.sampler.batches(epoch)
        limits = (self.max_source_tokens, self.max_target_tokens)
        sampling = Sampling(self.tokenizers, self.seed, epoch, limits)
        dataset = PairBatches(
            self.store("train"), batches, self.sampler.dealt(batches), sampling, self._extended()
        )
        return PairLoader(dataset, start=start, num_workers=self.num_workers)

    def val_dataloader(self) -> PairLoader[Batch] | list[PairLoader[Batch]]:
        """The validation text, the longest batch first, then a fixed random order; nothing if there is none.

        Sentences of similar length share a batch. If batches were sorted by length too, `limit_val_batches` would
        score only the longest sentences.
        """
        return self._evaluated("validation", shuffled=True) if self.corpora["validation"] else []

    def test_dataloader(self) -> PairLoader[Batch]:
        """The test text sorted by length."""
        return self._evaluated("test")

    def _evaluated(self, split: Split, *, shuffled: bool = False) -> PairLoader[Batch]:
        store = self.store(split)
        batches = by_length(store.lengths("source")[:], store.lengths("target")[:], self.limits)
        chosen = np.arange(len(batches))
        if shuffled:  # except for the longest, so that running out of memory happens at once
            chosen[1:] = np.random.default_rng(0).permutation(chosen[1:])
        if self.trainer is not None:
            # not padded to equal shares: a sentence scored by two processes would count twice
            chosen = chosen[self.trainer.global_rank :: self.trainer.world_size]
        return PairLoader(PairBatches(store, batches, chosen, extended=self._extended()))

    def _extended(self) -> Tokenizer | None:
        return self.tokenizers.target if self.copies else None

    def state_dict(self) -> dict[str, Any]:
        """The sampler's state, for the checkpoint."""
        return self._sampler.state_dict() if self._sampler is not None else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Moves to the position in the training order that a checkpoint holds.

        Raises:
            DataError: the checkpoint was made with other data, batch sizes or seed.
        """
        training = self.trainer is None or self.trainer.state.fn == TrainerFn.FITTING
        if not state_dict or not training:
            return
        if self._sampler is None:
            self._restored = state_dict
        else:
            self._sampler.load_state_dict(state_dict)


def _specs(corpora: Corpora | None) -> list[CorpusSpec]:
    if corpora is None:
        return []
    return [corpus_spec(corpus) for corpus in (corpora if isinstance(corpora, list) else [corpora])]


def _digest(parts: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()
