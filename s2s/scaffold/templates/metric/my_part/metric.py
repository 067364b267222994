"""A metric of whole sentences."""

from collections.abc import Sequence

from s2s.evaluation.metric import Metric, Score, check_sizes

VERSION = 1
"""Increase it when the same outputs get another score: scores of two versions are not comparable."""


class MyPart(Metric):
    """Exact match: how many outputs equal one of their references, in percent.

    Args:
        lowercase: compare without case.
    """

    # Decides which checkpoint is best; False for an error rate.
    higher_is_better = True

    def __init__(self, *, lowercase: bool = False) -> None:
        self.lowercase = lowercase

    # `references` has one list per translator, each with one line per sentence.
    def score(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        """Score a whole set."""
        check_sizes(hypotheses, references)
        of_each_sentence = zip(*references, strict=True)
        hits = sum(
            self._form(hypothesis) in [self._form(reference) for reference in known]
            for hypothesis, known in zip(hypotheses, of_each_sentence, strict=True)
        )
        # All that the value depends on: scores with the same signature are comparable.
        case = "lc" if self.lowercase else "mixed"
        signature = f"MyPart|nrefs:{len(references)}|case:{case}|version:{VERSION}"
        return Score(
            value=100.0 * hits / len(hypotheses),
            signature=signature,
            name="MyPart",
            sentences=len(hypotheses),
        )

    def _form(self, line: str) -> str:
        return line.lower() if self.lowercase else line
