"""Lines as malformed as in files, through every entry point for text: one output line per input line, in order."""

from __future__ import annotations

import contextlib
import io
import json
import random
import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from soak.attack import Attack, Broken, Outcome
from soak.strange import strange_lines

FEW, MANY = 40, 2_300
"""Lines per attempt: in the first attempt of each entry point, which CI runs, and in all others; a million in all."""
PROMPTS = 20
LONGEST = 10**7
"""Bytes of the longest line, in one of ten attempts."""
LONGEST_READ = 2**24
"""Maximum bytes per line of a corpus; JSON writes six for a direction mark, which itself has three."""
ALONE = 100
"""Every line with a number divisible by this is translated again, alone."""

SHORT = ["--max-source-tokens", "48", "--limit-ratio", "0.5", "--limit-extra", "2"]
WAYS = {
    "Characters": ["--beam", "1"],
    "Bytes": ["--beam", "2", "--n-best", "2", "--banned", "a"],
    "SentencePiece": ["--beam", "2", "--split", "sentences"],
    "Words": ["--replace-unknowns", "--no-repeat-ngram", "2", "--min-tokens", "1"],
}


class HostileText(Attack):
    name = "hostile-text"
    promise = (
        "One line out for one line in, in order, whatever the lines are: translated, scored, labelled, classified, "
        "continued, learnt from, with and without torch. What is strange is counted."
    )
    units = "lines"

    def __init__(self) -> None:
        self._doors: list[Callable[[int, Path, list[bytes]], int]] = [
            *map(self._translating, WAYS),
            self._translated_objects,
            self._scored,
            self._scored_alone,
            self._evaluated,
            self._labelled,
            self._labelled_columns,
            self._classified,
            self._continued,
            self._learnt_from,
            self._translated_without_torch,
        ]
        self.short = len(self._doors) - 1  # exporting a model takes longer than all others together
        self.attempts = 35 * len(self._doors)

    def prepare(self, folder: Path) -> None:
        from tests.references.tiny import tiny_bundle
        from tests.references.tiny_classifier import tiny_classifier
        from tests.references.tiny_labeller import tiny_labeller
        from tests.references.tiny_language_model import tiny_language_model

        self._folder = folder
        for name in WAYS:
            tiny_bundle(folder / name, tokenizer=name)
        tiny_classifier(folder / "classifier")
        tiny_labeller(folder / "labeller")
        tiny_language_model(folder / "writer")

    def attempt(self, number: int, folder: Path) -> Outcome:
        door, turn = self._doors[number % len(self._doors)], number // len(self._doors)
        lines = [b"abc", *strange_lines(number, MANY if turn else FEW)]
        generator = random.Random(number)
        most = LONGEST if turn % 10 == 5 else 10**4
        long = _long_line(generator, most) if turn else b"x" * 10**5
        lines.insert(generator.randrange(1, len(lines)), long)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            held = door(number, folder, lines)
        return Outcome(Counter({"held": held}))

    def _translating(self, tokenizer: str) -> Callable[[int, Path, list[bytes]], int]:
        def door(number: int, folder: Path, lines: list[bytes]) -> int:
            if tokenizer == "SentencePiece":  # only as many sentences as it translates quickly
                lines = [line[: 10**5] for line in lines]
            command = [str(self._folder / tokenizer), *SHORT, *WAYS[tokenizer]]
            return _translated(folder, lines, command, n_best=tokenizer == "Bytes", alone=_alone(tokenizer))

        return door

    def _translated_without_torch(self, number: int, folder: Path, lines: list[bytes]) -> int:
        from s2s.export.folder import export_bundle
        from s2s.runtime.translator import OnnxTranslator

        exported = self._folder / "exported"
        if not exported.exists():
            export_bundle(self._folder / "Characters", exported)

        def alone(path: str, text: str) -> str:
            options = _options([*SHORT, "--beam", "2"])
            return str(OnnxTranslator.load(path).translate(text, results=True, **options).text)

        return _translated(folder, lines, [str(exported), *SHORT, "--beam", "2"], alone=alone)

    def _translated_objects(self, number: int, folder: Path, lines: list[bytes]) -> int:
        generator = random.Random(number)
        texts = [line.decode("utf-8", "replace") for line in lines]
        rows = [_object(line, text, generator) for line, text in zip(lines, texts, strict=True)]
        command = ["translate", str(self._folder / "Characters"), *SHORT, "--input", "jsonl"]
        _write(folder / "in", rows)
        errors = _run(*command, str(folder / "in"), "--jsonl", "--output", str(folder / "out"))[1]
        found = [json.loads(row) for row in _lines(folder / "out", len(rows))]
        broken = 0
        for row, told in zip(rows, found, strict=True):
            wanted = _source(row)
            broken += wanted is None
            _check(told["source"] == (wanted or ""), f"{row!r} was read as {told['source']!r}")
        _check(_counted(errors, r"(\d+) of \d+ lines were not usable JSON objects") == broken, errors)
        return len(rows)

    def _scored(self, number: int, folder: Path, lines: list[bytes]) -> int:
        lines = [line[:50_000] for line in lines]  # longer ones are refused
        _write(folder / "source", lines)
        _write(folder / "target", [line[:50] for line in lines[::-1]])
        given = [str(folder / "source"), str(folder / "target"), "--output", str(folder / "out")]
        lines_of_both = [*_texts(lines), *_texts([line[:50] for line in lines])]
        errors = _run("score", str(self._folder / "Characters"), *given)[1]
        invalid = sum("\ufffd" in text and text.encode() != line for text, line in lines_of_both)
        _check(_counted(errors, r"s2s: ([\d,]+) lines? (?:was|were) not UTF-8") == invalid, errors)
        for row in _lines(folder / "out", len(lines)):
            _check(float(row) <= 0, row)
        return len(lines)

    def _scored_alone(self, number: int, folder: Path, lines: list[bytes]) -> int:
        _write(folder / "in", lines)
        _run("score", str(self._folder / "writer"), str(folder / "in"), "--output", str(folder / "out"))
        for row in _lines(folder / "out", len(lines)):
            _check(float(row) <= 0, row)
        return len(lines)

    def _evaluated(self, number: int, folder: Path, lines: list[bytes]) -> int:
        # Scored sentences are written by people: none have 10 MB, for which TER or chrF would take hours.
        lines = [line[:2_000] for line in lines]
        _write(folder / "broken", lines)
        first = next(place for place, (text, line) in enumerate(_texts(lines), 1) if text.encode() != line)
        errors = _run("evaluate", str(folder / "broken"), str(folder / "broken"), status=2)[1]
        _check(f"broken, line {first}: not UTF-8" in errors, errors)
        whole = [text.encode() for text, _ in _texts(lines)]
        _write(folder / "out", whole)
        _write(folder / "reference", whole[::-1])
        told = _run(
            "evaluate", str(folder / "out"), str(folder / "reference"), "--metrics", "BLEU", "--json"
        )[0]
        for row in json.loads(told):
            _check(0 <= row["score"] <= 100 and row["sentences"] == len(lines), told)
        return len(lines)

    def _labelled(self, number: int, folder: Path, lines: list[bytes]) -> int:
        lines = [line[: 10**6] for line in lines]  # a million words, each labelled
        _write(folder / "in", lines)
        _run("label", str(self._folder / "labeller"), str(folder / "in"), "--output", str(folder / "out"))
        for (text, _), row in zip(_texts(lines), _lines(folder / "out", len(lines)), strict=True):
            _check(len(row.split()) == len(text.split()), f"{text!r} has labels {row!r}")
        return len(lines)

    def _labelled_columns(self, number: int, folder: Path, lines: list[bytes]) -> int:
        generator = random.Random(number)
        rows = [b"1\t" + line + b"\t_" * 8 if generator.random() < 0.8 else line for line in lines] + [b""]
        _write(folder / "in.conllu", rows)
        given = [str(folder / "in.conllu"), "--output", str(folder / "out")]
        _run("label", str(self._folder / "labeller"), *given)
        for (text, _), row in zip(_texts(rows), _lines(folder / "out", len(rows)), strict=True):
            columns = row.split("\t")
            same = row == text or (not text.strip() and not row)
            _check(same or [*columns[:3], "_", *columns[4:]] == text.split("\t"), f"{text!r} became {row!r}")
        return len(lines)

    def _classified(self, number: int, folder: Path, lines: list[bytes]) -> int:
        _write(folder / "in", lines)
        _run(
            "classify", str(self._folder / "classifier"), str(folder / "in"), "--output", str(folder / "out")
        )
        for (text, _), row in zip(_texts(lines), _lines(folder / "out", len(lines)), strict=True):
            _check(row in (("so so", "good", "bad") if text else ("",)), f"{text!r} is of class {row!r}")
        return len(lines)

    def _continued(self, number: int, folder: Path, lines: list[bytes]) -> int:
        prompts = [text[: 10**4] for text, _ in _texts(lines)][:PROMPTS]
        for prompt in prompts:
            given = [f"--prompt={prompt}", "--max-tokens", "3", "--count", "2", "--jsonl"]
            _run("generate", str(self._folder / "writer"), *given, "--output", str(folder / "out"))
            for row in _lines(folder / "out", 2):
                _check(isinstance(json.loads(row)["text"], str), row)
        return len(prompts)

    def _learnt_from(self, number: int, folder: Path, lines: list[bytes]) -> int:
        generator = random.Random(number)
        turn = number // len(self._doors)
        lines = [b"\xef\xbb\xbfabc", *lines[1:], *[b"abc def ghi"] * 20]
        others = generator.sample(lines, len(lines))
        _fitted(folder, *_FORMS[turn % len(_FORMS)](folder, lines, others))
        return len(lines)


