"""Text in, text out: a bundle at work."""

from __future__ import annotations

import threading
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, overload

import torch
from torch import Tensor

from s2s.errors import BundleError, ConfigError, DataError
from s2s.inference.bundle import Bundle, load_bundle
from s2s.inference.options import Given, Options
from s2s.inference.workers import Workers
from s2s.nn.prepared import Prepared
from s2s.nn.shortlist import Shortlisted
from s2s.padded import Padded
from s2s.registry.parts import factory, read_spec
from s2s.search.hypotheses import Hypothesis
from s2s.search.limits import output_limits
from s2s.search.stepper import ModelStepper
from s2s.search.strategy import SearchStrategy
from s2s.text.batch import pad
from s2s.text.shortlist import Shortlist
from s2s.text.tokenizer import BOS, EOS

if TYPE_CHECKING:
    from typing_extensions import Unpack

PRECISIONS = ("float32", "bfloat16")
WINDOW = 4096
"""Texts that `stream` reads ahead: enough to sort by length, few enough to see progress."""
WINDOW_LETTERS = 2**22
"""And so many letters, so that long texts do not fill the memory."""

Hypotheses = list[list[Hypothesis]]


@dataclass(frozen=True)
class Translation:
    """An output and what is known of it.

    Attributes:
        text: one line.
        score: what the search ranks by.
        tokens: the pieces it was made of, as a person should see them.
        log_probs: natural logarithm of the probability of each piece and, if `finished`, of the end.
        finished: False if the limit of tokens cut it off.
        source_tokens: the pieces of the input.
        weights: attention, [tokens, source tokens]; None unless it was asked for.
        truncated: True if only the first `max_source_tokens` pieces of the input were read.
        alternatives: the other outputs that were found, best first; as many as `n_best` asks for, this one
            counted.
    """

    text: str
    score: float
    tokens: list[str]
    log_probs: list[float]
    finished: bool
    source_tokens: list[str]
    weights: Tensor | None = None
    alternatives: list[Translation] = field(default_factory=list)
    truncated: bool = False


class _Search(NamedTuple):
    """What all batches of a call have in common."""

    strategy: SearchStrategy
    options: Options
    shortlist: Shortlist | None
    with_tokens: bool


class _Window(NamedTuple):
    """Lines whose search has begun."""

    sources: list[list[int]]
    truncated: set[int]
    batches: list[list[int]]
    waiting: Sequence[Callable[[], Hypotheses]]  # for each batch what waits for its result


