"""`s2s plugins`: lists parts, shows one, checks whether it satisfies its protocol, and creates a new plugin."""

from s2s.commands.command_line import CommandLine
from s2s.commands.plugins import check, listing, new, show

SUMMARY = "list, show and check the parts of plugins; create a new plugin"
ACTIONS = {"list": listing, "show": show, "check": check, "new": new}


def main(argv: list[str]) -> int:
    """Run `s2s plugins list`, `show`, `check` or `new`."""
    parser = CommandLine(prog="s2s plugins", description="List, show, check and create plugins.")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, action in ACTIONS.items():
        action.add_to(actions.add_parser(name, help=action.SUMMARY, description=action.__doc__))
    options = parser.parse_args(argv)
    return int(ACTIONS[options.action].run(options))
