"""Ways to corrupt a file: bytes, JSON trees, headers, or replacing the file itself."""

import copy
import json
import os
import pickletools
import random
import shutil
import socket
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from s2s.untrusted import parse_yaml
from soak.contained import MARK

LARGE = (2**15, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63 - 1, 2**63, 2**64, 10**30)
SMALL = (0, -1, -2, -(2**31), -(2**63), 0.5, 1e308, float("nan"), float("inf"), True, False, None)
TEXTS = (
    "",
    "\0",
    "../../../../etc/passwd",
    "/etc/passwd",
    "/dev/zero",
    "..",
    ".",
    "a" * 5000,
    "os.system",
    "subprocess.Popen",
    "builtins.eval",
    "torch.load",
    f"{MARK}.Thing",
    f"__import__('{MARK}')",
    f"pytorch_lightning.callbacks.{MARK}",
    "pytorch_lightning.callbacks.LambdaCallback",
    f"{MARK}:Thing",
    "torch.nn.Linear",
    "\ud800",
    "${HOME}",
    "!!python/object/apply:os.system [id]",
    "Ω\u202e",
    "object",
    "O",
    "float64",
)
MOST_NESTED = 100_000
MOST_BYTES = 2**24
"""Maximum bytes added to a protocol buffer by repeating a field: memory limits are for small files."""


def bytes_of(data: bytes, chance: random.Random) -> tuple[bytes, str]:
    """Corrupted bytes, and how; always different, unless there is nothing to corrupt."""
    if not data:
        return chance.randbytes(8), "8 random bytes"
    place = chance.randrange(len(data))
    if chance.random() < 0.4:  # where headers are
        place = chance.randrange(min(len(data), 64))
    length = min(chance.choice((1, 2, 4, 8, 64, 1000)), len(data) - place)
    piece = data[place : place + length]
    how = chance.choice(
        ("cut", "flip", "swap", "double", "delete", "zero", "ones", "number", "random", "add")
    )
    if how == "cut":
        return data[:place], f"cut at {place}"
    if how == "flip":
        bit = 1 << chance.randrange(8)
        return data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :], f"bit {bit} at {place}"
    if how == "swap":
        other = chance.randrange(len(data))
        spoilt = bytearray(data)
        spoilt[place], spoilt[other] = spoilt[other], spoilt[place] ^ (spoilt[place] == spoilt[other])
        return bytes(spoilt), f"bytes {place} and {other} swapped"
    if how == "double":
        times = chance.choice((1, 2, 100))
        return data[:place] + piece * times + data[place:], f"{length} bytes at {place} {times} times more"
    if how == "delete":
        return data[:place] + data[place + length :], f"{length} bytes at {place} deleted"
    new = {
        "zero": bytes(length),
        "ones": b"\xff" * length,
        "random": chance.randbytes(length),
        "add": piece + chance.randbytes(chance.choice((1, 8, 4096))),
        "number": struct.pack(chance.choice("<>") + "Q", chance.choice(LARGE[:8]) % 2**64)[:length],
    }[how]
    return data[:place] + new + data[place + length :], f"{how}, {length} bytes at {place}"


def tree_of(tree: Any, chance: random.Random) -> tuple[Any, str]:
    """A JSON tree with an absurd value, a key missing, or a value from elsewhere; and how."""
    tree = copy.deepcopy(tree)
    places: list[tuple[Any, Any]] = []
    _places(tree, places)
    if not places:
        return _absurd(chance), "everything"
    holder, key = chance.choice(places)
    how = chance.choice(("absurd", "absurd", "absurd", "delete", "move", "wrap", "key"))
    if how == "delete":
        del holder[key]
    elif how == "move":
        other, from_key = chance.choice(places)
        holder[key] = copy.deepcopy(other[from_key])
    elif how == "wrap":
        holder[key] = chance.choice(([holder[key]], {"class_path": holder[key]}, {str(key): holder[key]}))
    elif how == "key" and isinstance(holder, dict):
        holder[chance.choice(TEXTS)] = holder.pop(key)
    else:
        holder[key] = _absurd(chance)
        return tree, f"{key} is {holder[key]!r:.60}"
    return tree, f"{how} {key}"


