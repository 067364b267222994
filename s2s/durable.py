"""Atomic writes of files and folders: to a temporary name beside the target, synced, then renamed.

What becomes NAME is first written as `.NAME.XXXXXXXX.partial`, on which its writer holds a lock. The next writer of
NAME removes unlocked ones, whose writers were killed. So a crash leaves the previous version readable, and temporary
files are cleaned up. Errors of writing are raised as `WriteError`.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import re
import secrets
import shutil
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, ParamSpec, TypeVar, cast

from s2s.errors import BundleError, S2SError, WriteError

_PARTIAL, _OLD = ".partial", ".old"
_AT_HERE = -100  # Linux's AT_FDCWD
_SWAP = 2  # Linux's RENAME_EXCHANGE and macOS's RENAME_SWAP
_OF_OPEN_FILES = ("/proc/", "/dev/fd/")
_READS = 100
"""Give up after a folder was replaced this many times while it was read."""
_TRIES = 100
"""Give up after a file to be locked was removed this many times."""

CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""System error numbers that occur only when writing."""

_ELSEWHERE = "or choose another place"
_REMEDIES = {
    errno.ENOSPC: "free space on its disk (df -h), " + _ELSEWHERE,
    errno.EDQUOT: "free some of what your quota allows (quota -s), " + _ELSEWHERE,
    errno.EFBIG: "the limit on the size of files is reached; raise it (ulimit -f), " + _ELSEWHERE,
    errno.EROFS: "its disk is mounted read-only; choose another place",
    errno.EACCES: "get write permission there (ls -ld of its folder), " + _ELSEWHERE,
    errno.EPERM: "get write permission there (ls -ld of its folder), " + _ELSEWHERE,
    errno.ENOENT: "its folder is not there (or no longer); create it (mkdir -p), " + _ELSEWHERE,
    errno.ENOTDIR: "what should be its folder is a file; choose another place",
    errno.EISDIR: "there is a folder of that name; choose another name",
    errno.EIO: "its disk has failed (dmesg tells more); choose another one",
    errno.EMFILE: "too many files are open; raise the limit (ulimit -n)",
}

P = ParamSpec("P")
Result = TypeVar("Result")


@contextmanager
def durable_file(path: str | Path) -> Iterator[BinaryIO]:
    """A file to be written; it appears under its name when the `with` block succeeds, and not at all if it fails.

    Args:
        path: of the file, in an existing folder. An existing file is replaced; for a link, its target.

    Raises:
        WriteError: it cannot be written; an existing file is unchanged.
    """
    with writing(path):
        place = _place(path)
        with _beside(place, Path.touch) as new:
            with open(new, "r+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(new, place)
            sync_folder(place.parent)


def write_durably(path: str | Path, content: str | bytes) -> None:
    """Write a file as `durable_file` does; text as UTF-8.

    Raises:
        WriteError: it cannot be written; an existing file is unchanged.
    """
    with durable_file(path) as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)


