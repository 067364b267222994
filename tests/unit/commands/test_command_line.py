"""Files and options in any order, and words that cannot be used."""

import argparse
import itertools

import pytest

from s2s.__main__ import main
from s2s.commands.command_line import CommandLine
from s2s.errors import ConfigError


def parser() -> CommandLine:
    made = CommandLine(prog="s2s made-up")
    made.add_argument("folder")
    made.add_argument("file", nargs="?", default="-")
    made.add_argument("--beam", type=int)
    made.add_argument("--output", "-o", metavar="FILE", default=argparse.SUPPRESS)
    made.add_argument("--fast", action="store_true")
    return made


def test_files_and_options_in_any_order() -> None:
    for order in itertools.permutations([["m"], ["--beam", "1"], ["--fast"], ["new.en"]]):
        words = [word for group in order for word in group]
        given = vars(parser().parse_args(words))
        folder, file = ("m", "new.en") if words.index("m") < words.index("new.en") else ("new.en", "m")
        assert given == {"folder": folder, "file": file, "beam": 1, "fast": True}, words
    assert vars(parser().parse_args(["m", "--fast"]))["file"] == "-"
    assert vars(parser().parse_args(["--fast", "--", "m", "--odd"]))["file"] == "--odd"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["m", "--beem", "5"], "unknown option '--beem'; did you mean '--beam'? See: s2s made-up --help"),
        (["m", "--beem=5"], "unknown option '--beem'; did you mean '--beam'?"),
        (["m", "--xyzzy"], "unknown option '--xyzzy'. See"),
        (["m", "a", "b"], "unexpected 'b'. See"),
        (["m", "--beam", "many"], "--beam is 'many'; it must be a whole number. See"),
        (["m", "-o", ""], "--output is empty; it must be the name of a FILE. See: s2s made-up --help"),
        (["m", "--output="], "--output is empty; it must be the name of a FILE. See"),
        ([], "the following arguments are required: folder"),
    ],
)
def test_a_word_that_cannot_be_used(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        parser().parse_args(words)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("command", ["data", "plugins", "tokenizer"])
def test_without_an_action_comes_the_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([command])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: s2s {command}")


def test_an_action_has_the_same_manners(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tokenizer", "encode", "nowhere", "--tokns", "x"]) == 2
    assert "unknown option '--tokns'; did you mean '--tokens'? See: s2s tokenizer encode --help" in (
        capsys.readouterr().err
    )
    assert main(["data", "stat"]) == 2
    assert "'stat'" in capsys.readouterr().err
    # FILE behind an option is a file: only the folder is missing.
    assert main(["tokenizer", "encode", "nowhere", "--tokens", "x"]) == 2
    assert capsys.readouterr().err.startswith("s2s: error: nowhere is neither a trained tokenizer")
