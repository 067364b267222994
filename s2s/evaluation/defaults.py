"""What is scored unless one says otherwise; here, so that helps can tell of it without numpy."""

METRICS = ("BLEU", "ChrF", "TER")
SUMMARY_METRICS = ("ROUGE1", "ROUGE2", "ROUGEL", "ROUGELsum")
"""Where outputs are shorter than their sources, which are known."""
LENGTHS = {"words": (10, 20, 30, 40, 60), "characters": (50, 100, 150, 200, 300)}
"""Units of length, and the longest sentences of the buckets that are usual."""

RESAMPLES = 1000
"""Of the paired bootstrap."""
