"""Random numbers that are a function, against SplitMix64 in Python's whole numbers."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from s2s.search.randomness import mixed, uniform, words

SIGNED = st.integers(-(2**63), 2**63 - 1)


def plain(state: int, part: int) -> int:
    bits = ((state ^ part) + 0x9E3779B97F4A7C15) % 2**64
    bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB % 2**64
    return bits ^ (bits >> 31)


@given(state=SIGNED, part=SIGNED)
def test_mixing_is_splitmix(state, part):
    found = mixed(words(np.array([state])), words(np.array([part])))
    expected = plain(state % 2**64, part % 2**64)
    assert found.tolist() == [expected]
    assert uniform(found).tolist() == [(expected >> 11) / 2**53]


def test_the_first_number_of_splitmix():
    # What Java's SplittableRandom(0) gives first.
    assert mixed(words(np.array([0])), words(np.array([0]))).tolist() == [0xE220A8397B1DCDAF]
