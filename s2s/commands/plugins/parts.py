"""Which parts a name or a path refers to, and the options given for them."""

from argparse import ArgumentParser
from pathlib import Path

from s2s.errors import ConfigError
from s2s.registry import KINDS, Entry, catalogue, use_plugins
from s2s.registry.near_names import unknown

REMEDY = "See: s2s plugins list"


def add_part_options(parser: ArgumentParser) -> None:
    """Add --kind and --option; see `meant` and `s2s.registry.words.given_options`."""
    parser.add_argument("--kind", help=f"kind of the part: {', '.join(KINDS)}")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an option of the part (repeatable)",
    )


def meant(word: str, kind: str | None) -> list[Entry]:
    """The parts with a name, or all parts of the plugins at a path.

    Args:
        word: a catalogue name, a file or a folder.
        kind: only parts of this kind.

    Raises:
        ConfigError: there is none, or parts of several kinds have the name.
    """
    known = catalogue()
    entries = known.entries(kind)
    found = [entry for entry in entries if entry.name == word]
    if found:
        if len({entry.kind for entry in found}) > 1:
            kinds = ", ".join(f"--kind {entry.kind}" for entry in found)
            raise ConfigError(f"{word!r} is the name of several parts; say which: {kinds}")
        return [known.entry(found[0].kind, word)]
    if Path(word).exists():
        return _at(Path(word), kind)
    if any(sign in word for sign in ("/", "\\")) or word.endswith(".py"):
        raise ConfigError(f"{word}: no such file or folder")
    known.entry(kind, word) if kind else None  # raises, and tells of plugins that could not be loaded
    names = sorted({entry.name for entry in entries})
    raise ConfigError(
        unknown("part", word, names, f"{REMEDY}; for one of your own, name its file") + known.why_not()
    )


def _at(path: Path, kind: str | None) -> list[Entry]:
    """All parts of the plugins at a path.

    Raises:
        ConfigError: a plugin there is broken, or names no part.
    """
    before = {(entry.kind, entry.name, entry.target) for entry in catalogue().entries()}
    known = use_plugins(plugin_dirs=[*catalogue().plugin_dirs, path])
    broken = [
        plugin for plugin in known.plugins if plugin.distribution == str(path) and plugin.status == "broken"
    ]
    if broken:
        raise ConfigError("; ".join(f"{plugin} cannot be used: {plugin.error}" for plugin in broken))
    found = [entry for entry in known.entries(kind) if entry.distribution == str(path)]
    found = found or [e for e in known.entries(kind) if (e.kind, e.name, e.target) not in before]
    if not found:
        hooks = ", ".join(KINDS.values()) if kind is None else KINDS[kind]
        raise ConfigError(
            f"{path} names no part; implement a hook in it ({hooks}). See: docs/plugins/hooks.md"
        )
    return found
