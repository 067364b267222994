"""Text in, text out: a bundle at work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict, overload

import torch
from torch import Tensor

from s2s.errors import BundleError, ConfigError, DataError
from s2s.inference.bundle import Bundle, load_bundle
from s2s.nn.prepared import Prepared
from s2s.nn.shortlist import Shortlisted
from s2s.padded import Padded
from s2s.registry.parts import factory, read_spec
from s2s.search.hypotheses import Hypothesis
from s2s.search.limits import LIMIT_EXTRA, LIMIT_RATIO, output_limits
from s2s.search.stepper import ModelStepper
from s2s.search.strategy import SearchStrategy
from s2s.text.batch import pad
from s2s.text.shortlist import Shortlist
from s2s.text.tokenizer import BOS, EOS

if TYPE_CHECKING:
    from typing_extensions import Unpack

PRECISIONS = ("float32", "bfloat16")
Lines = list[str] | tuple[str, ...]


class _Options(TypedDict, total=False):
    """For type checkers: the options of `Translator.translate` that do not change what it returns."""

    beam: int | None
    n_best: int
    normalization: str | None
    alpha: float | None
    limit_ratio: float
    limit_extra: int
    minimum_ratio: float
    batch_tokens: int
    weights: bool
    shortlist: bool


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


class Translator:
    """Translates, summarizes, or whatever else its model was trained for.

    On a CPU it searches with as many threads as torch has when it is made (`torch.get_num_threads`), a batch in each;
    after a translation torch has that number again. Meanwhile torch has one thread, and this holds for the process: a
    thread of yours that first uses torch in that time keeps one thread until it calls `torch.set_num_threads`.

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
        # Read here, for during another thread's translation it is 1.
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
    def translate(self, texts: str, *, results: Literal[False] = ..., **options: Unpack[_Options]) -> str: ...

    @overload
    def translate(
        self, texts: Lines, *, results: Literal[False] = ..., **options: Unpack[_Options]
    ) -> list[str]: ...

    @overload
    def translate(
        self, texts: str, *, results: Literal[True], **options: Unpack[_Options]
    ) -> Translation: ...

    @overload
    def translate(
        self, texts: Lines, *, results: Literal[True], **options: Unpack[_Options]
    ) -> list[Translation]: ...

    def translate(
        self,
        texts: str | Lines,
        *,
        beam: int | None = None,
        n_best: int = 1,
        normalization: str | None = None,
        alpha: float | None = None,
        limit_ratio: float = LIMIT_RATIO,
        limit_extra: int = LIMIT_EXTRA,
        minimum_ratio: float = 0.0,
        batch_tokens: int = 4096,
        results: bool = False,
        weights: bool = False,
        shortlist: bool = False,
    ) -> str | list[str] | Translation | list[Translation]:
        r"""Translate a text or several.

        A text is made of lines, split at \n only. Each line is translated on its own, and the result has as
        many lines; a line without a token (an empty one) gives an empty line. What a text gives depends on
        nothing else in the list.

        Args:
            texts: one text, or any number of them; every str is accepted.
            beam: size of the beam, 1 is greedy; None is what the bundle recommends.
            n_best: how many outputs to find for each text, at most `beam`; they are in `results`.
            normalization: of the beam's scores, "wu", "length" or "none"; None is what the bundle recommends.
            alpha: strength of the normalization; None is what the bundle recommends.
            limit_ratio: most tokens of an output, as a multiple of the tokens of its source, plus
                `limit_extra`.
            limit_extra: see `limit_ratio`.
            minimum_ratio: fewest tokens of an output, as a multiple of the tokens of its source.
            batch_tokens: most source tokens of a batch, padding counted; each thread searches a batch. Speed and memory
                only.
            results: give objects with scores, tokens and alternatives instead of strings; then a text must be
                one line.
            weights: put attention weights into the results.
            shortlist: say only what the bundle's shortlist has for the pieces of the source: faster, and now and then
                another word. Probabilities are then shares among these pieces.

        Returns:
            for a str a str, for a list a list, in its order; `Translation` instead of str if `results`.

        Raises:
            BundleError: a shortlist is asked for, and the bundle has none.
            ConfigError: impossible options, or a head that cannot use a shortlist.
            DataError: something that is not a str, or a text of several lines where `results` are asked for.
        """
        strategy = self._strategy(beam, n_best, normalization, alpha)
        if limit_ratio < 0 or limit_extra < 0 or minimum_ratio < 0 or batch_tokens < 1:
            raise ConfigError(
                f"limit_ratio {limit_ratio}, limit_extra {limit_extra} and minimum_ratio {minimum_ratio} "
                f"must be 0 or more, batch_tokens {batch_tokens} must be 1 or more"
            )
        if shortlist and self.bundle.shortlist is None:
            raise BundleError(
                "the bundle has no shortlist; learn one from its training text with: "
                "s2s shortlist BUNDLE SOURCE,TARGET"
            )
        single = isinstance(texts, str)
        given = [texts] if isinstance(texts, str) else texts
        for position, text in enumerate(given):
            if not isinstance(text, str):
                raise DataError(f"text {position} is a {type(text).__name__}, not a str: {text!r}")
            if results and "\n" in text:
                raise DataError(
                    f"text {position} has several lines, but results are made line by line; "
                    "split it at its newlines"
                )
        lines = [line for text in given for line in text.split("\n")]
        found = self._search(
            lines,
            strategy,
            (limit_ratio, limit_extra, minimum_ratio),
            batch_tokens,
            results,
            weights,
            self.bundle.shortlist if shortlist else None,
        )
        if results:
            return found[0] if single else found
        outputs = iter(found)
        joined = ["\n".join(next(outputs).text for _ in text.split("\n")) for text in given]
        return joined[0] if single else joined

    def _strategy(
        self, beam: int | None, n_best: int, normalization: str | None, alpha: float | None
    ) -> SearchStrategy:
        given = {
            "size": beam,
            "normalization": normalization,
            "alpha": alpha,
            "n_best": n_best if n_best != 1 else None,
        }
        given = {name: value for name, value in given.items() if value is not None}
        if not given:
            return self.bundle.search
        if given == {"size": 1}:
            strategy: SearchStrategy = factory("search", "Greedy")()
            return strategy
        name, recommended = read_spec("search", self.bundle.config["search"])
        options = {**(recommended if name == "Beam" else {}), "n_best": n_best, **given}
        strategy = factory("search", {"class_path": "Beam", "init_args": options})()
        return strategy

    @torch.inference_mode()
    def _search(
        self,
        lines: list[str],
        strategy: SearchStrategy,
        lengths: tuple[float, int, float],
        batch_tokens: int,
        with_tokens: bool,
        with_weights: bool,
        shortlist: Shortlist | None,
    ) -> list[Translation]:
        limit_ratio, limit_extra, minimum_ratio = lengths
        sources = self.bundle.source_tokenizer.encode_batch([_encodable(line) for line in lines])
        found = [Translation("", 0.0, [], [], True, []) for _ in lines]
        token_counts = [len(source) for source in sources]
        self._fold_when_it_pays(sum(token_counts))

        @torch.inference_mode()  # holds for the thread that sets it
        def search(batch: list[int]) -> list[list[Hypothesis]]:
            source = pad([sources[index] for index in batch]).to(self.device)
            limits, minimums = output_limits(
                source.lengths, limit_ratio=limit_ratio, limit_extra=limit_extra, minimum_ratio=minimum_ratio
            )
            memory, state = self._prepared.encode(source)
            head = None if shortlist is None else self._shortlisted(source, shortlist)
            stepper = ModelStepper(self._prepared, source, memory, with_weights=with_weights, head=head)
            return strategy.search(stepper, state, bos=BOS, eos=EOS, limits=limits, minimums=minimums)

        batches = list(_batches(token_counts, min(batch_tokens, -(-sum(token_counts) // self._threads))))
        for batch, searched in zip(batches, _map_in_threads(search, batches, self._threads), strict=True):
            for index, best in zip(batch, searched, strict=True):
                source_tokens = self.bundle.source_tokenizer.tokens(sources[index]) if with_tokens else []
                first, *others = [self._translation(one, source_tokens, with_tokens) for one in best]
                first.alternatives.extend(others)
                found[index] = first
        return found

    def _shortlisted(self, source: Padded, shortlist: Shortlist) -> Shortlisted:
        candidates, always = (
            torch.from_numpy(tokens).long().to(self.device)
            for tokens in (shortlist.candidates(source.ids.cpu().numpy()), shortlist.always)
        )
        return Shortlisted(self._prepared.model.head, candidates, always)

    def _translation(
        self, hypothesis: Hypothesis, source_tokens: list[str], with_tokens: bool
    ) -> Translation:
        tokenizer = self.bundle.target_tokenizer
        return Translation(
            # A model of bytes may say a newline; a line stays a line.
            tokenizer.decode(hypothesis.tokens).replace("\n", " "),
            hypothesis.score,
            tokenizer.tokens(hypothesis.tokens) if with_tokens else [],
            hypothesis.log_probs,
            hypothesis.finished,
            source_tokens,
            hypothesis.weights,
        )

    def _fold_when_it_pays(self, tokens: int) -> None:
        # Folding reads every token of the vocabulary once.
        if self._prepared.folded is None:
            self._read_tokens += tokens
            if self._read_tokens >= self.model.target_embedding.vocabulary_size:
                self._prepared.fold()


def _map_in_threads(
    search: Callable[[list[int]], list[list[Hypothesis]]], batches: list[list[int]], threads: int
) -> list[list[list[Hypothesis]]]:
    # One batch per thread is faster than one batch in all threads: its products and the steps between them are too
    # small to be shared out, and no thread waits for another.
    if min(threads, len(batches)) < 2:
        return [search(batch) for batch in batches]
    try:
        with ThreadPoolExecutor(
            min(threads, len(batches)), "search", lambda: torch.set_num_threads(1)
        ) as pool:
            return list(pool.map(search, batches))
    finally:
        torch.set_num_threads(threads)  # the libraries below know one number for the whole process


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
