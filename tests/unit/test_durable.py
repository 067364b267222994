"""Whole or not at all; soak/interrupted_writes.py attacks the same with faults at every call."""

import errno
import os
import pickle
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import s2s.durable as durable
from s2s.durable import (
    Lock,
    durable_file,
    durable_folder,
    make_folder,
    of_one_version,
    write_durably,
    writing,
)
from s2s.errors import BundleError, DataError, WriteError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fill(folder: Path, text: str) -> None:
    with durable_folder(folder) as new:
        (new / "below").mkdir()
        (new / "below" / "file").write_text(text)


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    with durable_file(path) as file:
        file.write(b"after")
        file.flush()
        assert path.read_text() == "before"
    assert path.read_text() == "after" and names(tmp_path) == ["file"]
    with pytest.raises(KeyboardInterrupt), durable_file(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert path.read_text() == "after" and names(tmp_path) == ["file"]
    write_durably(path, "ä")
    assert path.read_bytes() == "ä".encode()


def test_file_and_folder_are_synced_before_and_after_the_renaming(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace, rename = os.fsync, os.replace, os.rename

    def synced(file: int) -> None:
        done.append(os.path.basename(os.readlink(f"/proc/self/fd/{file}")).split(".")[-1])
        fsync(file)

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("only /proc tells the name of an open file")
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", lambda *paths: (done.append("renamed"), replace(*paths)))
    monkeypatch.setattr(os, "rename", lambda *paths: (done.append("renamed"), rename(*paths)))
    write_durably(tmp_path / "file", "x")
    assert done == ["partial", "renamed", tmp_path.name]
    done.clear()
    fill(tmp_path / "folder", "x")
    assert sorted(done[:2]) == ["below", "file"] and done[2:] == ["partial", "renamed", tmp_path.name]


@pytest.mark.parametrize("swaps", [True, False])
def test_a_folder_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swaps: bool) -> None:
    if not swaps:
        monkeypatch.setattr(durable, "_exchange", lambda one, other: False)
    for text in ("first", "second"):
        fill(tmp_path / "folder", text)
        assert (tmp_path / "folder" / "below" / "file").read_text() == text
        assert names(tmp_path) == ["folder"]
    with pytest.raises(DataError, match="of the body"), durable_folder(tmp_path / "folder"):
        raise DataError("of the body")
    assert (tmp_path / "folder" / "below" / "file").read_text() == "second" and names(tmp_path) == ["folder"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere it depends on the system")
def test_there_is_a_folder_at_every_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "folder", "first")
    monkeypatch.setattr(os, "rename", lambda *paths: _refuse(errno.ENOTEMPTY))
    fill(tmp_path / "folder", "second")  # by no renaming, which would have to move the first away
    assert (tmp_path / "folder" / "below" / "file").read_text() == "second"


def _refuse(number: int) -> None:
    raise OSError(number, os.strerror(number))


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for name, make in (
        ("file", lambda path: write_durably(path, "x")),
        ("folder", lambda path: fill(path, "x")),
    ):
        link = tmp_path / name
        link.symlink_to(tmp_path / "there" / name)
        make(link)
        make(link)
        assert link.is_symlink() and (tmp_path / "there" / name).exists()
    assert names(tmp_path / "there") == ["file", "folder"]


def test_what_a_killed_writer_left_is_removed_and_what_a_living_one_has_is_not(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    path = tmp_path / "file"
    (tmp_path / ".file.0123abcd.partial").write_text("of one that was killed")
    (tmp_path / ".file.0123abce.partial").mkdir()
    (tmp_path / ".file2.0123abcd.partial").write_text("of another file")
    with durable_file(path) as living:
        living.write(b"living")
        write_durably(path, "in between")
        assert path.read_text() == "in between"
    assert path.read_text() == "living"
    assert names(tmp_path) == [".file2.0123abcd.partial", "file"]


def test_a_folder_that_stood_aside_when_its_writer_was_killed_is_put_back(tmp_path: Path) -> None:
    fill(tmp_path / "folder", "first")
    (tmp_path / "folder").rename(tmp_path / ".folder.0123abcd.old")
    with pytest.raises(WriteError), durable_folder(tmp_path / "folder"):
        raise OSError(errno.ENOSPC, "full")
    assert (tmp_path / "folder" / "below" / "file").read_text() == "first" and names(tmp_path) == ["folder"]


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        ("ENOSPC", r"No space left on device; free space on its disk \(df -h\), or choose another place"),
        ("EROFS", "Read-only file system; its disk is mounted read-only; choose another place"),
        ("EACCES", r"Permission denied; get write permission there \(ls -ld of its folder\), or choose"),
        ("EFBIG", r"File too large; the limit on the size of files is reached; raise it \(ulimit -f\)"),
        ("EIO", r"Input/output error; its disk has failed \(dmesg tells more\); choose another one"),
        ("ENXIO", "No such device or address; choose another place"),
    ],
)
def test_errors_say_what_to_do(tmp_path: Path, number: str, remedy: str) -> None:
    with pytest.raises(WriteError, match=f"^cannot write {tmp_path}/x: {remedy}"), writing(tmp_path / "x"):
        _refuse(getattr(errno, number))


