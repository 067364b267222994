"""Discovery: what is found, and what one bad plugin does to the others."""

import importlib
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from s2s.errors import ConfigError, PluginError, Terminated
from s2s.registry import PluginWarning
from s2s.registry.discovery import discover
from s2s.registry.hookspecs import KINDS

HEADER = "from s2s.registry import hookimpl\n"
Install = Callable[..., Path]


def cells(returned: str, hook: str = "s2s_cells") -> str:
    return f"{HEADER}@hookimpl\ndef {hook}():\n    return {returned}\n"


def test_first_party_parts_come_through_the_entry_points() -> None:
    found = {(entry.kind, entry.name): entry for entry in discover().entries()}
    for kind, name in [("cell", "LSTM"), ("attention", "Bahdanau"), ("search", "Beam"), ("command", "fit")]:
        assert found[kind, name].distribution == "s2s"
        assert found[kind, name].status == "ok"


def test_another_distribution_brings_a_cell(install: Install) -> None:
    install(
        "madeup-cells",
        "1.2",
        module="made_up_cells",
        source=cells('{"Lazy": "made_up_cells:Lazy"}') + "class Lazy:\n    pass\n",
    )
    catalogue = discover()
    entry = catalogue.entry("cell", "Lazy")
    assert (entry.distribution, entry.version, entry.status) == ("madeup-cells", "1.2", "ok")
    assert catalogue.load("cell", "Lazy").__name__ == "Lazy"
    assert catalogue.path("cell", "Lazy") == "made_up_cells.Lazy"
    assert catalogue.name_of("cell", catalogue.load("cell", "Lazy")) == "Lazy"


def test_a_broken_plugin_that_nobody_uses_is_a_warning(install: Install) -> None:
    install("aaa-broken", "0.3", module="made_up_broken", source="raise RuntimeError('no such device')\n")
    install("bbb-good", "1.0", module="made_up_good", source=cells('{"Good": "made_up_good:Good"}'))
    with pytest.warns(PluginWarning, match="aaa-broken 0.3 cannot be used: RuntimeError: no such device"):
        catalogue = discover()
    assert "Good" in catalogue.names("cell")
    assert "LSTM" in catalogue.names("cell")
    assert [p.name for p in catalogue.plugins if p.status == "broken"] == ["aaa-broken"]


@pytest.mark.parametrize(
    "source",
    ["import sys\nsys.exit(3)\n", f"{HEADER}@hookimpl\ndef s2s_cells():\n    raise SystemExit(3)\n"],
    ids=["when it is imported", "in its hook"],
)
def test_a_plugin_that_ends_the_process_is_broken_like_any_other(install: Install, source: str) -> None:
    install("aaa-leaver", "0.3", module="made_up_leaver", source=source)
    install("bbb-good", "1.0", module="made_up_good", source=cells('{"Good": "made_up_good:Good"}'))
    with pytest.warns(PluginWarning, match="aaa-leaver 0.3 cannot be used: SystemExit: 3"):
        catalogue = discover()
    assert "Good" in catalogue.names("cell")
    assert [p.name for p in catalogue.plugins if p.status == "broken"] == ["aaa-leaver"]


def test_a_class_whose_module_ends_the_process(install: Install) -> None:
    folder = install(
        "madeup-two", "1.0", module="made_up_two", source=cells('{"Bad": "made_up_part_that_leaves:Bad"}')
    )
    (folder / "made_up_part_that_leaves.py").write_text("import sys\nsys.exit('no card')\n")
    with pytest.raises(PluginError, match="cell 'Bad' of madeup-two 1.0 .*: SystemExit: no card"):
        discover().load("cell", "Bad")


@pytest.mark.parametrize("ending", ["KeyboardInterrupt()", "Terminated(15)"])
def test_who_stops_s2s_while_a_plugin_is_imported_stops_it(install: Install, ending: str) -> None:
    raising = f"from s2s.errors import Terminated\nraise {ending}\n"
    folder = install("madeup-slow", "1.0", module="made_up_slow", source=raising)
    with pytest.raises((KeyboardInterrupt, Terminated)):
        discover()
    (folder / "made_up_slow.py").write_text(cells('{"Slow": "made_up_slow_part:Slow"}'))
    (folder / "made_up_slow_part.py").write_text(raising)
    importlib.invalidate_caches()
    with pytest.raises((KeyboardInterrupt, Terminated)):
        discover().load("cell", "Slow")


