"""`s2s plugins new`: a small distribution with a new part that installs, passes its kit, trains and translates.

    folder = new("cell", "my_cell", Path("."))       # writes my-cell/
    print(next_steps(folder))

Imports no torch.
"""

from s2s.scaffold.distribution import KINDS, new, next_steps

__all__ = ["KINDS", "new", "next_steps"]