@contextmanager
def durable_folder(path: str | Path) -> Iterator[Path]:
    """A temporary folder to be filled; it is renamed when the `with` block succeeds, and removed if it fails.

    Args:
        path: of the folder; folders above it are made. An existing one is replaced atomically, so that there always
            is one; only where the system does not support this is the old one moved aside for a moment.

    Raises:
        WriteError: it cannot be written; an existing folder is unchanged.
    """
    with writing(path):
        place = _place(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        with _beside(place, Path.mkdir) as new:
            yield new
            for name in new.rglob("*"):
                _sync(name)
            _sync(new)
            _put_in_place(new, place)
            sync_folder(place.parent)


def make_folder(path: str | Path) -> None:
    """Make a folder and those above it, unless they are there.

    Raises:
        WriteError: it cannot be made.
    """
    with writing(path):
        Path(path).mkdir(parents=True, exist_ok=True)


def is_stream(path: str | Path) -> bool:
    """Whether a path must be written to directly: a device, a pipe, or a file that is already open.

    The last may be the case for `/dev/stdout`: a link into `/proc` to the file that standard output goes to.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        return True
    step = os.path.abspath(path)
    while not step.startswith(_OF_OPEN_FILES):
        if not os.path.islink(step):
            return False
        step = os.path.normpath(os.path.join(os.path.dirname(step), os.readlink(step)))
    return True


def sync_folder(path: Path) -> None:
    """Make the names in a folder survive a crash of the machine, where the system supports it."""
    if hasattr(os, "O_DIRECTORY"):
        _sync(path)


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turn system errors of writing into a `WriteError` with path, reason and remedy.

    Args:
        path: what is written.

    Raises:
        WriteError: for an `OSError`, also one that a library has wrapped.
    """
    try:
        yield
    except (S2SError, BrokenPipeError):
        raise
    except Exception as error:
        number = _error_number(error)
        if number is None:
            raise
        remedy = _REMEDIES.get(number, "choose another place")
        raise WriteError(f"cannot write {path}: {os.strerror(number)}; {remedy}") from error


def _error_number(error: BaseException) -> int | None:
    """The system's error number; None if it is not a system error."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    if told := re.search(
        r"\(os error (\d+)\)|\[Errno (\d+)\]", str(error)
    ):  # libraries in Rust, and shutil's of many
        return int(told[1] or told[2])
    if (
        isinstance(error, RuntimeError) and error.__context__ is not None
    ):  # torch, which still closes its archive
        return _error_number(error.__context__)
    return None


def check_name(path: str | Path | None) -> None:
    """Refuse the empty name, which a shell gives for an unset variable; None means that there is no name.

    Raises:
        WriteError: it is empty.
    """
    if path == "":
        raise WriteError("the name of what is to be written is empty; give one")


class Lock:
    """A lock on a file or a folder. It is released when its process ends in any way; forked processes do not hold it.

    Args:
        path: an existing file or folder.

    Attributes:
        holds: False where the system, or the file system, does not support locks.

    Raises:
        BlockingIOError: another process holds it.
        FileNotFoundError: the path does not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        with suppress(ImportError, PermissionError):  # Windows has no such locks, and opens no folders
            import fcntl

            self._file = _opened(path)
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(self._file)
                self._file = None
                if isinstance(error, BlockingIOError):
                    raise
        self.holds = self._file is not None
        _held.add(self)

    @classmethod
    def of_new_file(cls, path: Path, *, folder_too: bool = False) -> Lock:
        """The lock of a file that is made if it is missing; only a holder of the lock may remove it.

        Args:
            path: of the file.
            folder_too: make its folder as well, which a holder may remove when the file is gone.

        Raises:
            BlockingIOError: another one has it.
            OSError: it cannot be made.
        """
        tries = 0
        while True:
            tries += 1
            try:
                if folder_too:
                    path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
                lock = cls(path)
            except (FileNotFoundError, FileExistsError):  # its holder has just removed it
                if tries == _TRIES:
                    raise
                continue
            if lock.is_on_its_path():
                return lock
            lock.release()

    def is_on_its_path(self) -> bool:
        """Whether the locked file is still the one at this path."""
        try:
            return self._file is None or os.path.samestat(os.fstat(self._file), os.stat(self._path))
        except FileNotFoundError:
            return False

    def remove(self) -> None:
        """Release the lock and remove the file, if it is still there; for locks of `of_new_file`."""
        if self.is_on_its_path():
            with suppress(OSError):  # a file that stays hinders nobody
                self._path.unlink()
        self.release()

    def release(self) -> None:
        """Release the lock; does nothing the second time."""
        _held.discard(self)
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __getstate__(self) -> dict[str, Any]:
        """A pickled copy, such as in a rank of a training, does not hold the lock."""
        return {"_path": self._path, "_file": None, "holds": False}

    def __del__(self) -> None:
        self.release()


_held: weakref.WeakSet[Lock] = weakref.WeakSet()


def _drop_in_child() -> None:
    """Release locks in forked workers: one that outlives its killed parent must not keep the parent's locks."""
    for lock in list(_held):
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_drop_in_child)


