"""From pieces to words: which pieces make up which word."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from itertools import takewhile
from typing import NamedTuple

import regex
import torch
from torch import Tensor

from s2s.inference.windows import encodable
from s2s.text.extended import ExtendedVocabulary
from s2s.text.tokenizer import Tokenizer
from s2s.text.words import UNSPACED

_UNSPACED = regex.compile(rf"[{UNSPACED}]")
_PARTIAL = "\ufffd"


class Words(NamedTuple):
    """Words, and the pieces that they consist of.

    Attributes:
        words: separated by white space.
        word_of: for each piece the index of its word; -1 if it belongs to none. The space before a word belongs to it.
    """

    words: list[str]
    word_of: list[int]


def words_of_text(tokenizer: Tokenizer, text: str) -> Words:
    """The words of a line, and which of them each piece of `tokenizer.encode(text)` belongs to."""
    text = encodable(text)
    pieces = tokenizer.encode(text)
    found = list(re.finditer(r"\S+", text))
    ends = [0, *(word.end() for word in found)]
    with_space = [text[before:end] for before, end in itertools.pairwise(ends)]
    without_space = [word.group() for word in found]
    for parts in (without_space, with_space):
        # Most tokenizers split a line into the same pieces as its words, one after the other.
        encoded = tokenizer.encode_batch(parts)
        if list(itertools.chain(*encoded)) == pieces[: sum(map(len, encoded))]:
            word_of = [index for index, part in enumerate(encoded) for _ in part]
            return Words(without_space, word_of + [-1] * (len(pieces) - len(word_of)))
    return Words(without_space, _by_beginnings(tokenizer, pieces, [text[:end] for end in ends[1:]]))


def _by_beginnings(tokenizer: Tokenizer, pieces: list[int], beginnings: list[str]) -> list[int]:
    # The pieces of a line up to the end of a word are a prefix of those of the line, if no piece spans two words.
    word_of = [-1] * len(pieces)
    begun = 0
    for index, upto in enumerate(tokenizer.encode_batch(beginnings)):
        end = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(upto, pieces, strict=False)))
        word_of[begun:end] = [index] * (end - begun)
        begun = max(begun, end)
    return word_of


def words_of_pieces(tokenizer: Tokenizer | ExtendedVocabulary, ids: Sequence[int]) -> Words:
    """The readable words that pieces spell; in scripts without spaces between words, pieces take the place of words.

    Args:
        tokenizer: of that side.
        ids: without BOS and EOS.
    """
    words: list[str] = []
    word_of: list[int] = []
    known = ""  # what the pieces before spell
    pending: list[int] = []  # pieces that spell no word yet: spaces, the beginning of a sign of several bytes
    for index in range(len(ids)):
        pending.append(index)
        text = tokenizer.decode(ids[: index + 1])
        if text.endswith(_PARTIAL) and index + 1 < len(ids):
            continue
        added = text[len(known) :] if text.startswith(known) else text
        if not added.strip():
            continue
        begins = not words or added[0].isspace() or known[-1:].isspace()
        if begins or _UNSPACED.search(added) or _UNSPACED.search(words[-1]):
            words.append(added.strip())
        else:
            words[-1] += added.rstrip()
        word_of += [len(words) - 1] * len(pending)
        known, pending = text, []
    return Words(words, word_of + [-1] * len(pending))


def by_words(weights: Tensor, source: Words, target: Words) -> Tensor:
    """Attention between words from attention between pieces.

    To a word it is the sum over its pieces, from a word the mean over its pieces (Clark et al. 2019, "What Does BERT
    Look At?", section 4.1).

    Args:
        weights: [target pieces, source pieces].
        source: words and pieces of the source.
        target: of the target.

    Returns:
        [target words, source words].
    """
    to = _membership(source).to(weights)
    of = _membership(target).to(weights)
    return (of @ weights @ to.T) / of.sum(1, keepdim=True).clamp(min=1)


def _membership(words: Words) -> Tensor:
    # [words, pieces]: 1 where a piece belongs to a word.
    word_of = torch.tensor(words.word_of, dtype=torch.int64)
    return word_of.unsqueeze(0) == torch.arange(len(words.words)).unsqueeze(1)
