"""Log-probabilities of given translations, by teacher forcing: one pass over each pair."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from s2s.errors import ConfigError, DataError
from s2s.inference.batch_sizes import SCORED_TOKENS
from s2s.inference.bundle import Bundle
from s2s.inference.devices import usable_device
from s2s.inference.windows import encodable
from s2s.nn.decoder import Decoded
from s2s.nn.head import PIECE_ELEMENTS
from s2s.nn.writer import Writer
from s2s.padded import Padded
from s2s.text.batch import pad, pad_targets
from s2s.text.extended import ExtendedVocabulary
from s2s.text.tokenizer import PAD

MOST_PAIRS_OF_TOKENS = 2**28
"""Maximum of source tokens times target tokens of a line: attention has a number for each, 1 GiB of them."""
MOST_TOKENS = 2**17
"""Maximum tokens of a line or of its translation: a layer keeps some thousand numbers of each, also 1 GiB."""


@dataclass(frozen=True)
class Scored:
    """A given translation, and its probability.

    A source without tokens always translates to an empty line, independent of the model. So for such a source, an empty
    translation has probability 1, and no tokens; any other has probability 0.

    Attributes:
        log_prob: natural logarithm of its probability, including the end token.
        tokens: its pieces, in readable form, and the end token; empty if the source has no tokens.
        log_probs: of each of `tokens`.
    """

    log_prob: float
    tokens: list[str]
    log_probs: list[float]

    @property
    def perplexity(self) -> float:
        """Per token, including the end token; NaN if there are no tokens."""
        return perplexity([self])


def perplexity(scored: Iterable[Scored]) -> float:
    """Perplexity of several translations per token, including end tokens; those without tokens do not count."""
    log_probs = [log_prob for one in scored for log_prob in one.log_probs]
    return exp(-math.fsum(log_probs) / len(log_probs)) if log_probs else math.nan


def exp(value: float) -> float:
    """The exponential function; infinity where a float cannot hold it."""
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def score(
    bundle: Bundle,
    sources: Sequence[str],
    targets: Sequence[str],
    *,
    batch_tokens: int = SCORED_TOKENS,
    device: str = "cpu",
) -> list[Scored]:
    """The probability of each target, given its source; it depends on nothing else in the lists.

    Args:
        bundle: as `load_bundle` returns it.
        sources: one line each.
        targets: one line for each source.
        batch_tokens: maximum tokens per batch on either side, including padding. Affects speed and memory only.
        device: such as "cpu" or "cuda".

    Raises:
        DataError: there are not as many targets as sources, or one is not a str.
        ConfigError: an invalid `batch_tokens` or device.
    """
    scored: dict[int, Scored] = {}
    for batch, source, gold, decoded in forced(
        bundle, sources, targets, batch_tokens=batch_tokens, device=device
    ):
        rows = gold_log_probs(bundle.model, decoded, gold, source).double().tolist()
        for index, ids, length, row in zip(
            batch, gold.ids.tolist(), gold.lengths.tolist(), rows, strict=True
        ):
            vocabulary = own_words(bundle, sources[index])
            tokens, log_probs = vocabulary.tokens(ids[:length]), row[:length]
            scored[index] = Scored(math.fsum(log_probs), tokens, log_probs)
    return [scored.get(index) or _without_source(bundle, target) for index, target in enumerate(targets)]


def own_words(bundle: Bundle, source: str) -> ExtendedVocabulary:
    """The vocabulary of a bundle and, if its model copies, the words of a source that it lacks."""
    vocabulary = ExtendedVocabulary(bundle.target_tokenizer)
    if bundle.model.head.copies:
        text = encodable(source)
        vocabulary.source(text, bundle.source_tokenizer.encode(text))
    return vocabulary


def _without_source(bundle: Bundle, target: str) -> Scored:
    impossible = bool(bundle.target_tokenizer.encode(encodable(target)))
    return Scored(-math.inf if impossible else 0.0, [], [])


def forced(
    bundle: Bundle,
    sources: Sequence[str],
    targets: Sequence[str],
    *,
    batch_tokens: int,
    device: str,
) -> Iterator[tuple[list[int], Padded, Padded, Decoded]]:
    """Teacher forcing of given pairs, in batches of similar length, longest first; without those with an empty source.

    Yields:
        Positions in the lists; the sources; the gold targets with the end token; the decoder's outputs.
    """
    for side, texts in (("source", sources), ("target", targets)):
        if isinstance(texts, str):
            raise DataError(f"the {side}s are a single str; give a list of texts, such as [text]")
    if len(sources) != len(targets):
        raise DataError(
            f"there are {len(sources)} sources and {len(targets)} targets; each source needs its target"
        )
    if batch_tokens < 1:
        raise ConfigError(f"batch_tokens is {batch_tokens}; it must be 1 or more")
    for side, texts in (("source", sources), ("target", targets)):
        for position, text in enumerate(texts):
            if not isinstance(text, str):
                raise DataError(f"{side} {position} is a {type(text).__name__}, not a str: {text!r}")
    with usable_device(device) as place:
        model = bundle.model.to(place).eval()
    read = bundle.source_tokenizer.encode_batch([encodable(text) for text in sources])
    said = bundle.target_tokenizer.encode_batch([encodable(text) for text in targets])
    if model.head.copies:
        for index, (text, answer) in enumerate(zip(sources, targets, strict=True)):
            vocabulary = ExtendedVocabulary(bundle.target_tokenizer)
            read[index] = list(vocabulary.source(encodable(text), read[index]))
            said[index] = list(vocabulary.target(encodable(answer), said[index]))
    lengths = [(len(r), len(s) + 1) for r, s in zip(read, said, strict=True)]
    for text, (length, other) in zip(sources, lengths, strict=True):
        if length * other > MOST_PAIRS_OF_TOKENS or max(length, other) > MOST_TOKENS:
            raise DataError(
                f"a line of {length:,} tokens with a translation of {other:,} is too long to be scored at once; "
                f"split it. It begins with {text[:40]!r}"
            )
    for batch in _batches(lengths, batch_tokens):
        source = pad([read[index] for index in batch]).to(place)
        target = pad_targets([said[index] for index in batch]).to(place)
        inputs = Padded(target.ids[:, :-1], target.lengths - 1)
        with torch.inference_mode():
            decoded = model(source, inputs._replace(ids=inputs.ids.masked_fill(~inputs.mask, PAD)))
        yield batch, source, Padded(target.ids[:, 1:], target.lengths - 1), decoded


@torch.inference_mode()
def gold_log_probs(model: Writer, decoded: Decoded, gold: Padded, source: Padded) -> Tensor:
    """Log-probabilities [batch, target] of `gold`, in pieces that fit into memory, as the loss takes them."""
    batch, target = gold.ids.shape
    span = max(1, PIECE_ELEMENTS // (batch * model.head.vocabulary_size))
    found = []
    for start in range(0, target, span):
        window = slice(start, start + span)
        piece = Decoded(*(None if part is None else part[:, window] for part in decoded))  # type: ignore[arg-type]
        log_probs = model.head.log_probs(piece, source)
        found.append(log_probs.gather(-1, gold.ids[:, window].unsqueeze(-1)).squeeze(-1))
    return torch.cat(found, dim=1)


def _batches(lengths: list[tuple[int, int]], batch_tokens: int) -> Iterator[list[int]]:
    # Longest first, so that a too large batch_tokens fails at once.
    order = sorted(
        (index for index, (source, _) in enumerate(lengths) if source),
        key=lambda index: (-max(lengths[index]), lengths[index], index),
    )
    start = 0
    while start < len(order):
        rows = max(1, batch_tokens // max(lengths[order[start]]))
        yield order[start : start + rows]
        start += rows
