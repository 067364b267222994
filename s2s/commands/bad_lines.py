"""The option of commands that train or evaluate on pairs: what happens to lines that cannot be read."""

from __future__ import annotations

import typing
from argparse import ArgumentParser, _ArgumentGroup

from s2s.text.corpus import BadLinePolicy, LineReport

NO_CHOICE = "mend the file"
"""`LineReport.remedy` of a command that cannot leave lines out."""


def add_bad_line_options(parser: ArgumentParser | _ArgumentGroup) -> None:
    """The counterpart of `data.on_bad_line` of training."""
    parser.add_argument(
        "--on-bad-line",
        choices=typing.get_args(BadLinePolicy),
        default=LineReport.on_bad_line,
        help="what to do with unreadable lines: stop with an error that names file and line, or skip, count and report "
        "them (default: %(default)s)",
    )
    parser.add_argument(
        "--skip-bad-lines",
        dest="on_bad_line",
        action="store_const",
        const="skip",
        help="short for --on-bad-line skip",
    )


def line_report(on_bad_line: BadLinePolicy) -> LineReport:
    """The report on bad lines of a command with these options."""
    return LineReport(on_bad_line, remedy="mend the file, or leave such lines out with --skip-bad-lines")
