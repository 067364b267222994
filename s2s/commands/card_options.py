"""Options of commands that write a bundle: what only its maker knows of it."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from s2s.commands.command_line import CommandLine

if TYPE_CHECKING:
    from s2s.inference.card import Card


def add_card_options(parser: CommandLine) -> None:
    """Let the card be written."""
    add = parser.add_argument
    add("--description", metavar="TEXT", help="for the card: what it is, what it was trained on; Markdown")
    add(
        "--licence",
        metavar="NAME",
        help="for the card: such as 'CC BY-SA 4.0'; the training text may decide it",
    )
    add("--intended-use", metavar="TEXT", help="for the card: what it is for, and what not; Markdown")


def card_of(options: Namespace) -> Card:
    """The card that was asked for; empty where nothing was said, but for the command."""
    from s2s.inference.card import Card, command_of_this_process

    return Card(
        description=options.description or "",
        licence=options.licence or "",
        intended_use=options.intended_use or "",
        command=command_of_this_process(),
    )
