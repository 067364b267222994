"""`s2s translate`: lines in, lines out, with a bundle."""

from __future__ import annotations

import itertools
import os
import sys
from typing import Any

from s2s.commands.command_line import CommandLine
from s2s.errors import ConfigError, DataError

SUMMARY = "translate line by line with a bundle"

_LINES_AT_ONCE = (
    4096  # enough to sort by length, little enough to see progress; a terminal is answered line by line
)


_SEARCH = (
    "beam",
    "n_best",
    "normalization",
    "alpha",
    "limit_ratio",
    "limit_extra",
    "minimum_ratio",
    "batch_tokens",
    "shortlist",
)


def main(argv: list[str]) -> int:
    """Run `s2s translate BUNDLE [FILE]`."""
    options = _parser().parse_args(argv)
    if options.n_best < 1:
        raise ConfigError(f"--nbest is {options.n_best}; it must be 1 or more")

    from s2s.inference.translator import Translator
    from s2s.text.corpus import STANDARD_INPUT, LineReport, raw_lines

    translator = Translator.load(
        options.bundle, device=options.device, precision=options.precision, threads=options.threads
    )
    # Defaults live in one place: what is not given here is the translator's, or the bundle's.
    search: dict[str, Any] = {
        name: value for name in _SEARCH if (value := getattr(options, name)) is not None
    }
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
            translations = translator.translate(lines, results=True, **search)
            for translation in translations:
                cut += not translation.finished
                if options.n_best > 1:
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


def _parser() -> CommandLine:
    parser = CommandLine(
        prog="s2s translate",
        description="Translate line by line: a line in, a line out, in order. Only \\n ends a line.",
    )
    add = parser.add_argument
    add("bundle", metavar="BUNDLE", help="folder of the model, as `s2s fit` writes it")
    add("file", metavar="FILE", nargs="?", default="-", help="text, plain or gzip (default: standard input)")
    add("--output", metavar="FILE", help="write here when all is done (default: standard output)")
    add(
        "--beam",
        type=int,
        metavar="N",
        help="size of the beam; 1 is greedy (default: what the bundle recommends)",
    )
    add(
        "--nbest",
        dest="n_best",
        type=int,
        default=1,
        metavar="N",
        help="print N outputs for each line: number ||| text ||| score",
    )
    add(
        "--normalization",
        choices=["wu", "length", "none"],
        help="of scores by length (default: the bundle's)",
    )
    add("--alpha", type=float, metavar="X", help="strength of the normalization (default: the bundle's)")
    add(
        "--limit-ratio",
        type=float,
        metavar="X",
        help="most tokens per source token (default: 2)",
    )
    add("--limit-extra", type=int, metavar="N", help="and so many more (default: 20)")
    add(
        "--minimum-ratio",
        type=float,
        metavar="X",
        help="fewest tokens per source token (default: 0)",
    )
    add("--scores", action="store_true", help="print the score and a tab before each output")
    add(
        "--batch-tokens",
        type=int,
        metavar="N",
        help="most source tokens of a batch; each thread searches a batch (default: 4096)",
    )
    add(
        "--shortlist",
        action="store_true",
        default=None,
        help="say only what the bundle's shortlist has for a sentence: faster; see: s2s shortlist",
    )
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
