"""The demo of a language model."""

import math
import shlex
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from s2s.commands.demo.examples import SHOWN, print_examples, read_pairs

if TYPE_CHECKING:
    from s2s.training.cli import Fitted

BEGUN = 3
"""Words of a text that the model is given."""


def show(fitted: "Fitted") -> None:
    """Perplexity, beside that of pieces predicted by their frequency alone, and some texts that it continues."""
    from s2s.evaluation.perplexity import Perplexity, TextSizes
    from s2s.inference.generator import Generator

    (learnt, _), (texts, _) = (read_pairs(f"embedded:translation/{split}.tsv") for split in ("train", "test"))
    print(f"Predicting the {len(texts)} sentences of the test split, word by word.")
    generator = Generator.load(str(fitted.bundle))
    pieces = generator.pieces(texts)
    sizes = TextSizes.of(zip(texts, pieces, strict=True))
    total = math.fsum(value for one in generator.score(texts) for value in one.log_probs)
    by_frequency = frequency_log_prob(generator.pieces(learnt), pieces, generator.tokenizer.vocabulary_size)
    print(f"model               {Perplexity(-total / sizes.pieces, sizes)}")
    print(f"frequency of pieces {Perplexity(-by_frequency / sizes.pieces, sizes)}")
    some = texts[:: len(texts) // SHOWN][:SHOWN]
    begun = [" ".join(text.split()[:BEGUN]) for text in some]
    print_examples({"begun": begun, "model": generator.generate(begun, top_p=0.9), "test": some})
    print(
        f"The model is at {fitted.bundle}. Try it:\n"
        f"  s2s generate {fitted.bundle} --prompt {shlex.quote(begun[0])} --top-p 0.9"
    )


def frequency_log_prob(
    learnt: Sequence[Sequence[int]], said: Sequence[Sequence[int]], vocabulary_size: int
) -> float:
    """The log-probability of texts under a unigram model, estimated from other texts; ends are predicted, too.

    Args:
        learnt: pieces of the other texts; each piece of the vocabulary counts once more (add-one smoothing).
        said: pieces of the texts.
        vocabulary_size: how many pieces there are.
    """
    from s2s.text.tokenizer import EOS

    counts = Counter(piece for text in learnt for piece in [*text, EOS])
    total = counts.total() + vocabulary_size
    return math.fsum(math.log((counts[piece] + 1) / total) for text in said for piece in [*text, EOS])
