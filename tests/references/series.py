"""Tiny series, and a bundle that was trained on one for a moment."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import s2s

SMALL = {
    "task": "Forecast",
    "model.encoder": {
        "class_path": "Recurrent",
        "init_args": {"cell": "GRU", "hidden_size": 4, "bidirectional": False},
    },
    "model.warmup_steps": 1,
    "data.date": "month",
    "data.history": 5,
    "data.season": 4,
    "data.batch_sentences": 8,
    "trainer.logger": False,
    "trainer.max_epochs": 1,
}
"""Options of a training of a moment, without data."""


def rows(months: int = 48) -> list[str]:
    """`month,sales,rain`, with a trend and a season of 4."""
    lines = []
    for t in range(months):
        sales = (50 + t) * (1 + 0.2 * math.sin(t * math.pi / 2)) + 3 * math.sin(1.7 * t)
        lines.append(f"{2001 + t // 12}-{t % 12 + 1:02d},{sales:.3f},{(7 * t) % 11}")
    return lines


def write_series(path: Path, lines: list[str] | None = None) -> str:
    """A CSV file of `rows`."""
    path.write_text("\n".join(["month,sales,rain", *(lines or rows())]) + "\n", encoding="utf-8")
    return str(path)


def fit(folder: Path, train: str, **options: Any) -> Any:
    """Train for a moment; see `s2s.fit`."""
    return s2s.fit({**SMALL, "run_folder": str(folder), "overwrite": True, "data.train": train, **options})
