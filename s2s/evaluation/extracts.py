"""Extractive baselines for summaries: the first sentences (lead), and the best possible ones (oracle)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from s2s.text.sentences import sentences
from s2s.text.words import words

Grams = Counter[tuple[str, ...]]


def extracts(
    documents: Sequence[str], references: Sequence[Sequence[str]], most: int
) -> dict[str, list[str]]:
    """Both extracts of all documents, as systems to be scored beside others: `lead-k` and `oracle-k`.

    Args:
        documents: source texts.
        references: one or more sets of summaries, each with one for each document.
        most: k, how many sentences.
    """
    known = zip(*references, strict=True)
    return {
        f"lead-{most}": [lead(document, most) for document in documents],
        f"oracle-{most}": [
            oracle(document, wanted, most) for document, wanted in zip(documents, known, strict=True)
        ],
    }


def lead(document: str, most: int) -> str:
    """The first sentences of a document, a line for each.

    Args:
        document: source text.
        most: how many sentences.
    """
    return "\n".join(sentences(document)[:most])


def oracle(document: str, references: Sequence[str], most: int) -> str:
    """The sentences that are most like the references: what an extract could reach, not what a system can know.

    Greedy (Nallapati et al. 2017, section 3.3): the sentence that adds most to ROUGE-1 + ROUGE-2 comes next, until none
    adds anything.

    Args:
        document: source text.
        references: summaries of it; the best counts.
        most: how many sentences at most.

    Returns:
        the sentences in the order of the document, a line for each.
    """
    split = sentences(document)
    grams = [_grams(sentence) for sentence in split]
    wanted = [_grams(reference) for reference in references]
    chosen: list[int] = []
    said, best = _none(), 0.0
    while len(chosen) < most:
        values = [
            (max(_likeness(_sum(said, grams[index]), one) for one in wanted), -index)
            for index in range(len(split))
            if index not in chosen
        ]
        value, index = max(values, default=(0.0, 0))
        if value <= best:
            break
        best, said = value, _sum(said, grams[-index])
        chosen.append(-index)
    return "\n".join(split[index] for index in sorted(chosen))


def ngrams(tokens: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """All runs of n neighbouring words."""
    return list(zip(*(tokens[start:] for start in range(n)), strict=False))


def _grams(text: str) -> tuple[Grams, Grams]:
    tokens = words(text)
    return Counter(ngrams(tokens, 1)), Counter(ngrams(tokens, 2))


def _none() -> tuple[Grams, Grams]:
    return Counter(), Counter()


def _sum(one: tuple[Grams, Grams], other: tuple[Grams, Grams]) -> tuple[Grams, Grams]:
    return one[0] + other[0], one[1] + other[1]


def _likeness(said: tuple[Grams, Grams], wanted: tuple[Grams, Grams]) -> float:
    # F-measures of ROUGE-1 and ROUGE-2.
    return sum(
        2 * (one & other).total() / max(1, one.total() + other.total())
        for one, other in zip(said, wanted, strict=True)
    )
