"""Text in, text out: a bundle at work."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

import torch

from s2s.errors import BundleError, ConfigError, DataError
from s2s.inference.bundle import Bundle, load_bundle
from s2s.inference.member import Member, check_targets, same_sources
from s2s.inference.options import Given, Options
from s2s.inference.risk import gain_by, least_risk
from s2s.inference.scoring import encodable
from s2s.inference.strategies import strategy_of
from s2s.inference.translation import Translation
from s2s.inference.unknowns import replaced
from s2s.inference.windows import WINDOW, checked, in_batches, in_windows
from s2s.inference.workers import Workers
from s2s.nn.cell import State
from s2s.padded import Padded
from s2s.search.constraints import constrain
from s2s.search.ensemble import StepperEnsemble
from s2s.search.hypotheses import Hypothesis
from s2s.search.limits import output_limits
from s2s.search.stepper import Stepper
from s2s.search.strategy import SearchStrategy
from s2s.text.shortlist import Shortlist
from s2s.text.tokenizer import BOS, EOS, UNK

if TYPE_CHECKING:
    from typing_extensions import Unpack

PRECISIONS = ("float32", "bfloat16")

Hypotheses = list[list[Hypothesis]]


class _Search(NamedTuple):
    """What all batches of a call have in common."""

    strategy: SearchStrategy
    options: Options
    shortlist: Shortlist | None
    banned: list[list[int]]
    prefix: list[int]
    phrases: list[list[int]]
    with_weights: bool
    results: bool  # whether more than texts is wanted


class _Window(NamedTuple):
    """Lines whose search has begun."""

    lines: Sequence[str]
    sources: list[list[list[int]]]  # for each member the tokens of each line
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
        models: further bundles with the same target pieces; each token is then said by all, with the mean of their
            probabilities. The recommended search, the shortlist and the source tokens in results are the first's.

    Raises:
        ConfigError: an unknown device or precision, or models with different target pieces.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        device: str = "cpu",
        precision: str = "float32",
        models: Sequence[Bundle] = (),
    ) -> None:
        if precision not in PRECISIONS:
            raise ConfigError(f"unknown precision {precision!r}; choose one of {', '.join(PRECISIONS)}")
        bundles = [bundle, *models]
        check_targets(bundles)
        try:
            self.device = torch.device(device)
            self._members = [Member(one, self.device, narrow=precision == "bfloat16") for one in bundles]
        except (RuntimeError, AssertionError) as error:
            raise ConfigError(f"device {device!r} cannot be used here ({error}); cpu always can") from error
        self.bundle = bundle
        self.bundles = bundles
        self.model = bundle.model
        self.precision = precision
        # Attention can be compared where sources are split alike.
        self._comparable = [one is bundle or same_sources(bundle, one) for one in bundles]
        self._threads = torch.get_num_threads() if self.device.type == "cpu" else 1

    @classmethod
    def load(
        cls,
        path: str | Path,
        device: str = "cpu",
        precision: str = "float32",
        threads: int | None = None,
        models: Sequence[str | Path] = (),
    ) -> Translator:
        """Make a translator of a bundle on disk.

        Args:
            path: folder of the bundle.
            device: such as "cpu" or "cuda".
            precision: "float32" or "bfloat16".
            threads: as `torch.set_num_threads`; None leaves them as they are.
            models: folders of further bundles, see `Translator`.

        Raises:
            BundleError: the bundle is incomplete, damaged or newer than this s2s.
            ConfigError: an unknown device or precision, or models with different target pieces.
        """
        if threads is not None:
            if threads < 1:
                raise ConfigError(f"threads is {threads}; it must be 1 or more")
            torch.set_num_threads(threads)
        return cls(
            load_bundle(path),
            device=device,
            precision=precision,
            models=[load_bundle(one) for one in models],
        )

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
        given = list(checked([texts] if isinstance(texts, str) else texts, results))
        search = self._search(Options.of(options), results)
        found = list(self._stream([given], search, ahead=1))
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
        search = self._search(Options.of(options), results)
        # Two windows at once, each of half the size: while the last batches of one are searched, the next has begun.
        windows = in_windows(checked(texts, results), max(1, window // 2))
        return self._stream(windows, search, ahead=min(window, 2))  # type: ignore[return-value]

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
        self, windows: Iterable[list[str]], search: _Search, ahead: int
    ) -> Iterator[str | Translation]:
        """Texts to lines, and translations of lines to those of texts, or to results."""
        pending: deque[list[str]] = deque()

        def lines() -> Iterator[list[str]]:
            for texts in windows:
                if texts:  # else it has no answer
                    pending.append(texts)
                yield [line for text in texts for line in text.split("\n")]

        truncated = number = 0
        with closing(self._flow(lines(), search, ahead)) as flow:
            for found in flow:
                truncated += sum(one.truncated for one in found)
                number += len(found)
                texts = pending.popleft()
                if search.results:
                    yield from found
                    continue
                outputs = iter(found)
                for text in texts:
                    yield "\n".join(next(outputs).text for _ in text.split("\n"))
        if truncated and not search.results:
            warnings.warn(
                f"{truncated} of {number} lines have more than {search.options.max_source_tokens} tokens; only so many "
                "were read of each. See max_source_tokens",
                stacklevel=3,
            )

    def _search(self, options: Options, results: bool) -> _Search:
        if options.shortlist and self.bundle.shortlist is None:
            raise BundleError(
                "the bundle has no shortlist; learn one from its training text with: "
                "s2s shortlist BUNDLE SOURCE,TARGET"
            )
        strategy = strategy_of(options, self.bundle.search, self.bundle.config["search"])
        tokenizer = self.bundle.target_tokenizer
        prefix, *phrases = (
            tokenizer.encode(encodable(text)) for text in (options.prefix or "", *options.phrases)
        )
        for text, tokens in zip((options.prefix, *options.phrases), (prefix, *phrases), strict=True):
            if text and (UNK in tokens or not tokens):
                raise ConfigError(f"the model cannot say all of {text!r}; choose other words")
        banned = [tokenizer.encode(encodable(word)) for word in options.banned]
        return _Search(
            strategy,
            options,
            self.bundle.shortlist if options.shortlist else None,
            [word for word in banned if word and UNK not in word],  # what it cannot say, it does not
            prefix,
            phrases,
            options.weights or options.replace_unknowns or strategy.reads_weights,
            results,
        )

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
        sources = [member.encode(lines) for member in self._members]
        most = search.options.max_source_tokens
        truncated = {index for tokens in sources for index, source in enumerate(tokens) if len(source) > most}
        sources = [[source[:most] for source in tokens] for tokens in sources]
        # A line without a token, whoever finds none, has no search; the others' tokens count as the longest do.
        lengths = [max(map(len, each)) if all(each) else 0 for each in zip(*sources, strict=True)]
        for member in self._members:
            member.fold_when_it_pays(sum(lengths))
        batch_tokens = min(search.options.batch_tokens, -(-sum(lengths) // self._threads))
        batches = list(in_batches(lengths, batch_tokens))
        tasks = [
            partial(self._search_batch, [[tokens[index] for index in batch] for tokens in sources], search)
            for batch in batches
        ]
        return _Window(lines, sources, truncated, batches, workers.start(tasks))

    def _end(self, window: _Window, search: _Search) -> list[Translation]:
        found = [Translation("", 0.0, [], [], True, []) for _ in window.lines]
        for batch, waiting in zip(window.batches, window.waiting, strict=True):
            for index, best in zip(batch, waiting(), strict=True):
                found[index] = self._translation(
                    best, window.lines[index], window.sources[0][index], index in window.truncated, search
                )
        return found

    @torch.inference_mode()  # holds for the thread that sets it
    def _search_batch(self, sources: list[list[list[int]]], search: _Search) -> Hypotheses:
        options = search.options
        first: Padded | None = None
        members: list[Stepper] = []
        states: list[State] = []
        for member, tokens, comparable in zip(self._members, sources, self._comparable, strict=True):
            own, started = member.begin(
                tokens, search.shortlist, first, with_weights=search.with_weights and comparable
            )
            first = first or own.source
            members.append(own)
            states.append(started)
        stepper = members[0] if len(members) == 1 else StepperEnsemble(members)
        limits, minimums = output_limits(
            stepper.source_lengths,
            limit_ratio=options.limit_ratio,
            limit_extra=options.limit_extra,
            max_tokens=options.max_tokens,
            minimum_ratio=options.minimum_ratio,
            min_tokens=options.min_tokens,
        )
        stepper, state = constrain(
            stepper,
            states[0] if len(members) == 1 else tuple(states),
            no_repeat_ngram=options.no_repeat_ngram,
            banned=search.banned,
            forced=[search.prefix] * len(limits) if search.prefix else None,
        )
        # Only a strategy that takes phrases was chosen for them.
        more: dict[str, Any] = {"phrases": [search.phrases] * len(limits)} if search.phrases else {}
        return search.strategy.search(
            stepper, state, bos=BOS, eos=EOS, limits=limits, minimums=minimums, **more
        )

    def _translation(
        self, best: list[Hypothesis], line: str, source: list[int], truncated: bool, search: _Search
    ) -> Translation:
        tokenizer = self.bundle.target_tokenizer
        source_tokens = self.bundle.source_tokenizer.tokens(source) if search.results else []
        found = [
            Translation(
                self._text(hypothesis, line, search),
                hypothesis.score,
                tokenizer.tokens(hypothesis.tokens) if search.results else [],
                hypothesis.log_probs,
                hypothesis.finished,
                source_tokens,
                hypothesis.weights if search.options.weights else None,
                truncated=truncated,
                unmet=[tokenizer.decode(phrase) for phrase in hypothesis.unmet],
            )
            for hypothesis in best
        ]
        if search.options.minimum_risk is not None:
            found = least_risk(found, gain_by(search.options.minimum_risk))
        found[0].alternatives.extend(found[1:])
        return found[0]

    def _text(self, hypothesis: Hypothesis, line: str, search: _Search) -> str:
        text = self.bundle.target_tokenizer.decode(hypothesis.tokens)
        if search.options.replace_unknowns and UNK in hypothesis.tokens:
            if hypothesis.weights is None:
                raise ConfigError(
                    "this model has no attention, so no source word belongs to an unknown piece; translate without "
                    "replace_unknowns"
                )
            text = replaced(text, hypothesis.tokens, hypothesis.weights, line, self.bundle.source_tokenizer)
        # A model of bytes may say a newline; a line stays a line.
        return text.replace("\n", " ")
