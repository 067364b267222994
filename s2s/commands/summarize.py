"""`s2s summarize`: summarizes documents with a bundle."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import TYPE_CHECKING

from s2s.commands.command_line import CommandLine
from s2s.commands.translate import add_options, load, made_of, options_of, run

if TYPE_CHECKING:
    from s2s.inference.documents import Documents
    from s2s.inference.translation import Translation

SUMMARY = "summarize documents with a bundle"


def main(argv: list[str]) -> int:
    """Run `s2s summarize BUNDLE [FILE...]`."""
    command = parser().parse_args(argv)
    given, chosen = options_of(command)

    from s2s.inference.documents import Documents
    from s2s.inference.summarizer import Summarizer, check_words

    check_words(command.words, chosen.split)
    incoming = Documents(command.files or ["-"], fields=command.field, whole=command.whole)
    translator = load(command)
    chosen = chosen.limited(translator.max_output_tokens)
    wanted = {"words": command.words, "fields": command.field, "whole": command.whole}

    def write(number: int, _: str, found: Translation) -> str:
        return _written(command.format, incoming, number, found, command.scores, chosen.several)

    return run(
        command,
        incoming,
        chosen,
        partial(Summarizer.of(translator).stream_windows, words=command.words, **dataclasses.asdict(chosen)),
        made_of(translator, command, given) | wanted,
        write,
        line_of=str,
        unit="documents",
    )


def parser() -> CommandLine:
    """The command line: documents here, everything else as for `s2s translate`."""
    parser = CommandLine(
        prog="s2s summarize",
        description="Summarize documents, in order: a folder's files, the objects of a FILE.jsonl, the lines of other "
        "files.",
        epilog="Each option has the same name in Python: --limit-extra is limit_extra.",
    )
    add = parser.add_argument
    add("bundle", metavar="BUNDLE", help="folder of the model, as `s2s fit` or `s2s export` writes it")
    add(
        "files",
        metavar="FILE",
        nargs="*",
        help="a folder, FILE.jsonl or text, plain or gzip (default: standard input, one document per line)",
    )
    add(
        "--field",
        "--source-key",
        metavar="KEY",
        action="append",
        help="key of the text in a JSON object (default: source); several are joined, a line for each",
    )
    add("--whole", action="store_true", help="each FILE is one document, whatever its name")
    add(
        "--words",
        type=int,
        metavar="N",
        help="approximate number of words of a summary; for models that were trained with tell_length",
    )
    add_options(
        parser,
        "text: one line per document; tsv: document, score, summary; jsonl: all information, with separate sentences",
    )
    return parser


def _written(
    file_format: str, incoming: Documents, number: int, found: Translation, scores: bool, several: bool
) -> str:
    from s2s.inference.formats import one_line, summary_jsonl, summary_tsv, text

    if file_format == "jsonl":
        return summary_jsonl(incoming.name(number), found)
    if file_format == "tsv":
        return summary_tsv(incoming.name(number), found)
    return text(number, "", one_line(found), n_best=several, scores=scores)
