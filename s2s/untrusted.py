"""Reading and showing untrusted data: no waiting for pipes, full memory, stack overflow or control of the terminal."""

import errno
import json
import os
import stat
from io import BufferedReader
from pathlib import Path
from typing import Any

MOST_BYTES = 2**28
"""Largest file that is read as a whole: configurations and tokenizers are far smaller; weights are memory-mapped."""

MOST_NODES = 1_000_000
"""Most values of a YAML file, those of an alias counted at each use. No configuration comes near."""


def read_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """The contents of a regular file.

    Args:
        path: the file.
        most: maximum size in bytes.

    Raises:
        OSError: it cannot be read, is a pipe, a device or a folder, or is larger.
    """
    with ordinary(path) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"larger than {most} bytes", str(path))
    return data


def ordinary(path: Path) -> BufferedReader:
    """A regular file, opened for reading.

    Raises:
        OSError: it cannot be opened, or is a pipe, a device or a folder.
    """
    file = open(path, "rb", opener=_at_once)  # noqa: SIM115 (the caller closes it)
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise OSError(errno.EINVAL, "not an ordinary file", str(path))


def _at_once(path: str, flags: int) -> int:
    # Do not wait for a pipe without a writer.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def printable(text: str) -> str:
    """Text for a terminal: control characters, which could control it, are escaped as in Python."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        OSError: see `read_bytes`.
        ValueError: it is not JSON in UTF-8, or nested too deeply.
    """
    return parse_json(read_bytes(path))


def parse_json(data: bytes | str) -> Any:
    """Parse JSON.

    Args:
        data: in UTF-8.

    Raises:
        ValueError: it is not JSON in UTF-8, or nested too deeply.
    """
    try:
        return json.loads(data.decode("utf-8") if isinstance(data, bytes) else data)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def parse_yaml(data: bytes | str, loader: Any = None) -> Any:
    """Parse YAML into numbers, text, lists and mappings: a safe loader builds no other objects.

    Args:
        data: in UTF-8.
        loader: a subclass of `yaml.SafeLoader`; None: that class.

    Raises:
        yaml.YAMLError: it is not YAML, or asks for an object.
        ValueError: it is not UTF-8, holds an invalid number or date or a value that its tag does not allow, is nested
            too deeply, or becomes huge when its aliases are expanded.
    """
    import yaml  # not needed to read JSON

    reader = (loader or yaml.SafeLoader)(data.decode("utf-8") if isinstance(data, bytes) else data)
    try:
        node = reader.get_single_node()
        if node is None:
            return None
        if _nodes(node, {}) > MOST_NODES:
            raise ValueError(f"it has more than {MOST_NODES:,} values where its aliases are followed")
        return reader.construct_document(node)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except (LookupError, AttributeError, TypeError) as error:  # raised by yaml itself: `!!bool x`, `!!int ''`
        raise ValueError("it holds a value that its tag does not allow") from error
    finally:
        reader.dispose()


def _nodes(node: Any, known: dict[int, int]) -> int:
    """The number of values in a YAML node, shared ones counted at each use."""
    if id(node) not in known:
        known[id(node)] = MOST_NODES + 1  # a node that contains itself is infinite
        inside = node.value if isinstance(node.value, list) else []
        known[id(node)] = 1 + sum(
            sum(_nodes(one, known) for one in each) if isinstance(each, tuple) else _nodes(each, known)
            for each in inside
        )
    return known[id(node)]
