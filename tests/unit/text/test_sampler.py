import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import s2s.text.sampler as sampler_module
from s2s.errors import ConfigError, DataError
from s2s.text.sampler import BatchLimits, Epoch, Place, Sampler, beyond_budget, by_length, cut

LENGTHS = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 60)), min_size=1, max_size=120)
LIMITS = st.builds(BatchLimits, st.integers(1, 400), st.none() | st.integers(1, 20)) | st.builds(
    BatchLimits, st.none(), st.integers(1, 20)
)


def arrays(lengths: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    both = np.array(lengths, np.int64).reshape(-1, 2)
    return both[:, 0].copy(), both[:, 1].copy()


def cost(source: np.ndarray, target: np.ndarray, pairs: np.ndarray) -> int:
    return len(pairs) * int(source[pairs].max() + target[pairs].max() + 1)


def some(pairs: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(5)
    source = random.integers(3, 40, pairs)
    return source, np.clip(source + random.integers(-4, 5, pairs), 1, None)


@settings(max_examples=200, deadline=None)
@given(lengths=LENGTHS, limits=LIMITS, seed=st.integers(0, 2**32), epoch=st.integers(0, 9))
def test_each_pair_once_and_no_batch_too_large(
    lengths: list[tuple[int, int]], limits: BatchLimits, seed: int, epoch: int
) -> None:
    source, target = arrays(lengths)
    fitting = [
        i for i in range(len(source)) if limits.tokens is None or source[i] + target[i] < limits.tokens
    ]
    for batches, expected in (
        (Epoch(source, target, limits, seed=seed, epoch=epoch), fitting),
        (by_length(source, target, limits), list(range(len(source)))),
    ):
        seen = [batches.pairs(i) for i in range(len(batches))]
        assert sorted(pair for pairs in seen for pair in pairs.tolist()) == expected
        for pairs in seen:
            assert limits.sentences is None or len(pairs) <= limits.sentences
            if limits.tokens is not None and (len(pairs) > 1 or expected is fitting):
                assert cost(source, target, pairs) <= limits.tokens


@settings(max_examples=100, deadline=None)
@given(lengths=LENGTHS, limits=LIMITS)
def test_batches_are_as_large_as_they_can_be(lengths: list[tuple[int, int]], limits: BatchLimits) -> None:
    source, target = arrays(lengths)
    order = np.arange(len(source))
    batches = cut(source, target, order, limits)
    # the slow twin: one pair at a time
    rows: list[list[int]] = [[]]
    for pair in order.tolist():
        larger = np.array([*rows[-1], pair])
        fits = (limits.tokens is None or cost(source, target, larger) <= limits.tokens) and (
            limits.sentences is None or len(larger) <= limits.sentences
        )
        if fits or not rows[-1]:
            rows[-1].append(pair)
        else:
            rows.append([pair])
    assert [batches.pairs(i).tolist() for i in range(len(batches))] == rows


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    source, target = some()
    limits = BatchLimits(tokens=1000)

    def order(seed: int, epoch: int) -> list[list[int]]:
        batches = Epoch(source, target, limits, seed=seed, epoch=epoch)
        return [batches.pairs(i).tolist() for i in range(len(batches))]

    np.random.seed(1)  # whatever the global generator says
    first = order(1, 0)
    np.random.seed(2)
    assert order(1, 0) == first
    assert order(1, 1) != first
    assert order(2, 0) != first


def test_no_two_draws_are_the_same(small_pools: None, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = []
    make = np.random.default_rng

    def spy(seed: list[int]) -> np.random.Generator:
        seeds.append(seed)
        return make(seed)

    source, target = some()
    monkeypatch.setattr(np.random, "default_rng", spy)
    for epoch in range(3):
        Epoch(source, target, BatchLimits(sentences=16), seed=1, epoch=epoch)
    assert len(seeds) == 3 * (1 + 8)  # the runs, and each pool
    assert len({make(seed).integers(2**63) for seed in seeds}) == len(seeds)


def test_chance_decides_who_meets_whom_and_when() -> None:
    source, target = some()
    epochs = [Epoch(source, target, BatchLimits(tokens=2000), seed=1, epoch=e) for e in (0, 1)]
    first, second = ([set(batches.pairs(i).tolist()) for i in range(len(batches))] for batches in epochs)
    shared = [max(len(batch & other) for other in second) / len(batch) for batch in first]
    assert np.mean(shared) < 0.5  # of a batch, the most that meet again in one batch of the next epoch
    mean_length = [source[epochs[0].pairs(i)].mean() for i in range(len(epochs[0]))]
    assert abs(np.corrcoef(mean_length, np.arange(len(mean_length)))[0, 1]) < 0.3


@pytest.fixture
def small_pools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler_module, "_POOL", 500)
    monkeypatch.setattr(sampler_module, "_RUN", 8)


@pytest.mark.usefixtures("small_pools")
def test_pools_hold_each_pair_once_and_something_of_everywhere() -> None:
    source, target = some()
    epoch = Epoch(source, target, BatchLimits(sentences=16), seed=1, epoch=0)
    batches = [epoch.pairs(i) for i in range(len(epoch))]
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(source)))
    assert epoch.pairs_seen == len(source)
    # forwards, backwards, at random: a batch is the same however one comes to it
    for i in [*range(len(epoch) - 1, -1, -9), 0, len(epoch) - 1, 7]:
        assert epoch.pairs(i).tolist() == batches[i].tolist()
    eighth = np.concatenate(batches)[: len(source) // 8]  # the first pool
    assert all(np.sum((eighth >= k * 1000) & (eighth < (k + 1) * 1000)) > 60 for k in range(4))
    other = Epoch(source, target, BatchLimits(sentences=16), seed=1, epoch=1)
    second = np.concatenate([other.pairs(i) for i in range(len(other))])[: len(source) // 8]
    assert len(set(eighth.tolist()) & set(second.tolist())) < len(eighth) // 2
    assert epoch.padding_share < 0.15


@pytest.mark.usefixtures("small_pools")
def test_weights_of_a_large_corpus() -> None:
    source, target = some(4000)
    bounds, weights = [(0, 1500), (1500, 4000)], [2.25, 0.5]
    epoch = Epoch(source, target, BatchLimits(sentences=32), seed=1, epoch=0, bounds=bounds, weights=weights)
    times = Counter(pair for i in range(len(epoch)) for pair in epoch.pairs(i).tolist())
    assert Counter(times[i] for i in range(1500)) == {2: 1125, 3: 375}
    assert Counter(times[i] for i in range(1500, 4000)) == {0: 1250, 1: 1250}
    assert epoch.pairs_seen == sum(times.values())


def test_padding_is_low_and_counted_right() -> None:
    source, target = some()
    batches = Epoch(source, target, BatchLimits(tokens=1000), seed=1, epoch=0)
    assert batches.padding_share < 0.1
    cells = sum(cost(source, target, batches.pairs(i)) for i in range(len(batches)))
    real = int(source.sum() + target.sum()) + len(source)
    assert batches.padding_share == pytest.approx(1 - real / cells)


def test_weights() -> None:
    source, target = some(1000)
    bounds, weights = [(0, 400), (400, 1000)], [2.25, 0.5]
    drawn = []
    for epoch in (0, 1):
        batches = Epoch(
            source, target, BatchLimits(sentences=32), seed=1, epoch=epoch, bounds=bounds, weights=weights
        )
        times = Counter(pair for i in range(len(batches)) for pair in batches.pairs(i).tolist())
        assert Counter(times[i] for i in range(400)) == {2: 300, 3: 100}
        assert Counter(times[i] for i in range(400, 1000)) == {0: 300, 1: 300}
        drawn.append({i for i in range(400, 1000) if times[i]})
    assert drawn[0] != drawn[1]


@pytest.mark.parametrize("weight", [0.3, 1.7, 0.01])
@pytest.mark.parametrize("pairs", [1, 2, 7])
def test_fractions_of_a_small_corpus_add_up(weight: float, pairs: int) -> None:
    """Rounded in each epoch by itself, 0.3 of one pair would never be drawn."""
    source, target = some(pairs + 1)
    bounds, weights, limits = [(0, pairs), (pairs, pairs + 1)], [weight, 1.0], BatchLimits(sentences=4)
    seen = [
        Epoch(source, target, limits, seed=1, epoch=epoch, bounds=bounds, weights=weights).pairs_seen - 1
        for epoch in range(100)
    ]
    assert sum(seen) == round(100 * weight * pairs)
    assert seen[0] > 0 and max(seen) - min(seen) <= 1


def test_a_pair_beyond_the_budget_is_not_trained_on_and_stands_alone_in_evaluation() -> None:
    source, target = arrays([(5, 5), (50, 70), (5, 5)])
    limits = BatchLimits(tokens=60)
    epoch = Epoch(source, target, limits, seed=0, epoch=0)
    assert [sorted(epoch.pairs(i).tolist()) for i in range(len(epoch))] == [[0, 2]]
    assert epoch.pairs_seen == 2
    batches = by_length(source, target, limits)
    assert [sorted(batches.pairs(i).tolist()) for i in range(len(batches))] == [[1], [0, 2]]
    assert beyond_budget(source, target, limits).tolist() == [1]


def test_limits_are_checked() -> None:
    with pytest.raises(ConfigError, match="both null"):
        BatchLimits().check()
    with pytest.raises(ConfigError, match="batch_tokens is 0"):
        BatchLimits(tokens=0).check()


def sampler(**options: object) -> Sampler:
    source, target = some(500)
    defaults = {"seed": 3, "fingerprint": "abc"}
    return Sampler(source, target, BatchLimits(sentences=7), **(defaults | options))  # type: ignore[arg-type]


@pytest.mark.parametrize("ranks", [1, 2, 3, 5])
def test_ranks_get_equally_many_and_together_all(ranks: int) -> None:
    batches = sampler().batches(0)
    dealt = [sampler(rank=rank, ranks=ranks).dealt(batches) for rank in range(ranks)]
    assert len({len(own) for own in dealt}) == 1
    together = [batch for step in zip(*dealt, strict=True) for batch in step]
    assert together[: len(batches)] == list(range(len(batches)))
    assert together[len(batches) :] == list(range(len(together) - len(batches)))


def test_fewer_batches_than_ranks() -> None:
    one = np.ones(1, np.int64)
    for rank in range(3):
        alone = Sampler(one, one, BatchLimits(tokens=9), seed=0, fingerprint="", rank=rank, ranks=3)
        assert alone.dealt(alone.batches(0)).tolist() == [0]


def test_state_goes_to_its_place_in_its_epoch_only() -> None:
    first = sampler()
    assert first.start(4) == 0
    for _ in range(3):
        first.batch_done()
    second = sampler()
    second.load_state_dict(first.state_dict())
    assert second.start(4) == 3
    assert second.start(5) == 0
    assert second.state_dict() == {
        **{"seed": 3, "epoch": 5, "position": 0, "ranks": 1, "fingerprint": "abc"},
        "dealt_from": [0, 0],
    }


def consumed(
    ranks: int, state: dict[str, object] | None, steps: int | None
) -> tuple[list[int], dict[str, object]]:
    """What so many ranks take from the list in so many steps, or to its end, from a state on; and the state then."""
    took = []
    for rank in range(ranks):
        one = sampler(rank=rank, ranks=ranks)
        if state is not None:
            one.load_state_dict(state)
        start = one.start(4)
        own = one.dealt(one.batches(4))
        took.append(own[start:].tolist() if steps is None else own[start : start + steps].tolist())
        for _ in took[-1]:
            one.batch_done()
    return [batch for step in zip(*took, strict=True) for batch in step], one.state_dict()


@pytest.mark.parametrize("ranks", [(1, 2), (2, 1), (3, 2), (2, 5, 3), (4, 1, 2)])
def test_other_numbers_of_ranks_go_on_with_the_same_list(ranks: tuple[int, ...]) -> None:
    """Each some steps, also odd ones; the last to the end, where the first batches are dealt once more if need be."""
    total = len(sampler().batches(4))
    together: list[int] = []
    state = None
    for number in ranks[:-1]:
        took, state = consumed(number, state, steps=5)
        together += took
    took, state = consumed(ranks[-1], state, steps=None)
    together += took
    assert together[:total] == list(range(total))
    assert together[total:] == list(range(len(together) - total)) and len(together) - total < ranks[-1]
    # nothing is left for any number of ranks, and the next epoch is whole
    for number in (1, 3):
        assert consumed(number, state, steps=None)[0] == []
    after = sampler(ranks=2)
    after.load_state_dict(state)
    assert after.start(5) == 0
    assert len(after.dealt(after.batches(5))) == -(-len(after.batches(5)) // 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fingerprint": "xyz"}, r"other training data.*\(fingerprint abc, here xyz\)"),
        ({"seed": 4}, "comes from seed 3, here the seed is 4"),
    ],
)
def test_a_state_of_another_run_is_refused(options: dict[str, object], message: str) -> None:
    first = sampler()
    first.batch_done()
    with pytest.raises(DataError, match=message):
        sampler(**options).load_state_dict(first.state_dict())


def test_an_order_that_cannot_be_dealt_anew_is_refused() -> None:
    first, others = Place(seed=3, fingerprint="abc"), Place(seed=3, fingerprint="abc", ranks=2)
    first.batch_done()
    with pytest.raises(
        DataError, match=r"by 1 process\(es\), now there are 2; resume with 1, or from a checkpoint of"
    ):
        others.load_state_dict(first.state_dict())


def test_a_million_pairs_take_a_second_or_so() -> None:
    random = np.random.default_rng(0)
    source = random.integers(1, 80, 1_000_000)
    started = time.perf_counter()
    Epoch(source, source, BatchLimits(tokens=8000), seed=0, epoch=0)
    assert time.perf_counter() - started < 10  # 0.3 s on an idle machine
