"""Text in, text out: a bundle at work."""

from __future__ import annotations

import itertools
import threading
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

import torch

from s2s.errors import ConfigError, DataError
from s2s.inference.bundle import Bundle, load_bundle
from s2s.inference.cores import default_threads
from s2s.inference.interruption import Interruptible
from s2s.inference.line import Line
from s2s.inference.member import Member, check_targets, same_sources
from s2s.inference.options import Given, Options
from s2s.inference.risk import gain_by, least_risk
from s2s.inference.searches import Search, Sentence
from s2s.inference.splitting import joined
from s2s.inference.translation import Translation
from s2s.inference.unknowns import replaced
from s2s.inference.windows import WINDOW, checked, in_batches, in_windows, lines_of
from s2s.inference.workers import Workers
from s2s.nn.cell import State
from s2s.padded import Padded
from s2s.search.constraints import constrain
from s2s.search.ensemble import StepperEnsemble
from s2s.search.hypotheses import Hypothesis
from s2s.search.limits import output_limits
from s2s.search.stepper import Stepper
from s2s.text.tokenizer import BOS, EOS, UNK

if TYPE_CHECKING:
    from typing_extensions import Unpack

PRECISIONS = ("float32", "bfloat16")

Hypotheses = list[list[Hypothesis]]


class _Window(NamedTuple):
    """Lines whose search has begun."""

    sentences: list[Sentence]
    parts: list[int]  # how many of the sentences are of each line
    sources: list[list[list[int]]]  # for each member the tokens of each sentence
    truncated: set[int]
    batches: list[list[int]]
    waiting: Sequence[Callable[[], Hypotheses]]  # for each batch what waits for its result


