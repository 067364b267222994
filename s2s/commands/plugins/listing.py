"""List name, kind, distribution, version and status of every part, without importing any."""

import json
from argparse import ArgumentParser, Namespace
from dataclasses import asdict

from s2s.registry import KINDS, Catalogue, catalogue

SUMMARY = "list name, kind, distribution, version and status of every part"


def add_to(parser: ArgumentParser) -> None:
    """The action's options."""
    parser.add_argument("--kind", help=f"only parts of this kind: {', '.join(KINDS)}")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: Namespace) -> int:
    """Print the list."""
    rows = _rows(catalogue(), options.kind)
    print(json.dumps(rows, indent=2, ensure_ascii=False) if options.json else _table(rows))
    return 0


def _rows(known: Catalogue, kind: str | None) -> list[dict[str, str]]:
    rows = [asdict(entry) for entry in known.entries(kind)]
    for plugin in known.plugins:
        if plugin.status != "ok":
            status = f"{plugin.status}: {plugin.error}" if plugin.error else plugin.status
            rows.append(
                {
                    "kind": "(plugin)",
                    "name": plugin.name,
                    "target": "",
                    "distribution": plugin.distribution,
                    "version": plugin.version,
                    "status": status,
                }
            )
    return rows


def _table(rows: list[dict[str, str]]) -> str:
    columns = ["name", "kind", "distribution", "version", "status"]
    lines = [dict(zip(columns, columns, strict=True)), *rows]
    width = {column: max(len(line[column]) for line in lines) for column in columns}
    padded = ([line[column].ljust(width[column]) for column in columns] for line in lines)
    return "\n".join("  ".join(cells).rstrip() for cells in padded)
