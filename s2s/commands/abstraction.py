"""What `s2s evaluate --sources` shows about summaries besides their scores: a table, a report, a plot."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s2s.evaluation.abstraction import Abstraction


def tell(
    texts: Mapping[str, Sequence[str]],
    sources: Sequence[str],
    *,
    report: str | None,
    plot: str | None,
    quiet: bool,
) -> None:
    """Count, print, write.

    Args:
        texts: outputs and references by name, one for each source.
        sources: the documents.
        report: file for the JSON, or None.
        plot: file for the plot, or None.
        quiet: print no table.
    """
    from s2s.commands.output import Output
    from s2s.evaluation.abstraction import abstraction

    found = {name: abstraction(some, sources) for name, some in texts.items()}
    if not quiet:
        for line in table(found):
            print(line)
    if report is not None:
        with Output(report) as output:
            output.write(json.dumps({name: plain(one) for name, one in found.items()}, indent=2) + "\n")
    if plot is not None:
        from s2s.evaluation.plot import draw

        picture = draw(found, plot)
        with Output(plot) as output:
            output.write_bytes(picture)


def table(found: Mapping[str, Abstraction]) -> list[str]:
    """Human-readable lines: percentages, and mean numbers of words."""
    width = max(map(len, found))
    columns = (
        "new words",
        "new pairs",
        "repeated words",
        "repeated triples",
        "copied words",
        "in runs of",
        "words",
    )
    rows = [f"  {'%':<{width}}  {'  '.join(columns)}"]
    for name, one in found.items():
        shares = (one.novelty[1], one.novelty[2], one.repetition[1], one.repetition[3], one.copied)
        values = [*(100 * share for share in shares), one.run, one.length]
        cells = [f"{value:{len(column)}.2f}" for column, value in zip(columns, values, strict=True)]
        rows.append(f"  {name:<{width}}  {'  '.join(cells)}")
    return rows


def plain(one: Abstraction) -> dict[str, Any]:
    """For JSON."""
    return {
        "novelty": {str(n): share for n, share in one.novelty.items()},
        "repetition": {str(n): share for n, share in one.repetition.items()},
        "copied": one.copied,
        "mean_run": one.run,
        "mean_words": one.length,
        "words": one.lengths,
    }
