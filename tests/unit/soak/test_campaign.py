"""The campaign counts what happened, finds what is broken, and goes on where it stopped."""

import json
import random
import sys
from collections import Counter

from benchmarks.machine import ROOT
from soak.attack import Attack, Broken, Outcome
from soak.campaign import run
from soak.table import BEGIN, END, PAGE, table


class Panic(BaseException):
    """As Python sees a panic of a library in Rust."""


class Thirds(Attack):
    name = "thirds"
    promise = "Two of three hold."
    units = "tries"
    attempts = 9
    short = 3

    def __init__(self):
        self.prepared = 0
        self.seen = []

    def prepare(self, folder):
        assert not list(folder.iterdir())
        self.prepared += 1

    def attempt(self, number, folder):
        assert not list(folder.iterdir())
        (folder / "something").write_text("to be deleted")
        self.seen.append(number)
        if number % 3 == 1:
            raise Broken(f"the {number}th")
        if number == 8:
            raise Panic("unforeseen")
        return Outcome(Counter(held=1), {"seconds": float(number)})


def test_what_happened_is_counted(tmp_path):
    tally = run(Thirds(), 9, results=tmp_path)
    assert (tally.attempts, tally.counts, tally.broken) == (9, {"held": 5}, 4)
    assert [one["attempt"] for one in tally.told] == [1, 4, 7, 8]
    assert tally.told[0]["what"] == "the 1th" and "unforeseen" in tally.told[3]["what"]
    assert 'File "soak/campaign.py"' in tally.told[3]["what"], "no path of this machine"
    assert tally.figures == {"seconds": 6.0}


def test_it_goes_on_where_it_stopped(tmp_path):
    run(Thirds(), 4, results=tmp_path)
    second = Thirds()
    tally = run(second, 9, results=tmp_path)
    assert second.seen == [4, 5, 6, 7, 8] and (tally.attempts, tally.broken) == (9, 4)
    third = Thirds()
    run(third, 9, results=tmp_path)
    assert third.prepared == 0


def test_it_stops_in_time(tmp_path):
    assert run(Thirds(), 4, seconds=0, results=tmp_path).attempts == 0
    second = Thirds()
    assert run(second, 4, results=tmp_path).attempts == 4 and second.seen == [0, 1, 2, 3]


def test_another_commit_begins_anew(tmp_path):
    run(Thirds(), 4, results=tmp_path)
    path = tmp_path / "thirds.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "commit": "0" * 40}))
    second = Thirds()
    assert run(second, 3, results=tmp_path).attempts == 3 and second.seen == [0, 1, 2]


def test_the_page_has_the_table_of_the_results():
    shown = PAGE.read_text().split(BEGIN, 1)[1].split(END, 1)[0].strip()
    assert shown == table()


def test_what_is_told_names_no_path_of_this_machine(tmp_path):
    class Empty(Thirds):
        def attempt(self, number, folder):
            return random.choice([])

    (told,) = run(Empty(), 1, results=tmp_path).told
    assert "/random.py" in told["what"]
    assert not any(str(place) in told["what"] for place in (ROOT, sys.prefix, sys.base_prefix))
