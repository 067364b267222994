"""docs/reliability.md: the table of what was tested and what was lost, computed from soak/results."""

import json
from pathlib import Path
from typing import Any

from soak.campaign import RESULTS
from soak.catalogue import attacks

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reliability.md"
BEGIN = "<!-- the table: python -m soak --table -->"
END = "<!-- end of the table -->"


def table(results: Path = RESULTS) -> str:
    """The table in Markdown; an attack without results has no row."""
    lines = ["| attack | promise | tried | what came of it | lost | commit |", "|---|---|---|---|---|---|"]
    for name in attacks():
        path = results / f"{name}.json"
        if path.is_file():
            lines.append(_row(name, json.loads(path.read_text(encoding="utf-8"))))
    return "\n".join(lines)


def write(page: Path = PAGE, results: Path = RESULTS) -> None:
    """Write the table into the page, between its two marks."""
    before, rest = page.read_text(encoding="utf-8").split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    page.write_text(f"{before}{BEGIN}\n{table(results)}\n{END}{after}", encoding="utf-8")


def _row(name: str, told: dict[str, Any]) -> str:
    tally = told["tally"]
    counts = sorted(tally["counts"].items(), key=lambda item: -item[1])
    tried = sum(tally["counts"].values()) + tally["broken"]
    came = [f"{count:,} {what}" for what, count in counts]
    came += [f"{what.replace('_', ' ')}: {value:.4g}" for what, value in tally["figures"].items()]
    commit = told["commit"][:7] + ("+" if told["uncommitted_changes"] else "")
    return (
        f"| `{name}` | {told['promise']} | {tried:,} {told['units']} | {', '.join(came)} "
        f"| {tally['broken']:,} | {commit} |"
    )
