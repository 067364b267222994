"""`python -m soak [NAME …]`: run the named attacks, or all, each to completion or up to `--attempts`."""

import argparse
import math
from pathlib import Path

import s2s
import s2s_plugins
from benchmarks.machine import ROOT
from s2s.commands.kernels import keep_few_kernels
from soak import campaign, table
from soak.catalogue import attacks


def main() -> int:
    """Run the attacks; the exit status tells whether a promise was broken."""
    for package in (s2s, s2s_plugins):
        if ROOT not in Path(str(package.__file__)).resolve().parents:
            raise SystemExit(
                f"what would be attacked is {package.__file__}, not what is in {ROOT}; set PYTHONPATH"
            )
    known = attacks()
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}; all by default")
    parser.add_argument("--attempts", type=int, help="instead of those of the long form")
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="of each attack; the next call goes on"
    )
    parser.add_argument("--again", action="store_true", help="begin anew, whatever is in soak/results")
    parser.add_argument("--table", action="store_true", help="only write the table in docs/reliability.md")
    given = parser.parse_args()
    unknown = [name for name in given.names if name not in known]
    if unknown:
        parser.error(f"unknown attack {unknown[0]!r}; known: {', '.join(known)}")
    keep_few_kernels()  # recommended by docs/translating.md, else memory grows until 1,024 are kept
    broken = 0
    if not given.table:
        for name in given.names or known:
            attack = known[name]
            broken += campaign.run(
                attack, given.attempts or attack.attempts, seconds=60 * given.minutes, again=given.again
            ).broken
    table.write()
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
