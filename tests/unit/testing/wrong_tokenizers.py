"""A sound tokenizer, and tokenizers that are wrong, each in one place. Imports no torch: one check starts a process."""

import json
import pickle
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from s2s.errors import DataError
from s2s.text.tokenizer import BOS, EOS, PAD, SPECIALS, UNK, UNKNOWN_TEXT, Tokenizer, untrained


class Sound(Tokenizer):
    """Characters and frequent pairs of them; sampling leaves some pairs apart.

    Args:
        merging: share of the pairs that sampling puts together.
    """

    def __init__(self, *, merging: float = 0.5) -> None:
        self.merging = merging
        self._entries: list[str] | None = None

    def train(self, lines: Iterable[str]) -> None:
        counts = Counter(
            part for line in lines for i in range(len(line)) for part in (line[i], line[i : i + 2])
        )
        self._learn(sorted(part for part, count in counts.items() if len(part) == 1 or count > 2))

    def _learn(self, entries: list[str]) -> None:
        self._entries = entries

    @property
    def trained(self) -> bool:
        return self._entries is not None

    @property
    def _known(self) -> list[str]:
        if self._entries is None:
            raise untrained(self)
        return self._entries

    @property
    def vocabulary_size(self) -> int:
        return len(SPECIALS) + len(self._known)

    def encode(self, text: str) -> list[int]:
        return self._split(text, lambda: True)

    @property
    def samples(self) -> bool:
        return True

    def encode_sampled(self, text: str, seed: int) -> list[int]:
        chance = random.Random(seed)
        return self._split(text, lambda: chance.random() < self.merging)

    def _split(self, text: str, merges: Callable[[], bool]) -> list[int]:
        known = {entry: i for i, entry in enumerate(self._known, start=len(SPECIALS))}
        ids, place = [], 0
        while place < len(text):
            width = 2 if text[place : place + 2] in known and merges() else 1
            part = text[place : place + width]
            ids.append(known.get(part, UNK))
            place += len(part)
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(
            UNKNOWN_TEXT if i == UNK else self._known[i - len(SPECIALS)]
            for i in ids
            if i not in (PAD, BOS, EOS)
        )

    def tokens(self, ids: Sequence[int]) -> list[str]:
        return [SPECIALS[i] if i < len(SPECIALS) else self._known[i - len(SPECIALS)] for i in ids]

    def dump(self) -> bytes:
        return json.dumps(self._known).encode()

    def restore(self, model: bytes) -> None:
        try:
            self._learn(list(json.loads(model)))
        except ValueError as error:
            raise DataError(f"this is not the file of a Sound tokenizer: {error}") from error


class Undocumented(Sound):
    """An option that nobody explains.

    Args:
        merging: as in a sound one.
    """

    def __init__(self, *, merging: float = 0.5, depth: int = 2) -> None:
        super().__init__(merging=merging)


class HidesAnOption(Sound):
    """Sound, but for where it keeps an option.

    Args:
        merging: see `Sound`.
        lowercase: learns without case.
    """

    def __init__(self, *, merging: float = 0.5, lowercase: bool = False) -> None:
        super().__init__(merging=merging)
        self._lowercase = lowercase


class EncodesUntrained(Sound):
    def encode(self, text: str) -> list[int]:
        return super().encode(text) if self.trained else []


class FailsUntrained(Sound):
    def encode(self, text: str) -> list[int]:
        assert self._entries is not None, "not trained"
        return super().encode(text)


class NeverTrained(Sound):
    trained = False  # type: ignore[assignment]


class CountsItsOwnTokensOnly(Sound):
    @property
    def vocabulary_size(self) -> int:
        return len(self._known)


class NothingButReserved(Sound):
    vocabulary_size = 4  # type: ignore[assignment]


class ShowsReservedItsOwnWay(Sound):
    def tokens(self, ids: Sequence[int]) -> list[str]:
        return ["[PAD]" if i == PAD else token for i, token in zip(ids, super().tokens(ids), strict=True)]


class JoinsTokens(Sound):
    def tokens(self, ids: Sequence[int]) -> list[str]:
        return ["".join(super().tokens(ids))]


class DecodesPadding(Sound):
    def decode(self, ids: Sequence[int]) -> str:
        return super().decode(ids) + "<pad>" * list(ids).count(PAD)


class HidesTheUnknown(Sound):
    def decode(self, ids: Sequence[int]) -> str:
        return super().decode([i for i in ids if i != UNK])


