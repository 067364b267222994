"""`s2s translate`: lines in, lines out, with a bundle."""

from __future__ import annotations

import itertools
import os
import sys
from typing import Any

from s2s.commands.command_line import CommandLine
from s2s.errors import DataError
from s2s.inference.options import Options, flags

SUMMARY = "translate line by line with a bundle"

_LINES_AT_ONCE = (
    4096  # enough to sort by length, little enough to see progress; a terminal is answered line by line
)


def main(argv: list[str]) -> int:
    """Run `s2s translate BUNDLE [FILE]`."""
    options = parser().parse_args(argv)
    # Defaults live in one place: what is not given here is the translator's, or the bundle's.
    given = {flag.name: getattr(options, flag.name) for flag in flags()}
    given = {name: value for name, value in given.items() if value is not None}
    Options.of(given)  # what cannot be is said before anything is loaded

    from s2s.inference.translator import Translator
    from s2s.text.corpus import STANDARD_INPUT, LineReport, raw_lines

    translator = Translator.load(
        options.bundle, device=options.device, precision=options.precision, threads=options.threads
    )
    invalid = cut = number = 0
    report = LineReport()
    with _Output(options.output) as output:
        source = raw_lines(options.file, report)
        at_once = 1 if options.file == STANDARD_INPUT and sys.stdin.isatty() else _LINES_AT_ONCE
        while block := list(itertools.islice(source, at_once)):
            lines = []
            for line in block:
                try:
                    lines.append(line.decode("utf-8"))
                except UnicodeDecodeError:
                    invalid += 1
                    lines.append(line.decode("utf-8", "replace"))
            translations = translator.translate(lines, results=True, **given)
            for translation in translations:
                cut += not translation.finished
                if given.get("n_best", 1) > 1:
                    for one in [translation, *translation.alternatives]:
                        output.write(f"{number} ||| {one.text} ||| {one.score:.6f}\n")
                elif options.scores:
                    output.write(f"{translation.score:.6f}\t{translation.text}\n")
                else:
                    output.write(f"{translation.text}\n")
                number += 1
            output.flush()
    for note in report.notes:
        print(f"s2s: {note}", file=sys.stderr)
    if invalid:
        print(
            f"s2s: {invalid} of {number} lines were not UTF-8; what could not be read became U+FFFD",
            file=sys.stderr,
        )
    if cut:
        print(
            f"s2s: {cut} of {number} outputs were cut at their limit of tokens; "
            "see --limit-ratio, --limit-extra",
            file=sys.stderr,
        )
    return 0


def parser() -> CommandLine:
    """The command line: files and places here, all else from `s2s.inference.options`."""
    parser = CommandLine(
        prog="s2s translate",
        description="Translate line by line: a line in, a line out, in order. Only \\n ends a line.",
    )
    add = parser.add_argument
    add("bundle", metavar="BUNDLE", help="folder of the model, as `s2s fit` writes it")
    add("file", metavar="FILE", nargs="?", default="-", help="text, plain or gzip (default: standard input)")
    add("--output", metavar="FILE", help="write here when all is done (default: standard output)")
    for flag in flags():
        value: dict[str, Any] = {"type": flag.kind, "metavar": flag.metavar, "choices": flag.choices or None}
        if flag.kind is bool:
            value = {"action": "store_true"}
        add(*flag.flags, dest=flag.name, default=None, help=flag.about.replace("%", "%%"), **value)
    add("--scores", action="store_true", help="print the score and a tab before each output")
    add("--device", default="cpu", help="such as cpu or cuda (default: cpu)")
    add("--precision", default="float32", help="float32 or bfloat16 (default: float32)")
    add("--threads", type=int, metavar="N", help="CPU threads (default: torch's choice)")
    return parser


class _Output:
    """Standard output, or a file that appears under its name only when it is complete."""

    def __init__(self, path: str | None) -> None:
        self.path = path
        self.partial = f"{path}.partial-{os.getpid()}"

    def __enter__(self) -> _Output:
        try:
            self.stream = sys.stdout.buffer if self.path is None else open(self.partial, "wb")
        except OSError as error:
            raise DataError(f"cannot write {self.path}: {error.strerror or error}") from error
        return self

    def write(self, text: str) -> None:
        self.stream.write(text.encode("utf-8", "replace"))

    def flush(self) -> None:
        self.stream.flush()

    def __exit__(self, failure: object, *_: object) -> None:
        if self.path is None:
            return
        if failure is None:
            self.stream.flush()
            os.fsync(self.stream.fileno())
        self.stream.close()
        if failure is None:
            os.replace(self.partial, self.path)
        else:
            os.unlink(self.partial)
