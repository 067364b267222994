"""Finding plugins: by entry point, and in folders and files that the user names.

pluggy's own loader stops at the first plugin that cannot be imported, so the entry points are walked
here: each failure is recorded and the walk goes on.
"""

import importlib
import importlib.metadata
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pluggy

from s2s.errors import ConfigError, PluginError, Terminated
from s2s.registry import hookspecs
from s2s.registry.catalogue import Catalogue, Entry, Plugin
from s2s.registry.hookspecs import GROUP, INTERFACE, KINDS
from s2s.registry.near_names import unknown

OWN_DISTRIBUTION = "s2s"


class PluginWarning(UserWarning):
    """Something is wrong with a plugin; it matters only to runs that use it."""


@dataclass(frozen=True)
class _Found:
    plugin: Plugin
    module: str
    folder: Path | None = None


def discover(*, third_party: bool = True, plugin_dirs: Sequence[Path] = ()) -> Catalogue:
    """Ask all plugins for the names of their parts. Imports the plugins' modules, not their parts.

    Args:
        third_party: False: the plugins of other distributions are listed as disabled and are not imported.
        plugin_dirs: Folders whose modules and packages are plugins too, or one such module or package; the folder
            is put on the import path.

    Raises:
        ConfigError: a plugin_dir is none of these.
    """
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    plugins: list[Plugin] = []
    entries: list[Entry] = []
    for found in [*_in_folders(plugin_dirs), *_by_entry_point()]:
        plugin = found.plugin
        # Blocked before it is imported: what is disabled must not run.
        if not third_party and plugin.distribution != OWN_DISTRIBUTION and found.module:
            manager.set_blocked(plugin.name)
            plugins.append(replace(plugin, status="disabled"))
            continue
        try:
            module = importlib.import_module(found.module)
            _refuse_another(module, found)
            _refuse_a_newer_interface(module)
            if manager.is_registered(module):
                continue
            entries += _register(manager, module, plugin)
        except Terminated:  # a signal, not the plugin's fault
            raise
        except (Exception, SystemExit) as error:  # a failing plugin must not affect the others
            plugin = replace(plugin, status="broken", error=f"{type(error).__name__}: {error}")
            warnings.warn(f"{plugin} cannot be used: {plugin.error}", PluginWarning, stacklevel=2)
        plugins.append(plugin)
    return Catalogue(_with_duplicates_marked(entries), plugins, plugin_dirs)


def _by_entry_point() -> Iterable[_Found]:
    seen = set()
    for point in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda p: (p.name, p.value)):
        distribution, version = (point.dist.name, point.dist.version) if point.dist else ("?", "")
        # An editable install lies on the import path twice: once by its metadata, once by its folder.
        if (key := (distribution, point.name, point.value)) not in seen:
            seen.add(key)
            yield _Found(Plugin(point.name, distribution, version, module=point.value), point.value)


def _in_folders(paths: Sequence[Path]) -> Iterable[_Found]:
    for path in paths:
        if not path.exists():
            raise ConfigError(
                f"--plugin-dir {path}: no such folder; name one that holds plugins, or a .py file"
            )
        if path.is_file() and path.suffix != ".py":
            remedy = (
                f"install it: pip install {path}" if path.suffix == ".whl" else "name a folder or a .py file"
            )
            raise ConfigError(f"--plugin-dir {path}: this file is no Python module; {remedy}")
        alone = path.is_file() or (path / "__init__.py").exists()
        folder = path.resolve().parent if alone else path.resolve()
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
            importlib.invalidate_caches()
        for module in [path.resolve()] if alone else sorted(folder.iterdir()):
            importable = module.suffix == ".py" or (module / "__init__.py").exists()
            named = module.stem.isidentifier() and not module.stem.startswith("_")
            if importable and named:
                yield _Found(Plugin(module.stem, str(path), "", module=module.stem), module.stem, folder)
            elif alone:
                raise ConfigError(
                    f"--plugin-dir {path}: {module.stem!r} cannot be imported; give it a name of letters, digits and "
                    "underscores that begins with a letter"
                )


def _refuse_another(module: Any, found: _Found) -> None:
    """Raise if an already imported module of the same name hides the one in the folder."""
    origin = getattr(module, "__file__", None)
    if found.folder is not None and (
        origin is None or not Path(origin).resolve().is_relative_to(found.folder)
    ):
        raise PluginError(
            f"another module has the name {found.module!r} ({origin or 'built in'}); rename the plugin"
        )


def _refuse_a_newer_interface(module: Any) -> None:
    wanted = getattr(module, "S2S_INTERFACE", INTERFACE)
    if not isinstance(wanted, int) or wanted > INTERFACE:
        raise PluginError(
            f"it asks for version {wanted} of the plugin interface, and this s2s has version {INTERFACE}; "
            "install a newer s2s or an older version of the plugin"
        )


def _register(manager: pluggy.PluginManager, module: Any, plugin: Plugin) -> list[Entry]:
    manager.register(module, name=f"{plugin.distribution}:{plugin.name}")
    callers = manager.get_hookcallers(module) or []
    for caller in callers:
        if not caller.has_spec():
            raise PluginError(unknown("hook", caller.name, KINDS.values(), "See: s2s/registry/hookspecs.py"))
    kinds = {hook: kind for kind, hook in KINDS.items()}
    entries = []
    for caller in callers:
        implementations = [i for i in caller.get_hookimpls() if i.plugin is module]
        for implementation in implementations:
            for name, target in _checked(caller.name, implementation.function()).items():
                entries.append(Entry(kinds[caller.name], name, target, plugin.distribution, plugin.version))
    return entries


def _checked(hook: str, names: Any) -> dict[str, str]:
    well_formed = isinstance(names, dict) and all(
        isinstance(name, str) and isinstance(target, str) and target.count(":") == 1
        for name, target in names.items()
    )
    if not well_formed:
        raise PluginError(f'{hook} must return {{"Name": "package.module:Class"}}, not {names!r}')
    return dict(names)


def _with_duplicates_marked(entries: list[Entry]) -> list[Entry]:
    distinct = list({(e.kind, e.name, e.target): e for e in reversed(entries)}.values())
    times = Counter((e.kind, e.name) for e in distinct)
    marked = [replace(e, status="duplicate") if times[e.kind, e.name] > 1 else e for e in distinct]
    for (kind, name), count in times.items():
        if count > 1:
            rivals = [e for e in marked if (e.kind, e.name) == (kind, name)]
            owners = " and ".join(f"{e.distribution} {e.version}".strip() for e in rivals)
            message = f"{kind} {name!r} is brought by {owners}; it cannot be used"
            warnings.warn(message, PluginWarning, stacklevel=3)
    return marked
