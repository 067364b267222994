"""Default metrics and settings; in a module of their own, so that help texts need no numpy."""

METRICS = ("BLEU", "ChrF", "TER")
SUMMARY_METRICS = ("ROUGE1", "ROUGE2", "ROUGEL", "ROUGELsum")
"""For outputs that are shorter than their sources, if these are known."""
LENGTHS = {"words": (10, 20, 30, 40, 60), "characters": (50, 100, 150, 200, 300)}
"""Units of length, and the default upper limits of the length buckets."""

RESAMPLES = 1000
"""Of the paired bootstrap."""
