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
    """Where a sentence ends, see `s2s.text.sentences`.

    Args:
        language: a code such as "de".
    """

    def __init__(self, language: str = LANGUAGE) -> None:
        self._language = language

    def __call__(self, line: str) -> list[str]:
        """The sentences of a line without the spaces around them; a line that is no more than one, as it is."""
        line = encodable(line)  # the splitter refuses half of a surrogate pair, as tokenizers do
        parts = segments(self._language, line)
        if "".join(parts) != line:  # nothing may be lost, whatever the splitter thinks of it
            return [line]
        sentences = [part.strip() for part in parts if part.strip()]
        return sentences if len(sentences) > 1 else [line]


def joined(sentences: Sequence[Translation]) -> Translation:
    """The translation of a line from those of its sentences; of one, that one.

    Its score is the mean of theirs, so that it may be compared with that of a line that was not split. Tokens and
    log-probabilities stand one sentence after another, the end of each among the latter.
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
