"""Labels for the names in a sentence, in BIO: the generator knows which words are names, and of what."""

import re

WORD = re.compile(r"[^\s,.?!]+(?:[,.][^\s,.?!]+)*|[,.?!]")
"""A word, a number with its marks, or a mark of punctuation."""

Labelled = list[tuple[str, str]]


def labelled(sentence: str, kinds: dict[str, str]) -> Labelled:
    """Return words and labels: PER for people, whose family name may follow the given one; LOC for towns; O for others.

    Args:
        sentence: As the corpora have it.
        kinds: See `Names.kinds`.
    """
    found: Labelled = []
    for word in WORD.findall(sentence):
        kind = kinds.get(word)
        before = found[-1][1] if found else "O"
        if kind is None:
            label = "O"
        elif kind == "town":
            label = "B-LOC"
        else:
            label = "I-PER" if kind == "family" and before == "B-PER" else "B-PER"
        found.append((word, label))
    return found
