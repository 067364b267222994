"""`s2s align`: word alignments from a model's attention."""

from __future__ import annotations

from s2s.commands.bundles import expect_bundle
from s2s.commands.command_line import CommandLine
from s2s.commands.threads import WITHIN, use_threads
from s2s.inference.batch_sizes import SCORED_TOKENS

SUMMARY = "align the words of given translations by attention, in the Pharaoh format"


def main(argv: list[str]) -> int:
    """Run `s2s align BUNDLE SRC TGT`."""
    parser = CommandLine(
        prog="s2s align",
        description="Print which source word is aligned to which target word of each line, by the model's attention "
        "under teacher forcing: 0-0 1-2, words counted from 0, source before target.",
        epilog="Words are separated by white space. An empty line has no alignments.",
    )
    add = parser.add_argument
    add("bundle", metavar="BUNDLE", help="folder of the model, as `s2s fit` writes it")
    add("source", metavar="SRC", help="source lines, plain or gzip; - is standard input")
    add("target", metavar="TGT", help="their translations, one per source line")
    add(
        "--threshold",
        type=float,
        metavar="X",
        help="link all word pairs with at least this attention (default: each target word to the source word with the "
        "most)",
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
    options = parser.parse_args(argv)
    expect_bundle(options.bundle)

    from s2s.commands.aligned_lines import AlignedLines
    from s2s.commands.output import Output
    from s2s.inference.alignment import align, check_threshold, pharaoh
    from s2s.inference.bundle import load_bundle

    check_threshold(options.threshold)
    use_threads(options.threads)
    bundle = load_bundle(options.bundle)
    pairs = AlignedLines(options.source, options.target)
    with Output(options.output) as output:
        for sources, targets in pairs.blocks():
            for one in align(
                bundle, sources, targets, batch_tokens=options.batch_tokens, device=options.device
            ):
                output.write(f"{pharaoh(one.links(options.threshold))}\n")
            output.flush()
    pairs.tell()
    return 0
