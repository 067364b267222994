"""What the command lines of all commands except fit, validate and test have in common."""

import argparse
import re
import sys
from collections.abc import Sequence
from typing import Any

from s2s.errors import ConfigError
from s2s.registry.near_names import nearest

_NO_NUMBER = re.compile(r"argument (\S+): invalid (int|float) value: (.*)")
_NUMBERS = {"int": "a whole number", "float": "a number"}


class CommandLine(argparse.ArgumentParser):
    """argparse with files and options in any order, one-line errors, and help where an action is missing."""

    _within = False

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Parse; unknown words are an error.

        Raises:
            ConfigError: an unknown or invalid word.
        """
        words = sys.argv[1:] if args is None else list(args)
        if self._within:  # argparse's own passes over the line
            return super().parse_known_args(words, namespace)
        if self._subparsers is not None:
            if not words:
                self.print_help()
                self.exit()
            return super().parse_known_args(words, namespace)
        self._within = True
        try:
            # Without this, `[FILE]` counts as not given if an option comes between it and the argument before it.
            # Its two passes would lose the effect of `--`; with `--`, files stand together behind it anyway.
            mixed = "--" not in words
            parse = self.parse_known_intermixed_args if mixed else super().parse_known_args
            parsed, left = parse(words, namespace)
        finally:
            self._within = False
        if left:
            self.error(self._unknown(left))
        self._check_names(parsed)
        return parsed, []

    def error(self, message: str) -> Any:
        """One line instead of the usage.

        Raises:
            ConfigError: always.
        """
        message = _NO_NUMBER.sub(
            lambda found: f"{found[1]} is {found[3]}; it must be {_NUMBERS[found[2]]}", message
        )
        end = "" if message.endswith("?") else "."
        raise ConfigError(f"{message}{end} See: {self.prog} --help")

    def _check_names(self, parsed: argparse.Namespace) -> None:
        # As from `--output "$OUT"` with OUT unset: this must be noticed before the work.
        for action in self._actions:
            named = action.option_strings and action.metavar in ("FILE", "FOLDER", "DIR", "PATH")
            if named and getattr(parsed, action.dest, None) == "":
                self.error(f"{action.option_strings[0]} is empty; it must be the name of a {action.metavar}")

    def _unknown(self, words: Sequence[str]) -> str:
        strange = [word.partition("=")[0] for word in words if word.startswith("-")]
        if not strange:
            return f"unexpected {words[0]!r}"
        near = nearest(strange[0], self._option_string_actions)
        return f"unknown option {strange[0]!r}" + (f"; did you mean {near!r}?" if near else "")
