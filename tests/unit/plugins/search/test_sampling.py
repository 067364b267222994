"""Samples against the probability of every output, worked out from the tables one by one."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch

from s2s.errors import ConfigError
from s2s.search.constraints import constrain
from s2s_plugins.search import sampling
from s2s_plugins.search.greedy import Greedy
from s2s_plugins.search.sampling import Sampling
from tests.references.search import BOS, EOS, TableStepper, for_all, random_tables


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


def shares(log_probs, temperature, top_k, top_p):
    """What is drawn from, token -> probability, by the definition of each option."""
    weights = {
        token: math.exp(value / temperature) for token, value in enumerate(log_probs) if value > -math.inf
    }
    ranked = sorted(weights, key=lambda token: (-weights[token], token))[:top_k]
    total, nucleus = sum(weights[token] for token in ranked), []
    for token in ranked:
        if sum(weights[other] for other in nucleus) / total < top_p:
            nucleus.append(token)
    total = sum(weights[token] for token in nucleus)
    return {token: weights[token] / total for token in nucleus}


def outputs(table, limit, minimum, **options):
    """Every (tokens, finished) with its probability."""
    found = Counter()
    live = {(): 1.0}
    for time in range(limit + 1):
        extended = {}
        for prefix, probability in live.items():
            before, last = (BOS, BOS, *prefix)[-2:]
            row = table[before, last].tolist()
            if time < minimum:
                row[EOS] = -math.inf
            for token, share in shares(row, **options).items():
                if token == EOS:
                    found[prefix, True] += probability * share
                elif time == limit:
                    found[prefix, False] += probability * share
                else:
                    extended[(*prefix, token)] = probability * share
        live = extended
    assert sum(found.values()) == pytest.approx(1)
    return found


def surprise(counts: Counter, expected: Counter, draws: int) -> float:
    """Chi-square of Pearson as a standard normal number (Wilson and Hilferty 1931); rare outcomes are one."""
    assert set(counts) <= set(expected)
    common = [one for one, share in expected.items() if share * draws >= 5]
    pairs = [(counts[one], expected[one] * draws) for one in common]
    rest = draws - sum(share for _, share in pairs)
    if rest >= 5:
        pairs.append((draws - sum(count for count, _ in pairs), rest))
    if len(pairs) < 2:
        return 0.0
    statistic = sum((count - share) ** 2 / share for count, share in pairs)
    spread = 2 / (9 * (len(pairs) - 1))
    return ((statistic / (len(pairs) - 1)) ** (1 / 3) - (1 - spread)) / math.sqrt(spread)


OPTIONS = [
    {"temperature": 1.0, "top_k": None, "top_p": 1.0},
    {"temperature": 0.5, "top_k": None, "top_p": 1.0},
    {"temperature": 2.0, "top_k": 3, "top_p": 1.0},
    {"temperature": 1.0, "top_k": None, "top_p": 0.7},
    {"temperature": 1.5, "top_k": 4, "top_p": 0.8},
    {"temperature": 1.0, "top_k": 2, "top_p": 1.0},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("minimum", [0, 2])
def test_every_output_comes_as_often_as_its_probability_says(options, minimum):
    draws, tables = 10_000, random_tables(3, 7, seed=1)
    found = search(Sampling(draws, seed=5, **options), tables, [2, 3, 2], [minimum] * 3)
    for table, limit, hypotheses in zip(tables, [2, 3, 2], found, strict=True):
        counts = Counter((tuple(one.tokens), one.finished) for one in hypotheses)
        # 36 numbers of a normal distribution, fixed by the seed: beyond 4 is one in 30,000
        assert surprise(counts, outputs(table, limit, minimum, **options), draws) < 4


def test_the_measure_of_surprise_is_surprised():
    draws, table = 10_000, random_tables(1, 7, seed=1)
    found = search(Sampling(draws, seed=5), table, [2])
    counts = Counter((tuple(one.tokens), one.finished) for one in found[0])
    warmer = outputs(table[0], 2, 0, temperature=1.1, top_k=None, top_p=1.0)
    assert surprise(counts, warmer, draws) > 4


def test_sentences_and_samples_are_drawn_independently():
    # The same table twice but for one last bit, so that the sentences have different fingerprints.
    tables = random_tables(1, 7, seed=2).repeat(2, 1, 1, 1)
    tables[1, 4, 4, 4] = torch.nextafter(tables[1, 4, 4, 4], torch.tensor(0.0))
    draws = 10_000
    stepper = TableStepper(tables)
    one, other = search(_InOrder(draws), tables, [0, 0])
    expected = outputs(tables[0], 0, 0, **OPTIONS[0])
    pairs = {(a, b): expected[a] * expected[b] for a, b in itertools.product(expected, repeat=2)}
    assert stepper.fingerprints().unique().numel() == 2
    for left, right in ((one, other), (one[::2], one[1::2])):
        counts = Counter(zip(left, right, strict=True))
        assert surprise(counts, Counter(pairs), len(left)) < 4


class _InOrder(Sampling):
    """Tells (tokens, finished) of the samples in the order in which they were drawn."""

    def _collect(self, samples, source_length, *, with_weights):
        return [((), one.finished) for one in samples]


@pytest.mark.parametrize("options", OPTIONS[::2], ids=str)
def test_a_sentence_does_not_depend_on_its_batch(options):
    strategy = Sampling(4, seed=3, **options)
    tables = random_tables(20, 8, seed=5)
    limits = [3 + sentence % 7 for sentence in range(20)]
    together = search(strategy, tables, limits)
    torch.manual_seed(9)  # nothing is drawn from torch
    backwards = search(strategy, tables.flip(0), limits[::-1])[::-1]
    alone = [search(strategy, tables[i : i + 1], limits[i : i + 1])[0] for i in range(20)]
    assert together == backwards == alone
    assert search(Sampling(4, seed=4, **options), tables, limits) != together
    # more samples begin with the fewer ones
    for fewer, more in zip(together, search(Sampling(6, seed=3, **options), tables, limits), strict=True):
        assert not Counter(map(str, fewer)) - Counter(map(str, more))


def test_a_step_is_computed_once_for_samples_with_the_same_tokens():
    tables, calls = random_tables(3, 8, seed=11), []
    stepper = TableStepper(tables, calls)
    found = Sampling(200, seed=1).search(
        stepper, stepper.initial_state(), bos=BOS, eos=EOS, limits=torch.tensor([4, 4, 4])
    )
    prefixes = [
        {
            tuple(one.tokens[:time])
            for one in hypotheses
            # a cut sample was asked for its next token, too
            if len(one.tokens) > time or (len(one.tokens) == time and (one.finished or time == 4))
        }
        for time in range(5)
        for hypotheses in found
    ]
    most = [max(map(len, prefixes[3 * time : 3 * time + 3])) for time in range(5)]
    assert [beams for _, beams in calls] == most
    assert most[0] == 1
    assert 1 < most[1] < 8


def test_log_probs_are_the_models_own():
    tables = random_tables(4, 8, seed=6)
    strategy = Sampling(5, temperature=0.3, top_k=4, top_p=0.9)
    for table, hypotheses in zip(tables, search(strategy, tables, [5] * 4), strict=True):
        for one in hypotheses:
            path = [BOS, BOS, *one.tokens, EOS][: len(one.log_probs) + 2]
            expected = [table[a, b, c].item() for a, b, c in zip(path, path[1:], path[2:], strict=False)]
            assert one.log_probs == pytest.approx(expected, abs=1e-6)
            assert one.score == pytest.approx(sum(expected), abs=1e-5)


@pytest.mark.parametrize("options", [{"top_k": 1}, {"temperature": 1e-4}, {"top_p": 1e-6}], ids=str)
def test_where_one_token_is_left_it_is_greedy(options):
    tables = random_tables(12, 8, seed=7)
    limits, minimums = [i % 6 for i in range(12)], [min(i % 6, i % 3) for i in range(12)]
    found = search(Sampling(2, **options), tables, limits, minimums)
    for hypotheses, (greedy,) in zip(found, search(Greedy(), tables, limits, minimums), strict=True):
        assert [one.tokens for one in hypotheses] == [greedy.tokens] * 2
        assert [one.finished for one in hypotheses] == [greedy.finished] * 2


@pytest.mark.parametrize("sharpness", [0.1, 3.0])
def test_a_nucleus_is_the_same_however_it_is_looked_for(monkeypatch, sharpness):
    tables, strategy = random_tables(6, 60, seed=4, sharpness=sharpness), Sampling(20, top_p=0.6)
    found = []
    for likely in (1, 4, 60):
        monkeypatch.setattr(sampling, "_LIKELY", likely)
        found.append(search(strategy, tables, [6] * 6))
    assert found[0] == found[1] == found[2]


def test_equal_tokens_are_kept_in_their_order():
    tables = torch.full((1, 8, 8, 8), -math.log(4))
    tables[..., [0, 1, 2, EOS]] = -torch.inf
    for options in ({"top_k": 2}, {"top_p": 0.5}):
        (found,) = search(Sampling(200, **options), tables, [1])
        assert {tuple(one.tokens) for one in found} == {(4,), (5,)}


@pytest.mark.parametrize(("number", "expected"), [(0.0, 4), (0.5, 5), (1 - 2**-53, 5)])
def test_the_first_and_the_last_random_number_draw_what_can_be(monkeypatch, number, expected):
    # Padding before the two tokens and a word behind them have no share; the first token has [0, 0.5).
    monkeypatch.setattr(sampling, "uniform", lambda state: np.full(state.shape, number))
    tables = torch.full((1, 7, 7, 7), -torch.inf)
    tables[..., [4, 5]] = math.log(0.5)
    for options in ({}, {"top_k": 5}, {"top_p": 0.99}):
        ((only,),) = search(Sampling(**options), tables, [1])
        assert only.tokens == [expected]


def test_what_is_barred_is_never_drawn():
    tables = random_tables(2, 7, seed=8)
    for hypotheses in search(
        Sampling(300), tables, [4, 4], no_repeat_ngram=1, banned=[[5]], forced=[[6], []]
    ):
        for one in hypotheses:
            assert 5 not in one.tokens
            assert len(set(one.tokens)) == len(one.tokens)
    tables[..., [1, 4, 6, EOS]] = -torch.inf
    for hypotheses in search(Sampling(3), tables, [4, 4], banned=[[5]]):
        assert [(one.tokens, one.finished, one.score) for one in hypotheses] == [([], False, 0)] * 3


def test_attention_weights_belong_to_their_tokens():
    tables = random_tables(6, 8, seed=9)
    for hypotheses in search(Sampling(3), tables, [1 + i for i in range(6)], weights=torch.ones(1)):
        for one in hypotheses:
            path = [BOS, BOS, *one.tokens]
            expected = [[a, b, 1, 2] for a, b in zip(path, path[1:], strict=False)][: len(one.tokens)]
            assert one.weights.shape == (len(one.tokens), 4)
            assert one.weights.tolist() == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 0}, "samples 0 is impossible; it must be 1 or more"),
        ({"temperature": 0}, r"temperature 0 is impossible; it must be above 0 \(Greedy takes"),
        ({"temperature": 1e-320}, "temperature 1e-320 is impossible; .* from 0.0001 to 10,000"),
        ({"temperature": 1e38}, r"temperature 1e\+38 is impossible"),
        ({"top_k": 0}, "top_k 0 is impossible; it must be 1 or more, or None for all tokens"),
        ({"top_p": 0.0}, "top_p 0.0 is impossible; it must be above 0 and at most 1"),
        ({"top_p": 1.5}, "top_p 1.5 is impossible"),
        ({"seed": 2**63}, "seed 9223372036854775808 is impossible; it must have 64 bits at most"),
    ],
)
def test_impossible_options_are_told(options, message):
    with pytest.raises(ConfigError, match=message):
        Sampling(**options)
