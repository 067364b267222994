"""Pairs from a file with one JSON object per line."""

from collections.abc import Iterator

from s2s.text.corpus import Corpus, CorpusSpec, LineReport, Pair, plain_suffix, read_lines
from s2s.untrusted import parse_json


class JSONL(Corpus):
    """One JSON object per line; `source_key` and `target_key` (default "source", "target") name its texts.

    Under `references_key` there is a text or a list of texts.
    """

    gives_references = True

    def __init__(self, spec: CorpusSpec) -> None:
        super().__init__(spec)
        self.source_key = spec.source_key or "source"
        self.target_key = spec.target_key or "target"

    @classmethod
    def reads(cls, spec: CorpusSpec) -> bool:
        """One file named .jsonl or .jsonl.gz."""
        return spec.path is not None and plain_suffix(spec.path) == ".jsonl"

    def pairs(self, report: LineReport) -> Iterator[Pair]:
        """Pairs in order; lines that are not JSON, lack a key, or have an empty value or no text under it are bad."""
        (path,) = self.spec.paths
        for line, text in read_lines(path, report):
            if text is None:
                continue
            place = f"{path}:{line}"
            if not text.strip():
                report.bad("empty line", place)
                continue
            try:
                record = parse_json(text)
            except ValueError as error:
                report.bad("not JSON", place, str(error))
                continue
            if not isinstance(record, dict):
                report.bad("not a JSON object", place)
                continue
            source = self._text(record, self.source_key, place, report)
            if source is None:
                continue
            target = self._text(record, self.target_key, place, report)
            if target is None:
                continue
            references = self._references(record, place, report)
            if references is not None:
                yield Pair(source, target, line, references)

    def _references(
        self, record: dict[str, object], place: str, report: LineReport
    ) -> tuple[str, ...] | None:
        texts = []
        for key in self.spec.references_key:
            found = record.get(key)
            for one in [{key: text} for text in found] if isinstance(found, list) and found else [record]:
                text = self._text(one, key, place, report)
                if text is None:
                    return None
                texts.append(text)
        return tuple(texts)

    def _text(self, record: dict[str, object], key: str, place: str, report: LineReport) -> str | None:
        if key not in record:
            known = ", ".join(map(repr, record)) or "none"
            fields = ["source_key", "target_key", *(["references_key"] if self.spec.references_key else [])]
            spec = ", ".join([f"path: {self.spec.path}", *(f"{name}: KEY" for name in fields)])
            report.bad(f"no key {key!r}", place, f"it has {known}; name others as '{{{spec}}}'")
            return None
        text = record[key]
        if not isinstance(text, str):
            report.bad(f"no text under {key!r}", place, f"a {type(text).__name__}")
            return None
        if not text.strip():
            report.bad(f"empty under {key!r}", place)
            return None
        if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
            report.bad(f"half a character under {key!r}", place, "a lone surrogate escape")
            return None
        return text
