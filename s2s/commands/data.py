"""`s2s data`: statistics of corpora."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from s2s.commands.command_line import CommandLine
from s2s.commands.corpora import TEXTS
from s2s.counted import counted

if TYPE_CHECKING:
    from s2s.text.statistics import CorpusStatistics, Lengths, Overlap, SideStatistics

_NAMES = {"text": "lines", "source": "source lines", "target": "target lines", "pair": "pairs"}

SUMMARY = "show lengths, pieces per word, unknowns, duplicates and overlap of corpora"


def main(argv: list[str]) -> int:
    """Run `s2s data stats`."""
    parser = CommandLine(prog="s2s data", description="Inspect corpora.")
    actions = parser.add_subparsers(dest="action", required=True, metavar="stats")
    stats = actions.add_parser(
        "stats",
        help="lines, lengths, pieces per word, unknowns, duplicates, overlap",
        description="Show statistics of corpora, and how much each overlaps with those before it (name the training "
        "text first). Unusable lines are skipped, counted and reported.",
    )
    stats.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        help=TEXTS,
    )
    stats.add_argument(
        "--tokenizer", metavar="FOLDER", help="a trained tokenizer or a bundle, to count pieces too"
    )
    stats.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(argv)

    from s2s.commands.tokenizer import read_tokenizer
    from s2s.text.statistics import corpus_statistics, overlaps

    tokenizers = None
    if options.tokenizer is not None:
        tokenizers = [read_tokenizer(Path(options.tokenizer), side) for side in ("source", "target")]
    corpora = [corpus_statistics(file, tokenizers) for file in options.files]
    shared = overlaps(corpora)
    if options.json:
        print(json.dumps(_plain(corpora, shared), indent=1, ensure_ascii=False))
    else:
        _show(corpora, shared)
    return 0


def _plain(corpora: "list[CorpusStatistics]", shared: "list[Overlap]") -> dict[str, object]:
    return {
        "corpora": [
            {
                "name": corpus.name,
                "sides": {side: asdict(about) for side, about in corpus.sides.items()},
                "repeated_pairs": corpus.repeated_pairs,
                "report": corpus.report,
            }
            for corpus in corpora
        ],
        "overlaps": [asdict(overlap) for overlap in shared],
    }


def _show(corpora: "list[CorpusStatistics]", shared: "list[Overlap]") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print("lengths per line: mean / median / 95 % / longest")
    for corpus in corpora:
        console.print(f"\n{corpus.name}")
        table = Table("", *corpus.sides, box=box.SIMPLE_HEAD)
        for measure in _MEASURES:
            row = [_MEASURES[measure](about) for about in corpus.sides.values()]
            if any(row):
                table.add_row(measure, *row)
        console.print(table)
        if corpus.repeated_pairs:
            repeat = "repeats" if corpus.repeated_pairs == 1 else "repeat"
            console.print(f"{counted(corpus.repeated_pairs, 'pair')} {repeat} an earlier one")
        for line in corpus.report:
            console.print(line)
    for overlap in shared:
        counts = ", ".join(f"{count:,} {_NAMES[side]}" for side, count in overlap.lines.items())
        console.print(f"\n{overlap.corpus}\n  has {counts} of {overlap.inside}")


def _lengths(lengths: "Lengths") -> str:
    return f"{lengths.mean:.1f} / {lengths.median:.0f} / {lengths.percentile_95:.0f} / {lengths.longest}"


_MEASURES: "dict[str, Callable[[SideStatistics], str]]" = {
    "lines": lambda side: f"{side.lines:,}",
    "repeated lines": lambda side: f"{side.repeated_lines:,}",
    "characters": lambda side: _lengths(side.characters),
    "words": lambda side: _lengths(side.words),
    "distinct words": lambda side: f"{side.distinct_words:,}",
    "pieces": lambda side: _lengths(side.pieces) if side.pieces else "",
    "pieces per word": lambda side: f"{side.pieces_per_word:.2f}" if side.pieces else "",
    "unknown pieces": lambda side: f"{side.unknown_share:.2%}" if side.pieces else "",
}
