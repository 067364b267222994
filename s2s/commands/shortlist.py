"""`s2s shortlist`: learn which target pieces may translate which source pieces, for faster translation."""

from __future__ import annotations

from collections.abc import Iterator

from s2s.commands.bad_lines import add_bad_line_options, line_report
from s2s.commands.bundles import expect_bundle
from s2s.commands.command_line import CommandLine
from s2s.commands.corpora import PAIRS
from s2s.text.shortlist import FREQUENT, PER_PIECE

SUMMARY = "learn a vocabulary shortlist from the training text, for faster translation"


def main(argv: list[str]) -> int:
    """Run `s2s shortlist BUNDLE FILE...`."""
    parser = CommandLine(
        prog="s2s shortlist",
        description="Learn from training text which target pieces may translate which source pieces, and store "
        "this in the bundle. `s2s translate BUNDLE --shortlist` then outputs only these pieces, which is faster.",
    )
    add = parser.add_argument
    add("bundle", metavar="BUNDLE", help="folder of the model, as `s2s fit` writes it")
    add("files", metavar="FILE", nargs="+", help=f"training text: {PAIRS}")
    add(
        "--per-piece",
        type=int,
        default=PER_PIECE,
        metavar="N",
        help="number of target pieces per source piece, the most probable ones (default: %(default)s)",
    )
    add(
        "--frequent",
        type=int,
        default=FREQUENT,
        metavar="N",
        help="number of most frequent target pieces, added to every sentence's list (default: %(default)s)",
    )
    add_bad_line_options(parser)
    options = parser.parse_args(argv)
    expect_bundle(options.bundle)

    import torch
    from rich.console import Console

    from s2s.inference.bundle import add_shortlist, load_bundle
    from s2s.text.corpus import open_corpus
    from s2s.text.shortlist import Encoded, learn_shortlist

    bundle = load_bundle(options.bundle)
    bundle.model.head.among(torch.arange(4))  # raises before the work if the head cannot use a shortlist
    report = line_report(options.on_bad_line)

    def pairs() -> Iterator[tuple[str, str]]:
        for file in options.files:
            for pair in open_corpus(file).pairs(report):
                yield pair.source, pair.target

    def encode(lines: list[tuple[str, str]]) -> list[Encoded]:
        sources = bundle.source_tokenizer.encode_batch([source for source, _ in lines])
        targets = bundle.target_tokenizer.encode_batch([target for _, target in lines])
        return list(zip(sources, targets, strict=True))

    vocabularies = bundle.source_tokenizer.vocabulary_size, bundle.target_tokenizer.vocabulary_size
    learnt = learn_shortlist(
        pairs(), encode, *vocabularies, per_piece=options.per_piece, frequent=options.frequent
    )
    add_shortlist(options.bundle, learnt.shortlist)

    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    for line in report.lines():
        console.print(line)
    used = f"{learnt.used:,} sentence pairs"
    if learnt.used < learnt.read:
        used += f", drawn evenly from {learnt.read:,}"
    replacing = "" if bundle.shortlist is None else ", in place of the one that was there"
    console.print(
        f"a shortlist in {options.bundle}{replacing}, learnt from {used}: {learnt.pieces:,.0f} of {vocabularies[1]:,} "
        f"target pieces for a sentence on average, with {learnt.covered:.2%} of the target tokens of this text"
    )
    return 0
