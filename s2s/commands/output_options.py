"""Output options of commands that process one text after the other."""

from __future__ import annotations

from s2s.commands.command_line import CommandLine


def add_output_options(parser: CommandLine) -> None:
    """Add the options for a file that appears when it is complete, and for resuming an incomplete one."""
    add = parser.add_argument
    add(
        "--output",
        metavar="FILE",
        help="write here, compressed if the name ends in .gz; FILE appears when it is complete, until then it is "
        "FILE.partial (default: standard output)",
    )
    add("--resume", action="store_true", help="continue where an earlier run with the same --output stopped")
