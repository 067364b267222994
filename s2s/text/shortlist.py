"""Vocabulary shortlists: which target pieces may translate which source pieces, learnt from parallel text.

IBM Model 1 (Brown et al. 1993, section 4.2) estimates the probability of each target piece given each source piece. The
shortlist of a sentence is the most probable target pieces for each of its pieces, plus the most frequent ones overall
(Jean et al. 2015, section 4.1). Co-occurrence counts alone, however weighted, covered less of unseen text with as many
pieces (benchmarks/README.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from s2s.errors import ConfigError, DataError
from s2s.text.tokenizer import BOS, EOS, PAD, SPECIALS

PER_PIECE, FREQUENT = 20, 1000
"""Measured on Multi30k with 8,000 pieces: the frequent ones are on every list, so they cost little. These lists have
95.3 % of the pieces of the validation text's references, and 64 sentences together need 2,284 pieces; 50 beside each
source piece with 100 frequent ones have 93.4 % and need 2,910."""

PAIRS = 200_000
"""Most sentence pairs that are learnt from: about 100 MB of text. More are drawn from evenly."""

LINKS = 2**26
"""Most links between the pieces of a source and of its target that are counted: 256 MiB, and some 100,000 pairs of
ordinary length."""

_CHUNK = 2**22  # links that are worked on at once: 32 MiB an array
_ITERATIONS = 5  # Model 1 has long settled
_NULL = BOS  # the empty word of Model 1; no source sentence has this id

Array = NDArray[Any]
Encoded = tuple[Sequence[int], Sequence[int]]


@dataclass(frozen=True)
class Shortlist:
    """The candidate target pieces for each source piece.

    Attributes:
        beside: the most probable target pieces of each source piece, filled up with `EOS`, [source vocabulary,
            per piece] of int32.
        always: target pieces of every list, ascending, including the reserved ids. [pieces] of int32.
    """

    beside: Array
    always: Array

    def candidates(self, source: Array) -> Array:
        """Target pieces of sentences, apart from those of every list.

        Args:
            source: ids, padded with `PAD`, [sentences, source].

        Returns:
            [sentences, source * per piece], in any order, with repetitions.
        """
        found = self.beside[source]
        found[source == PAD] = EOS  # of every list: padding brings nothing
        flat: Array = found.reshape(len(source), -1)
        return flat

    def write(self, path: Path) -> None:
        """Into a safetensors file."""
        path.write_bytes(save({"beside": self.beside, "always": self.always}))

    @staticmethod
    def read(path: Path, source_vocabulary_size: int, target_vocabulary_size: int) -> Shortlist:
        """What `write` wrote, for vocabularies of these sizes.

        Raises:
            DataError: the file is damaged, or made for other vocabularies.
        """
        try:
            with safe_open(path, framework="numpy") as file:
                beside, always = file.get_tensor("beside"), file.get_tensor("always")
        except (SafetensorError, OSError) as error:
            raise DataError(f"{path} is damaged ({error})") from error
        fits = (
            beside.ndim == 2
            and always.ndim == 1
            and beside.dtype == always.dtype == np.int32
            and len(beside) == source_vocabulary_size
            and np.array_equal(always[: len(SPECIALS)], np.arange(len(SPECIALS)))
            and all(
                part.size == 0 or (part.min() >= 0 and part.max() < target_vocabulary_size)
                for part in (beside, always)
            )
        )
        if not fits:
            raise DataError(
                f"{path} is no shortlist for {source_vocabulary_size} source and {target_vocabulary_size} "
                "target pieces"
            )
        return Shortlist(beside, always)


@dataclass(frozen=True)
class Learnt:
    """A shortlist and its statistics.

    Attributes:
        shortlist: the shortlist.
        read: sentence pairs that were given and have text on both sides.
        used: pairs that it was learnt from.
        covered: share of the target pieces of the used pairs that are on their sentences' lists.
        pieces: mean length of these lists.
    """

    shortlist: Shortlist
    read: int
    used: int
    covered: float
    pieces: float


def learn_shortlist(
    pairs: Iterable[tuple[str, str]],
    encode: Callable[[list[tuple[str, str]]], list[Encoded]],
    source_vocabulary_size: int,
    target_vocabulary_size: int,
    *,
    per_piece: int = PER_PIECE,
    frequent: int = FREQUENT,
) -> Learnt:
    """Learn a shortlist; the same text gives the same one.

    Args:
        pairs: source and target lines.
        encode: lines to ids.
        source_vocabulary_size: number of source ids.
        target_vocabulary_size: number of target ids.
        per_piece: most target pieces beside each source piece.
        frequent: target pieces on every list, the most frequent ones.

    Raises:
        ConfigError: impossible sizes.
        DataError: there is no text.
    """
    if per_piece < 1 or frequent < 0:
        raise ConfigError(
            f"per_piece is {per_piece} and frequent {frequent}; they must be at least 1 and at least 0"
        )
    drawn, read = _draw(pairs)
    encoded = _within_links([(s, t) for s, t in encode(drawn) if len(s) and len(t)])
    if not encoded:
        raise DataError("there is no sentence pair to learn a shortlist from")
    sizes = source_vocabulary_size, target_vocabulary_size
    counts = np.bincount(np.concatenate([target for _, target in encoded]), minlength=sizes[1])
    counts[: len(SPECIALS)] = 0
    ranked = np.argsort(-counts, kind="stable")[:frequent]
    always = np.union1d(np.arange(len(SPECIALS)), ranked[counts[ranked] > 0]).astype(np.int32)
    beside = _most_probable(*model_1(encoded, target_vocabulary_size), *sizes, per_piece)
    shortlist = Shortlist(beside, always)
    covered = total = pieces = 0
    for source, target in encoded:
        own = np.zeros(target_vocabulary_size, bool)
        own[always] = True
        own[beside[np.asarray(source)]] = True
        covered += int(own[np.asarray(target)].sum())
        total += len(target)
        pieces += int(own.sum())
    return Learnt(shortlist, read, len(encoded), covered / total, pieces / len(encoded))


def model_1(
    pairs: Sequence[Encoded], target_vocabulary_size: int, iterations: int = _ITERATIONS
) -> tuple[Array, Array, Array]:
    """Translation probabilities t(f|e) of IBM Model 1 (Brown et al. 1993, eq. 13-17), e a source and f a target piece.

    Every source sentence has the empty word, too. What never occurs together is left out, so the tables are sparse.

    Args:
        pairs: ids of source and target sentences, none of them empty.
        target_vocabulary_size: number of target ids.
        iterations: of the EM algorithm, which begins with equal probabilities.

    Returns:
        e, f and t(f|e), each [pairs of pieces], ascending by (e, f).
    """
    keys = np.zeros(0, np.int64)
    for _, links in _links(pairs, target_vocabulary_size):
        keys = np.union1d(keys, links)
    e, f = np.divmod(keys, target_vocabulary_size)
    places = [
        (target, np.searchsorted(keys, links).astype(np.int32))
        for target, links in _links(pairs, target_vocabulary_size)
    ]
    t = np.ones(len(keys))
    for _ in range(iterations):
        expected = np.zeros(len(keys))
        for target, place in places:
            likely = t[place]
            shared = np.bincount(target, likely)
            expected += np.bincount(place, likely / shared[target], minlength=len(keys))
        t = expected / np.bincount(e, expected)[e]
    return e, f, t


def _links(pairs: Sequence[Encoded], target_vocabulary_size: int) -> Iterator[tuple[Array, Array]]:
    # Of some sentences at a time: for each link the number of its target token, and its key e * vocabulary + f.
    targets: list[Array] = []
    keys: list[Array] = []
    tokens = links = 0
    for source, target in pairs:
        e, f = np.append(np.asarray(source, np.int64), _NULL), np.asarray(target, np.int64)
        keys.append((e * target_vocabulary_size + f[:, None]).ravel())
        targets.append(np.repeat(np.arange(tokens, tokens + len(f), dtype=np.int32), len(e)))
        tokens += len(f)
        links += len(keys[-1])
        if links >= _CHUNK:
            yield np.concatenate(targets), np.concatenate(keys)
            targets, keys, tokens, links = [], [], 0, 0
    if keys:
        yield np.concatenate(targets), np.concatenate(keys)


def _most_probable(e: Array, f: Array, t: Array, sources: int, targets: int, per_piece: int) -> Array:
    # Of equally probable pieces the lower id.
    beside = np.full((sources, min(per_piece, targets)), EOS, dtype=np.int32)
    order = np.lexsort((f, -t, e))
    e, f = e[order], f[order]
    rank = np.arange(len(e)) - np.searchsorted(e, e)
    kept = (rank < per_piece) & (e != _NULL)
    beside[e[kept], rank[kept]] = f[kept]
    return beside


def _draw(pairs: Iterable[tuple[str, str]]) -> tuple[list[tuple[str, str]], int]:
    # Evenly, while reading once (Vitter 1985, algorithm R); in the order of reading as long as all are kept.
    random = np.random.default_rng(0)
    drawn: list[tuple[str, str]] = []
    read = 0
    for pair in pairs:
        if not all(pair):
            continue
        read += 1
        if len(drawn) < PAIRS:
            drawn.append(pair)
        elif (place := int(random.integers(read))) < PAIRS:
            drawn[place] = pair
    return drawn, read


def _within_links(pairs: list[Encoded]) -> list[Encoded]:
    links = np.array([(len(source) + 1) * len(target) for source, target in pairs], dtype=np.int64)
    if links.sum() <= LINKS:
        return pairs
    order = np.random.default_rng(0).permutation(len(pairs))
    fitting = np.cumsum(links[order]) <= LINKS
    return [pairs[place] for place in order[fitting]]
