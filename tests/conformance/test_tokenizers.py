"""Every registered tokenizer, and each built-in option that changes how a line is restored."""

from functools import partial

import pytest

from s2s.registry import catalogue
from s2s.testing import KITS, Check
from s2s.testing.tokenizers import TokenizerFactory
from s2s_plugins.tokenizers.characters import Characters
from s2s_plugins.tokenizers.sentencepiece import SentencePiece
from s2s_plugins.tokenizers.words import Words

REGISTERED: dict[str, TokenizerFactory] = {
    name: catalogue().load("tokenizer", name) for name in catalogue().names("tokenizer")
}
TOKENIZERS: dict[str, TokenizerFactory] = REGISTERED | {
    "Words-few": partial(Words, vocabulary_size=150),
    "Characters-few": partial(Characters, vocabulary_size=80),
    "SentencePiece-sampled": partial(SentencePiece, sampling_alpha=0.2),
    "SentencePiece-unigram-sampled": partial(SentencePiece, algorithm="unigram", sampling_alpha=0.3),
    "SentencePiece-without-bytes": partial(SentencePiece, vocabulary_size=500, byte_fallback=False),
    "SentencePiece-normalized": partial(SentencePiece, normalization="nmt_nfkc_cf"),
}


def test_tokenizers_are_registered() -> None:
    assert {"Bytes", "Characters", "SentencePiece", "Words"} <= set(REGISTERED)


@pytest.mark.parametrize("check", KITS["tokenizer"], ids=str)
@pytest.mark.parametrize("name", TOKENIZERS)
def test_tokenizer(name: str, check: Check) -> None:
    check(TOKENIZERS[name])
