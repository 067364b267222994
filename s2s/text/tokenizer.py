"""Text to token ids and back: the protocol of every tokenizer."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from s2s.errors import DataError
from s2s.registry.versions import version_of
from s2s.reserved import BOS, EOS, PAD, UNK
from s2s.untrusted import read_bytes

__all__ = [
    "BOS",
    "DEFAULT_TOKENIZER",
    "EOS",
    "PAD",
    "SPECIALS",
    "UNK",
    "UNKNOWN_TEXT",
    "Tokenizer",
    "untrained",
]

SPECIALS = ("<pad>", "<unk>", "<s>", "</s>")
"""How the four reserved ids are shown by `Tokenizer.tokens`."""
UNKNOWN_TEXT = "\u2047"
"""Stands for an unknown token in decoded text (a double question mark)."""
DEFAULT_TOKENIZER = "SentencePiece"
"""The default tokenizer, by its name in the catalogue."""


class Tokenizer(ABC):
    """Converts text to token ids and back.

    The constructor takes options only and reads no files; `train` or `load` makes the tokenizer usable. Ids 0 to 3 are
    `PAD`, `UNK`, `BOS`, `EOS` for every tokenizer. An instance must be picklable (it is sent to worker
    processes).
    """

    model_file: ClassVar[str] = "tokenizer.json"
    """Name of the file, in the folder given to `save`, that holds the trained model."""

    @abstractmethod
    def train(self, lines: Iterable[str]) -> None:
        """Train on text, given line by line; the same lines and options give the same tokenizer.

        Raises:
            DataError: there is too little text, or it does not fit the options.
        """

    @property
    @abstractmethod
    def vocabulary_size(self) -> int:
        """Number of ids, including the reserved ones."""

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """The ids of a line, without bos and eos."""

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of several lines."""
        return [self.encode(text) for text in texts]

    @property
    def samples(self) -> bool:
        """Whether `encode_sampled` differs from `encode`, so that training must encode again in each epoch."""
        return False

    def encode_sampled(self, text: str, seed: int) -> list[int]:
        """One of the possible encodings of a line, chosen by `seed` (0 to 2**32 - 1) alone."""
        return self.encode(text)

    def normalize(self, text: str) -> str:
        """The text that `encode` splits: the line itself, unless the tokenizer normalizes it first.

        `decode(encode(text))` gives this back, with `UNKNOWN_TEXT` where tokens are unknown.
        """
        return text

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, without pad, bos and eos; an unknown token becomes `UNKNOWN_TEXT`."""

    def split_at_unknowns(self, ids: Sequence[int]) -> list[str]:
        """The text of ids, split at unknown tokens: one more part than there are unknown tokens."""
        parts = self.decode(ids).split(UNKNOWN_TEXT)
        unknown = [place for place, token in enumerate(ids) if token == UNK]
        if len(parts) == len(unknown) + 1:
            return parts
        # The text can contain that sign itself. Decoding up to each unknown token tells which signs stand for one.
        signs = {self.decode(ids[: place + 1]).count(UNKNOWN_TEXT) for place in unknown}
        joined = parts[:1]
        for sign, part in enumerate(parts[1:], start=1):
            if sign in signs:
                joined.append(part)
            else:
                joined[-1] += UNKNOWN_TEXT + part
        return joined

    def unknown_texts(self, text: str, ids: Sequence[int]) -> list[str]:
        """The text behind each unknown token of `ids`, in order; `UNKNOWN_TEXT` where it cannot be determined.

        Derived from `decode` and `normalize`; a tokenizer may override it with a faster implementation.

        Args:
            text: the line.
            ids: one of its encodings, or a prefix of one.
        """
        ids = list(ids)
        unknown = ids.count(UNK)
        if unknown and ids[-1] == UNK:  # where it ends may depend on what follows
            whole = self.encode(text)
            ids = whole if whole[: len(ids)] == ids else ids
        first, *others = self.split_at_unknowns(ids)
        line = self.normalize(text)
        found: list[str] = []
        place = len(first)
        if line.startswith(first):
            for number, part in enumerate(others, start=1):
                last = number == len(others) and not part
                end = len(line) if last else line.find(part, place + 1)
                if end <= place:
                    break
                found.append(line[place:end])
                place = end + len(part)
        if len(found) < ids.count(UNK):
            return [UNKNOWN_TEXT] * unknown
        return found[:unknown]

    @abstractmethod
    def tokens(self, ids: Sequence[int]) -> list[str]:
        """Each id as human-readable text."""

    @abstractmethod
    def dump(self) -> bytes:
        """The trained model, as the contents of `model_file`."""

    @abstractmethod
    def restore(self, model: bytes) -> None:
        """The inverse of `dump`, for an instance built with the same options.

        Raises:
            DataError: the contents are not those of this kind of tokenizer.
        """

    def save(self, folder: str | Path) -> None:
        """Write the trained model into a folder, which is created if it is missing."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / self.model_file).write_bytes(self.dump())

    def load(self, folder: str | Path) -> None:
        """Read a trained model written by `save`.

        Raises:
            DataError: the file is missing or damaged.
        """
        path = Path(folder) / self.model_file
        try:
            self.restore(read_bytes(path))
        except OSError as error:
            raise DataError(
                f"cannot read the tokenizer {path}: {error.strerror}; make it with: s2s tokenizer train"
            ) from error
        except DataError as error:
            raise DataError(f"{path}: {error}") from error

    def fingerprint(self) -> str:
        """A hexadecimal hash of the class, version, options and, after training, the trained model."""
        options = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        about = [
            type(self).__module__,
            type(self).__qualname__,
            *([] if version_of(type(self)) == 1 else [f"version {version_of(type(self))}"]),
            json.dumps(options, sort_keys=True, default=str),
        ]
        learnt = self.dump() if self.trained else b""
        return hashlib.sha256("\n".join(about).encode() + b"\n" + learnt).hexdigest()

    @property
    @abstractmethod
    def trained(self) -> bool:
        """Whether `train` or `load` has been called."""


def untrained(tokenizer: Tokenizer) -> DataError:
    """The error for a tokenizer that is used before training."""
    return DataError(f"{type(tokenizer).__name__} has learnt nothing yet; call train(lines) or load(folder)")
