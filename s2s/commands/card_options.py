"""Options of commands that write a bundle: what only its author knows about it."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from s2s.commands.command_line import CommandLine

if TYPE_CHECKING:
    from s2s.inference.card import Card


def add_card_options(parser: CommandLine) -> None:
    """Add the options that fill in the model card."""
    add = parser.add_argument
    add(
        "--description",
        metavar="TEXT",
        help="for the model card: what the model is and what it was trained on; Markdown",
    )
    add(
        "--licence",
        metavar="NAME",
        help="for the model card: such as 'CC BY-SA 4.0'; the licence of the training text may determine it",
    )
    add(
        "--intended-use",
        metavar="TEXT",
        help="for the model card: what the model should and should not be used for; Markdown",
    )


def card_of(options: Namespace) -> Card:
    """The card with the given options; empty where none was given, except for the command."""
    from s2s.inference.card import Card, command_of_this_process

    return Card(
        description=options.description or "",
        licence=options.licence or "",
        intended_use=options.intended_use or "",
        command=command_of_this_process(),
    )
