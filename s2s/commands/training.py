"""What `s2s fit`, `validate` and `test` have in common."""

from __future__ import annotations

from collections.abc import Sequence


def run(command: str, argv: Sequence[str]) -> int:
    """Run a command of training.

    Its configuration files are read before torch and Lightning are imported, which takes seconds: that a recipe does
    not exist is told at once.

    Args:
        command: fit, validate or test.
        argv: its command line.
    """
    from s2s.training.options import read_command_line

    written = None if any(map(_asks_something, argv)) else read_command_line(argv)

    from s2s.training import cli

    return cli.run(command, argv, written)


def _asks_something(word: str) -> bool:
    option = word.partition("=")[0]
    return option in ("-h", "--help", "--help.trainer", "--print_config") or option.endswith(".help")
