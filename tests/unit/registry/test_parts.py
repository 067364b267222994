"""Specs and factories: two directions of one tree."""

import functools
import json
from collections.abc import Callable
from typing import Any, Literal

import jsonargparse
import pytest

from s2s import registry
from s2s.errors import ConfigError
from s2s.registry import Catalogue, Entry
from s2s.registry.parts import check_values, describe, factory, kind_of_option


class Cell:
    def __init__(self, input_size: int, hidden_size: int, *, bias: bool = True) -> None:
        self.sizes = (input_size, hidden_size)
        self.bias = bias


class OtherCell(Cell):
    def __init__(self, input_size: int, hidden_size: int, *, scales: tuple[float, ...] = (1.0, 2.0)) -> None:
        super().__init__(input_size, hidden_size)
        self.scales = scales


class Encoder:
    def __init__(
        self,
        input_size: int,
        *,
        cell: Callable[[int, int], Cell] = Cell,
        second_cell: Callable[[int, int], Cell] | None = None,
        hidden_size: int = 4,
    ) -> None:
        self.cell = cell(input_size, hidden_size)
        self.second = second_cell(hidden_size, hidden_size) if second_cell else None


class WantsMore(Cell):
    def __init__(self, input_size: int, hidden_size: int, alpha) -> None:  # type: ignore[no-untyped-def]
        super().__init__(input_size, hidden_size)


class WantsANumber(Cell):
    def __init__(self, input_size: int, hidden_size: int, alpha: int, *, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias=bias)


class WantsAGain(Cell):
    def __init__(self, input_size: int, hidden_size: int, *, gain: float) -> None:
        super().__init__(input_size, hidden_size)
        self.gain = gain


class Picky(Cell):
    def __init__(self, input_size: int, hidden_size: int, *, share: float = 0.5) -> None:
        super().__init__(input_size, hidden_size)
        if not 0 <= share < 1:
            raise ValueError(f"share {share} is not\nfrom 0 to below 1.")


class Stranger(Cell):
    pass


@pytest.fixture(autouse=True)
def made_up_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [("cell", "Plain", Cell), ("cell", "Other", OtherCell), ("encoder", "Made", Encoder)]
    parts += [("cell", "More", WantsMore), ("cell", "Number", WantsANumber), ("cell", "Gain", WantsAGain)]
    parts += [("cell", "Picky", Picky)]
    entries = [
        Entry(kind, name, f"{part.__module__}:{part.__name__}", "made-up", "1") for kind, name, part in parts
    ]
    monkeypatch.setattr(registry, "_catalogue", Catalogue(entries))


@pytest.mark.parametrize(
    ("option", "kind"),
    [
        ("cell", "cell"),
        ("target_embedding", "embedding"),
        ("model.encoder", "encoder"),
        ("hidden_size", None),
    ],
)
def test_the_last_word_of_an_option_is_the_kind(option: str, kind: str | None) -> None:
    assert kind_of_option(option) == kind


def test_a_name_builds_with_defaults() -> None:
    built = factory("cell", "Plain")(3, 5)
    assert (built.sizes, built.bias) == ((3, 5), True)


def test_nested_parts_are_built_by_their_holder() -> None:
    spec = {
        "class_path": "Made",
        "init_args": {
            "cell": {"class_path": "Plain", "init_args": {"bias": False}},
            "second_cell": "Other",
            "hidden_size": 7,
        },
    }
    built = factory("encoder", spec)(3)
    assert (built.cell.sizes, built.cell.bias, built.second.sizes) == ((3, 7), False, (7, 7))


def test_no_part_stays_no_part() -> None:
    assert factory("encoder", {"class_path": "Made", "init_args": {"second_cell": None}})(3).second is None


def test_describe_fills_in_the_defaults_and_can_be_written_as_json() -> None:
    described = describe(factory("encoder", {"class_path": "Made", "init_args": {"second_cell": "Other"}}))
    assert described == {
        "class_path": "Made",
        "init_args": {
            "cell": {"class_path": "Plain", "init_args": {"bias": True}},
            "second_cell": {"class_path": "Other", "init_args": {"scales": [1.0, 2.0]}},
            "hidden_size": 4,
        },
    }
    assert json.loads(json.dumps(described)) == described


def test_describe_and_factory_are_each_others_reverse() -> None:
    spec = describe(factory("encoder", {"class_path": "Made", "init_args": {"hidden_size": 9}}))
    assert describe(factory("encoder", spec)) == spec


def test_what_jsonargparse_builds_is_described_alike() -> None:
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--encoder", type=Callable[[int], Encoder])
    here = __name__
    tree: dict[str, Any] = {
        "class_path": f"{here}.Encoder",
        "init_args": {"cell": {"class_path": f"{here}.Cell", "init_args": {"bias": False}}, "hidden_size": 6},
    }
    built = parser.instantiate(parser.parse_object({"encoder": tree})).encoder
    assert describe(built) == {
        "class_path": "Made",
        "init_args": {
            "cell": {"class_path": "Plain", "init_args": {"bias": False}},
            "second_cell": None,
            "hidden_size": 6,
        },
    }


def test_describe_takes_a_bare_class_and_a_partial() -> None:
    assert describe(Cell) == {"class_path": "Plain", "init_args": {"bias": True}}
    assert describe(functools.partial(Cell, bias=False)) == {
        "class_path": "Plain",
        "init_args": {"bias": False},
    }


def test_a_misspelt_option() -> None:
    with pytest.raises(ConfigError) as told:
        factory("cell", {"class_path": "Plain", "init_args": {"bais": False}})
    assert str(told.value) == "cell 'Plain': unknown option 'bais'; did you mean 'bias'? Known: bias."


