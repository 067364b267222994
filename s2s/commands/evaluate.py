"""`s2s evaluate`: scores outputs against references, with signatures; compares summaries with extractive baselines."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from s2s.commands.command_line import CommandLine
from s2s.counted import counted
from s2s.errors import DataError
from s2s.evaluation.defaults import LENGTHS, METRICS, RESAMPLES, SUMMARY_METRICS

if TYPE_CHECKING:
    from s2s.evaluation.evaluate import Row

SUMMARY = "score outputs against references: BLEU, chrF, TER, cased and lower-cased; ROUGE for summaries"


def main(argv: list[str]) -> int:
    """Run `s2s evaluate HYP REF [REF...]`."""
    parser = _parser()
    options = parser.parse_args(argv)
    _check(parser, options)

    from s2s.evaluation.evaluate import evaluate
    from s2s.registry.words import given_spec

    metrics = [given_spec(word, "--metrics") for word in options.metrics or ()]
    outputs, references, sources = _texts(options)
    systems = outputs if sources is None else {**outputs, **_baselines(options, outputs, references, sources)}
    resamples = options.resamples
    if resamples is None:
        resamples = RESAMPLES if len(systems) > 1 else 0
    rows = evaluate(
        systems,
        references,
        metrics=metrics or (METRICS if sources is None else SUMMARY_METRICS),
        resamples=resamples,
        by_length=options.by_length,
        buckets=options.buckets,
    )
    _print(rows, options, sentences=len(references[0]), resamples=resamples)
    if sources is not None:
        from s2s.commands.abstraction import tell

        tell(
            {**outputs, **_numbered(references)},
            sources,
            report=options.report,
            plot=options.plot,
            quiet=options.json,
        )
    if not options.json:
        print(counted(len(references[0]), "sentence"), flush=True)
    return 0


def _parser() -> CommandLine:
    parser = CommandLine(
        prog="s2s evaluate",
        description="Score outputs against references, line by line, with sacreBLEU's signatures.",
        epilog="All files must be detokenized text, as people write it. Lines end with \\n; gzip is read. With several "
        "systems, p is the p-value of the difference to HYP (paired bootstrap).",
    )
    add = parser.add_argument
    usual = ", ".join(f"{unit} {' '.join(map(str, lengths))}" for unit, lengths in LENGTHS.items())
    add(
        "hypotheses",
        metavar="HYP",
        help="outputs, one sentence per line; - is standard input; FILE.jsonl#KEY reads the values of a key",
    )
    add(
        "references",
        metavar="REF",
        nargs="+",
        help="references, with the same number of lines; a list under FILE.jsonl#KEY gives several references",
    )
    add(
        "--systems",
        nargs="+",
        metavar="HYP",
        default=[],
        help="outputs of further systems, compared with HYP",
    )
    add(
        "--metrics",
        nargs="+",
        metavar="NAME[,KEY=VALUE...]",
        help="metrics, optionally with their options, such as BLEU,tokenize=zh for Chinese or ChrF,word_order=2 for "
        f"chrF++ (default: {' '.join(METRICS)}; with --sources {' '.join(SUMMARY_METRICS)}); "
        "see: s2s plugins list --kind metric, s2s plugins show BLEU",
    )
    add(
        "--resamples",
        type=int,
        metavar="N",
        help=f"bootstrap resamples for 95 %% intervals and p-values (default: 0; with other systems {RESAMPLES})",
    )
    add(
        "--by-length",
        choices=list(LENGTHS),
        help="also print scores by length of the (first) reference, in words or characters",
    )
    add(
        "--buckets",
        nargs="+",
        type=int,
        metavar="N",
        help=f"maximum length of each bucket (default: {usual})",
    )
    add("--json", action="store_true", help="print JSON")
    summaries = parser.add_argument_group("summaries")
    summaries.add_argument(
        "--sources",
        metavar="FILE",
        help="the documents: also scores their first sentences and their best ones (oracle extract) as baselines",
    )
    summaries.add_argument(
        "--lead", type=int, metavar="K", help="maximum sentences of these extracts (default: 1)"
    )
    summaries.add_argument(
        "--report",
        metavar="FILE",
        help="write as JSON how much of the outputs is new, repeated and copied, and their lengths; needs --sources",
    )
    summaries.add_argument("--plot", metavar="FILE", help="the same as a plot, .png or .svg; needs --sources")
    return parser


def _check(parser: CommandLine, options: Namespace) -> None:
    """Report what cannot be done before the work begins."""
    if options.buckets is not None and options.by_length is None:
        parser.error("--buckets needs a unit; add --by-length words or --by-length characters")
    for name in ("lead", "report", "plot"):
        if getattr(options, name) is not None and options.sources is None:
            parser.error(f"--{name} is about the documents; add --sources FILE")
    if options.lead is not None and options.lead < 1:
        parser.error(f"--lead is {options.lead}; it must be 1 or more")
    if options.plot is not None:
        from s2s.evaluation.pictures import format_of

        format_of(options.plot)
    for path in (options.report, options.plot):
        if path is not None:
            from s2s.commands.output import check_place

            check_place(path)


def _texts(options: Namespace) -> tuple[dict[str, list[str]], list[list[str]], list[str] | None]:
    """Outputs by system name, sets of references, and the documents if given."""
    from s2s.evaluation.lines import read_texts
    from s2s.text.corpus import LineReport, shown

    outputs = [options.hypotheses, *options.systems]
    single = [*outputs, *([options.sources] if options.sources is not None else [])]
    files = [*single, *options.references]
    if files.count("-") > 1:
        raise DataError("standard input (-) can be read only once; give a file for the others")
    if twice := [path for path in outputs if outputs.count(path) > 1]:
        raise DataError(f"{twice[0]} is given twice; compare a system with a different one")
    report = LineReport()
    texts = {path: read_texts(path, report) for path in files}
    for note in report.notes:
        print(f"s2s: {note}", file=sys.stderr)
    first = texts[options.hypotheses][0]
    for path, sets in texts.items():
        if len(sets[0]) != len(first):
            raise DataError(
                f"{shown(options.hypotheses)} has {counted(len(first), 'line')}, {shown(path)} has {len(sets[0])}; "
                "line i of one must belong to line i of the other"
            )
        if len(sets) > 1 and path in single:
            raise DataError(f"{path} has {len(sets)} texts per line; only references may have several")
    if not first:
        raise DataError(f"{shown(options.hypotheses)} is empty: there is nothing to score")
    return (
        {shown(path): texts[path][0] for path in outputs},
        [one for path in options.references for one in texts[path]],
        None if options.sources is None else texts[options.sources][0],
    )


def _baselines(
    options: Namespace, outputs: dict[str, list[str]], references: list[list[str]], sources: list[str]
) -> dict[str, list[str]]:
    """Extracts of the documents, by name."""
    from s2s.evaluation.extracts import extracts

    own = extracts(sources, references, options.lead or 1)
    for name in outputs:
        if name in {**own, **_numbered(references)}:
            raise DataError(
                f"{name!r} is the name of a baseline or reference; give the file of that name as ./{name}"
            )
    return own


def _print(rows: Iterator[Row], options: Namespace, *, sentences: int, resamples: int) -> None:
    if options.json:
        print(json.dumps([_plain(row) for row in rows], indent=2, ensure_ascii=False), flush=True)
        return

    from s2s.evaluation.table import bootstrap_note, table

    for line in table(rows, options.by_length):
        print(line, flush=True)
    if note := bootstrap_note(sentences, resamples):
        print(note, flush=True)


def _numbered(references: list[list[str]]) -> dict[str, list[str]]:
    if len(references) == 1:
        return {"reference": references[0]}
    return {f"reference {number}": one for number, one in enumerate(references, start=1)}


def _plain(row: Row) -> dict[str, Any]:
    entries = asdict(row)
    if row.lengths is None:
        del entries["lengths"]
    else:
        entries["lengths"] = {"least": row.lengths[0], "most": row.lengths[1]}
    return entries
