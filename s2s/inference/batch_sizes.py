"""How much is worked on at once, unasked; the command line's help reads it, and needs neither torch nor numpy."""

SCORED_TOKENS = 4096
"""Most tokens of a batch that is scored or aligned, padding counted."""
CLASSIFIED_TOKENS = 16384
"""Most tokens of a batch of texts that get their classes, padding counted: a matter of speed and memory alone."""
TEXT_TOKENS = 256
"""Most tokens of a text that a language model writes and does not end before, its prompt not counted."""
