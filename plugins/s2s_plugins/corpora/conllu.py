"""Labelled words from CoNLL-U files, the format of Universal Dependencies."""

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from s2s.text.annotated import AnnotatedCorpus, ConlluLayout
from s2s.text.corpus import CorpusSpec, plain_suffix


class CoNLLU(AnnotatedCorpus):
    """Sentences in CoNLL-U: source is the words, target the labels, UPOS unless `target_key` names another column.

    Comments, ranges of words (1-2) and empty nodes (1.1) are left out. A space within a word is read as U+2423, and the
    number of such words is reported.
    """

    def __init__(self, spec: CorpusSpec) -> None:
        super().__init__(spec, ConlluLayout(spec.target_key))

    @classmethod
    def reads(cls, spec: CorpusSpec) -> bool:
        """One file named .conllu or .conllu.gz."""
        return spec.path is not None and plain_suffix(spec.path) == ".conllu"

    @classmethod
    def write_sample(cls, folder: Path, pairs: Sequence[tuple[str, str]]) -> CorpusSpec:
        """For the kit."""
        text = ""
        for source, target in pairs:
            both = zip_longest(source.split(" "), target.split(" "), fillvalue="")
            text += "".join(
                f"{number}\t{word}\t_\t{label}\t_\t_\t_\t_\t_\t_\n"
                for number, (word, label) in enumerate(both, start=1)
            )
            text += "\n"
        (folder / "pairs.conllu").write_bytes(text.encode())
        return CorpusSpec(path=str(folder / "pairs.conllu"))
