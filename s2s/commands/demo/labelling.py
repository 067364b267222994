"""The demo of labelling words."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from s2s.commands.demo.examples import echo, print_examples, read_pairs

if TYPE_CHECKING:
    from s2s.training.cli import Fitted


def show(fitted: "Fitted") -> None:
    """Accuracy and F1, beside those of the most frequent label of each word, and some sentences."""
    from s2s.evaluation.labelling import scores
    from s2s.inference.labeller import Labeller

    train, test = (read_pairs(f"embedded:labelling/{split}.conll") for split in ("train", "test"))
    sentences, references = test[0], [labels.split() for labels in test[1]]
    print(f"Labelling the words of the {len(sentences)} sentences of the test split.")
    outputs = Labeller.load(str(fitted.bundle)).label(sentences)
    systems = {"model": outputs, "most frequent label": most_frequent_labels(*train, sentences)}
    for name, labels in systems.items():
        for score in scores(labels, references):
            print(f"{name:<20} {score}")
    shown = [" ".join(labels) for labels in outputs]
    print_examples({"words": sentences, "labels": shown, "reference": test[1]})
    print(f"The model is at {fitted.bundle}. Try it:\n  {echo(sentences[0])} | s2s label {fitted.bundle}")


def most_frequent_labels(
    sentences: Sequence[str], labels: Sequence[str], others: Sequence[str]
) -> list[list[str]]:
    """The most frequent label of each word; for unknown words, the most frequent label of all.

    Args:
        sentences: to learn from, words with spaces between them.
        labels: of their words, with spaces between them.
        others: sentences whose words are to be labelled.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    every: Counter[str] = Counter()
    for words, own in zip(sentences, labels, strict=True):
        for word, label in zip(words.split(), own.split(), strict=True):
            counts[word][label] += 1
            every[label] += 1
    return [
        [(counts.get(word, every)).most_common(1)[0][0] for word in sentence.split()] for sentence in others
    ]
