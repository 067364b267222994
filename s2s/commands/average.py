"""`s2s average`: the mean of the weights of several checkpoints or bundles."""

from __future__ import annotations

from s2s.commands.card_options import add_card_options, card_of
from s2s.commands.command_line import CommandLine

SUMMARY = "a bundle with the mean of the weights of checkpoints or bundles"


def main(argv: list[str]) -> int:
    """Run `s2s average CHECKPOINT... --output BUNDLE`."""
    parser = CommandLine(
        prog="s2s average",
        description="Write a bundle whose weights are the mean of those of several models of equal parts.",
    )
    add = parser.add_argument
    add(
        "sources",
        metavar="CHECKPOINT",
        nargs="+",
        help="checkpoints in the folders of their runs, folders of runs (their best ones are taken), or bundles",
    )
    add(
        "--output",
        metavar="BUNDLE",
        required=True,
        help="where the bundle shall lie; one that is there is replaced",
    )
    add_card_options(parser)
    options = parser.parse_args(argv)

    from s2s.inference.averaging import average

    print(average(options.sources, options.output, card=card_of(options)), flush=True)
    return 0
