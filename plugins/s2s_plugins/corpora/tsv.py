"""Pairs from a file with tab-separated columns."""

from collections.abc import Iterator

from s2s.errors import ConfigError
from s2s.text.corpus import Corpus, CorpusSpec, LineReport, Pair, plain_suffix, read_lines


class TSV(Corpus):
    """One pair per line, a tab between the columns; nothing is quoted.

    Without `source_key`, `target_key` and `references_key` a line has two columns, source and target; with one of them
    (column numbers from 1) it may have more.
    """

    gives_references = True

    def __init__(self, spec: CorpusSpec) -> None:
        super().__init__(spec)
        for key in (spec.source_key, spec.target_key, *spec.references_key):
            if key is not None and not (key.isdecimal() and int(key) > 0):
                raise ConfigError(f"{spec.path}: column {key!r} is not a number from 1")
        self.chosen = bool(spec.source_key or spec.target_key or spec.references_key)
        # Source, target, references.
        self.columns = [
            int(key) for key in (spec.source_key or 1, spec.target_key or 2, *spec.references_key)
        ]

    @classmethod
    def reads(cls, spec: CorpusSpec) -> bool:
        """One file named .tsv or .tsv.gz."""
        return spec.path is not None and plain_suffix(spec.path) == ".tsv"

    def pairs(self, report: LineReport) -> Iterator[Pair]:
        """Pairs in order; lines that lack an expected column, or have an empty one, are bad."""
        (path,) = self.spec.paths
        needed = max(self.columns)
        for line, text in read_lines(path, report):
            if text is None:
                continue
            columns = text.split("\t")
            if not text.strip():
                report.bad("empty line", f"{path}:{line}")
            elif self.chosen and len(columns) < needed:
                report.bad(f"fewer than {needed} columns", f"{path}:{line}", f"it has {len(columns)}")
            elif not self.chosen and len(columns) != 2:
                detail = f"it has {len(columns)}; with more, choose by source_key and target_key"
                report.bad("not two columns", f"{path}:{line}", detail)
            else:
                source, target, *references = (columns[number - 1] for number in self.columns)
                if all(part.strip() for part in (source, target, *references)):
                    yield Pair(source, target, line, tuple(references))
                else:
                    report.bad("empty column", f"{path}:{line}")
