"""Diverse beam search against all outputs of small tables, and against one that is written for reading."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from s2s.errors import ConfigError
from s2s.search.constraints import constrain
from s2s_plugins.search.beam import Beam
from s2s_plugins.search.diverse import DiverseBeam
from tests.references.search import (
    BOS,
    EOS,
    TableStepper,
    breaks,
    exhaustive,
    for_all,
    plain_diverse_beam,
    random_tables,
)


def search(strategy, tables, limits, minimums=None, weights=None, **constraints):
    stepper = TableStepper(tables, weights=weights)
    stepper, state = constrain(stepper, stepper.initial_state(), **for_all(len(limits), **constraints))
    return strategy.search(
        stepper,
        state,
        bos=BOS,
        eos=EOS,
        limits=torch.tensor(limits),
        minimums=None if minimums is None else torch.tensor(minimums),
    )


def assert_same(hypotheses, expected):
    assert [(h.tokens, h.finished) for h in hypotheses] == [(e.tokens, e.finished) for e in expected]
    for hypothesis, truth in zip(hypotheses, expected, strict=True):
        assert hypothesis.log_probs == pytest.approx(truth.log_probs, abs=1e-6)  # float32
        assert hypothesis.score == pytest.approx(truth.score, abs=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    sizes=st.sampled_from([(1, 1), (2, 2), (4, 2), (6, 2), (6, 3), (9, 3), (5, 5), (16, 2)]),
    n_best=st.integers(1, 6),
    strength=st.sampled_from([0.0, 0.3, 1.0, 20.0]),
    normalization=st.sampled_from([("wu", 0.6), ("length", 1.0), ("none", 0.0)]),
    vocabulary=st.sampled_from([5, 9]),
    sharpness=st.sampled_from([1.0, 3.0]),
    impossible=st.sampled_from([0.0, 0.6]),
)
def test_it_is_the_plain_one(seed, sizes, n_best, strength, normalization, vocabulary, sharpness, impossible):
    size, groups = sizes
    n_best = min(n_best, size)
    tables = random_tables(6, vocabulary, seed=seed, sharpness=sharpness)
    holes = torch.rand(tables.shape, generator=torch.Generator().manual_seed(seed)) < impossible
    tables[holes] = -torch.inf  # so that groups run out of prefixes, or of what follows
    limits, minimums = [0, 1, 3, 5, 6, 7], [0, 1, 0, 2, 0, 0]
    strategy = DiverseBeam(size, groups, strength, n_best, *normalization)
    found = search(strategy, tables, limits, minimums)
    for table, limit, minimum, hypotheses in zip(tables, limits, minimums, found, strict=True):
        expected = plain_diverse_beam(
            table,
            size=size,
            groups=groups,
            strength=strength,
            n_best=n_best,
            limit=limit,
            minimum=minimum,
            normalization=normalization[0],
            alpha=normalization[1],
        )
        assert_same(hypotheses, expected)


@pytest.mark.parametrize("strength", [0.5, 30.0])
@pytest.mark.parametrize("constraints", [{}, {"no_repeat_ngram": 1, "banned": [[5, 4]]}], ids=str)
def test_groups_that_hold_everything_find_the_best_of_all_outputs(strength, constraints):
    tables = random_tables(5, 6, seed=1)
    limits, minimums = [4, 3, 2, 1, 3], [0, 0, 1, 1, 3]
    found = search(DiverseBeam(200, 2, strength, 6), tables, limits, minimums, **constraints)
    for table, limit, minimum, hypotheses in zip(tables, limits, minimums, found, strict=True):
        everything = exhaustive(table, limit, minimum, "wu", 0.6)
        expected = [one for one in everything if not breaks(one.tokens, **constraints)][:3]
        assert_same([one for one in hypotheses if one.finished], expected)


def test_one_group_is_a_beam():
    tables, limits = random_tables(20, 8, seed=2, sharpness=2.0), [sentence % 8 for sentence in range(20)]
    for size, n_best in ((1, 1), (4, 2), (5, 5)):
        found = search(DiverseBeam(size, 1, 5.0, n_best), tables, limits)
        assert found == search(Beam(size, n_best), tables, limits)


def test_groups_say_different_things():
    # Without a penalty three groups find one thing; with one, each has its own first token.
    tables = random_tables(30, 9, seed=3)
    tables[:, BOS, BOS, EOS] = -torch.inf
    alike = search(DiverseBeam(3, 3, 0.0, 3), tables, [5] * 30)
    diverse = search(DiverseBeam(3, 3, 50.0, 3), tables, [5] * 30)
    assert {len(hypotheses) for hypotheses in alike} == {1}
    for hypotheses in diverse:
        assert len({one.tokens[0] for one in hypotheses}) == len(hypotheses) == 3


def test_what_a_group_cannot_say_costs_others_nothing():
    # The first group takes 4, 5 and 6, and can go on with one token only; the second goes on as if it were alone.
    tables = torch.full((1, 14, 14, 14), -torch.inf)
    tables[0, BOS, BOS, 4:10] = math.log(1 / 6)
    tables[0, BOS, 4, 10] = 0.0
    tables[0, BOS, 7, [1, 11, 12, 13]] = torch.tensor([0.4, 0.3, 0.2, 0.1]).log()
    (found,) = search(DiverseBeam(6, 2, 50.0, 6), tables, [2])
    assert [one.tokens for one in found] == [[4, 10], [7, 1], [7, 11], [7, 12]]


def test_a_sentence_does_not_depend_on_its_batch():
    strategy = DiverseBeam(6, 3, 0.7, 4)
    tables = random_tables(20, 8, seed=5)
    limits = [3 + sentence % 7 for sentence in range(20)]
    together = search(strategy, tables, limits)
    backwards = search(strategy, tables.flip(0), limits[::-1])[::-1]
    alone = [search(strategy, tables[i : i + 1], [limits[i]])[0] for i in range(20)]
    assert together == backwards == alone


def test_ties_go_to_the_lower_beam_then_the_lower_id():
    tables = torch.full((1, 7, 7, 7), -math.log(4))
    tables[..., [0, 1, 2, EOS]] = -torch.inf
    (found,) = search(DiverseBeam(4, 2, 1.0, 4, "none"), tables, [1])
    # the first group takes 4 and 5; of what it left the second takes 6, then 4 again
    assert [one.tokens for one in found] == [[4], [5], [6]]


def test_attention_weights_belong_to_their_tokens():
    tables = random_tables(8, 8, seed=3)
    for hypotheses in search(
        DiverseBeam(6, 3, 1.0, 6), tables, [i + 1 for i in range(8)], None, torch.ones(1)
    ):
        for one in hypotheses:
            path = [BOS, BOS, *one.tokens]
            expected = [[a, b, 1, 2] for a, b in zip(path, path[1:], strict=False)][: len(one.tokens)]
            assert one.weights.tolist() == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "beam size 0 is impossible; it must be 1 or more"),
        ({"size": 6, "groups": 4}, "groups 4 do not divide a beam of 6; choose one of 1, 2, 3, 6"),
        ({"groups": 0}, "groups 0 do not divide a beam of 6"),
        ({"strength": -1.0}, "strength -1.0 is impossible; it must be 0 or more"),
        ({"strength": 1e300}, r"strength 1e\+300 is impossible; it must be 0 or more, and at most 1,000,000"),
        ({"n_best": 7}, "n_best 7 is impossible with a beam of 6; choose 1 to 6 or a larger beam"),
        ({"alpha": -0.5}, "alpha -0.5 is impossible"),
    ],
)
def test_impossible_options_are_told(options, message):
    with pytest.raises(ConfigError, match=message):
        DiverseBeam(**options)
