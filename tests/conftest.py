"""Shared by all tests: real text if available, and the rule that no test is skipped unnoticed in CI."""

import fnmatch
import gc
import os
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.references.exported import Exports

ROOT = Path(__file__).resolve().parent.parent
ALLOWED_SKIPS = ROOT / "tests" / "allowed_skips.txt"


def pytest_configure() -> None:
    """Restore SIGINT, which tests of Ctrl-C send to themselves; background jobs of a shell inherit it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Exclude what has been imported by now from garbage collection, which some tests trigger often."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def same_numbers() -> None:
    """Seed random numbers, so that tests do not depend on the tests before them."""
    random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture
def three_threads() -> Iterator[None]:
    """Torch has three threads, whatever the machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def hangups_are_heard() -> Iterator[None]:
    """The default SIGHUP handling, as at a terminal; under `nohup` the signal is ignored, and that is inherited."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with real text: $S2S_DATA, else `../shared/data` beside the checkout."""
    folder = Path(os.environ.get("S2S_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real text: {folder} is missing (set S2S_DATA)")
    return folder


@pytest.fixture(scope="session")
def tiny_exports(tmp_path_factory: pytest.TempPathFactory) -> "Exports":
    """A tiny bundle and its exports; read-only."""
    from tests.references.exported import tiny_exports  # imports torch and onnx, which most tests do not need

    return tiny_exports(tmp_path_factory.mktemp("exports"))


def allowed_skip_patterns(text: str) -> list[str]:
    patterns = []
    for line in text.splitlines():
        pattern, _, reason = line.partition("#")
        if not pattern.strip():
            continue
        if not reason.strip():
            raise ValueError(f"{ALLOWED_SKIPS.name}: {pattern.strip()!r} has no reason: `pattern  # reason`")
        patterns.append(pattern.strip())
    return patterns


def forbidden_skips(skipped: list[str], patterns: list[str]) -> list[str]:
    return [test for test in skipped if not any(fnmatch.fnmatch(test, pattern) for pattern in patterns)]


def _skips(session: pytest.Session) -> dict[str, str]:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    reports = reporter.stats.get("skipped", []) if reporter else []
    return {r.nodeid: r.longrepr[2] if isinstance(r.longrepr, tuple) else str(r.longrepr) for r in reports}


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    skips = _skips(session)
    patterns = allowed_skip_patterns(ALLOWED_SKIPS.read_text(encoding="utf-8"))
    session.config.stash[_FORBIDDEN] = forbidden = forbidden_skips(list(skips), patterns)
    if forbidden and exitstatus == 0 and os.environ.get("S2S_STRICT_SKIPS"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


_FORBIDDEN: pytest.StashKey[list[str]] = pytest.StashKey()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    session = terminalreporter._session
    skips = _skips(session)
    if not skips:
        return
    forbidden = set(session.config.stash[_FORBIDDEN])
    terminalreporter.section("skipped tests")
    for test, reason in sorted(skips.items()):
        terminalreporter.write_line(f"{'NOT ALLOWED' if test in forbidden else 'allowed'}: {test}: {reason}")
    if forbidden and os.environ.get("S2S_STRICT_SKIPS"):
        terminalreporter.write_line(f"{len(forbidden)} skips are not in tests/{ALLOWED_SKIPS.name}", red=True)
