"""The nearest known name, for "did you mean" hints in error messages."""

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most similar to `name`, ignoring case; None if none is similar."""
    spellings = {candidate.casefold(): candidate for candidate in known}
    folded = name.casefold()
    matches = difflib.get_close_matches(folded, spellings, n=3)
    if not matches:
        return None

    def similarity(match: str) -> tuple[float, int]:
        # Of equally similar ones the one with more letters in their places: --bean is --beam rather than --beta.
        ratio = difflib.SequenceMatcher(None, match, folded).ratio()
        return ratio, sum(one == other for one, other in zip(match, folded, strict=False))

    return spellings[max(matches, key=similarity)]


def unknown(what: str, name: str, known: Iterable[str], remedy: str = "") -> str:
    """A one-line error message: the unknown name, the one probably meant, the known names, and where to look."""
    names = sorted(known)
    near = nearest(name, names)
    hint = f"; did you mean {near!r}?" if near else "."
    listing = f" Known: {', '.join(names) if names else 'none'}."
    return f"unknown {what} {name!r}{hint}{listing}{' ' + remedy if remedy else ''}"
