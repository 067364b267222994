"""The option of commands that learn from pairs, or measure with them: what happens to lines that cannot be read."""

from __future__ import annotations

import typing
from argparse import ArgumentParser, _ArgumentGroup

from s2s.text.corpus import BadLinePolicy, LineReport

NO_CHOICE = "mend the file"
"""`LineReport.remedy` of a command that cannot leave lines out."""


def add_bad_line_options(parser: ArgumentParser | _ArgumentGroup) -> None:
    """What `data.on_bad_line` is for a training."""
    parser.add_argument(
        "--on-bad-line",
        choices=typing.get_args(BadLinePolicy),
        default=LineReport.on_bad_line,
        help="what happens to unreadable lines: an error that names file and line, or a counted and reported skip "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--skip-bad-lines",
        dest="on_bad_line",
        action="store_const",
        const="skip",
        help="short for --on-bad-line skip",
    )


def line_report(on_bad_line: BadLinePolicy) -> LineReport:
    """What a command with these options tells of bad lines."""
    return LineReport(on_bad_line, remedy="mend the file, or leave such lines out with --skip-bad-lines")