class Translator:
    """Translates, summarizes, or whatever else its model was trained for.

    On a CPU several threads search, a batch in each. Any number of threads may call it at once, and each gets what it
    would get alone.

    Args:
        bundle: as `load_bundle` returns it.
        device: such as "cpu" or "cuda".
        precision: "float32", or "bfloat16": faster on many machines, and a little less exact.
        models: further bundles with the same target pieces; each token is then said by all, with the mean of their
            probabilities. The recommended search, the shortlist and the source tokens in results are the first's.
        threads: how many search at once on a CPU; None is `default_threads`.

    Raises:
        ConfigError: an unknown device or precision, models with different target pieces, or no thread.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        device: str = "cpu",
        precision: str = "float32",
        models: Sequence[Bundle] = (),
        threads: int | None = None,
    ) -> None:
        if threads is not None and threads < 1:
            raise ConfigError(f"threads is {threads}; it must be 1 or more")
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
        self._threads = (threads or default_threads()) if self.device.type == "cpu" else 1

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
            threads: see `Translator`.
            models: folders of further bundles, see `Translator`.

        Raises:
            BundleError: the bundle is incomplete, damaged or newer than this s2s.
            ConfigError: see `Translator`.
        """
        return cls(
            load_bundle(path),
            device=device,
            precision=precision,
            models=[load_bundle(one) for one in models],
            threads=threads,
        )

    @overload
    def translate(  # type: ignore[overload-overlap]  # a str is an Iterable[str], too
        self, texts: str | Line, *, results: Literal[False] = ..., **options: Unpack[Given]
    ) -> str: ...

    @overload
    def translate(
        self, texts: Iterable[str | Line], *, results: Literal[False] = ..., **options: Unpack[Given]
    ) -> list[str]: ...

    @overload
    def translate(  # type: ignore[overload-overlap]
        self, texts: str | Line, *, results: Literal[True], **options: Unpack[Given]
    ) -> Translation: ...

    @overload
    def translate(
        self, texts: Iterable[str | Line], *, results: Literal[True], **options: Unpack[Given]
    ) -> list[Translation]: ...

    def translate(
        self, texts: str | Line | Iterable[str | Line], *, results: bool = False, **options: Unpack[Given]
    ) -> str | list[str] | Translation | list[Translation]:
        r"""Translate a text or several.

        A text is made of lines, split at \n only. Each line is translated on its own, and the result has as
        many lines; a line without a token (an empty one) gives an empty line. What a text gives depends on
        nothing else in the list.

        Args:
            texts: one text, or any number of them; every str is accepted, and a `Line` with wishes of its own.
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
            UserWarning: a line had more than `max_source_tokens` tokens, or an output lacks a phrase, and `results`
                cannot tell it.
        """
        single = isinstance(texts, str | Line)
        given = list(checked([texts] if isinstance(texts, str | Line) else texts, results))
        search = Search(Options.of(options), self.bundle, results)
        found = list(self._stream([given], search, ahead=1))
        return found[0] if single else found  # type: ignore[return-value]

    @overload
    def stream(
        self,
        texts: Iterable[str | Line],
        *,
        results: Literal[False] = ...,
        window: int = ...,
        **options: Unpack[Given],
    ) -> Iterator[str]: ...

    @overload
    def stream(
        self,
        texts: Iterable[str | Line],
        *,
        results: Literal[True],
        window: int = ...,
        **options: Unpack[Given],
    ) -> Iterator[Translation]: ...

    def stream(
        self,
        texts: Iterable[str | Line],
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
        if isinstance(texts, str | Line):
            raise DataError(
                "stream takes texts, such as a list or an open file; for one text there is translate"
            )
        search = Search(Options.of(options), self.bundle, results)
        # Two windows at once, each of half the size: while the last batches of one are searched, the next has begun.
        windows = in_windows(checked(texts, results), max(1, window // 2))
        return self._stream(windows, search, ahead=min(window, 2))  # type: ignore[return-value]

    def stream_windows(
        self, windows: Iterable[Sequence[str | Line]], **options: Unpack[Given]
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
        return self._flow(windows, Search(Options.of(options), self.bundle, True), ahead=2)

    def _stream(
        self, windows: Iterable[list[str | Line]], search: Search, ahead: int
    ) -> Iterator[str | Translation]:
        """Texts to lines, and translations of lines to those of texts, or to results."""
        pending: deque[list[str | Line]] = deque()

        def lines() -> Iterator[list[str | Line]]:
            for texts in windows:
                if texts:  # else it has no answer
                    pending.append(texts)
                yield [line for text in texts for line in lines_of(text)]

        truncated = unmet = number = 0
        with closing(self._flow(lines(), search, ahead)) as flow:
            for found in flow:
                truncated += sum(one.truncated for one in found)
                unmet += sum(bool(one.unmet) for one in found)
                number += len(found)
                texts = pending.popleft()
                if search.results:
                    yield from found
                    continue
                outputs = iter(found)
                for text in texts:
                    yield "\n".join(next(outputs).text for _ in lines_of(text))
        if truncated and not search.results:
            warnings.warn(
                f"{truncated} of {number} lines have more than {search.options.max_source_tokens} tokens; only so many "
                "were read of each. See max_source_tokens",
                stacklevel=3,
            )
        if unmet and not search.results:
            warnings.warn(
                f"{unmet} of {number} outputs lack a phrase that was asked for, or begin with another; see unmet of "
                "results=True, limit_extra, beam",
                stacklevel=3,
            )

    def _flow(
        self, windows: Iterable[Sequence[str | Line]], search: Search, ahead: int
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

    def _begin(self, lines: Sequence[str | Line], search: Search, workers: Workers) -> _Window:
        of_lines = [search.sentences(line) for line in lines]
        sentences = list(itertools.chain(*of_lines))
        sources = [member.encode([one.text for one in sentences]) for member in self._members]
        most = search.options.max_source_tokens
        truncated = {index for tokens in sources for index, source in enumerate(tokens) if len(source) > most}
        sources = [[source[:most] for source in tokens] for tokens in sources]
        # A line without a token, whoever finds none, has no search; the others' tokens count as the longest do.
        lengths = [max(map(len, each)) if all(each) else 0 for each in zip(*sources, strict=True)]
        for member in self._members:
            member.fold_when_it_pays(sum(lengths))
        batch_tokens = min(search.options.batch_tokens, -(-sum(lengths) // self._threads))
        batches: list[list[int]] = []
        for strategy in dict.fromkeys(one.strategy for one in sentences):  # most often one searches all
            places = [index for index, one in enumerate(sentences) if one.strategy is strategy]
            found = in_batches([lengths[index] for index in places], batch_tokens)
            batches += [[places[place] for place in batch] for batch in found]
        tasks = [
            partial(
                self._search_batch,
                [[tokens[index] for index in batch] for tokens in sources],
                [sentences[index] for index in batch],
                search,
                workers.given_up,
            )
            for batch in batches
        ]
        return _Window(sentences, [*map(len, of_lines)], sources, truncated, batches, workers.start(tasks))

    def _end(self, window: _Window, search: Search) -> list[Translation]:
        found = [Translation("", 0.0, [], [], True, []) for _ in window.sentences]
        for batch, waiting in zip(window.batches, window.waiting, strict=True):
            for index, best in zip(batch, waiting(), strict=True):
                found[index] = self._translation(
                    best,
                    window.sentences[index],
                    window.sources[0][index],
                    index in window.truncated,
                    search,
                )
        of_sentences = iter(found)
        return [joined([*itertools.islice(of_sentences, number)]) for number in window.parts]

    @torch.inference_mode()  # holds for the thread that sets it
    def _search_batch(
        self,
        sources: list[list[list[int]]],
        sentences: Sequence[Sentence],
        search: Search,
        given_up: threading.Event,
    ) -> Hypotheses:
        options, wishes = search.options, [one.wishes for one in sentences]
        first: Padded | None = None
        members: list[Stepper] = []
        states: list[State] = []
        strategy = sentences[0].strategy  # of them all
        with_weights = options.weights or options.replace_unknowns or strategy.reads_weights
        for member, tokens, comparable in zip(self._members, sources, self._comparable, strict=True):
            own, started = member.begin(
                tokens, search.shortlist, first, with_weights=with_weights and comparable
            )
            first = first or own.source
            members.append(own)
            states.append(started)
        stepper = Interruptible(
            members[0] if len(members) == 1 else StepperEnsemble(members), given_up.is_set
        )
        limits, minimums = output_limits(
            stepper.source_lengths,
            limit_ratio=options.limit_ratio,
            limit_extra=options.limit_extra,
            max_tokens=options.max_tokens,
            minimum_ratio=options.minimum_ratio,
            min_tokens=options.min_tokens,
        )
        constrained, state = constrain(
            stepper,
            states[0] if len(members) == 1 else tuple(states),
            no_repeat_ngram=options.no_repeat_ngram,
            banned=[own.banned for own in wishes],
            forced=[own.prefix for own in wishes],
        )
        # Only a strategy that takes phrases was chosen for them.
        phrases = [own.phrases for own in wishes]
        more: dict[str, Any] = {"phrases": phrases} if any(phrases) else {}
        return strategy.search(constrained, state, bos=BOS, eos=EOS, limits=limits, minimums=minimums, **more)

    def _translation(
        self, best: list[Hypothesis], sentence: Sentence, source: list[int], truncated: bool, search: Search
    ) -> Translation:
        tokenizer = self.bundle.target_tokenizer
        source_tokens = self.bundle.source_tokenizer.tokens(source) if search.results else []
        found = [
            Translation(
                self._text(hypothesis, sentence.text, search),
                hypothesis.score,
                tokenizer.tokens(hypothesis.tokens) if search.results else [],
                hypothesis.log_probs,
                hypothesis.finished,
                source_tokens,
                hypothesis.weights if search.options.weights else None,
                truncated=truncated,
                unmet=[
                    *sentence.wishes.unsayable,
                    *(tokenizer.decode(phrase) for phrase in hypothesis.unmet),
                ],
            )
            for hypothesis in best
        ]
        if search.options.minimum_risk is not None:
            found = least_risk(found, gain_by(search.options.minimum_risk))
        found[0].alternatives.extend(found[1:])
        return found[0]

    def _text(self, hypothesis: Hypothesis, line: str, search: Search) -> str:
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
