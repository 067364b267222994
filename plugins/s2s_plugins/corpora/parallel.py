"""Pairs from two line-aligned files."""

from collections.abc import Iterator
from itertools import zip_longest

from s2s.counted import counted
from s2s.text.corpus import Corpus, CorpusSpec, LineReport, Pair, read_lines


class Parallel(Corpus):
    """Two files: line n of the one belongs to line n of the other."""

    files = 2

    @classmethod
    def reads(cls, spec: CorpusSpec) -> bool:
        """Whenever there are two files."""
        return spec.path is None

    def pairs(self, report: LineReport) -> Iterator[Pair]:
        """Pairs in order; files of unequal length and lines empty on one side are bad."""
        source_path, target_path = self.spec.paths
        sources = read_lines(source_path, report)
        targets = read_lines(target_path, report)
        for source_line, target_line in zip_longest(sources, targets):
            if source_line is None or target_line is None:
                source_longer = target_line is None
                longer, shorter = (source_path, target_path) if source_longer else (target_path, source_path)
                first, _ = source_line or target_line
                rest = 1 + sum(1 for _ in (sources if source_longer else targets))
                detail = f"{longer} has {counted(first - 1 + rest, 'line')}, {shorter} has {first - 1}"
                report.bad("no partner in the other file", f"{longer}:{first}", detail, count=rest)
                return
            (line, source), (_, target) = source_line, target_line
            if source is None or target is None:
                continue
            if not source.strip() or not target.strip():
                report.bad("empty line", f"{target_path if source.strip() else source_path}:{line}")
                continue
            yield Pair(source, target, line)
