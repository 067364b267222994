"""The demo of summarization."""

from typing import TYPE_CHECKING

from s2s.commands.demo.examples import echo, print_examples, read_pairs

if TYPE_CHECKING:
    from s2s.training.cli import Fitted


def show(fitted: "Fitted") -> None:
    """ROUGE, beside that of sentences of the text itself, and some summaries."""
    from s2s.evaluation.defaults import SUMMARY_METRICS
    from s2s.evaluation.evaluate import evaluate
    from s2s.evaluation.extracts import extracts
    from s2s.inference.summarizer import Summarizer

    sources, references = read_pairs("embedded:summarization/test.tsv")
    print(f"Summarizing the {len(sources)} notices of the test split.")
    outputs = Summarizer.load(str(fitted.bundle)).summarize(sources)
    first, best = extracts(sources, [references], 1).values()
    systems = {"model": outputs, "first sentence": first, "best sentence": best}
    for row in evaluate(systems, [references], metrics=SUMMARY_METRICS[:3]):
        signature = f"  {row.signature}" if row.system == "model" else ""
        print(f"{row.system:<15} {row.metric} {row.score:5.2f}{signature}")
    print_examples({"source": sources, "summary": outputs, "reference": references})
    print(f"The model is at {fitted.bundle}. Try it:\n  {echo(sources[0])} | s2s summarize {fitted.bundle}")