def _long_line(generator: random.Random, most: int) -> bytes:
    kind = generator.choice(["x", "🎉", " ", "Abc de fg. ", "a\u0301", "\u202e\u2066", "\t", "\x00"])
    return (kind * (most // len(kind.encode()))).encode()


def _run(*words: str, status: int = 0) -> tuple[str, str]:
    """Run a command line; return its standard output and error."""
    from s2s.__main__ import main

    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        ended = main([*words])
    if ended != status or "Traceback" in errors.getvalue():
        raise Broken(f"s2s {words[0]} ended with {ended}: {errors.getvalue()[-2000:]}")
    return out.getvalue(), errors.getvalue()


def _translated(
    folder: Path,
    lines: list[bytes],
    command: Sequence[str],
    *,
    alone: Callable[[str, str], str],
    n_best: bool = False,
) -> int:
    _write(folder / "in", lines)
    command = ["translate", command[0], str(folder / "in"), *command[1:], "--output"]
    errors = _run(*command, str(folder / "out.jsonl"), "--jsonl")[1]
    rows = [json.loads(row) for row in _lines(folder / "out.jsonl", len(lines))]
    # The expected values, computed independently.
    texts = [text for text, _ in _texts(lines)]
    invalid = sum(text.encode() != line for text, line in _texts(lines))
    control = sum(any(unicodedata.category(s) == "Cc" and s < "\x80" and s != "\t" for s in t) for t in texts)
    for place, (row, text) in enumerate(zip(rows, texts, strict=True)):
        _check((row["number"], row["source"]) == (place, text), f"line {place}, {text!r}, became {row}")
    for pattern, number in (
        (r"(\d+) of \d+ lines were not UTF-8", invalid),
        (r"(\d+) of \d+ lines contain control characters", control),
        (r"(\d+) of \d+ lines have more than 48", sum(row["truncated"] for row in rows)),
    ):
        _check(_counted(errors, pattern) == number, f"{number} of {pattern}: {errors}")
    # Plain text output has the same lines.
    _run(*command, str(folder / "out.txt"))
    wanted = [one["text"] for row in rows for one in ([row, *row["alternatives"]] if n_best else [row])]
    plain = _lines(folder / "out.txt", len(wanted))
    if n_best:
        plain = [row.split(" ||| ", 1)[1].rsplit(" ||| ", 1)[0] for row in plain]
    _check(plain == wanted, "plain text says something else than JSON")
    for text, row in list(zip(texts, rows, strict=True))[::ALONE]:
        _check(alone(command[1], text) == row["text"], f"{text!r} is translated otherwise alone")
    return len(lines)


def _alone(tokenizer: str) -> Callable[[str, str], str]:
    def translate(path: str, text: str) -> str:
        from s2s.inference.translator import Translator

        options = _options([*SHORT, *WAYS[tokenizer]])
        return str(Translator.load(path).translate(text, results=True, **options).text)

    return translate


def _options(words: Sequence[str]) -> dict[str, Any]:
    """Command-line options as Python arguments."""
    given: dict[str, Any] = {}
    rest = iter(words)
    for word in rest:
        name = word.removeprefix("--").replace("-", "_")
        value = True if name == "replace_unknowns" else next(rest)
        given[name] = [value] if name == "banned" else float(value) if "ratio" in name else value
        if isinstance(value, str) and value.isdigit():
            given[name] = int(value)
    return given


def _object(line: bytes, text: str, generator: random.Random) -> bytes:
    if generator.random() < 0.2:
        return line
    row: dict[str, Any] = {"source": text}
    if generator.random() < 0.2:
        row["banned"] = generator.choice([["a"], [], "a", 3, None, [text[:9]], [""]])
    whole = json.dumps(row, ensure_ascii=generator.random() < 0.5).encode("utf-8", "replace")
    return whole[: generator.randrange(len(whole))] if generator.random() < 0.1 else whole


def _source(row: bytes) -> str | None:
    """The text of a JSON object; None if it is unusable."""
    from s2s.errors import DataError
    from s2s.inference.line import Line

    text = row.removesuffix(b"\r").decode("utf-8", "replace")
    if not text.strip():
        return ""
    try:
        found = json.loads(text)
        source = found["source"].replace("\n", " ")
        if found.get("banned") is not None:
            Line(source, banned=found["banned"])
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError, DataError):
        return None
    return str(source)


class _Corpus(NamedTuple):
    """The expected contents of a corpus, computed independently.

    Attributes:
        files: as named in a configuration.
        pairs: the valid pairs.
        skipped: number of invalid lines; with two files, both are counted.
    """

    files: str
    pairs: list[tuple[str, str]]
    skipped: int


def _tsv(folder: Path, lines: list[bytes], others: list[bytes]) -> _Corpus:
    rows = [one + b"\t" + other for one, other in zip(lines, others, strict=True)]
    _write(folder / "pairs.tsv", rows)
    split = [text.split("\t") for text in _whole(rows) if text is not None]
    pairs = [(row[0], row[1]) for row in split if len(row) == 2 and row[0].strip() and row[1].strip()]
    return _Corpus(str(folder / "pairs.tsv"), pairs, len(rows) - len(pairs))


def _jsonl(folder: Path, lines: list[bytes], others: list[bytes]) -> _Corpus:
    pairs, rows = [], []
    for place, (one, other) in enumerate(zip(lines, others, strict=True)):
        source, target = _decoded(one), _decoded(other)
        if place % 5 == 0 or source is None or target is None:
            rows.append(b"x" + one)
            continue
        rows.append(json.dumps({"source": source, "target": target}).encode())
        if source.strip() and target.strip() and len(rows[-1]) <= LONGEST_READ:
            pairs.append((source, target))
    _write(folder / "pairs.jsonl", rows)
    return _Corpus(str(folder / "pairs.jsonl"), pairs, len(rows) - len(pairs))


def _two_files(folder: Path, lines: list[bytes], others: list[bytes]) -> _Corpus:
    _write(folder / "a.en", lines)
    _write(folder / "a.de", others)
    both = [*zip(_whole(lines), _whole(others), strict=True)]
    pairs = [(one, two) for one, two in both if one and two and one.strip() and two.strip()]
    unreadable = sum((one is None) + (two is None) for one, two in both)
    empty = sum(None not in pair for pair in both) - len(pairs)
    return _Corpus(f"{folder / 'a.en'},{folder / 'a.de'}", pairs, unreadable + empty)


_FORMS = [_tsv, _jsonl, _two_files]


def _decoded(line: bytes) -> str | None:
    try:
        return line.removesuffix(b"\r").decode("utf-8")
    except UnicodeDecodeError:
        return None


def _whole(lines: Sequence[bytes]) -> list[str | None]:
    """The readable lines of a file, at their positions; a byte order mark is not part of the first line."""
    return [_decoded(line) for line in [lines[0].removeprefix(b"\xef\xbb\xbf"), *lines[1:]]]


def _fitted(folder: Path, files: str, pairs: list[tuple[str, str]], skipped: int) -> None:
    """Train two steps; the token store must have these pairs, and the other lines must be counted."""
    import s2s
    from s2s.text.store import PairStore

    part = {"class_path": "Recurrent", "init_args": {"hidden_size": 8}}
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        s2s.fit(
            {
                "model.embedding": {"class_path": "Lookup", "init_args": {"size": 8}},
                "model.encoder": part,
                "model.decoder": part,
                "data.train": files,
                "data.tokenizer": "Bytes",
                "data.batch_tokens": 2_000,
                "data.on_bad_line": "skip",
                "data.cache": str(folder / "cache"),
                "trainer.logger": False,
                "trainer.max_steps": 2,
                "run_folder": str(folder / "run"),
            }
        )
    (about,) = (folder / "cache").glob("train-*/store.json")
    store = PairStore(about.parent, [files.split(",")])
    for place, pair in enumerate(pairs):
        found = store.text("source", place), store.text("target", place)
        _check(found == pair, f"pair {place}, {pair!r}, is stored as {found!r}")
    told = sum(
        int(one.replace(",", "")) for one in re.findall(r"^skipped ([\d,]+) ", "\n".join(store.report), re.M)
    )
    _check((len(store), told) == (len(pairs), skipped), f"{len(store)} pairs, {store.report}, not {skipped}")


def _write(path: Path, lines: Sequence[bytes]) -> None:
    path.write_bytes(b"".join(line + b"\n" for line in lines))


def _lines(path: Path, number: int) -> list[str]:
    """The lines of a file, which must have the given number."""
    written = path.read_bytes()
    found = written.decode("utf-8").split("\n")
    _check(found.pop() == "" and len(found) == number, f"{len(found)} lines out for {number} in")
    return found


def _texts(lines: Sequence[bytes]) -> list[tuple[str, bytes]]:
    """The text of each line, and its bytes, without its end."""
    whole = [line.removesuffix(b"\r") for line in lines]
    return [(line.decode("utf-8", "replace"), line) for line in whole]


def _counted(errors: str, pattern: str) -> int:
    found = re.search(pattern, errors)
    return int(found.group(1).replace(",", "")) if found else 0


def _check(held: bool, otherwise: str) -> None:
    if not held:
        raise Broken(otherwise[:2000])
