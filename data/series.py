"""Monthly visitors of an invented museum, and the hours of sunshine: trend, season and chance."""

from chance import Chance

MONTHS = 240
FIRST_YEAR = 2001
# fmt: off
SUNSHINE = (55, 75, 120, 165, 205, 215, 225, 205, 160, 110, 65, 48)  # hours of a month, January first
SEASON = (0.72, 0.70, 0.85, 1.00, 1.08, 1.15, 1.42, 1.38, 1.02, 0.92, 0.78, 0.98)  # share of a mean month
# fmt: on
GROWTH = 1.004  # of a month over the one before
FIRST_VISITORS = 4000.0
STAYING = 0.7  # share of a disturbance that is left in the month after
SUN_KEEPS_AWAY = 0.35  # how much fewer come where there is all the sunshine more than usual
DISTURBANCE, SUN_DEVIATION = 0.025, 0.12


def deviate(chance: Chance) -> float:
    """Draw from a distribution of mean 0 and deviation 1: twelve even draws, less 6 (no function that may differ)."""
    return sum(chance.below(1_000_000) / 1_000_000 for _ in range(12)) - 6.0


def museum(seed: int) -> list[tuple[str, int, int]]:
    """Draw the series.

    Returns:
        Month, visitors, hours of sunshine.
    """
    chance = Chance(seed)
    level, disturbance = FIRST_VISITORS, 0.0
    rows = []
    for month in range(MONTHS):
        year, place = FIRST_YEAR + month // 12, month % 12
        surplus = SUN_DEVIATION * deviate(chance)
        disturbance = STAYING * disturbance + DISTURBANCE * deviate(chance)
        visitors = level * SEASON[place] * (1 + disturbance) * (1 - SUN_KEEPS_AWAY * surplus)
        rows.append((f"{year}-{place + 1:02d}", round(visitors), round(SUNSHINE[place] * (1 + surplus))))
        level *= GROWTH
    return rows
