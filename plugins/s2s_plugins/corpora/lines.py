"""Texts from a file with one in each line."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from s2s.text.corpus import Corpus, CorpusSpec, LineReport, Pair, plain_suffix, read_lines


class Lines(Corpus):
    """One text per line, for tasks that have no source, such as language models."""

    sides = ("target",)

    @classmethod
    def reads(cls, spec: CorpusSpec) -> bool:
        """One file named .txt or .txt.gz."""
        return spec.path is not None and plain_suffix(spec.path) == ".txt"

    def pairs(self, report: LineReport) -> Iterator[Pair]:
        """Texts in order, as targets; empty lines are bad."""
        (path,) = self.spec.paths
        for line, text in read_lines(path, report):
            if text is None:
                continue
            if text.strip():
                yield Pair("", text, line)
            else:
                report.bad("empty line", f"{path}:{line}")

    @classmethod
    def write_sample(cls, folder: Path, pairs: Sequence[tuple[str, str]]) -> CorpusSpec:
        """See `s2s.testing.corpora`."""
        (folder / "texts.txt").write_bytes("".join(f"{target}\n" for _, target in pairs).encode())
        return CorpusSpec(path=str(folder / "texts.txt"))
