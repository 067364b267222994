"""Almost valid file contents: random mutations of valid ones, without coverage feedback."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Sequence
from typing import Any

_PIECES = [
    b"\x00",
    b"\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"\t",
    b" ",
    b'"',
    b"#",
    b",",
    b"[" * 100_000,
    b'{"a":' * 5_000,
    b"9" * 5_000,
    b"x" * 200_000,
    b"-1",
    b"nan",
    b"1e999",
    b"1_0",
    b"null",
    b"\\ud800",
    b"\\u0000",
    "\u2028\u0085\u202e\u0301".encode(),
    "²٣".encode(),  # digits for some functions, numbers for few
    b"\x1f\x8b\x08\x00",
]
_VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**63,
    10**400,
    0.5,
    float("nan"),
    float("inf"),
    "",
    "\x00",
    "..",
    "\ud800",
    "x" * 300,
    [],
    [[]],
    {},
    {"": None},
    [None, "a", 1],
]


def mutated(seeds: Sequence[bytes], generator: random.Random) -> bytes:
    """One of the seeds with a few mutations; in a JSON object, of its values as often as of its bytes."""
    content = generator.choice(seeds)
    tree = _tree(content) if generator.random() < 0.5 else None
    if tree is not None:
        for _ in range(generator.randrange(1, 4)):
            tree = _other_value(tree, generator)
        return json.dumps(tree).encode()
    for _ in range(generator.choice([1, 1, 2, 3, 8])):
        content = _other_bytes(content, seeds, generator)
    return content


def _tree(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _other_value(tree: Any, generator: random.Random) -> Any:
    inside = list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    if not inside or generator.random() < 0.15:
        return copy.deepcopy(generator.choice(_VALUES))
    key = generator.choice(list(inside))
    if generator.random() < 0.2:
        del tree[key]
    else:
        tree[key] = _other_value(tree[key], generator)
    return tree


def _other_bytes(content: bytes, seeds: Sequence[bytes], generator: random.Random) -> bytes:
    start, end = sorted(generator.randrange(len(content) + 1) for _ in range(2))
    kind = generator.randrange(6)
    if kind == 0 and content:  # a bit
        place = generator.randrange(len(content))
        flipped = content[place] ^ (1 << generator.randrange(8))
        return content[:place] + bytes([flipped]) + content[place + 1 :]
    if kind == 1:  # an unusual value
        return content[:start] + generator.choice(_PIECES) + content[start:]
    if kind == 2:  # delete a part
        return content[:start] + content[end:]
    if kind == 3:  # repeat a part
        return content[:end] + content[start:]
    if kind == 4:  # splice in the end of another
        other = generator.choice(seeds)
        return content[:start] + other[generator.randrange(len(other) + 1) :]
    return content[:start] + generator.randbytes(generator.randrange(1, 9)) + content[end:]
