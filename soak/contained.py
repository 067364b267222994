"""Opens hostile files in a forked process that may crash, but neither execute anything nor use much memory."""

import gc
import json
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from s2s.errors import S2SError

MOST_SECONDS = 20
"""Per file."""
MOST_MEBIBYTES = 512
"""Memory that opening a tiny file may add, not counting pages of mapped files: those of its parent's libraries become
a forked child's only when it touches them."""
MARK = "hostile_module"
"""Name of a module that must never be imported; random inputs contain it."""

_FORBIDDEN = (
    "pickle.find_class",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "os.forkpty",
    "subprocess.Popen",
    "socket.connect",
    "socket.bind",
    "ctypes.dlopen",
    "shutil.rmtree",
    "os.remove",
    "os.rename",
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Executed(BaseException):
    """Something was about to be executed, or written outside the allowed folder."""


class Result(NamedTuple):
    """The result of one opening.

    Attributes:
        what: "refused", "opened" or "broken".
        told: the message, or what was found.
    """

    what: str
    told: str


def results(openings: Sequence[Callable[[], str]], own: Path) -> list[Result]:
    """The result of each; broken: it died, took too long or too much memory, executed something, or raised no S2SError.

    All run in one forked process; if that dies, a new one continues with the next opening.

    Args:
        openings: each opens something and returns what it found.
        own: the only folder that may be written to.
    """
    found: list[Result] = []
    while len(found) < len(openings):
        left = openings[len(found) :]
        told, status = _forked(left, own)
        found += told
        if len(told) < len(left):
            found.append(Result("broken", f"{left[len(told)]} ended the process: {_death(status)}"))
    return found


def _forked(openings: Sequence[Callable[[], str]], own: Path) -> tuple[list[Result], int]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            _child(openings, own, writing)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as stream:
        told = [Result(*json.loads(line)) for line in stream]
    return told, os.waitpid(child, 0)[1]


def _death(status: int) -> str:
    if not os.WIFSIGNALED(status):
        return f"exit {os.WEXITSTATUS(status)}"
    name = signal.Signals(os.WTERMSIG(status)).name
    return f"{name} (after {MOST_SECONDS} s)" if name == "SIGALRM" else name


def _child(openings: Sequence[Callable[[], str]], own: Path, writing: int) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    sys.dont_write_bytecode = True
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    seen: list[str] = []
    gc.collect()
    gc.freeze()  # the parent's objects are scanned here, not during an opening
    sys.addaudithook(_hook(own, seen))
    with os.fdopen(writing, "w", encoding="utf-8") as stream:
        for opening in openings:
            signal.alarm(MOST_SECONDS)
            with _bounded_memory():
                before, mapped = _peak_mebibytes(), _mapped_mebibytes()
                result = _one(opening)
                taken = _peak_mebibytes() - before - max(0.0, _mapped_mebibytes() - mapped)
            signal.alarm(0)
            if seen:
                result = Result("broken", f"{opening} executed or wrote: {'; '.join(seen)}")
                seen.clear()
            elif taken > MOST_MEBIBYTES:
                result = Result("broken", f"{opening} took {taken:.0f} MiB")
            stream.write(json.dumps(result) + "\n")
            stream.flush()


def _one(opening: Callable[[], str]) -> Result:
    try:
        return Result("opened", opening())
    except S2SError as error:
        return Result("refused", str(error))
    except BaseException as error:
        told = (
            f"{opening} raised {type(error).__name__}, which is no S2SError: {traceback.format_exc()[-1500:]}"
        )
        return Result("broken", told)


def _hook(own: Path, seen: list[str]) -> Callable[[str, tuple[Any, ...]], None]:
    root = str(own.resolve())

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        wrong = event.startswith(_FORBIDDEN)
        if event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING:
            path = os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes) else ""
            wrong = bool(path) and path != os.devnull and not os.path.realpath(path).startswith(root)
        wrong = wrong or (event == "import" and MARK in str(arguments[0]))
        if wrong:
            if event in ("os.remove", "os.rename", "shutil.rmtree") and root in str(arguments):
                return
            seen.append(f"{event} {arguments!r:.200}")
            raise Executed(seen[-1])

    return audit


@contextmanager
def _bounded_memory() -> Iterator[None]:
    # A second limit: requests for terabytes fail even if the machine would overcommit.
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    if pages:
        limit = pages * resource.getpagesize() + 4 * MOST_MEBIBYTES * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _mapped_mebibytes() -> float:
    """Resident memory of mapped files; 0 if the system does not report it."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(int(line.split()[1]) / 2**10 for line in lines if line.startswith("RssFile:"))


def _peak_mebibytes() -> float:
    scale = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale
