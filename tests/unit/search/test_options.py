"""Options that a strategy does not take are refused with the names of those that take them."""

import pytest

from s2s.errors import ConfigError
from s2s.registry import catalogue
from s2s.search.options import build_strategy, call_options, check_call_options, constructor_options, takers
from s2s_plugins.search.beam import Beam
from s2s_plugins.search.constrained import ConstrainedBeam
from s2s_plugins.search.greedy import Greedy
from s2s_plugins.search.sampling import Sampling


def test_strategies_tell_their_options():
    assert constructor_options(Greedy) == call_options(Greedy) == []
    assert constructor_options(Sampling) == ["samples", "temperature", "top_k", "top_p", "seed"]
    for name in catalogue().names("search"):
        strategy = catalogue().load("search", name)
        for option in (*constructor_options(strategy), *call_options(strategy)):
            assert name in takers(option)


def test_what_is_given_with_each_sentence_is_told_apart():
    assert call_options(ConstrainedBeam) == ["phrases"]
    assert takers("phrases") == ["ConstrainedBeam"]
    check_call_options(ConstrainedBeam(), ["phrases"])
    message = "search 'Beam' takes no 'phrases'; it takes no options. What takes it: ConstrainedBeam"
    with pytest.raises(ConfigError, match=message):
        check_call_options(Beam(), ["phrases"])


def test_a_strategy_is_built_with_its_options():
    built = build_strategy("Beam", {"size": 7, "beta": 0.2})
    assert isinstance(built, Beam)
    assert (built.size, built.beta) == (7, 0.2)
    check_call_options(built, [])


@pytest.mark.parametrize(
    ("name", "option", "message"),
    [
        (
            "Greedy",
            "top_p",
            "search 'Greedy' takes no 'top_p'; it takes no options. What takes it: Sampling$",
        ),
        ("Beam", "temperature", "search 'Beam' takes no 'temperature'; it takes size, n_best, .*: Sampling$"),
        ("Sampling", "beta", "search 'Sampling' takes no 'beta'; it takes samples, .* What takes it: Beam$"),
        ("Beam", "sizes", "search 'Beam': unknown option 'sizes'; did you mean 'size'?"),
        ("Beem", "size", "unknown search 'Beem'; did you mean 'Beam'?"),
        ("Beam", "size", "beam size 0 is impossible"),
    ],
)
def test_what_cannot_be_is_refused_by_name(name, option, message):
    with pytest.raises(ConfigError, match=message):
        build_strategy(name, {option: 0})
