"""Threads that search: each has one thread of torch, and nobody else notices."""

import os
import signal
import threading

import pytest
import torch

from s2s.inference import one_thread
from s2s.inference.one_thread import use_one_thread
from s2s.inference.workers import Workers
from s2s.spare import both, has_spare


def in_a_new_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def test_one_thread_for_one_thread_alone(three_threads):
    def one():
        use_one_thread()
        return torch.get_num_threads()

    assert in_a_new_thread(one) == 1
    assert torch.get_num_threads() == 3
    assert in_a_new_thread(torch.get_num_threads) == 3


def test_tasks_run_side_by_side_and_keep_their_order(three_threads):
    together = threading.Barrier(2)

    def task(number):
        together.wait(10)  # passes only if both run at once
        return number, torch.get_num_threads()

    with Workers(2, use_one_thread) as workers:
        waiting = workers.start([lambda: task(1), lambda: task(2)])
        assert [one() for one in waiting] == [(1, 1), (2, 1)]
        # Now that both are prepared: meanwhile it may be read as 1.
        assert in_a_new_thread(torch.get_num_threads) == 3
    assert torch.get_num_threads() == 3


def test_a_task_that_is_alone_has_one_thread_of_torch_too(three_threads):
    with Workers(2, use_one_thread) as workers:
        (waiting,) = workers.start([torch.get_num_threads])
        assert waiting() == 1
    assert torch.get_num_threads() == 3


def test_one_thread_is_one_thread_of_torch(three_threads):
    with Workers(1, use_one_thread) as workers:
        assert [one() for one in workers.start([torch.get_num_threads] * 2)] == [1, 1]


def test_without_company_and_preparation_the_caller_works_itself():
    with Workers(1) as workers:
        waiting = workers.start([threading.get_ident] * 3)
        assert [one() for one in waiting] == [threading.get_ident()] * 3


def at_once(seconds=10):
    """Whether two functions run at once: they wait for each other."""
    barrier = threading.Barrier(2)

    def meet():
        try:
            barrier.wait(seconds)
        except threading.BrokenBarrierError:
            return False
        return True

    return both(meet, meet) == (True, True)


def test_a_task_that_is_alone_has_a_second_thread_for_its_parts(three_threads):
    with Workers(2, use_one_thread) as workers:
        for _ in range(2):
            (waiting,) = workers.start([at_once])
            assert waiting()
        (waiting,) = workers.start([lambda: both(torch.get_num_threads, torch.get_num_threads)])
        assert waiting() == (1, 1)


def test_tasks_among_others_have_none():
    with Workers(2, use_one_thread) as workers:
        assert not any(one() for one in workers.start([has_spare] * 2))
    with Workers(1, use_one_thread) as workers:
        assert not workers.start([has_spare])[0]()
    release = threading.Event()
    with Workers(3, use_one_thread) as workers:
        (first,) = workers.start([lambda: release.wait(10)])
        (second,) = workers.start([has_spare])
        assert not second(), "another task is running"
        release.set()
        assert first()
        assert workers.start([has_spare])[0](), "it has ended"


def test_a_later_task_gets_the_thread_that_was_spare():
    helped, release = threading.Event(), threading.Event()

    def lone():
        used = at_once()
        helped.set()
        release.wait(10)
        return used, at_once(0.1)

    with Workers(2, use_one_thread) as workers:
        (first,) = workers.start([lone])
        assert helped.wait(10)
        (second,) = workers.start([lambda: release.set() or "done"])
        assert second() == "done"
        assert first() == (True, False)


def test_what_was_not_begun_is_given_up():
    begun, done = threading.Event(), []

    def slow():
        begun.set()
        release.wait(10)

    release = threading.Event()
    with pytest.raises(KeyboardInterrupt), Workers(2, use_one_thread) as workers:
        workers.start([slow, slow, *[lambda: done.append(1)] * 20])
        begun.wait(10)
        threading.Timer(0.05, release.set).start()
        raise KeyboardInterrupt
    assert len(done) < 20


def used(workers):
    return [one() for one in workers.start([threading.current_thread])]


def test_threads_are_left_to_the_next_caller_but_not_after_an_error():
    def kept():  # of a kind of its own: nobody else's
        return None

    with Workers(2, kept) as workers:
        first = used(workers)
        with Workers(2, kept) as others:
            assert used(others) != first, "two callers at once"
    with Workers(2, kept) as workers:
        assert used(workers) == first
    with pytest.raises(KeyboardInterrupt), Workers(2, kept) as workers:
        assert used(workers) == first
        raise KeyboardInterrupt
    with Workers(2, kept) as workers:
        assert not first[0].is_alive()
        assert workers.start([lambda: "answered"])[0]() == "answered"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_starts_threads_of_its_own():
    def kept():
        return None

    with Workers(2, kept) as workers:
        used(workers)
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # it would wait for ever
        with Workers(2, kept) as workers:
            os._exit(len(used(workers)))
    found = os.waitpid(child, 0)[1]
    assert os.waitstatus_to_exitcode(found) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_process_forked_while_a_thread_is_prepared_can_prepare_its_own(three_threads):
    held, ended = threading.Event(), threading.Event()

    def prepare():
        with one_thread._LOCK:
            held.set()
            ended.wait(0.2)

    thread = threading.Thread(target=prepare)
    thread.start()
    held.wait(10)
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # it would wait for ever
        use_one_thread()
        os._exit(torch.get_num_threads())
    ended.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    use_one_thread()  # and so can this one
