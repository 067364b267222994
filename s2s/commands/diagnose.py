"""`s2s diagnose`: how far back recurrent cells remember and learn, in tables and plots."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

from s2s.commands.command_line import CommandLine
from s2s.commands.threads import WITHIN, use_threads
from s2s.diagnosis.settings import CELLS, QUICK, Settings
from s2s.durable import make_folder

SUMMARY = "measure the memory of recurrent cells: gradients over distance, longest learnable lags"


def main(argv: list[str]) -> int:
    """Run `s2s diagnose [--cells NAME...] [--output DIR]`."""
    options = _parser().parse_args(argv)

    from s2s.registry.words import given_spec

    settings = _settings(options, QUICK if options.quick else Settings())
    cells = [given_spec(word, "--cells") for word in options.cells]
    folder = None if options.output is None else _folder(options.output)

    from s2s.commands.output import Output
    from s2s.diagnosis.diagnosis import diagnose
    from s2s.diagnosis.plot import check_matplotlib, pictures
    from s2s.diagnosis.report import files, text

    use_threads(options.threads)
    if folder is not None:
        check_matplotlib()  # before minutes are spent
    found = diagnose(cells, settings, tell=lambda line: print(f"s2s: {line}", file=sys.stderr, flush=True))
    print(text(found), flush=True)
    if folder is not None:
        contents = {name: written.encode() for name, written in files(found).items()}
        for name, content in {**contents, **pictures(found)}.items():
            with Output(str(folder / name)) as output:
                output.write_bytes(content)
        print(f"s2s: {folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}", file=sys.stderr)
    return 0


def _parser() -> CommandLine:
    usual = Settings()
    parser = CommandLine(
        prog="s2s diagnose",
        description="Measure how far back recurrent cells remember: the gradient of the last output with respect to "
        "each earlier input, before and after training; the longest lag at which they learn to add and to copy; the "
        "effects of larger recurrent weights, the forget gate and gradient clipping.",
        epilog="docs/recurrence.md shows and explains the results.",
    )
    add = parser.add_argument
    add(
        "--cells",
        nargs="+",
        metavar="NAME[,KEY=VALUE...]",
        default=list(CELLS),
        help=f"cells, optionally with their options, such as LSTM,forget_bias=3 (default: {' '.join(CELLS)}); "
        "see: s2s plugins list --kind cell",
    )
    numbers = [
        ("input-size", int, "input size in the measurements before training"),
        ("hidden-size", int, "hidden size of every cell"),
        ("distance", int, "steps over which gradients are followed before training"),
        ("scales", float, "factors that the recurrent weights are multiplied by, before training"),
        ("lags", int, "time lags to be bridged; one training per lag, cell and problem"),
        ("steps", int, "maximum updates of a training; it ends when the problem is solved"),
        ("batch-size", int, "sequences per update"),
        ("learning-rate", float, "learning rate of Adam"),
        ("clip", float, "maximum gradient norm, 0 for no clipping"),
        ("seed", int, "seed of weights and sequences"),
    ]
    for name, kind, told in numbers:
        default = getattr(usual, name.replace("-", "_"))
        several = isinstance(default, tuple)
        shown = " ".join(map(str, default)) if several else str(default)
        more: dict[str, Any] = {"nargs": "+"} if several else {}
        add(
            f"--{name}",
            type=kind,
            metavar="N" if kind is int else "X",
            help=f"{told} (default: {shown})",
            **more,
        )
    add("--quick", action="store_true", help="small sizes, short lags, few updates, for a first try")
    add(
        "--output",
        metavar="DIR",
        help="folder for report.txt, report.json, two CSV files and two plots (PNG)",
    )
    add(
        "--threads",
        type=int,
        default=1,
        metavar="N",
        help=f"{WITHIN} (default: %(default)s; small cells gain nothing from more)",
    )
    return parser


def _settings(options: Any, usual: Settings) -> Settings:
    chosen: dict[str, Any] = dataclasses.asdict(usual)
    for name in chosen:
        value = getattr(options, name)
        if value is not None:
            chosen[name] = tuple(value) if isinstance(value, list) else value
    return Settings(**chosen)


def _folder(path: str) -> Path:
    """The folder, made now: an unwritable one should be noticed before minutes are spent.

    Raises:
        WriteError: it cannot be made.
    """
    make_folder(path)
    return Path(path)
