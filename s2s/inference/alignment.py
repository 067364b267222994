"""Word alignments from a model's attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from s2s.errors import BundleError, ConfigError, DataError
from s2s.inference.batch_sizes import SCORED_TOKENS
from s2s.inference.bundle import Bundle
from s2s.inference.scoring import forced
from s2s.inference.windows import encodable
from s2s.inference.words import by_words, words_of_pieces, words_of_text
from s2s.registry.parts import read_spec
from s2s.search.limits import output_limits
from s2s.search.stepper import ModelStepper
from s2s.search.strategy import SearchStrategy
from s2s.text.batch import pad
from s2s.text.extended import ExtendedVocabulary
from s2s.text.tokenizer import BOS, EOS


@dataclass(frozen=True)
class Alignment:
    """The attention of one sentence, by words.

    Attributes:
        source_words: words of the source.
        target_words: words of the target.
        weights: attention on each source word at each target word, [target words, source words].
    """

    source_words: list[str]
    target_words: list[str]
    weights: Tensor

    def links(self, threshold: float | None = None) -> list[tuple[int, int]]:
        """Pairs (source word, target word), counted from 0, in order.

        Args:
            threshold: minimum weight of a link; None links each target word to the source word with the most weight,
                the first one of ties.

        Raises:
            ConfigError: an invalid threshold.
        """
        check_threshold(threshold)
        if not self.weights.numel():
            return []
        if threshold is None:
            most, source = self.weights.max(dim=1)
            pairs = [(int(word), target) for target, word in enumerate(source) if most[target] > 0]
        else:
            pairs = [(int(source), int(target)) for target, source in (self.weights >= threshold).nonzero()]
        return sorted(pairs)


def check_threshold(threshold: float | None) -> None:
    """Check a threshold of attention weights.

    Raises:
        ConfigError: it is not above 0 and at most 1.
    """
    if threshold is not None and not 0.0 < threshold <= 1.0:
        raise ConfigError(f"threshold is {threshold}; it must be above 0 and at most 1")


def pharaoh(links: Sequence[tuple[int, int]]) -> str:
    """A line of the Pharaoh format: "0-0 1-2", source before target."""
    return " ".join(f"{source}-{target}" for source, target in links)


def align(
    bundle: Bundle,
    sources: Sequence[str],
    targets: Sequence[str],
    *,
    batch_tokens: int = SCORED_TOKENS,
    device: str = "cpu",
) -> list[Alignment]:
    """The attention of given pairs under teacher forcing: a piece has that of the step which predicts it.

    Words are separated by white space. A line without tokens has no alignments.

    Args:
        bundle: as `load_bundle` returns it.
        sources: one line each.
        targets: one line for each source.
        batch_tokens: maximum tokens per batch on either side, including padding. Affects speed and memory only.
        device: such as "cpu" or "cuda".

    Raises:
        BundleError: the model has no attention.
        DataError: there are not as many targets as sources, or one is not a str.
        ConfigError: an invalid `batch_tokens` or device.
    """
    found: dict[int, Alignment] = {}
    for batch, source, gold, decoded in forced(
        bundle, sources, targets, batch_tokens=batch_tokens, device=device
    ):
        if decoded.weights is None:
            raise _no_attention(bundle)
        for row, index in enumerate(batch):
            ends = int(gold.lengths[row]) - 1, int(source.lengths[row])  # without the end of the sentence
            found[index] = _by_words(
                bundle, sources[index], targets[index], decoded.weights[row, : ends[0], : ends[1]].cpu()
            )
    return [
        found[index] if index in found else _by_words(bundle, source, target, None)
        for index, (source, target) in enumerate(zip(sources, targets, strict=True))
    ]


def _by_words(bundle: Bundle, source: str, target: str, weights: Tensor | None) -> Alignment:
    read = words_of_text(bundle.source_tokenizer, source)
    said = words_of_text(bundle.target_tokenizer, target)
    if weights is None:
        weights = torch.zeros(len(said.word_of), len(read.word_of))
    return Alignment(read.words, said.words, by_words(weights, read, said))


@torch.inference_mode()
def attention_of_search(bundle: Bundle, text: str, strategy: SearchStrategy | None = None) -> Alignment:
    """The attention of a search at its best output for a line.

    Words are separated by white space; in scripts without spaces between words, pieces take the place of words.

    Args:
        bundle: as `load_bundle` returns it.
        text: one line.
        strategy: None is what the bundle recommends.

    Raises:
        BundleError: the model has no attention.
        DataError: several lines, or a line without a token.
    """
    if "\n" in text:
        raise DataError(f"the text has {text.count(chr(10)) + 1} lines; give one sentence")
    ids = bundle.source_tokenizer.encode(encodable(text))
    if not ids:
        raise DataError(f"the sentence {text!r} has no token: there is nothing to attend to")
    vocabulary = ExtendedVocabulary(bundle.target_tokenizer)
    copies = bundle.model.head.copies
    ids = list(vocabulary.source(encodable(text), ids)) if copies else ids
    source = pad([ids]).to(next(bundle.model.parameters()).device)
    memory, state = bundle.model.encode(source)
    limits, minimums = output_limits(source.lengths)
    ((best, *_),) = (strategy or bundle.search).search(
        ModelStepper(bundle.model, source, memory, with_weights=True),
        state,
        bos=BOS,
        eos=EOS,
        limits=limits,
        minimums=minimums,
    )
    if best.weights is None:
        raise _no_attention(bundle)
    read = words_of_pieces(vocabulary if copies else bundle.source_tokenizer, ids)
    said = words_of_pieces(vocabulary, best.tokens)
    weights = best.weights[: len(best.tokens)].cpu().float()
    return Alignment(read.words, said.words, by_words(weights, read, said))


def _no_attention(bundle: Bundle) -> BundleError:
    name, options = read_spec("decoder", bundle.config["model"]["decoder"])
    stated = f" with attention: {options['attention']!r}" if "attention" in options else ""
    return BundleError(
        f"this model has no attention (its decoder is {name}{stated}), so it cannot align words; train one with "
        "attention: --model.decoder.attention Bahdanau"
    )
