"""Learning a shortlist: Model 1 against its equations in plain Python, and what follows from it."""

import numpy as np
import pytest

from s2s.errors import ConfigError, DataError
from s2s.text import shortlist as module
from s2s.text.shortlist import Shortlist, learn_shortlist, model_1
from s2s.text.tokenizer import BOS, EOS

TOY = [([4, 5], [6, 7]), ([4, 8, 4], [6, 9, 6, 9]), ([5], [7]), ([8, 5], [9, 7, 4]), ([4], [5])]


def plain_model_1(pairs, iterations):
    """Brown et al. 1993, section 4.2: expected counts of every link, normalized for each source piece."""
    t = {(e, f): 1.0 for source, target in pairs for e in [*source, BOS] for f in target}
    for _ in range(iterations):
        counts = dict.fromkeys(t, 0.0)
        for source, target in pairs:
            for f in target:
                total = sum(t[e, f] for e in [*source, BOS])
                for e in [*source, BOS]:
                    counts[e, f] += t[e, f] / total
        t = {(e, f): n / sum(m for (d, _), m in counts.items() if d == e) for (e, f), n in counts.items()}
    return t


@pytest.mark.parametrize("chunk", [1, 7, 2**22])
def test_model_1_against_its_equations(monkeypatch, chunk):
    monkeypatch.setattr(module, "_CHUNK", chunk)
    for iterations in (1, 5):
        e, f, t = model_1(TOY, 10, iterations)
        expected = plain_model_1(TOY, iterations)
        assert list(zip(e.tolist(), f.tolist(), strict=True)) == sorted(expected)
        assert t.tolist() == pytest.approx([expected[pair] for pair in sorted(expected)], rel=1e-12)


def learn(pairs, **options):
    lines = [(" ".join(map(str, source)), " ".join(map(str, target))) for source, target in pairs]

    def encode(texts):
        return [tuple([int(word) for word in side.split()] for side in pair) for pair in texts]

    return learn_shortlist(lines, encode, 10, 10, **options)


def test_lists_are_the_most_probable_and_the_most_frequent():
    learnt = learn(TOY, per_piece=2, frequent=1)
    t = plain_model_1(TOY, 5)
    for e in range(10):
        likely = sorted((f for d, f in t if d == e and e != BOS), key=lambda f: (-t[e, f], f))[:2]
        assert learnt.shortlist.beside[e].tolist() == likely + [EOS] * (2 - len(likely))
    assert learnt.shortlist.always.tolist() == [0, 1, 2, 3, 6]  # 7 and 9 are there as often
    own = [{0, 1, 2, 3, 6} | {f for e in s for f in learnt.shortlist.beside[e].tolist()} for s, _ in TOY]
    assert learnt.pieces == sum(map(len, own)) / len(TOY)
    hits = sum(f in mine for mine, (_, target) in zip(own, TOY, strict=True) for f in target)
    assert learnt.covered == hits / sum(len(target) for _, target in TOY)
    assert (learnt.read, learnt.used) == (5, 5)


def test_the_same_text_gives_the_same_and_empty_sides_say_nothing():
    one, two = learn(TOY), learn([([], [7]), *TOY, ([4], [])])
    assert np.array_equal(one.shortlist.beside, two.shortlist.beside)
    assert np.array_equal(one.shortlist.always, two.shortlist.always)
    assert two.read == 5


def test_more_text_than_is_wanted_is_drawn_from_evenly(monkeypatch):
    pairs = [([4 + i % 3], [7 + i % 3]) for i in range(900)]
    monkeypatch.setattr(module, "PAIRS", 90)
    learnt = learn(pairs)
    assert (learnt.read, learnt.used) == (900, 90)
    monkeypatch.setattr(module, "LINKS", 100)  # two of each pair: the empty word has one
    learnt = learn(pairs)
    assert (learnt.read, learnt.used) == (900, 50)
    assert learnt.shortlist.beside[4, 0] == 7 and learnt.shortlist.beside[6, 0] == 9
    drawn, _ = module._draw((str(i), "x") for i in range(900))
    assert 20 < sum(int(source) < 450 for source, _ in drawn) < 70


def test_impossible_requests():
    with pytest.raises(ConfigError, match="per_piece is 0 and frequent 5; they must be at least 1"):
        learn(TOY, per_piece=0, frequent=5)
    with pytest.raises(DataError, match="no sentence pair to learn a shortlist from"):
        learn([([], [4])])


def test_on_disk(tmp_path):
    learnt = learn(TOY, per_piece=3).shortlist
    learnt.write(tmp_path / "s")
    read = Shortlist.read(tmp_path / "s", 10, 10)
    assert np.array_equal(read.beside, learnt.beside) and np.array_equal(read.always, learnt.always)
    assert sorted(learnt.candidates(np.array([[4, 0]]))[0].tolist()) == sorted(
        [*learnt.beside[4].tolist(), EOS, EOS, EOS]
    )
    for sizes in ((11, 10), (10, 9)):
        with pytest.raises(DataError, match="is no shortlist for"):
            Shortlist.read(tmp_path / "s", *sizes)
    (tmp_path / "s").write_bytes((tmp_path / "s").read_bytes()[:-9])
    with pytest.raises(DataError, match="is damaged"):
        Shortlist.read(tmp_path / "s", 10, 10)
