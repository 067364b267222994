"""Text generation with a language model: from scratch or from a prompt, word after word."""

from __future__ import annotations

import queue
import threading
from abc import abstractmethod
from collections.abc import Callable, Sequence
from collections.abc import Generator as Flow
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypedDict, overload

import regex
import torch
from torch import Tensor

from s2s.errors import ConfigError, DataError
from s2s.inference.batch_sizes import SCORED_TOKENS, TEXT_TOKENS
from s2s.inference.devices import usable_device
from s2s.inference.model_bundle import ModelBundle, built_here, load_model_bundle
from s2s.inference.options import Options
from s2s.inference.scoring import Scored
from s2s.inference.strategies import strategy_of
from s2s.inference.text_scoring import StreamScorer, score_texts
from s2s.inference.windows import encodable, in_batches
from s2s.inference.workers import GivenUp
from s2s.nn.cell import State, map_state, select_state
from s2s.nn.language_model import LanguageModel
from s2s.nn.prepared import Prepared
from s2s.registry.near_names import unknown
from s2s.registry.parts import factory
from s2s.search.constraints import constrain
from s2s.search.hypotheses import Hypothesis
from s2s.search.stepper import Best, ModelStepper, Step, Stepper
from s2s.search.strategy import SearchStrategy
from s2s.text.batch import pad
from s2s.text.tokenizer import BOS, EOS, PAD, UNK
from s2s.text.words import UNSPACED

if TYPE_CHECKING:
    from typing_extensions import Unpack

ROWS = 64
"""Texts that are generated in parallel."""

_UNFINISHED = "\ufffd"
"""What stands in a text for the bytes of an incomplete character."""

_LAST_WORD = regex.compile(rf"[\s{UNSPACED}](?=[^\s{UNSPACED}]*$)")
"""Where the last word of a text begins, with the space before it: a word that may still become longer."""


class Given(TypedDict, total=False):
    """Options of text generation; see `s2s.inference.options.Options`."""

    search: str | None
    beam: int | None
    normalization: str | None
    alpha: float | None
    temperature: float | None
    top_k: int | None
    top_p: float | None
    seed: int | None
    max_tokens: int | None
    min_tokens: int
    no_repeat_ngram: int | None
    banned: Sequence[str]


@dataclass(frozen=True)
class Generated:
    """A text that a model generated.

    Attributes:
        text: the whole text, including the prompt.
        prompt: the prompt that it was generated from.
        score: what the search ranks by; for a sampled text, the log-probability of the continuation of the prompt.
        tokens: the tokens after the prompt, in readable form; the end token last, if it was reached.
        log_probs: natural logarithms of the model's own probabilities of `tokens`, whatever the sampling options.
        finished: False if it was cut at its limit.
    """

    text: str
    prompt: str
    score: float
    tokens: list[str]
    log_probs: list[float]
    finished: bool


class _Wanted(NamedTuple):
    """A text to generate: its prompt, and its number among the samples of that prompt."""

    prompt: str
    number: int


class _Asked(NamedTuple):
    """The settings of one call."""

    options: Options
    strategy: SearchStrategy
    texts: int


