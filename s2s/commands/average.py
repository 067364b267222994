"""`s2s average`: the mean of the weights of several checkpoints or bundles."""

from __future__ import annotations

from s2s.commands.card_options import add_card_options, card_of
from s2s.commands.command_line import CommandLine

SUMMARY = "average the weights of checkpoints or bundles into a new bundle"


def main(argv: list[str]) -> int:
    """Run `s2s average CHECKPOINT... --output BUNDLE`."""
    parser = CommandLine(
        prog="s2s average",
        description="Write a bundle whose weights are the mean of those of several models with the same architecture.",
    )
    add = parser.add_argument
    add(
        "sources",
        metavar="CHECKPOINT",
        nargs="+",
        help="checkpoints in their run folders, run folders (the best checkpoint is used), or bundles",
    )
    add(
        "--output",
        metavar="BUNDLE",
        required=True,
        help="folder of the new bundle; an existing bundle is replaced",
    )
    add_card_options(parser)
    options = parser.parse_args(argv)

    from s2s.inference.averaging import average

    print(average(options.sources, options.output, card=card_of(options)), flush=True)
    return 0
