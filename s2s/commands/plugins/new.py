"""Begin a plugin: a small distribution with one working part, its test, a configuration and a README."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

SUMMARY = "begin a plugin of your own: a small distribution that works as it stands"


def add_to(parser: ArgumentParser) -> None:
    """The action's options."""
    from s2s import scaffold

    parser.add_argument("kind", help=f"what to write: {', '.join(scaffold.KINDS)}")
    parser.add_argument("name", help="the part's name: my_cell or MyCell")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="where the distribution's folder is made (default: here)",
    )


def run(options: Namespace) -> int:
    """Write it and say what comes next."""
    from s2s import scaffold

    folder = scaffold.new(options.kind, options.name, options.output)
    print(scaffold.next_steps(folder))
    return 0
