"""Run the conformance kit of a part's kind: prints what was found, what was expected, and where to read the remedy.

The exit status is 1 if a check fails that the part does not declare in expected_failures, or a part cannot be built.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from s2s.commands.plugins.parts import add_part_options, meant
from s2s.errors import ConfigError, PluginError
from s2s.registry import Entry, catalogue
from s2s.registry.near_names import unknown
from s2s.registry.words import given_options

if TYPE_CHECKING:
    from s2s.testing import Outcome

SUMMARY = "check whether a part satisfies its protocol"


@dataclass(frozen=True)
class _Checked:
    """The result of a part.

    Attributes:
        entry: the part's.
        outcomes: of its checks.
        not_checked: why there are none; "" if there are.
    """

    entry: Entry
    outcomes: Sequence[Outcome] = ()
    not_checked: str = ""


def add_to(parser: ArgumentParser) -> None:
    """The action's options."""
    parser.add_argument(
        "part", nargs="?", metavar="NAME|PATH", help="a part's name, or a plugin's file or folder"
    )
    parser.add_argument("--all", action="store_true", help="check all parts whose kind has a conformance kit")
    add_part_options(parser)
    parser.add_argument(
        "--compiled", action="store_true", help="also check the part under torch.compile (slower)"
    )
    parser.add_argument("--device", default="cpu", help="device of the checks: cpu, cuda (default: cpu)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: Namespace) -> int:
    """Check and print."""
    if bool(options.part) == options.all:
        raise ConfigError("name a part or a path to check, or ask for --all. See: s2s plugins list")
    entries = catalogue().entries(options.kind) if options.all else meant(options.part, options.kind)

    import torch

    from s2s.testing import KITS

    if options.device != "cpu" and not torch.cuda.is_available():
        raise ConfigError(f"--device {options.device}: no such device here; known: cpu")
    if not options.all and not any(entry.kind in KITS for entry in entries):
        kinds = ", ".join(sorted({entry.kind for entry in entries}))
        raise ConfigError(f"there is no kit for kind {kinds}; there are kits for {', '.join(KITS)}")
    entries = [entry for entry in entries if entry.kind in KITS]
    parts = [_load(entry) for entry in entries]
    given = _shared(parts, given_options(options.option))
    for entry, part, own in zip(entries, parts, given, strict=True):
        if own and callable(part):
            _try(entry, own)

    explained: dict[str, str] = {}  # explanations of the part's failures -> the check that had it first

    def told(outcome: Outcome) -> None:
        if not options.json:
            first = outcome.check.name
            if outcome.status == "failed":  # of an expected failure only the reason is printed
                first = explained.setdefault(outcome.explanation, first)
            print(_lines(outcome, first), flush=True)

    checked: list[_Checked] = []
    for entry, part, own in zip(entries, parts, given, strict=True):
        explained.clear()
        if not options.json:
            print(
                f"{entry.kind} {entry.name}, from {entry.distribution} {entry.version}".rstrip(), flush=True
            )
        # Its module says itself what it needs: nobody asked for this part alone.
        if options.all and isinstance(part, PluginError) and isinstance(part.__cause__, ConfigError):
            checked.append(_Checked(entry, not_checked=str(part.__cause__)))
            if not options.json:
                print(f"  not checked: {part.__cause__}", flush=True)
        else:
            checked.append(_Checked(entry, _outcomes(entry, part, own, options, told)))
    if options.json:
        print(json.dumps([_as_json(one) for one in checked], indent=2, ensure_ascii=False))
    else:
        print(_summary(checked))
    sys.stdout.flush()
    return 1 if any(outcome.status == "failed" for one in checked for outcome in one.outcomes) else 0


def _load(entry: Entry) -> Any:
    """The part, or the error that tells why it cannot be imported."""
    try:
        return catalogue().load(entry.kind, entry.name)
    except (ConfigError, PluginError) as error:
        return error


def _shared(parts: Sequence[Any], given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """For each part those of the given options that it has.

    Raises:
        ConfigError: none has the option.
    """
    from s2s.registry.parts import options

    settable = [set(options(part)) if callable(part) else set() for part in parts]
    known = set().union(*settable)
    for name in given:
        if name not in known and all(map(callable, parts)):  # else it may be of one that cannot be imported
            raise ConfigError("--option: " + unknown("option", name, known))
    return [{name: value for name, value in given.items() if name in own} for own in settable]


def _try(entry: Entry, given: Mapping[str, Any]) -> None:
    """Refuse options that the part refuses, if it can be built without them: else all of its checks would fail.

    Raises:
        ConfigError: what the part says.
    """
    from s2s.registry.parts import SIZES, factory
    from s2s.testing import KITS
    from s2s.testing.kit import OWN_SIZES

    def refused(options: Mapping[str, Any]) -> ConfigError | None:
        try:
            part = factory(entry.kind, {"class_path": entry.name, "init_args": dict(options)})
            for check in KITS[entry.kind][1:2]:  # after that of the constructor comes one that builds it
                check(part)
        except ConfigError as error:
            return error
        except Exception:  # what is wrong with the part, its checks will tell
            return None
        return None

    if (error := refused(given)) and not refused({}):
        sizes = f" (the sizes here: {OWN_SIZES})" if entry.kind in SIZES else ""
        raise ConfigError(f"--option: {error}{sizes}") from error


def _outcomes(
    entry: Entry, part: Any, given: dict[str, Any], options: Namespace, told: Callable[[Outcome], None]
) -> Sequence[Outcome]:
    """Of the kit's checks; of a part that cannot be built its first one, of the constructor, fails."""
    from s2s.registry.parts import factory
    from s2s.testing import KITS, Nonconforming, Outcome, examine

    kit = KITS[entry.kind]
    try:
        build = factory(entry.kind, {"class_path": entry.name, "init_args": given})
        return examine(kit, build, device=options.device, slow=options.compiled, done=told).outcomes
    except (ConfigError, PluginError) as error:
        found: Exception = Nonconforming(str(error), "a part that can be built", _remedy(part, given))
    except Exception as error:  # whatever it is, it is the part's
        found = error
    outcome = Outcome(kit[0], "failed", 0.0, found)
    told(outcome)
    return [outcome]


def _remedy(part: Any, given: Mapping[str, Any]) -> str:
    """For a part that cannot be built."""
    from s2s.registry.parts import lacking_options

    if not callable(part):
        return "Correct the target in the plugin's hook, or mend what its module raises."
    words = " ".join(f"--option {name}=VALUE" for name in lacking_options(part, given) or ["NAME"])
    return f"Give every option a default: a name alone must build a part. To check the rest first: {words}"


def _summary(checked: Sequence[_Checked]) -> str:
    """All parts in a line."""
    outcomes = [outcome for one in checked for outcome in one.outcomes]
    failed, declared = (
        sum(outcome.status == status for outcome in outcomes) for status in ("failed", "expected failure")
    )
    unchecked = sum(bool(one.not_checked) for one in checked)
    return (
        (f"{len(checked)} parts, " if len(checked) != 1 else "")
        + (f"{unchecked} not checked, " if unchecked else "")
        + f"{len(outcomes)} checks in {sum(outcome.seconds for outcome in outcomes):.1f} s: "
        + f"{len(outcomes) - failed - declared} passed, {failed} failed, {declared} expected failures"
    )


def _lines(outcome: Any, first: str) -> str:
    """What is printed of a check; `first` is the check that failed first with this explanation."""
    sign = {"passed": "ok", "failed": "FAILED", "expected failure": "expected"}[outcome.status]
    head = f"  {sign:<9}{outcome.check.name:<28}{outcome.check.promise}"
    if outcome.status == "failed":
        if first != outcome.check.name:
            return f"{head}\n           found     the same as in {first}"
        told = [*outcome.explanation.splitlines(), f"see       {outcome.check.docs}"]
        return "\n".join([head, *(f"           {line}" for line in told)])
    if outcome.status == "expected failure":
        return f"{head}\n           reason    {outcome.reason}"
    return head


def _as_json(checked: _Checked) -> dict[str, Any]:
    entry = checked.entry
    return {
        "kind": entry.kind,
        "name": entry.name,
        "distribution": entry.distribution,
        "version": entry.version,
        "not_checked": checked.not_checked,
        "checks": [
            {
                "name": outcome.check.name,
                "promise": outcome.check.promise,
                "status": outcome.status,
                "seconds": round(outcome.seconds, 3),
                "explanation": outcome.explanation,
                "reason": outcome.reason,
                "docs": outcome.check.docs,
            }
            for outcome in checked.outcomes
        ],
    }
