import subprocess
import sys
from pathlib import Path

import pytest

from s2s.commands.tokenizer import main, read_tokenizer
from s2s.errors import ConfigError, DataError

TEXT = ["the old man saw the sea", "  a  net \u2581 and", "", "the sea"]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text"
    path.write_text("".join(f"{line}\n" for line in TEXT), encoding="utf-8")
    return path


def train(text: Path, *more: str) -> Path:
    folder = text.parent / "tokenizer"
    assert main(["train", str(text), "--out", str(folder), *more]) == 0
    return folder


@pytest.mark.parametrize(
    "kind", [["--set", "vocabulary_size=290"], ["--kind", "Bytes"], ["--kind", "Characters"]]
)
def test_encoded_and_decoded_is_the_text(
    text: Path, kind: list[str], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    folder = train(text, *kind)
    capfdbinary.readouterr()
    assert main(["encode", str(folder), str(text)]) == 0
    ids = text.with_name("ids")
    ids.write_bytes(capfdbinary.readouterr().out)
    assert len(ids.read_text().split("\n")) == len(TEXT) + 1
    assert main(["decode", str(folder), str(ids)]) == 0
    assert capfdbinary.readouterr().out == text.read_bytes()


def test_tokens_and_pairs(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    (tmp_path / "pairs.tsv").write_text("b a\tc a\n", encoding="utf-8")
    folder = train(tmp_path / "pairs.tsv", "--kind", "Words", "--set", "vocabulary_size=7")
    (tmp_path / "lines").write_text("a b c d\n", encoding="utf-8")
    main(["encode", str(folder), str(tmp_path / "lines"), "--tokens"])
    assert capfdbinary.readouterr().out == b"a b c <unk>\n"  # both sides were learnt from
    main(["encode", str(folder), str(tmp_path / "lines")])
    assert capfdbinary.readouterr().out == b"4 5 6 1\n"


def test_the_words_of_a_treebank_are_learnt_and_not_its_comments(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    rows = "".join(f"{number}\t{word}\t_\tX\t_\t_\t_\t_\t_\t_\n" for number, word in enumerate("ab", start=1))
    (tmp_path / "a.conllu").write_text(f"# comment = c\n{rows}\n", encoding="utf-8")
    folder = train(tmp_path / "a.conllu", "--kind", "Words")
    (tmp_path / "lines").write_text("a b X c # comment 1\n", encoding="utf-8")
    main(["encode", str(folder), str(tmp_path / "lines"), "--tokens"])
    assert capfdbinary.readouterr().out == b"a b X <unk> <unk> <unk> <unk>\n"


def test_keys_of_json_objects(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"body": "a", "title": "b"}\n', encoding="utf-8")
    told = r"a\.jsonl:1: no key 'source' \(it has 'body', 'title'; name others as '\{path: .*a\.jsonl, source_key: "
    with pytest.raises(DataError, match=told):
        train(tmp_path / "a.jsonl", "--kind", "Words")
    spec = f"{{path: {tmp_path}/a.jsonl, source_key: body, target_key: title}}"
    folder = tmp_path / "tokenizer"
    assert main(["train", spec, "--out", str(folder), "--kind", "Words"]) == 0
    assert read_tokenizer(folder).vocabulary_size == 6  # four specials, a and b


def test_the_normalization_is_shown(text: Path, capfd: pytest.CaptureFixture[str]) -> None:
    train(text, "--set", "vocabulary_size=290")
    assert "normalization identity" in capfd.readouterr().err


def test_errors(text: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'vocabulary_size'"):
        train(text, "--set", "vocabulary_sice=290")
    with pytest.raises(ConfigError, match="--option 'vocabulary_size': expected KEY=VALUE"):
        train(text, "--set", "vocabulary_size")
    with pytest.raises(ConfigError, match="did you mean 'Words'"):
        train(text, "--kind", "Word")
    folder = train(text, "--kind", "Words")
    with pytest.raises(ConfigError, match="exists; delete it"):
        train(text, "--kind", "Words")
    (tmp_path / "ids").write_text("4 5\n4 999\n", encoding="utf-8")
    with pytest.raises(DataError, match="ids:2: '999' is no id of this tokenizer; ids go from 0 to"):
        main(["decode", str(folder), str(tmp_path / "ids")])
    with pytest.raises(DataError, match="neither a trained tokenizer nor a bundle"):
        main(["encode", str(tmp_path)])
    (tmp_path / "bad").write_bytes(b"a\n\xff\n")
    with pytest.raises(DataError, match="bad:2: not UTF-8.*; mend the file$"):  # it has no option to skip
        main(["encode", str(folder), str(tmp_path / "bad")])


def test_a_failed_training_leaves_no_folder(tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"a\n\xff\n")
    with pytest.raises(DataError, match="bad:2: not UTF-8.*--skip-bad-lines$"):
        train(tmp_path / "bad", "--kind", "Words")
    assert not (tmp_path / "tokenizer").exists()
    train(tmp_path / "bad", "--kind", "Words", "--skip-bad-lines")


def test_standard_input(text: Path) -> None:
    folder = train(text, "--kind", "Bytes")
    command = [sys.executable, "-m", "s2s", "tokenizer"]
    encoded = subprocess.run(
        [*command, "encode", str(folder)], input=b"\xef\xbb\xbfa b\r\n\n", capture_output=True, check=True
    )
    assert encoded.stdout == b"101 36 102\n\n"
    assert encoded.stderr == b"s2s: took the byte order mark off standard input\n"


def test_an_id_of_too_many_digits(text: Path, tmp_path: Path) -> None:
    folder = train(text)
    (tmp_path / "ids").write_text("9" * 5_000)
    with pytest.raises(DataError, match="ids:1: '9+' is no id of this tokenizer"):
        main(["decode", str(folder), str(tmp_path / "ids")])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("1", "config.json names no tokenizer"),
        ("[" * 9_999, "is neither a trained tokenizer nor a bundle"),
        ('{"tokenizer": "Wrods"}', "config.json: tokenizer cannot be made: .*did you mean 'Words'"),
        ('{"tokenizer": {"class_path": "Words", "init_args": [1]}}', r"config.json: .*init_args is \[1\]"),
        (
            '{"tokenizer": {"class_path": "Words", "init_args": {"vocabulary_size": "x"}}}',
            "config.json: tokenizer cannot be made",
        ),
    ],
)
def test_a_folder_that_says_something_else(tmp_path: Path, config: str, message: str) -> None:
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(DataError, match=message):
        main(["encode", str(tmp_path)])


def test_what_was_learnt_is_damaged(text: Path) -> None:
    folder = train(text)
    (model,) = (folder / "tokenizer").iterdir()
    model.write_bytes(b"x")
    with pytest.raises(DataError, match=f"{model}: this is not"):
        main(["encode", str(folder)])
