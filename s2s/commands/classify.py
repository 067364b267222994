"""`s2s classify`: predicts the class of each text with a bundle, or evaluates it on texts with known classes."""

from __future__ import annotations

import hashlib
import json
import sys
from argparse import Namespace
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

from s2s.commands.bad_lines import add_bad_line_options, line_report
from s2s.commands.bundles import expect_bundle
from s2s.commands.command_line import CommandLine
from s2s.commands.output_options import add_output_options
from s2s.commands.threads import at_once
from s2s.errors import ConfigError
from s2s.inference.batch_sizes import CLASSIFIED_TOKENS
from s2s.inference.options import MAX_SOURCE_TOKENS
from s2s.text.corpus import LineReport

if TYPE_CHECKING:
    from s2s.inference.classifier import Classification, Classifier

SUMMARY = "classify texts with a bundle, or evaluate a classifier"

_READING = ("whole", "top", "resume")
_EVALUATING = ("target_key", "plot", "on_bad_line")


def main(argv: list[str]) -> int:
    """Run `s2s classify BUNDLE [FILE...]`."""
    command = parser().parse_args(argv)
    _check(command)
    given = {name: getattr(command, name) for name in ("max_source_tokens", "batch_tokens")}
    numbers = {name: value for name, value in given.items() if value is not None}
    if command.plot is not None:
        from s2s.evaluation.pictures import format_of

        format_of(command.plot)
    if command.evaluate:
        from s2s.commands.output import check_place

        for path in (command.plot, command.output):
            if path is not None:
                check_place(path)
    expect_bundle(command.bundle)

    from s2s.inference.classifier import Classifier

    classifier = Classifier.load(command.bundle, device=command.device, threads=command.threads)
    return (
        _evaluate(command, classifier, numbers)
        if command.evaluate
        else _classify(command, classifier, numbers)
    )


def parser() -> CommandLine:
    """The command line."""
    parser = CommandLine(
        prog="s2s classify",
        description="Classify texts, in order: a folder's files, the objects of a FILE.jsonl, the lines of other "
        "files. Prints one line per text; an empty line for a text without tokens.",
        epilog="With --evaluate, each FILE has texts and their classes, as `s2s fit` reads them.",
    )
    add = parser.add_argument
    add("bundle", metavar="BUNDLE", help="folder of the model, as `s2s fit` writes it")
    add(
        "files",
        metavar="FILE",
        nargs="*",
        default=[],  # or argparse says that one is required
        help="a folder, FILE.jsonl or text, plain or gzip (default: standard input; slow input is classified line "
        "by line)",
    )
    add(
        "--field",
        "--source-key",
        metavar="KEY",
        action="append",
        help="key of the text in a JSON object (default: source); several are joined, a line for each; with "
        "--evaluate only one, or the number of a column, from 1 (default: source, 1)",
    )
    add("--whole", action="store_true", help="each FILE is one text, whatever its name")
    add(
        "--top",
        type=int,
        metavar="N",
        help="print the N most probable classes with their probabilities, separated by tabs",
    )
    add(
        "--jsonl",
        action="store_true",
        help="print a JSON object for each text, with the probabilities of all classes, or of the --top N; with "
        "--evaluate, one object with all scores",
    )
    add_output_options(parser)
    known = parser.add_argument_group("evaluation on texts with known classes")
    known.add_argument(
        "--evaluate",
        action="store_true",
        help="print accuracy, macro-F1, and precision, recall and F1 of each class",
    )
    known.add_argument(
        "--target-key",
        metavar="KEY",
        help="where the class is: a key of JSON objects, or the number of a column, from 1 (default: target, 2)",
    )
    known.add_argument(
        "--plot",
        "--confusion",
        metavar="FILE",
        help="plot the confusion matrix, as .png or .svg; needs matplotlib: pip install 's2s[plots]'",
    )
    add_bad_line_options(known)
    speed = parser.add_argument_group("results and speed")
    speed.add_argument(
        "--max-source-tokens",
        type=int,
        metavar="N",
        help=f"maximum number of tokens read per text (default: {MAX_SOURCE_TOKENS})",
    )
    speed.add_argument(
        "--batch-tokens",
        type=int,
        metavar="N",
        help=f"maximum padded tokens per batch; affects speed and memory only (default: {CLASSIFIED_TOKENS})",
    )
    speed.add_argument("--device", default="cpu", help="such as cpu or cuda (default: cpu)")
    speed.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help=at_once("classify"),
    )
    return parser


def _check(command: Namespace) -> None:
    """Check that the options fit together, before anything is loaded."""
    if command.top is not None and command.top < 1:
        raise ConfigError(f"--top is {command.top}; it must be 1 or more")
    if command.resume and command.output is None:
        raise ConfigError("--resume continues a file; name it with --output FILE")
    others = _READING if command.evaluate else _EVALUATING
    for name in others:
        if getattr(command, name) not in (None, False, LineReport.on_bad_line):
            flag = f"--{name.replace('_', '-')}"
            raise ConfigError(
                f"{flag} has no meaning with --evaluate; leave one of them out"
                if command.evaluate
                else f"{flag} is about texts whose class is known; add --evaluate, or leave it out"
            )
    if command.evaluate and command.field and len(command.field) > 1:
        raise ConfigError(
            f"--evaluate reads the text under one key, not under {', '.join(command.field)}; name one with --field"
        )
    if command.evaluate and not command.files:
        raise ConfigError(
            "--evaluate needs a FILE of texts and their classes, such as texts.tsv or texts.jsonl"
        )