class Translator:
    """Translates, summarizes, or whatever else its model was trained for.

    On a CPU it searches with as many threads as torch has when it is made (`torch.get_num_threads`), a batch in each.
    Any number of threads may call it at once, and each gets what it would get alone.

    Args:
        bundle: as `load_bundle` returns it.
        device: such as "cpu" or "cuda".
        precision: "float32", or "bfloat16": faster on many machines, and a little less exact.

    Raises:
        ConfigError: an unknown device or precision.
    """

    def __init__(self, bundle: Bundle, *, device: str = "cpu", precision: str = "float32") -> None:
        if precision not in PRECISIONS:
            raise ConfigError(f"unknown precision {precision!r}; choose one of {', '.join(PRECISIONS)}")
        try:
            self.device = torch.device(device)
            self.model = bundle.model.to(self.device).eval()
        except (RuntimeError, AssertionError) as error:
            raise ConfigError(f"device {device!r} cannot be used here ({error}); cpu always can") from error
        self.bundle = bundle
        self.precision = precision
        self._prepared = Prepared(self.model, narrow=precision == "bfloat16")
        self._read_tokens = 0  # until the model is folded
        self._folding = threading.Lock()
        self._threads = torch.get_num_threads() if self.device.type == "cpu" else 1

    @classmethod
    def load(
        cls, path: str | Path, device: str = "cpu", precision: str = "float32", threads: int | None = None
    ) -> Translator:
        """Make a translator of a bundle on disk.

        Args:
            path: folder of the bundle.
            device: such as "cpu" or "cuda".
            precision: "float32" or "bfloat16".
            threads: for the whole process, as `torch.set_num_threads`; None leaves them as they are.

        Raises:
            BundleError: the bundle is incomplete, damaged or newer than this s2s.
            ConfigError: an unknown device or precision.
        """
        if threads is not None:
            if threads < 1:
                raise ConfigError(f"threads is {threads}; it must be 1 or more")
            torch.set_num_threads(threads)
        return cls(load_bundle(path), device=device, precision=precision)

    @overload
    def translate(  # type: ignore[overload-overlap]  # a str is an Iterable[str], too
        self, texts: str, *, results: Literal[False] = ..., **options: Unpack[Given]
    ) -> str: ...

    @overload
    def translate(
        self, texts: Iterable[str], *, results: Literal[False] = ..., **options: Unpack[Given]
    ) -> list[str]: ...

    @overload
    def translate(  # type: ignore[overload-overlap]
        self, texts: str, *, results: Literal[True], **options: Unpack[Given]
    ) -> Translation: ...

    @overload
    def translate(
        self, texts: Iterable[str], *, results: Literal[True], **options: Unpack[Given]
    ) -> list[Translation]: ...

    def translate(
        self, texts: str | Iterable[str], *, results: bool = False, **options: Unpack[Given]
    ) -> str | list[str] | Translation | list[Translation]:
        r"""Translate a text or several.

        A text is made of lines, split at \n only. Each line is translated on its own, and the result has as
        many lines; a line without a token (an empty one) gives an empty line. What a text gives depends on
        nothing else in the list.

        Args:
            texts: one text, or any number of them; every str is accepted.
            results: give objects with scores, tokens and alternatives instead of strings; then a text must be
                one line.
            options: see `s2s.inference.options.Options`; `s2s translate` has the same.

        Returns:
            for a str a str, for several a list, in their order; `Translation` instead of str if `results`.

        Raises:
            BundleError: a shortlist is asked for, and the bundle has none.
            ConfigError: an option that does not exist or cannot be, or a head that cannot use a shortlist.
            DataError: something that is not a str, or a text of several lines where `results` are asked for.

        Warns:
            UserWarning: a line had more than `max_source_tokens` tokens, and `results` cannot tell it.
        """
        single = isinstance(texts, str)
        given = list(_checked([texts] if isinstance(texts, str) else texts, results))
        found = list(self._stream(iter([given]), results, Options.of(options), ahead=1))
        return found[0] if single else found  # type: ignore[return-value]

    @overload
    def stream(
        self,
        texts: Iterable[str],
        *,
        results: Literal[False] = ...,
        window: int = ...,
        **options: Unpack[Given],
    ) -> Iterator[str]: ...

    @overload
    def stream(
        self, texts: Iterable[str], *, results: Literal[True], window: int = ..., **options: Unpack[Given]
    ) -> Iterator[Translation]: ...

    def stream(
        self,
        texts: Iterable[str],
        *,
        results: bool = False,
        window: int = WINDOW,
        **options: Unpack[Given],
    ) -> Iterator[str] | Iterator[Translation]:
        """Translate texts while they come, in their order, with little memory however many they are.

        Args:
            texts: any number of them; read when the translations are asked for.
            results: see `translate`.
            window: most texts that are read and not yet answered; what is read is sorted by length. With 1 each text is
                answered before the next is read.
            options: see `translate`.

        Raises:
            BundleError: see `translate`; at once, as a `ConfigError`.
            ConfigError: see `translate`.
            DataError: see `translate`; when the text is reached.
        """
        if window < 1:
            raise ConfigError(f"window is {window}; it must be 1 or more")
        if isinstance(texts, str):
            raise DataError(
                "stream takes texts, such as a list or an open file; for one text there is translate"
            )
        chosen = Options.of(options)
        self._search(
            chosen, results
        )  # what cannot be is said now, not when the first translation is asked for
        # Two windows at once, each of half the size: while the last batches of one are searched, the next has begun.
        windows = _windows(_checked(texts, results), max(1, window // 2))
        return self._stream(windows, results, chosen, ahead=min(window, 2))  # type: ignore[return-value]

    def stream_windows(
        self, windows: Iterable[Sequence[str]], **options: Unpack[Given]
    ) -> Generator[list[Translation]]:
        """Translate windows of lines, for those who know best when to wait for more of them.

        Args:
            windows: lines that are sorted together; an empty one asks for all answers before the next is read.
            options: see `translate`.

        Returns:
            for each window that is not empty its translations. Two windows at most are read and not yet answered.

        Raises:
            BundleError: see `stream`.
            ConfigError: see `stream`.
        """
        return self._flow(windows, self._search(Options.of(options), True), ahead=2)

    def _stream(
        self, windows: Iterator[list[str]], results: bool, options: Options, ahead: int
    ) -> Iterator[str | Translation]:
        """Texts to lines, and translations of lines to those of texts."""
        search = self._search(options, results)
        pending: deque[list[str]] = deque()

        def lines() -> Iterator[list[str]]:
            for texts in windows:
                pending.append(texts)
                yield [line for text in texts for line in text.split("\n")]

        truncated = number = 0
        with closing(self._flow(lines(), search, ahead)) as flow:
            for found in flow:
                truncated += sum(one.truncated for one in found)
                number += len(found)
                if results:
                    yield from found
                    continue
                outputs = iter(found)
                for text in pending.popleft():
                    yield "\n".join(next(outputs).text for _ in text.split("\n"))
        if truncated and not results:
            warnings.warn(
                f"{truncated} of {number} lines have more than {options.max_source_tokens} tokens; only so many were "
                "read of each. See max_source_tokens",
                stacklevel=3,
            )

    def _search(self, options: Options, with_tokens: bool) -> _Search:
        if options.shortlist and self.bundle.shortlist is None:
            raise BundleError(
                "the bundle has no shortlist; learn one from its training text with: "
                "s2s shortlist BUNDLE SOURCE,TARGET"
            )
        shortlist = self.bundle.shortlist if options.shortlist else None
        return _Search(self._strategy(options), options, shortlist, with_tokens)

    def _strategy(self, options: Options) -> SearchStrategy:
        given = {
            "size": options.beam,
            "normalization": options.normalization,
            "alpha": options.alpha,
            "n_best": options.n_best if options.n_best != 1 else None,
        }
        given = {name: value for name, value in given.items() if value is not None}
        if not given:
            return self.bundle.search
        if given == {"size": 1}:
            strategy: SearchStrategy = factory("search", "Greedy")()
            return strategy
        name, recommended = read_spec("search", self.bundle.config["search"])
        init_args = {**(recommended if name == "Beam" else {}), "n_best": options.n_best, **given}
        strategy = factory("search", {"class_path": "Beam", "init_args": init_args})()
        return strategy

    def _flow(
        self, windows: Iterable[Sequence[str]], search: _Search, ahead: int
    ) -> Generator[list[Translation]]:
        """See `stream_windows`; `ahead` windows at most are read and not yet answered."""
        with Workers(self._threads) as workers:
            flying: deque[_Window] = deque()
            for lines in windows:
                if lines:
                    flying.append(self._begin(lines, search, workers))
                while flying and (not lines or len(flying) >= ahead):
                    yield self._end(flying.popleft(), search)
            while flying:
                yield self._end(flying.popleft(), search)

    def _begin(self, lines: Sequence[str], search: _Search, workers: Workers) -> _Window:
        sources = self.bundle.source_tokenizer.encode_batch([_encodable(line) for line in lines])
        most = search.options.max_source_tokens
        truncated = {index for index, source in enumerate(sources) if len(source) > most}
        sources = [source[:most] for source in sources]
        token_counts = [len(source) for source in sources]
        self._fold_when_it_pays(sum(token_counts))
        batch_tokens = min(search.options.batch_tokens, -(-sum(token_counts) // self._threads))
        batches = list(_batches(token_counts, batch_tokens))
        tasks = [
            partial(self._search_batch, [sources[index] for index in batch], search) for batch in batches
        ]
        return _Window(sources, truncated, batches, workers.start(tasks))

    def _end(self, window: _Window, search: _Search) -> list[Translation]:
        found = [Translation("", 0.0, [], [], True, []) for _ in window.sources]
        for batch, waiting in zip(window.batches, window.waiting, strict=True):
            for index, best in zip(batch, waiting(), strict=True):
                found[index] = self._translation(
                    best, window.sources[index], index in window.truncated, search.with_tokens
                )
        return found

    @torch.inference_mode()  # holds for the thread that sets it
    def _search_batch(self, sources: list[list[int]], search: _Search) -> Hypotheses:
        options = search.options
        source = pad(sources).to(self.device)
        limits, minimums = output_limits(
            source.lengths,
            limit_ratio=options.limit_ratio,
            limit_extra=options.limit_extra,
            max_tokens=options.max_tokens,
            minimum_ratio=options.minimum_ratio,
            min_tokens=options.min_tokens,
        )
        memory, state = self._prepared.encode(source)
        head = None if search.shortlist is None else self._shortlisted(source, search.shortlist)
        stepper = ModelStepper(self._prepared, source, memory, with_weights=options.weights, head=head)
        return search.strategy.search(stepper, state, bos=BOS, eos=EOS, limits=limits, minimums=minimums)

    def _shortlisted(self, source: Padded, shortlist: Shortlist) -> Shortlisted:
        candidates, always = (
            torch.from_numpy(tokens).long().to(self.device)
            for tokens in (shortlist.candidates(source.ids.cpu().numpy()), shortlist.always)
        )
        return Shortlisted(self._prepared.model.head, candidates, always)

    def _translation(
        self, best: list[Hypothesis], source: list[int], truncated: bool, with_tokens: bool
    ) -> Translation:
        tokenizer = self.bundle.target_tokenizer
        source_tokens = self.bundle.source_tokenizer.tokens(source) if with_tokens else []
        first, *others = (
            Translation(
                # A model of bytes may say a newline; a line stays a line.
                tokenizer.decode(hypothesis.tokens).replace("\n", " "),
                hypothesis.score,
                tokenizer.tokens(hypothesis.tokens) if with_tokens else [],
                hypothesis.log_probs,
                hypothesis.finished,
                source_tokens,
                hypothesis.weights,
                truncated=truncated,
            )
            for hypothesis in best
        )
        first.alternatives.extend(others)
        return first

    def _fold_when_it_pays(self, tokens: int) -> None:
        # Folding reads every token of the vocabulary once.
        with self._folding:
            if self._prepared.folded is None:
                self._read_tokens += tokens
                if self._read_tokens >= self.model.target_embedding.vocabulary_size:
                    self._prepared.fold()


def _checked(texts: Iterable[str], one_line: bool) -> Iterator[str]:
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(f"text {position} is a {type(text).__name__}, not a str: {text!r}")
        if one_line and "\n" in text:
            raise DataError(
                f"text {position} has several lines, but results are made line by line; "
                "split it at its newlines"
            )
        yield text


def _windows(texts: Iterator[str], size: int) -> Iterator[list[str]]:
    window: list[str] = []
    letters = 0
    for text in texts:
        window.append(text)
        letters += len(text)
        if len(window) >= size or letters >= WINDOW_LETTERS:
            yield window
            window, letters = [], 0
    if window:
        yield window


def _encodable(line: str) -> str:
    # Half of a surrogate pair is a possible str but no text; tokenizers refuse it.
    return line.encode("utf-8", "replace").decode("utf-8")


def _batches(lengths: list[int], batch_tokens: int) -> Iterator[list[int]]:
    # Longest first, so that too large a budget shows at once; sentences of one length keep their order.
    order = sorted(
        (index for index, length in enumerate(lengths) if length), key=lambda index: -lengths[index]
    )
    start = 0
    while start < len(order):
        rows = max(1, batch_tokens // lengths[order[start]])
        yield order[start : start + rows]
        start += rows
