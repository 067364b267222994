"""`s2s translate`: lines in, lines out, with a bundle."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from argparse import Namespace
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

from s2s.commands.command_line import CommandLine
from s2s.errors import ConfigError
from s2s.inference.line import Line
from s2s.inference.options import Options, flags

if TYPE_CHECKING:
    from s2s.inference.lines import LineTranslator
    from s2s.inference.translation import Translation

SUMMARY = "translate line by line with a bundle"

_FORMATS = ("text", "tsv", "jsonl")
_INPUTS = ("text", "jsonl")
_SPEED_ONLY = ("batch_tokens",)
_GROUPS = {
    "search": (
        "search",
        "beam",
        "n_best",
        "normalization",
        "alpha",
        "beta",
        "groups",
        "strength",
        "shortlist",
    ),
    "drawing": ("samples", "temperature", "top_k", "top_p", "seed", "minimum_risk"),
    "what an output holds": ("phrases", "prefix", "banned", "no_repeat_ngram", "replace_unknowns"),
    "lengths": (
        "limit_ratio",
        "limit_extra",
        "max_tokens",
        "minimum_ratio",
        "min_tokens",
        "max_source_tokens",
    ),
    "lines of several sentences": ("split", "language"),
    "results and speed": ("weights", "batch_tokens"),
}
"""Of the options of a translation, for the help."""


def main(argv: list[str]) -> int:
    """Run `s2s translate BUNDLE [FILE...]`."""
    command = parser().parse_args(argv)
    # Defaults live in one place: what is not given here is the translator's, or the bundle's.
    given = {flag.name: getattr(command, flag.name) for flag in flags()}
    given = {name: value for name, value in given.items() if value is not None}
    chosen = Options.of(given)  # what cannot be is said before anything is loaded
    if command.resume and command.output is None:
        raise ConfigError("--resume goes on with a file; say with which: --output FILE")
    if command.jsonl:
        command.format = "jsonl"
    if command.scores and command.format != "text":
        raise ConfigError(f"--scores is for text; {command.format} has the scores anyway")

    from s2s.inference.incoming import Decoder, Incoming
    from s2s.inference.json_lines import JsonLines
    from s2s.inference.outgoing import Outgoing
    from s2s.inference.progress import progress

    incoming = Incoming(command.files or ["-"])
    translator = _load(command)
    decode = Decoder()
    objects = JsonLines()
    line_of = objects if command.input == "jsonl" else Line
    pending: deque[tuple[list[bytes], list[Line]]] = deque()
    cut = truncated = unmet = 0
    write = _format(command, chosen)
    if command.format == "jsonl" and translator.tells_weights:
        chosen = dataclasses.replace(chosen, weights=True)

    def windows() -> Iterator[list[Line]]:
        for lines in incoming.windows(skip=out.lines, checksum=out.checksum):
            texts = [line_of(decode(line)) for line in lines]
            if texts:
                pending.append((lines, texts))
            yield texts

    # What cannot be is said before an earlier run's file is touched; no window is read yet.
    flow = translator.stream_windows(windows(), **dataclasses.asdict(chosen))
    made_of = _made_of(translator, command, given)
    with (
        Outgoing(command.output, made_of=made_of, resume=command.resume) as out,
        progress(incoming.size, shown=_at_a_terminal(command)) as tell,
        closing(flow),
    ):
        if out.lines:
            print(f"s2s: going on after line {out.lines:,}", file=sys.stderr)
        for found in flow:
            lines, texts = pending.popleft()
            numbered = enumerate(zip(texts, found, strict=True), start=out.lines)
            rows = (write(number, text.text, one) for number, (text, one) in numbered)
            out.write("".join(rows), lines)
            cut += sum(not one.finished for one in found)
            unmet += sum(bool(one.unmet) for one in found)
            truncated += sum(one.truncated for one in found)
            tell(len(found), sum(incoming.report.bytes_read.values()))
    notes = [*incoming.report.notes, *decode.notes(), *objects.notes()]
    if truncated:
        notes.append(
            f"{truncated} of {decode.lines} lines have more than {chosen.max_source_tokens} tokens; only so many "
            "were read of each. See --max-source-tokens"
        )
    if unmet:
        notes.append(
            f"{unmet} of {decode.lines} outputs lack a phrase that was asked for, or begin with another; see `unmet` "
            "of --jsonl, --limit-extra, --beam"
        )
    if cut:
        notes.append(
            f"{cut} of {decode.lines} outputs were cut at their limit of tokens; see --limit-ratio, --limit-extra"
        )
    for note in notes:
        print(f"s2s: {note}", file=sys.stderr)
    return 0


def parser() -> CommandLine:
    """The command line: files and places here, all else from `s2s.inference.options`."""
    parser = CommandLine(
        prog="s2s translate",
        description="Translate line by line: a line in, a line out, in order. Only \\n ends a line.",
        epilog="Each option of a translation has the same name in Python: --limit-extra is limit_extra.",
    )
    add = parser.add_argument
    add("bundle", metavar="BUNDLE", help="folder of the model, as `s2s fit` or `s2s export` writes it")
    add(
        "files",
        metavar="FILE",
        nargs="*",
        default=[],  # or argparse says that one is required
        help="text, plain or gzip (default: standard input; what comes slowly is answered line by line)",
    )
    add(
        "--model",
        metavar="BUNDLE",
        action="append",
        default=[],
        help="a further model with the same target pieces: all say each token together, with the mean of their "
        "probabilities; may be given more than once",
    )
    add(
        "--output",
        metavar="FILE",
        help="write here, compressed if the name ends in .gz; FILE is there when all is done, until then FILE.partial "
        "(default: standard output)",
    )
    add("--resume", action="store_true", help="go on where an earlier run with the same --output stopped")
    add(
        "--format",
        choices=_FORMATS,
        default="text",
        help="text; tsv: number, score, translation, source; jsonl: all that is known (default: text)",
    )
    add("--jsonl", action="store_true", help="short for --format jsonl")
    add(
        "--input",
        choices=_INPUTS,
        default="text",
        help="text, or jsonl: in each line an object with its text as `source`, and what its own output is to hold as "
        "`prefix` (a text), `phrases`, `banned` (lists of them) (default: text)",
    )
    add("--scores", action="store_true", help="print the score and a tab before each output")
    known = {flag.name: flag for flag in flags()}
    for title, names in _GROUPS.items():
        group = parser.add_argument_group(title)
        for flag in map(known.__getitem__, names):
            value: dict[str, Any] = {
                "type": flag.kind,
                "metavar": flag.metavar,
                "choices": flag.choices or None,
            }
            if flag.kind is bool:
                value = {"action": "store_true"}
            if flag.kind is tuple:
                value = {"action": "append", "metavar": flag.metavar}
            about = flag.about.replace("%", "%%")
            group.add_argument(*flag.flags, dest=flag.name, default=None, help=about, **value)
    add("--device", default="cpu", help="such as cpu or cuda (default: cpu)")
    add("--precision", default="float32", help="float32 or bfloat16 (default: float32)")
    add(
        "--threads",
        type=int,
        metavar="N",
        help="CPU threads that search at once, a batch each (default: as many as there are cores, 8 at most)",
    )
    return parser


def _load(command: Namespace) -> LineTranslator[Any]:
    from s2s.inference.exported import is_exported

    if not is_exported(command.bundle):
        from s2s.inference.translator import Translator

        return Translator.load(
            command.bundle,
            device=command.device,
            precision=command.precision,
            threads=command.threads,
            models=command.model,
        )
    for name, only in (("device", "cpu"), ("precision", "float32"), ("model", [])):
        if getattr(command, name) != only:
            raise ConfigError(
                f"{command.bundle} is an exported model, which takes no --{name}; translate with its bundle, or leave "
                "it out"
            )
    from s2s.runtime.translator import OnnxTranslator

    return OnnxTranslator.load(command.bundle, threads=command.threads)


def _format(command: Namespace, chosen: Options) -> Callable[[int, str, Translation], str]:
    from s2s.inference.formats import jsonl, text, tsv

    if command.format == "jsonl":
        return partial(jsonl, weights=chosen.weights)
    if command.format == "tsv":
        return tsv
    return partial(text, n_best=chosen.several, scores=command.scores)


def _made_of(translator: LineTranslator[Any], command: Namespace, given: Mapping[str, Any]) -> dict[str, Any]:
    # What has to be the same where a run goes on.
    files = json.dumps(translator.files, sort_keys=True)
    return {
        "bundles": hashlib.sha256(files.encode()).hexdigest(),
        "input": command.input,
        "format": command.format,
        "scores": command.scores,
        "precision": command.precision,
        **{name: value for name, value in given.items() if name not in _SPEED_ONLY},
    }


def _at_a_terminal(command: Namespace) -> bool:
    # Where the translations themselves go to the terminal a bar would be among them.
    return sys.stderr.isatty() and (command.output is not None or not sys.stdout.isatty())