def _places(tree: Any, places: list[tuple[Any, Any]]) -> None:
    entries = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in entries:
        places.append((tree, key))
        _places(value, places)


def _absurd(chance: random.Random) -> Any:
    kind = chance.choice(("large", "small", "text", "class", "list", "mapping"))
    if kind == "class":
        return {
            "class_path": chance.choice(TEXTS),
            "init_args": {"command": "id", "size": chance.choice(LARGE)},
        }
    if kind == "list":
        return [chance.choice((*SMALL, *TEXTS)) for _ in range(chance.choice((0, 1, 3, 1000)))]
    if kind == "mapping":
        return {chance.choice(TEXTS): chance.choice((*LARGE, *SMALL))}
    return chance.choice({"large": LARGE, "small": SMALL, "text": TEXTS}[kind])


def json_of(data: bytes, chance: random.Random) -> tuple[bytes, str]:
    """A JSON file with a corrupted tree, or one that no tree serializes to: deeply nested, or with duplicate keys."""
    how = chance.random()
    if how < 0.1:
        return bytes_of(data, chance)
    if how < 0.15:
        depth = chance.choice((100, 1000, MOST_NESTED))
        return b'{"model":' * depth + b"1" + b"}" * depth, f"nested {depth} times"
    if how < 0.2:
        body = data.strip()
        return body[:-1] + b"," + body[1:], "every key twice"
    if how < 0.22:
        return data.replace(b"1", b"9" * 5000, 1), "a number of 5000 digits"
    tree, told = tree_of(json.loads(data), chance)
    return json.dumps(tree).encode("utf-8"), told


def safetensors_of(data: bytes, chance: random.Random) -> tuple[bytes, str]:
    """A safetensors file with a corrupted header, or an absurd header length."""
    if chance.random() < 0.3:
        return bytes_of(data, chance)
    size = int.from_bytes(data[:8], "little")
    if chance.random() < 0.15:
        absurd = chance.choice((0, 1, size - 1, size + 1, 10**8, 2**31, 2**40, 2**63, 2**64 - 1))
        return absurd.to_bytes(8, "little") + data[8:], f"header of {absurd} bytes"
    header, told = json_of(data[8 : 8 + size], chance)
    return len(header).to_bytes(8, "little") + header + data[8 + size :], f"header: {told}"