def test_errors_that_libraries_wrap_are_told(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="cannot write x: No space left"), writing("x"):
        raise ValueError("Error while serializing: I/O error: No space left on device (os error 28)")
    for error in (ValueError("a mistake of ours"), RuntimeError("another"), BrokenPipeError(errno.EPIPE, "")):
        with pytest.raises(type(error), match=str(error)), writing("x"):
            raise error


def test_a_folder_that_is_missing_or_a_file(tmp_path: Path) -> None:
    with pytest.raises(
        WriteError, match=r"missing/x: No such file or directory; its folder is not there.*mkdir -p"
    ):
        write_durably(tmp_path / "missing" / "x", "")
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="file/x: Not a directory; what should be its folder is a file"):
        make_folder(tmp_path / "file" / "x")


def test_a_true_full_disk(tmp_path: Path) -> None:
    """A limit of the system's on the size of files: torch writes by C++, and fails in its own way."""
    path = tmp_path / "checkpoint"
    write_durably(path, "before")
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, usual[1]))
    try:
        with pytest.raises(WriteError, match="checkpoint: File too large"), durable_file(path) as file:
            torch.save({"weights": torch.ones(10_000)}, file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
        signal.signal(signal.SIGXFSZ, ignored)
    assert path.read_text() == "before" and names(tmp_path) == ["checkpoint"]


def test_a_lock_ends_with_its_holder_and_is_not_inherited(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    path = tmp_path / "lock"
    code = (
        "import os, sys, time; from pathlib import Path; from s2s.durable import Lock\n"
        "lock = Lock.of_new_file(Path(sys.argv[1]))\n"
        "if os.fork() == 0: print('held', flush=True)\n"  # by the child: it has let go of the lock by now
        "time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, process_group=0
    )
    assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
    with pytest.raises(BlockingIOError):
        Lock.of_new_file(path)
    holder.kill()
    holder.wait()
    lock = Lock.of_new_file(path)  # though the forked child lives on
    os.killpg(holder.pid, signal.SIGKILL)
    assert lock.is_on_its_path()
    pickle.loads(pickle.dumps(lock)).release()  # as a training's ranks get it
    with pytest.raises(BlockingIOError):
        Lock.of_new_file(path)
    path.unlink()
    assert not lock.is_on_its_path()
    lock.release()
    lock.release()


def test_a_lock_whose_folder_its_last_holder_removes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Just before the file is made, or just after; a folder that nobody is to make is missing all the same."""
    folder, touch, left = tmp_path / "a" / "folder", Path.touch, ["before", "after"]

    def touched(self: Path) -> None:
        when = left.pop() if left else ""
        if when == "before":
            folder.rmdir()
        touch(self)
        if when == "after":
            self.unlink()
            folder.rmdir()

    monkeypatch.setattr(Path, "touch", touched)
    lock = Lock.of_new_file(folder / "lock", folder_too=True)
    assert lock.is_on_its_path() and not left
    lock.release()
    with pytest.raises(FileNotFoundError):
        Lock.of_new_file(tmp_path / "missing" / "lock")
    with pytest.raises(FileExistsError):
        Lock.of_new_file(folder / "lock" / "lock", folder_too=True)


def test_a_lock_on_a_disk_that_locks_only_what_is_open_for_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such is NFS."""
    fcntl = pytest.importorskip("fcntl")
    flock = fcntl.flock

    def locked(file: int, how: int) -> None:
        if fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDWR:
            _refuse(errno.EBADF)
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", locked)
    lock = Lock.of_new_file(tmp_path / "lock")
    assert lock.holds
    with pytest.raises(BlockingIOError):
        Lock(tmp_path / "lock")
    lock.release()
    assert not Lock(tmp_path).holds  # a folder is only read


def test_a_reader_begins_anew_when_what_it_reads_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    fill(folder, "first")
    seen = []

    @of_one_version
    def read(folder: Path) -> tuple[str, str]:
        one = (folder / "below" / "file").read_text()
        if not seen:
            fill(folder, "second")  # by another process
        seen.append(one)
        if len(seen) == 2:
            fill(folder, "third")
            raise DataError("damaged, as it seems")
        return one, (folder / "below" / "file").read_text()

    assert read(folder) == ("third", "third") and seen == ["first", "second", "third"]

    @of_one_version
    def fail(folder: Path) -> None:
        raise DataError("truly damaged")

    with pytest.raises(DataError, match="truly damaged"):
        fail(folder)

    @of_one_version
    def never(folder: Path) -> None:
        fill(folder, "again")

    with pytest.raises(
        BundleError, match="is replaced again and again while it is read; stop what writes it"
    ):
        never(folder)