@contextmanager
def _beside(place: Path, make: Callable[[Path], None]) -> Iterator[Path]:
    """A new locked file or folder beside a place; it is removed at the end if it still exists."""
    _sweep(place)
    new, lock = _made(place, make)
    try:
        yield new
    finally:
        _remove(new)
        lock.release()


def _made(place: Path, make: Callable[[Path], None]) -> tuple[Path, Lock]:
    while True:
        new = _name_beside(place, _PARTIAL)
        make(new)
        with suppress(BlockingIOError, FileNotFoundError):  # removed by the sweep of another writer
            lock = Lock(new)
            if lock.is_on_its_path():
                return new, lock
            lock.release()


def _sweep(place: Path) -> None:
    """Remove files left by killed writers, and restore a folder that one has moved aside."""
    name = re.compile(rf"\.{re.escape(place.name)}\.[0-9a-f]{{8}}({_PARTIAL}|{_OLD})")
    for left in [entry for entry in os.listdir(place.parent) if name.fullmatch(entry)]:
        path = place.with_name(left)
        with suppress(OSError):
            lock = Lock(path)
            try:
                if left.endswith(_OLD) and not place.exists():
                    os.rename(path, place)
                elif lock.holds:
                    _remove(path)
            finally:
                lock.release()


def _put_in_place(new: Path, place: Path) -> None:
    try:
        os.rename(new, place)  # nothing is there, or an empty folder
        return
    except OSError as error:
        if (
            error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.EACCES, errno.EPERM)
            or not place.is_dir()
        ):
            raise
    if _exchange(new, place):
        return
    lock = Lock(place)
    try:
        old = _name_beside(place, _OLD)
        os.rename(place, old)
        try:
            os.rename(new, place)
        except OSError:
            os.rename(old, place)
            raise
        _remove(old)
    finally:
        lock.release()


def _exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step; False where the system or the disk cannot."""
    names = os.fsencode(one), os.fsencode(other)
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "darwin":
            failed = library.renamex_np(*names, _SWAP)
        else:
            failed = library.renameat2(_AT_HERE, names[0], _AT_HERE, names[1], _SWAP)
    except (AttributeError, TypeError):  # another system, or an old one
        return False
    number = ctypes.get_errno()
    if failed and number not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        raise OSError(number, os.strerror(number), str(other))
    return not failed


def of_one_version(read: Callable[P, Result]) -> Callable[P, Result]:
    """Make a function that reads its argument `folder` start again if the folder is replaced meanwhile.

    Raises:
        BundleError: it is replaced again and again.
    """

    @functools.wraps(read)
    def reading(*args: P.args, **kwargs: P.kwargs) -> Result:
        folder = cast(Path, kwargs.get("folder", args[0] if args else None))
        for _ in range(_READS):
            with _seen(folder) as is_replaced:
                try:
                    result = read(*args, **kwargs)
                except (S2SError, OSError):
                    if not is_replaced():
                        raise
                    continue
                if not is_replaced():
                    return result
        raise BundleError(f"{folder} is replaced again and again while it is read; stop what writes it")

    return reading


@contextmanager
def _seen(folder: str | Path) -> Iterator[Callable[[], bool]]:
    """Whether a folder has been replaced since. It is held open, so that its number is not given to another."""
    held = before = None
    with suppress(OSError):
        before = os.stat(folder)
        held = os.open(folder, os.O_RDONLY)  # not on every system
        before = os.fstat(held)

    def is_replaced() -> bool:
        try:
            now = os.stat(folder)
        except OSError:
            return before is not None
        return before is None or not os.path.samestat(before, now)

    try:
        yield is_replaced
    finally:
        if held is not None:
            os.close(held)


def _place(path: str | Path) -> Path:
    return Path(os.path.realpath(path))


def _name_beside(place: Path, suffix: str) -> Path:
    return place.with_name(f".{place.name}.{secrets.token_hex(4)}{suffix}")


def _opened(path: Path) -> int:
    """Open for writing if that is allowed: NFS locks nothing else."""
    try:
        return os.open(path, os.O_RDWR)
    except OSError:  # a folder
        return os.open(path, os.O_RDONLY)


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
