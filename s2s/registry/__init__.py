"""Plugins: hooks, discovery, and the catalogue of parts. Imports no torch."""

from collections.abc import Sequence
from pathlib import Path

from s2s.registry.catalogue import Catalogue, Entry, Plugin
from s2s.registry.discovery import PluginWarning, discover
from s2s.registry.hookspecs import KINDS, hookimpl

__all__ = ["KINDS", "Catalogue", "Entry", "Plugin", "PluginWarning", "catalogue", "hookimpl", "use_plugins"]

_catalogue: Catalogue | None = None


def catalogue() -> Catalogue:
    """The catalogue of this process: discovered at the first call, or by `use_plugins`."""
    return _catalogue if _catalogue is not None else use_plugins()


def use_plugins(*, third_party: bool = True, plugin_dirs: Sequence[Path | str] = ()) -> Catalogue:
    """Discover plugins anew and make the result this process's catalogue.

    Args:
        third_party: False: only the parts that come with s2s, as `--no-plugins`.
        plugin_dirs: Folders (or files) with plugins of your own, as `--plugin-dir`.
    """
    global _catalogue
    _catalogue = discover(third_party=third_party, plugin_dirs=[Path(folder) for folder in plugin_dirs])
    return _catalogue
