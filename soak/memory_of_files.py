"""Long lines, and small files that unpack to gigabytes, through every entry point: how much memory they take.

Each attempt forks a child process, whose own peak memory is reported by the kernel (Linux).
"""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import signal
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from soak.attack import Attack, Broken, Outcome
from soak.readers import Reader, readers

SECONDS = 900
MEBIBYTE = 2**20
LONG_BOMB, WIDE_BOMB = 4096, 64
"""MiB that bombs unpack to: bombs of one line, and bombs of many short ones, which take minutes to read."""
LINE = 10**7
"""Bytes of the long lines; at most 16 MiB are read."""
MOST_MEBIBYTES = 1280
"""Memory that reading may add, whatever the file: a line of 16 MiB in which each byte becomes a field, an object or
a token takes about 70 bytes for each; a series of 256 MiB has three copies while it is read."""


class Case(NamedTuple):
    """A file and its reader.

    Attributes:
        name: of both.
        write: makes the file in a folder.
        read: reads it, and may raise S2SError.
    """

    name: str
    write: Callable[[Path], Path]
    read: Callable[[Path], object]


class MemoryOfFiles(Attack):
    name = "memory-of-files"
    promise = (
        f"No line and no compressed file fills the memory: lines of 10 MB and bombs of up to {LONG_BOMB >> 10} "
        f"GiB take less than {MOST_MEBIBYTES} MiB, or are refused."
    )
    units = "files"

    def __init__(self) -> None:
        self._cases = [*_bombs(), *_commands(self)]
        self.attempts = len(self._cases)
        self.short = 1

    def prepare(self, folder: Path) -> None:
        from tests.references.tiny import tiny_bundle
        from tests.references.tiny_language_model import tiny_language_model

        # Imports before the fork are not counted.
        self.bundle, self.writer = folder / "bundle", folder / "writer"
        tiny_bundle(self.bundle, tokenizer="SentencePiece")
        tiny_language_model(self.writer, tokenizer="Characters")

    def attempt(self, number: int, folder: Path) -> Outcome:
        case = self._cases[number % len(self._cases)]
        path = case.write(folder)
        took, came = _in_child(case, path)
        if took > MOST_MEBIBYTES:
            raise Broken(f"{case.name}: {took:.0f} MiB for a file of {path.stat().st_size} bytes")
        return Outcome(Counter({came: 1}), {f"mebibytes, {case.name}": round(took)})


def _in_child(case: Case, path: Path) -> tuple[float, str]:
    """A child's peak memory beyond its initial memory, in MiB, and the result."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        said = "died"
        try:
            signal.alarm(SECONDS)
            Path("/proc/self/clear_refs").write_text("5")  # forget the peak of the parent
            before = _mebibytes("VmRSS")
            said = _read(case, path)
            said = f"{_mebibytes('VmHWM') - before} {said}"
        except BaseException as error:
            said = f"0 {type(error).__name__}: {str(error)[:500]}"
        finally:
            os.write(writing, said.encode("utf-8", "replace"))
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as stream:
        said = stream.read().decode()
    _, status = os.waitpid(child, 0)
    took, _, came = said.partition(" ")
    if status or came not in ("read", "refused"):
        raise Broken(f"{case.name}: {said or f'the process ended with {status}'}")
    return float(took), came


def _read(case: Case, path: Path) -> str:
    from s2s.errors import S2SError

    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            case.read(path)
        except S2SError as error:
            assert path.name in str(error), error
            return "refused"
    return "read"


def _mebibytes(entry: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(entry):
            return int(line.split()[1]) / 1024
    raise Broken(f"this system does not tell {entry}")


def _commands(attack: MemoryOfFiles) -> list[Case]:
    def command(*words: str) -> Callable[[Path], object]:
        from s2s.__main__ import main

        def run(path: Path) -> None:
            out = ["--output", str(path.parent / "out")]
            bundle = str(attack.writer if words[0] == "score" else attack.bundle)
            ended = main([words[0], bundle, str(path), *words[1:], *out])
            lines = (path.parent / "out").read_bytes().count(b"\n")
            if ended or lines != 3:
                raise Broken(f"{words[0]} ended with {ended} and {lines} lines for 3")

        return run

    def lines(kind: bytes) -> Callable[[Path], Path]:
        def write(folder: Path) -> Path:
            (folder / "in.txt").write_bytes(b"a\n" + kind * (LINE // len(kind)) + b"\nb\n")
            return folder / "in.txt"

        return write

    short = ["--beam", "2", "--limit-extra", "2", "--limit-ratio", "0.1"]
    return [
        Case("translate, a line of letters", lines(b"x"), command("translate", *short)),
        Case("translate, a line of words", lines(b"abc de "), command("translate", *short, "--jsonl")),
        Case("translate, a line of emoji", lines("🎉".encode()), command("translate", *short)),
        Case("score, a line of letters", lines(b"sea "), command("score")),
    ]


def _bombs() -> list[Case]:
    known = readers()
    cases = []
    for name, unit in (
        ("translate", b""),
        ("tsv", b""),
        ("tsv", b"a\tb\n"),
        ("jsonl", b'{"source": "a", "target": "b"}\n'),
        ("jsonl", b"["),
        ("lines", b"a "),
        ("conllu", b"1\ta\t_\tX\t_\t_\t_\t_\t_\t_\n"),
        ("columns", b"a X\n"),
        ("columns", b"a X\n\n"),
        ("label-columns", b"a X\n"),
        ("translate", b"a\n"),
        ("documents", b""),
        ("scored-lines", b"\n"),
        ("scored-lines", b"abc "),
        ("series", b"1\n"),
        ("series", b"2024-01-01,1.5,-2\n"),
        ("vectors", b"the 1 2 3\n"),
        ("vectors", b" "),
    ):
        shown = unit.decode().strip()[:12] or (
            "empty lines" if unit == b"\n" else "spaces" if unit else "zeros"
        )
        cases.append(Case(f"{name} of {shown}", _bomb(known[name], unit or bytes(1)), known[name].read))
    return cases


def _bomb(reader: Reader, unit: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (begin, *_) = reader.prepare(folder)
        path = folder / f"{reader.file.removesuffix('.gz')}.gz"
        block = gzip.compress(unit * (MEBIBYTE // len(unit)), 1)
        # Compressed once and repeated: a gzip file may have several members.
        path.write_bytes(gzip.compress(begin) + block * (WIDE_BOMB if unit.endswith(b"\n") else LONG_BOMB))
        return path

    return write
