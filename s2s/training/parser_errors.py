"""Turns the parser's errors about an invalid option into one line that says what to do."""

import re

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
    message = message.replace("\n", " ")
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
    innermost = re.split(r'Parser key "[^"]+":', message)[-1].strip()
    found = re.search(r"(?:Got|Given) value: (.+?)(?:\. Got value: |$)", innermost)
    if not found:
        return f"{key}: {innermost} {remedy}" if key else f"{' '.join(message.split())} {remedy}"
    got = found.group(1).strip()
    kind = kind_of_option(key)
    if kind and "Callable" in innermost:
        return f"{key}: expected {kind}, {choices(kind)}, got {got!r}. {remedy}"
    wanted, literals = _wanted(re.split(r"(?:Got|Given) value", innermost)[0])
    if key == PRECISION:  # a word of ours
        wanted, literals = f"{AUTO} or {wanted}", [AUTO, *literals]
    near = nearest(got, literals)
    return f"{key}: expected {wanted}, got {got!r}{f'; did you mean {near!r}?' if near else '.'} {remedy}"


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
    types = ["null" if name == "NoneType" else name for name in types]
    return " or ".join(dict.fromkeys([*literals, *types])) or "another value", list(dict.fromkeys(literals))
