"""`s2s convert`: a bundle from the folder of a run."""

from __future__ import annotations

from s2s.commands.card_options import add_card_options, card_of
from s2s.commands.command_line import CommandLine

SUMMARY = "make a bundle from a run's checkpoint, or give a bundle another card"


def main(argv: list[str]) -> int:
    """Run `s2s convert RUN BUNDLE`."""
    parser = CommandLine(
        prog="s2s convert",
        description="Make a bundle from the best checkpoint of a run, from another checkpoint, or from a bundle, which "
        "is then written again with the model card of the options.",
    )
    add = parser.add_argument
    add(
        "source",
        metavar="RUN",
        help="run folder, as `s2s fit` writes it, a checkpoint in one, or a bundle",
    )
    add("bundle", metavar="BUNDLE", help="folder of the new bundle; an existing bundle is replaced")
    add(
        "--ckpt_path",
        "--ckpt-path",
        "--checkpoint",
        dest="checkpoint",
        metavar="NAME",
        default="best",
        help="checkpoint of the run: best, last, or a file, as for `s2s test` (default: best, else last)",
    )
    add_card_options(parser)
    options = parser.parse_args(argv)

    from s2s.inference.conversion import convert

    print(
        convert(options.source, options.bundle, checkpoint=options.checkpoint, card=card_of(options)),
        flush=True,
    )
    return 0
