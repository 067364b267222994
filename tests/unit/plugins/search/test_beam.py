"""Beam search against all outputs of a small model, and against a beam search written for reading."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from s2s.errors import ConfigError
from s2s_plugins.search.beam import Beam
from s2s_plugins.search.coverage import LEAST
from s2s_plugins.search.greedy import Greedy
from tests.references.search import (
    BOS,
    EOS,
    AttentiveStepper,
    Found,
    TableStepper,
    divisor,
    exhaustive,
    plain_beam,
    random_tables,
    uncovered,
)

NORMALIZATIONS = [("wu", 0.6), ("wu", 1.5), ("length", 0.6), ("length", 1.0), ("none", 0.6)]


def search(strategy, tables, limits, minimums=None, **options):
    stepper = TableStepper(tables, **options)
    return strategy.search(
        stepper,
        stepper.initial_state(),
        bos=BOS,
        eos=EOS,
        limits=torch.tensor(limits),
        minimums=None if minimums is None else torch.tensor(minimums),
    )


def assert_same(hypotheses, expected: list[Found]):
    assert [h.tokens for h in hypotheses] == [e.tokens for e in expected]
    for hypothesis, truth in zip(hypotheses, expected, strict=True):
        assert hypothesis.finished == truth.finished
        assert hypothesis.log_probs == pytest.approx(truth.log_probs, abs=1e-6)
        assert hypothesis.score == pytest.approx(truth.score, abs=1e-5)


@pytest.mark.parametrize(("normalization", "alpha"), NORMALIZATIONS)
@pytest.mark.parametrize("n_best", [1, 4])
def test_a_beam_that_holds_everything_finds_the_best_of_all_outputs(normalization, alpha, n_best):
    # Two words and the unknown: at most 3^3 live prefixes at the limit of 3 or 4, so nothing is ever pruned.
    tables = random_tables(6, 6, seed=1)
    limits, minimums = [4, 3, 2, 1, 3, 0], [0, 0, 1, 1, 3, 0]
    results = search(Beam(200, n_best, normalization, alpha), tables, limits, minimums)
    for table, limit, minimum, hypotheses in zip(tables, limits, minimums, results, strict=True):
        expected = exhaustive(table, limit, minimum, normalization, alpha)[:n_best]
        assert_same(hypotheses[: len(expected)], expected)
        assert all(not h.finished and len(h.tokens) == limit for h in hypotheses[len(expected) :])


@pytest.mark.parametrize(("normalization", "alpha"), NORMALIZATIONS)
@pytest.mark.parametrize(("size", "n_best"), [(1, 1), (2, 2), (3, 1), (5, 1), (5, 5), (12, 3)])
@pytest.mark.parametrize(("vocabulary", "sharpness"), [(5, 1.0), (9, 2.0), (9, 4.0)])
def test_fast_beam_is_the_plain_beam(normalization, alpha, size, n_best, vocabulary, sharpness):
    # Stopping early, leaving the batch and bookkeeping in tensors must change nothing.
    tables = random_tables(24, vocabulary, seed=size + vocabulary, sharpness=sharpness)
    limits = [sentence % 9 for sentence in range(24)]
    minimums = [min(sentence % 9, sentence % 4) for sentence in range(24)]
    results = search(Beam(size, n_best, normalization, alpha), tables, limits, minimums)
    for table, limit, minimum, hypotheses in zip(tables, limits, minimums, results, strict=True):
        expected = plain_beam(
            table,
            size=size,
            n_best=n_best,
            limit=limit,
            minimum=minimum,
            normalization=normalization,
            alpha=alpha,
        )
        assert_same(hypotheses, expected)


def attentive(count, seed, vocabulary=6, sharpness=1.0):
    """Random tables, attention of which some is exactly 0, and lengths of the source."""
    tables = random_tables(count, vocabulary, seed=seed, sharpness=sharpness)
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.tensor([1 + sentence % 4 for sentence in range(count)])
    logits = 3 * torch.randn(count, vocabulary, vocabulary, 4, generator=generator)
    logits[logits < -2] = -torch.inf
    logits[..., 0] = logits[..., 0].clamp(min=-2)
    attention = logits.masked_fill(torch.arange(4) >= lengths.view(-1, 1, 1, 1), -torch.inf).softmax(dim=-1)
    return tables, attention, lengths


def search_attentive(strategy, tables, attention, lengths, limits, minimums):
    stepper = AttentiveStepper(tables, attention, lengths)
    return strategy.search(
        stepper,
        stepper.initial_state(),
        bos=BOS,
        eos=EOS,
        limits=torch.tensor(limits),
        minimums=torch.tensor(minimums),
    )


@pytest.mark.parametrize(("normalization", "alpha"), NORMALIZATIONS[1:])
@pytest.mark.parametrize("beta", [0.2, 2.0])
def test_with_coverage_the_best_of_all_outputs_is_found(normalization, alpha, beta):
    tables, attention, lengths = attentive(6, seed=11)
    limits, minimums = [4, 3, 2, 1, 3, 0], [0, 0, 1, 1, 3, 0]
    strategy = Beam(200, 4, normalization, alpha, beta)
    results = search_attentive(strategy, tables, attention, lengths, limits, minimums)
    for row, hypotheses in enumerate(results):
        penalty = uncovered(attention[row], int(lengths[row]), beta, LEAST)
        expected = exhaustive(tables[row], limits[row], minimums[row], normalization, alpha, penalty)[:4]
        assert_same(hypotheses[: len(expected)], expected)


@pytest.mark.parametrize(("size", "n_best"), [(1, 1), (3, 1), (5, 5), (12, 3)])
@pytest.mark.parametrize(("beta", "sharpness"), [(0.2, 1.0), (1.0, 3.0)])
def test_coverage_loses_nothing_by_stopping(size, n_best, beta, sharpness):
    tables, attention, lengths = attentive(24, seed=size, vocabulary=9, sharpness=sharpness)
    limits = [sentence % 9 for sentence in range(24)]
    minimums = [min(sentence % 9, sentence % 4) for sentence in range(24)]
    strategy = Beam(size, n_best, "wu", 0.6, beta)
    results = search_attentive(strategy, tables, attention, lengths, limits, minimums)
    for row, hypotheses in enumerate(results):
        expected = plain_beam(
            tables[row],
            size=size,
            n_best=n_best,
            limit=limits[row],
            minimum=minimums[row],
            normalization="wu",
            alpha=0.6,
            penalty=uncovered(attention[row], int(lengths[row]), beta, LEAST),
        )
        assert_same(hypotheses, expected)
        alone = search_attentive(
            strategy,
            tables[row : row + 1],
            attention[row : row + 1],
            lengths[row : row + 1],
            limits[row : row + 1],
            minimums[row : row + 1],
        )
        assert [(one.tokens, one.score) for one in alone[0]] == [
            (one.tokens, one.score) for one in hypotheses
        ]


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    size=st.integers(1, 6),
    normalization=st.sampled_from(NORMALIZATIONS),
    beta=st.sampled_from([0.0, 0.1, 3.0]),
    sharpness=st.sampled_from([0.5, 4.0]),
    limit=st.integers(0, 6),
)
def test_random_tables_with_and_without_coverage(seed, size, normalization, beta, sharpness, limit):
    tables, attention, lengths = attentive(3, seed=seed, vocabulary=7, sharpness=sharpness)
    n_best = 1 + seed % size
    results = search_attentive(
        Beam(size, n_best, *normalization, beta), tables, attention, lengths, [limit] * 3, [limit // 3] * 3
    )
    for row, hypotheses in enumerate(results):
        expected = plain_beam(
            tables[row],
            size=size,
            n_best=n_best,
            limit=limit,
            minimum=limit // 3,
            normalization=normalization[0],
            alpha=normalization[1],
            penalty=uncovered(attention[row], int(lengths[row]), beta, LEAST),
        )
        assert_same(hypotheses, expected)


def test_coverage_needs_attention():
    assert Beam(beta=0.2).reads_weights
    assert not Beam().reads_weights
    with pytest.raises(
        ConfigError, match=r"search 'Beam' cannot weigh coverage \(beta 0.2\): there are no att"
    ):
        search(Beam(beta=0.2), random_tables(2, 6, seed=1), [3, 3])


@pytest.mark.parametrize("strategy", [Beam(4, 2), Greedy()])
def test_a_sentence_does_not_depend_on_its_batch(strategy):
    tables = random_tables(20, 8, seed=5)
    limits = [3 + sentence % 7 for sentence in range(20)]
    together = search(strategy, tables, limits)
    backwards = search(strategy, tables.flip(0), limits[::-1])[::-1]
    alone = [search(strategy, tables[i : i + 1], [limits[i]])[0] for i in range(20)]
    assert together == backwards == alone


def test_sentences_leave_and_the_rest_is_not_computed():
    tables = random_tables(16, 8, seed=6)
    tables[:15, BOS, BOS] = -torch.inf
    tables[:15, BOS, BOS, EOS] = 0.0
    for strategy in (Beam(3), Greedy()):
        calls: list[tuple[int, int]] = []
        results = search(strategy, tables, [6] * 16, calls=calls)
        assert [h[0].tokens for h in results[:15]] == [[]] * 15
        assert calls[0] == (16, 1)
        assert {sentences for sentences, _ in calls[1:]} == {1}


def test_ties_go_to_the_lower_beam_then_the_lower_id():
    # Everything is equally probable, so order alone decides.
    tables = torch.full((2, 7, 7, 7), -math.log(4))
    tables[..., [0, 1, 2]] = -torch.inf
    hypotheses = search(Beam(4, 4, "none"), tables, [2, 2])
    assert hypotheses[0] == hypotheses[1]
    assert [h.tokens for h in hypotheses[0]] == [[], [4], [4, 4], [4, 5]]
    assert search(Greedy(), tables, [3, 3])[0][0].tokens == []
    tables[..., EOS] = -torch.inf
    assert [h.tokens for h in search(Beam(4, 4, "none"), tables, [2, 2])[0]] == [
        [4, 4],
        [4, 5],
        [4, 6],
        [5, 4],
    ]
    assert search(Greedy(), tables, [3, 3])[0][0].tokens == [4, 4, 4]


@pytest.mark.parametrize("strategy", [Beam(5, 5), Beam(1), Greedy()])
def test_only_the_end_is_possible(strategy):
    tables = torch.full((1, 6, 6, 6), -torch.inf)
    tables[..., EOS] = 0.0
    for limit in (0, 5):
        ((only,),) = search(strategy, tables, [limit])
        assert (only.tokens, only.finished, only.log_probs, only.score) == ([], True, [0.0], 0.0)
    # It may not end yet and cannot go on: what there is, and not called finished.
    ((only,),) = search(strategy, tables, [5], [1])
    assert (only.tokens, only.finished, only.log_probs) == ([], False, [])


def test_unfinished_prefixes_fill_the_places_that_remain_at_the_limit():
    tables = torch.full((1, 6, 6, 6), -torch.inf)
    tables[..., 4], tables[..., 5], tables[..., EOS] = math.log(0.6), math.log(0.3), math.log(0.1)
    (hypotheses,) = search(Beam(2, 2, "wu", 0.6), tables, [3])
    assert [(h.tokens, h.finished) for h in hypotheses] == [([4, 4, 4], False), ([4, 4, 5], False)]
    assert hypotheses[0].score == pytest.approx(3 * math.log(0.6) / divisor("wu", 0.6, 3), abs=1e-6)
    (greedy,) = search(Greedy(), tables, [3])
    assert (greedy[0].tokens, greedy[0].finished) == ([4, 4, 4], False)


def test_greedy_follows_the_most_probable_token():
    tables = random_tables(30, 9, seed=9, sharpness=2.0)
    limits, minimums = [i % 8 for i in range(30)], [min(i % 8, i % 3) for i in range(30)]
    results = search(Greedy(), tables, limits, minimums)
    for table, limit, minimum, (hypothesis,) in zip(tables, limits, minimums, results, strict=True):
        tokens, log_probs, before, last, finished = [], [], BOS, BOS, False
        while not finished:
            row = table[before, last].clone()
            if len(tokens) < minimum:
                row[EOS] = -torch.inf
            token = int(row.argmax())
            if token != EOS and len(tokens) == limit:
                break
            log_probs.append(row[token].item())
            finished = token == EOS
            if not finished:
                tokens.append(token)
                before, last = last, token
        assert (hypothesis.tokens, hypothesis.finished) == (tokens, finished)
        assert hypothesis.log_probs == pytest.approx(log_probs, abs=1e-6)
        assert hypothesis.score == pytest.approx(sum(log_probs), abs=1e-5)
    assert results == search(Beam(1, 1, "none"), tables, limits, minimums)


@pytest.mark.parametrize("strategy", [Beam(4, 3), Greedy()])
def test_attention_weights_belong_to_their_tokens(strategy):
    tables = random_tables(8, 8, seed=3)
    for hypotheses in search(strategy, tables, [1 + i for i in range(8)], weights=torch.ones(1)):
        for hypothesis in hypotheses:
            path = [BOS, BOS, *hypothesis.tokens]
            expected = [[a, b, 1, 2] for a, b in zip(path, path[1:], strict=False)][: len(hypothesis.tokens)]
            assert hypothesis.weights.shape == (len(hypothesis.tokens), 4)
            assert hypothesis.weights.tolist() == expected


@pytest.mark.parametrize("strategy", [Beam(4, 3), Greedy()])
def test_a_model_that_says_nan_harms_only_its_own_sentence(strategy):
    tables = random_tables(3, 8, seed=4)
    expected = search(strategy, tables, [5, 5, 5])
    tables[1] = torch.nan
    found = search(strategy, tables, [5, 5, 5])
    assert (found[0], found[2]) == (expected[0], expected[2])
    assert [(h.tokens, h.finished) for h in found[1]] == [([], False)]


def test_an_empty_batch():
    for strategy in (Beam(), Greedy()):
        assert search(strategy, random_tables(0, 5, seed=0), []) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "beam size 0 is impossible; it must be 1 or more"),
        ({"size": 2, "n_best": 3}, "n_best 3 is impossible with a beam of 2; choose 1 to 2 or a larger beam"),
        ({"normalization": "woo"}, "unknown normalization 'woo'; known: wu, length, none"),
        ({"alpha": -0.5}, "alpha -0.5 is impossible"),
        ({"alpha": 1e300}, r"alpha 1e\+300 is impossible; it must be 0 or more, and at most 10"),
        ({"alpha": float("nan")}, "alpha nan is impossible"),
        ({"beta": 1e300}, r"beta 1e\+300 is impossible; it must be 0 or more, and at most 1,000,000"),
        ({"beta": -1.0}, "beta -1.0 is impossible; it must be 0 or more"),
    ],
)
def test_impossible_options_are_told(options, message):
    with pytest.raises(ConfigError, match=message):
        Beam(**options)
