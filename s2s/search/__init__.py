"""Search: the stepper that a strategy sees, the protocol of a strategy, the hypotheses it returns."""
