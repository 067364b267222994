"""Assigns pairs to batches, as a pure function of (seed, epoch), and tracks the position of training in them."""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from s2s.errors import ConfigError, DataError

# Sentences are sorted by source length in steps of 8 %, and within a step by target length with 8 % of
# noise; which of two neighbouring steps a sentence falls into is random. So padding stays near 5 %, and
# batches mix different sentences in each epoch.
_STEP = 1.08
_NOISE = 0.08

# Batches are made from a pool of this many pairs, about ten megabytes of numbers, and from runs of neighbours: long
# enough to be read quickly, enough of them that a pool samples the whole corpus, few enough that their list is small.
_POOL = 2**17
_RUN = 64
_RUNS = 2**17

Numbers = npt.NDArray[np.int64]


class SentenceLengths(Protocol):
    """Tokens of each sentence: an array, or a view that a store reads from disk on demand."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> Numbers: ...


class BatchLimits(NamedTuple):
    """Maximum size of a batch; at least one of the two is given.

    Attributes:
        tokens: maximum padded tokens, rows x (longest source + longest target with its eos).
        sentences: maximum rows.
    """

    tokens: int | None = None
    sentences: int | None = None

    def check(self) -> None:
        """Raises ConfigError if there is no limit, or one below 1."""
        if self.tokens is None and self.sentences is None:
            raise ConfigError("batch_tokens and batch_sentences are both null; give at least one")
        for name, value in (("batch_tokens", self.tokens), ("batch_sentences", self.sentences)):
            if value is not None and value < 1:
                raise ConfigError(f"{name} is {value}; it must be at least 1")


class Batches(NamedTuple):
    """A list of batches over one array of pairs.

    Attributes:
        order: pairs, those of a batch beside each other, [pairs].
        starts: first place of each batch in `order`, [batches].
        stops: last place + 1, [batches].
    """

    order: Numbers
    starts: Numbers
    stops: Numbers

    def __len__(self) -> int:
        return len(self.starts)

    def pairs(self, batch: int) -> Numbers:
        """The pairs of one batch, [rows]."""
        return self.order[self.starts[batch] : self.stops[batch]]


def cut(source_lengths: Numbers, target_lengths: Numbers, order: Numbers, limits: BatchLimits) -> Batches:
    """Cuts pairs, in the order given, into batches as large as the limits allow.

    A pair that alone exceeds `limits.tokens` becomes a batch of its own.

    Args:
        source_lengths: tokens of each source, [all pairs].
        target_lengths: tokens of each target without bos and eos, [all pairs].
        order: the pairs to put into batches, [pairs].
        limits: how large a batch may be.
    """
    limits.check()
    source, target = source_lengths[order], target_lengths[order] + 1
    total = len(order)
    starts = [0] if total else []
    start = 0
    while start < total:
        room = total - start if limits.sentences is None else min(limits.sentences, total - start)
        if limits.tokens is not None:
            # a batch costs at least its first pair's length times its rows: no need to look further than that
            room = max(1, min(room, limits.tokens // max(1, int(source[start] + target[start]))))
            longest = np.maximum.accumulate(source[start : start + room])
            longest += np.maximum.accumulate(target[start : start + room])
            longest *= np.arange(1, room + 1)
            room = max(1, int(np.searchsorted(longest, limits.tokens, side="right")))
        start += room
        starts.append(start)
    bounds = np.array(starts, np.int64)
    return Batches(order, bounds[:-1], bounds[1:])


class Epoch:
    """The batches of an epoch in the order of training, a pure function of the arguments.

    A corpus of weight w is seen w times per epoch; for a fractional part, other pairs are drawn in each epoch (a corpus
    of one pair with weight 0.3 is seen in epochs 0, 3, 6 and 9 of the first ten). Pairs of similar length are batched
    together in random order, and the batches are shuffled. A pair that alone exceeds `limits.tokens` is left out, so
    that no batch exceeds its budget.

    A large corpus is never in memory as a whole, not even as lengths: it is cut into runs of neighbouring pairs, the
    runs are randomly assigned to pools, and the batches of each pool are made when its turn comes. Up to _POOL pairs,
    there is one pool, and a run is a single pair.

    Args:
        source_lengths: tokens of each source, [all pairs]; read in slices.
        target_lengths: tokens of each target without bos and eos, [all pairs].
        limits: how large a batch may be.
        seed: of the whole training.
        epoch: from 0.
        bounds: first and last + 1 pair of each corpus; default: one corpus.
        weights: of each corpus; default: 1.

    Attributes:
        epoch: from 0.
        pairs_seen: how many pairs there are in all batches.
        padding_share: the part of all positions, source and target, that holds padding: 0 is none.
    """

    def __init__(
        self,
        source_lengths: SentenceLengths,
        target_lengths: SentenceLengths,
        limits: BatchLimits,
        *,
        seed: int,
        epoch: int,
        bounds: Sequence[tuple[int, int]] | None = None,
        weights: Sequence[float] | None = None,
    ) -> None:
        limits.check()
        self._lengths = (source_lengths, target_lengths)
        self._limits = limits
        self._seed = [seed, epoch]
        self.epoch = epoch
        bounds = bounds or [(0, len(source_lengths))]
        random = np.random.default_rng(self._seed)
        runs = _draw_runs(bounds, weights or [1.0] * len(bounds), epoch, random)
        self._pools = np.array_split(runs, max(1, -(-int((runs[:, 1] - runs[:, 0]).sum()) // _POOL)))
        self._made: tuple[int, Batches] | None = None
        self.pairs_seen = cells = real = 0
        sizes = []
        for pool in range(len(self._pools)):
            batches, pool_cells, pool_real = self._make(pool)
            sizes.append(len(batches))
            self.pairs_seen += len(batches.order)
            cells += pool_cells
            real += pool_real
        self.padding_share = 1 - real / cells if cells else 0.0
        self._ends = np.cumsum(np.array(sizes, np.int64))

    def __len__(self) -> int:
        return int(self._ends[-1])

    def pairs(self, batch: int) -> Numbers:
        """The pairs of one batch, [rows]."""
        pool = int(np.searchsorted(self._ends, batch, side="right"))
        before = int(self._ends[pool - 1]) if pool else 0
        if self._made is None or self._made[0] != pool:
            self._make(pool)
        assert self._made is not None
        return self._made[1].pairs(batch - before)

    def _make(self, pool: int) -> tuple[Batches, int, int]:
        """The batches of a pool (cached until another is made), and its numbers of all and of real positions."""
        runs = self._pools[pool]
        random = np.random.default_rng([*self._seed, 1 + pool])  # a 0 at the end would not count
        pairs = np.sort(_spread(runs))
        source, target = (_gather(lengths, pairs) for lengths in self._lengths)
        if self._limits.tokens is not None:
            fits = source + target + 1 <= self._limits.tokens
            pairs, source, target = pairs[fits], source[fits], target[fits]
        shuffle = random.permutation(len(pairs))
        source, target = source[shuffle], target[shuffle]
        step = np.floor(np.log(source + 1) / np.log(_STEP) + random.random(len(pairs))).astype(np.int64)
        noisy = np.rint(target * (1 + _NOISE * random.random(len(pairs)))).astype(np.int64)
        # every second step runs from long targets to short ones, so that a batch across two steps is not torn
        high = int(noisy.max(initial=0)) + 1
        noisy = np.where(step % 2 == 0, noisy, high - noisy)
        by_likeness = np.argsort(step * (high + 1) + noisy, kind="stable")
        source, target = source[by_likeness], target[by_likeness]
        batches = cut(source, target, np.arange(len(pairs)), self._limits)
        cells = 0
        if len(batches):
            rows = batches.stops - batches.starts
            for lengths in (source, target + 1):
                cells += int((np.maximum.reduceat(lengths, batches.starts) * rows).sum())
        shuffled = random.permutation(len(batches))
        order = pairs[shuffle[by_likeness]]
        made = Batches(order, batches.starts[shuffled], batches.stops[shuffled])
        self._made = (pool, made)
        return made, cells, int(source.sum() + target.sum()) + len(pairs)


def _draw_runs(
    bounds: Sequence[tuple[int, int]], weights: Sequence[float], epoch: int, random: np.random.Generator
) -> Numbers:
    """First and last + 1 pair of each run, in the order of pools, [runs, 2]."""
    total = sum(
        math.ceil(weight * (stop - start)) for (start, stop), weight in zip(bounds, weights, strict=True)
    )
    length = 1 if total <= _POOL else max(_RUN, -(-total // _RUNS))
    chosen = [np.empty((0, 2), np.int64)]
    for (start, stop), weight in zip(bounds, weights, strict=True):
        starts = np.arange(start, stop, length)
        runs = np.stack([starts, np.minimum(starts + length, stop)], axis=1)
        whole = int(weight)
        chosen.extend([runs] * whole)
        share = (Fraction(str(weight)) - whole) * (
            stop - start
        )  # per epoch; exact, also where a float is not
        part = math.ceil(share * (epoch + 1)) - math.ceil(share * epoch)
        if part:
            drawn = random.permutation(runs)
            ends = np.cumsum(drawn[:, 1] - drawn[:, 0])
            drawn = drawn[: int(np.searchsorted(ends, part)) + 1]
            drawn[-1, 1] -= ends[len(drawn) - 1] - part
            chosen.append(drawn)
    return random.permutation(np.concatenate(chosen))


def _spread(runs: Numbers) -> Numbers:
    """All pairs of runs, [pairs]."""
    lengths = runs[:, 1] - runs[:, 0]
    ends = np.cumsum(lengths)
    return np.repeat(runs[:, 1] - ends, lengths) + np.arange(int(lengths.sum()))


def _gather(lengths: SentenceLengths, pairs: Numbers) -> Numbers:
    """The lengths of sorted pairs; neighbours are read in one slice."""
    if not len(pairs):
        return np.empty(0, np.int64)
    breaks = np.flatnonzero(np.diff(pairs) > _RUN) + 1
    return np.concatenate(
        [lengths[int(run[0]) : int(run[-1]) + 1][run - run[0]] for run in np.split(pairs, breaks)]
    )


def by_length(source_lengths: Numbers, target_lengths: Numbers, limits: BatchLimits) -> Batches:
    """All pairs once, longest first (so that running out of memory happens at once), for evaluation."""
    folded = np.where(source_lengths % 2 == 0, target_lengths, -target_lengths)
    order = np.lexsort((folded, source_lengths))[::-1].astype(np.int64)
    return cut(source_lengths, target_lengths, order, limits)


def beyond_budget(
    source_lengths: SentenceLengths, target_lengths: SentenceLengths, limits: BatchLimits
) -> Numbers:
    """The pairs that alone are beyond `limits.tokens`, [pairs]."""
    if limits.tokens is None:
        return np.empty(0, np.int64)
    found = []
    for start in range(0, len(source_lengths), _POOL):
        part = slice(start, start + _POOL)
        found.append(start + np.flatnonzero(source_lengths[part] + target_lengths[part] + 1 > limits.tokens))
    return np.concatenate(found) if found else np.empty(0, np.int64)


class Place:
    """Position of training in an order of batches: `epoch` and `position`, the number of batches consumed.

    Args:
        seed: determines the order.
        fingerprint: of the data and of everything else that determines the batches.
        rank: rank of this process.
        ranks: number of ranks.

    Attributes:
        moved_to: batches that this rank has done, recomputed if training resumes with another number of ranks than in
            the checkpoint; else None.
    """

    def __init__(self, *, seed: int, fingerprint: str, rank: int = 0, ranks: int = 1) -> None:
        self.moved_to: int | None = None
        self.seed = seed
        self.fingerprint = fingerprint
        self.rank = rank
        self.ranks = ranks
        self.epoch = 0
        self.position = 0

    def start(self, epoch: int) -> int:
        """Goes to an epoch: to the saved position if it is the saved epoch, else to its beginning.

        Returns:
            How many of this rank's batches are done.
        """
        if epoch != self.epoch:
            self.epoch, self.position = epoch, 0
        return self.position

    def batch_done(self) -> None:
        """Counts a batch (of this rank, and so of each) that training has consumed."""
        self.position += 1

    def state_dict(self) -> dict[str, Any]:
        """The position of training; `position` counts the batches of one rank."""
        return {
            "seed": self.seed,
            "epoch": self.epoch,
            "position": self.position,
            "ranks": self.ranks,
            "fingerprint": self.fingerprint,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes where a checkpoint says.

        Raises:
            DataError: the checkpoint's training order cannot be continued here.
        """
        if state["fingerprint"] != self.fingerprint:
            raise DataError(
                "the checkpoint was made with other training data, tokenizers or batch sizes, or by an s2s with "
                f"another batch order (fingerprint {state['fingerprint'][:12]}, here {self.fingerprint[:12]}), so its "
                "position in the epoch is not valid here; restore them, or start a new run from the bundle"
            )
        if state["seed"] != self.seed:
            raise DataError(
                f"the checkpoint's order of training comes from seed {state['seed']}, here the seed is "
                f"{self.seed}; set it to {state['seed']} to resume"
            )
        self.epoch, self.position = state["epoch"], state["position"]
        if self.position and state["ranks"] != self.ranks:
            self.deal_anew(state)

    def deal_anew(self, state: Mapping[str, Any]) -> None:
        """Resumes in the middle of an epoch with another number of processes than in the checkpoint.

        Raises:
            DataError: the order cannot be kept.
        """
        raise DataError(
            f"the checkpoint was made in the middle of an epoch by {state['ranks']} process(es), now "
            f"there are {self.ranks}; resume with {state['ranks']}, or from a checkpoint of an epoch's end"
        )


