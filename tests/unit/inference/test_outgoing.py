"""Where translations go: whole or not there, and going on after whatever has stopped them."""

import errno
import gzip
import json
import os

import pytest

from s2s import durable
from s2s.commands.output import Output
from s2s.errors import DataError, WriteError
from s2s.inference.incoming import of_lines
from s2s.inference.outgoing import Outgoing


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def read(path):
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def kill(out):
    """What the system does of itself."""
    out._stream.close()
    out._lock.release()


@pytest.mark.parametrize("name", ["out", "out.gz"])
def test_a_file_is_there_when_it_is_whole(tmp_path, name):
    path = tmp_path / name
    path.write_text("from before")
    with Outgoing(str(path)) as out:
        out.write("1\n2\n", [b"a", b"b"])
        out.write("ä\n", [b"c"])
        assert path.read_text() == "from before"
    assert read(path) == "1\n2\nä\n".encode()
    assert names(tmp_path) == [name]


@pytest.mark.parametrize("name", ["out", "out.gz"])
def test_nothing_at_all_is_a_file_too(tmp_path, name):
    with Outgoing(str(tmp_path / name)):
        pass
    assert read(tmp_path / name) == b""


@pytest.mark.parametrize("name", ["out", "out.gz"])
@pytest.mark.parametrize("half", [b"", b"\x1f\x8bhalf a win"])
def test_it_goes_on_where_it_was_killed(tmp_path, name, half):
    path = tmp_path / name
    killed = Outgoing(str(path), made_of={"beam": 2})
    killed.write("1\n2\n", [b"a", b"b"])
    killed._stream.write(half)  # a kill within the next window
    kill(killed)
    assert not path.exists()
    with Outgoing(str(path), made_of={"beam": 2}, resume=True) as out:
        assert (out.lines, out.checksum) == (2, of_lines([b"a", b"b"]))
        out.write("3\n", [b"c"])
    assert read(path) == b"1\n2\n3\n"
    assert names(tmp_path) == [name]


def test_an_error_keeps_what_there_is(tmp_path, capsys):
    path = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt), Outgoing(str(path)) as out:
        out.write("1\n2\n", [b"a", b"b"])
        raise KeyboardInterrupt
    assert f"s2s: 2 lines translated, in {path}.partial; continue with --resume" in capsys.readouterr().err
    assert names(tmp_path) == ["out.partial", "out.partial.json"]
    with Outgoing(str(path), resume=True) as out:
        assert out.lines == 2
    assert path.read_text() == "1\n2\n"
    with pytest.raises(KeyboardInterrupt), Outgoing(str(path)):
        raise KeyboardInterrupt  # nothing is translated yet
    assert names(tmp_path) == ["out"] and path.read_text() == "1\n2\n"


def test_a_kill_at_the_very_end(tmp_path):
    path = tmp_path / "out"
    killed = Outgoing(str(path), made_of={"beam": 2})
    killed.write("1\n", [b"a"])
    kill(killed)
    (tmp_path / "out.partial").rename(path)  # and it comes no further
    with Outgoing(str(path), made_of={"beam": 3}, resume=True) as out:
        assert out.lines == 0
        out.write("2\n", [b"a"])
    assert path.read_text() == "2\n" and names(tmp_path) == ["out"]


def test_without_resume_it_begins_anew(tmp_path):
    path = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt), Outgoing(str(path)) as out:
        out.write("1\n", [b"a"])
        raise KeyboardInterrupt
    with Outgoing(str(path)) as out:
        assert out.lines == 0
        out.write("2\n", [b"b"])
    assert path.read_text() == "2\n"


def test_another_run_is_not_gone_on_with(tmp_path):
    path = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt), Outgoing(str(path), made_of={"beam": 2}) as out:
        out.write("1\n", [b"a"])
        raise KeyboardInterrupt
    with pytest.raises(DataError, match="was begun with beam 2, not 3; give the same, or start over without"):
        Outgoing(str(path), made_of={"beam": 3}, resume=True)
    with pytest.raises(DataError, match="was begun with alpha None, not 1.0"):
        Outgoing(str(path), made_of={"beam": 2, "alpha": 1.0}, resume=True)
    (tmp_path / "out.partial").write_text("")
    with pytest.raises(DataError, match="out.partial is truncated; start over without --resume"):
        Outgoing(str(path), made_of={"beam": 2}, resume=True)
    (tmp_path / "out.partial.json").write_text(json.dumps({"lines": 1}))
    with pytest.raises(DataError, match="out.partial.json cannot be read .*; start over without --resume"):
        Outgoing(str(path), resume=True)


def test_two_runs_at_once(tmp_path):
    pytest.importorskip("fcntl")
    with (
        Outgoing(str(tmp_path / "out")) as out,
        pytest.raises(
            DataError, match=rf"another run \(process {os.getpid()}\) is writing .*out.partial; wait for it"
        ),
    ):
        out.write("1\n", [b"a"])
        Outgoing(str(tmp_path / "out"))
    assert (tmp_path / "out").read_text() == "1\n"


def test_a_device_is_written_to_and_not_replaced():
    with Outgoing("/dev/null") as out:
        out.write("1\n", [b"a"])
    with open("/dev/null") as stream:
        assert stream.read() == ""


