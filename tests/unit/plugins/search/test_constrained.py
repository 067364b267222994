"""Lexically constrained beam search against all outputs of small tables that hold the phrases."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from s2s.errors import ConfigError
from s2s.search.constraints import constrain
from s2s_plugins.search.beam import Beam
from s2s_plugins.search.constrained import ConstrainedBeam, allocate
from tests.references.search import BOS, EOS, TableStepper, breaks, exhaustive, for_all, random_tables

words = st.sampled_from([1, 4, 5])


def search(strategy, tables, limits, phrases=None, minimums=None, weights=None, **constraints):
    stepper = TableStepper(tables, weights=weights)
    stepper, state = constrain(stepper, stepper.initial_state(), **for_all(len(limits), **constraints))
    more = {} if phrases is None else {"phrases": phrases}
    return strategy.search(
        stepper,
        state,
        bos=BOS,
        eos=EOS,
        limits=torch.tensor(limits),
        minimums=None if minimums is None else torch.tensor(minimums),
        **more,
    )


def lacks(tokens, phrases):
    return {
        tuple(phrase)
        for phrase in phrases
        if not any(tokens[i : i + len(phrase)] == list(phrase) for i in range(len(tokens)))
    }


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    phrases=st.lists(st.lists(st.lists(words, min_size=1, max_size=3), max_size=3), min_size=4, max_size=4),
    n_best=st.integers(1, 4),
    normalization=st.sampled_from([("wu", 0.6), ("length", 1.0), ("none", 0.0)]),
    banned=st.lists(st.lists(words, min_size=2, max_size=2), max_size=1),
)
def test_a_beam_that_holds_everything_finds_the_best_that_holds_the_phrases(
    seed, phrases, n_best, normalization, banned
):
    tables, limits, minimums = random_tables(4, 6, seed=seed), [4, 3, 4, 2], [0, 1, 3, 0]
    strategy = ConstrainedBeam(400, n_best, *normalization)
    found = search(strategy, tables, limits, phrases, minimums, banned=banned)
    for table, limit, minimum, own, hypotheses in zip(tables, limits, minimums, phrases, found, strict=True):
        everything = exhaustive(table, limit, minimum, *normalization)
        expected = [one for one in everything if not lacks(one.tokens, own)]
        expected = [one for one in expected if not breaks(one.tokens, banned=banned)][:n_best]
        finished = [one for one in hypotheses if one.finished]
        assert [one.tokens for one in finished] == [one.tokens for one in expected]
        for one, truth in zip(finished, expected, strict=True):
            assert one.log_probs == pytest.approx(truth.log_probs, abs=1e-6)  # float32
            assert one.score == pytest.approx(truth.score, abs=1e-5)
        for one in hypotheses:
            assert set(one.unmet) == lacks(one.tokens, own)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    size=st.integers(1, 6),
    sharpness=st.sampled_from([1.0, 5.0]),
    spare=st.integers(0, 3),
    phrases=st.lists(
        st.lists(st.lists(st.integers(4, 8), min_size=1, max_size=3), max_size=3), min_size=3, max_size=3
    ),
)
def test_all_phrases_are_held_as_soon_as_the_limit_allows(seed, size, sharpness, spare, phrases):
    tables = random_tables(3, 9, seed=seed, sharpness=sharpness)
    limits = [sum(map(len, {tuple(phrase) for phrase in own})) + spare for own in phrases]
    found = search(ConstrainedBeam(size, min(size, 2)), tables, limits, phrases)
    for own, limit, hypotheses in zip(phrases, limits, found, strict=True):
        if own:
            assert hypotheses[0].finished
        for one in hypotheses:
            assert len(one.tokens) <= limit
            assert set(one.unmet) == lacks(one.tokens, own)
            assert not (one.finished and one.unmet)


def test_without_phrases_it_is_a_beam():
    tables, limits = random_tables(24, 9, seed=3, sharpness=2.0), [sentence % 9 for sentence in range(24)]
    minimums = [min(sentence % 9, sentence % 4) for sentence in range(24)]
    phrases = [[] if sentence % 3 else [[4, 5]] for sentence in range(24)]
    for size, n_best in ((1, 1), (3, 2), (5, 5)):
        expected = search(Beam(size, n_best), tables, limits, None, minimums)
        assert search(ConstrainedBeam(size, n_best), tables, limits, None, minimums) == expected
        mixed = search(ConstrainedBeam(size, n_best), tables, limits, phrases, minimums)
        assert [one for one, own in zip(mixed, phrases, strict=True) if not own] == [
            one for one, own in zip(expected, phrases, strict=True) if not own
        ]


def test_a_sentence_does_not_depend_on_its_batch():
    strategy, tables = ConstrainedBeam(4, 2), random_tables(20, 8, seed=5)
    limits = [3 + sentence % 7 for sentence in range(20)]
    phrases = [[[4 + sentence % 4, 5]] * (sentence % 2) + [[6]] * (sentence % 3) for sentence in range(20)]
    together = search(strategy, tables, limits, phrases)
    backwards = search(strategy, tables.flip(0), limits[::-1], phrases[::-1])[::-1]
    alone = [search(strategy, tables[i : i + 1], [limits[i]], [phrases[i]])[0] for i in range(20)]
    assert together == backwards == alone


def test_it_says_if_nothing_holds_the_phrases():
    tables = random_tables(3, 7, seed=6)
    tables[0, ..., 5] = -torch.inf  # never said
    tables[1, ..., EOS] = -torch.inf  # never ends
    found = search(ConstrainedBeam(4, 2), tables, [4, 4, 1], [[[4], [5]], [[4, 6]], [[4, 6]]])
    for one in found[0]:
        assert (one.finished, len(one.tokens)) == (False, 4)
        assert (5,) in one.unmet
    assert [(one.finished, one.unmet) for one in found[1]][:1] == [(False, ())]
    assert {(one.finished, one.unmet) for one in found[2]} == {(False, ((4, 6),))}


def test_attention_weights_belong_to_their_tokens():
    tables = random_tables(8, 8, seed=3)
    found = search(
        ConstrainedBeam(4, 3), tables, [2 + i for i in range(8)], [[[5, 4]]] * 8, None, torch.ones(1)
    )
    for hypotheses in found:
        for one in hypotheses:
            path = [BOS, BOS, *one.tokens]
            expected = [[a, b, 1, 2] for a, b in zip(path, path[1:], strict=False)][: len(one.tokens)]
            assert one.weights.tolist() == expected


@given(st.integers(1, 12), st.lists(st.integers(0, 9), min_size=1, max_size=8))
def test_the_beam_is_shared_out(size, filled):
    places = allocate(size, filled)
    assert all(0 <= own <= candidates for own, candidates in zip(places, filled, strict=True))
    assert sum(places) == min(size, sum(filled))
    uppermost = max((bank for bank, candidates in enumerate(filled) if candidates), default=None)
    assert uppermost is None or places[uppermost] >= 1
    for own, candidates in zip(places, filled, strict=True):
        assert own >= min(candidates, size // len(filled))  # nobody gives away what is needed


def test_spare_places_go_to_the_nearest_banks():
    assert allocate(8, [9, 9, 9]) == [2, 2, 4]  # what is left over is for the uppermost
    assert allocate(9, [9, 0, 9]) == [3, 0, 6]
    assert allocate(6, [9, 9, 0]) == [2, 4, 0]
    assert allocate(2, [9, 1, 0, 0]) == [1, 1, 0, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "beam size 0 is impossible; it must be 1 or more"),
        ({"n_best": 11}, "n_best 11 is impossible with a beam of 10; choose 1 to 10 or a larger beam"),
        ({"alpha": -0.5}, "alpha -0.5 is impossible"),
    ],
)
def test_impossible_options_are_told(options, message):
    with pytest.raises(ConfigError, match=message):
        ConstrainedBeam(**options)


def test_impossible_phrases_are_told():
    tables = random_tables(2, 6, seed=1)
    with pytest.raises(ConfigError, match="phrases for 1 sentences, but there are 2; give a list for each"):
        search(ConstrainedBeam(), tables, [3, 3], [[[4]]])
    with pytest.raises(ConfigError, match=r"phrase \[5, 3\] is impossible"):
        search(ConstrainedBeam(), tables, [3, 3], [[[4]], [[5, EOS]]])
