"""Options of commands that answer a text after the other: where they write."""

from __future__ import annotations

from s2s.commands.command_line import CommandLine


def add_output_options(parser: CommandLine) -> None:
    """A file that appears when it is complete, and going on with one that is not."""
    add = parser.add_argument
    add(
        "--output",
        metavar="FILE",
        help="write here, compressed if the name ends in .gz; FILE is there when all is done, until then FILE.partial "
        "(default: standard output)",
    )
    add("--resume", action="store_true", help="go on where an earlier run with the same --output stopped")
