"""Check of the pickle in a checkpoint, before torch loads it.

Torch's weights-only loader executes nothing, but allocates what it is told to: `bytearray(10**10)` is a line of text.
"""

from __future__ import annotations

import math
import pickletools
from collections.abc import Sequence
from typing import Any

import torch

_ORDERED, _COUNTER = "collections.OrderedDict", "collections.Counter"
_TENSOR, _PARAMETER = "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter"
_REALS = ("Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
_STORAGES = {f"torch.{kind}Storage" for kind in (*_REALS, "ComplexFloat", "ComplexDouble")}
_TYPES = {str(value) for value in vars(torch).values() if isinstance(value, torch.dtype)}
_SET, _SIZE, _BYTES = "__builtin__.set", "torch.Size", "_codecs.encode"
_OF_PLAIN = {"__builtin__.complex", "torch.device"}
_KNOWN = {_ORDERED, _COUNTER, _TENSOR, _PARAMETER, _SET, _SIZE, _BYTES, *_OF_PLAIN, *_STORAGES}
_PLAIN = "number or text"
_LATIN = "latin1"  # how torch writes bytes
_NUMBERS = {"NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"}
_EMPTY = {"EMPTY_LIST": "list", "EMPTY_DICT": "dict"}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_FILLED = {"APPENDS": {"list"}, "SETITEMS": {"dict", f"{_ORDERED}()", f"{_COUNTER}()"}}
_MOST_AXES = 8  # of weights; a tensor keeps its sizes, however often one tuple of them is named
_LETTERS = 64  # of text that count as a number does
_PRINTED = 100  # numbers that are printed of a tensor, about
_MOST_MET = 10  # numbers for each byte of a pickle, which names what it has by two to five bytes


class _Made:
    """What an instruction leaves behind.

    Args:
        kind: of it; a function or class by its name, and what that gives with brackets.
        size: numbers in it, and in what it holds, each as often as it is met; without end for a storage, which is for
            tensors alone.
        items: of a tuple.
        text: of a short text.
    """

    __slots__ = ("again", "items", "kind", "plain", "size", "text")

    def __init__(self, kind: str, size: float = 1, items: Sequence[_Made] = (), text: str = "") -> None:
        self.kind, self.size, self.items, self.text = kind, size, items, text
        self.plain = True  # whether a list holds numbers and text alone
        self.again = False  # whether it has been named again, and may be in others


def check_pickle(data: bytes) -> None:
    """Weights, numbers, text, and lists, tuples and mappings of them, are all that a pickle may build.

    What it builds takes memory in proportion to its bytes, and so does what is copied or printed of it: no call makes
    more, and what is named again is counted again. Keys are numbers, text, and tuples of these, for the hash of a tuple
    in a tuple in a tuple may have no end, or overflow the stack.

    Args:
        data: a pickle, as torch writes them.

    Raises:
        ValueError: it asks for anything else.
        Exception: it is damaged, in the way that Python says.
    """
    stack: list[_Made] = []
    below: list[list[_Made]] = []
    memo: dict[int, _Made] = {}
    number, again = _Made(_PLAIN), 0.0
    argument: Any
    for code, argument, _ in pickletools.genops(data):
        name = code.name
        if name in _NUMBERS:
            stack.append(number)
        elif name == "BINUNICODE":
            stack.append(_Made(_PLAIN, 1 + len(argument) // _LETTERS, text=argument[: len(_LATIN) + 1]))
        elif name in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
            stack[-1].again = True
            again += stack[-1].size
        elif name in _EMPTY:
            stack.append(_Made(_EMPTY[name]))
        elif name in _TUPLES:
            stack.append(_tuple([stack.pop() for _ in range(_TUPLES[name])][::-1]))
        elif name == "GLOBAL":
            stack.append(_global(argument))
        elif name == "MARK":
            below.append(stack)
            stack = []
        elif name == "TUPLE":
            items, stack = stack, below.pop()
            stack.append(_tuple(items))
        elif name in _FILLED:
            items, stack = stack, below.pop()
            _fill(stack[-1], items, name)
        elif name in ("APPEND", "SETITEM"):
            items = [stack.pop() for _ in range(1 if name == "APPEND" else 2)][::-1]
            _fill(stack[-1], items, f"{name}S")
        elif name == "BINPERSID":
            stack.append(_storage(stack.pop()))
        elif name == "REDUCE":
            arguments = stack.pop()
            stack.append(_called(stack.pop(), arguments))
            again += stack[-1].size
        elif name == "BUILD":
            state = stack.pop()
            if stack[-1].kind != f"{_ORDERED}()" or state.kind != "dict":
                raise ValueError("it sets the state of what has none")
            again += state.size
        elif name == "STOP":
            again += stack[-1].size
        elif name != "PROTO":
            raise ValueError(f"it has an instruction that torch does not write, {name}")
        if again > _MOST_MET * len(data):
            raise ValueError("it names what it has made again and again")


def _tuple(items: list[_Made]) -> _Made:
    return _Made("tuple", 1 + sum(item.size for item in items), items)


def _global(argument: Any) -> _Made:
    wanted = str(argument).replace(" ", ".")  # as torch looks it up
    if wanted in _TYPES:
        return _Made(_PLAIN)
    if wanted not in _KNOWN:
        raise ValueError(f"it asks for {wanted[:100]}, and checkpoints hold weights, numbers and text")
    return _Made(wanted)


def _plain(items: Sequence[_Made]) -> bool:
    return all(item.kind == _PLAIN for item in items)


def _is_key(item: _Made) -> bool:
    return item.kind == _PLAIN or (item.kind == "tuple" and _plain(item.items))


def _fill(holder: _Made, items: list[_Made], how: str) -> None:
    if holder.kind not in _FILLED[how]:
        raise ValueError(f"it puts something into a {holder.kind}")
    if holder.again:
        raise ValueError(f"it goes on with a {holder.kind} that is done")
    if how == "SETITEMS" and not all(_is_key(item) for item in items[::2]):
        raise ValueError("it has a key that is neither a number nor text")
    holder.plain = holder.plain and _plain(items)
    holder.size += sum(item.size for item in items)


def _storage(identity: _Made) -> _Made:
    parts = identity.items
    if len(parts) != 5 or parts[1].kind not in _STORAGES or not _plain([parts[0], *parts[2:]]):
        raise ValueError("it names a storage in another way than torch")
    return _Made("storage", math.inf)


def _called(function: _Made, arguments: _Made) -> _Made:
    """What a call gives."""
    kinds = [one.kind for one in arguments.items]
    if arguments.kind == "tuple" and function.kind == _ORDERED and not kinds:
        return _Made(f"{_ORDERED}()")
    if function.kind == _COUNTER and kinds == ["dict"]:
        return _Made(f"{_COUNTER}()", arguments.size)
    if function.kind == _TENSOR and _are_of_tensor(arguments.items):
        return _Made("tensor", _PRINTED)
    if function.kind == _PARAMETER and kinds == ["tensor", _PLAIN, f"{_ORDERED}()"]:
        return _Made("tensor", _PRINTED)
    if function.kind == _SET and kinds == ["list"] and arguments.items[0].plain:
        return _Made("set", arguments.size)
    if function.kind == _SIZE and kinds == ["tuple"] and _plain(arguments.items[0].items):
        return _Made("size", arguments.size)
    if function.kind == _BYTES and kinds == [_PLAIN, _PLAIN] and arguments.items[1].text == _LATIN:
        return _Made(_PLAIN, arguments.size)
    if function.kind in _OF_PLAIN and arguments.kind == "tuple" and _plain(arguments.items):
        return _Made(_PLAIN, arguments.size)
    raise ValueError(f"it calls {function.kind} in another way than torch")


def _are_of_tensor(arguments: Sequence[_Made]) -> bool:
    kinds = [one.kind for one in arguments]
    if kinds != ["storage", _PLAIN, "tuple", "tuple", _PLAIN, f"{_ORDERED}()"]:
        return False
    return all(len(axes.items) <= _MOST_AXES and _plain(axes.items) for axes in arguments[2:4])
