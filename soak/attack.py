"""What an attack is: a promise, and attempts to break it."""

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path


class Broken(Exception):
    """A promise was broken; the message says how, so that it can be done again by hand."""


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt.

    Args:
        counts: how often each thing happened, in a word or two: {"refused": 97, "harmless": 3}. Their sum is how
            often something was tried.
        figures: measured on the way, by name with unit: {"mebibytes_per_hour": 0.2}. Of several attempts the
            last counts.
    """

    counts: Counter[str]
    figures: dict[str, float] = field(default_factory=dict)


class Attack(ABC):
    """A promise, and a way to try to break it; an attempt is a function of its number, so that it can be done again.

    Attributes:
        name: as given to `python -m soak NAME`, like `killed-training`.
        promise: a sentence for docs/reliability.md.
        units: what is counted, in the plural: `kills`, `mutations`, `lines`.
        attempts: of the long form.
        short: how many of them run in CI.
    """

    name: str
    promise: str
    units: str
    attempts: int
    short: int

    @abstractmethod
    def prepare(self, folder: Path) -> None:
        """Make what all attempts share: a trained model, a corpus. Called once in a process, before any attempt.

        Args:
            folder: empty, and there until the last attempt is done.
        """

    @abstractmethod
    def attempt(self, number: int, folder: Path) -> Outcome:
        """Try to break the promise once, or a number of times.

        Args:
            number: from 0; seeds whatever is drawn.
            folder: an empty one, deleted afterwards.

        Raises:
            Broken: the promise was broken.
        """
