"""Turns the parser's errors about an invalid option into one line that says what to do."""

import re
from typing import NamedTuple

from s2s.registry import Entry, catalogue
from s2s.registry.near_names import nearest, unknown
from s2s.registry.parts import kind_of_option, options
from s2s.training.help import choices
from s2s.training.precision import AUTO, PRECISION


def plain_error(message: str, command: str) -> str:
    """The parser's nested message as one line: which option, what it takes, what it got.

    Args:
        message: The text of jsonargparse's exception.
        command: For the remedy.
    """
    lines, message = message, message.replace("\n", " ")
    key = ".".join(re.findall(r'(?:Parser key|Key) "([^"]+)"', message))
    remedy = f"See: s2s {command} --help"
    strange = re.search(r"Option '([^']+)' is not accepted\..*?class_path='([^']+)'", message)
    if strange:
        option, path = strange.groups()
        if entry := _entry(path):
            known = options(catalogue().load(entry.kind, entry.name))
            return f"{key}: " + unknown(
                "option", option, known, f"See: s2s {command} --{key}.help {entry.name}"
            )
    if lacking := re.search(
        r"arguments are required: (\w+(?:, \w+)*).*?(?:Got|Given) value: \w+\(class_path='([^']+)'", message
    ):
        names, path = lacking.groups()
        part = entry.name if (entry := _entry(path)) else path
        given = " ".join(f"--{key}.{name} VALUE" for name in names.split(", "))
        return f"{key}: {part} needs {names}, without a default; give {given}. See: s2s {command} --{key}.help {part}"
    if other := re.search(r"([\w.]+)\] expects [^:]*: Expected '([\w.]+)' to be a [\w ]+ <class '", message):
        base, part = other.groups()
        told = f"{part.rpartition('.')[2]} is no {base.rpartition('.')[2]}; derive it from {base}"
        return f"{key}: {told}. See: s2s plugins check"
    if holder := re.search(r"Problem with given class_path '[\w.]*?(\w+)':\s+(.*)", message):
        part, problem = holder.groups()
        if lacking := re.match(r"the following arguments are required: (\w+(?:, \w+)*)", problem):
            options_of_part = ", ".join(f"{name}: VALUE" for name in lacking[1].split(", "))
            return (
                f"{key}: {part!r} needs {lacking[1]}, without a default; give "
                f"{{class_path: {part}, init_args: {{{options_of_part}}}}}. {remedy}"
            )
        head, _, option = key.rpartition(".")
        key = f"{head}: {part!r}: {option}"
    innermost = re.split(r'Parser key "[^"]+":', lines)[-1]
    faulty = _faulty(innermost)
    if faulty is None:
        innermost = " ".join(innermost.split())
        return f"{key}: {innermost} {remedy}" if key else f"{' '.join(message.split())} {remedy}"
    kind = kind_of_option(key)
    if kind and "Callable" in innermost:
        return f"{key}: expected {kind}, {choices(kind)}, got {faulty.got!r}. {remedy}"
    wanted, literals = _wanted(faulty.expected)
    if key == PRECISION:  # a word of ours
        wanted, literals = f"{AUTO} or {wanted}", [AUTO, *literals]
    near = nearest(faulty.got, literals)
    got = f"{faulty.got!r} in {faulty.of}" if faulty.of else repr(faulty.got)
    return f"{key}: expected {wanted}, got {got}{f'; did you mean {near!r}?' if near else '.'} {remedy}"


class _Faulty(NamedTuple):
    """What the parser refuses.

    Attributes:
        expected: the parser's words for what it takes.
        got: the value instead.
        of: the list that the value is an item of, "" if it is the value of the option.
    """

    expected: str
    got: str
    of: str = ""


def _faulty(told: str) -> _Faulty | None:
    """What a message about an option says; None if it tells no value.

    Args:
        told: lines; a value ends with its line.
    """
    end = r"(?:\. Got value: |\n|$)"
    # Of an option that takes, say, a list or null: what is wrong with the list is told with the item.
    item = re.search(rf"- (Expected .*?)\. Got value: (.+?){end}", told)
    whole = re.search(rf"Given value: (.+?){end}", told)
    if item and whole:
        return _Faulty(item[1], item[2].strip(), whole[1].strip())
    found = re.search(rf"(?:Got|Given) value: (.+?){end}", told)
    return _Faulty(re.split(r"(?:Got|Given) value", told)[0], found[1].strip()) if found else None


def _entry(path: str) -> Entry | None:
    """Of a class, by its dotted path."""
    return next((one for one in catalogue().entries() if one.target.replace(":", ".") == path), None)


def _wanted(expectation: str) -> tuple[str, list[str]]:
    """The types and the values that the parser says it takes, and the values alone."""
    literals = [
        value.strip().strip("'")
        for values in re.findall(r"Literal\[([^\]]*)\]", expectation)
        for value in values.split(",")
    ]
    types = [path.rpartition(".")[2] for path in re.findall(r"<class '([\w.]+)'>", expectation)]
    types = [{"NoneType": "null", "tuple": "list"}.get(name, name) for name in types]
    types += [f"a list of {count}" for count in re.findall(r"a tuple with (\d+) elements", expectation)]
    return " or ".join(dict.fromkeys([*literals, *types])) or "another value", list(dict.fromkeys(literals))
