"""Batches of text pairs, made on demand, in worker processes if there are any."""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from s2s.text.batch import Batch, pad, pad_targets
from s2s.text.corpus import Sides
from s2s.text.extended import ExtendedVocabulary
from s2s.text.sampler import Batches, Epoch, Numbers
from s2s.text.store import PairStore
from s2s.text.tokenizer import UNK, Tokenizer

Made = TypeVar("Made")
"""A task's type of batch."""
_Ids: TypeAlias = Sequence[int] | np.ndarray[Any, Any]


class Tokenizers(NamedTuple):
    """The two sides' tokenizers; one and the same object if they are joint."""

    source: Tokenizer
    target: Tokenizer


class Sampling(NamedTuple):
    """What determines a sampled segmentation beside the line, and its maximum lengths (source, target)."""

    tokenizers: Tokenizers
    seed: int
    epoch: int
    limits: tuple[int | None, int | None]


class PairBatches(Dataset[Batch]):
    """The batches of this process, by index, made on demand.

    Args:
        store: the pairs.
        batches: all batches, before they are distributed over ranks.
        chosen: indices of those of this process, [batches of this process].
        sampling: settings of sampled segmentation; None: the stored ids are used.
        extended: the tokenizer of both sides, if source words outside of its vocabulary get ids of their own; None:
            they are unknown.
    """

    def __init__(
        self,
        store: PairStore,
        batches: Batches | Epoch,
        chosen: Numbers,
        sampling: Sampling | None = None,
        extended: Tokenizer | None = None,
    ) -> None:
        self.store = store
        self.batches = batches
        self.chosen = chosen
        self.sampling = sampling
        self.extended = extended

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, index: int) -> Batch:
        pairs = self.batches.pairs(int(self.chosen[index]))
        sources = [self._ids("source", int(pair)) for pair in pairs]
        targets = [self._ids("target", int(pair)) for pair in pairs]
        words: list[list[str]] = []
        if self.extended is not None:
            for row, pair in enumerate(pairs.tolist()):
                own = ExtendedVocabulary(self.extended)
                sources[row] = self._beyond(own.source, "source", pair, sources[row])
                targets[row] = self._beyond(own.target, "target", pair, targets[row])
                words.append(own.words)
        return Batch(pad(sources), pad_targets(targets), torch.from_numpy(pairs.astype(np.int64)), words)

    def _beyond(
        self, extend: Callable[[str, Sequence[int]], Sequence[int]], side: Sides, pair: int, ids: _Ids
    ) -> _Ids:
        if UNK not in ids:  # most often: no text need be read
            return ids
        return extend(self.store.text(side, pair), [int(token) for token in ids])

    def _ids(self, side: Sides, pair: int) -> _Ids:
        stored = self.store.ids(side, pair)
        if self.sampling is None:
            return stored
        tokenizers, seed, epoch, limits = self.sampling
        which = int(side == "target")
        if not tokenizers[which].samples:
            return stored
        line_seed = np.random.SeedSequence([seed, epoch, pair, which]).generate_state(1)[0]
        sampled = tokenizers[which].encode_sampled(self.store.text(side, pair), int(line_seed))
        limit = limits[which]
        # beyond the limit, use the plain segmentation, which is within it (or was cut to it)
        return sampled if limit is None or len(sampled) <= limit else stored


class PairLoader(DataLoader[Made]):
    """Yields batches from `start` on; its length is that of the whole epoch, as Lightning expects.

    Does not use the global random generator.
    """

    def __init__(self, batches: Dataset[Made], *, start: int = 0, num_workers: int = 0) -> None:
        super().__init__(
            batches,
            batch_size=None,
            sampler=range(start, len(batches)),  # type: ignore[arg-type]
            num_workers=num_workers,
            collate_fn=_as_it_is,
            generator=torch.Generator().manual_seed(0),
            worker_init_fn=_outlive_a_signal,
        )

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __iter__(self) -> Any:  # what torch declares has a private name
        with _held_back():
            return super().__iter__()

    def state_dict(self) -> dict[str, Any]:
        """Nothing: the data module saves the position; Lightning calls this to see whether a resume is possible."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing to do."""


@contextmanager
def _held_back() -> Iterator[None]:
    """Block SIGTERM within this context, and in workers started in it until they have their own handler."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _outlive_a_signal(worker: int) -> None:
    """Let workers survive a SIGTERM to the process group, as clusters send it: the last step needs their batches.

    Their parent ends them. A second SIGTERM ends a worker: if it hangs, DataLoader and multiprocessing send one each.
    One that arrived earlier is handled now, and not by torch's handler, which would end the worker.
    """

    def heard(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    signal.signal(signal.SIGTERM, heard)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])


def _as_it_is(batch: Any) -> Any:
    return batch
