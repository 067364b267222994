"""The catalogue's errors: value, choices, remedy."""

import inspect

import pytest

from s2s.errors import ConfigError
from s2s.registry import Catalogue, Entry, catalogue
from s2s.registry.near_names import nearest, unknown
from s2s.registry.parts import SIZES, options

NAMES = ("LSTM", "GRU", "Elman")
KNOWN = Catalogue([Entry("cell", name, f"made_up.cells:{name}", "made-up", "1.0") for name in NAMES])


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError) as told:
        KNOWN.load("cell", "LSTN")
    expected = "unknown cell 'LSTN'; did you mean 'LSTM'? Known: Elman, GRU, LSTM. See: s2s plugins list"
    assert str(told.value) == expected


def test_case_does_not_hide_the_nearest_name() -> None:
    assert nearest("lstm", ["LSTM", "GRU"]) == "LSTM"
    assert nearest("zzz", ["LSTM", "GRU"]) is None


def test_without_a_near_name_the_known_ones_stand_alone() -> None:
    assert unknown("cell", "zzz", ["B", "A"]) == "unknown cell 'zzz'. Known: A, B."
    assert unknown("cell", "zzz", []) == "unknown cell 'zzz'. Known: none."


def test_without_a_near_name_it_may_be_a_part_of_ones_own() -> None:
    own = "See: s2s plugins list; a part of your own: --plugin-dir FOLDER$"
    with pytest.raises(ConfigError, match=own):
        KNOWN.entry("cell", "zzz")
    with pytest.raises(ConfigError, match="did you mean 'LSTM'.*See: s2s plugins list$"):
        KNOWN.entry("cell", "LSTN")


def test_an_unknown_kind() -> None:
    with pytest.raises(ConfigError, match="unknown kind of part 'cel'; did you mean 'cell'"):
        KNOWN.entries("cel")


def test_a_class_outside_the_catalogue_has_no_name() -> None:
    class Stranger:
        pass

    with pytest.raises(
        ConfigError, match="Stranger is no cell of the catalogue; name it in a .* s2s_cells hook"
    ):
        KNOWN.name_of("cell", Stranger)


def test_a_path_is_given_without_importing() -> None:
    assert KNOWN.path("cell", "GRU") == "made_up.cells.GRU"


def test_there_is_one_catalogue_per_process() -> None:
    assert catalogue() is catalogue()


def test_first_party_parts_are_given_as_many_sizes_as_their_kind_has() -> None:
    for kind, number in SIZES.items():
        for name in catalogue().names(kind):
            part = catalogue().load(kind, name)
            sizes = [
                parameter
                for parameter in inspect.signature(part).parameters
                if parameter not in options(part)
            ]
            assert len(sizes) == number, (kind, name)