def test_a_name_that_a_broken_plugin_may_have_brought_tells_its_first_exception(install: Install) -> None:
    install("aaa-broken", "0.3", module="made_up_broken", source="raise RuntimeError('no such device')\n")
    with pytest.warns(PluginWarning):
        catalogue = discover()
    with pytest.raises(ConfigError, match="'Foreign'.*aaa-broken 0.3 is broken .RuntimeError: no such"):
        catalogue.load("cell", "Foreign")


def test_a_class_that_cannot_be_imported_spares_its_siblings(install: Install) -> None:
    install(
        "half",
        "2.0",
        module="made_up_half",
        source=cells('{"Bad": "made_up_absent:Bad", "Good": "made_up_half:Good"}')
        + "class Good:\n    pass\n",
    )
    catalogue = discover()
    assert catalogue.load("cell", "Good").__name__ == "Good"
    with pytest.raises(PluginError, match="cell 'Bad' of half 2.0 .*ModuleNotFoundError.*made_up_absent"):
        catalogue.load("cell", "Bad")


def test_two_classes_of_one_name_tell_both_distributions(install: Install) -> None:
    install("one", "1.0", module="made_up_one", source=cells('{"Twin": "made_up_one:Twin"}'))
    install("two", "2.0", module="made_up_two", source=cells('{"Twin": "made_up_two:Twin"}'))
    with pytest.warns(PluginWarning, match="cell 'Twin' is brought by"):
        catalogue = discover()
    assert {e.status for e in catalogue.entries("cell") if e.name == "Twin"} == {"duplicate"}
    with pytest.raises(ConfigError) as told:
        catalogue.load("cell", "Twin")
    assert "one 1.0" in str(told.value) and "two 2.0" in str(told.value)
    assert catalogue.entry("cell", "LSTM").status == "ok"


def test_one_class_named_twice_is_no_conflict(install: Install) -> None:
    install("one", "1.0", module="made_up_one", source=cells('{"Same": "made_up_one:Same"}'))
    install("two", "2.0", module="made_up_two", source=cells('{"Same": "made_up_one:Same"}'))
    assert discover().entry("cell", "Same").status == "ok"


def test_a_misspelt_hook_is_reported_with_the_nearest(install: Install) -> None:
    install("typo", "1.0", module="made_up_typo", source=cells('{"X": "a:X"}', hook="s2s_cels"))
    with pytest.warns(PluginWarning, match="unknown hook 's2s_cels'; did you mean 's2s_cells'"):
        discover()


@pytest.mark.parametrize("returned", ['["LSTM"]', '{"X": "package.module.X"}', "None"])
def test_a_hook_that_returns_something_else_is_broken(install: Install, returned: str) -> None:
    install("shape", "1.0", module="made_up_shape", source=cells(returned))
    with pytest.warns(PluginWarning, match='s2s_cells must return {"Name": "package.module:Class"}'):
        discover()