class LowersInSilence(Sound):
    def encode(self, text: str) -> list[int]:
        return super().encode(text.lower())


class KnowsNothing(Sound):
    def _split(self, text: str, merges: Callable[[], bool]) -> list[int]:
        return [UNK] * len(text)


class RefusesNUL(Sound):
    def encode(self, text: str) -> list[int]:
        if "\0" in text:
            raise ValueError("embedded null character")
        return super().encode(text)


class TakesTextForReserved(Sound):
    def encode(self, text: str) -> list[int]:
        first, *others = text.split("<s>")
        return [
            *super().encode(first),
            *(i for part in others for i in [BOS, *super(type(self), self).encode(part)]),
        ]


class StripsInSilence(Sound):
    def encode(self, text: str) -> list[int]:
        return super().encode(text.strip())


class PadsBatches(Sound):
    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        ids = super().encode_batch(texts)
        longest = max(map(len, ids), default=0)
        return [one + [PAD] * (longest - len(one)) for one in ids]


class SkipsEmptyLines(Sound):
    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        return super().encode_batch([text for text in texts if text])


class ShufflesItsTokens(Sound):
    def train(self, lines: Iterable[str]) -> None:
        super().train(lines)
        random.shuffle(self._known)


class FingerprintOfTheClass(Sound):
    def fingerprint(self) -> str:
        return "abc123"


class FingerprintOfTheInstance(Sound):
    def fingerprint(self) -> str:
        return f"{id(self):x}"


class OrderOfASet(Sound):
    def train(self, lines: Iterable[str]) -> None:
        self._learn(list({character for line in lines for character in line}))


class CannotBePickled(Sound):
    def __init__(self, *, merging: float = 0.5) -> None:
        super().__init__(merging=merging)
        self._lower = lambda text: text.lower()


class PickleForgets(Sound):
    def __getstate__(self) -> dict[str, object]:
        return {**vars(self), "_entries": None}


class PickleRounds(Sound):
    def __getstate__(self) -> dict[str, object]:
        return {**vars(self), "_entries": self._known[:-30]}


class SavesAPickle(Sound):
    def dump(self) -> bytes:
        return pickle.dumps(self._known)

    def restore(self, model: bytes) -> None:
        self._learn(pickle.loads(model))


class SavesTwoFiles(Sound):
    def save(self, folder: str | Path) -> None:
        super().save(folder)
        (Path(folder) / "options.json").write_text("{}")


class RestoresCharactersOnly(Sound):
    def restore(self, model: bytes) -> None:
        super().restore(model)
        self._learn([entry for entry in self._known if len(entry) == 1])


class ForgetsItsOptions(Sound):
    def restore(self, model: bytes) -> None:
        super().restore(model)
        self.merging = 0.25


class TakesAnyFile(Sound):
    def restore(self, model: bytes) -> None:
        self._learn(model.decode("utf-8", errors="replace").split("\n"))

    def dump(self) -> bytes:
        return "\n".join(self._known).encode()


class RaisesWhateverComes(Sound):
    def restore(self, model: bytes) -> None:
        self._learn(json.loads(model))


class DrawsFromTheSharedGenerator(Sound):
    def encode_sampled(self, text: str, seed: int) -> list[int]:
        return self._split(text, lambda: random.random() < self.merging)


class SamplesEverywhere(Sound):
    def encode(self, text: str) -> list[int]:
        return self._split(text, lambda: random.random() < self.merging)


class SamplesUnsaid(Sound):
    samples = False  # type: ignore[assignment]


class SamplesNothing(Sound):
    def encode_sampled(self, text: str, seed: int) -> list[int]:
        return self.encode(text)


class DropsTokensInSampling(Sound):
    def encode_sampled(self, text: str, seed: int) -> list[int]:
        return super().encode_sampled(text, seed)[: 10 + seed % 2]


class SharesWhatItLearnt(Sound):
    shared: list[str] = []

    def _learn(self, entries: list[str]) -> None:
        self._entries = self.shared
        self.shared[:] = entries


class LearnsWhileItEncodes(Sound):
    def encode(self, text: str) -> list[int]:
        new = sorted(set(text) - set(self._known))
        self._learn([*self._known, *new])
        return super().encode(text)


class KeepsTheLine(Sound):
    def encode(self, text: str) -> list[int]:
        self._line = text
        time.sleep(0)  # another thread's turn
        return super().encode(self._line)
