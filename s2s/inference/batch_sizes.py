"""Default batch sizes; the help of the command line reads them without importing torch or numpy."""

SCORED_TOKENS = 4096
"""Maximum tokens per batch for scoring and alignment, including padding."""
CLASSIFIED_TOKENS = 16384
"""Maximum tokens per batch for classification, including padding. Affects speed and memory only."""
TEXT_TOKENS = 256
"""Maximum tokens of a generated text, without its prompt."""
