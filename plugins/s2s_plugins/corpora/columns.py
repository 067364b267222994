"""Labelled words from files with a word and its label in each line."""

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from s2s.errors import ConfigError
from s2s.text.annotated import AnnotatedCorpus, ColumnsLayout
from s2s.text.corpus import CorpusSpec, plain_suffix


class Columns(AnnotatedCorpus):
    """A word and its label in each line, an empty line after each sentence: source is the words, target the labels.

    Columns are separated by a tab, in lines that have one, or else by a space; `source_key` and `target_key` (default 1
    and 2) are their numbers. A space within a word is read as U+2423, and the number of such words is reported.
    """

    def __init__(self, spec: CorpusSpec) -> None:
        try:
            layout = ColumnsLayout(spec.source_key, spec.target_key)
        except ConfigError as error:
            raise ConfigError(f"{spec.path}: {error}") from error
        super().__init__(spec, layout)

    @classmethod
    def reads(cls, spec: CorpusSpec) -> bool:
        """One file named .conll, .bio or .iob, also .gz."""
        return spec.path is not None and plain_suffix(spec.path) in (".conll", ".bio", ".iob")

    @classmethod
    def write_sample(cls, folder: Path, pairs: Sequence[tuple[str, str]]) -> CorpusSpec:
        """For the kit."""
        text = ""
        for source, target in pairs:
            both = zip_longest(source.split(" "), target.split(" "), fillvalue="")
            text += "".join(f"{word}\t{label}\n" for word, label in both) + "\n"
        (folder / "pairs.conll").write_bytes(text.encode())
        return CorpusSpec(path=str(folder / "pairs.conll"))
