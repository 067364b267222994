"""`s2s translate` on the most broken input: each line has its own answer, and what was strange is counted."""

import json
import re
import unicodedata

import pytest

from s2s.__main__ import main
from s2s.inference.translator import Translator
from tests.references.strange import strange_lines
from tests.references.tiny import tiny_bundle

SHORT = ["--max-source-tokens", "48", "--limit-ratio", "0.5", "--limit-extra", "2"]
WAYS = {
    "Characters": ["--beam", "1"],
    "Bytes": ["--beam", "2", "--n-best", "2", "--banned", "a"],
    "SentencePiece": ["--beam", "2", "--split", "sentences"],
    "Words": ["--replace-unknowns", "--no-repeat-ngram", "2", "--min-tokens", "1"],
}
ALONE = 100
"""Every so manieth line is translated again, alone."""


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles")
    return {name: tiny_bundle(folder / name, tokenizer=name) for name in WAYS}


def check(bundle, tokenizer, lines, folder, capsys):
    (folder / "in").write_bytes(b"".join(line + b"\n" for line in lines))
    command = ["translate", str(bundle), str(folder / "in"), *SHORT, *WAYS[tokenizer], "--output"]
    assert main([*command, str(folder / "out.jsonl"), "--jsonl"]) == 0
    errors = capsys.readouterr().err
    written = (folder / "out.jsonl").read_bytes()
    assert written.endswith(b"\n") and written.count(b"\n") == len(lines)
    rows = [json.loads(row) for row in written.decode("utf-8").split("\n")[:-1]]
    # What they were, found out another way.
    texts, invalid, control = [], 0, 0
    for line in lines:
        text = line.removesuffix(b"\r").decode("utf-8", "replace")
        invalid += text.encode() != line.removesuffix(b"\r")
        control += any(unicodedata.category(sign) == "Cc" and sign < "\x80" and sign != "\t" for sign in text)
        texts.append(text)
    assert [row["source"] for row in rows] == texts
    assert [row["number"] for row in rows] == list(range(len(lines)))
    assert counted(errors, r"(\d+) of \d+ lines were not UTF-8") == invalid
    assert counted(errors, r"(\d+) of \d+ lines have control characters") == control
    assert counted(errors, r"(\d+) of \d+ lines have more than 48") == sum(row["truncated"] for row in rows)
    assert "Traceback" not in errors
    # Plain text is as many lines, the same ones.
    assert main([*command, str(folder / "out.txt")]) == 0
    plain = (folder / "out.txt").read_bytes().decode("utf-8").split("\n")[:-1]
    if "--n-best" in command:
        plain = [row.split(" ||| ", 1)[1].rsplit(" ||| ", 1)[0] for row in plain]
        assert plain == [one["text"] for row in rows for one in [row, *row["alternatives"]]]
    else:
        assert plain == [row["text"] for row in rows]
    translator = Translator.load(bundle)
    given = {}
    words = iter([*SHORT, *WAYS[tokenizer]])
    for word in words:
        name = word.removeprefix("--").replace("-", "_")
        value = True if name == "replace_unknowns" else next(words)
        given[name] = [value] if name == "banned" else float(value) if "ratio" in name else value
        if isinstance(value, str) and value.isdigit():
            given[name] = int(value)
    for text, row in list(zip(texts, rows, strict=True))[::ALONE]:
        assert translator.translate(text, results=True, **given).text == row["text"], text
    capsys.readouterr()


def counted(errors, pattern):
    found = re.search(pattern, errors)
    return int(found.group(1)) if found else 0


@pytest.mark.parametrize("tokenizer", WAYS)
def test_some_strange_lines(bundles, tokenizer, tmp_path, capsys):
    check(bundles[tokenizer], tokenizer, [b"abc", *strange_lines(1, 400)], tmp_path, capsys)


@pytest.mark.parametrize("tokenizer", WAYS)
def test_a_line_of_a_million_characters(bundles, tokenizer, tmp_path, capsys):
    # Of sentences only as many as are translated in a moment.
    sentences = "Abc de fg. " * (300 if tokenizer == "SentencePiece" else 90_000)
    million = ["x" * 10**6, sentences, "🎉" * 10**6, " " * 10**6]
    lines = ["a", *million, "b"]
    check(bundles[tokenizer], tokenizer, [line.encode() for line in lines], tmp_path, capsys)


@pytest.mark.long
@pytest.mark.parametrize("chunk", range(13))
@pytest.mark.parametrize("tokenizer", WAYS)
def test_a_hundred_thousand_strange_lines(bundles, tokenizer, chunk, tmp_path, capsys):
    seed = 1_000 * (1 + list(WAYS).index(tokenizer)) + chunk
    check(bundles[tokenizer], tokenizer, [b"abc", *strange_lines(seed, 2_000)], tmp_path, capsys)
