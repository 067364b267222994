"""The `s2s` command: finds the sub-command by its name and imports nothing else."""

import ast
import gc
import importlib.util
import math
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from s2s import __version__
from s2s.errors import ENDING, ConfigError, S2SError, Terminated
from s2s.registry import Catalogue, PluginWarning, use_plugins
from s2s.registry.near_names import unknown
from s2s.streams import Enduring, streams

USAGE = """\
usage: s2s [--plugin-dir PATH] [--no-plugins] COMMAND [options]

Trains, evaluates and serves recurrent encoder-decoder models.

commands (each has its own --help):
{commands}

options, before or after the command:
  --plugin-dir PATH  also use the plugins in this folder or .py file (may be given more than once)
  --no-plugins       use only the built-in parts of s2s
  --version          print the version
  -h, --help         print this

Start here: `s2s demo`."""
_AGAIN_SECONDS = 1.0
_COLLECT_AFTER = 10_000
"""Garbage collection threshold, instead of Python's 700 or 2,000: importing torch and Lightning creates 370,000 objects
that stay."""


def program() -> int:
    """`main` for a process that ends with it: once shutdown has begun, further signals are ignored.

    Start and shutdown are faster with less garbage collection: none at exit, and less during imports. On a slow
    processor, a training of two batches took 7.1 instead of 10.0 s from start to end.
    """
    gc.set_threshold(_COLLECT_AFTER, *gc.get_threshold()[1:])
    try:
        return main(ends=True)
    finally:
        gc.freeze()


def main(argv: list[str] | None = None, *, ends: bool = False) -> int:
    """Run one sub-command.

    Args:
        argv: Command line without the program's name; default: this process's.
        ends: The process ends with this command: afterwards signals, Ctrl-C too, are ignored. Otherwise the previous
            handlers are restored.

    Returns:
        The exit status: 0 success; 1 the reader of the output has closed it; 2 an error that the user can fix,
        printed to standard error; 130 Ctrl-C; 143 SIGTERM and 138 SIGUSR1, with which clusters end jobs; 129 SIGHUP,
        when a terminal is closed.
    """
    warnings.showwarning = _show_warning
    with streams():
        status = _run(list(sys.argv[1:] if argv is None else argv), ends)
        Enduring(sys.stdout).flush()  # a failure has already been reported
        return status


def _run(argv: list[str], ends: bool) -> int:
    try:
        with _signals_end_in_good_order(ends):
            status = _dispatch(argv)
            sys.stdout.flush()
            return status
    except S2SError as error:
        print(f"s2s: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("s2s: stopped", file=sys.stderr)
        return 130
    except Terminated as ended:
        print(f"s2s: stopped by {ended.name}", file=sys.stderr)
        return int(str(ended.code))
    except BrokenPipeError:
        return 1  # the reader (`| head`) has left


@contextmanager
def _signals_end_in_good_order(ends: bool) -> Iterator[None]:
    """Termination signals act like Ctrl-C: cleanup runs, and the user is told how to continue.

    Only once: a second signal must not disturb that, nor the interpreter's shutdown; but a second Ctrl-C after a while
    is obeyed, since something may have swallowed the first. A training delays them until it has saved.
    """
    heard = -math.inf

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal heard
        silent = time.monotonic() - heard
        if silent < (_AGAIN_SECONDS if number == signal.SIGINT else math.inf):
            return
        heard = time.monotonic()
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)

    usual = {number: signal.SIG_DFL for number in ENDING} | (
        {signal.SIGINT: signal.default_int_handler} if ends else {}
    )
    # Signals that are already handled or ignored, as by nohup, are left alone.
    before = {
        number: handler
        for number, handler in usual.items()
        if threading.current_thread() is threading.main_thread() and signal.getsignal(number) is handler
    }
    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if ends else handler)


def _dispatch(argv: list[str]) -> int:
    if "--version" in argv[:1]:
        print(f"s2s {__version__}")
        return 0
    argv, third_party, plugin_dirs = _plugin_options(argv)
    known = use_plugins(third_party=third_party, plugin_dirs=plugin_dirs)
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(USAGE.format(commands=_command_list(known)))
        return 0
    command, *rest = argv
    if command.startswith("-"):
        raise ConfigError(f"expected a command before {command!r}. See: s2s --help")
    if command not in known.names("command"):
        raise ConfigError(unknown("command", command, known.names("command"), "See: s2s --help"))
    return int(known.load("command", command)(rest) or 0)


def _plugin_options(argv: list[str]) -> tuple[list[str], bool, list[Path]]:
    rest: list[str] = []
    folders: list[Path] = []
    third_party = True
    words = iter(argv)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word == "--no-plugins":
            third_party = False
        elif word == "--plugin-dir":
            folder = next(words, None)
            if folder is None:
                raise ConfigError("--plugin-dir needs a folder or a .py file")
            folders.append(Path(folder))
        elif word.startswith("--plugin-dir="):
            folders.append(Path(word.partition("=")[2]))
        else:
            rest.append(word)
    return rest, third_party, folders


def _command_list(known: Catalogue) -> str:
    entries = known.entries("command")
    width = max((len(entry.name) for entry in entries), default=0)
    return "\n".join(f"  {entry.name:<{width}}  {_summary(entry.target)}".rstrip() for entry in entries)


def _summary(target: str) -> str:
    """The module's SUMMARY, read from its source: importing a command may take seconds."""
    try:
        spec = importlib.util.find_spec(target.partition(":")[0])
    except ImportError:
        spec = None
    if spec is None or spec.origin is None:
        return "(cannot be found; see: s2s plugins list)"
    for node in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id == "SUMMARY"
            and isinstance(node.value, ast.Constant)
        ):
            return str(node.value.value)
    return ""


_python_showwarning = warnings.showwarning


def _show_warning(message, category, filename, lineno, file=None, line=None):  # type: ignore[no-untyped-def]
    ours = category is UserWarning and Path(filename).resolve().is_relative_to(
        Path(__file__).resolve().parent
    )
    if ours or issubclass(category, PluginWarning):
        print(f"s2s: warning: {message}", file=file or sys.stderr)
    else:
        _python_showwarning(message, category, filename, lineno, file, line)


if __name__ == "__main__":
    sys.exit(program())
