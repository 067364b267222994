"""Series of numbers: tables read from CSV, and their dates. Imports no torch."""

from s2s.series.dates import following
from s2s.series.table import Table, as_csv, read_table

__all__ = ["Table", "as_csv", "following", "read_table"]
