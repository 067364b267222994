"""An exported model in memory, and its interface for a search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2s.errors import BundleError, ConfigError
from s2s.inference.exported import ENCODER, EXPORTED, STEP
from s2s.inference.workers import GivenUp
from s2s.text.tokenizer import PAD

try:
    import onnxruntime
except ImportError as missing:
    raise ConfigError(
        "exported models need the package onnxruntime: pip install onnxruntime, or 's2s[onnx]' for all of s2s"
    ) from missing

Array = NDArray[Any]


class Best(NamedTuple):
    """The most probable tokens of one step of all beams.

    Attributes:
        log_probs: best first, ties by lower token id, [sentences, beams, k] of float32.
        tokens: [sentences, beams, k] of int64.
        state: after the step, leaves [sentences, beams, ...].
    """

    log_probs: Array
    tokens: Array
    state: list[Array]


class Model:
    """The two graphs of an export.

    Each runs with one thread; a processor is kept busy by several batches at once.

    Args:
        folder: of the export; its files are verified.
        config: of the export.

    Raises:
        BundleError: onnxruntime cannot read a graph.
    """

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self.folder = folder
        self._encoder_path, self._step_path = folder / ENCODER, folder / STEP
        self._encoder, self._step = _session(self._encoder_path), _session(self._step_path)
        self.vocabulary_size = config["model"].get("target_vocabulary_size")
        if type(self.vocabulary_size) is not int or self.vocabulary_size < 1:
            raise BundleError(
                f"{folder / EXPORTED.config}: target_vocabulary_size is {self.vocabulary_size!r:.60}; {EXPORTED.again}"
            )
        outputs = [value.name for value in self._encoder.get_outputs()]
        self._memory = [name for name in outputs if name.startswith("memory_")]
        self._state = [name for name in outputs if name.startswith("state_")]
        self._wanted = ["log_probs", "best", *(f"next_{name}" for name in self._state)]
        self._read = {value.name for value in self._step.get_inputs()}
        given = {"tokens", "lengths", "source", "k", *self._memory, *self._state}
        said = {value.name for value in self._step.get_outputs()}
        asked = {value.name for value in self._encoder.get_inputs()}
        if asked != {"tokens", "lengths"} or not self._read <= given or not said >= set(self._wanted):
            raise BundleError(
                f"{folder}: the inputs and outputs of {ENCODER} and {STEP} do not fit together; {EXPORTED.again}"
            )

    def begin(
        self, sources: Sequence[Sequence[int]], given_up: Callable[[], bool]
    ) -> tuple[Stepper, list[Array]]:
        """A stepper for these sources, and the state before the first token, leaves [sentences, 1, ...].

        Args:
            sources: tokens of each sentence.
            given_up: see `Stepper`.
        """
        lengths = np.array([len(source) for source in sources], dtype=np.int64)
        tokens = np.full((len(sources), lengths.max()), PAD, dtype=np.int64)
        for row, source in enumerate(sources):
            tokens[row, : len(source)] = source
        encoded = _run(
            self._encoder,
            [*self._memory, *self._state],
            {"tokens": tokens, "lengths": lengths},
            self._encoder_path,
        )
        memory = dict(zip(self._memory, encoded, strict=False))
        state = [leaf[:, np.newaxis] for leaf in encoded[len(memory) :]]
        return Stepper(self, {"source": tokens, "lengths": lengths, **memory}, given_up), state

    def run(self, given: dict[str, Array], state: list[Array]) -> list[Array]:
        """One step: log-probabilities, tokens and the leaves of the next state.

        Args:
            given: all inputs except the state, by name.
            state: leaves [sentences, beams, ...].
        """
        feed = {**given, **dict(zip(self._state, state, strict=True))}
        given_here = {name: value for name, value in feed.items() if name in self._read}
        return _run(self._step, self._wanted, given_here, self._step_path)


class Stepper:
    """Next tokens for a batch of sentences; the counterpart of `s2s.search.stepper.Stepper`.

    Args:
        model: that is stepped.
        source: the inputs about the sentences, by name, one row for each.
        given_up: asked at each step whether the search was cancelled: Ctrl-C must not wait for a long search.
    """

    def __init__(self, model: Model, source: dict[str, Array], given_up: Callable[[], bool]) -> None:
        self._model = model
        self._given_up = given_up
        self._source = source
        self.source_lengths = source["lengths"]

    def best(self, tokens: Array, state: list[Array], k: int) -> Best:
        """The k most probable tokens after `tokens`, never padding or BOS.

        Args:
            tokens: the last token of each beam, [sentences, beams] of int64.
            state: leaves [sentences, beams, ...].
            k: how many; cut to the size of the vocabulary.

        Raises:
            GivenUp: the search was cancelled.
        """
        if self._given_up():
            raise GivenUp
        count = np.array([min(k, self._model.vocabulary_size)])
        log_probs, best, *following = self._model.run({**self._source, "tokens": tokens, "k": count}, state)
        return Best(log_probs, best, following)

    def keep(self, sentences: Array) -> Stepper:
        """A stepper for some of the sentences, in their new order."""
        source = {name: value[sentences] for name, value in self._source.items()}
        return Stepper(self._model, source, self._given_up)


def _run(session: Any, wanted: list[str], given: dict[str, Array], path: Path) -> list[Array]:
    try:
        found: list[Array] = session.run(wanted, given)
    except Exception as error:  # onnxruntime's exceptions have no common base class
        raise BundleError(
            f"{path} fails in onnxruntime {onnxruntime.__version__} ({str(error).splitlines()[0]}); give it fewer or "
            f"shorter lines at once if memory is short; else {EXPORTED.again}"
        ) from error
    return found


def _session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3  # errors; they are raised as well
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no common base class
        raise BundleError(
            f"{path} cannot be read by onnxruntime {onnxruntime.__version__} ({str(error).splitlines()[0]}); update it "
            f"with: pip install --upgrade onnxruntime; or {EXPORTED.again}"
        ) from error
