"""`s2s label`: labels words with a bundle."""

from __future__ import annotations

import hashlib
import json
import sys
from argparse import Namespace
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from s2s.commands.bundles import expect_bundle
from s2s.commands.command_line import CommandLine
from s2s.commands.output_options import add_output_options
from s2s.commands.threads import at_once
from s2s.errors import ConfigError

if TYPE_CHECKING:
    from s2s.inference.annotation import Annotation
    from s2s.inference.incoming import Incoming
    from s2s.inference.labeller import Labeller

SUMMARY = "label the words of text, CoNLL-U or columns with a bundle"

_FORMS = ("text", "conllu", "columns")


def main(argv: list[str]) -> int:
    """Run `s2s label BUNDLE [FILE...]`."""
    command = parser().parse_args(argv)
    if command.resume and command.output is None:
        raise ConfigError("--resume continues a file; name it with --output FILE")

    from s2s.inference.annotation import Annotation, Sentences, form_of, layout_of
    from s2s.inference.incoming import Incoming

    files = command.files or ["-"]
    form = command.input or form_of(files)
    incoming = Incoming(files) if form == "text" else Sentences(files)
    expect_bundle(command.bundle)

    from s2s.inference.labeller import Labeller

    labeller = Labeller.load(command.bundle, device=command.device, threads=command.threads)
    layout = layout_of(form, command.column, command.word_column, labeller.column)
    checksums = json.dumps(labeller.bundle.config["sha256"], sort_keys=True)
    made_of = {
        "bundle": hashlib.sha256(checksums.encode()).hexdigest(),
        "input": form,
        "column": command.column,
        "word_column": command.word_column,
        "jsonl": command.jsonl,
    }
    return _run(command, incoming, labeller, Annotation(layout, jsonl=command.jsonl), made_of)


def _run(
    command: Namespace,
    incoming: Incoming,
    labeller: Labeller,
    annotation: Annotation,
    made_of: dict[str, Any],
) -> int:
    """Read, label, write, and report irregularities."""
    from s2s.inference.incoming import Decoder
    from s2s.inference.labeller import MOST_WORDS
    from s2s.inference.outgoing import Outgoing
    from s2s.inference.progress import progress

    decode = Decoder("sentences")
    pending: deque[tuple[list[bytes], list[str]]] = deque()
    cut = 0

    def windows() -> Iterator[list[list[str]]]:
        for blocks in incoming.windows(skip=out.lines, checksum=out.checksum):
            texts = [decode(block) for block in blocks]
            if texts:
                pending.append((blocks, texts))
            yield [annotation.words(text) for text in texts]

    at_a_terminal = sys.stderr.isatty() and (command.output is not None or not sys.stdout.isatty())
    with (
        Outgoing(command.output, made_of=made_of, resume=command.resume, inputs=incoming.paths) as out,
        progress(incoming.size, shown=at_a_terminal) as tell,
    ):
        if out.lines:
            print(f"s2s: continuing after sentence {out.lines:,}", file=sys.stderr)
        for found in labeller.stream_windows(windows()):
            blocks, texts = pending.popleft()
            rows = (annotation.written(text, one) for text, one in zip(texts, found, strict=True))
            out.write("".join(rows), blocks)
            cut += sum(one.parts > 1 for one in found)
            tell(len(found), sum(incoming.report.bytes_read.values()))
    said = [*incoming.report.notes, *decode.notes(), *annotation.notes()]
    if cut:
        said.append(
            f"{cut} of {decode.lines} sentences have more than {MOST_WORDS:,} words; each part was labelled separately"
        )
    for note in said:
        print(f"s2s: {note}", file=sys.stderr)
    return 0


def parser() -> CommandLine:
    """The command line."""
    parser = CommandLine(
        prog="s2s label",
        description="Label words, in order. For text, each line gives a line with one label per space-separated word; "
        "CoNLL-U files and files with one word per line are written again with the labels in their column.",
    )
    add = parser.add_argument
    add("bundle", metavar="BUNDLE", help="folder of the model, as `s2s fit` writes it")
    add("files", metavar="FILE", nargs="*", default=[], help="plain or gzip (default: standard input)")
    add(
        "--input",
        choices=_FORMS,
        help="file format: text, CoNLL-U, or columns with one word per line (default: by file name, .conllu, "
        ".conll, .bio, .iob, all others text)",
    )
    add(
        "--column",
        metavar="NAME",
        help="column of the labels: a name or number for CoNLL-U, a number for columns, where one column may be added "
        "at the end (default: the one that the model was trained on, or else UPOS, 2)",
    )
    add("--word-column", metavar="N", help="for columns, the column of the words (default: 1)")
    add_output_options(parser)
    add(
        "--jsonl",
        action="store_true",
        help="print a JSON object for each sentence with words, labels and their probabilities",
    )
    add("--device", default="cpu", help="such as cpu or cuda (default: cpu)")
    add(
        "--threads",
        type=int,
        metavar="N",
        help=at_once("label"),
    )
    return parser
