"""Write the embedded data: English to Orvish (an invented language), names in sentences, notices to headlines and to
their kinds, and the series of a museum.

Run as `python data/generate.py [FOLDER]`. Only the standard library is needed. Two runs give the same bytes,
on any version of Python: of the random module only `Random.random` is used, whose sequence is guaranteed.
The grammar of Orvish is told in README.md; its dictionary, translation/lexicon.tsv, is read and not written.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from chance import Chance, Names
from labels import Labelled, labelled
from notices import Reporter
from orvish import read_lexicon
from sentences import Grammar
from series import museum

HERE = Path(__file__).resolve().parent
SEED = 1887
SPLITS = ("train", "validation", "test")
UNSEEN_NAMES = 0.45  # in validation and test, the share of names drawn from the reserved pool
TRANSLATION_SIZES = {"train": 20_000, "validation": 500, "test": 1_000}
SUMMARIZATION_SIZES = {"train": 10_000, "validation": 500, "test": 500}
CLASSIFICATION_SIZES = {"train": 800, "validation": 200, "test": 200}
LABELLING_SIZES = {"train": 1_500, "validation": 200, "test": 300}
LENGTHS = ((3, 6, 0.15), (7, 10, 0.27), (11, 14, 0.24), (15, 20, 0.19), (21, 28, 0.10), (29, 40, 0.05))

Pair = tuple[str, str]


def distinct(
    draw: Callable[[], Pair],
    accepts: Callable[[Pair], bool],
    size: int,
    seen: tuple[set[str], set[str]],
) -> list[Pair]:
    """Draw pairs until `size` of them are accepted and new on both sides; `seen` is kept up to date."""
    pairs: list[Pair] = []
    while len(pairs) < size:
        source, target = draw()
        if source not in seen[0] and target not in seen[1] and accepts((source, target)):
            seen[0].add(source)
            seen[1].add(target)
            pairs.append((source, target))
    return pairs


def translation() -> tuple[dict[str, list[Pair]], Names]:
    """Draw the translation corpus and its names; each split has the same distribution of English lengths."""
    chance = Chance(SEED)
    lexicon = read_lexicon(HERE / "translation" / "lexicon.tsv")
    words = [noun.english for nouns in lexicon.nouns.values() for noun in nouns]
    names = Names(chance, taken=words)
    grammar = Grammar(lexicon, names, chance)
    seen: tuple[set[str], set[str]] = set(), set()
    corpus = {}
    for split in ("test", "validation", "train"):  # the short sentences are few: testing chooses first
        names.unseen_share = 0.0 if split == "train" else UNSEEN_NAMES
        pairs = []
        for position, (shortest, longest, share) in enumerate(LENGTHS):
            middle = position / (len(LENGTHS) - 1)

            def draw(middle: float = middle) -> Pair:
                return grammar.sentence(
                    min(1.0, max(0.0, middle + 0.4 * (chance.between(0, 100) / 100 - 0.5)))
                )

            def accepts(pair: Pair, shortest: int = shortest, longest: int = longest) -> bool:
                return shortest <= len(pair[0].split()) <= longest and len(pair[1].split()) <= 40

            pairs += distinct(draw, accepts, round(share * TRANSLATION_SIZES[split]), seen)
        corpus[split] = chance.shuffled(pairs)
    return corpus, names


def labelling(corpus: dict[str, list[Pair]], names: Names) -> dict[str, list[Labelled]]:
    """Label the first English sentences of the translation corpus that have names."""
    kinds = names.kinds()
    found = {}
    for split, size in LABELLING_SIZES.items():
        sentences = [labelled(english, kinds) for english, _ in corpus[split]]
        found[split] = [one for one in sentences if any(label != "O" for _, label in one)][:size]
    return found


def summarization() -> dict[str, list[Pair]]:
    """Draw the summarization corpus."""
    chance = Chance(SEED + 1)
    names = Names(chance)
    reporter = Reporter(names, chance)
    seen: tuple[set[str], set[str]] = set(), set()
    corpus = {}
    for split in ("test", "validation", "train"):
        names.unseen_share = 0.0 if split == "train" else UNSEEN_NAMES

        def accepts(pair: Pair) -> bool:
            return 15 <= len(pair[0].split()) <= 60 and 4 <= len(pair[1].split()) <= 10

        corpus[split] = distinct(reporter.notice, accepts, SUMMARIZATION_SIZES[split], seen)
    return corpus


def classification() -> dict[str, list[Pair]]:
    """Draw the classification corpus: notices and their kinds."""
    chance = Chance(SEED + 2)
    names = Names(chance)
    reporter = Reporter(names, chance)
    seen: set[str] = set()
    corpus = {}
    for split in ("test", "validation", "train"):
        names.unseen_share = 0.0 if split == "train" else UNSEEN_NAMES
        pairs: list[Pair] = []
        while len(pairs) < CLASSIFICATION_SIZES[split]:
            notice, kind = reporter.classified()
            if notice not in seen and len(notice.split()) <= 60:
                seen.add(notice)
                pairs.append((notice, kind))
        corpus[split] = pairs
    return corpus


def main(folder: Path) -> None:
    """Write all corpora and the series below a folder."""
    translated, names = translation()
    for name, corpus in (
        ("translation", translated),
        ("summarization", summarization()),
        ("classification", classification()),
    ):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for split in SPLITS:
            lines = "".join(f"{source}\t{target}\n" for source, target in corpus[split])
            (folder / name / f"{split}.tsv").write_bytes(lines.encode("utf-8"))
    (folder / "series").mkdir(parents=True, exist_ok=True)
    rows = "".join(f"{month},{visitors},{sunshine}\n" for month, visitors, sunshine in museum(SEED + 2))
    (folder / "series" / "museum.csv").write_bytes(f"month,visitors,sunshine\n{rows}".encode())
    (folder / "labelling").mkdir(parents=True, exist_ok=True)
    for split, sentences in labelling(translated, names).items():
        text = "".join("".join(f"{word}\t{label}\n" for word, label in one) + "\n" for one in sentences)
        (folder / "labelling" / f"{split}.conll").write_bytes(text.encode("utf-8"))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
