"""ROUGE (Lin 2004) as rouge-score computes it, over words of any script."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from typing import Any, ClassVar, Literal

from s2s.errors import ConfigError
from s2s.evaluation.defaults import RESAMPLES
from s2s.evaluation.metric import Metric, Score, check_sizes
from s2s.evaluation.significance import Compared, paired_bootstrap
from s2s.text.sentences import sentences
from s2s.text.words import words

_STEMMED = 4  # letters that a word must have to be stemmed, as in ROUGE-1.5.5


class ROUGE(Metric):
    """F-measure of the overlap of output and reference, 0 to 100: the mean over the sentences.

    Words are compared without case, as in ROUGE, and are those of `s2s.text.words`: runs of letters and digits of any
    script, single characters in scripts without spaces (Chinese, kana, Thai, Lao, Khmer, Burmese). For ASCII text the
    values are those of rouge-score itself, which knows no letters but a to z. Texts without such words, or without
    n-grams of the length that is compared, score 0.
    """

    kind: ClassVar[str]  # as rouge-score calls it
    name: ClassVar[str]
    settings: ClassVar[str] = ""  # further ones, for the signature

    def __init__(
        self, stemmer: bool = False, references: Literal["best", "mean"] = "best", resamples: int = 0
    ) -> None:
        """What is compared, and how.

        Args:
            stemmer: compare English words of four letters and more by their stems (Porter 1980).
            references: with several references, score each output by the best one, or by the mean over all.
            resamples: bootstrap resamples for a 95 % interval; 0 for none.
        """
        if references not in ("best", "mean"):
            raise ConfigError(f"references is {references!r}; choose best or mean")
        self.stemmer = stemmer
        self.references = references
        self.resamples = resamples

    def score(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        """See `Metric.score`."""
        check_sizes(hypotheses, references)
        values = self._values(hypotheses, references)
        precision, recall, f_measure = (
            100 * statistics.fmean(column) for column in zip(*values, strict=True)
        )
        signature, confidence = self._signature(len(references)), None
        if self.resamples:
            (sampled,) = _compare([[value[-1] for value in values]], signature, self.resamples)
            signature, confidence = sampled.signature, sampled.confidence
        return Score(
            f_measure,
            signature,
            self.name,
            len(hypotheses),
            confidence,
            {"precision": precision, "recall": recall},
        )

    def gain(self, output: str, reference: str) -> float:
        """See `Metric.gain`."""
        return 100 * self._one(self.prepared(output), self.prepared(reference))[-1]

    def prepared(self, text: str) -> str:
        """A text as it is passed to rouge-score."""
        return text

    def compare(
        self,
        systems: Sequence[Sequence[str]],
        references: Sequence[Sequence[str]],
        *,
        resamples: int = RESAMPLES,
    ) -> list[Compared]:
        """See `Metric.compare`; each sentence is scored once, and a sample is a mean."""
        for hypotheses in systems:
            check_sizes(hypotheses, references)
        values = [[value[-1] for value in self._values(hypotheses, references)] for hypotheses in systems]
        return _compare(values, self._signature(len(references)), resamples)

    def _values(
        self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]
    ) -> list[tuple[float, float, float]]:
        """Precision, recall and F-measure of each sentence, 0 to 1."""
        merged = _best if self.references == "best" else _mean
        return [
            merged([self._one(hypothesis, self.prepared(reference)) for reference in known])
            for hypothesis, *known in zip(map(self.prepared, hypotheses), *references, strict=True)
        ]

    def _one(self, hypothesis: str, reference: str) -> tuple[float, float, float]:
        """Precision, recall and F-measure, 0 to 1; both texts as `prepared` returns them."""
        precision, recall, f_measure = self._scorer.score(reference, hypothesis)[self.kind]
        return precision, recall, f_measure

    @cached_property
    def _scorer(self) -> Any:
        # Imported here, as it takes a quarter of a second, mostly for nltk.
        from rouge_score.rouge_scorer import RougeScorer

        return RougeScorer([self.kind], tokenizer=Words(self.stemmer))

    def _signature(self, references: int) -> str:
        stems = "porter" if self.stemmer else "no"
        return (
            f"{self.name}|nrefs:{references}|refs:{self.references}|case:lc|tok:unicode-1|stem:{stems}{self.settings}|"
            f"version:rouge-score-{version('rouge-score')}"
        )


class ROUGE1(ROUGE):
    """ROUGE-1 (Lin 2004): words that output and reference share."""

    kind, name = "rouge1", "ROUGE-1"


class ROUGE2(ROUGE):
    """ROUGE-2 (Lin 2004): pairs of neighbouring words that output and reference share."""

    kind, name = "rouge2", "ROUGE-2"


class ROUGEL(ROUGE):
    """ROUGE-L (Lin 2004): the longest common subsequence of words; the text is taken as one sentence."""

    kind, name = "rougeL", "ROUGE-L"


class ROUGELsum(ROUGE):
    """ROUGE-L of a summary of several sentences (Lin 2004, section 3.2): the union of what each sentence shares.

    Sentences are those of `s2s.text.sentences`: each line is one or more of them.
    """

    kind, name = "rougeLsum", "ROUGE-Lsum"
    settings = f"|sents:sentencex-{version('sentencex')}"

    def prepared(self, text: str) -> str:
        """The text with one sentence per line, as rouge-score expects."""
        return "\n".join(sentences(text))


class Words:
    """The tokenizer that is passed to rouge-score.

    Args:
        stemmer: replace English words by their stems.
    """

    def __init__(self, stemmer: bool) -> None:
        self._stem: Any = None
        if stemmer:
            from nltk.stem.porter import PorterStemmer

            self._stem = PorterStemmer().stem

    def tokenize(self, text: str) -> list[str]:
        """The words of a text that are compared."""
        if self._stem is None:
            return words(text)
        return [
            self._stem(word) if len(word) >= _STEMMED and word.isascii() else word for word in words(text)
        ]


def _best(values: Sequence[Sequence[float]]) -> Any:
    return max(values, key=lambda value: (value[-1], *value))


def _mean(values: Sequence[Sequence[float]]) -> Any:
    return tuple(statistics.fmean(column) for column in zip(*values, strict=True))


def _compare(values: Sequence[Sequence[float]], signature: str, resamples: int) -> list[Compared]:
    import numpy as np

    table = 100 * np.array(values)  # [systems, sentences]
    return paired_bootstrap(
        lambda chosen: table[:, np.asarray(chosen)].mean(axis=1).tolist(),
        table.shape[1],
        signature,
        resamples,
    )
