"""From texts that come to batches of like lengths."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2s.errors import DataError
from s2s.inference import windows
from s2s.inference.windows import checked, in_batches, in_windows


@given(st.lists(st.text(max_size=9)), st.integers(1, 5))
def test_windows_hold_all_texts_in_their_order(texts, size):
    found = list(in_windows(texts, size))
    assert list(itertools.chain.from_iterable(found)) == texts
    assert all(len(window) == size for window in found[:-1])
    assert all(found)


def test_a_window_of_long_texts_is_shorter(monkeypatch):
    monkeypatch.setattr(windows, "WINDOW_LETTERS", 4)
    texts = ["abc", "d", "e", "f", "ghijklm", "n"]
    assert list(in_windows(texts, 3)) == [["abc", "d"], ["e", "f", "ghijklm"], ["n"]]


def test_texts_are_checked_when_they_are_reached():
    texts = checked(["a\nb", 3], one_line=False)
    assert next(texts) == "a\nb"
    with pytest.raises(DataError, match="text 1 is a int, not a str: 3"):
        next(texts)
    with pytest.raises(DataError, match="text 0 has several lines"):
        list(checked(["a\nb"], one_line=True))


@given(st.lists(st.integers(0, 20)), st.integers(1, 30))
def test_batches_hold_every_sentence_once_and_keep_their_budget(lengths, budget):
    batches = list(in_batches(lengths, budget))
    places = list(itertools.chain.from_iterable(batches))
    assert sorted(places) == [place for place, length in enumerate(lengths) if length]
    assert [lengths[place] for place in places] == sorted(filter(None, lengths), reverse=True)
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[place] for place in batch) <= budget
