"""The base class of an attack: a promise, and attempts to break it."""

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path


class Broken(Exception):
    """A promise was broken; the message says how, so that it can be reproduced by hand."""


@dataclass(frozen=True)
class Outcome:
    """The result of an attempt.

    Args:
        counts: how often each thing happened, in a word or two: {"refused": 97, "harmless": 3}. Their sum is the
            number of things tried.
        figures: measurements, by name with unit: {"mebibytes_per_hour": 0.2}. The last attempt's value
            is reported.
    """

    counts: Counter[str]
    figures: dict[str, float] = field(default_factory=dict)


class Attack(ABC):
    """A promise, and a way to try to break it; an attempt depends only on its number, so that it is reproducible.

    Attributes:
        name: as given to `python -m soak NAME`, like `killed-training`.
        promise: a sentence for docs/reliability.md.
        units: what is counted, in the plural: `kills`, `mutations`, `lines`.
        attempts: their number in the long form.
        short: their number in CI.
    """

    name: str
    promise: str
    units: str
    attempts: int
    short: int

    @abstractmethod
    def prepare(self, folder: Path) -> None:
        """Create what all attempts share: a trained model, a corpus. Called once per process, before any attempt.

        Args:
            folder: initially empty, and kept until the last attempt is done.
        """

    @abstractmethod
    def attempt(self, number: int, folder: Path) -> Outcome:
        """Try to break the promise, once or several times.

        Args:
            number: from 0; the seed of all random choices.
            folder: an empty folder, deleted afterwards.

        Raises:
            Broken: the promise was broken.
        """
