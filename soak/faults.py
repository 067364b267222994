"""Runs a child process whose k-th disk operation fails, or that is killed there."""

import builtins
import errno
import io
import json
import os
import resource
import select
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import s2s.durable
from s2s.errors import S2SError
from soak.attack import Broken

ERRORS = {name: getattr(errno, name) for name in ("ENOSPC", "EIO", "EROFS", "EDQUOT")}
SHORT = "half written, then ENOSPC"
VANISHED = "folder vanished"
KILLED = "killed before"
KILLED_AFTER = "killed after"
KILLED_IN = "killed half-way"
LIMITED = "EFBIG"
KILLED_AT_BYTE = "killed at byte"
_SECONDS = 60.0

KILLS = {KILLED, KILLED_AFTER, KILLED_IN, KILLED_AT_BYTE}


def faults_of(call: str) -> list[str]:
    """The possible faults of a kind of call."""
    if call == "unlink":  # what cannot be deleted is left for the next run to delete
        return [KILLED, KILLED_AFTER]
    inside = [SHORT, KILLED_IN] if call == "write" else []
    return [*ERRORS, VANISHED, KILLED, KILLED_AFTER, *inside]


@dataclass(frozen=True)
class Fault:
    """A fault injected into a child process.

    Args:
        what: of `faults_of`, `LIMITED` or `KILLED_AT_BYTE`.
        at: the number of the call, from 0; or the maximum file size in bytes.
    """

    what: str
    at: int


@dataclass(frozen=True)
class Ended:
    """How a child ended.

    Args:
        how: "done", "refused" by an S2SError, "crashed" by another error, or "killed".
        message: of the error.
        calls: the kinds of disk operations that it made.
    """

    how: str
    message: str = ""
    calls: list[str] = field(default_factory=list)


def run(work: Callable[[], object], folder: Path, fault: Fault | None) -> Ended:
    """Call a function in a child process.

    Args:
        work: the function.
        folder: calls for paths below it count; it is also the folder that vanishes.
        fault: the fault to inject; None: none.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(read)
            ended = _child(work, folder, fault)
            os.write(write, json.dumps(vars(ended)).encode())
        finally:
            os._exit(0)
    os.close(write)
    told = b""
    with open(read, "rb", buffering=0) as pipe:
        while select.select([pipe], [], [], _SECONDS)[0]:
            if not (more := pipe.read(1 << 16)):
                break
            told += more
        else:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise Broken(f"{fault}: it does not end")
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        expected = fault is not None and fault.what in KILLS
        return Ended("killed" if expected else "crashed", f"signal {os.WTERMSIG(status)}")
    return Ended(**json.loads(told)) if told else Ended("crashed", "it says nothing")


def _child(work: Callable[[], object], folder: Path, fault: Fault | None) -> Ended:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    disk = _Disk(folder, fault)
    disk.install()
    try:
        work()
    except S2SError as error:
        return Ended("refused", str(error), disk.calls)
    except BaseException as error:
        return Ended("crashed", f"{type(error).__name__}: {error}", disk.calls)
    return Ended("done", "", disk.calls)


class _Disk:
    """Intercepts the process's disk operations."""

    def __init__(self, folder: Path, fault: Fault | None) -> None:
        self._folder = os.path.realpath(folder)
        self._fault = fault
        self.calls: list[str] = []

    def install(self) -> None:
        """Count calls from now on."""
        if self._fault is not None and self._fault.what in (LIMITED, KILLED_AT_BYTE):
            # The system itself enforces this limit, whichever library writes the file.
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            how = signal.SIG_DFL if self._fault.what == KILLED_AT_BYTE else signal.SIG_IGN
            signal.signal(signal.SIGXFSZ, how)
            resource.setrlimit(resource.RLIMIT_FSIZE, (self._fault.at, self._fault.at))
            self._fault = None
        usual, descriptor = builtins.open, os.open

        def faulty_open(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            if not set(mode) & set("wax+") or not self._is_ours(file):
                return usual(file, mode, *args, **kwargs)
            return self._call("open", lambda: self._file(file, mode, *args, **kwargs))

        def faulty_descriptor(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
            if not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) or not self._is_ours(path):
                return descriptor(path, flags, *args, **kwargs)
            return int(self._call("open", lambda: descriptor(path, flags, *args, **kwargs)))

        builtins.open = io.open = faulty_open
        os.open = faulty_descriptor
        for kind, name in (
            ("fsync", "fsync"),
            ("rename", "replace"),
            ("rename", "rename"),
            ("mkdir", "mkdir"),
            ("write", "sendfile"),
            ("unlink", "unlink"),
            ("unlink", "rmdir"),
        ):
            setattr(os, name, self._faulty(kind, getattr(os, name)))
        s2s.durable._exchange = self._faulty("rename", s2s.durable._exchange)

    def write(self, write: Callable[[Any], int], data: Any) -> int:
        """Write bytes, possibly only a part of them."""
        fault = self._fault
        if fault is not None and fault.at == len(self.calls) and fault.what in (SHORT, KILLED_IN):
            self.calls.append("write")
            write(memoryview(data).cast("B")[: len(data) // 2])
            if fault.what == KILLED_IN:
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return int(self._call("write", lambda: write(data)))

    def _faulty(self, kind: str, call: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **kwargs: self._call(kind, lambda: call(*args, **kwargs))

    def _call(self, kind: str, call: Callable[[], Any]) -> Any:
        number = len(self.calls)
        self.calls.append(kind)
        if self._fault is None or self._fault.at != number:
            return call()
        what = self._fault.what
        if what in ERRORS:
            raise OSError(ERRORS[what], os.strerror(ERRORS[what]))
        if what == KILLED:
            os.kill(os.getpid(), signal.SIGKILL)
        if what == VANISHED:
            self._fault = None
            shutil.rmtree(self._folder)
        result = call()
        if what == KILLED_AFTER:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    def _is_ours(self, file: Any) -> bool:
        return isinstance(file, (str, os.PathLike)) and os.path.realpath(file).startswith(self._folder)

    def _file(self, file: Any, mode: str, buffering: int = -1, *args: Any, **kwargs: Any) -> Any:
        disk = self

        class Raw(io.FileIO):
            def write(self, data: Any) -> int:
                return disk.write(super().write, data)

        raw = Raw(file, mode.replace("b", "").replace("t", ""))
        if buffering == 0:
            return raw
        binary = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return binary if "b" in mode else io.TextIOWrapper(binary, *args, **kwargs)
