"""Output formats of translations and summaries: text, TSV, JSON lines."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from s2s.text.sentences import sentences

if TYPE_CHECKING:
    from s2s.inference.translation import Translation


def text(number: int, source: str, found: Translation, *, n_best: bool, scores: bool) -> str:
    """One line per input line; with n-best outputs, `number ||| text ||| score` for each."""
    if n_best:
        every = [found, *found.alternatives]
        return "".join(f"{number} ||| {one.text} ||| {one.score:.6f}\n" for one in every)
    return f"{found.score:.6f}\t{found.text}\n" if scores else f"{found.text}\n"


def tsv(number: int, source: str, found: Translation) -> str:
    """Number, score, translation and source, for each of the n best; a tab in a text becomes a space."""
    return "".join(
        "\t".join([str(number), f"{one.score:.6f}", one.text.replace("\t", " "), source.replace("\t", " ")])
        + "\n"
        for one in [found, *found.alternatives]
    )


def jsonl(number: int, source: str, found: Translation, *, weights: bool) -> str:
    """All information, as a JSON object in one line."""
    row = {
        "number": number,
        "source": source,
        "source_tokens": found.source_tokens,
        "truncated": found.truncated,
        **_output(found, weights),
        "alternatives": [_output(one, weights) for one in found.alternatives],
    }
    if found.sentences:
        row["sentences"] = [
            {"source_tokens": one.source_tokens, "truncated": one.truncated, **_output(one, weights)}
            for one in found.sentences
        ]
    return json.dumps(row, ensure_ascii=False) + "\n"


def one_line(found: Translation) -> Translation:
    """An output whose texts, alternatives included, have no newline."""
    return replace(
        found, text=found.text.replace("\n", " "), alternatives=[one_line(one) for one in found.alternatives]
    )


def summary_tsv(name: str, found: Translation) -> str:
    """Name, score and summary, for each of the n best; a tab or a newline in a text, or in a name, becomes a space."""
    every = [one_line(one) for one in [found, *found.alternatives]]
    return "".join(
        "\t".join(
            [name.replace("\t", " ").replace("\n", " "), f"{one.score:.6f}", one.text.replace("\t", " ")]
        )
        + "\n"
        for one in every
    )


def summary_jsonl(name: str, found: Translation) -> str:
    """A document's name and summary, with its sentences, as a JSON object in one line."""
    row = {
        "document": name,
        "document_tokens": len(found.source_tokens),
        "truncated": found.truncated,
        **_summary(found),
        "alternatives": [_summary(one) for one in found.alternatives],
    }
    return json.dumps(row, ensure_ascii=False) + "\n"


def _summary(one: Translation) -> dict[str, Any]:
    return {
        "summary": one.text,
        "sentences": sentences(one.text),
        "score": _number(one.score),
        "finished": one.finished,
        "unmet": one.unmet,
    }


def _output(one: Translation, weights: bool) -> dict[str, Any]:
    row = {
        "text": one.text,
        "score": _number(one.score),
        "finished": one.finished,
        "unmet": one.unmet,
        "tokens": one.tokens,
        "log_probs": [_number(value) for value in one.log_probs],
        "alignment": one.alignment,
    }
    return {**row, "weights": None if one.weights is None else one.weights.tolist()} if weights else row


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None  # JSON has no other
