"""Text: reading pairs, tokenizing, storing and batching them."""
