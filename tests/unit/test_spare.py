"""A spare thread: the same results with and without it, and nobody waits for one that does not come."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from s2s.spare import MOST_ALONE, SpareThread, both, has_spare, helping

WAIT = 10


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Time stands still, so that a busy machine makes nobody late; the list is what the clock shows next."""
    shown = []
    monkeypatch.setattr(time, "perf_counter", lambda: shown.pop(0) if shown else 0.0)
    return shown


@pytest.fixture
def pool():
    with ThreadPoolExecutor(1) as made:
        yield made


def here_and_there():
    return both(threading.get_ident, threading.get_ident)


def met(barrier):
    """Both functions wait for each other: they return only if they run at once."""
    return both(lambda: barrier.wait(WAIT), lambda: barrier.wait(WAIT))


def test_without_a_spare_thread_they_run_in_turn():
    assert not has_spare()
    order = []
    assert both(lambda: order.append(1) or "one", lambda: order.append(2) or None) == ("one", None)
    assert order == [1, 2]


def test_with_one_they_run_at_once_and_keep_their_places(pool):
    with helping(SpareThread(pool)):
        assert has_spare()
        assert sorted(met(threading.Barrier(2))) == [0, 1]
        gate = threading.Event()
        assert both(lambda: gate.wait(WAIT) and "here", lambda: gate.set() or "there") == ("here", "there")
    assert not has_spare()


def test_it_is_another_thread_that_others_do_not_have(pool):
    with helping(SpareThread(pool)):
        gate = threading.Event()
        _, other = both(lambda: gate.wait(WAIT), lambda: (gate.set(), threading.get_ident()))
        assert other[1] != threading.get_ident()
        with ThreadPoolExecutor(1) as others:
            assert not others.submit(has_spare).result()
            first, second = others.submit(here_and_there).result()
            assert first == second


def test_a_part_not_begun_is_taken_back(pool):
    release = threading.Event()
    pool.submit(release.wait, WAIT)  # its only thread is busy
    with helping(SpareThread(pool)):
        assert here_and_there() == (threading.get_ident(),) * 2
    release.set()


def test_a_thread_that_is_late_is_asked_less_and_less(pool):
    release = threading.Event()
    pool.submit(release.wait, WAIT)
    spare = SpareThread(pool)
    asked = []
    with helping(spare):
        for number in range(1, 2000):
            before = spare._parts.qsize()
            both(int, int)
            if spare._parts.qsize() > before:
                asked.append(number)
    release.set()
    gaps = [later - earlier - 1 for earlier, later in zip(asked, asked[1:], strict=False)]
    assert gaps[:9] == [1, 2, 4, 8, 16, 32, 64, 128, 256]
    assert set(gaps[9:]) == {MOST_ALONE}


@pytest.mark.parametrize(("begun", "ended", "answered", "late"), [(5, 7, 9, False), (5, 7, 9.1, True)])
def test_late_is_who_takes_more_than_twice_as_long(pool, clock, begun, ended, answered, late):
    with helping(SpareThread(pool)):
        clock[:] = [begun, ended, answered]
        assert sorted(met(threading.Barrier(2))) == [0, 1]
        if late:
            assert here_and_there() == (threading.get_ident(),) * 2, "not asked once"
        assert sorted(met(threading.Barrier(2))) == [0, 1], "asked again"


def test_a_thread_that_is_in_time_again_is_asked_as_before(pool):
    release = threading.Event()
    busy = pool.submit(release.wait, WAIT)
    with helping(SpareThread(pool)):
        for _ in range(3):
            both(int, int)  # late, alone, late: then alone twice
        release.set()
        busy.result()
        both(int, int)
        both(int, int)
        for _ in range(5):
            gate = threading.Event()
            assert both(lambda: gate.wait(WAIT), lambda: gate.set() or True) == (True, True)  # noqa: B023


@pytest.mark.parametrize("where", ["here", "there", "taken back"])
def test_an_error_comes_out_after_both_have_ended(pool, where):
    ended = []

    def fails():
        raise KeyError("mine")

    def works():
        time.sleep(0.02)
        ended.append(1)

    release = threading.Event()
    if where == "taken back":
        pool.submit(release.wait, WAIT)
    begun = threading.Event()

    def here():
        if where == "here":
            begun.wait(WAIT)  # the other one has begun, and goes on while this one fails
            fails()
        works()

    def there():
        begun.set()
        works() if where == "here" else fails()

    with helping(SpareThread(pool)):
        with pytest.raises(KeyError, match="mine"):
            both(here, there)
        assert ended == [1]
        release.set()
        if where != "taken back":
            assert sorted(met(threading.Barrier(2))) == [0, 1], "it works on"


def test_a_part_of_a_part_runs_in_turn(pool):
    begun, end = threading.Event(), threading.Event()

    def here():
        begun.wait(WAIT)
        assert here_and_there() == (threading.get_ident(),) * 2
        assert spare._parts.empty(), "the thread that is busy is not asked"
        end.set()
        return True

    def there():
        begun.set()
        assert here_and_there() == (threading.get_ident(),) * 2
        return end.wait(WAIT)

    spare = SpareThread(pool)
    with helping(spare):
        assert both(here, there) == (True, True)
        assert sorted(met(threading.Barrier(2))) == [0, 1], "it was not late"


@pytest.mark.parametrize("started", [False, True])
def test_once_dismissed_its_thread_is_free(pool, started):
    spare = SpareThread(pool)
    with helping(spare):
        if started:
            met(threading.Barrier(2))
        spare.dismiss()
        assert pool.submit(lambda: "free").result(WAIT) == "free"
        assert here_and_there() == (threading.get_ident(),) * 2
    spare.dismiss()  # twice is as good as once


def test_a_pool_that_is_shut_down_gives_none():
    with ThreadPoolExecutor(1) as pool:
        pass
    with helping(SpareThread(pool)):
        assert here_and_there() == (threading.get_ident(),) * 2
