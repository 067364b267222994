"""`s2s translate` as a process: killed, interrupted, given slow input, run at a terminal."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from s2s.inference.translator import Translator
from tests.references.tiny import sentences, tiny_bundle

# Small windows, so that a short text has many.
PROGRAM = (
    "import sys\n"
    "from s2s.inference import incoming\n"
    "incoming.LINES = 50\n"
    "from s2s.__main__ import main\n"
    "sys.exit(main(sys.argv[1:]))"
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return tiny_bundle(tmp_path_factory.mktemp("tiny") / "bundle")


def start(bundle, *options, **streams):
    command = [sys.executable, "-c", PROGRAM, "translate", str(bundle), "--beam", "1", *options]
    return subprocess.Popen(command, stderr=streams.pop("stderr", subprocess.PIPE), **streams)


def test_a_kill_loses_nothing_and_repeats_nothing(bundle, tmp_path):
    lines = sentences(2000, seed=1)
    source, out, about = (tmp_path / name for name in ("in", "out", "out.partial.json"))
    source.write_text("\n".join(lines))
    options = [str(source), "--output", str(out)]
    done = 0
    with start(bundle, *options) as process:
        while process.poll() is None and done < 100:
            time.sleep(0.01)
            if about.exists():
                done = json.loads(about.read_text())["lines"]
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL and not out.exists()
    done = json.loads(about.read_text())["lines"]
    assert 100 <= done < 2000, "it was killed in the middle"
    before = (tmp_path / "out.partial").read_bytes()[: json.loads(about.read_text())["bytes"]]
    with start(bundle, *options, "--resume") as process:
        errors = process.stderr.read().decode()
    assert process.returncode == 0, errors
    assert f"continuing after line {done:,}" in errors
    assert out.read_bytes().startswith(before)
    assert out.read_text().splitlines() == Translator.load(bundle).translate(lines, beam=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


def test_the_end_of_a_job_is_told_and_leaves_whole_lines(bundle, tmp_path):
    """A cluster's SIGTERM: the output so far is complete, and the message says how to resume."""
    lines = sentences(2000, seed=1)
    source, out, about = (tmp_path / name for name in ("in", "out", "out.partial.json"))
    source.write_text("\n".join(lines))
    options = [str(source), "--output", str(out)]
    with start(bundle, *options) as process:
        while process.poll() is None and not (about.exists() and json.loads(about.read_text())["lines"]):
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        told = process.stderr.read().decode().splitlines()
    assert process.returncode == 128 + signal.SIGTERM
    done = json.loads(about.read_text())["lines"]
    assert 0 < done < 2000
    assert told == [
        f"s2s: {done:,} lines translated, in {out}.partial; continue with --resume",
        "s2s: stopped by SIGTERM",
    ]
    assert len((tmp_path / "out.partial").read_text().splitlines()) == done


def test_a_slow_pipe_is_answered_line_by_line_until_ctrl_c(bundle):
    expected = Translator.load(bundle).translate(["abc", "de", "", "f"], beam=1)
    with start(bundle, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:

        def ask(text):
            process.stdin.write(text)
            process.stdin.flush()
            return [process.stdout.readline().decode().rstrip("\n") for _ in range(text.count(b"\n"))]

        assert ask(b"abc\n") == expected[:1]
        assert ask(b"de\n\nf\n") == expected[1:]
        process.send_signal(signal.SIGINT)
        assert process.stderr.read().decode() == "s2s: stopped\n"
        process.stdin.close()
    assert process.returncode == 130


def test_a_bar_at_a_terminal_only(bundle, tmp_path):
    pty = pytest.importorskip("pty")
    (tmp_path / "in").write_text("\n".join(sentences(200)))
    mine, its = pty.openpty()
    with start(bundle, str(tmp_path / "in"), "--output", str(tmp_path / "out"), stderr=its) as process:
        os.close(its)
        shown = b""
        try:
            while piece := os.read(mine, 4096):
                shown += piece
        except OSError:  # raised on Linux if the other side is closed
            pass
    os.close(mine)
    assert process.returncode == 0
    assert b"sentences/s" in shown and b"200 lines" in shown
    assert len((tmp_path / "out").read_text().splitlines()) == 200