def test_no_plugins_does_not_even_import_them(install: Install) -> None:
    install("off", "1.0", module="made_up_off", source="raise RuntimeError('imported')\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        catalogue = discover(third_party=False)
    assert "made_up_off" not in sys.modules
    assert "LSTM" in catalogue.names("cell")
    assert [(p.name, p.status) for p in catalogue.plugins if p.status != "ok"] == [("off", "disabled")]
    with pytest.raises(ConfigError, match="plugin 'off' of off 1.0 is disabled"):
        catalogue.load("cell", "Off")


def test_a_plugin_dir_holds_modules_and_packages(tmp_path: Path) -> None:
    (tmp_path / "made_up_module.py").write_text(cells('{"A": "made_up_module:A"}'))
    (tmp_path / "made_up_package").mkdir()
    (tmp_path / "made_up_package" / "__init__.py").write_text(cells('{"B": "made_up_package:B"}'))
    (tmp_path / "notes.txt").write_text("not Python")
    catalogue = discover(plugin_dirs=[tmp_path])
    assert {"A", "B", "LSTM"} <= set(catalogue.names("cell"))
    assert catalogue.entry("cell", "A").distribution == str(tmp_path)


def test_a_plugin_dir_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        discover(plugin_dirs=[tmp_path / "absent"])


@pytest.mark.parametrize(("kind", "hook"), KINDS.items())
def test_every_hook_brings_parts_of_its_kind(tmp_path: Path, kind: str, hook: str) -> None:
    module = f"made_up_{kind}"
    (tmp_path / f"{module}.py").write_text(
        cells(f'{{"MadeUp": "{module}:MadeUp"}}', hook) + "class MadeUp:\n    pass\n"
    )
    catalogue = discover(plugin_dirs=[tmp_path])
    assert catalogue.load(kind, "MadeUp").__module__ == module


def test_every_hook_is_documented_and_every_kind_has_one() -> None:
    from s2s.registry import hookspecs

    specified = {name for name in vars(hookspecs) if name.startswith("s2s_")}
    assert specified == set(KINDS.values())
    assert all(getattr(hookspecs, name).__doc__ for name in specified)


def test_discovery_imports_no_torch() -> None:
    code = "import sys, s2s.registry; s2s.registry.catalogue(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_single_file_and_a_single_package(tmp_path: Path) -> None:
    for name in ("made_up_alone", "made_up_sibling"):
        (tmp_path / f"{name}.py").write_text(cells(f'{{"{name}": "{name}:A"}}'))
    package = tmp_path / "made_up_boxed"
    package.mkdir()
    (package / "__init__.py").write_text(cells('{"Boxed": "made_up_boxed:Boxed"}'))
    found = discover(plugin_dirs=[tmp_path / "made_up_alone.py", package]).names("cell")
    assert {"made_up_alone", "Boxed"} <= set(found)
    assert "made_up_sibling" not in found


def test_an_unknown_name_tells_of_a_file_that_names_no_part(tmp_path: Path) -> None:
    """@hookimpl is forgotten easily, and without it nothing is wrong with a module."""
    forgotten, helper = tmp_path / "made_up_forgotten.py", tmp_path / "made_up_helper.py"
    forgotten.write_text(cells('{"Mine": "made_up_forgotten:Mine"}').replace("@hookimpl\n", ""))
    told = f"{forgotten} names no part; implement a hook in it, marked with @hookimpl (s2s_cells). See: "
    with pytest.raises(ConfigError, match=f"unknown cell 'Mine'.*[.] {re.escape(told)}") as raised:
        discover(plugin_dirs=[forgotten, forgotten]).load("cell", "Mine")
    assert str(raised.value).count("names no part") == 1
    # A folder that names a part may have modules that name none, and so may one that was read before.
    helper.write_text("")
    (tmp_path / "made_up_names.py").write_text(cells('{"Named": "made_up_names:Named"}'))
    known = discover(plugin_dirs=[tmp_path, helper, tmp_path / "made_up_names.py"])
    with pytest.raises(ConfigError, match="unknown cell 'Mine'") as raised:
        known.load("cell", "Mine")
    assert "names no part" not in str(raised.value)
    with pytest.warns(PluginWarning):
        (tmp_path / "made_up_broken_too.py").write_text("1 / 0\n")
        known = discover(plugin_dirs=[tmp_path / "made_up_broken_too.py"])
    with pytest.raises(ConfigError, match="made_up_broken_too.py is broken .ZeroDivisionError") as raised:
        known.load("cell", "Mine")
    assert "names no part" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("notes.txt", "no Python module; name a folder or a .py file"),
        ("made_up-1.0-py3-none-any.whl", "no Python module; install it: pip install .*whl"),
        ("made-up.py", "'made-up' cannot be imported; give it a name of letters"),
    ],
)
def test_a_file_that_cannot_be_a_plugin(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / name).write_text("")
    with pytest.raises(ConfigError, match=message):
        discover(plugin_dirs=[tmp_path / name])


def test_a_file_whose_name_another_module_has(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text(cells('{"J": "json:J"}'))
    with pytest.warns(PluginWarning, match="another module has the name 'json' .*rename the plugin"):
        catalogue = discover(plugin_dirs=[tmp_path / "json.py"])
    assert "J" not in catalogue.names("cell")


def test_a_plugin_that_asks_for_a_newer_interface(install: Install) -> None:
    source = "S2S_INTERFACE = 99\n" + cells('{"Future": "made_up_future:Future"}')
    install("future", "3.0", module="made_up_future", source=source)
    wanted = "it asks for version 99 of the plugin interface, and this s2s has version 1; install a newer s2s"
    with pytest.warns(PluginWarning, match=wanted):
        catalogue = discover()
    with pytest.raises(ConfigError, match=f"unknown cell 'Future'.*{wanted}"):
        catalogue.load("cell", "Future")
    assert "LSTM" in catalogue.names("cell")
