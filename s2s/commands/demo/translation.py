"""The demo of translation."""

from typing import TYPE_CHECKING

from s2s.commands.demo.examples import echo, print_examples, read_pairs

if TYPE_CHECKING:
    from s2s.training.cli import Fitted


def show(fitted: "Fitted") -> None:
    """BLEU, and some translations."""
    from s2s.inference.translator import Translator
    from s2s.registry import catalogue

    sources, references = read_pairs("embedded:translation/test.tsv")
    print(f"Translating the {len(sources)} sentences of the test split.")
    outputs = Translator.load(str(fitted.bundle)).translate(sources)
    for lowercase in (False, True):
        score = catalogue().load("metric", "BLEU")(lowercase=lowercase).score(outputs, [references])
        print(f"{'lower-cased' if lowercase else 'cased      '}  {score}")
    print_examples({"source": sources, "translation": outputs, "reference": references})
    print(f"The model is at {fitted.bundle}. Try it:\n  {echo(sources[0])} | s2s translate {fitted.bundle}")
