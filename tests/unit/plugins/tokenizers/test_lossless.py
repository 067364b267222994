"""decode(encode(x)) == x wherever the docstring says so, for every text that UTF-8 can carry."""

from functools import cache

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from s2s.text.tokenizer import Tokenizer
from s2s_plugins.tokenizers.bytes import Bytes
from s2s_plugins.tokenizers.characters import Characters
from s2s_plugins.tokenizers.sentencepiece import SentencePiece

TEXT = [
    "Ein Mann steht auf  der Straße.",
    " two\tdogs \u2581 run",
    "<s> </s> <unk> <0x41>",
    "naïve café",
    "年の海",
] * 3
KINDS = {
    "bpe": lambda: SentencePiece(vocabulary_size=320),
    "bpe-sampled": lambda: SentencePiece(vocabulary_size=320, sampling_alpha=0.3),
    "unigram": lambda: SentencePiece(vocabulary_size=310, algorithm="unigram", sampling_alpha=0.3),
    "bytes": Bytes,
}
ANY = st.text(st.characters(exclude_categories=["Cs"]))
NASTY = st.text(
    st.sampled_from(" \t\n\r\0\u2581\u2585\u2047\ufeff\u00a0\u2028\u0085\u0301\U0010fffd\ufffd<s>/0x4ae😀年")
)


@cache
def made(kind: str) -> Tokenizer:
    tokenizer = KINDS[kind]()
    tokenizer.train(TEXT)
    return tokenizer


@pytest.mark.filterwarnings("ignore:the text gives")
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150, deadline=None)
@given(text=ANY | NASTY)
@example(text="  leading and  double ")
@example(text="\u2581")
@example(text=" \u2581\u2581 a\u2581b")
@example(text="\u2581\U0010fffd")
@example(text="\0")
@example(text="<s>a</s>")
def test_lossless(kind: str, text: str) -> None:
    tokenizer = made(kind)
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.decode(tokenizer.encode_sampled(text, seed=len(text))) == text
    for several in ([text, "x", text], [text, "x"] * 20 + [text]):
        assert tokenizer.encode_batch(several)[-1] == tokenizer.encode(text)


@settings(max_examples=50, deadline=None)
@given(text=st.text(st.sampled_from(" \tabc\u2581")))
def test_characters_are_lossless_for_what_they_know(text: str) -> None:
    tokenizer = Characters()
    tokenizer.train([" \tabc\u2581"])
    assert tokenizer.decode(tokenizer.encode(text)) == text
