"""`s2s translate`: translates text line by line with a bundle."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from argparse import Namespace
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from s2s.commands.bundles import expect_bundle
from s2s.commands.command_line import CommandLine
from s2s.commands.kernels import keep_few_kernels
from s2s.commands.output_options import add_output_options
from s2s.commands.threads import at_once
from s2s.errors import ConfigError
from s2s.inference.line import Line
from s2s.inference.options import Options, flags

if TYPE_CHECKING:
    from s2s.inference.incoming import Incoming
    from s2s.inference.lines import LineTranslator
    from s2s.inference.translation import Translation

Item = TypeVar("Item", bound=str | Line)
"""What is processed: a document, or a line."""

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
    "sampling": ("samples", "temperature", "top_k", "top_p", "seed", "minimum_risk"),
    "content of outputs": ("phrases", "prefix", "banned", "no_repeat_ngram", "replace_unknowns"),
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
"""Groups of the options of a translation, for the help."""


def main(argv: list[str]) -> int:
    """Run `s2s translate BUNDLE [FILE...]`."""
    command = parser().parse_args(argv)
    given, chosen = options_of(command)

    from s2s.inference.incoming import Incoming
    from s2s.inference.json_lines import JsonLines

    incoming = Incoming(command.files or ["-"])
    translator = load(command)
    chosen = chosen.limited(translator.max_output_tokens)
    form = _format(command, chosen)
    objects = JsonLines()
    if command.format == "jsonl" and translator.tells_weights:
        chosen = dataclasses.replace(chosen, weights=True)
    return run(
        command,
        incoming,
        chosen,
        partial(translator.stream_windows, **dataclasses.asdict(chosen)),
        made_of(translator, command, given) | {"input": command.input},
        lambda number, line, found: form(number, line.text, found),
        goes_on=partial(setattr, objects, "before"),
        line_of=objects if command.input == "jsonl" else Line,
        notes=objects.notes,
    )


def options_of(command: Namespace) -> tuple[dict[str, Any], Options]:
    """The given options of a translation, and all of them; invalid ones are refused before anything is loaded.

    Raises:
        ConfigError: an option is invalid, or options contradict each other.
    """
    # Defaults live in one place: options that are not given here are the translator's, or the bundle's.
    given = {flag.name: getattr(command, flag.name) for flag in flags()}
    given = {name: value for name, value in given.items() if value is not None}
    chosen = Options.of(given)
    if command.resume and command.output is None:
        raise ConfigError("--resume continues a file; name it with --output FILE")
    if command.jsonl:
        command.format = "jsonl"
    if command.scores and command.format != "text":
        raise ConfigError(f"--scores is for the format text; {command.format} has the scores anyway")
    return given, chosen


def run(
    command: Namespace,
    incoming: Incoming,
    chosen: Options,
    stream_windows: Callable[[Iterator[list[Item]]], Generator[list[Translation]]],
    made_of: Mapping[str, Any],
    write: Callable[[int, Item, Translation], str],
    *,
    line_of: Callable[[str], Item],
    goes_on: Callable[[int], None] = lambda lines: None,
    notes: Callable[[], Iterable[str]] = tuple,
    unit: str = "lines",
) -> int:
    """Read, process, write, and report truncation.

    Args:
        command: the command line.
        incoming: the input.
        chosen: the options.
        stream_windows: maps windows of texts to windows of results.
        made_of: see `Outgoing`.
        write: maps number, text and result to the output text.
        line_of: maps an input text to the item that is processed.
        goes_on: called with the number of lines that an earlier run has done.
        notes: notes of `line_of` at the end.
        unit: what a text is called in messages.
    """
    from s2s.inference.incoming import Decoder
    from s2s.inference.outgoing import Outgoing
    from s2s.inference.progress import progress

    decode = Decoder(unit)
    pending: deque[tuple[list[bytes], list[Item]]] = deque()
    cut = truncated = unmet = 0

    def windows() -> Iterator[list[Item]]:
        for lines in incoming.windows(skip=out.lines, checksum=out.checksum):
            texts = [line_of(decode(line)) for line in lines]
            if texts:
                pending.append((lines, texts))
            yield texts

    # Invalid options are reported before an earlier run's file is touched; no window is read yet.
    flow = stream_windows(windows())
    with (
        Outgoing(command.output, made_of=made_of, resume=command.resume, inputs=incoming.paths) as out,
        progress(incoming.size, shown=_at_a_terminal(command)) as tell,
        closing(flow),
    ):
        goes_on(out.lines)
        if out.lines:
            print(f"s2s: continuing after {unit.removesuffix('s')} {out.lines:,}", file=sys.stderr)
        for found in flow:
            lines, texts = pending.popleft()
            numbered = enumerate(zip(texts, found, strict=True), start=out.lines)
            rows = (write(number, text, one) for number, (text, one) in numbered)
            out.write("".join(rows), lines)
            cut += sum(not one.finished for one in found)
            unmet += sum(bool(one.unmet) for one in found)
            truncated += sum(one.truncated for one in found)
            tell(len(found), sum(incoming.report.bytes_read.values()))
    said = [*incoming.report.notes, *decode.notes(), *notes()]
    if truncated:
        said.append(
            f"{truncated} of {decode.lines} {unit} have more than {chosen.max_source_tokens} tokens; only so many "
            "were read of each. See --max-source-tokens"
        )
    if unmet:
        said.append(
            f"{unmet} of {decode.lines} outputs lack a requested phrase or prefix; see `unmet` of --jsonl, "
            "--limit-extra, --beam"
        )
    if cut:
        limits = "--limit-ratio, --limit-extra" if chosen.max_tokens is None else "--max-tokens"
        said.append(f"{cut} of {decode.lines} outputs were cut at their token limit; see {limits}")
    for note in said:
        print(f"s2s: {note}", file=sys.stderr)
    return 0


def parser() -> CommandLine:
    """The command line: files and devices here, everything else from `s2s.inference.options`."""
    parser = CommandLine(
        prog="s2s translate",
        description="Translate line by line: one output line per input line, in order. Only \\n ends a line.",
        epilog="Each option of a translation has the same name in Python: --limit-extra is limit_extra.",
    )
    add = parser.add_argument
    add("bundle", metavar="BUNDLE", help="folder of the model, as `s2s fit` or `s2s export` writes it")
    add(
        "files",
        metavar="FILE",
        nargs="*",
        default=[],  # or argparse says that one is required
        help="text, plain or gzip (default: standard input; input that arrives slowly is translated line by line)",
    )
    add(
        "--input",
        choices=_INPUTS,
        default="text",
        help="text, or jsonl: each line is a JSON object with the text as `source` and optional constraints on its "
        "output as `prefix` (a text), `phrases`, `banned` (lists of texts) (default: text)",
    )
    add_options(parser)
    return parser


def add_options(
    parser: CommandLine,
    formats: str = "text; tsv: number, score, translation, source; jsonl: all information",
) -> None:
    """Add what `s2s translate` and `s2s summarize` have in common: output, search and device options.

    Args:
        parser: gets them.
        formats: what each format contains, for the help.
    """
    add = parser.add_argument
    add(
        "--model",
        metavar="BUNDLE",
        action="append",
        default=[],
        help="a further model with the same target pieces, for an ensemble: the probabilities of all models are "
        "averaged at each token; may be given more than once",
    )
    add_output_options(parser)
    add(
        "--format",
        choices=_FORMATS,
        default="text",
        help=f"{formats} (default: text)",
    )
    add("--jsonl", action="store_true", help="short for --format jsonl")
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
    add(
        "--precision",
        default="float32",
        help="float32, or bfloat16: less precise, and faster on a CPU or GPU that supports it (default: float32)",
    )
    add(
        "--threads",
        type=int,
        metavar="N",
        help=at_once("search"),
    )


def load(command: Namespace) -> LineTranslator[Any]:
    """The translator of a command line: of a bundle, or of an export."""
    from s2s.inference.exported import is_exported

    if not is_exported(command.bundle):
        expect_bundle(command.bundle)
        keep_few_kernels()
        from s2s.inference.translator import Translator
        from s2s.nn.packed import multiplies_bfloat16

        if command.precision == "bfloat16" and command.device == "cpu" and not multiplies_bfloat16():
            print(
                "s2s: --precision bfloat16 brings nothing on this processor, for which torch has no bfloat16 matrix "
                "products; leave it out",
                file=sys.stderr,
            )
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


def made_of(translator: LineTranslator[Any], command: Namespace, given: Mapping[str, Any]) -> dict[str, Any]:
    """What must be the same to resume a run."""
    files = json.dumps(translator.files, sort_keys=True)
    return {
        "bundles": hashlib.sha256(files.encode()).hexdigest(),
        "format": command.format,
        "scores": command.scores,
        "precision": command.precision,
        **{name: value for name, value in given.items() if name not in _SPEED_ONLY},
    }


def _at_a_terminal(command: Namespace) -> bool:
    # If the translations themselves go to the terminal, a progress bar would be among them.
    return sys.stderr.isatty() and (command.output is not None or not sys.stdout.isatty())
