"""Labelling of words with a bundle."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, overload

import torch

from s2s.errors import BundleError, DataError
from s2s.inference.bundle_config import BUNDLE, CONFIG
from s2s.inference.devices import threads_on, usable_device
from s2s.inference.model_bundle import ModelBundle, load_model_bundle
from s2s.inference.one_thread import use_one_thread
from s2s.inference.windows import encodable, in_batches
from s2s.inference.workers import Workers
from s2s.nn.labeller import SequenceLabeller
from s2s.text.annotated import as_word
from s2s.text.spelling import Spelling

Sentence = str | Sequence[str]
"""Words separated by spaces; or a list of words, which may contain spaces."""

BATCH_WORDS = 4096
"""Maximum words per batch, including padding. Affects speed and memory only."""

MOST_WORDS = 2048
"""Maximum words of a sentence that are labelled together. A longer one is cut into parts: a line of a million words
must not exhaust the memory."""


@dataclass(frozen=True)
class Labelled:
    """A sentence with its labels.

    Attributes:
        words: the given words.
        labels: one per word.
        probabilities: the probability of each label.
        parts: into how many parts it was cut, each labelled separately; 0 if there is no word.
    """

    words: list[str]
    labels: list[str]
    probabilities: list[float]
    parts: int


class Labeller:
    """Labels the words of sentences. The labels of a sentence do not depend on other sentences.

    It is thread-safe.

    Args:
        bundle: as `load_model_bundle` returns it.
        device: such as "cpu" or "cuda".
        threads: how many batches are labelled at once on a CPU; None is `default_threads` of torch's.

    Raises:
        BundleError: a tokenizer is missing.
        ConfigError: an unknown device, or no thread.
    """

    def __init__(
        self, bundle: ModelBundle[SequenceLabeller], *, device: str = "cpu", threads: int | None = None
    ) -> None:
        names = ["source_tokenizer", "piece_tokenizer", "target_tokenizer"]
        if missing := [name for name in names if name not in bundle.tokenizers]:
            raise BundleError(f"{CONFIG} of the bundle lacks {', '.join(missing)}; {BUNDLE.again}")
        with usable_device(device) as self.device:
            self.model = bundle.model.to(self.device).eval()
        self.bundle = bundle
        words, pieces, self.label_tokenizer = (bundle.tokenizers[name] for name in names)
        self.spelling = Spelling(words, pieces)
        self._threads = threads_on(self.device, threads)

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu", threads: int | None = None) -> Labeller:
        """Make a labeller from a bundle on disk.

        Args:
            path: folder of the bundle.
            device: such as "cpu" or "cuda".
            threads: see `Labeller`.

        Raises:
            BundleError: the bundle is incomplete, damaged or newer than this s2s, or holds no labeller.
            ConfigError: see `Labeller`.
        """
        return cls(load_model_bundle(path, SequenceLabeller), device=device, threads=threads)

    @property
    def column(self) -> str | None:
        """The column of the training files that had the labels, if the training named one."""
        column: str | None = self.bundle.config.get("training", {}).get("column")
        return column

    @overload
    def label(  # type: ignore[overload-overlap]  # a str is an Iterable[str], too
        self, sentences: str, *, results: Literal[False] = ...
    ) -> list[str]: ...

    @overload
    def label(self, sentences: str, *, results: Literal[True]) -> Labelled: ...  # type: ignore[overload-overlap]

    @overload
    def label(self, sentences: Iterable[Sentence], *, results: Literal[False] = ...) -> list[list[str]]: ...

    @overload
    def label(self, sentences: Iterable[Sentence], *, results: Literal[True]) -> list[Labelled]: ...

    def label(
        self, sentences: str | Iterable[Sentence], *, results: bool = False
    ) -> list[str] | list[list[str]] | Labelled | list[Labelled]:
        """Label a sentence or several.

        Args:
            sentences: a str of space-separated words; or any number of sentences, each such a str or a list of words.
            results: return objects with words and probabilities instead of labels.

        Returns:
            the labels of a str; for several sentences, a list for each, in order; `Labelled` instead if `results`.

        Raises:
            DataError: something that is not a sentence.
        """
        single = isinstance(sentences, str)
        found = self._labelled(
            [_words(one) for one in ([sentences] if isinstance(sentences, str) else sentences)]
        )
        answers = found if results else [one.labels for one in found]
        return answers[0] if single else answers

    def stream_windows(self, windows: Iterable[Sequence[Sequence[str]]]) -> Generator[list[Labelled]]:
        """Label windows of sentences, for callers that decide themselves how long to wait for more input.

        Args:
            windows: sentences, each a list of words, that are sorted by length together; an empty window has no result.
        """
        for window in windows:
            if window:
                yield self._labelled(window)

    def _labelled(self, sentences: Sequence[Sequence[str]]) -> list[Labelled]:
        of_sentences = [_parts(sentence) for sentence in sentences]
        parts = [part for some in of_sentences for part in some]
        found: list[tuple[list[str], list[float]]] = [([], []) for _ in parts]
        batches = list(in_batches([len(part) for part in parts], BATCH_WORDS))
        one_thread = use_one_thread if max(self._threads, torch.get_num_threads()) > 1 else None
        with Workers(self._threads, one_thread) as workers:
            tasks = [partial(self._label_batch, [parts[index] for index in batch]) for batch in batches]
            for batch, waiting in zip(batches, workers.start(tasks), strict=True):
                for index, answer in zip(batch, waiting(), strict=True):
                    found[index] = answer
        answers = iter(found)
        labelled = []
        for sentence, some in zip(sentences, of_sentences, strict=True):
            own = [next(answers) for _ in some]
            labels = [label for part, _ in own for label in part]
            probabilities = [value for _, values in own for value in values]
            labelled.append(Labelled(list(sentence), labels, probabilities, len(some)))
        return labelled

    @torch.inference_mode()  # holds for the thread that sets it
    def _label_batch(self, sentences: list[list[str]]) -> list[tuple[list[str], list[float]]]:
        source = self.spelling(sentences).to(self.device)
        ids, probabilities = (value.tolist() for value in self.model.label(source))
        return [
            (self.label_tokenizer.tokens(ids[row][: len(words)]), probabilities[row][: len(words)])
            for row, words in enumerate(sentences)
        ]


def _words(sentence: Sentence) -> Sequence[str]:
    if isinstance(sentence, str):
        return sentence.split()
    for word in sentence:
        if not isinstance(word, str) or not word.strip():
            raise DataError(f"a word is {word!r}; it must be a str that is not empty")
    return sentence


def _parts(sentence: Sequence[str]) -> list[list[str]]:
    """A sentence as it is read, in parts of MOST_WORDS words."""
    words = [encodable(as_word(word)) for word in sentence]
    return [words[start : start + MOST_WORDS] for start in range(0, len(words), MOST_WORDS)]
