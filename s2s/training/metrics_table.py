"""metrics.csv: all metrics that a run has logged, even if it is killed."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from s2s.durable import make_folder, write_durably


class MetricsTable(Logger):
    """Appends a row to the file whenever something is logged; for a new column, the file is rewritten atomically.

    So after a kill it has all rows that were there when the last checkpoint was written. The checkpoint holds their
    number: `keep` them, and the resumed run logs the same as one that was never killed. Lightning's CSVLogger buffers
    rows, and truncates the file to rewrite it.

    Args:
        path: the file; its folder is made when there is something to log.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._rows = 0
        self._columns: list[str] = []

    @property
    def rows(self) -> int:
        """Number of rows in the file; 0 if it was deleted."""
        return self._rows if self.path.is_file() else 0

    @property
    def name(self) -> str:
        """None: a run has one table."""
        return ""

    @property
    def version(self) -> str:
        """None: a run has one table."""
        return ""

    def keep(self, rows: int) -> None:
        """Continue after the first rows of the existing file; later ones, and incomplete rows, are dropped."""
        kept: list[dict[str, Any]] = []
        if rows and self.path.is_file():
            with open(self.path, encoding="utf-8", newline="") as file:
                table = csv.DictReader(file)
                kept = [row for row, _ in zip(table, range(rows), strict=False)]
                self._columns = list(table.fieldnames or [])
        self._rows = len(kept)
        if kept:
            self._write(kept)
        else:
            self._columns = []
            self.path.unlink(missing_ok=True)

    @rank_zero_only
    def log_hyperparams(self, params: Any, *_: Any, **__: Any) -> None:
        """Nothing: they are in config.yaml."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """One more row."""
        row = {**metrics, "step": step}
        new, rows = row.keys() - set(self._columns), self.rows
        if new or not rows:
            before = []
            if rows:
                with open(self.path, encoding="utf-8", newline="") as file:
                    before = list(csv.DictReader(file))
            self._columns = sorted([*self._columns, *new])
            self._write([*before, row])
        else:
            with open(self.path, "a", encoding="utf-8", newline="") as file:
                file.write(self._text([row]))
        self._rows = rows + 1

    def _write(self, rows: list[dict[str, Any]]) -> None:
        make_folder(self.path.parent)
        header = self._text([dict(zip(self._columns, self._columns, strict=True))])
        write_durably(self.path, header + self._text(rows))

    def _text(self, rows: list[dict[str, Any]]) -> str:
        text = io.StringIO(newline="")
        csv.DictWriter(text, self._columns, lineterminator="\n").writerows(rows)
        return text.getvalue()