def test_an_input_is_not_replaced(tmp_path):
    source, link = tmp_path / "source", tmp_path / "link"
    source.write_text("precious")
    link.symlink_to(source)
    for output, one in ((source, source), (link, source), (source, link)):
        with pytest.raises(DataError, match=f"{output.name} is an input, which would be replaced"):
            Outgoing(str(output), inputs=["-", str(one)])
    assert source.read_text() == "precious" and names(tmp_path) == ["link", "source"]
    with Outgoing(str(tmp_path / "new"), inputs=[str(source)]) as out:
        out.write("1\n", [b"a"])
    assert source.read_text() == "precious" and (tmp_path / "new").read_text() == "1\n"


def test_of_a_link_what_it_points_to_is_written(tmp_path):
    place, link = tmp_path / "there" / "out", tmp_path / "link"
    place.parent.mkdir()
    place.write_text("from before")
    link.symlink_to(place)
    with Outgoing(str(link)) as out:
        out.write("1\n", [b"a"])
        assert names(place.parent) == ["out", "out.partial", "out.partial.json"]
    assert link.is_symlink() and place.read_text() == "1\n" and names(place.parent) == ["out"]


@pytest.mark.parametrize("door", ["/proc/self/fd", "/dev/fd"])
@pytest.mark.parametrize("opened", [Outgoing, Output])
def test_a_file_that_is_open_is_written_to_as_it_stands(tmp_path, door, opened):
    """What `--output /dev/stdout >> file` asks for: a link to a link to a file that somebody has opened."""
    if not os.path.isdir(door):
        pytest.skip(f"no {door} here")
    path, link = tmp_path / "file", tmp_path / "stdout"
    with open(path, "ab", buffering=0) as file:
        file.write(b"before\n")
        link.symlink_to(f"{door}/{file.fileno()}")
        with opened(str(link)) as out:
            out.write("1\n", *([[b"a"]] if opened is Outgoing else []))
        file.write(b"after\n")
    assert link.is_symlink() and names(tmp_path) == ["file", "stdout"]
    assert path.read_bytes() == b"before\n1\nafter\n"


def test_standard_output(capfdbinary):
    with Outgoing(None) as out:
        out.write("1\nä\ud800\n", [b"a", b"b"])
        assert out.lines == 2
    assert capfdbinary.readouterr().out == "1\nä?\n".encode()


@pytest.mark.parametrize(
    "about",
    [
        "[" * 9_999,
        "1",
        '{"made_of": 0, "lines": 1, "checksum": 1, "bytes": 1}',
        '{"made_of": {}, "lines": "1", "checksum": 1, "bytes": 1}',
        '{"made_of": {}, "lines": 1, "checksum": [], "bytes": 1}',
        '{"made_of": {}, "lines": 1, "checksum": 1, "bytes": NaN}',
    ],
)
def test_a_note_that_says_something_else(tmp_path, about):
    (tmp_path / "out.partial").write_bytes(b"1\n")
    (tmp_path / "out.partial.json").write_text(about)
    with pytest.raises(DataError, match=r"out\.partial\.json cannot be read .*; start over without --resume"):
        Outgoing(str(tmp_path / "out"), resume=True)
    assert (tmp_path / "out.partial").read_bytes() == b"1\n"


def test_a_full_disk_loses_nothing(tmp_path, capsys, monkeypatch):
    path = tmp_path / "out"
    path.write_text("from before")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with (
        pytest.raises(
            WriteError, match=rf"^cannot write {path}: No space left on device; free space on its disk"
        ),
        Outgoing(str(path)) as out,
    ):
        out.write("1\n", [b"a"])
        monkeypatch.setattr(os, "replace", full)
        out.write("2\n", [b"b"])
    monkeypatch.undo()
    assert f"translated, in {path}.partial; continue with --resume" in capsys.readouterr().err
    assert path.read_text() == "from before"
    with Outgoing(str(path), resume=True) as out:
        assert out.lines == 1
        out.write("2\n", [b"b"])
    assert path.read_text() == "1\n2\n" and names(tmp_path) == ["out"]


def test_a_full_disk_at_the_very_end(tmp_path, capsys, monkeypatch):
    path = tmp_path / "out"

    def broken(file):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", broken)
    with (
        pytest.raises(WriteError, match="Input/output error; its disk has failed"),
        Outgoing(str(path)) as out,
    ):
        out.write("1\n", [b"a"])
    monkeypatch.undo()
    assert "s2s: 1 line translated" in capsys.readouterr().err and not path.exists()
    with Outgoing(str(path), resume=True) as out:
        assert out.lines == 1
    assert path.read_text() == "1\n"


def test_a_run_that_ends_just_when_another_begins(tmp_path, monkeypatch):
    """The other has the file open already, which has its last name by then: it must not be emptied."""
    pytest.importorskip("fcntl")
    path = tmp_path / "out"
    first = Outgoing(str(path))
    first.write("1\n", [b"a"])
    usual = durable.os.open

    def opening(name, *rest, **options):
        file = usual(name, *rest, **options)
        if str(name).endswith("out.partial") and not first._stream.closed and not rest[0] & os.O_CREAT:
            first.__exit__(None, None, None)
        return file

    monkeypatch.setattr(os, "open", opening)
    with Outgoing(str(path)) as second:
        assert path.read_text() == "1\n"
        second.write("2\n", [b"b"])
    assert path.read_text() == "2\n" and names(tmp_path) == ["out"]
