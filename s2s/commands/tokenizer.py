"""`s2s tokenizer`: train a tokenizer, and use it or one from a bundle."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s2s.commands.bad_lines import NO_CHOICE, add_bad_line_options, line_report
from s2s.commands.command_line import CommandLine
from s2s.commands.corpora import TEXTS
from s2s.errors import ConfigError, DataError
from s2s.text.tokenizer import DEFAULT_TOKENIZER
from s2s.untrusted import parse_json

if TYPE_CHECKING:
    from s2s.text.tokenizer import Tokenizer

SUMMARY = "train a tokenizer, or encode and decode text with one"

_CHUNK_LINES = 1_000


def main(argv: list[str]) -> int:
    """Run `s2s tokenizer train|encode|decode`."""
    parser = CommandLine(prog="s2s tokenizer", description="Train and use tokenizers.")
    actions = parser.add_subparsers(dest="action", required=True, metavar="train|encode|decode")

    train = actions.add_parser(
        "train",
        help="learn a tokenizer from text",
        description="Learn a tokenizer from files of lines, or from both sides of pairs; plain or .gz.",
    )
    train.add_argument("files", metavar="FILE", nargs="+", help=f"text to learn from: {TEXTS}")
    train.add_argument(
        "--output", "--out", metavar="FOLDER", required=True, help="where the tokenizer is written"
    )
    train.add_argument(
        "--kind",
        metavar="NAME",
        default=DEFAULT_TOKENIZER,
        help="see: s2s plugins list --kind tokenizer (default: %(default)s)",
    )
    train.add_argument(
        "--option",
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="an option of the tokenizer, such as vocabulary_size=8000; may be given more than once",
    )
    add_bad_line_options(train)

    for action, description in (
        ("encode", "Encode text to tokens, line by line."),
        ("decode", "Decode space-separated token ids to text, line by line."),
    ):
        use = actions.add_parser(action, help=description, description=description)
        use.add_argument("folder", metavar="FOLDER", help="a trained tokenizer, or a bundle")
        use.add_argument("file", metavar="FILE", nargs="?", default="-", help="default: standard input")
        use.add_argument(
            "--side", choices=["source", "target"], default="source", help="if a bundle has two tokenizers"
        )
        if action == "encode":
            use.add_argument("--tokens", action="store_true", help="print readable tokens instead of ids")
    options = parser.parse_args(argv)
    if options.action == "train":
        _train(options)
    else:
        tokenizer = read_tokenizer(Path(options.folder), options.side)
        _write(_encode(options, tokenizer) if options.action == "encode" else _decode(options, tokenizer))
    return 0


def read_tokenizer(folder: Path, side: str = "source") -> "Tokenizer":
    """The tokenizer of a folder that `s2s tokenizer train` wrote, or of a bundle.

    Args:
        folder: where it is.
        side: which one, if there are two.

    Raises:
        DataError: there is none.
    """
    from s2s.registry.parts import factory

    try:
        config = parse_json((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{folder} is neither a trained tokenizer nor a bundle ({error}); see: s2s tokenizer train"
        ) from error
    name = "tokenizer" if isinstance(config, dict) and "tokenizer" in config else f"{side}_tokenizer"
    if not isinstance(config, dict) or name not in config:
        raise DataError(f"{folder / 'config.json'} names no tokenizer")
    try:
        tokenizer: Tokenizer = factory("tokenizer", config[name])()
    except (ConfigError, TypeError, ValueError) as error:
        raise DataError(f"{folder / 'config.json'}: {name} cannot be made: {error}") from error
    tokenizer.load(folder / name)
    return tokenizer


def _train(options: argparse.Namespace) -> None:
    from rich.console import Console

    from s2s.durable import durable_folder
    from s2s.registry.parts import describe, factory
    from s2s.registry.words import given_options

    folder = Path(options.output)
    if folder.exists():
        raise ConfigError(f"{folder} exists; delete it, or name another folder with --output")
    built = factory("tokenizer", {"class_path": options.kind, "init_args": given_options(options.option)})
    tokenizer: Tokenizer = built()
    report = line_report(options.on_bad_line)
    tokenizer.train(_training_text(options.files, report))
    spec = describe(built)
    with durable_folder(folder) as new:
        tokenizer.save(new / "tokenizer")
        (new / "config.json").write_text(json.dumps({"tokenizer": spec}, indent=1) + "\n", encoding="utf-8")

    console = Console(stderr=True)
    for line in report.lines():
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    shown = spec["init_args"] if isinstance(spec, dict) else {}
    about = ", ".join(f"{name} {value}" for name, value in shown.items() if value is not None)
    console.print(
        f"{options.kind} with {tokenizer.vocabulary_size:,} ids at {folder}{f' ({about})' if about else ''}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def _training_text(files: list[str], report: Any) -> Iterator[str]:
    from s2s.text.corpus import open_text

    for file in files:
        corpus = open_text(file)
        for pair in corpus.pairs(report):
            yield from pair.texts(corpus.sides)


def _lines(path: str) -> Iterator[str]:
    from s2s.text.corpus import LineReport, read_lines

    report = LineReport(remedy=NO_CHOICE)
    for _, text in read_lines(path, report):
        assert text is not None  # a line that is not UTF-8 has raised
        yield text
    for note in report.notes:
        print(f"s2s: {note}", file=sys.stderr)


def _encode(options: argparse.Namespace, tokenizer: "Tokenizer") -> Iterator[str]:
    from s2s.inference.windows import in_windows

    for chunk in in_windows(_lines(options.file), _CHUNK_LINES):
        for ids in tokenizer.encode_batch(chunk):
            yield " ".join(tokenizer.tokens(ids) if options.tokens else map(str, ids))


def _decode(options: argparse.Namespace, tokenizer: "Tokenizer") -> Iterator[str]:
    from s2s.text.corpus import shown

    for number, line in enumerate(_lines(options.file), start=1):
        ids = []
        for word in line.split():
            known = word.isascii() and word.isdecimal() and len(word) < 20
            if not (known and int(word) < tokenizer.vocabulary_size):
                raise DataError(
                    f"{shown(options.file)}:{number}: {word!r} is no id of this tokenizer; ids go from 0 to "
                    f"{tokenizer.vocabulary_size - 1}"
                )
            ids.append(int(word))
        yield tokenizer.decode(ids)


def _write(lines: Iterable[str]) -> None:
    out = sys.stdout.buffer
    for line in lines:
        out.write(line.encode("utf-8") + b"\n")
    out.flush()
