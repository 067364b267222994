"""Repeatable chance, and invented names spelt from syllables."""

import random
from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


class Chance:
    """Draws from `Random.random` alone, whose sequence is the same in every version of Python."""

    def __init__(self, seed: int) -> None:
        """Start the sequence.

        Args:
            seed: Two objects of one seed give the same draws.
        """
        self._random = random.Random(seed)

    def happens(self, probability: float) -> bool:
        """Be true with this probability."""
        return self._random.random() < probability

    def below(self, stop: int) -> int:
        """Draw a whole number from 0 to `stop` - 1."""
        return int(self._random.random() * stop)

    def between(self, first: int, last: int) -> int:
        """Draw a whole number from `first` to `last`, both included."""
        return first + self.below(last - first + 1)

    def pick(self, items: Sequence[Item], skew: float = 1.0) -> Item:
        """Draw an item; above 1, `skew` favours the first ones, as languages favour some words."""
        return items[int(len(items) * self._random.random() ** skew)]

    def shuffled(self, items: Sequence[Item]) -> list[Item]:
        """Return the items in random order (Fisher and Yates)."""
        result = list(items)
        for last in range(len(result) - 1, 0, -1):
            other = self.below(last + 1)
            result[last], result[other] = result[other], result[last]
        return result


# fmt: off
ONSETS = (
    "b", "d", "f", "g", "h", "j", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "z", "br", "dr", "gr",
    "kr", "tr", "pl", "st", "th", "sh", "ch",
)
# fmt: on
VOWELS = ["a", "e", "i", "o", "u"]
CODAS = ["", "", "", "l", "n", "r", "s", "m"]
SIMPLE_ONSETS = ONSETS[:17]  # those of one letter, for the middle of a name
PLACE_ENDINGS = ["mora", "stad", "holm", "gard", "dale", "ness", "wick", "burn", "fell", "vik"]
# fmt: off
UNPLEASANT = (
    "ass", "dik", "fag", "fuk", "kum", "nig", "shit", "tit", "hit", "rap", "pis", "kil", "sex", "cum",
)
# fmt: on


class Names:
    """Given names, family names and towns, all invented; a second pool is kept from training."""

    def __init__(
        self, chance: Chance, *, taken: Sequence[str] = (), known: int = 1200, reserved: int = 500
    ) -> None:
        """Spell all names.

        Args:
            chance: Where the draws come from.
            taken: Words that no name may equal.
            known: How many names of each kind any split may use.
            reserved: How many more only validation and test may use.
        """
        self._chance = chance
        spelt = {word.lower() for word in taken}
        self._pools: dict[tuple[str, bool], list[str]] = {}
        for kind in ("feminine", "masculine", "family", "town"):
            for is_reserved, size in ((False, known), (True, reserved)):
                pool: list[str] = []
                while len(pool) < size:
                    name = self._spell(kind)
                    if name not in spelt and not any(part in name for part in UNPLEASANT):
                        spelt.add(name)
                        pool.append(name.capitalize())
                self._pools[kind, is_reserved] = pool
        self.unseen_share = 0.0

    def _spell(self, kind: str) -> str:
        chance = self._chance
        start = chance.pick(ONSETS) + chance.pick(VOWELS) + chance.pick(CODAS)
        if chance.happens(0.5):
            start += chance.pick(SIMPLE_ONSETS) + chance.pick(VOWELS) + chance.pick(("", "", "l", "n", "r"))
        if kind == "town":
            return start + chance.pick(PLACE_ENDINGS)
        if kind == "feminine":
            return start + chance.pick(("la", "ra", "na", "ia", "ita", "issa", "va"))
        if kind == "masculine":
            return start + chance.pick(("ron", "dan", "tik", "mir", "lo", "vos", "bert"))
        return start + chance.pick(("son", "rik", "man", "ski", "field", "wood", "lund", "er"))

    def draw(self, kind: str) -> str:
        """Draw a feminine, masculine, family or town name, `unseen_share` of them from the reserved pool."""
        reserved = self.unseen_share > 0 and self._chance.happens(self.unseen_share)
        return self._chance.pick(self._pools[kind, reserved], 1.0 if reserved else 1.5)

    def kinds(self) -> dict[str, str]:
        """Return every name with its kind: feminine, masculine, family or town."""
        return {name: kind for (kind, _), pool in self._pools.items() for name in pool}

    def reserved(self) -> set[str]:
        """Return every name that training never sees."""
        return {name for (_, is_reserved), pool in self._pools.items() if is_reserved for name in pool}
