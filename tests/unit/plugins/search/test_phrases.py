"""Progress with phrases against looking for them in the prefix."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2s.errors import ConfigError
from s2s_plugins.search.phrases import Phrases

words = st.integers(4, 6)
sequences = st.lists(words, min_size=1, max_size=4)


def holds(tokens, phrase) -> bool:
    return any(tokens[i : i + len(phrase)] == list(phrase) for i in range(len(tokens)))


def matched(tokens, phrase) -> int:
    """The longest beginning of the phrase with which the tokens end."""
    return max(n for n in range(len(phrase) + 1) if tokens[len(tokens) - n :] == list(phrase[:n]))


@given(st.lists(sequences, max_size=3), st.lists(words, max_size=12))
def test_progress_is_what_the_prefix_shows(given_phrases, tokens):
    phrases = Phrases(given_phrases)
    assert sorted(phrases.phrases) == sorted({tuple(phrase) for phrase in given_phrases})
    progress = phrases.begin()
    for length in range(len(tokens) + 1):
        prefix = tokens[:length]
        missing = tuple(phrase for phrase in phrases.phrases if not holds(prefix, phrase))
        met = phrases.size - sum(map(len, missing))
        assert phrases.unmet(progress) == missing
        assert phrases.held(progress) == met + max((matched(prefix, phrase) for phrase in missing), default=0)
        assert phrases.next_tokens(progress) == [phrase[matched(prefix, phrase)] for phrase in missing]
        if length < len(tokens):
            progress = phrases.advance(progress, tokens[length])


@pytest.mark.parametrize("phrase", [[], [4, 3], [0], [-4]])
def test_impossible_phrases_are_told(phrase):
    with pytest.raises(
        ConfigError, match=r"phrase \[.*\] is impossible; it needs one token or more, and padding"
    ):
        Phrases([[4], phrase])
