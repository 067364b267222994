"""Default options of the built-in strategies; imports no torch, as the command line's help reads them."""

from typing import Final

BEAM: Final = 5
NORMALIZATION: Final = "wu"
ALPHA: Final = 0.6
BETA: Final = 0.0

DIVERSE_BEAM: Final = 6
GROUPS: Final = 3
STRENGTH: Final = 0.5

CONSTRAINED_BEAM: Final = 10

SAMPLES: Final = 1
TEMPERATURE: Final = 1.0
TOP_P: Final = 1.0
SEED: Final = 1


def of_bundle(usual: float | str) -> str:
    """Help text for the default of a search option.

    Args:
        usual: the default unless training set another.
    """
    return f"the bundle's, {usual} unless its training said otherwise"
