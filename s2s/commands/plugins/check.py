"""Put parts through the kit of their kind: what was found, what was expected, and where the remedy stands.

The exit status is 1 if a check fails that the part does not declare in expected_failures.
"""

import json
import sys
from argparse import ArgumentParser, Namespace
from typing import Any

from s2s.commands.plugins.parts import add_part_options, meant
from s2s.errors import ConfigError
from s2s.registry import Entry, catalogue
from s2s.registry.words import given_options

SUMMARY = "whether a part keeps its protocol, check by check"


def add_to(parser: ArgumentParser) -> None:
    """The action's options."""
    parser.add_argument(
        "part", nargs="?", metavar="NAME|PATH", help="a part's name, or a plugin's file or folder"
    )
    parser.add_argument("--all", action="store_true", help="every part for whose kind there is a kit")
    add_part_options(parser)
    parser.add_argument(
        "--compiled", action="store_true", help="also what torch.compile makes of it (slower)"
    )
    parser.add_argument("--device", default="cpu", help="where to check: cpu, cuda (default: cpu)")
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")


def run(options: Namespace) -> int:
    """Check and print."""
    if bool(options.part) == options.all:
        raise ConfigError("name a part or a path to check, or ask for --all. See: s2s plugins list")
    entries = catalogue().entries(options.kind) if options.all else meant(options.part, options.kind)

    import torch

    from s2s.registry.parts import factory
    from s2s.testing import KITS, Outcome, Report, examine

    if options.device != "cpu" and not torch.cuda.is_available():
        raise ConfigError(f"--device {options.device}: no such device here; known: cpu")
    if not options.all and not any(entry.kind in KITS for entry in entries):
        kinds = ", ".join(sorted({entry.kind for entry in entries}))
        raise ConfigError(f"there is no kit for kind {kinds}; there are kits for {', '.join(KITS)}")
    given = given_options(options.option)
    reports: list[tuple[Entry, Report]] = []
    for entry in entries:
        if entry.kind not in KITS:
            continue
        part = factory(entry.kind, {"class_path": entry.name, "init_args": given})
        if not options.json:
            print(
                f"{entry.kind} {entry.name}, from {entry.distribution} {entry.version}".rstrip(), flush=True
            )

        def told(outcome: Outcome) -> None:
            if not options.json:
                print(_lines(outcome), flush=True)

        report = examine(KITS[entry.kind], part, device=options.device, slow=options.compiled, done=told)
        reports.append((entry, report))
    failures = sum(len(report.failures) for _, report in reports)
    if options.json:
        print(
            json.dumps([_as_json(entry, report) for entry, report in reports], indent=2, ensure_ascii=False)
        )
    else:
        checks = [outcome for _, report in reports for outcome in report.outcomes]
        declared = sum(outcome.status == "expected failure" for outcome in checks)
        seconds = sum(outcome.seconds for outcome in checks)
        parts = f"{len(reports)} parts, " if len(reports) != 1 else ""
        print(
            f"{parts}{len(checks)} checks in {seconds:.1f} s: {len(checks) - failures - declared} passed, "
            f"{failures} failed, {declared} expected failures"
        )
    sys.stdout.flush()
    return 1 if failures else 0


def _lines(outcome: Any) -> str:
    sign = {"passed": "ok", "failed": "FAILED", "expected failure": "expected"}[outcome.status]
    head = f"  {sign:<9}{outcome.check.name:<28}{outcome.check.promise}"
    if outcome.status == "failed":
        told = [*outcome.explanation.splitlines(), f"see       {outcome.check.docs}"]
        return "\n".join([head, *(f"           {line}" for line in told)])
    if outcome.status == "expected failure":
        return f"{head}\n           reason    {outcome.reason}"
    return head


def _as_json(entry: Entry, report: Any) -> dict[str, Any]:
    return {
        "kind": entry.kind,
        "name": entry.name,
        "distribution": entry.distribution,
        "version": entry.version,
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
            for outcome in report.outcomes
        ],
    }
