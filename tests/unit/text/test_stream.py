"""A stream: what stands where in each track and segment, by hand; and cuts that vary as the paper says."""

from pathlib import Path

import numpy as np
import pytest

from s2s.text.corpus import corpus_spec
from s2s.text.store import PairStore
from s2s.text.store_builder import pair_store
from s2s.text.stream import Stream, StreamOrder, segments
from s2s_plugins.tokenizers.words import Words

B, E = 2, 3  # the begin and the end mark
TEXTS = ["a b", "c", "d e f g", "a"]


@pytest.fixture
def store(tmp_path: Path) -> PairStore:
    (tmp_path / "texts.txt").write_text("".join(f"{text}\n" for text in TEXTS))
    words = Words()
    words.train(["a a a a a a a", "b b b b b b", "c c c c c", "d d d d", "e e e", "f f", "g"])
    assert words.encode("a b c d e f g") == [4, 5, 6, 7, 8, 9, 10]
    spec = corpus_spec(str(tmp_path / "texts.txt"))
    return pair_store(tmp_path / "cache", "train", [spec], words, words, sides=("target",))


def rows(padded) -> list[list[int]]:
    return [ids[:length] for ids, length in zip(padded.ids.tolist(), padded.lengths.tolist(), strict=True)]


def test_one_track_is_the_texts_one_after_the_other(store: PairStore) -> None:
    stream = Stream(store, 1)
    assert (stream.tokens, stream.longest) == (12, 12)
    read, said = stream.segment(0, 12)
    assert rows(read) == [[B, 4, 5, B, 6, B, 7, 8, 9, 10, B, 4]]
    assert rows(said) == [[4, 5, E, 6, E, 7, 8, 9, 10, E, 4, E]]


def test_tracks_and_segments_by_hand(store: PairStore) -> None:
    """Twelve tokens in five tracks: two of three tokens, three of two."""
    stream = Stream(store, 5)
    assert stream.longest == 3
    assert rows(stream.segment(0, 3)[1]) == [[4, 5, E], [6, E, 7], [8, 9], [10, E], [4, E]]
    assert rows(stream.segment(0, 3)[0]) == [[B, 4, 5], [B, 6, B], [7, 8], [9, 10], [B, 4]]
    assert rows(stream.segment(1, 3)[1]) == [[5, E], [E, 7], [9], [E], [E]]


def test_the_texts_of_a_segment(store: PairStore) -> None:
    """Five tracks as above: a b </s> | c </s> d | e f | g </s> | a </s>."""
    stream = Stream(store, 5)
    assert stream.texts(0, 3).tolist() == [0, 1, 2, 3]
    assert Stream(store, 2).texts(0, 3).tolist() == [0, 2]  # a b </s>, e f g
    assert Stream(store, 2).texts(3, 6).tolist() == [1, 2, 3]  # c </s> d, </s> a </s>


def test_no_more_tracks_than_tokens(store: PairStore) -> None:
    stream = Stream(store, 100)
    assert (stream.tracks, stream.longest) == (12, 1)
    assert rows(stream.segment(0, 1)[1]) == [[4], [5], [E], [6], [E], [7], [8], [9], [10], [E], [4], [E]]


def test_segments_of_one_length() -> None:
    assert segments(10, 4) == [(0, 4), (4, 8), (8, 10)]
    assert segments(9, 4) == [(0, 4), (4, 9)], "a single token that is left goes into the last one"
    assert segments(1, 4) == [(0, 1)]
    assert segments(3, 1) == [(0, 1), (1, 3)]


def test_segments_that_vary() -> None:
    """Nineteen in twenty are about 70 tokens long, the others about 35, with a standard deviation of 5."""
    cuts = segments(700_000, 70, np.random.default_rng(1))
    assert all(one.stop == other.start for one, other in zip(cuts, cuts[1:], strict=False))
    assert cuts[0].start == 0 and cuts[-1].stop == 700_000
    lengths = np.array([stop - start for start, stop in cuts[:-1]])
    short = lengths < 52.5
    assert abs(short.mean() - 0.05) < 0.01
    # whole tokens are cut off, not rounded: half a token less
    assert abs(lengths[~short].mean() - 69.5) < 0.3 and abs(lengths[short].mean() - 34.5) < 1
    assert abs(lengths[~short].std() - 5) < 0.3
    assert min(stop - start for start, stop in segments(10_000, 5, np.random.default_rng(1))) >= 2


def test_epochs_are_cut_elsewhere_and_each_always_the_same(store: PairStore) -> None:
    def order(seed: int) -> StreamOrder:
        return StreamOrder(Stream(store, 1), 6, varies=True, seed=seed, fingerprint="any")

    cuts = [order(1).segments(epoch) for epoch in range(8)]
    assert cuts == [order(1).segments(epoch) for epoch in range(8)]
    assert len({tuple(one) for one in cuts}) > 1 and cuts != [order(2).segments(epoch) for epoch in range(8)]
    batches = order(1).batches(0)
    first = batches[0]
    assert first.begins and first.share == (cuts[0][0].stop / 6)
    assert not batches[1].begins
