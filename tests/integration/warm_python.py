"""Runs programs without importing torch and Lightning each time: they are forked from a process that has done so.

    with WarmPython() as warm:
        subprocess.run("s2s fit -c demo | tee log", shell=True, env={..., "PATH": f"{warm.programs}:..."})

A start takes seconds on a slow processor, and the pages of docs/ start about a hundred programs. Only torch and
Lightning are preloaded: s2s itself, and what pages write and install, is imported afresh by each. That s2s imports all
it needs is tested elsewhere, by README.md (test_readme.py) and by tests of the commands.
"""

import gc
import json
import os
import runpy
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from tempfile import mkdtemp
from types import ModuleType, TracebackType
from typing import Any, NoReturn

PACKAGES = ("torch", "pytorch_lightning")
PROGRAMS = {"s2s": Path(sys.executable).parent / "s2s", "python": None}
"""Replacements of commands: by a script, or by Python itself."""


class WarmPython:
    """The process that is forked, and a folder of programs that request forks.

    Attributes:
        programs: for the front of PATH: `s2s`, and `python`, which is preloaded for `python -c CODE`.
    """

    def __enter__(self) -> "WarmPython":
        self._folder = Path(
            mkdtemp()
        )  # not the test's: a socket's path is limited to about a hundred characters
        self.programs = self._folder / "bin"
        self.programs.mkdir()
        client = [sys.executable, "-S", "-E", __file__, str(self._folder / "socket")]
        for name in PROGRAMS:
            program = self.programs / name
            program.write_text(f'#!/bin/sh\nexec {shlex.join([*client, name])} "$@"\n')
            program.chmod(0o755)
        command = [sys.executable, __file__, self._folder / "socket"]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        assert self._process.stdout is not None and self._process.stdout.read(1), "it did not begin"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()
        shutil.rmtree(self._folder)


def ask(path: str, words: Sequence[str]) -> int:
    """Have a program run with this process's streams, folder and environment, and wait for its status."""
    asked = json.dumps({"words": words, "folder": os.getcwd(), "environment": dict(os.environ)}).encode()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        socket.send_fds(connection, [b"%10d" % len(asked)], [0, 1, 2])
        connection.sendall(asked)
        return int(connection.recv(10) or 1)


def serve(path: str) -> list[str]:
    """Fork on request.

    Returns:
        The words of a command, in a child process that is to run it.
    """
    for name in PACKAGES:
        import_module(name)
    gc.freeze()  # children need not collect what is imported here
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        os.write(1, b".")
        while True:
            connection, _ = listening.accept()
            if os.fork() == 0:
                break
            connection.close()
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
    size, streams, _, _ = socket.recv_fds(connection, 10, 3)
    text = b""
    while len(text) < int(size):
        text += connection.recv(int(size) - len(text))
    child = os.fork()
    if child:
        _wait(child, connection)
    connection.close()
    asked = json.loads(text)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    sys.path[:1] = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return [str(word) for word in asked["words"]]


def _wait(child: int, connection: socket.socket) -> NoReturn:
    """Report how the child ended; it is terminated if nobody is waiting for it any more."""

    def end_with_the_client() -> None:
        if not connection.recv(1):
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(child, signal.SIGKILL)

    threading.Thread(target=end_with_the_client, daemon=True).start()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    connection.sendall(b"%d" % status)
    os._exit(0)


def become(name: str, *rest: str) -> None:
    """Run a command as if this process had been started for it; its exceptions end the process, as usual."""
    script = PROGRAMS[name]
    if script is not None:
        sys.argv = [str(script), *rest]
        runpy.run_path(str(script), run_name="__main__")
        return
    if rest[:1] != ("-c",):
        os.execv(sys.executable, [sys.executable, *rest])
    sys.argv = ["-c", *rest[2:]]
    sys.path.insert(0, "")
    main: Any = ModuleType("__main__")
    sys.modules["__main__"] = main
    exec(compile(rest[1], "<string>", "exec"), main.__dict__)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit(ask(sys.argv[1], sys.argv[2:]))
    become(*serve(sys.argv[1]))