class _Deal(NamedTuple):
    """When an epoch's list of batches was last dealt out to the ranks.

    Attributes:
        epoch: of the list.
        position: batches that each rank had done, or would have with the current number of ranks.
        done: batches of the list that all of them had done.
    """

    epoch: int
    position: int
    done: int


class Sampler(Place):
    """The order of training and the place in it.

    The list of an epoch's batches is made first and then dealt out: rank r of n gets batches r, r + n, r +
    2n, ...; when the list does not divide evenly, its first batches are dealt once more at the end, so that
    all ranks get equally many. Where training goes on with another number of ranks, what is left of the list is dealt
    out to these.

    Args:
        source_lengths: as for `Epoch`; so are `target_lengths`, `limits`, `seed`, `bounds` and `weights`.
        fingerprint: of the data and of everything else that decides about batches.
        rank: which process this is.
        ranks: how many there are.
    """

    def __init__(
        self,
        source_lengths: SentenceLengths,
        target_lengths: SentenceLengths,
        limits: BatchLimits,
        *,
        seed: int,
        fingerprint: str,
        bounds: Sequence[tuple[int, int]] | None = None,
        weights: Sequence[float] | None = None,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        limits.check()
        super().__init__(seed=seed, fingerprint=fingerprint, rank=rank, ranks=ranks)
        self.source_lengths = source_lengths
        self.target_lengths = target_lengths
        self.limits = limits
        self.bounds = bounds
        self.weights = weights
        self._made: tuple[int, Epoch] | None = None
        self._deal = _Deal(epoch=0, position=0, done=0)

    def batches(self, epoch: int) -> Epoch:
        """All batches of an epoch, before they are dealt out."""
        if self._made is None or self._made[0] != epoch:
            made = Epoch(
                self.source_lengths,
                self.target_lengths,
                self.limits,
                seed=self.seed,
                epoch=epoch,
                bounds=self.bounds,
                weights=self.weights,
            )
            self._made = (epoch, made)
        return self._made[1]

    def dealt(self, batches: Epoch) -> Numbers:
        """Which batches of the list this rank gets, in order, [batches of this rank].

        What it did before the last deal is of no interest any more, and stands there as batch 0.
        """
        deal = self._deal_of(batches.epoch)
        each = -(-(len(batches) - deal.done) // self.ranks)
        rest = (deal.done + np.arange(each) * self.ranks + self.rank) % max(1, len(batches))
        return np.concatenate([np.zeros(deal.position, np.int64), rest])

    def _deal_of(self, epoch: int) -> _Deal:
        return self._deal if self._deal.epoch == epoch else _Deal(epoch, position=0, done=0)

    def state_dict(self) -> dict[str, Any]:
        """As of `Place`, and the position and number of batches done when the list was last dealt out."""
        deal = self._deal_of(self.epoch)
        return {**super().state_dict(), "dealt_from": [deal.position, deal.done]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes where a checkpoint says.

        Raises:
            DataError: the checkpoint's training order cannot be continued here.
        """
        self._deal = _Deal(state["epoch"], *state.get("dealt_from", (0, 0)))
        super().load_state_dict(state)

    def deal_anew(self, state: Mapping[str, Any]) -> None:
        """Deals the rest of the epoch out to the current number of ranks.

        The position then is how many batches each of them would have had.
        """
        deal = self._deal_of(self.epoch)
        done = deal.done + (self.position - deal.position) * state["ranks"]
        done = min(done, len(self.batches(self.epoch)))  # some were dealt twice at the end
        self.position = self.moved_to = -(-done // self.ranks)
        self._deal = _Deal(self.epoch, self.position, done)
