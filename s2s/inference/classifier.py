"""Classification of texts with a bundle."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, overload

import torch

from s2s.errors import BundleError, ConfigError, DataError
from s2s.evaluation.classes import NONE
from s2s.inference.batch_sizes import CLASSIFIED_TOKENS
from s2s.inference.devices import threads_on, usable_device
from s2s.inference.model_bundle import ModelBundle, load_model_bundle
from s2s.inference.one_thread import use_one_thread
from s2s.inference.options import MAX_SOURCE_TOKENS
from s2s.inference.windows import WINDOW, encodable, in_batches, in_windows
from s2s.inference.workers import GivenUp, Workers
from s2s.nn.classifier import SequenceClassifier
from s2s.text.batch import pad
from s2s.text.tokenizer import SPECIALS


@dataclass(frozen=True)
class Classification:
    """The result of classifying a text.

    Attributes:
        label: its most probable class; "" for a text without tokens.
        probabilities: of all classes, the most probable first; empty for a text without tokens.
        tokens: how many of the text's tokens were read.
        truncated: whether it has more than `max_source_tokens` tokens; the rest was not read.
    """

    label: str
    probabilities: dict[str, float] = field(default_factory=dict)
    tokens: int = 0
    truncated: bool = False

    @property
    def probability(self) -> float | None:
        """Probability of `label`; None for a text without tokens."""
        return self.probabilities.get(self.label)


class Classifier:
    r"""Classifies texts.

    A text is read as a whole, even if it has several lines. On a CPU, several threads work, one batch each. It is
    thread-safe: concurrent calls do not affect each other's results.

    Args:
        bundle: of a classifier, as `load_model_bundle` returns it.
        device: such as "cpu" or "cuda".
        threads: how many work at once on a CPU; None is `default_threads` of torch's.

    Attributes:
        classes: the names of the classes, in the model's order.

    Raises:
        BundleError: tokenizer and model do not fit together.
        ConfigError: an unknown device, or no thread.
    """

    def __init__(
        self, bundle: ModelBundle[SequenceClassifier], *, device: str = "cpu", threads: int | None = None
    ) -> None:
        with usable_device(device) as self.device:
            self.model = bundle.model.to(self.device).eval()
        self.bundle = bundle
        self._tokenizer = bundle.tokenizers["source_tokenizer"]
        target = bundle.tokenizers["target_tokenizer"]
        self.classes = target.tokens(range(len(SPECIALS), target.vocabulary_size))
        if len(self.classes) != self.model.classes:
            raise BundleError(
                f"the model has {self.model.classes} classes, and target_tokenizer has {len(self.classes)}; make the "
                "bundle again: s2s fit"
            )
        self._threads = threads_on(self.device, threads)

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu", threads: int | None = None) -> Classifier:
        """Make a classifier from a bundle on disk.

        Args:
            path: folder of the bundle.
            device: such as "cpu" or "cuda".
            threads: see `Classifier`.

        Raises:
            BundleError: the bundle is incomplete, damaged, newer than this s2s, or of another kind of model.
            ConfigError: see `Classifier`.
        """
        return cls(load_model_bundle(path, SequenceClassifier), device=device, threads=threads)

    @property
    def files(self) -> dict[str, str]:
        """Checksums of all files that results depend on."""
        checksums: dict[str, str] = self.bundle.config["sha256"]
        return checksums

    @overload
    def classify(  # type: ignore[overload-overlap]  # a str is an Iterable[str], too
        self,
        texts: str,
        *,
        results: Literal[False] = ...,
        max_source_tokens: int = ...,
        batch_tokens: int = ...,
    ) -> str: ...

    @overload
    def classify(
        self,
        texts: Iterable[str],
        *,
        results: Literal[False] = ...,
        max_source_tokens: int = ...,
        batch_tokens: int = ...,
    ) -> list[str]: ...

    @overload
    def classify(  # type: ignore[overload-overlap]
        self, texts: str, *, results: Literal[True], max_source_tokens: int = ..., batch_tokens: int = ...
    ) -> Classification: ...

    @overload
    def classify(
        self,
        texts: Iterable[str],
        *,
        results: Literal[True],
        max_source_tokens: int = ...,
        batch_tokens: int = ...,
    ) -> list[Classification]: ...

    def classify(
        self,
        texts: str | Iterable[str],
        *,
        results: bool = False,
        max_source_tokens: int = MAX_SOURCE_TOKENS,
        batch_tokens: int = CLASSIFIED_TOKENS,
    ) -> str | list[str] | Classification | list[Classification]:
        """Classify one text or several. The result for a text does not depend on the other texts.

        Args:
            texts: one text, or any number of them; each may have several lines. A text without tokens (an empty one)
                gets the class "".
            results: return objects with probabilities instead of class names.
            max_source_tokens: maximum number of tokens read per text.
            batch_tokens: maximum padded tokens per batch; a longer text is a batch of its own.

        Returns:
            a str for a str, a list in the same order for several; `Classification` instead of str if `results`.

        Raises:
            ConfigError: a number below 1.
            DataError: something that is not a str.

        Warns:
            UserWarning: a text had more than `max_source_tokens` tokens, and `results` is off.
        """
        given = [texts] if isinstance(texts, str) else list(texts)
        flow = self.stream_windows(
            [list(_checked(given))], max_source_tokens=max_source_tokens, batch_tokens=batch_tokens
        )
        found = list(self._answers(flow, results, self._most(max_source_tokens)))
        return found[0] if isinstance(texts, str) else found  # type: ignore[return-value]

    def stream(
        self,
        texts: Iterable[str],
        *,
        results: bool = False,
        window: int = WINDOW,
        max_source_tokens: int = MAX_SOURCE_TOKENS,
        batch_tokens: int = CLASSIFIED_TOKENS,
    ) -> Iterator[str] | Iterator[Classification]:
        """Classify a stream of texts, in order, with little memory however many there are.

        Args:
            texts: any number of them; read lazily.
            results: see `classify`.
            window: maximum number of texts read ahead; they are sorted by length. With 1, each text is classified
                before the next is read.
            max_source_tokens: see `classify`.
            batch_tokens: see `classify`.

        Raises:
            ConfigError: see `classify`.
            DataError: see `classify`; raised when the text is reached, after the results of those before it.
        """
        if window < 1:
            raise ConfigError(f"window is {window}; it must be 1 or more")
        if isinstance(texts, str):
            raise DataError("stream takes texts, such as a list; for one text use classify")
        windows: Iterable[Sequence[str]]
        windows = in_windows(_checked(texts), max(1, window // 2))
        if window == 1:  # an empty window flushes the results of those before it
            windows = (one for each in windows for one in (each, []))
        flow = self.stream_windows(windows, max_source_tokens=max_source_tokens, batch_tokens=batch_tokens)
        return self._answers(flow, results, self._most(max_source_tokens))  # type: ignore[return-value]

    def stream_windows(
        self,
        windows: Iterable[Sequence[str]],
        *,
        max_source_tokens: int = MAX_SOURCE_TOKENS,
        batch_tokens: int = CLASSIFIED_TOKENS,
    ) -> Generator[list[Classification]]:
        """Classify windows of texts, for callers that decide themselves how long to wait for more input.

        Args:
            windows: texts that are sorted by length together; an empty window flushes all pending results.
            max_source_tokens: see `classify`.
            batch_tokens: see `classify`.

        Returns:
            the classes of each window that is not empty. At most two windows are read ahead.

        Raises:
            ConfigError: see `classify`.
        """
        for name, value in (("max_source_tokens", max_source_tokens), ("batch_tokens", batch_tokens)):
            if value < 1:
                raise ConfigError(f"{name} is {value}; it must be 1 or more")
        return self._flow(windows, self._most(max_source_tokens), batch_tokens)

    def _most(self, max_source_tokens: int) -> int:
        longest = self.model.encoder.longest
        return max_source_tokens if longest is None else min(max_source_tokens, longest)

    def _flow(
        self, windows: Iterable[Sequence[str]], most: int, batch_tokens: int
    ) -> Generator[list[Classification]]:
        prepare = use_one_thread if max(self._threads, torch.get_num_threads()) > 1 else None
        with Workers(self._threads, prepare) as workers:
            flying: deque[_Window] = deque()
            for texts in windows:
                if texts:
                    flying.append(self._begin(texts, workers, most, batch_tokens))
                while flying and (not texts or len(flying) >= 2):
                    yield self._end(flying.popleft())
            while flying:
                yield self._end(flying.popleft())

    def _begin(self, texts: Sequence[str], workers: Workers, most: int, batch_tokens: int) -> _Window:
        whole = self._tokenizer.encode_batch([encodable(text) for text in texts])
        sources = [tokens[:most] for tokens in whole]
        lengths = [len(source) for source in sources]
        share = max(1, -(-sum(lengths) // self._threads))
        batches = list(in_batches(lengths, min(batch_tokens, share)))
        tasks = [partial(self._probabilities, [sources[i] for i in batch], workers) for batch in batches]
        truncated = [len(tokens) > most for tokens in whole]
        return _Window(lengths, truncated, batches, list(workers.start(tasks)))

    @torch.inference_mode()  # holds for the thread that sets it
    def _probabilities(self, sources: list[list[int]], workers: Workers) -> list[list[float]]:
        if workers.given_up.is_set():
            raise GivenUp
        found: list[list[float]] = self.model(pad(sources).to(self.device)).exp().tolist()
        return found

    def _end(self, window: _Window) -> list[Classification]:
        found = [Classification(NONE) for _ in window.lengths]
        for batch, waiting in zip(window.batches, window.waiting, strict=True):
            for index, probabilities in zip(batch, waiting(), strict=True):
                # Ties go to the class that is more frequent in training, which comes first.
                order = sorted(range(len(self.classes)), key=lambda one: -probabilities[one])
                found[index] = Classification(
                    self.classes[order[0]],
                    {self.classes[one]: probabilities[one] for one in order},
                    window.lengths[index],
                    window.truncated[index],
                )
        return found

    def _answers(
        self, flow: Generator[list[Classification]], results: bool, most: int
    ) -> Iterator[str | Classification]:
        truncated = number = 0
        with closing(flow):
            for found in flow:
                truncated += sum(one.truncated for one in found)
                number += len(found)
                yield from found if results else (one.label for one in found)
        if truncated and not results:
            warnings.warn(
                f"{truncated} of {number} texts have more than {most} tokens; only so many were read of each. See "
                "max_source_tokens",
                stacklevel=2,
            )


@dataclass(frozen=True)
class _Window:
    """Texts that are being classified.

    Attributes:
        lengths: tokens that are read of each text.
        truncated: whether it has more.
        batches: indices of texts, batch by batch.
        waiting: for each batch, a function that waits for its probabilities.
    """

    lengths: list[int]
    truncated: list[bool]
    batches: list[list[int]]
    waiting: Sequence[Callable[[], list[list[float]]]]


def _checked(texts: Iterable[str]) -> Iterator[str]:
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(f"text {position} is a {type(text).__name__}, not a str: {text!r}")
        yield text
