"""The catalogue: which parts there are, from which distribution, and the class behind a name."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from s2s.errors import ConfigError, PluginError, Terminated
from s2s.registry.hookspecs import KINDS
from s2s.registry.near_names import nearest, unknown

REMEDY = "See: s2s plugins list"


@dataclass(frozen=True)
class Plugin:
    """A module that s2s found: by entry point or in a --plugin-dir.

    Attributes:
        name: The entry point's name, or the module's in a --plugin-dir.
        distribution: The installed distribution it comes from, or the folder.
        version: The distribution's version, "" if it has none.
        status: "ok", "disabled", or "broken".
        error: The first exception, if broken.
        module: What is imported.
    """

    name: str
    distribution: str
    version: str
    status: str = "ok"
    error: str = ""
    module: str = ""

    def __str__(self) -> str:
        origin = f"{self.distribution} {self.version}".strip()
        return f"plugin {self.name!r} of {origin}"


@dataclass(frozen=True)
class Entry:
    """One name in the catalogue.

    Attributes:
        kind: One of `KINDS`.
        name: The name used in configurations.
        target: Where the class is, "package.module:Class".
        distribution: The distribution that provides it.
        version: That distribution's version.
        status: "ok", or "duplicate" if another class has the same kind and name.
    """

    kind: str
    name: str
    target: str
    distribution: str
    version: str
    status: str = "ok"


class Catalogue:
    """Names of parts, by kind. Only `load` imports classes.

    Args:
        entries: The names.
        plugins: The plugins that were found, usable or not.
        plugin_dirs: The folders and files given by the user.
    """

    def __init__(
        self,
        entries: Iterable[Entry],
        plugins: Iterable[Plugin] = (),
        plugin_dirs: Iterable[Path] = (),
    ) -> None:
        self._entries = list(entries)
        self.plugins = list(plugins)
        self.plugin_dirs = list(plugin_dirs)

    def entries(self, kind: str | None = None) -> list[Entry]:
        """All entries, or those of one kind, sorted by kind and name."""
        order = list(KINDS)
        chosen = [entry for entry in self._entries if kind is None or entry.kind == _known_kind(kind)]
        return sorted(chosen, key=lambda entry: (order.index(entry.kind), entry.name, entry.distribution))

    def names(self, kind: str) -> list[str]:
        """The names of one kind, sorted."""
        return sorted({entry.name for entry in self.entries(kind)})

    def entry(self, kind: str, name: str) -> Entry:
        """The entry of that kind and name.

        Raises:
            ConfigError: no plugin provides the name, or two do.
        """
        found = [entry for entry in self.entries(kind) if entry.name == name]
        if not found:
            names = self.names(kind)
            remedy = REMEDY if nearest(name, names) else f"{REMEDY}; a part of your own: --plugin-dir FOLDER"
            raise ConfigError(unknown(kind, name, names, remedy) + self.why_not(kind))
        if len(found) > 1:
            owners = " and ".join(f"{e.distribution} {e.version} ({e.target})" for e in found)
            raise ConfigError(
                f"{kind} {name!r} is brought by two plugins: {owners}; uninstall one or rename its part"
            )
        return found[0]

    def why_not(self, kind: str | None = None) -> str:
        """Possible reasons why a name is unknown, to append to an error message; "" if there are none.

        Args:
            kind: of the name; None: any.
        """
        lost = [f"{p} is broken ({p.error})" for p in self.plugins if p.status == "broken"]
        lost += [f"{p} is disabled" for p in self.plugins if p.status == "disabled"]
        lines = [f"It might come from a plugin that was not loaded: {line}" for line in lost]
        hooks = "s2s_cells and the like" if kind is None else KINDS[kind]
        lines += [
            f"{path} names no part; implement a hook in it, marked with @hookimpl ({hooks}). See: docs/plugins/hooks.md"
            for path in self._idle_dirs()
        ]
        return "".join(f". {line}" for line in lines)

    def _idle_dirs(self) -> list[str]:
        """The folders and files given by the user whose modules were all imported but register no part."""
        imported = {plugin.distribution for plugin in self.plugins if plugin.status == "ok"}
        other = {plugin.distribution for plugin in self.plugins if plugin.status != "ok"}
        naming = {entry.distribution for entry in self._entries}
        named = dict.fromkeys(str(path) for path in self.plugin_dirs)
        return [path for path in named if path in imported - other - naming]

    def path(self, kind: str, name: str) -> str:
        """The class's import path with dots, "package.module.Class", without importing it."""
        return self.entry(kind, name).target.replace(":", ".")

    def load(self, kind: str, name: str) -> Any:
        """The class (or, for a command, the function) behind a name, imported now.

        Raises:
            ConfigError: the name is unknown or ambiguous.
            PluginError: its module cannot be imported or lacks the class.
        """
        entry = self.entry(kind, name)
        module, _, attribute = entry.target.partition(":")
        try:
            return _attribute(import_module(module), attribute)
        except Terminated:  # a signal
            raise
        except (Exception, SystemExit) as error:  # whatever it is, the plugin caused it
            origin = f"{entry.distribution} {entry.version}".strip()
            raise PluginError(
                f"{kind} {name!r} of {origin} cannot be imported from {entry.target}: "
                f"{type(error).__name__}: {error}"
            ) from error

    def find(self, part: type, kind: str | None = None) -> Entry | None:
        """The entry of a class; None if the class is not in the catalogue."""
        target = f"{part.__module__}:{part.__qualname__}"
        chosen = self.entries(kind)
        for entry in chosen:
            if entry.target == target:
                return entry
        for entry in chosen:  # a target may name the place from which the class is re-exported
            module, _, attribute = entry.target.partition(":")
            if module in sys.modules and _attribute(sys.modules[module], attribute, None) is part:
                return entry
        return None

    def name_of(self, kind: str, part: type) -> str:
        """The catalogue name of a class.

        Raises:
            ConfigError: no plugin's hook returns the class.
        """
        entry = self.find(part, kind)
        if entry is None:
            raise ConfigError(
                f"{part.__module__}.{part.__qualname__} is no {kind} of the catalogue; "
                f"name it in a plugin's {KINDS[kind]} hook. "
                f"Known: {', '.join(self.names(kind)) or 'none'}. {REMEDY}"
            )
        return entry.name


_REQUIRED = object()


def _attribute(module: Any, dotted: str, default: Any = _REQUIRED) -> Any:
    value = module
    for word in dotted.split("."):
        value = getattr(value, word) if default is _REQUIRED else getattr(value, word, default)
    return value


def _known_kind(kind: str) -> str:
    if kind not in KINDS:
        raise ConfigError(unknown("kind of part", kind, KINDS))
    return kind
