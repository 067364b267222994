"""Output: a file when all went well, a device as it stands."""

import errno
import os
from pathlib import Path

import pytest

from s2s.commands.output import Output, check_place
from s2s.errors import WriteError
from s2s.inference.outgoing import Outgoing


def test_a_file_is_there_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("from before")
    with pytest.raises(KeyboardInterrupt), Output(str(path)) as out:
        out.write("half")
        raise KeyboardInterrupt
    assert path.read_text() == "from before" and os.listdir(tmp_path) == ["out"]
    with Output(str(path)) as out:
        out.write("ä\ud800\n")
        out.write_bytes(b"1")
    assert path.read_bytes() == "ä?\n1".encode() and os.listdir(tmp_path) == ["out"]


def test_of_two_that_write_one_file_the_last_to_end_stands(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with Output(str(path)) as first:
        first.write("of the first,")
        with Output(str(path)) as second:
            second.write("of the second")
        assert path.read_text() == "of the second"
        first.write(" whole")
    assert path.read_text() == "of the first, whole" and os.listdir(tmp_path) == ["out"]


def test_a_full_disk(tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("only Linux has a device that is full")
    with (
        pytest.raises(WriteError, match="cannot write /dev/full: No space left on device; free"),
        Output("/dev/full") as out,
    ):
        out.write("text")
    assert os.stat("/dev/full").st_rdev  # it is still the device


def test_a_file_without_a_name() -> None:
    for make in (Output, Outgoing, check_place):
        with pytest.raises(WriteError, match="the name of what is to be written is empty; give one"):
            make("")


def test_a_place_is_seen_to_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("as it was")
    os.symlink(tmp_path / "gone" / "x", tmp_path / "link")
    for name in ("file", "new", "/dev/null", "/dev/stdout"):
        check_place(str(tmp_path / name))
    for name, message in {
        "gone/x": "No such file or directory; its folder is not there",
        "link": "No such file or directory; its folder is not there",
        "file/x": "Not a directory; what should be its folder is a file",
        ".": "Is a directory; there is a folder of that name",
    }.items():
        with pytest.raises(WriteError, match=f"cannot write {tmp_path / name}: {message}"):
            check_place(str(tmp_path / name))
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(WriteError, match="Permission denied; get write permission there"):
        check_place(str(tmp_path / "new"))
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    check_place("new")
    assert sorted(os.listdir(tmp_path)) == ["file", "link"] and (tmp_path / "file").read_text() == "as it was"


def test_a_device_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with Output(str(pipe)) as out:
        out.write("text")
    assert os.read(reader, 100) == b"text" and os.listdir(tmp_path) == ["pipe"]
    os.close(reader)


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    with (
        pytest.raises(WriteError, match=r"missing/out: No such file or directory; .* create it \(mkdir -p\)"),
        Output(str(tmp_path / "missing" / "out")),
    ):
        pass


def test_standard_output_that_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        class buffer:
            @staticmethod
            def write(content: bytes) -> None:
                raise OSError(errno.ENOSPC, "")

    monkeypatch.setattr("sys.stdout", Full)
    with pytest.raises(WriteError, match="^cannot write standard output: No space left"), Output(None) as out:
        out.write("text")
