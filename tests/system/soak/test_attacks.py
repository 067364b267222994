"""The first attempts of every attack: the short form of `make soak`."""

import pytest

from soak.campaign import run
from soak.catalogue import attacks

ATTACKS = attacks()


@pytest.mark.parametrize("name", ATTACKS)
def test_the_promise_holds(name, tmp_path):
    attack = ATTACKS[name]
    tally = run(attack, attack.short, results=tmp_path)
    assert tally.broken == 0, tally.told
    assert tally.attempts == attack.short
    assert sum(tally.counts.values()) >= attack.short  # something was tried each time
