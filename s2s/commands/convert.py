"""`s2s convert`: a bundle from the folder of a run."""

from __future__ import annotations

from s2s.commands.card_options import add_card_options, card_of
from s2s.commands.command_line import CommandLine

SUMMARY = "make a bundle of a run's checkpoint, or give a bundle another card"


def main(argv: list[str]) -> int:
    """Run `s2s convert RUN BUNDLE`."""
    parser = CommandLine(
        prog="s2s convert",
        description="Make a bundle of the best checkpoint of a run, of another checkpoint, or of a bundle: then it is "
        "written anew, with what the options say of it.",
    )
    add = parser.add_argument
    add(
        "source",
        metavar="RUN",
        help="folder of a run, as `s2s fit` writes it, a checkpoint in one, or a bundle",
    )
    add("bundle", metavar="BUNDLE", help="where the bundle shall lie; one that is there is replaced")
    add(
        "--ckpt_path",
        "--ckpt-path",
        "--checkpoint",
        dest="checkpoint",
        metavar="NAME",
        default="best",
        help="of the run: best, last, or a file, as `s2s test` takes it (default: best, else last)",
    )
    add_card_options(parser)
    options = parser.parse_args(argv)

    from s2s.inference.conversion import convert

    print(
        convert(options.source, options.bundle, checkpoint=options.checkpoint, card=card_of(options)),
        flush=True,
    )
    return 0
