"""Input documents: lines, JSON objects, whole files, folders of files."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from s2s.errors import DataError
from s2s.inference.incoming import Incoming
from s2s.text.corpus import LONGEST_LINE, STANDARD_INPUT, plain_suffix, raw_lines, shown
from s2s.untrusted import parse_json


class Documents(Incoming):
    r"""The documents of some files, one after the other; a document may have several lines.

    A document is each file below a folder, in the order of their names (hidden ones are skipped); each object of a
    FILE.jsonl, where blank lines are skipped; or each line of any other file.

    Args:
        paths: of files, plain or gzip, and of folders; `-` is standard input.
        fields: keys of an object whose texts form the document, a line for each; None: "source". If they are given,
            standard input consists of objects, too.
        whole: each file is a document.

    Raises:
        DataError: a folder without files.
    """

    def __init__(
        self, paths: Sequence[str], *, fields: Sequence[str] | None = None, whole: bool = False
    ) -> None:
        inside = {path: _files(path) for path in paths if path != STANDARD_INPUT and Path(path).is_dir()}
        super().__init__([one for path in paths for one in inside.get(path, [path])])
        self._whole = set(self.paths if whole else (one for files in inside.values() for one in files))
        self._objects = {
            path
            for path in self.paths
            if plain_suffix(path) == ".jsonl" or (path == STANDARD_INPUT and fields is not None)
        }
        self._fields = ["source"] if fields is None else list(fields)
        self._names: deque[str] = deque()
        self._forgotten = 0

    def name(self, number: int) -> str:
        """The name of a document: its file, and its line number if any; dropped once a later name is requested.

        Args:
            number: from 0, of all documents.
        """
        while self._forgotten < number:
            self._names.popleft()
            self._forgotten += 1
        return self._names[0]

    def _lines_of(self, path: str) -> Iterator[tuple[bytes | None, bool]]:
        if path in self._whole:
            self._names.append(shown(path))
            yield b"\n".join(self._whole_file(path)), True
            return
        for number, (line, waits) in enumerate(super()._lines_of(path), start=1):
            name = f"{shown(path)}:{number}"
            if line is not None and path in self._objects:
                line = self._text(line, name) if line.strip() else None
            if line is not None:
                self._names.append(name)
            yield line, waits

    def _whole_file(self, path: str) -> Iterator[bytes]:
        size = 0
        for line in raw_lines(path, self.report):
            size += len(line) + 1
            if size > LONGEST_LINE:
                raise DataError(
                    f"{shown(path)} as one document is longer than {LONGEST_LINE >> 20} MiB; split it, or leave it out"
                )
            yield line

    def _text(self, line: bytes, place: str) -> bytes:
        try:
            record = parse_json(line)
        except ValueError as error:
            raise DataError(f"{place}: not JSON ({error})") from error
        texts = []
        for key in self._fields:
            if isinstance(record, dict) and key in record and not isinstance(record[key], str):
                raise DataError(
                    f"{place}: the value of {key!r} is not a text: {json.dumps(record[key])[:40]}"
                )
            if not isinstance(record, dict) or key not in record:
                known = (
                    ", ".join(map(repr, record)) if isinstance(record, dict) else "no keys: it is no object"
                )
                raise DataError(f"{place}: no text under {key!r}; it has {known}. Name the key: --field KEY")
            texts.append(record[key])
        return "\n".join(texts).encode("utf-8", "replace")


def _files(folder: str) -> list[str]:
    below = Path(folder)
    files = [
        path
        for path in sorted(below.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(below).parts)
    ]
    if not files:
        raise DataError(f"the folder {folder} has no files; each file in it would be a document")
    return [str(path) for path in files]
