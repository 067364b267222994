"""`s2s score`: log-probabilities and perplexity of given translations or texts."""

from __future__ import annotations

import json
import math
import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from s2s.commands.bundles import expect_bundle
from s2s.commands.command_line import CommandLine
from s2s.commands.threads import WITHIN, use_threads
from s2s.counted import counted
from s2s.errors import ConfigError
from s2s.inference.batch_sizes import SCORED_TOKENS

if TYPE_CHECKING:
    from s2s.commands.output import Output
    from s2s.inference.scoring import Scored

SUMMARY = "compute log-probabilities and perplexity of given translations or texts"


def main(argv: list[str]) -> int:
    """Run `s2s score BUNDLE SRC TGT` or `s2s score BUNDLE TEXT`."""
    options = parser().parse_args(argv)
    expect_bundle(options.bundle)

    from s2s.commands.output import Output
    from s2s.inference.architectures import model_class
    from s2s.inference.bundle_config import read_config
    from s2s.nn.language_model import LanguageModel

    use_threads(options.threads)
    folder = Path(options.bundle)
    of_texts = model_class(folder, read_config(folder)) is LanguageModel
    if of_texts and options.target is not None:
        raise ConfigError(
            f"{options.bundle} holds a language model, which scores one file; leave out {options.target}"
        )
    if not of_texts and options.target is None:
        raise ConfigError(f"the translations of {options.source} are missing; give both files: SRC TGT")
    if not of_texts and options.stream:
        raise ConfigError(f"--stream is for language models, and {options.bundle} holds none; leave it out")
    with Output(options.output) as output:
        said = _texts(options, output) if of_texts else _translations(options, output)
    for line in said:
        print(f"s2s: {line}", file=sys.stderr)
    return 0


def parser() -> CommandLine:
    """The command line."""
    parser = CommandLine(
        prog="s2s score",
        description="Print the log-probability (natural logarithm) that a model assigns to each translation, line by "
        "line, and the perplexity per token, including end tokens, on standard error. A language model scores the "
        "lines of one file.",
        epilog="If the source line is empty, an empty translation has log-probability 0 and any other -inf; such "
        "lines have no tokens and do not count in the perplexity.",
    )
    add = parser.add_argument
    add("bundle", metavar="BUNDLE", help="folder of the model, as `s2s fit` writes it")
    add("source", metavar="SRC", help="source lines, or the texts, plain or gzip; - is standard input")
    add(
        "target",
        metavar="TGT",
        nargs="?",
        help="their translations, one per source line; not for a language model",
    )
    add(
        "--tokens",
        action="store_true",
        help="add a tab and JSON: [[token, log-probability], ...], the end token last",
    )
    add("--json", action="store_true", help="print only the totals, as JSON")
    add(
        "--stream",
        action="store_true",
        help="score each line as the continuation of those before it, not independently (language models)",
    )
    add("--output", metavar="FILE", help="write the result here at the end (default: standard output)")
    add(
        "--batch-tokens",
        type=int,
        default=SCORED_TOKENS,
        metavar="N",
        help="maximum tokens per batch (default: %(default)s)",
    )
    add("--device", default="cpu", help="such as cpu or cuda (default: cpu)")
    add("--threads", type=int, metavar="N", help=f"{WITHIN} (default: all cores)")
    return parser


def _translations(options: Namespace, output: Output) -> list[str]:
    from s2s.commands.aligned_lines import AlignedLines
    from s2s.inference.bundle import load_bundle
    from s2s.inference.scoring import exp, score

    bundle = load_bundle(options.bundle)
    pairs = AlignedLines(options.source, options.target)
    lines = tokens = impossible = 0
    total = 0.0
    for sources, targets in pairs.blocks():
        for one in score(bundle, sources, targets, batch_tokens=options.batch_tokens, device=options.device):
            lines += 1
            tokens += len(one.tokens)
            impossible += one.log_prob == -math.inf and not one.tokens
            total += math.fsum(one.log_probs)
            if not options.json:
                output.write(_row(one, options.tokens))
        output.flush()
    perplexity = exp(-total / tokens) if tokens else math.nan
    said = pairs.notes()
    if impossible:
        said.append(
            f"{impossible} of {lines} lines have an empty source and a translation; they do not count in the perplexity"
        )
    if options.json:
        totals = {
            "lines": lines,
            "tokens": tokens,
            "log_prob": _json(total),
            "perplexity": _json(perplexity),
            "impossible": impossible,
        }
        output.write(json.dumps(totals, indent=2) + "\n")
    else:
        said.append(
            f"{counted(lines, 'line')}, {counted(tokens, 'token')}, log-probability {total:.3f}, "
            f"perplexity {perplexity:.4g}"
        )
    return said


def _texts(options: Namespace, output: Output) -> list[str]:
    from s2s.evaluation.perplexity import Perplexity, TextSizes
    from s2s.inference.generator import Generator
    from s2s.inference.incoming import Decoder, Incoming

    incoming, decode = Incoming([options.source]), Decoder()
    generator = Generator.load(options.bundle, device=options.device)
    sizes, total = TextSizes(0, 0, 0, 0, 0), 0.0
    scorer = generator.scorer(as_stream=options.stream, batch_tokens=options.batch_tokens)
    for window in incoming.windows():
        texts = [decode(line) for line in window]
        scored = scorer(texts)
        sizes = sizes.plus(TextSizes.of(zip(texts, generator.pieces(texts), strict=True)))
        total += math.fsum(value for one in scored for value in one.log_probs)
        if not options.json:
            output.write("".join(_row(one, options.tokens) for one in scored))
            output.flush()
    said = [*incoming.report.notes, *decode.notes()]
    measured = Perplexity(-total / sizes.pieces, sizes) if sizes.pieces else None
    if options.json:
        totals = {
            "lines": sizes.texts,
            "tokens": sizes.pieces,
            "words": sizes.words,
            "characters": sizes.characters,
            "unknown": sizes.unknown,
            "log_prob": _json(total),
            "perplexity": None if measured is None else _json(measured.piece),
            "perplexity_word": None if measured is None else _json(measured.word),
            "bits_per_character": None if measured is None else _json(measured.bits_per_character),
        }
        output.write(json.dumps(totals, indent=2) + "\n")
    elif measured is not None:
        said.append(
            f"{counted(sizes.texts, 'line')}, {counted(sizes.pieces, 'token')}, {counted(sizes.words, 'word')}, "
            f"{counted(sizes.characters, 'character')} "
            f"(ends counted, {counted(sizes.unknown, 'token')} unknown), log-probability {total:.3f}, {measured}"
        )
    return said


def _row(one: Scored, with_tokens: bool) -> str:
    rows = [[token, _json(round(value, 6))] for token, value in zip(one.tokens, one.log_probs, strict=True)]
    more = f"\t{json.dumps(rows, ensure_ascii=False)}" if with_tokens else ""
    return f"{one.log_prob:.6f}{more}\n"


def _json(value: float) -> float | None:
    return value if math.isfinite(value) else None  # JSON knows no infinity
