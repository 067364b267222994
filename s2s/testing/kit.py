"""The basis of every kit: checks, their outcomes, and the report of all.

A part declares what it cannot do, with the reason, as a class attribute:

    expected_failures = {"export": "the loop ends when the state says so"}

Such a check must fail: if it passes, that is reported, so that the declaration does not outlive its reason.
"""

from __future__ import annotations

import functools
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from s2s.errors import ConfigError, PluginError
from s2s.nn import weight_gradients
from s2s.registry.parts import SIZES
from s2s.testing import accelerator

OWN_SIZES = "inputs of 3 to 7; states of 4, 6, 8, 12 and more, all even"
OTHER_OPTIONS = (
    f"if it rightly refuses a size, give it options that fit those of the kit ({OWN_SIZES}): --option NAME=VALUE, "
    "or functools.partial in a test"
)

_AROUND_OPERATIONS = (accelerator.__file__, weight_gradients.__file__)
"""Files whose functions stand around every operation of torch, and are no place of an error."""

PASSED, FAILED, DECLARED = "passed", "failed", "expected failure"


class Nonconforming(AssertionError):
    """A part violates its protocol.

    Args:
        found: what the part did.
        expected: what it should have done.
        remedy: what to do about it.
    """

    def __init__(self, found: str, expected: str, remedy: str) -> None:
        super().__init__(f"found {found}; expected {expected}. {remedy}")
        self.found = found
        self.expected = expected
        self.remedy = remedy


class FailedChecks(AssertionError):
    """The checks that a part failed: what was found, what was expected, the remedy, and where it is documented."""


@dataclass(frozen=True)
class Check:
    """One requirement on every part of a kind.

    Attributes:
        kind: of part, one of `s2s.registry.KINDS`.
        run: takes the part's factory (its class, or a partial of it with options) and raises `Nonconforming`.
        slow: takes minutes rather than seconds; only run on request.
    """

    kind: str
    run: Callable[[Any], None]
    slow: bool = False

    @property
    def name(self) -> str:
        """The name of `run` without its "check_"."""
        return str(self.run.__name__).removeprefix("check_")

    @property
    def promise(self) -> str:
        """What is checked, in one line."""
        return (self.run.__doc__ or "").strip().split("\n")[0]

    @property
    def docs(self) -> str:
        """Where the remedy is documented: a heading of the kind's guide."""
        return f"docs/plugins/{self.kind}.md#{self.name.replace('_', '-')}"

    def __call__(self, factory: Any, *, device: str = "cpu", seed: int = 0) -> None:
        """Run it with the same random numbers at every call.

        Raises:
            Nonconforming: the part violates its protocol.
        """
        with _one_thread(), torch.random.fork_rng(devices=[]), torch.device(device):
            torch.manual_seed(seed)
            self.run(factory)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Outcome:
    """The result of one check.

    Attributes:
        check: the check.
        status: "passed", "failed" or "expected failure".
        seconds: how long it took.
        error: what was raised; None if nothing was.
        reason: of an expected failure.
    """

    check: Check
    status: str
    seconds: float
    error: Exception | None = None
    reason: str = ""

    @property
    def explanation(self) -> str:
        """What was found, what was expected, and what to do; "" if nothing is wrong."""
        if self.error is None:
            return ""
        if isinstance(self.error, Nonconforming):
            return f"found     {self.error.found}\nexpected  {self.error.expected}\nremedy    {self.error.remedy}"
        remedy = "fix what raised it"
        if isinstance(self.error, ConfigError) and self.check.kind in SIZES:
            remedy = f"{OTHER_OPTIONS}; else {remedy}"
        return f"found     {told(self.error)}\nexpected  no error\nremedy    {remedy}"


@dataclass(frozen=True)
class Report:
    """The results of all checks of a part."""

    kind: str
    name: str
    outcomes: Sequence[Outcome]

    @property
    def failures(self) -> list[Outcome]:
        """Those that failed unexpectedly."""
        return [outcome for outcome in self.outcomes if outcome.status == FAILED]

    def raise_for_failures(self) -> None:
        """Raise one error that reports all failures.

        Raises:
            FailedChecks: a check failed.
        """
        if self.failures:
            told = "".join(
                f"\n\n{one.check.name}  (see {one.check.docs})\n{one.explanation}" for one in self.failures
            )
            raise FailedChecks(
                f"{len(self.failures)} of {len(self.outcomes)} checks of {self.kind} {self.name} failed{told}"
            )


def examine(
    checks: Sequence[Check],
    factory: Any,
    *,
    device: str = "cpu",
    slow: bool = False,
    done: Callable[[Outcome], None] | None = None,
) -> Report:
    """Run the checks of its kind on a part.

    Args:
        checks: of one kind.
        factory: the part's class, or a `functools.partial` of it with the part's options.
        device: where to check; GPU kernels differ from CPU kernels.
        slow: also run the slow checks.
        done: called with each outcome as it is known.
    """
    part = part_of(factory)
    expected = expected_failures(checks, factory)
    outcomes = []
    for check in checks:
        if check.slow and not slow:
            continue
        outcome = _examine(check, factory, device, expected.get(check.name))
        outcomes.append(outcome)
        if done is not None:
            done(outcome)
    return Report(checks[0].kind, part.__name__, outcomes)


def _examine(check: Check, factory: Any, device: str, reason: str | None) -> Outcome:
    began = time.perf_counter()
    error: Exception | None = None
    try:
        check(factory, device=device)
    except Exception as raised:  # whatever it is, the part caused it
        error = raised
    seconds = time.perf_counter() - began
    if reason is None:
        return Outcome(check, PASSED if error is None else FAILED, seconds, error)
    if error is None:
        error = Nonconforming(
            "that the check passes",
            f"that it fails, as expected_failures says: {reason}",
            f"Take {check.name!r} out of expected_failures.",
        )
        return Outcome(check, FAILED, seconds, error)
    return Outcome(check, DECLARED, seconds, error, reason)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Use one thread: the tensors are tiny, and a second thread costs more than it gains, far more on busy cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def part_of(factory: Any) -> Any:
    """The class behind a factory."""
    while isinstance(factory, functools.partial):
        factory = factory.func
    return factory


def expected_failures(checks: Sequence[Check], factory: Any) -> Mapping[str, str]:
    """The checks that the part declares as failing: name -> reason.

    Raises:
        Nonconforming: it names a check that does not exist, or gives no reason.
    """
    declared: Mapping[str, str] = getattr(part_of(factory), "expected_failures", {})
    known = [check.name for check in checks]
    for name, reason in declared.items():
        if name not in known:
            raise Nonconforming(
                f"expected_failures names {name!r}",
                f"one of {', '.join(known)}",
                "Correct the name, or remove it.",
            )
        if not reason:
            raise Nonconforming(
                f"expected_failures[{name!r}] is empty", "a reason", "Say why the part cannot pass it."
            )
    return declared


def told(error: Exception) -> str:
    """The error and where it was raised: the innermost frame outside of libraries. A PluginError says all by itself."""
    if isinstance(error, PluginError):
        return str(error).removesuffix("; see: s2s plugins check")  # which is what runs
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "site-packages" not in frame.filename and frame.filename not in _AROUND_OPERATIONS
    ]
    place = f" ({frames[-1].filename}, line {frames[-1].lineno}: {frames[-1].line})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"