def test_an_option_without_a_default() -> None:
    for kind, spec in (
        ("cell", "Gain"),
        ("encoder", {"class_path": "Made", "init_args": {"second_cell": "Gain"}}),
    ):
        with pytest.raises(
            ConfigError, match=r"^cell 'Gain': option 'gain' has no default; give it a value$"
        ):
            factory(kind, spec)
    assert factory("cell", {"class_path": "Gain", "init_args": {"gain": 2.0}})(1, 2).gain == 2.0


def test_a_size_is_no_option() -> None:
    with pytest.raises(ConfigError, match="unknown option 'input_size'"):
        factory("cell", {"class_path": "Plain", "init_args": {"input_size": 3}})


@pytest.mark.parametrize(
    ("name", "part", "message"),
    [
        (
            "More",
            WantsMore,
            "'alpha' of WantsMore has no default and no type; .* give it both, as in `.*, alpha: ",
        ),
        (
            "Number",
            WantsANumber,
            "'alpha' of WantsANumber has no default; a name alone .* give it one, as in `",
        ),
    ],
)
@pytest.mark.parametrize("given", [{}, {"alpha": 1}])
def test_a_constructor_that_wants_more_than_sizes(
    name: str, part: type[Cell], message: str, given: dict[str, Any]
) -> None:
    message = f"^cell '{name}': constructor argument {message}"
    with pytest.raises(ConfigError, match=message):
        factory("cell", {"class_path": name, "init_args": given})
    with pytest.raises(ConfigError, match=message):
        factory("encoder", {"class_path": "Made", "init_args": {"cell": name}})
    with pytest.raises(ConfigError, match=message):
        describe(functools.partial(part, **given))


@pytest.mark.parametrize("sizes", [(3, 4), {"hidden_size": 4, "input_size": 3}])
def test_a_value_that_a_constructor_refuses(sizes: Any) -> None:
    told = (
        r"^cell 'Picky' cannot be built with (?=.*input_size=3)(?=.*hidden_size=4)(?=.*share=7.0).*: ValueError: "
        r"share 7.0 is not from 0 to below 1 \(line \d+ of .*test_parts\). See: s2s plugins show Picky$"
    )
    spec = {"class_path": "Picky", "init_args": {"share": 7.0}}
    with pytest.raises(ConfigError, match=told) as error:
        factory("cell", spec)(**sizes) if isinstance(sizes, dict) else factory("cell", spec)(*sizes)
    assert isinstance(error.value.__cause__, ValueError)


def test_a_value_that_a_constructor_refuses_in_a_nested_part() -> None:
    spec = {"class_path": "Made", "init_args": {"cell": {"class_path": "Picky", "init_args": {"share": 7.0}}}}
    with pytest.raises(ConfigError, match="^cell 'Picky' cannot be built with input_size=2, hidden_size=4, "):
        factory("encoder", spec)(2)


def test_a_misspelt_nested_part() -> None:
    with pytest.raises(ConfigError, match="unknown cell 'Othr'; did you mean 'Other'"):
        factory("encoder", {"class_path": "Made", "init_args": {"cell": "Othr"}})


@pytest.mark.parametrize("spec", [3, None, ["Plain"], {"name": "Plain"}])
def test_what_is_no_spec(spec: Any) -> None:
    with pytest.raises(ConfigError, match="cell: expected a name or {class_path: NAME"):
        factory("cell", spec)


def test_a_strange_key_beside_class_path() -> None:
    with pytest.raises(ConfigError, match="unknown key 'init_arg'; did you mean 'init_args'"):
        factory("cell", {"class_path": "Plain", "init_arg": {}})


def test_what_is_in_no_hook_cannot_be_described() -> None:
    with pytest.raises(ConfigError, match="Stranger is in no plugin's hook"):
        describe(Stranger)
    with pytest.raises(ConfigError, match="expected a class of the catalogue"):
        describe(lambda input_size, hidden_size: Cell(input_size, hidden_size))


def takes(
    size: int = 1,
    *,
    share: float = 0.5,
    names: list[str] | None = None,
    betas: tuple[float, float] = (0.9, 0.99),
    way: Literal["up", "down"] = "up",
    anything: Any = None,
) -> None: ...


@pytest.mark.parametrize(
    "given",
    [
        {"size": 3, "share": 1, "names": ["a"], "betas": [0, 1.0], "way": "down", "anything": {"a": object}},
        {"names": None, "betas": (0.1, 0.2)},
    ],
)
def test_values_of_their_types(given: dict[str, Any]) -> None:
    check_values("part", takes, given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"size": 1.5}, "part: option 'size' is 1.5; it must be of type int"),
        ({"size": True}, "part: option 'size' is True; it must be of type int"),
        ({"size": None}, "part: option 'size' is None; it must be of type int"),
        ({"share": "0.5"}, "part: option 'share' is '0.5'; it must be of type float"),
        ({"names": "ab"}, "part: option 'names' is 'ab'; it must be of type list"),
        ({"names": [1]}, r"part: option 'names' is \[1\]; it must be of type list"),
        ({"betas": ["a", "b"]}, "part: option 'betas' is .*; it must be of type tuple"),
        ({"way": "left"}, "part: option 'way' is 'left'; it must be of type Literal.*'up', 'down'"),
        ({"size": "9" * 1000}, r"part: option 'size' is '9{59}\.\.\.; it must be of type int"),
    ],
)
def test_values_of_other_types(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_values("part", takes, given)


def test_options_of_a_spec_are_a_mapping() -> None:
    with pytest.raises(ConfigError, match=r"cell 'LSTM': init_args is \[1\], not a mapping of options"):
        factory("cell", {"class_path": "LSTM", "init_args": [1]})
