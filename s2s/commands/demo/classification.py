"""The demo of classification."""

from typing import TYPE_CHECKING

from s2s.commands.demo.examples import echo, print_examples, read_pairs

if TYPE_CHECKING:
    from s2s.training.cli import Fitted


def show(fitted: "Fitted") -> None:
    """Accuracy and F1, beside those of the most frequent class, and some texts."""
    from s2s.evaluation.classes import Classes
    from s2s.inference.classifier import Classifier

    texts, references = read_pairs("embedded:classification/test.tsv")
    print(f"Classifying the {len(texts)} notices of the test split.")
    classifier = Classifier.load(str(fitted.bundle))
    outputs = classifier.classify(texts)
    print("\n".join(Classes(references, outputs, classifier.classes).lines()))
    # The first class is the most frequent one in the training texts.
    always = Classes(references, classifier.classes[:1] * len(texts), classifier.classes)
    print(f"always {classifier.classes[0]!r}: {', '.join(score.figure for score in always.scores)}")
    print_examples({"text": texts, "class": outputs, "reference": references})
    print(
        f"The model is at {fitted.bundle}. Try it:\n  {echo(texts[0])} | s2s classify {fitted.bundle} --top 3"
    )
