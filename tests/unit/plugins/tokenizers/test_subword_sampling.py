"""Drawn segmentations beside those that SentencePiece itself draws, and beside all that there are."""

import itertools
import math
import random
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest

from s2s.testing.texts import HARD_LINES
from s2s_plugins.tokenizers.sentencepiece import SentencePiece
from s2s_plugins.tokenizers.subword_sampling import BPESampler, Piece, UnigramSampler

TEXT = ["the old sea is calm", "old boats sink in the sea", "a calm boat is a boat", "the boats are calm"] * 3
DRAWS = 4000


def trained(algorithm: Any, alpha: float = 0.3, **options: Any) -> SentencePiece:
    tokenizer = SentencePiece(vocabulary_size=300, algorithm=algorithm, sampling_alpha=alpha, **options)
    tokenizer.train(TEXT)
    return tokenizer


@pytest.mark.filterwarnings("ignore:the text gives .* pieces:UserWarning")
@pytest.mark.parametrize("line", ["the boats", "a  calm old sea", "boat"])
@pytest.mark.parametrize("alpha", [0.1, 0.5])
@pytest.mark.parametrize("algorithm", ["bpe", "unigram"])
def test_as_often_as_sentencepiece_draws_them(algorithm: str, alpha: float, line: str) -> None:
    tokenizer = trained(algorithm, alpha)
    ours = Counter(tuple(tokenizer.encode_sampled(line, seed)) for seed in range(DRAWS))
    theirs = Counter(
        tuple(tokenizer._processor.encode(line, enable_sampling=True, alpha=alpha, nbest_size=-1))
        for _ in range(DRAWS)
    )
    either = {*ours, *theirs}
    apart = sum(abs(ours[one] - theirs[one]) for one in either) / (2 * DRAWS)
    # Two samples of n from one distribution over k outcomes lie about sqrt(k / (pi n)) apart.
    assert apart < 2 * math.sqrt(len(either) / (math.pi * DRAWS))


PIECES = {
    text: Piece(number, math.log(p))
    for number, (text, p) in enumerate({"a": 0.3, "b": 0.2, "ab": 0.25, "ba": 0.15, "aba": 0.1}.items())
}


def test_unigram_segmentations_have_their_probabilities() -> None:
    word, alpha = "ababa", 0.7
    cuts = itertools.chain.from_iterable(itertools.combinations(range(1, 5), n) for n in range(5))
    ways = [
        [word[i:j] for i, j in itertools.pairwise([0, *cut, 5])]
        for cut in cuts
        if all(word[i:j] in PIECES for i, j in itertools.pairwise([0, *cut, 5]))
    ]
    weights = [math.exp(alpha * sum(PIECES[piece].score for piece in way)) for way in ways]
    sampler, chance = UnigramSampler(PIECES, alpha), random.Random(3)
    drawn = Counter(tuple(sampler.draw_word(word, chance)) for _ in range(20_000))
    assert set(drawn) == {tuple(way) for way in ways} and len(ways) == 12
    for way, weight in zip(ways, weights, strict=True):
        p = weight / sum(weights)
        error = math.sqrt(p * (1 - p) / 20_000)  # its standard deviation; five of them
        assert abs(drawn[tuple(way)] / 20_000 - p) < 5 * error


def test_merges_are_left_out_by_chance() -> None:
    """abab: ab first (rank 0), then abab (rank 1), each at its turn: all, or two, one or no pair is merged."""
    merges = {
        text: Piece(n, score) for n, (text, score) in enumerate({"ab": 0.0, "abab": -1.0, "ba": -2.0}.items())
    }
    q = 0.25  # that a merge is left out
    expected = {
        ("abab",): (1 - q) ** 3,
        ("ab", "ab"): (1 - q) ** 2 * q,
        ("ab", "a", "b"): (1 - q) * q,
        ("a", "b", "ab"): q * (1 - q),
        ("a", "ba", "b"): q * q * (1 - q),
        ("a", "b", "a", "b"): q**3,
    }
    sampler, chance = BPESampler(merges, q), random.Random(4)
    drawn = Counter(tuple(sampler.draw_word("abab", chance)) for _ in range(20_000))
    assert sum(expected.values()) == pytest.approx(1) and set(drawn) == set(expected)
    for way, p in expected.items():
        assert abs(drawn[way] / 20_000 - p) < 5 * math.sqrt(p * (1 - p) / 20_000)


@pytest.mark.filterwarnings("ignore:the text gives .* pieces:UserWarning")
@pytest.mark.parametrize("byte_fallback", [True, False])
def test_without_a_merge_left_out_it_is_the_encoding(byte_fallback: bool) -> None:
    tokenizer = trained("bpe", 1e-12, byte_fallback=byte_fallback)
    for line in [*TEXT, *HARD_LINES.values()]:
        if len(line) < 1000:
            assert tokenizer.encode_sampled(line, 1) == tokenizer.encode(line), line


def test_another_process_draws_the_same() -> None:
    code = f"""
import warnings
warnings.simplefilter("ignore")
from s2s_plugins.tokenizers.sentencepiece import SentencePiece
for algorithm in ("bpe", "unigram"):
    tokenizer = SentencePiece(vocabulary_size=300, algorithm=algorithm, sampling_alpha=0.3)
    tokenizer.train({TEXT!r})
    print([tokenizer.encode_sampled({TEXT[0]!r}, seed) for seed in range(20)])
"""
    one, other = (
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
        for _ in range(2)
    )
    assert one == other and len(set(one.split("], ["))) > 20


@pytest.mark.filterwarnings("ignore:the text gives .* pieces:UserWarning")
def test_a_model_of_others_is_drawn_from_in_its_own_way(tmp_path: Any) -> None:
    (tmp_path / "theirs.model").write_bytes(trained("unigram").dump())
    tokenizer = SentencePiece(model=str(tmp_path / "theirs.model"), sampling_alpha=0.3)  # algorithm: bpe
    tokenizer.train([])
    assert tokenizer.encode_sampled(TEXT[0], 5) == trained("unigram").encode_sampled(TEXT[0], 5)
