"""Files and folders that are written whole or not at all: beside their place, synced, then renamed.

What becomes NAME lies beside it until then, as `.NAME.XXXXXXXX.partial`, and its writer holds a lock on that. The next
writer of NAME removes what nobody holds: its writer was killed. So a crash leaves the version before readable, and no
rubbish for long. What hinders writing is told as a `WriteError`.
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
"""Who finds a folder replaced so often while it is read gives up."""
_TRIES = 100
"""Who finds a file that is to be locked removed so often gives up."""

CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""Numbers of the system's errors that only writing meets."""

_ELSEWHERE = "or choose another place"
_REMEDIES = {
    errno.ENOSPC: "free space on its disk (df -h), " + _ELSEWHERE,
    errno.EDQUOT: "free some of what your quota allows (quota -s), " + _ELSEWHERE,
    errno.EFBIG: "files may not be so large here; raise the limit (ulimit -f), " + _ELSEWHERE,
    errno.EROFS: "its disk is mounted for reading only; choose another place",
    errno.EACCES: "get leave to write there (ls -ld of its folder), " + _ELSEWHERE,
    errno.EPERM: "get leave to write there (ls -ld of its folder), " + _ELSEWHERE,
    errno.ENOENT: "its folder is not there, or is there no longer; make it (mkdir -p), " + _ELSEWHERE,
    errno.ENOTDIR: "what should be its folder is a file; choose another place",
    errno.EISDIR: "there is a folder of that name; choose another name",
    errno.EIO: "its disk does not work (dmesg tells more); choose another one",
    errno.EMFILE: "too many files are open; raise the limit (ulimit -n)",
}

P = ParamSpec("P")
Result = TypeVar("Result")


@contextmanager
def durable_file(path: str | Path) -> Iterator[BinaryIO]:
    """A file to be written; it appears at its place when the `with` ends well, and not at all if it does not.

    Args:
        path: of the file, in a folder that is there. One that is there is replaced; of a link, what it points to.

    Raises:
        WriteError: it cannot be written; what was there is as it was.
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
        WriteError: it cannot be written; what was there is as it was.
    """
    with durable_file(path) as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)


@contextmanager
def durable_folder(path: str | Path) -> Iterator[Path]:
    """A folder of another name to be filled; it gets its name when the `with` ends well, and is removed if it does not.

    Args:
        path: of the folder; folders above it are made. One that is there is replaced in one step, so that there always
            is one; only where the system cannot do that does the old one stand aside for a moment.

    Raises:
        WriteError: it cannot be written; what was there is as it was.
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
    """Whether a path names what must be written to as it stands: a device, a pipe, or a file that is open already.

    The last is what `/dev/stdout` may be: a link into `/proc` that leads to the file that standard output goes to.
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
    """Make the names in a folder survive a crash of the machine; not every system can."""
    if hasattr(os, "O_DIRECTORY"):
        _sync(path)


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Tell what hinders writing: what, why, and what to do.

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
    """The system's; None if the error is none of the system."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    if told := re.search(
        r"\(os error (\d+)\)|\[Errno (\d+)\]", str(error)
    ):  # libraries in Rust, and shutil's of many
        return int(told[1] or told[2])
    if (
        isinstance(error, RuntimeError) and error.__context__ is not None
    ):  # torch, which ends its archive all the same
        return _error_number(error.__context__)
    return None


def check_name(path: str | Path | None) -> None:
    """Refuse the empty name, as a shell gives it for a variable that is not set; None is no name.

    Raises:
        WriteError: it is empty.
    """
    if path == "":
        raise WriteError("the name of what is to be written is empty; give one")


class Lock:
    """A lock on a file or a folder. It ends with its holder, however that ends; what is forked does not have it.

    Args:
        path: what is there.

    Attributes:
        holds: False where the system, or the disk, knows no locks.

    Raises:
        BlockingIOError: another one has it.
        FileNotFoundError: there is nothing.
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
        """The lock of a file that is made if it is missing; who removes it must have the lock.

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
            except (FileNotFoundError, FileExistsError):  # its holder has removed it just now
                if tries == _TRIES:
                    raise
                continue
            if lock.is_on_its_path():
                return lock
            lock.release()

    def is_on_its_path(self) -> bool:
        """Whether what is locked is still what has this name."""
        try:
            return self._file is None or os.path.samestat(os.fstat(self._file), os.stat(self._path))
        except FileNotFoundError:
            return False

    def remove(self) -> None:
        """Let others have it, and remove the file, if it is still there: for who has it of `of_new_file`."""
        if self.is_on_its_path():
            with suppress(OSError):  # a file that stays hinders nobody
                self._path.unlink()
        self.release()

    def release(self) -> None:
        """Let others have it; does nothing the second time."""
        _held.discard(self)
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __getstate__(self) -> dict[str, Any]:
        """A process that is given a copy, a rank of a training, does not hold it."""
        return {"_path": self._path, "_file": None, "holds": False}

    def __del__(self) -> None:
        self.release()


_held: weakref.WeakSet[Lock] = weakref.WeakSet()


def _drop_in_child() -> None:
    """A worker may live on for a while when its parent is killed; it must not keep from others what the parent held."""
    for lock in list(_held):
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_drop_in_child)


@contextmanager
def _beside(place: Path, make: Callable[[Path], None]) -> Iterator[Path]:
    """Something new beside a place, locked; whatever is left of it in the end is removed."""
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
        with suppress(BlockingIOError, FileNotFoundError):  # another's sweep was faster
            lock = Lock(new)
            if lock.is_on_its_path():
                return new, lock
            lock.release()


def _sweep(place: Path) -> None:
    """Remove what killed writers have left, and put back what one has left standing aside."""
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
    """A function that reads a folder, its argument `folder`, made to begin anew if that is replaced meanwhile.

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
    """For writing, where that is allowed: NFS locks nothing else."""
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