def _classify(command: Namespace, classifier: Classifier, numbers: Mapping[str, int]) -> int:
    from s2s.inference.documents import Documents
    from s2s.inference.incoming import Decoder
    from s2s.inference.outgoing import Outgoing
    from s2s.inference.progress import progress

    incoming = Documents(command.files or ["-"], fields=command.field, whole=command.whole)
    decode = Decoder("texts")
    pending: deque[tuple[list[bytes], list[str]]] = deque()
    truncated = 0
    files = json.dumps(classifier.files, sort_keys=True)
    made_of = {
        "bundle": hashlib.sha256(files.encode()).hexdigest(),
        "max_source_tokens": command.max_source_tokens,
        **{name: getattr(command, name) for name in ("jsonl", "top", "field", "whole")},
    }

    def windows() -> Iterator[list[str]]:
        for lines in incoming.windows(skip=out.lines, checksum=out.checksum):
            texts = [decode(line) for line in lines]
            if texts:
                pending.append((lines, texts))
            yield texts

    # Invalid options are reported before an earlier run's file is touched; no window is read yet.
    flow = classifier.stream_windows(windows(), **numbers)
    at_a_terminal = sys.stderr.isatty() and (command.output is not None or not sys.stdout.isatty())
    with (
        Outgoing(command.output, made_of=made_of, resume=command.resume, inputs=incoming.paths) as out,
        progress(incoming.size, shown=at_a_terminal) as tell,
        closing(flow),
    ):
        if out.lines:
            print(f"s2s: continuing after text {out.lines:,}", file=sys.stderr)
        for found in flow:
            lines, texts = pending.popleft()
            rows = []
            for number, (text, one) in enumerate(zip(texts, found, strict=True), start=out.lines):
                name = incoming.name(number)
                rows.append(
                    _object(name, text, one, command.top) if command.jsonl else _line(one, command.top)
                )
            out.write("".join(rows), lines)
            truncated += sum(one.truncated for one in found)
            tell(len(found), sum(incoming.report.bytes_read.values()))
    said = [*incoming.report.notes, *decode.notes()]
    if truncated:
        said.append(_told(truncated, decode.lines, command.max_source_tokens))
    for note in said:
        print(f"s2s: {note}", file=sys.stderr)
    return 0


def _evaluate(command: Namespace, classifier: Classifier, numbers: Mapping[str, int]) -> int:
    from s2s.commands.output import Output
    from s2s.evaluation.classes import Classes
    from s2s.text.corpus import corpus_spec, open_corpus

    report = line_report(command.on_bad_line)
    texts, gold = [], []
    source_key = command.field[0] if command.field else None
    for path in command.files:
        spec = corpus_spec({"path": path, "source_key": source_key, "target_key": command.target_key})
        for pair in open_corpus(spec).pairs(report):
            texts.append(pair.source)
            gold.append(pair.target.strip())
    found = classifier.classify(texts, results=True, **numbers)
    classes = Classes(gold, [one.label for one in found], classifier.classes)
    with Output(command.output) as out:
        if command.jsonl:
            out.write(json.dumps(classes.as_json(), ensure_ascii=False) + "\n")
        else:
            out.write("".join(f"{line}\n" for line in classes.lines()))
    said = report.lines()
    if (note := classes.note()) is not None:
        said.append(note)
    if truncated := sum(one.truncated for one in found):
        said.append(_told(truncated, len(found), command.max_source_tokens))
    if command.plot is not None:
        from s2s.inference.confusion import draw

        picture, notes = draw(classes, command.plot)
        with Output(command.plot) as drawn:
            drawn.write_bytes(picture)
        said += notes
    for note in said:
        print(f"s2s: {note}", file=sys.stderr)
    return 0


def _told(truncated: int, texts: int, most: int | None) -> str:
    return (
        f"{truncated} of {texts} texts have more than {most or MAX_SOURCE_TOKENS} tokens; only so many were read of "
        "each. See --max-source-tokens"
    )


def _line(one: Classification, top: int | None) -> str:
    if top is None:
        return f"{_in_a_line(one.label)}\n"
    cells = [f"{_in_a_line(name)}\t{value:.6f}" for name, value in _best(one, top).items()]
    return "\t".join(cells) + "\n"


def _object(name: str, text: str, one: Classification, top: int | None) -> str:
    row: dict[str, Any] = {
        "document": name,
        "text": text,
        "label": one.label,
        "probability": one.probability,
        "probabilities": _best(one, top),
        "tokens": one.tokens,
        "truncated": one.truncated,
    }
    return json.dumps(row, ensure_ascii=False) + "\n"


def _best(one: Classification, top: int | None) -> dict[str, float]:
    return dict(list(one.probabilities.items())[:top])


def _in_a_line(label: str) -> str:
    # A label from JSON may have tabs or newlines; a line stays a line.
    return label if label.isprintable() else " ".join(label.split())
