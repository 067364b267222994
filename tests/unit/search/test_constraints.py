"""Constrained steppers against all outputs of small tables, of which those are left out that break a constraint."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from s2s.errors import ConfigError
from s2s.nn import leaves, select_state, top
from s2s.registry import catalogue
from s2s.search.constraints import Banned, ConstrainedStepper, NoRepeatNgram, constrain
from s2s.search.ensemble import StepperEnsemble
from s2s.search.options import build_strategy
from s2s_plugins.search.beam import Beam
from s2s_plugins.search.greedy import Greedy
from tests.references.search import BOS, EOS, TableStepper, breaks, exhaustive, for_all, random_tables

WIDE = 200  # more than the 3^4 prefixes of the longest outputs here: nothing is pruned
LIMIT = 4


def search(strategy, tables, limits, forced=None, *, own_banned=None, **constraints):
    constraints = for_all(len(tables), **constraints)
    if own_banned is not None:
        constraints["banned"] = own_banned
    stepper = TableStepper(tables)
    stepper, state = constrain(stepper, stepper.initial_state(), forced=forced, **constraints)
    return strategy.search(stepper, state, bos=BOS, eos=EOS, limits=torch.tensor(limits))


def assert_best_of_all(tables, limits, forced=None, own_banned=None, **constraints):
    found = search(Beam(WIDE, 4, "wu", 0.6), tables, limits, forced, own_banned=own_banned, **constraints)
    for row, (table, limit, hypotheses) in enumerate(zip(tables, limits, found, strict=True)):
        own = {**constraints, "forced": forced[row] if forced else []}
        if own_banned is not None:
            own["banned"] = own_banned[row]
        everything = exhaustive(table, limit, 0, "wu", 0.6)
        expected = [one for one in everything if not breaks(one.tokens, **own)][:4]
        finished = [one for one in hypotheses if one.finished]
        assert [one.tokens for one in finished] == [one.tokens for one in expected]
        for one, truth in zip(finished, expected, strict=True):
            assert one.log_probs == pytest.approx(truth.log_probs, abs=1e-6)  # float32; the model's own
            assert one.score == pytest.approx(truth.score, abs=1e-5)
        for one in hypotheses:
            assert math.isfinite(one.score)
            assert not breaks(one.tokens, **{**own, "forced": own["forced"][: len(one.tokens)]})


@pytest.mark.parametrize(
    "constraints",
    [
        {"no_repeat_ngram": 1},
        {"no_repeat_ngram": 2},
        {"no_repeat_ngram": 3},
        {"banned": [[4]]},
        {"banned": [[4, 5], [5, 5, 1], [1]]},
        {"no_repeat_ngram": 2, "banned": [[5, 4]]},
    ],
    ids=str,
)
@pytest.mark.parametrize("forced", [None, [[], [4], [4, 4, 4], [5, 1], [1, 5, 4, 5]]], ids=["free", "forced"])
def test_what_is_found_is_the_best_of_all_outputs_that_break_nothing(constraints, forced):
    tables = random_tables(5, 6, seed=1)
    assert_best_of_all(tables, [4, 3, 4, 2, 4], forced, **constraints)


words = st.sampled_from([1, 4, 5])


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    sharpness=st.sampled_from([0.5, 3.0]),
    ngram=st.none() | st.integers(1, 3),
    banned=st.lists(st.lists(st.lists(words, min_size=1, max_size=3), max_size=3), min_size=3, max_size=3),
    forced=st.lists(st.lists(words, max_size=3), min_size=3, max_size=3),
)
def test_random_constraints_of_random_tables_each_with_its_own(seed, sharpness, ngram, banned, forced):
    tables = random_tables(3, 6, seed=seed, sharpness=sharpness)
    assert_best_of_all(tables, [3, 1, 3], forced, own_banned=banned, no_repeat_ngram=ngram)


@pytest.mark.parametrize("vocabulary", [7, 300])
@pytest.mark.parametrize("many", [False, True], ids=["few", "many"])
def test_the_best_are_those_of_the_whole_distribution(vocabulary, many):
    generator = torch.Generator().manual_seed(2)
    sentences, beams = 3, 4
    tables = random_tables(sentences, 7, seed=2)
    if vocabulary > 7:  # more places than a block of `top`, most of them alike
        tables = torch.cat([tables, tables[..., -1:].expand(-1, -1, -1, vocabulary - 7)], dim=-1)
    banned = [[4], [5, 6], [vocabulary + 5]] + [[6, token] for token in range(100)] * many
    banned = [banned, [[5]], []]
    constrained = ConstrainedStepper(
        TableStepper(tables), [NoRepeatNgram(2), Banned(banned)], [[], [4, 4], [5]]
    )
    state = constrained.begin(constrained.stepper.initial_state())
    state = select_state(state, torch.arange(sentences).repeat_interleave(beams))
    tokens = torch.full((sentences, beams), BOS)
    for _ in range(8):
        for k in (1, 3, vocabulary + 2):
            step, best = constrained(tokens, state), constrained.best(tokens, state, k)
            values, places = top(step.log_probs, k)
            possible = values > -torch.inf
            assert torch.equal(best.log_probs, values)
            assert torch.equal(best.tokens[possible], places[possible])
            pairs = zip(leaves(step.state), leaves(best.state), strict=True)
            assert all(torch.equal(own, other) for own, other in pairs)
        tokens, state = torch.randint(4, 7, (sentences, beams), generator=generator), step.state


@pytest.mark.parametrize("name", catalogue().names("search"))
def test_every_strategy_can_be_constrained(name):
    tables, limits = random_tables(10, 8, seed=8), [2 + row % 6 for row in range(10)]
    forced = [[4 + row % 4] * (row % 3) for row in range(10)]
    constraints = {"no_repeat_ngram": 2, "banned": [[5, 6], [7]]}
    strategy = build_strategy(name, {})
    finished = 0
    for own, hypotheses in zip(forced, search(strategy, tables, limits, forced, **constraints), strict=True):
        for one in hypotheses:
            assert not breaks(one.tokens, **constraints, forced=own)
            assert math.isfinite(one.score)
            finished += one.finished
    assert finished > 5


def test_a_sentence_does_not_depend_on_its_batch():
    tables = random_tables(12, 8, seed=3)
    limits = [3 + row % 5 for row in range(12)]
    forced = [[4 + row % 3] * (row % 4) for row in range(12)]
    banned = [[[5, 6], [7], [4]][: row % 4] for row in range(12)]

    def found(strategy, rows):
        given = ([values[row] for row in rows] for values in (limits, forced, banned))
        limits_of_rows, forced_of_rows, banned_of_rows = given
        return search(
            strategy,
            tables[rows],
            limits_of_rows,
            forced_of_rows,
            own_banned=banned_of_rows,
            no_repeat_ngram=2,
        )

    for strategy in (Greedy(), Beam(4, 2)):
        together = found(strategy, list(range(12)))
        backwards = found(strategy, list(range(12))[::-1])[::-1]
        alone = [found(strategy, [row])[0] for row in range(12)]
        assert together == backwards == alone


def test_an_ensemble_is_constrained_like_a_single_model():
    tables = [random_tables(6, 7, seed=seed) for seed in (1, 2)]
    mean = torch.stack([table.exp() for table in tables]).mean(dim=0).log()
    members = [TableStepper(table) for table in tables]
    options = {"no_repeat_ngram": 1, "banned": [[4, 5]], "forced": [[5], [], [6, 4], [], [], [5]]}
    stepper, state = constrain(
        StepperEnsemble(members),
        tuple(member.initial_state() for member in members),
        **for_all(6, **options),
    )
    limits = [5] * 6
    found = Beam(4, 3).search(stepper, state, bos=BOS, eos=EOS, limits=torch.tensor(limits))
    expected = search(Beam(4, 3), mean, limits, **options)
    for one, other in zip(found, expected, strict=True):
        assert [(h.tokens, h.finished) for h in one] == [(h.tokens, h.finished) for h in other]


def test_where_all_is_barred_a_sentence_ends_unfinished():
    tables = random_tables(3, 6, seed=4)
    everything = [[token] for token in range(6)]
    for strategy in (Greedy(), Beam(3, 2)):
        for hypotheses in search(strategy, tables, [4, 4, 4], banned=everything):
            assert [(h.tokens, h.finished, h.log_probs) for h in hypotheses] == [([], False, [])]
        # what a model cannot say is not said because it is forced
        tables[..., 4] = -torch.inf
        found = search(strategy, tables, [4, 4, 4], [[4], [5, 4], [5]])
        assert [(h[0].tokens, h[0].finished) for h in found[:2]] == [([], False), ([5], False)]
        assert found[2][0].tokens[:1] == [5]


def test_a_limit_cuts_a_forced_prefix():
    ((only,),) = search(Beam(3), random_tables(1, 6, seed=5), [2], [[5, 5, 4]])
    assert (only.tokens, only.finished) == ([5, 5], False)


def test_no_constraint_costs_nothing():
    stepper = TableStepper(random_tables(2, 6, seed=6))
    state = stepper.initial_state()
    for forced in (None, [[], []]):
        assert constrain(stepper, state, forced=forced) == (stepper, state)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"no_repeat_ngram": 0}, "no_repeat_ngram 0 is impossible; it must be 1 token or more"),
        ({"banned": [[[4], []], []]}, r"banned sequence \[\] is impossible; it needs one token or more"),
        ({"banned": [[], [[4, -1]]]}, r"banned sequence \[4, -1\] is impossible"),
        ({"banned": [[[4]]]}, "1 lists of what is banned for 2 sentences; give one for each"),
        ({"forced": [[4]]}, "1 forced prefixes for 2 sentences; give one for each"),
        (
            {"forced": [[4], [5, EOS]]},
            r"forced prefix \[5, 3\] is impossible; padding \(0\), begin \(2\) and end",
        ),
        ({"forced": [[4], [-7]]}, r"forced prefix \[-7\] is impossible"),
    ],
)
def test_impossible_constraints_are_told(options, message):
    stepper = TableStepper(random_tables(2, 6, seed=7))
    with pytest.raises(ConfigError, match=message):
        constrain(stepper, stepper.initial_state(), **options)
