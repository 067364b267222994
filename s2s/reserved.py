"""The ids that stand for no piece of text: the same for every tokenizer and every model."""

PAD, UNK, BOS, EOS = 0, 1, 2, 3
