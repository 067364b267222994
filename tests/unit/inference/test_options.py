"""Options of a translation: one list for Python and the command line, all checked in one place."""

import dataclasses
import inspect
import re
import typing

import pytest

from s2s.commands.translate import parser
from s2s.errors import ConfigError
from s2s.inference.options import Given, Options, flags
from s2s.inference.translator import Translator

NAMES = [field.name for field in dataclasses.fields(Options)]


def test_the_names_are_the_same_everywhere():
    assert typing.get_type_hints(Given) == typing.get_type_hints(Options)
    assert [flag.name for flag in flags()] == NAMES
    actions = {action.dest: action for action in parser()._actions}
    for flag in flags():
        action = actions[flag.name]
        assert tuple(action.option_strings) == flag.flags
        assert flag.flags[0] == "--" + flag.name.replace("_", "-")
        assert action.default is None, "defaults live in Options"


def test_every_option_is_documented():
    for flag in flags():
        assert flag.about.split(" (default")[0].strip(), flag.name
        assert f"        {flag.name}: " in Options.__doc__


@pytest.mark.parametrize("flag", list(flags()), ids=lambda flag: flag.name)
def test_what_comes_from_a_paper_names_it(flag):
    no_paper = ("search", "n_best", "alpha", "samples", "strength", "seed", "split", "language", "weights")
    lengths = ("limit_ratio", "limit_extra", "max_tokens", "minimum_ratio", "min_tokens", "max_source_tokens")
    named = re.search(r"[A-Z]\w+ (et al\. |& [A-Z]\w+ )?\d{4}", flag.about) is not None
    assert named == (flag.name not in (*no_paper, *lengths, "batch_tokens"))


def test_translate_and_stream_take_them():
    for method in (Translator.translate, Translator.stream):
        assert "options" in inspect.signature(method).parameters


@pytest.mark.parametrize("name", NAMES)
def test_a_value_of_another_kind(name):
    with pytest.raises(ConfigError, match=f"^{name} is {{}}; it must be "):
        Options.of({name: {}})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"beam": 0}, "beam is 0; it must be 1 or more"),
        ({"beam": True}, "beam is True; it must be a whole number"),
        ({"beam": 2, "n_best": 3}, "n_best 3 is impossible with a beam of 2; choose 1 to 2 or a larger beam"),
        ({"n_best": 0}, "n_best is 0; it must be 1 or more"),
        ({"normalization": "mean"}, "unknown normalization 'mean'; known: wu, length, none"),
        ({"alpha": float("nan")}, "alpha is nan; it must be 0 or more"),
        ({"limit_ratio": float("inf")}, "limit_ratio is inf; it must be 0 or more"),
        ({"limit_ratio": 1e300}, "limit_ratio is 1e+300; it must be 0 or more and at most 1,000,000"),
        ({"minimum_ratio": 1e300}, "minimum_ratio is 1e+300; it must be 0 or more and at most 1,000,000"),
        ({"max_tokens": 10**23}, f"max_tokens is {10**23}; it must be 0 or more and at most 1,000,000,000"),
        ({"min_tokens": 10**10}, "min_tokens is 10000000000; it must be 0 or more and at most 1,000,000,000"),
        ({"limit_extra": 10**10}, "limit_extra is 10000000000; it must be 0 or more and at most 1,000,000,"),
        ({"top_k": 10**23}, f"top_k is {10**23}; it must be 1 or more and at most 1,000,000,000"),
        ({"no_repeat_ngram": 10**23}, f"no_repeat_ngram is {10**23}; it must be 1 or more and at most 1,0"),
        ({"alpha": 1e300}, "alpha is 1e+300; it must be 0 or more and at most 10"),
        ({"beta": 1e300}, "beta is 1e+300; it must be 0 or more and at most 1,000,000"),
        ({"strength": 1e300}, "strength is 1e+300; it must be 0 or more and at most 1,000,000"),
        ({"temperature": 1e-320}, "temperature is 1e-320; it must be 0.0001 or more and at most 10,000"),
        ({"temperature": 1e38}, "temperature is 1e+38; it must be 0.0001 or more and at most 10,000"),
        ({"limit_extra": -1}, "limit_extra is -1; it must be 0 or more"),
        ({"limit_extra": 0.5}, "limit_extra is 0.5; it must be a whole number"),
        ({"batch_tokens": 0}, "batch_tokens is 0; it must be 1 or more"),
        ({"max_source_tokens": 0}, "max_source_tokens is 0; it must be 1 or more"),
        ({"temperature": 0.0}, "temperature is 0.0; it must be above 0"),
        ({"top_p": 1.5}, "top_p is 1.5; it must be above 0 and at most 1"),
        (
            {"minimum_risk": "ChrF"},
            "minimum_risk 'ChrF' compares samples, but samples is None; it must be 2 or more",
        ),
        ({"banned": "word"}, "banned is 'word'; it must be a list of str"),
        (
            {"banned": ["word", " "]},
            "banned is ['word', ' ']; it must be a list of str, and none of them empty",
        ),
        (
            {"prefix": "a", "shortlist": True},
            "the tokens of prefix may be missing from the shortlist; leave out prefix or",
        ),
        ({"normalisation": "wu"}, "unknown option 'normalisation'; did you mean 'normalization'?"),
    ],
)
def test_what_cannot_be(given, message):
    with pytest.raises(ConfigError) as caught:
        Options.of(given)
    assert message in str(caught.value)


def test_what_can_be():
    assert Options.of({"banned": ["a", "b"]}) == Options(banned=("a", "b"))
    assert Options.of({}) == Options()
    assert Options.of({"limit_ratio": 2, "alpha": 0, "beam": None}) == Options(limit_ratio=2.0, alpha=0.0)
