"""`s2s heatmap`: plots the attention weights of a translation."""

from __future__ import annotations

import sys

from s2s.commands.bundles import expect_bundle
from s2s.commands.command_line import CommandLine
from s2s.search.defaults import BEAM, of_bundle

SUMMARY = "translate a sentence and plot the attention weights"


def main(argv: list[str]) -> int:
    """Run `s2s heatmap BUNDLE SENTENCE --output FILE`."""
    parser = CommandLine(
        prog="s2s heatmap",
        description="Translate a sentence and plot the attention weight of each source word at each output word.",
        epilog="Needs matplotlib: pip install 's2s[plots]'",
    )
    add = parser.add_argument
    add("bundle", metavar="BUNDLE", help="folder of the model, as `s2s fit` writes it")
    add("sentence", metavar="SENTENCE", help="the source sentence, in quotation marks")
    add("--output", "--plot", metavar="FILE", required=True, help="the plot, .png or .svg")
    add(
        "--beam",
        type=int,
        metavar="N",
        help=f"beam size; 1 is greedy search (default: {of_bundle(BEAM)})",
    )
    add("--device", default="cpu", help="such as cpu or cuda (default: cpu)")
    options = parser.parse_args(argv)

    from s2s.commands.output import Output, check_place
    from s2s.evaluation.pictures import format_of

    file_format = format_of(options.output)
    check_place(options.output)
    expect_bundle(options.bundle)

    from s2s.inference.alignment import attention_of_search
    from s2s.inference.bundle import load_bundle
    from s2s.inference.heatmap import draw
    from s2s.inference.translator import Translator
    from s2s.registry.parts import factory

    bundle = Translator(load_bundle(options.bundle), device=options.device).bundle
    strategy = None
    if options.beam is not None:
        strategy = factory("search", {"class_path": "Beam", "init_args": {"size": options.beam}})()
    found = attention_of_search(bundle, options.sentence, strategy)
    picture, notes = draw(found, file_format)
    with Output(options.output) as output:
        output.write_bytes(picture)
    for note in notes:
        print(f"s2s: {note}", file=sys.stderr)
    print(f"{options.output}: {' '.join(found.target_words)}", flush=True)
    return 0
