"""The `s2s` command: dispatch, errors, help."""

import gc
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from s2s import __version__, registry
from s2s.__main__ import main
from s2s.errors import ENDING


@pytest.fixture(autouse=True)
def own_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_catalogue", None)
    monkeypatch.setattr(sys, "path", list(sys.path))


def plugin_with_command(folder: Path, name: str, body: str) -> Path:
    folder.mkdir(exist_ok=True)
    module = f"made_up_{name}"
    (folder / f"{module}.py").write_text(
        "from s2s.registry import hookimpl\n"
        f"SUMMARY = 'does what {name} does'\n"
        "@hookimpl\n"
        "def s2s_commands():\n"
        f"    return {{'{name}': '{module}:main'}}\n"
        f"def main(argv):\n    {body}\n"
    )
    return folder


def test_help_lists_the_commands_with_their_summaries(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert "usage: s2s" in printed
    assert "plugins    list, show and check the parts of plugins" in printed


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from s2s.__main__ import main; main(['--help']);"
        "heavy = {'torch', 'pytorch_lightning', 'jsonargparse', 'numpy'};"
        "sys.exit(bool(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"s2s {__version__}\n"


def test_an_unknown_command_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugin"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("s2s: error: unknown command 'plugin'; did you mean 'plugins'? Known: ")
    assert told.endswith("See: s2s --help\n")


def test_a_plugin_brings_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = plugin_with_command(tmp_path / "p", "greet", "print('hello', *argv); return 7")
    assert main(["greet", "you", "--plugin-dir", str(folder)]) == 7
    assert main([f"--plugin-dir={folder}", "--help"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("hello you\n")
    assert "does what greet does" in printed


def test_errors_are_told_without_a_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body = "from s2s.errors import DataError; raise DataError('a.tsv:3: no tab')"
    folder = plugin_with_command(tmp_path / "p", "fail", body)
    assert main(["--plugin-dir", str(folder), "fail"]) == 2
    assert capsys.readouterr().err == "s2s: error: a.tsv:3: no tab\n"


def test_ctrl_c_ends_cleanly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = plugin_with_command(tmp_path / "p", "interrupt", "raise KeyboardInterrupt")
    assert main(["--plugin-dir", str(folder), "interrupt"]) == 130
    assert capsys.readouterr().err == "s2s: stopped\n"


@pytest.mark.usefixtures("hangups_are_heard")
@pytest.mark.parametrize(
    ("sent", "told", "expected"),
    [
        (signal.SIGINT, "stopped", 130),
        (signal.SIGTERM, "stopped by SIGTERM", 143),
        (signal.SIGHUP, "stopped by SIGHUP", 129),
    ],
)
def test_the_end_that_has_begun_is_not_disturbed(
    sent: signal.Signals, told: str, expected: int, tmp_path: Path
) -> None:
    lines = [
        "import atexit, sys, time",
        "atexit.register(lambda: (print('exit', flush=True), time.sleep(0.3)))",
        "try:",
        "    print('begun', flush=True); time.sleep(20)",
        "finally:",
        "    print('ending', flush=True); time.sleep(0.3)",
    ]
    folder = plugin_with_command(tmp_path / "p", "slow", "\n    ".join(lines))
    command = [sys.executable, "-m", "s2s", "--plugin-dir", str(folder), "slow"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for stage in ("begun", "ending", "exit"):
            assert process.stdout.readline() == f"{stage}\n"
            for again in (sent,) if stage == "begun" else (sent, signal.SIGINT, signal.SIGTERM):
                process.send_signal(again)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (expected, f"s2s: {told}\n")


def test_a_ctrl_c_that_was_swallowed_can_be_pressed_again(tmp_path: Path) -> None:
    lines = [
        "import time",
        "try:",
        "    print('begun', flush=True); time.sleep(20)",
        "except KeyboardInterrupt:",
        "    print('swallowed', flush=True); time.sleep(20)",
    ]
    folder = plugin_with_command(tmp_path / "p", "slow", "\n    ".join(lines))
    command = [sys.executable, "-m", "s2s", "--plugin-dir", str(folder), "slow"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "swallowed\n"
        time.sleep(1.1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (130, "s2s: stopped\n")


def test_a_signal_as_the_work_ends_is_too_late(tmp_path: Path) -> None:
    body = "import atexit, time; atexit.register(lambda: (print('exit', flush=True), time.sleep(0.3)))"
    folder = plugin_with_command(tmp_path / "p", "quick", body)
    command = [sys.executable, "-m", "s2s", "--plugin-dir", str(folder), "quick"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "exit\n"
        process.send_signal(signal.SIGTERM)
        assert (process.wait(20), process.communicate()[1]) == (0, "")


def test_garbage_is_looked_for_seldom_and_by_the_program_alone(tmp_path: Path) -> None:
    """Within another program it is that program's business."""
    folder = plugin_with_command(
        tmp_path / "p", "tells", "import gc; print(gc.get_threshold()[0], gc.get_freeze_count())"
    )
    told = []
    for function in ("program", "main"):
        code = (
            f"import gc; from s2s.__main__ import {function}; {function}(); "
            "print(gc.get_threshold()[0], gc.get_freeze_count() > 0, gc.isenabled())"
        )
        command = [sys.executable, "-c", code, "--plugin-dir", str(folder), "tells"]
        told.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())
    usual = gc.get_threshold()[0]
    assert told == [["10000 0", "10000 True True"], [f"{usual} 0", f"{usual} False True"]]


@pytest.mark.parametrize("sent", ["SIGINT", "SIGTERM"])
def test_another_program_gets_its_handlers_back(sent: str, tmp_path: Path) -> None:
    numbers = [signal.SIGINT, *ENDING]
    before = [signal.getsignal(number) for number in numbers]
    body = f"import signal, time; signal.raise_signal(signal.{sent}); time.sleep(1)"
    folder = plugin_with_command(tmp_path / "p", f"sends_{sent.lower()}", body)
    assert main(["--plugin-dir", str(folder), f"sends_{sent.lower()}"]) == 128 + getattr(signal, sent)
    assert [signal.getsignal(number) for number in numbers] == before


def test_a_broken_plugin_warns_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "made_up_broken.py").write_text("import made_up_absent\n")
    assert main(["--plugin-dir", str(tmp_path), "--version-of-nothing"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("s2s: warning: plugin 'made_up_broken'")
    assert "ModuleNotFoundError" in lines[0]
    assert lines[1] == "s2s: error: expected a command before '--version-of-nothing'. See: s2s --help"


def test_a_reader_that_leaves_is_no_error() -> None:
    code = "import sys; from s2s.__main__ import main; sys.exit(main(['plugins', 'list', '--json']))"
    command = f'"{sys.executable}" -c "{code}" | head -n 1'
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_plugin_dir_needs_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "list", "--plugin-dir"]) == 2
    assert capsys.readouterr().err == "s2s: error: --plugin-dir needs a folder or a .py file\n"


def test_our_own_warnings_are_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    own = str(Path(main.__code__.co_filename).with_name("made_up.py"))
    main(["--version"])
    warnings.showwarning("the text gives 7 pieces", UserWarning, own, 3, None, None)
    assert capsys.readouterr().err == "s2s: warning: the text gives 7 pieces\n"
