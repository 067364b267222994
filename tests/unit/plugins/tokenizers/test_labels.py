"""Whole labels as tokens."""

import pytest

from s2s.errors import DataError
from s2s.text.tokenizer import UNK, UNKNOWN_TEXT
from s2s_plugins.tokenizers.labels import Labels


def test_a_label_is_one_token_the_most_frequent_first() -> None:
    labels = Labels()
    labels.train(["very good", "bad", "so  so", "bad ", "", " bad", "very good"])
    assert labels.tokens(range(4, labels.vocabulary_size)) == ["bad", "very good", "so  so"]
    assert [labels.encode(text) for text in ("bad", " very good\t", "so  so", "so so", "", " ")] == [
        [4],
        [5],
        [6],
        [UNK],
        [],
        [],
    ]
    assert labels.decode([2, 5, 3, 0]) == "very good" and labels.decode([UNK]) == UNKNOWN_TEXT
    assert labels.decode([4, 6]) == "bad\nso  so"
    assert labels.unknown_texts(" new one ", [UNK]) == ["new one"] and labels.unknown_texts("bad", [4]) == []


def test_labels_with_newlines_survive_saving() -> None:
    labels, again = Labels(), Labels()
    labels.train(["a\nb", 'c "d"\u2028'])
    again.restore(labels.dump())
    assert again.encode("a\nb") == labels.encode("a\nb") != [UNK]


def test_no_label_at_all() -> None:
    with pytest.raises(DataError, match="there is no text to train the tokenizer on: every line is empty"):
        Labels().train(["", " "])
