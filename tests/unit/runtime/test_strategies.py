"""An export and its bundle decide alike which search is done; what only the bundle can do is refused by name."""

import itertools

import pytest

from s2s.errors import ConfigError
from s2s.inference import strategies
from s2s.inference.options import Options
from s2s.registry import catalogue
from s2s.runtime.search import Beam, Greedy
from s2s.runtime.strategies import strategy_of
from s2s.search.options import build_strategy, call_options, constructor_options

RECOMMENDED = [
    ("Greedy", {}),
    ("Beam", {}),
    ("Beam", {"size": 3, "normalization": "length", "alpha": 0.2, "beta": 0.0}),
    ("Beam", {"size": 4, "n_best": 2}),
    ("Beam", {"size": 2, "beta": 0.3}),
    ("DiverseBeam", {"size": 6, "groups": 2, "normalization": "none", "alpha": 0.3}),
    ("ConstrainedBeam", {"size": 7, "alpha": 0.4}),
    ("Sampling", {"samples": 2}),
]
CHOICES = {
    "search": [None, "Greedy", "Beam", "DiverseBeam", "Sampling"],
    "beam": [None, 1, 4],
    "n_best": [1, 3, 9],
    "normalization": [None, "length"],
    "alpha": [None, 0.0, 0.9],
    "beta": [None, 0.0],
}


def options():
    for values in itertools.product(*CHOICES.values()):
        given = dict(zip(CHOICES, values, strict=True))
        if given["beam"] is None or given["n_best"] <= given["beam"]:  # else they are no options
            yield Options.of(given)


def of_bundle(options, name, arguments):
    """What the bundle would do: [name, arguments], or the text of its refusal."""
    spec = {"class_path": name, "init_args": arguments}
    try:
        strategy = strategies.strategy_of(options, build_strategy(name, arguments), spec)
    except ConfigError as error:
        return str(error)
    name = type(strategy).__name__
    if name != "Beam":
        return [name, {}]
    lengths = strategy.lengths
    sizes = {"size": strategy.size, "n_best": strategy.n_best, "beta": strategy.beta}
    return ["Beam", {**sizes, "normalization": lengths.kind, "alpha": lengths.alpha}]


def of_export(options, name, arguments, takes=None):
    """What the runtime of an export does, in the same form."""
    try:
        spec = {"class_path": name, "init_args": arguments}
        strategy = strategy_of(options, spec, "export.json", takes)
    except ConfigError as error:
        return str(error)
    return [type(strategy).__name__, {**vars(strategy), "beta": 0.0} if isinstance(strategy, Beam) else {}]


@pytest.mark.parametrize(("name", "arguments"), RECOMMENDED, ids=str)
def test_an_export_does_what_its_bundle_does_or_refuses_by_name(name, arguments):
    done = 0
    for asked in options():
        expected, found = of_bundle(asked, name, arguments), of_export(asked, name, arguments)
        if isinstance(found, list):
            assert found == expected, asked
            done += 1
        elif isinstance(expected, list):  # refused, and the bundle does it: only for what this runtime lacks
            searched = asked.search or name
            if searched not in ("Greedy", "Beam"):
                assert f"cannot do search {searched!r}" in found, asked
            else:
                assert expected[1]["beta"] > 0 and "cannot weigh coverage" in found, asked
    assert done  # beam 1 and search Greedy, at the least


@pytest.mark.parametrize(("name", "arguments"), RECOMMENDED, ids=str)
def test_an_export_that_knows_the_options_of_the_search_does_all_beams_of_its_bundle(name, arguments):
    strategy = catalogue().load("search", name)
    takes = [*constructor_options(strategy), *call_options(strategy)]
    for asked in options():
        expected, found = of_bundle(asked, name, arguments), of_export(asked, name, arguments, takes)
        if isinstance(found, list):
            assert found == expected, asked
        elif isinstance(expected, list) and expected[0] == "Beam":
            assert expected[1]["beta"] > 0 and "cannot weigh coverage" in found, asked


WEIGHS = {"class_path": "Beam", "init_args": {"beta": 0.5}}


@pytest.mark.parametrize(
    ("recommended", "given", "expected"),
    [
        ("Greedy", {}, Greedy()),
        ("Sampling", {"beam": 1}, Greedy()),
        ("Greedy", {"alpha": 0.1}, Beam(alpha=0.1)),
        (WEIGHS, {"beta": 0.0}, Beam()),
        ({"class_path": "Beam", "init_args": {"size": 4, "n_best": 2}}, {}, Beam(4, 2)),
        (
            {"class_path": "Beam", "init_args": {"size": 4, "n_best": 2}},
            {"alpha": 0.1},
            Beam(4, 1, alpha=0.1),
        ),
        (
            {"class_path": "DiverseBeam", "init_args": {"size": 8, "normalization": "none"}},
            {"search": "Beam"},
            Beam(normalization="none"),
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Greedy) else str(value),
)
def test_by_hand(recommended, given, expected):
    found = strategy_of(Options.of(given), recommended, "export.json")
    assert (type(found), vars(found)) == (type(expected), vars(expected))


@pytest.mark.parametrize(
    ("recommended", "given", "message"),
    [
        (
            "Sampling",
            {"beam": 4},
            "cannot do search 'Sampling', which export.json recommends; ask for search Beam or Greedy",
        ),
        ("DiverseBeam", {"alpha": 0.1}, "cannot do search 'DiverseBeam', which export.json recommends"),
        ("Beam", {"search": "Sampling"}, "cannot do search 'Sampling'; ask for search Beam or Greedy"),
        (
            WEIGHS,
            {"beam": 4},
            "cannot weigh coverage, and export.json recommends beta 0.5; give beta 0, or translate with its",
        ),
        ("Beam", {"search": "Greedy", "beam": 1}, "search 'Greedy' takes no 'beam'. What takes it: Beam"),
        (
            {"class_path": "Beam", "init_args": {"size": 2}},
            {"n_best": 3},
            "n_best 3 is impossible with a beam of 2",
        ),
    ],
    ids=str,
)
def test_refusals(recommended, given, message):
    with pytest.raises(ConfigError, match=message):
        strategy_of(Options.of(given), recommended, "export.json")


@pytest.mark.parametrize("search", ["Beam,size=4", "Greedy,beam=1"])
def test_options_within_the_name_are_refused_with_those_that_are_known(search):
    with pytest.raises(ConfigError, match="not within its name; known: beam, n_best, normalization"):
        strategy_of(Options.of({"search": search}), "Beam", "export.json")
