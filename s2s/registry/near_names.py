"""The nearest known name, for errors that say what was meant."""

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, whatever their case; None if none is like it."""
    spellings = {candidate.casefold(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.casefold(), spellings, n=1)
    return spellings[matches[0]] if matches else None


def unknown(what: str, name: str, known: Iterable[str], remedy: str = "") -> str:
    """One line: what is unknown, what was probably meant, what there is, and where to look."""
    names = sorted(known)
    near = nearest(name, names)
    hint = f"; did you mean {near!r}?" if near else "."
    listing = f" Known: {', '.join(names) if names else 'none'}."
    return f"unknown {what} {name!r}{hint}{listing}{' ' + remedy if remedy else ''}"
