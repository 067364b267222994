"""Which pairs make up which batch: a pure function of (seed, epoch), and where in it training stands."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from s2s.errors import ConfigError, DataError

# Sentences are sorted by source length in steps of 8 %, and within a step by target length with 8 % of
# noise; which of two steps a sentence falls into is drawn. So padding stays near 5 %, and in each epoch
# others meet in a batch.
_STEP = 1.08
_NOISE = 0.08

Numbers = npt.NDArray[np.int64]


class BatchLimits(NamedTuple):
    """How large a batch may be; at least one of the two is given.

    Attributes:
        tokens: most padded tokens, rows x (longest source + longest target with its eos).
        sentences: most rows.
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

    def padding_share(self, source_lengths: Numbers, target_lengths: Numbers) -> float:
        """The part of all positions, source and target, that holds padding: 0 is none."""
        if len(self) == 0:
            return 0.0
        by_batch = np.argsort(self.starts)
        starts = self.starts[by_batch]
        rows = (self.stops - self.starts)[by_batch]
        cells = 0
        for lengths in (source_lengths[self.order], target_lengths[self.order] + 1):
            cells += int((np.maximum.reduceat(lengths, starts) * rows).sum())
        real = int(source_lengths[self.order].sum() + target_lengths[self.order].sum()) + len(self.order)
        return 1 - real / cells


def cut(source_lengths: Numbers, target_lengths: Numbers, order: Numbers, limits: BatchLimits) -> Batches:
    """Cuts pairs, in the order given, into batches as large as the limits allow.

    A pair that alone is beyond `limits.tokens` becomes a batch of its own.

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


def epoch_batches(
    source_lengths: Numbers,
    target_lengths: Numbers,
    limits: BatchLimits,
    *,
    seed: int,
    epoch: int,
    bounds: Sequence[tuple[int, int]] | None = None,
    weights: Sequence[float] | None = None,
) -> Batches:
    """The batches of an epoch in the order of training, a pure function of the arguments.

    A corpus of weight w is seen w times; of a fractional part other pairs are drawn in each epoch. Pairs of
    like length come together, chance decides among them, and the batches are shuffled.

    Args:
        source_lengths: tokens of each source, [all pairs].
        target_lengths: tokens of each target without bos and eos, [all pairs].
        limits: how large a batch may be.
        seed: of the whole training.
        epoch: from 0.
        bounds: first and last + 1 pair of each corpus; default: one corpus.
        weights: of each corpus; default: 1.
    """
    random = np.random.default_rng([seed, epoch])
    bounds = bounds or [(0, len(source_lengths))]
    chosen = []
    for (start, stop), weight in zip(bounds, weights or [1.0] * len(bounds), strict=True):
        whole = int(weight)
        chosen.extend([np.arange(start, stop)] * whole)
        part = round((weight - whole) * (stop - start))
        if part:
            chosen.append(start + random.permutation(stop - start)[:part])
    pairs = np.concatenate(chosen) if chosen else np.empty(0, np.int64)
    random.shuffle(pairs)

    step = np.floor(np.log(source_lengths[pairs] + 1) / np.log(_STEP) + random.random(len(pairs)))
    step = step.astype(np.int64)
    target = target_lengths[pairs]
    target = np.rint(target * (1 + _NOISE * random.random(len(pairs)))).astype(np.int64)
    # every second step runs from long targets to short ones, so that a batch across two steps is not torn
    high = int(target.max(initial=0)) + 1
    target = np.where(step % 2 == 0, target, high - target)
    order = pairs[np.argsort(step * (high + 1) + target, kind="stable")]

    batches = cut(source_lengths, target_lengths, order, limits)
    shuffled = random.permutation(len(batches))
    return Batches(order, batches.starts[shuffled], batches.stops[shuffled])


def by_length(source_lengths: Numbers, target_lengths: Numbers, limits: BatchLimits) -> Batches:
    """All pairs once, longest first (so that what does not fit into memory fails at once), for evaluation."""
    folded = np.where(source_lengths % 2 == 0, target_lengths, -target_lengths)
    order = np.lexsort((folded, source_lengths))[::-1].astype(np.int64)
    return cut(source_lengths, target_lengths, order, limits)


def beyond_budget(source_lengths: Numbers, target_lengths: Numbers, limits: BatchLimits) -> Numbers:
    """The pairs that alone are beyond `limits.tokens`, [pairs]."""
    if limits.tokens is None:
        return np.empty(0, np.int64)
    return np.flatnonzero(source_lengths + target_lengths + 1 > limits.tokens)


class Sampler:
    """The order of training and the place in it: `epoch` and `position`, the number of batches consumed.

    The list of an epoch's batches is made first and then dealt out: rank r of n gets batches r, r + n, r +
    2n, ...; when the list does not divide evenly, its first batches are dealt once more at the end, so that
    all ranks get equally many.

    Args:
        source_lengths: tokens of each source, [all pairs].
        target_lengths: tokens of each target without bos and eos, [all pairs].
        limits: how large a batch may be.
        seed: of the whole training.
        fingerprint: of the data and of everything else that decides about batches.
        bounds: first and last + 1 pair of each corpus.
        weights: of each corpus.
        rank: which process this is.
        ranks: how many there are.
    """

    def __init__(
        self,
        source_lengths: Numbers,
        target_lengths: Numbers,
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
        self.source_lengths = source_lengths
        self.target_lengths = target_lengths
        self.limits = limits
        self.seed = seed
        self.fingerprint = fingerprint
        self.bounds = bounds
        self.weights = weights
        self.rank = rank
        self.ranks = ranks
        self.epoch = 0
        self.position = 0

    def batches(self, epoch: int) -> Batches:
        """All batches of an epoch, before they are dealt out."""
        return epoch_batches(
            self.source_lengths,
            self.target_lengths,
            self.limits,
            seed=self.seed,
            epoch=epoch,
            bounds=self.bounds,
            weights=self.weights,
        )

    def dealt(self, batches: Batches) -> Numbers:
        """Which batches of the list this rank gets, in order, [batches of this rank]."""
        each = -(-len(batches) // self.ranks)
        return (np.arange(each) * self.ranks + self.rank) % max(1, len(batches))

    def start(self, epoch: int) -> int:
        """Goes to an epoch: to the saved position if it is the saved epoch, else to its beginning.

        Returns:
            How many of this rank's batches are behind.
        """
        if epoch != self.epoch:
            self.epoch, self.position = epoch, 0
        return self.position

    def batch_done(self) -> None:
        """Counts a batch (of this rank, and so of each) that training has consumed."""
        self.position += 1

    def state_dict(self) -> dict[str, Any]:
        """Where training stands; `position` counts the batches of one rank."""
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
            DataError: the checkpoint's order of training cannot be gone on with here.
        """
        if state["fingerprint"] != self.fingerprint:
            raise DataError(
                "the checkpoint was made with other training data, tokenizers or batch sizes "
                f"(fingerprint {state['fingerprint'][:12]}, here {self.fingerprint[:12]}), so its place in "
                "the epoch means nothing here; restore them, or start a new run from the bundle"
            )
        if state["seed"] != self.seed:
            raise DataError(
                f"the checkpoint's order of training comes from seed {state['seed']}, here the seed is "
                f"{self.seed}; set it to {state['seed']} to go on"
            )
        if state["position"] and state["ranks"] != self.ranks:
            raise DataError(
                f"the checkpoint was made in the middle of an epoch by {state['ranks']} process(es), here "
                f"are {self.ranks}; resume with {state['ranks']}, or from a checkpoint of an epoch's end"
            )
        self.epoch, self.position = state["epoch"], state["position"]
