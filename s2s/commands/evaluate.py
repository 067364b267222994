"""`s2s evaluate`: scores of outputs against references, each with its signature."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Any

from s2s.commands.command_line import CommandLine
from s2s.errors import DataError

if TYPE_CHECKING:
    from s2s.evaluation.evaluate import Row

SUMMARY = "score outputs against references: BLEU, chrF, TER, cased and lower-cased"


def main(argv: list[str]) -> int:
    """Run `s2s evaluate HYP REF [REF...]`."""
    parser = CommandLine(
        prog="s2s evaluate",
        description="Score outputs against references, line by line, with sacreBLEU's signatures.",
        epilog="All files must be detokenized text, as people write it. Lines end with \\n; gzip is read. With several "
        "systems, p is how probable so large a difference to HYP is if both are equally good (paired bootstrap).",
    )
    add = parser.add_argument
    add("hypotheses", metavar="HYP", help="outputs, a line for each sentence; - is standard input")
    add("references", metavar="REF", nargs="+", help="references, with the same number of lines")
    add(
        "--systems",
        nargs="+",
        metavar="HYP",
        default=[],
        help="outputs of further systems, to be compared with HYP",
    )
    add(
        "--metrics",
        nargs="+",
        metavar="NAME",
        help="which to compute (default: BLEU ChrF TER); see: s2s plugins list --kind metric",
    )
    add(
        "--resamples",
        type=int,
        metavar="N",
        help="bootstrap resamples for 95 %% intervals and p-values (default: 0; with --systems 1000)",
    )
    add(
        "--by-length",
        choices=["words", "characters"],
        help="add scores by length of the (first) reference, in words or characters",
    )
    add(
        "--buckets",
        nargs="+",
        type=int,
        metavar="N",
        help="longest sentences of each bucket (default: words 10 20 30 40 60, characters 50 100 150 200 300)",
    )
    add("--json", action="store_true", help="as JSON, for programs")
    options = parser.parse_args(argv)
    if options.buckets is not None and options.by_length is None:
        parser.error("--buckets says where, but not of what; add --by-length words or --by-length characters")

    from s2s.evaluation.evaluate import METRICS, evaluate
    from s2s.evaluation.lines import read_lines
    from s2s.evaluation.significance import RESAMPLES
    from s2s.text.corpus import LineReport, shown

    outputs = [options.hypotheses, *options.systems]
    files = [*outputs, *options.references]
    if files.count("-") > 1:
        raise DataError("standard input (-) can be read only once; give a file for the others")
    if twice := [path for path in outputs if outputs.count(path) > 1]:
        raise DataError(f"{twice[0]} is given twice; a system is compared with another one")
    report = LineReport()
    lines = {path: read_lines(path, report) for path in files}
    for note in report.notes:
        print(f"s2s: {note}", file=sys.stderr)
    first = lines[options.hypotheses]
    for path, others in lines.items():
        if len(others) != len(first):
            raise DataError(
                f"{shown(options.hypotheses)} has {len(first)} lines, {shown(path)} has {len(others)}; "
                "line i of one must belong to line i of the other"
            )
    if not first:
        raise DataError(f"{shown(options.hypotheses)} is empty: there is nothing to score")
    resamples = options.resamples
    if resamples is None:
        resamples = RESAMPLES if options.systems else 0
    rows = evaluate(
        {shown(path): lines[path] for path in outputs},
        [lines[path] for path in options.references],
        metrics=options.metrics or METRICS,
        resamples=resamples,
        by_length=options.by_length,
        buckets=options.buckets,
    )
    if options.json:
        print(json.dumps([_plain(row) for row in rows], indent=2, ensure_ascii=False), flush=True)
        return 0
    several = len(outputs) > 1
    for _, group in groupby(rows, key=lambda row: (row.metric, row.case, row.signature.partition("|")[0])):
        _print(list(group), several, options.by_length)
    print(f"{len(first)} sentences", flush=True)
    return 0


def _print(rows: list[Row], several: bool, unit: str | None) -> None:
    whole = [row for row in rows if row.lengths is None]
    if several:
        print(f"{whole[0].metric:<6}{whole[0].case:<11} {whole[0].signature}")
    width = max(len(row.system) for row in rows)
    for row in whole:
        interval = "" if row.confidence is None else f" ± {row.confidence:.2f}"
        if several:
            p_value = "" if row.p_value is None else f"  p {row.p_value:.4f}"
            print(f"  {row.system:<{width}} {row.score:7.2f}{interval}{p_value}", flush=True)
        else:
            print(f"{row.metric:<6}{row.case:<11}{row.score:7.2f}{interval}  {row.signature}", flush=True)
    for lengths, group in groupby(rows[len(whole) :], key=lambda row: row.lengths):
        assert lengths is not None
        least, most = lengths
        bucket = list(group)
        named = f"{least}-{most}" if most is not None else f"{least} and more"
        label = f"{named} {unit}, {bucket[0].sentences} sentences"
        print(f"  {label:<36} {'  '.join(f'{row.score:7.2f}' for row in bucket)}", flush=True)


def _plain(row: Row) -> dict[str, Any]:
    entries = asdict(row)
    if row.lengths is None:
        del entries["lengths"]
    else:
        entries["lengths"] = {"least": row.lengths[0], "most": row.lengths[1]}
    return entries