def protobuf_of(data: bytes, chance: random.Random) -> tuple[bytes, str]:
    """A protocol buffer with a corrupted field, enclosing lengths corrected or left as they are."""
    if chance.random() < 0.3:
        return bytes_of(data, chance)
    fields = _fields(data)
    if not fields:
        return bytes_of(data, chance)
    sought = chance.random()
    rare = [n for n, one in enumerate(fields) if one[0] != 1]  # not one of the thousand pieces
    number = chance.choice(rare) if rare and sought < 0.6 else chance.randrange(len(fields))
    tag, wire, value = fields[number]
    told = f"field {tag}, the {number}th"
    how = chance.choice(("inside", "inside", "inside", "delete", "double", "wire", "length", "last"))
    if how == "inside" and isinstance(value, bytes):
        deeper = protobuf_of if _fields(value) and chance.random() < 0.8 else bytes_of
        spoilt, more = deeper(value, chance)
        fields[number] = (tag, wire, spoilt)
        told = f"{told}: {more}"
    elif how == "inside":
        fields[number] = (tag, wire, chance.choice((*LARGE[:8], 0, 1, 2, 3, 2**64 - 1)) % 2**64)
    elif how == "delete":
        del fields[number]
    elif how == "double":
        room = max(1, MOST_BYTES // len(_written([fields[number]])))
        fields[number:number] = [fields[number]] * min(chance.choice((1, 2, 1000)), room)
    elif how == "wire":
        tag = chance.choice((0, 1, 2, 3, 4, 5, 536870911))
        fields[number] = (tag, wire, value)
    elif how == "last":
        fields.append(fields.pop(number))
    else:
        written = _written([fields[number]])
        rest = _written(fields[:number]), _written(fields[number + 1 :])
        return rest[0] + bytes_of(written[:12], chance)[0] + written[12:] + rest[1], f"{told}: its head"
    return _written(fields), f"{told}: {how}"


Field = tuple[int, int, "int | bytes"]


def _fields(data: bytes) -> list[Field]:
    # [] if it is no protocol buffer.
    fields: list[Field] = []
    place = 0
    try:
        while place < len(data):
            key, place = _varint(data, place)
            tag, wire = key >> 3, key & 7
            value: int | bytes
            if wire == 0:
                value, place = _varint(data, place)
            elif wire in (1, 5):
                size = 8 if wire == 1 else 4
                value, place = int.from_bytes(data[place : place + size], "little"), place + size
            elif wire == 2:
                size, place = _varint(data, place)
                value, place = data[place : place + size], place + size
            else:
                return []
            if place > len(data) or tag == 0:
                return []
            fields.append((tag, wire, value))
    except IndexError:
        return []
    return fields


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place


def _written(fields: list[Field]) -> bytes:
    out = bytearray()
    for tag, wire, value in fields:
        out += _as_varint(tag << 3 | wire)
        if isinstance(value, bytes):
            out += _as_varint(len(value)) + value
        elif wire == 0:
            out += _as_varint(value)
        else:
            size = 8 if wire == 1 else 4
            out += (value % 2 ** (8 * size)).to_bytes(size, "little")
    return bytes(out)


def _as_varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def zip_of(data: bytes, chance: random.Random) -> tuple[bytes, str]:
    """A torch checkpoint: bytes corrupted anywhere, or a record with all checksums corrected, or compressed."""
    import io

    if chance.random() < 0.4:
        return bytes_of(data, chance)
    packed = chance.random() < 0.1
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        names = old.namelist()
        pickled = [name for name in names if name.endswith("data.pkl")]
        victim = pickled[0] if chance.random() < 0.7 else chance.choice(names)
        told = ""
        for name in names:
            record = old.read(name)
            if name == victim:
                other = pickle_of if name in pickled and chance.random() < 0.3 else bytes_of
                record, told = other(record, chance)
                told = f"{name.rpartition('/')[2]}: {told}"
                if packed:
                    record, told = record + bytes(2**26), f"{told}, and 64 MiB of zeros"
            new.writestr(name, record, zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED)
    return out.getvalue(), told


CALLABLE = (
    "collections Counter",
    "collections OrderedDict",
    "builtins bytearray",
    "builtins set",
    "_codecs encode",
    "torch Size",
    "torch Tensor",
    "torch device",
    "torch FloatStorage",
    "torch._utils _rebuild_tensor_v2",
)
"""Some of the functions that torch's weights loader calls."""


def pickle_of(data: bytes, chance: random.Random) -> tuple[bytes, str]:
    """A pickle with a number replaced by a torch object: from a call, from repeated calls, or nested."""
    codes = list(pickletools.genops(data))
    numbers = [i for i, (code, _, _) in enumerate(codes) if code.name in ("NONE", "NEWFALSE", "BININT1")]
    if not numbers:  # it was already corrupted
        return bytes_of(data, chance)
    number = chance.choice(numbers)
    start, end = (codes[i][2] or 0 for i in (number, number + 1))
    module, name = chance.choice(CALLABLE).split()
    function = f"c{module}\n{name}\n".encode()
    keep, again = b"r\xff\xff\xff\x7f", b"j\xff\xff\xff\x7f"
    large = b"}(" + b"".join(b"J" + struct.pack("<i", i) + b"N" for i in range(10_000)) + b"u" + keep
    how = chance.choice(("call", "call", "copies", "deep", "key", "lists"))
    new = {
        "call": function + b"J" + struct.pack("<i", chance.choice((1, 2**28, 2**30))) + b"\x85R",
        "copies": b"](" + large + (function + again + b"\x85R") * 2_000 + b"e",
        "deep": b")" + b"\x85" * MOST_NESTED,
        "key": b"})" + b"\x85" * (10 * MOST_NESTED) + b"Ns",
        "lists": b"]" + keep + (b"](" + again * 9 + b"e" + keep) * 20,
    }[how]
    return data[:start] + new + data[end:], f"{how} ({name}) at {start}"


def yaml_of(data: bytes, chance: random.Random) -> tuple[bytes, str]:
    """A YAML file with a corrupted tree, with tags that request objects, or that expands without end."""
    how = chance.random()
    if how < 0.15:
        return bytes_of(data, chance)
    if how < 0.2:
        tags = (
            "object/apply:os.system [id]",
            "object/new:os.system [id]",
            f"module:{MARK}",
            "name:os.system",
        )
        words = data.decode("utf-8").split(": ")
        place = chance.randrange(1, len(words))
        words[place] = f"!!python/{chance.choice(tags)} {words[place]}"
        return ": ".join(words).encode("utf-8"), f"a tag at {place}"
    if how < 0.25:
        bombs = [
            "a: &a [x]\n" + "".join(f"{b}: &{b} [{nine(a)}]\n" for a, b in NEIGHBOURS),
            "a: &a {x: 1}\n" + "".join(f"{b}: &{b} {{<<: [{nine(a)}]}}\n" for a, b in NEIGHBOURS),
            "a: &a [*a]\n",
            "[" * MOST_NESTED,
        ]
        number = chance.randrange(len(bombs))
        return bombs[number].encode("utf-8") + data, f"bomb {number}"
    try:
        tree, told = tree_of(parse_yaml(data), chance)  # it may already be a bomb
        return yaml.safe_dump(tree).encode("utf-8"), told
    except (yaml.YAMLError, ValueError):
        return bytes_of(data, chance)


NEIGHBOURS = list(zip("abcdefghijklmno", "bcdefghijklmnop", strict=True))


def nine(anchor: str) -> str:
    """References to an anchor."""
    return ",".join([f"*{anchor}"] * 9)


SPOILERS: dict[str, Callable[[bytes, random.Random], tuple[bytes, str]]] = {
    ".json": json_of,
    ".safetensors": safetensors_of,
    ".model": protobuf_of,
    ".onnx": protobuf_of,
    ".ckpt": zip_of,
    ".yaml": yaml_of,
}


def spoil(path: Path, chance: random.Random) -> str:
    """Corrupt a file in place; return how."""
    if chance.random() < 0.1:
        return replace(path, chance)
    data = path.read_bytes()
    try:
        data, told = SPOILERS.get(path.suffix, bytes_of)(data, chance)
    except (
        ValueError,
        RecursionError,
        zipfile.BadZipFile,
        yaml.YAMLError,
    ):  # it was already corrupted, so that its format is lost
        data, told = bytes_of(data, chance)
    path.write_bytes(data)
    return told


def replace(path: Path, chance: random.Random) -> str:
    """Replace a file with something else: a link, a pipe, a folder, a device, a pickle, nothing."""
    how = chance.choice(
        ("nothing", "empty", "folder", "pipe", "socket", "link out", "zeros", "loop", "pickle", "garbage")
    )
    path.unlink()
    if how == "empty":
        path.touch()
    elif how == "folder":
        path.mkdir()
    elif how == "pipe":
        os.mkfifo(path)
    elif how == "socket":
        _socket(path)
    elif how == "link out":
        path.symlink_to("/etc/passwd")
    elif how == "zeros":
        path.symlink_to("/dev/zero")
    elif how == "loop":
        path.symlink_to(path)
    elif how == "pickle":
        path.write_bytes(hostile_pickle())
    elif how == "garbage":
        path.write_bytes(chance.randbytes(5000))
    return f"{how} in its place"


def _socket(path: Path) -> None:
    before = os.getcwd()
    os.chdir(path.parent)  # a socket's path must be short
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(before)


class _Hostile:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("exit 3",)


def hostile_pickle() -> bytes:
    """A pickle that runs a command when unpickled."""
    import pickle

    return pickle.dumps(_Hostile())


def copied(folder: Path, target: Path) -> Path:
    """Copy a file or folder."""
    if folder.is_dir():
        shutil.copytree(folder, target, symlinks=True)
    else:
        shutil.copy(folder, target)
    return target
