"""`s2s evaluate`: scores of outputs against references, each with its signature."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

from s2s.commands.command_line import CommandLine
from s2s.errors import DataError
from s2s.evaluation.metric import Metric

SUMMARY = "score outputs against references: BLEU, chrF, TER, cased and lower-cased"

_METRICS = ["BLEU", "ChrF", "TER"]


def main(argv: list[str]) -> int:
    """Run `s2s evaluate HYP REF [REF...]`."""
    parser = CommandLine(
        prog="s2s evaluate",
        description="Score outputs against references, line by line, with sacreBLEU's signatures.",
        epilog="Both files must be detokenized text, as people write it. Lines end with \\n; gzip is read.",
    )
    parser.add_argument(
        "hypotheses", metavar="HYP", help="outputs, a line for each sentence; - is standard input"
    )
    parser.add_argument(
        "references", metavar="REF", nargs="+", help="references, with the same number of lines"
    )
    parser.add_argument(
        "--metrics",
        nargs="+",
        metavar="NAME",
        default=_METRICS,
        help=f"which to compute (default: {' '.join(_METRICS)}); see: s2s plugins list --kind metric",
    )
    parser.add_argument(
        "--resamples",
        type=int,
        default=0,
        metavar="N",
        help="bootstrap resamples for 95 %% intervals (default: 0)",
    )
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")
    options = parser.parse_args(argv)

    from s2s.evaluation.lines import read_lines
    from s2s.text.corpus import LineReport, shown

    if [options.hypotheses, *options.references].count("-") > 1:
        raise DataError("standard input (-) can be read only once; give a file for the others")
    report = LineReport()
    hypotheses = read_lines(options.hypotheses, report)
    references = [read_lines(path, report) for path in options.references]
    for note in report.notes:
        print(f"s2s: {note}", file=sys.stderr)
    for path, reference in zip(options.references, references, strict=True):
        if len(reference) != len(hypotheses):
            raise DataError(
                f"{shown(options.hypotheses)} has {len(hypotheses)} lines, {shown(path)} has {len(reference)}; "
                "line i of one must belong to line i of the other"
            )
    if not hypotheses:
        raise DataError(f"{shown(options.hypotheses)} is empty: there is nothing to score")
    rows = []
    for case, metric in _metrics(options.metrics, options.resamples):
        score = metric.score(hypotheses, references)
        row = {
            "metric": score.name,
            "case": case,
            "score": score.value,
            "confidence": score.confidence,
            "sentences": score.sentences,
            "signature": score.signature,
            "details": score.details,
        }
        rows.append(row)
        if not options.json:
            interval = "" if score.confidence is None else f" ± {score.confidence:.2f}"
            print(f"{score.name:<6}{case:<11}{score.value:7.2f}{interval}  {score.signature}", flush=True)
    if options.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        print(f"{len(hypotheses)} sentences")
    return 0


def _metrics(names: list[str], resamples: int) -> Iterator[tuple[str, Metric]]:
    from s2s.registry import catalogue
    from s2s.registry.parts import options

    for name in names:
        metric = catalogue().load("metric", name)
        known = options(metric)
        bootstrap = {"resamples": resamples} if resamples and "resamples" in known else {}
        if "lowercase" in known:
            yield "cased", metric(lowercase=False, **bootstrap)
            yield "lower-cased", metric(lowercase=True, **bootstrap)
        else:
            yield "", metric(**bootstrap)
