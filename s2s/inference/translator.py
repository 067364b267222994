"""Translation of text with a bundle."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from s2s.errors import ConfigError
from s2s.inference.bundle import Bundle, load_bundle
from s2s.inference.devices import threads_on, usable_device
from s2s.inference.interruption import Interruptible
from s2s.inference.lines import Hypotheses, LineTranslator, Tokens
from s2s.inference.member import Member, check_targets, same_sources
from s2s.inference.one_thread import use_one_thread
from s2s.inference.options import Options
from s2s.inference.risk import least_risk
from s2s.inference.searches import Said, Search, Sentence
from s2s.inference.shipped import LIMIT
from s2s.inference.translation import Translation
from s2s.inference.unknowns import replaced
from s2s.nn.cell import State
from s2s.padded import Padded
from s2s.search.constraints import constrain
from s2s.search.ensemble import StepperEnsemble
from s2s.search.hypotheses import Hypothesis
from s2s.search.limits import output_limits
from s2s.search.stepper import Stepper
from s2s.text.extended import ExtendedVocabulary
from s2s.text.tokenizer import BOS, EOS, UNK

PRECISIONS = ("float32", "bfloat16")


class Translator(LineTranslator[Sentence]):
    """Translates, summarizes, or whatever else its model was trained for.

    On a CPU, several threads search, one batch each. It is thread-safe: concurrent calls do not affect each other's
    results.

    Args:
        bundle: as `load_bundle` returns it.
        device: such as "cpu" or "cuda".
        precision: "float32", or "bfloat16": a little less precise, and faster where the processor or GPU has
            instructions for it.
        models: further bundles with the same target pieces, for an ensemble that averages their probabilities at each
            token. The recommended search, the shortlist and the source tokens in results are the first's.
        threads: how many search at once on a CPU; None is `default_threads` of torch's.

    Raises:
        ConfigError: an unknown device or precision, models with different target pieces, or no thread.
    """

    tells_weights = True

    def __init__(
        self,
        bundle: Bundle,
        *,
        device: str = "cpu",
        precision: str = "float32",
        models: Sequence[Bundle] = (),
        threads: int | None = None,
    ) -> None:
        if precision not in PRECISIONS:
            raise ConfigError(f"unknown precision {precision!r}; choose one of {', '.join(PRECISIONS)}")
        bundles = [bundle, *models]
        check_targets(bundles)
        with usable_device(device) as self.device:
            self._members = [Member(one, self.device, narrow=precision == "bfloat16") for one in bundles]
        self.bundle = bundle
        self.bundles = bundles
        self.model = bundle.model
        self.precision = precision
        self._copies = any(member.copies for member in self._members)
        # Attention can be compared where sources are split alike.
        self._comparable = [one is bundle or same_sources(bundle, one) for one in bundles]
        super().__init__(threads_on(self.device, threads))

    @classmethod
    def load(
        cls,
        path: str | Path,
        device: str = "cpu",
        precision: str = "float32",
        threads: int | None = None,
        models: Sequence[str | Path] = (),
    ) -> Translator:
        """Make a translator from a bundle on disk.

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

    @property
    def files(self) -> list[dict[str, str]]:
        """See `LineTranslator.files`."""
        return [bundle.config["sha256"] for bundle in self.bundles]

    @property
    def told_lengths(self) -> bool:
        """See `LineTranslator.told_lengths`."""
        return all(bundle.config.get("training", {}).get("told_lengths") for bundle in self.bundles)

    @property
    def max_output_tokens(self) -> int | None:
        """See `LineTranslator.max_output_tokens`."""
        return self.bundle.config.get(LIMIT)

    @property
    def longest(self) -> int | None:
        """See `LineTranslator.longest`."""
        ends = [one.model.encoder.longest for one in self.bundles]
        return min((end for end in ends if end is not None), default=None)

    def _search(self, options: Options, results: bool, *, one_line: bool = True) -> Search:
        options = options.limited(self.max_output_tokens)
        return Search(options, self.bundle, results, one_line=one_line, copies=self._copies)

    def _encode(self, texts: Sequence[str]) -> list[list[Tokens]]:
        return self._read(texts)[1]

    def _read(self, texts: Sequence[str]) -> tuple[list[ExtendedVocabulary], list[list[Tokens]]]:
        """The vocabulary of each sentence, with the words that a model may copy; the source tokens of each model."""
        vocabularies = [ExtendedVocabulary(self.bundle.target_tokenizer) for _ in texts]
        sources = []
        for member in self._members:
            tokens = member.encode(texts)
            sources.append(member.extended(vocabularies, texts, tokens) if member.copies else tokens)
        return vocabularies, sources

    def _vocabulary(self, text: str) -> ExtendedVocabulary:
        if self._copies:
            return self._read([text])[0][0]
        return ExtendedVocabulary(self.bundle.target_tokenizer)

    def _said(self, sentence: Sentence, search: Search) -> Said:
        """A sentence's constraints in tokens; out-of-vocabulary words included if they can be copied."""
        vocabulary = ExtendedVocabulary(self.bundle.target_tokenizer)
        if self._copies and sentence.wishes.unknown:
            (whole,), sources = self._read([sentence.text])
            read = {token for (source,) in sources for token in source[: search.options.max_source_tokens]}
            own = range(vocabulary.tokenizer.vocabulary_size, max(read, default=0) + 1)
            vocabulary = ExtendedVocabulary(vocabulary.tokenizer, whole.words[: len(own)])
        return sentence.wishes.said(vocabulary)

    def _preparation(self) -> Callable[[], None] | None:
        return use_one_thread if max(self._threads, torch.get_num_threads()) > 1 else None

    def _expect(self, tokens: int) -> None:
        for member in self._members:
            member.fold_when_it_pays(tokens)

    @torch.inference_mode()  # holds for the thread that sets it
    def _search_batch(
        self,
        sources: list[list[list[int]]],
        sentences: Sequence[Sentence],
        search: Search,
        given_up: threading.Event,
    ) -> Hypotheses:
        options, wishes = search.options, [self._said(one, search) for one in sentences]
        first: Padded | None = None
        members: list[Stepper] = []
        states: list[State] = []
        strategy = sentences[0].strategy  # the same for all
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
        # If there are phrases, a strategy that supports them was chosen.
        phrases = [own.phrases for own in wishes]
        more: dict[str, Any] = {"phrases": phrases} if any(phrases) else {}
        return strategy.search(constrained, state, bos=BOS, eos=EOS, limits=limits, minimums=minimums, **more)

    def _empty(self, sentence: Sentence) -> Translation:
        wanted = (sentence.wishes.prefix, *sentence.wishes.phrases)
        return dataclasses.replace(
            super()._empty(sentence), unmet=[wish.text for wish in wanted if wish.text]
        )

    def _translation(
        self, best: list[Hypothesis], sentence: Sentence, source: list[int], truncated: bool, search: Search
    ) -> Translation:
        vocabulary = self._vocabulary(sentence.text)
        reader = vocabulary if self._members[0].copies else self.bundle.source_tokenizer
        source_tokens = reader.tokens(source) if search.results else []
        said = self._said(sentence, search)
        found = [
            Translation(
                self._text(hypothesis, sentence.text, vocabulary, search),
                hypothesis.score,
                vocabulary.tokens(hypothesis.tokens) if search.results else [],
                hypothesis.log_probs,
                hypothesis.finished,
                source_tokens,
                hypothesis.weights if search.options.weights else None,
                truncated=truncated,
                unmet=[
                    *said.unsayable,
                    *(
                        [sentence.wishes.prefix.text]
                        if list(hypothesis.tokens[: len(said.prefix)]) != said.prefix
                        else []
                    ),
                    *(vocabulary.decode(phrase) for phrase in hypothesis.unmet),
                ],
            )
            for hypothesis in best
        ]
        if search.gain is not None:
            found = least_risk(found, search.gain)
        found[0].alternatives.extend(found[1:])
        return found[0]

    def _text(self, hypothesis: Hypothesis, line: str, vocabulary: ExtendedVocabulary, search: Search) -> str:
        text = vocabulary.decode(hypothesis.tokens)
        if search.options.replace_unknowns and UNK in hypothesis.tokens:
            if hypothesis.weights is None:
                raise ConfigError(
                    "this model has no attention, so no source word belongs to an unknown piece; translate without "
                    "replace_unknowns"
                )
            text = replaced(text, hypothesis.tokens, hypothesis.weights, line, self.bundle.source_tokenizer)
        # A byte-level model may output a newline; a line stays a line.
        return text.replace("\n", " ") if search.one_line else text
