"""Sentences of a text, for those who count, choose or compare them."""

from __future__ import annotations

import regex

_END = regex.compile(
    r"""(?x)
    [。！？｡]+ [\p{Pe}\p{Pf}"']* \s*               # signs of scripts that put no space behind them
    | [.!?…।؟۔։።]+ [\p{Pe}\p{Pf}"']* \s+ (?!\p{Ll})  # what goes on in lower case is the same sentence
    | \s* \n \s*
    """
)
_SHORT = regex.compile(r"(?:^|[\s.(])(?:\p{L}|Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|No|Inc|Co|Corp|e\.g|i\.e|z\.B|d\.h)\.$")


def sentences(text: str) -> list[str]:
    """The sentences of a text, without the space around them.

    A line's end ends a sentence. So does a full stop, exclamation or question mark of any script before white space, if
    no lower-case letter follows and it is not behind an initial or a title; in scripts without spaces also without one.
    """
    found, start = [], 0
    for end in _END.finditer(text):
        if "\n" not in end.group() and _SHORT.search(text[start : end.end()].rstrip()):
            continue
        found.append(text[start : end.end()].strip())
        start = end.end()
    return [sentence for sentence in [*found, text[start:].strip()] if sentence]
