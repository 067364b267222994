"""Create a plugin: a small distribution with one working part, its test, a configuration and a README."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

SUMMARY = "create your own plugin: a small distribution that works out of the box"


def add_to(parser: ArgumentParser) -> None:
    """The action's options."""
    from s2s import scaffold

    parser.add_argument("kind", help=f"kind of the part: {', '.join(scaffold.KINDS)}")
    parser.add_argument("name", help="name of the part, such as my_cell or MyCell")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="where to create the distribution's folder (default: the current folder)",
    )


def run(options: Namespace) -> int:
    """Write it and print the next steps."""
    from s2s import scaffold

    folder = scaffold.new(options.kind, options.name, options.output)
    print(scaffold.next_steps(folder))
    return 0
