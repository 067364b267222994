"""Texts read as one long stream: side by side in several tracks, segment by segment, for truncated backpropagation."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from s2s.padded import Padded
from s2s.text.batch import pad
from s2s.text.sampler import Numbers, Place
from s2s.text.store import PairStore
from s2s.text.tokenizer import BOS, EOS

HALF_SHARE = 0.05
DEVIATION = 5.0
SHORTEST = 5
"""For segments of varying length: the share that is about half as long, the standard deviation of lengths in tokens,
and the minimum length, as in Merity et al. 2018 (section 4.1; the last from their code)."""


class StreamBatch(NamedTuple):
    """A segment of every track.

    Attributes:
        inputs: input tokens, [tracks, time]; each text begins with the begin mark.
        gold: tokens to predict, [tracks, time]; each text ends with the end mark.
        begins: whether the tracks begin here; else the state is carried over from the previous segment.
        share: length of the segment, as a share of the configured length.
        lines: indices in the split of the texts that are read, [texts], int64, from 0.
    """

    inputs: Padded
    gold: Padded
    begins: bool
    share: float
    lines: torch.Tensor

    def to(self, device: torch.device | str) -> "StreamBatch":
        """The same segment on another device."""
        inputs, gold, lines = self.inputs.to(device), self.gold.to(device), self.lines.to(device)
        return StreamBatch(inputs, gold, self.begins, self.share, lines)


class Stream:
    """Texts one after the other, cut into tracks of equal length; the first ones may have a token more.

    ::

        predicted  the sea </s> it is calm </s> ...
        read       <s> the sea  <s> it is calm  ...

    Args:
        store: its targets are the texts, in their order.
        tracks: how many are read side by side; fewer where there are not so many tokens.
    """

    def __init__(self, store: PairStore, tracks: int) -> None:
        self._store = store
        ends = store.ends("target")
        self._ends = ends + np.arange(1, len(ends) + 1)  # each text has an end
        self.tokens = int(self._ends[-1])
        self.tracks = min(tracks, self.tokens)
        each, more = divmod(self.tokens, self.tracks)
        lengths = np.full(self.tracks, each, np.int64)
        lengths[:more] += 1
        self._starts = np.cumsum(lengths) - lengths
        self._lengths = lengths

    @property
    def longest(self) -> int:
        """Tokens of the longest track."""
        return int(self._lengths[0])

    def segment(self, start: int, stop: int) -> tuple[Padded, Padded]:
        """What is read and what is to be predicted at these places of each track, [tracks, time] each."""
        rows = [self._row(*places) for places in self._places(start, stop)]
        return pad([read for read, _ in rows]), pad([predicted for _, predicted in rows])

    def texts(self, start: int, stop: int) -> Numbers:
        """The texts that stand at these places of the tracks, [texts]."""
        found = [np.searchsorted(self._ends, [a, b - 1], side="right") for a, b in self._places(start, stop)]
        return np.unique(np.concatenate([np.arange(first, last + 1) for first, last in found]))

    def _places(self, start: int, stop: int) -> list[tuple[int, int]]:
        """First and last + 1 place of each track's part, in the whole stream."""
        return [
            (int(first) + start, int(first) + min(stop, int(length)))
            for first, length in zip(self._starts, self._lengths, strict=True)
        ]

    def _row(self, start: int, stop: int) -> tuple[Numbers, Numbers]:
        # By places in the whole stream.
        text = int(np.searchsorted(self._ends, start, side="right"))
        begin = place = int(self._ends[text - 1]) if text else 0
        read: list[Numbers] = []
        predicted: list[Numbers] = []
        while place < stop:
            ids = self._store.ids("target", text).astype(np.int64)
            read += [np.array([BOS]), ids]
            predicted += [ids, np.array([EOS])]
            place = int(self._ends[text])
            text += 1
        part = slice(start - begin, stop - begin)
        return np.concatenate(read)[part], np.concatenate(predicted)[part]


class Segment(NamedTuple):
    """First and last + 1 place in each track."""

    start: int
    stop: int


def segments(longest: int, length: int, random: np.random.Generator | None = None) -> list[Segment]:
    """Where tracks are cut.

    A single token that would be left goes into the last segment, so that every track has one there.

    Args:
        longest: tokens of the longest track.
        length: tokens of a segment.
        random: draws varying lengths near it, and a few near half of it, so that the cuts differ in each epoch
            (Merity et al. 2018, section 4.1); None: all segments have this length.
    """
    return list(_segments(longest, length, random))


def _segments(longest: int, length: int, random: np.random.Generator | None) -> Iterator[Segment]:
    start = 0
    while start < longest:
        own = length
        if random is not None:
            mean = length / 2 if random.random() < HALF_SHARE else float(length)
            own = max(min(SHORTEST, length), int(random.normal(mean, DEVIATION)))
        stop = start + own
        stop = longest if stop >= longest - 1 else stop
        yield Segment(start, stop)
        start = stop


class StreamOrder(Place):
    """The segments of each epoch, and the place in them.

    Args:
        stream: what is read.
        length: tokens of a segment.
        varies: see `segments`; a function of seed and epoch.
        seed: see `Place`.
        fingerprint: see `Place`.
    """

    def __init__(self, stream: Stream, length: int, *, varies: bool, seed: int, fingerprint: str) -> None:
        super().__init__(seed=seed, fingerprint=fingerprint)
        self.stream = stream
        self.length = length
        self.varies = varies

    def segments(self, epoch: int) -> list[Segment]:
        """All segments of an epoch."""
        random = np.random.default_rng([self.seed, epoch]) if self.varies else None
        return segments(self.stream.longest, self.length, random)

    def batches(self, epoch: int) -> "StreamBatches":
        """All batches of an epoch."""
        return StreamBatches(self.stream, self.segments(epoch), self.length if self.varies else None)


class StreamBatches(torch.utils.data.Dataset[StreamBatch]):
    """Segments of all tracks, by index, made on demand.

    Args:
        stream: what is read.
        segments: where it is cut.
        length: reference length of `StreamBatch.share`; None: the share is 1.
    """

    def __init__(self, stream: Stream, segments: list[Segment], length: int | None = None) -> None:
        self.stream = stream
        self.segments = segments
        self.length = length

    def __len__(self) -> int:
        return len(self.segments)

    def __getitem__(self, index: int) -> StreamBatch:
        start, stop = self.segments[index]
        share = 1.0 if self.length is None else (stop - start) / self.length
        lines = torch.from_numpy(self.stream.texts(start, stop))
        return StreamBatch(*self.stream.segment(start, stop), begins=start == 0, share=share, lines=lines)
