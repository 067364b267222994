"""Lines of several sentences: split, translated sentence by sentence, and joined again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import fmean

from s2s.inference.translation import Translation
from s2s.inference.windows import encodable
from s2s.text.sentences import LANGUAGE, segments

_NO_SPACE_BEHIND = re.compile("[\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uff60\U00020000-\U0003ffff]$")
"""Chinese and Japanese put no space between sentences."""


class SentenceSplitter:
    """Splits lines into sentences, see `s2s.text.sentences`.

    Args:
        language: a code such as "de".
    """

    def __init__(self, language: str = LANGUAGE) -> None:
        self._language = language

    def __call__(self, line: str) -> list[str]:
        """The sentences of a line without surrounding spaces; a line with only one sentence is unchanged."""
        line = encodable(line)  # the splitter refuses lone surrogates, as tokenizers do
        parts = segments(self._language, line)
        if "".join(parts) != line:  # the splitter must not lose anything
            return [line]
        sentences = [part.strip() for part in parts if part.strip()]
        return sentences if len(sentences) > 1 else [line]


def joined(sentences: Sequence[Translation]) -> Translation:
    """Join the translations of a line's sentences; a single one is returned unchanged.

    Its score is the mean of theirs, so that it is comparable with that of an unsplit line. Tokens and
    log-probabilities are concatenated; the latter include the end token of each sentence.
    """
    if len(sentences) == 1:
        return sentences[0]
    return Translation(
        text=_text([one.text for one in sentences]),
        score=fmean(one.score for one in sentences),
        tokens=[token for one in sentences for token in one.tokens],
        log_probs=[value for one in sentences for value in one.log_probs],
        finished=all(one.finished for one in sentences),
        source_tokens=[token for one in sentences for token in one.source_tokens],
        truncated=any(one.truncated for one in sentences),
        unmet=[phrase for one in sentences for phrase in one.unmet],
        sentences=list(sentences),
    )


def _text(outputs: Sequence[str]) -> str:
    line = ""
    for output in filter(None, outputs):
        space = "" if not line or _NO_SPACE_BEHIND.search(line) else " "
        line += space + output
    return line
