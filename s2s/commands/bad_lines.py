"""The option of commands that learn from pairs, or measure with them: what happens to lines that cannot be read."""

from __future__ import annotations

import typing
from argparse import ArgumentParser, _ArgumentGroup

from s2s.text.corpus import BadLinePolicy, LineReport


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