class Generator:
    """Generates texts with a language model, and scores given ones.

    By default it samples from the unchanged distribution of the model. A sample depends only on the seed, the prompt
    and the text's number: text 3 of 10 is the same as text 3 of 100, whatever other prompts there are. The token for
    unknown words is never generated.

    Args:
        bundle: as `load_model_bundle` returns it.
        device: such as "cpu" or "cuda".

    Raises:
        ConfigError: an unknown device.
    """

    def __init__(self, bundle: ModelBundle[LanguageModel], *, device: str = "cpu") -> None:
        with usable_device(device) as self.device:
            self._prepared = Prepared(bundle.model.to(self.device).eval())
        self.bundle = bundle
        self.tokenizer = bundle.tokenizers["tokenizer"]
        self._spec = bundle.config.get("search", "Sampling")
        with built_here(Path(), bundle.config):
            self._search: SearchStrategy = factory("search", self._spec)()

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu") -> Generator:
        """Make a generator from a bundle on disk.

        Raises:
            BundleError: see `load_model_bundle`; or it holds a model of another kind.
        """
        return cls(load_model_bundle(path, LanguageModel), device=device)

    @overload
    def generate(
        self,
        prompt: str = ...,
        *,
        count: None = ...,
        results: Literal[False] = ...,
        **options: Unpack[Given],
    ) -> str: ...

    @overload
    def generate(
        self, prompt: str = ..., *, count: None = ..., results: Literal[True], **options: Unpack[Given]
    ) -> Generated: ...

    @overload
    def generate(
        self,
        prompt: str | Sequence[str] = ...,
        *,
        count: int | None = ...,
        results: Literal[False] = ...,
        **options: Unpack[Given],
    ) -> list[str]: ...

    @overload
    def generate(
        self,
        prompt: str | Sequence[str] = ...,
        *,
        count: int | None = ...,
        results: Literal[True],
        **options: Unpack[Given],
    ) -> list[Generated]: ...

    def generate(
        self,
        prompt: str | Sequence[str] = "",
        *,
        count: int | None = None,
        results: bool = False,
        **options: Unpack[Given],
    ) -> str | Generated | list[str] | list[Generated]:
        """Generate a text, or several.

        Args:
            prompt: what a text begins with; or several prompts, whose texts are generated in parallel.
            count: number of texts per prompt; for a search that does not sample, its best ones.
            results: return objects with tokens and log-probabilities instead of strings.
            options: see `Given`; `s2s generate` has the same.

        Returns:
            a str, or with `count` or several prompts a list, prompt by prompt; `Generated` instead of str if `results`.

        Raises:
            ConfigError: an unknown option or an invalid value.
            DataError: a prompt is not a str.
        """
        asked = self._asked(options, 1 if count is None else count)
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        for position, one in enumerate(prompts):
            _check_prompt(f"prompt {position}", one)
        numbers = range(asked.texts if asked.strategy.draws else 1)
        wanted = [_Wanted(one, number) for one in prompts for number in numbers]
        found: list[Generated] = []
        for start in range(0, len(wanted), ROWS):
            some = wanted[start : start + ROWS]
            for (begin, _), hypotheses in zip(some, self._written(some, asked), strict=True):
                best = hypotheses[:1] if asked.strategy.draws else hypotheses[: asked.texts]
                found += [self._generated(begin, one) for one in best]
        given = found if results else [one.text for one in found]
        return given[0] if count is None and isinstance(prompt, str) else given

    def stream(self, prompt: str = "", *, number: int = 0, **options: Unpack[Given]) -> Flow[str]:
        """Generate a text, and yield each word as soon as it is complete; the prompt comes first.

        All parts together are the text that `generate` returns. A search whose tokens are not final until its end
        (`SearchStrategy.tokens_are_final`), such as beam search, yields everything then.

        Args:
            prompt: what it begins with.
            number: number of the sample, from 0.
            options: see `generate`.

        Raises:
            ConfigError: see `generate`.
            DataError: the prompt is not a str.
        """
        _check_prompt("the prompt", prompt)
        asked = self._asked(options, 1)
        return self._words(prompt, number, asked)

    def draws(self, **options: Unpack[Given]) -> bool:
        """Whether texts are sampled with these options, so that there can be any number of them.

        Raises:
            ConfigError: see `generate`.
        """
        return self._asked(options, 1).strategy.draws

    @torch.inference_mode()
    def following(self, prompt: str = "", count: int = 5) -> list[tuple[str, float]]:
        """The most probable tokens after a prompt, each with its probability.

        Args:
            prompt: the text before; "" is the beginning of a text.
            count: how many; the end token is included if it is among the most probable. There are no more than the
                model can generate.

        Raises:
            ConfigError: `count` is below 1.
            DataError: the prompt is not a str.
        """
        _check_prompt("the prompt", prompt)
        if count < 1:
            raise ConfigError(f"count is {count}; it must be 1 or more")
        stepper, state, last = self._begun([_Wanted(prompt, 0)])
        best = stepper.best(last.unsqueeze(1), state, count)
        possible = best.log_probs.flatten() > -torch.inf
        names = self.tokenizer.tokens(best.tokens.flatten()[possible].tolist())
        return list(zip(names, best.log_probs.flatten()[possible].exp().tolist(), strict=True))

    def score(
        self, texts: Sequence[str], *, as_stream: bool = False, batch_tokens: int = SCORED_TOKENS
    ) -> list[Scored]:
        """Score given texts: their pieces, the end token last, and the log-probability of each.

        Args:
            texts: any number of them.
            as_stream: score each text as the continuation of those before it, as a model that was trained on a stream
                reads them, not independently.
            batch_tokens: maximum tokens per batch, including padding. Affects speed and memory only.

        Raises:
            DataError: one is not a str, or `texts` is itself a str.
            ConfigError: an invalid `batch_tokens`.
        """
        if isinstance(texts, str):
            raise DataError("score takes texts, such as a list; for one text: score([text])")
        for position, text in enumerate(texts):
            if not isinstance(text, str):
                raise DataError(f"text {position} is a {type(text).__name__}, not a str: {text!r}")
        return self.scorer(as_stream=as_stream, batch_tokens=batch_tokens)(texts)

    def scorer(
        self, *, as_stream: bool = False, batch_tokens: int = SCORED_TOKENS
    ) -> Callable[[Sequence[str]], list[Scored]]:
        """`score` for texts in several calls; for a stream, each call continues where the previous one ended.

        Args:
            as_stream: see `score`.
            batch_tokens: see `score`.
        """
        if as_stream:
            return StreamScorer(self.bundle.model, self.tokenizer)
        return partial(score_texts, self.bundle.model, self.tokenizer, batch_tokens=batch_tokens)

    def pieces(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of texts, without their ends."""
        return self.tokenizer.encode_batch([encodable(text) for text in texts])

    # --- the search -------------------------------------------------------------------------------------------------

    def _asked(self, given: Given, count: int) -> _Asked:
        if count < 1:
            raise ConfigError(f"count is {count}; it must be 1 or more")
        for name in given:
            if name not in Given.__annotations__:
                raise ConfigError(unknown("option", name, Given.__annotations__))
        named = dict(given)
        strategy = strategy_of(Options.of(named), self._search, self._spec)
        if count > 1 and not strategy.draws:
            named["n_best"] = count
            try:
                strategy = strategy_of(Options.of(named), self._search, self._spec)
            except ConfigError as error:
                raise ConfigError(
                    f"count is {count}, which is the n_best of a search that does not sample: {error}"
                ) from error
        return _Asked(Options.of(named), strategy, count)

    @torch.inference_mode()
    def _begun(self, wanted: Sequence[_Wanted]) -> tuple[ModelStepper, State, Tensor]:
        """A stepper for these texts, the state before the last token of each prompt, and these last tokens, [texts]."""
        prompts = list(dict.fromkeys(prompt for prompt, _ in wanted))
        read = {prompt: [BOS, *tokens] for prompt, tokens in zip(prompts, self.pieces(prompts), strict=True)}
        model = self.bundle.model
        rows: dict[str, int] = {}
        states = []
        for batch in in_batches([len(read[prompt]) for prompt in prompts], SCORED_TOKENS):
            for place in batch:
                rows[prompts[place]] = len(rows)
            before = pad([read[prompts[place]][:-1] for place in batch]).to(self.device)
            states.append(model(before)[1] if before.ids.numel() else model.begin(len(batch)))
        state = map_state(lambda *leaves: torch.cat(leaves), *states)
        places = torch.tensor([rows[prompt] for prompt, _ in wanted], device=self.device)
        # The model ignores its source: here it only distinguishes the texts for sampling.
        source = pad([[*read[prompt], number] for prompt, number in wanted]).to(self.device)
        last = torch.tensor([read[prompt][-1] for prompt, _ in wanted], device=self.device)
        stepper = ModelStepper(self._prepared, source, None, never=(PAD, UNK, BOS))
        return stepper, select_state(state, places), last

    def _written(
        self, wanted: Sequence[_Wanted], asked: _Asked, tell: Callable[[Tensor], None] | None = None
    ) -> list[list[Hypothesis]]:
        """What the search finds for each of these texts; `tell` is called with the last tokens at each step."""
        begun, state, last = self._begun(wanted)
        options = asked.options
        banned = [self.tokenizer.encode(encodable(word)) for word in options.banned]
        stepper, state = constrain(
            begun,
            state,
            no_repeat_ngram=options.no_repeat_ngram,
            banned=[banned] * len(wanted),
        )
        stepper = _Prompted(stepper, last)
        most = TEXT_TOKENS if options.max_tokens is None else options.max_tokens
        like = begun.source_lengths
        return asked.strategy.search(
            stepper if tell is None else _Told(stepper, tell),
            state,
            bos=BOS,
            eos=EOS,
            limits=torch.full_like(like, most),
            minimums=torch.full_like(like, min(options.min_tokens, most)),
        )

    def _generated(self, prompt: str, found: Hypothesis) -> Generated:
        said = [*found.tokens, EOS] if found.finished else found.tokens
        return Generated(
            self._text(prompt, found.tokens),
            prompt,
            found.score,
            self.tokenizer.tokens(said),
            found.log_probs,
            found.finished,
        )

    def _text(self, prompt: str, tokens: Sequence[int]) -> str:
        """A prompt as it was given, and what follows it."""
        return _joined(prompt, self._more(self.tokenizer.encode(encodable(prompt)), tokens))

    def _more(self, before: Sequence[int], tokens: Sequence[int]) -> str:
        """What tokens add to the text of those before them."""
        known, whole = self.tokenizer.decode(before), self.tokenizer.decode([*before, *tokens])
        return whole[len(known) :] if whole.startswith(known) else self.tokenizer.decode(tokens)

    def _words(self, prompt: str, number: int, asked: _Asked) -> Flow[str]:
        given = 0  # characters
        with closing(self._steps(prompt, number, asked)) as steps:
            for one in self._growing(prompt, steps):
                if isinstance(one, Hypothesis):
                    yield from filter(None, [self._text(prompt, one.tokens)[given:]])
                    return
                given += len(one)
                yield one

    def _growing(self, prompt: str, steps: Flow[int | Hypothesis]) -> Flow[str | Hypothesis]:
        """Words as soon as they are complete, and finally the hypothesis of the search.

        Decoding all tokens at each step would take quadratic time. So only the new tokens are decoded, together with
        the few tokens before them, once the text of those is final and the rest does not depend on earlier ones.
        """
        before, tokens = self.tokenizer.encode(encodable(prompt)), list[int]()
        start, more = prompt, ""  # the text up to `tokens`, and what these add to it
        given = 0  # characters of both
        joined: Callable[[str, str], str] = (
            _joined  # a prompt may lose its last space, generated text does not
        )
        for step in steps:
            if isinstance(step, Hypothesis):
                yield step
                return
            tokens.append(step)
            known, more = more, self._more(before, tokens)
            stands = known != "" and not known.endswith(_UNFINISHED) and more.startswith(known)
            if stands and self._more(tokens[:-1], tokens[-1:]) == more[len(known) :]:
                start, more, given = joined(start, known)[given:], more[len(known) :], 0
                before, tokens, joined = tokens[:-1], tokens[-1:], str.__add__
            text = joined(start, more)
            unfinished = _LAST_WORD.search(text)
            end = unfinished.start() if unfinished else 0
            if end > given:
                yield text[given:end]
                given = end

    def _steps(self, prompt: str, number: int, asked: _Asked) -> Flow[int | Hypothesis]:
        """The tokens of a search that runs in another thread, as they come; finally its hypothesis."""
        told: queue.SimpleQueue[int | Hypothesis | BaseException] = queue.SimpleQueue()
        given_up = threading.Event()

        def tell(tokens: Tensor) -> None:
            if given_up.is_set():
                raise GivenUp
            if asked.strategy.tokens_are_final and tokens.numel() == 1:
                told.put(int(tokens))

        def search() -> None:
            try:
                told.put(self._written([_Wanted(prompt, number)], asked, tell)[0][0])
            except BaseException as error:  # raised again in the waiting thread
                told.put(error)

        thread = threading.Thread(target=search, daemon=True)
        thread.start()
        begun = False
        try:
            while not isinstance(one := told.get(), Hypothesis):
                if isinstance(one, BaseException):
                    raise one
                if begun:  # the first token is BOS
                    yield one
                begun = True
            yield one
        finally:
            given_up.set()
            thread.join()


def _check_prompt(what: str, prompt: object) -> None:
    if not isinstance(prompt, str):
        raise DataError(f"{what} is a {type(prompt).__name__}, not a str: {prompt!r}")


class _Around(Stepper):
    """Wraps a stepper, and may inspect or replace the tokens that it is given.

    Args:
        stepper: the wrapped stepper.
    """

    def __init__(self, stepper: Stepper) -> None:
        self.stepper = stepper
        self.source_lengths = stepper.source_lengths

    @abstractmethod
    def _read(self, tokens: Tensor) -> Tensor:
        """What the stepper is given for the last token of each beam, [sentences, beams]."""

    @property
    def vocabulary_size(self) -> int | None:
        """See `Stepper.vocabulary_size`."""
        return self.stepper.vocabulary_size

    def __call__(self, tokens: Tensor, state: State) -> Step:
        """See `Stepper`."""
        return self.stepper(self._read(tokens), state)

    def best(self, tokens: Tensor, state: State, k: int) -> Best:
        """See `Stepper`."""
        return self.stepper.best(self._read(tokens), state, k)

    def fingerprints(self) -> Tensor:
        """See `Stepper`."""
        return self.stepper.fingerprints()


class _Prompted(_Around):
    """Replaces the BOS with which a search begins by the last token of each prompt.

    Args:
        stepper: the wrapped stepper.
        last: last token of each prompt, [sentences].
    """

    def __init__(self, stepper: Stepper, last: Tensor) -> None:
        super().__init__(stepper)
        self.last = last

    def _read(self, tokens: Tensor) -> Tensor:
        return torch.where(tokens == BOS, self.last.unsqueeze(1), tokens)  # BOS is never generated

    def keep(self, sentences: Tensor) -> _Prompted:
        """See `Stepper`."""
        return _Prompted(self.stepper.keep(sentences), self.last[sentences])


class _Told(_Around):
    """Reports the tokens that it is given.

    Args:
        stepper: the wrapped stepper.
        tell: called with the last token of each beam, [sentences, beams].
    """

    def __init__(self, stepper: Stepper, tell: Callable[[Tensor], None]) -> None:
        super().__init__(stepper)
        self._tell = tell

    def _read(self, tokens: Tensor) -> Tensor:
        self._tell(tokens)
        return tokens

    def keep(self, sentences: Tensor) -> _Told:
        """See `Stepper`."""
        return _Told(self.stepper.keep(sentences), self._tell)


def _joined(begin: str, more: str) -> str:
    # A word tokenizer drops a space at the end of a prompt, and puts one before the next word.
    return f"{begin.rstrip() if more[:1].isspace() else begin}{more}"
