"""`s2s generate`, and `s2s score` with a language model, as a person runs them."""

import io
import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest

from s2s.__main__ import main
from s2s.inference.generator import Generator
from tests.references.tiny import tiny_bundle
from tests.references.tiny_language_model import tiny_language_model


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_language_model(tmp_path_factory.mktemp("lm") / "bundle")


def out_of(capsys: Any, *command: object) -> tuple[str, str]:
    assert main([str(word) for word in command]) == 0
    output = capsys.readouterr()
    return output.out, output.err


def error_of(capsys: Any, *command: object) -> str:
    assert main([str(word) for word in command]) == 2
    return str(capsys.readouterr().err)


def test_a_line_for_each_text(bundle: Path, capsys: Any) -> None:
    out, _ = out_of(
        capsys, "generate", bundle, "--prompt", "the old", "--count", 3, "--top-k", 4, "--seed", 5
    )
    assert out.split("\n") == [*Generator.load(bundle).generate("the old", count=3, top_k=4, seed=5), ""]


def test_several_prompts(bundle: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = ["the old", "", "Grüße sea", "calm"]
    file = tmp_path / "prompts.txt"
    file.write_text("".join(f"{prompt}\r\n" for prompt in prompts), encoding="utf-8")
    expected = Generator.load(bundle).generate(prompts, count=2, max_tokens=7)
    limits = ("--count", 2, "--max-tokens", 7)
    assert out_of(capsys, "generate", bundle, "--prompts", file, *limits) == (
        "".join(f"{text}\n" for text in expected),
        "",
    )
    given = [word for prompt in prompts for word in ("--prompt", prompt)]
    assert out_of(capsys, "generate", bundle, *given, *limits)[0].splitlines() == expected
    monkeypatch.setattr("s2s.inference.generator.ROWS", 2)
    rows, _ = out_of(capsys, "generate", bundle, "--prompts", file, *limits, "--jsonl")
    assert [json.loads(row)["text"] for row in rows.splitlines()] == expected
    assert [json.loads(row)["prompt"] for row in rows.splitlines()] == [p for p in prompts for _ in "ab"]
    assert "not allowed with argument --prompt" in error_of(
        capsys, "generate", bundle, "--prompt", "a", "--prompts", file
    )
    file.write_bytes(b"")
    assert out_of(capsys, "generate", bundle, "--prompts", file) == ("", "")


def test_greedy_and_beams(bundle: Path, capsys: Any) -> None:
    generator = Generator.load(bundle)
    out, _ = out_of(capsys, "generate", bundle, "--beam", 1, "--max-tokens", 9)
    assert out == f"{generator.generate(search='Greedy', max_tokens=9)}\n"
    out, _ = out_of(capsys, "generate", bundle, "--beam", 4, "--count", 3, "--max-tokens", 9)
    assert out.splitlines() == generator.generate(count=3, beam=4, max_tokens=9)


def test_prompts_that_are_not_there_are_told_before_the_work(tmp_path: Path, capsys: Any) -> None:
    told = error_of(capsys, "generate", tmp_path / "no bundle", "--prompts", tmp_path / "gone")
    assert told == f"s2s: error: there is no file {tmp_path}/gone\n"


@pytest.mark.parametrize("count", [0, -1])
def test_no_text_at_all(count: int, bundle: Path, capsys: Any) -> None:
    told = error_of(capsys, "generate", bundle, "--count", count)
    assert told == f"s2s: error: --count is {count}; it must be 1 or more\n"


def test_json_lines(bundle: Path, tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "texts.jsonl"
    out, _ = out_of(
        capsys,
        "generate",
        bundle,
        "--count",
        4,
        "--max-tokens",
        5,
        "--jsonl",
        "--output",
        file,
        "--prompt",
        "sea",
    )
    assert out == ""
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    expected = Generator.load(bundle).generate("sea", count=4, max_tokens=5, results=True)
    assert [row["text"] for row in rows] == [one.text for one in expected]
    for row in rows:
        assert row["prompt"] == "sea" and len(row["tokens"]) == len(row["log_probs"])
        assert row["finished"] == (row["tokens"][-1:] == ["</s>"])
        assert row["score"] == pytest.approx(math.fsum(row["log_probs"]))


def test_newlines_of_a_text_become_spaces(tmp_path: Path, capsys: Any) -> None:
    folder = tiny_language_model(tmp_path / "lm", text="a\nb", tokenizer="Characters", end=-9.0)
    command = ("generate", folder, "--count", 2, "--max-tokens", 30)
    out, _ = out_of(capsys, *command)
    texts = Generator.load(folder).generate(count=2, max_tokens=30)
    assert any("\n" in text for text in texts)
    assert out == "".join(text.replace("\n", " ") + "\n" for text in texts)


def test_each_word_is_flushed(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What reaches the terminal is a word at a time, not a buffer."""
    written: list[str] = []

    class Terminal(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, content: Any) -> int:
            written.append(bytes(content).decode())
            return len(content)

    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BufferedWriter(Terminal())))
    command = ["generate", str(bundle), "--prompt", "the", "--min-tokens", "20", "--max-tokens", "20"]
    assert main(command) == 0
    words = list(Generator.load(bundle).stream("the", min_tokens=20, max_tokens=20))
    assert len(words) > 15 and written == [*words, "\n"]


def test_texts_are_scored(bundle: Path, tmp_path: Path, capsys: Any) -> None:
    texts = ["the old sea", "", "calm sea strange"]
    file = tmp_path / "texts.txt"
    file.write_text("".join(f"{text}\n" for text in texts))
    scored = Generator.load(bundle).score(texts)
    out, err = out_of(capsys, "score", bundle, file, "--tokens")
    for line, one in zip(out.splitlines(), scored, strict=True):
        value, tokens = line.split("\t")
        assert float(value) == pytest.approx(one.log_prob, abs=1e-5)
        assert [token for token, _ in json.loads(tokens)] == one.tokens
    assert "3 lines, 9 tokens, 9 words, 30 characters (ends counted, 1 token unknown)" in err
    nll = -sum(one.log_prob for one in scored)
    totals = json.loads(out_of(capsys, "score", bundle, file, "--json")[0])
    assert totals["perplexity"] == pytest.approx(math.exp(nll / 9), rel=1e-5)
    assert totals["perplexity_word"] == pytest.approx(math.exp(nll / 9), rel=1e-5)
    assert totals["bits_per_character"] == pytest.approx(nll / math.log(2) / 30, rel=1e-5)
    assert (totals["lines"], totals["unknown"]) == (3, 1)


def test_a_stream_is_scored(
    bundle: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s2s.inference.incoming.LINES", 2)  # the state goes from window to window
    texts = ["the old sea", "calm", "the sea", "old"]
    file = tmp_path / "texts.txt"
    file.write_text("".join(f"{text}\n" for text in texts))
    out, _ = out_of(capsys, "score", bundle, file, "--stream")
    expected = [one.log_prob for one in Generator.load(bundle).score(texts, as_stream=True)]
    assert [float(line) for line in out.splitlines()] == pytest.approx(expected, abs=1e-5)


def test_nothing_to_score(bundle: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "empty.txt").write_text("")
    assert (
        json.loads(out_of(capsys, "score", bundle, tmp_path / "empty.txt", "--json")[0])["perplexity"] is None
    )


def test_what_cannot_be_scored(bundle: Path, tmp_path: Path, capsys: Any) -> None:
    other = tiny_bundle(tmp_path / "other")
    assert "holds a language model, which scores one file; leave out b.txt" in error_of(
        capsys, "score", bundle, "a.txt", "b.txt"
    )
    assert "the translations of a.txt are missing; give both files: SRC TGT" in error_of(
        capsys, "score", other, "a.txt"
    )
    assert "--stream is for language models" in error_of(capsys, "score", other, "a.txt", "b.txt", "--stream")
    assert "holds a recurrent encoder-decoder model; use it with: s2s translate" in error_of(
        capsys, "generate", other
    )


def test_its_card_says_what_it_is_for(bundle: Path, capsys: Any) -> None:
    card = (bundle / "README.md").read_text()
    assert "A recurrent language model." in card
    assert "s2s generate bundle --prompt 'How it begins'" in card and "s2s score bundle text.txt" in card
    out, _ = out_of(capsys, "inspect", bundle)
    assert "task          LanguageModel" in out and "vocabulary of text: Words" in out
