"""Scores without learning to translate or to summarize; `python data/baselines.py` prints them, signed.

Translation: word for word with a dictionary learnt by IBM model 1 (Brown et al. 1993), and the training
target of the most similar training source. Summarization: the first words of the notice, and again the
nearest neighbour. Needs NumPy and sacrebleu.
"""

import math
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

HERE = Path(__file__).resolve().parent
IBM_ITERATIONS = 8
LEAD_WORDS = 8  # the mean length of a headline, rounded up


def read_pairs(path: Path) -> tuple[list[str], list[str]]:
    """Read a TSV file as its sources and its targets."""
    sources, targets = [], []
    for line in path.read_text(encoding="utf-8").splitlines():
        source, target = line.split("\t")
        sources.append(source)
        targets.append(target)
    return sources, targets


def words(sentence: str) -> list[str]:
    """Split into lower-cased words and marks; figures and hyphened words stay whole."""
    return re.findall(r"\w+(?:[-'.,]\w+)*|[^\w\s]", sentence.lower())


def joined(tokens: list[str]) -> str:
    """Write words as a sentence."""
    text = re.sub(r" ([,.?!])", r"\1", " ".join(tokens))
    return text[:1].upper() + text[1:]


def learn_dictionary(sources: list[str], targets: list[str]) -> dict[str, str]:
    """Learn the most likely target word of every source word by expectation maximization of IBM model 1."""
    source_ids: dict[str, int] = {}
    target_ids: dict[str, int] = {}
    left: list[int] = []
    right: list[int] = []
    cells: list[int] = []  # a running number per target word: its source words share it out
    cell = 0
    for source, target in zip(sources, targets, strict=True):
        ids = [source_ids.setdefault(word, len(source_ids)) for word in words(source)]
        for word in words(target):
            left.extend(ids)
            right.extend([target_ids.setdefault(word, len(target_ids))] * len(ids))
            cells.extend([cell] * len(ids))
            cell += 1
    source_index, occurrence = np.array(left), np.array(cells)
    pairs, pair_of = np.unique(source_index * len(target_ids) + np.array(right), return_inverse=True)
    pair_source, pair_target = np.divmod(pairs, len(target_ids))
    probability = np.ones(len(pairs))
    for _ in range(IBM_ITERATIONS):
        share = probability[pair_of]
        share /= np.bincount(occurrence, share, minlength=cell)[occurrence]
        count = np.bincount(pair_of, share, minlength=len(pairs))
        probability = count / np.bincount(pair_source, count)[pair_source]
    best: dict[int, tuple[float, int]] = {}
    for source_word, target_word, value in zip(
        pair_source.tolist(), pair_target.tolist(), probability.tolist(), strict=True
    ):
        if value > best.get(source_word, (0.0, 0))[0]:
            best[source_word] = value, target_word
    source_words, target_words = list(source_ids), list(target_ids)
    return {source_words[index]: target_words[target] for index, (_, target) in best.items()}


def word_for_word(train: tuple[list[str], list[str]], sources: list[str]) -> list[str]:
    """Translate every word by itself in the order of the source; an unknown word is copied, capitals kept."""
    dictionary = learn_dictionary(*train)
    result = []
    for source in sources:
        spelling = {word.lower(): word for word in re.findall(r"\w+", source)}
        tokens = []
        for position, word in enumerate(words(source)):
            target = dictionary.get(word, word)
            is_name = target == word and position > 0
            tokens.append(spelling.get(word, word) if is_name else target)
        result.append(joined(tokens))
    return result


def nearest_neighbour(train: tuple[list[str], list[str]], sources: list[str]) -> list[str]:
    """Return the target of the nearest training source: cosine of words weighted by inverse frequency."""
    documents = [Counter(words(source)) for source in train[0]]
    frequency = Counter(word for document in documents for word in document)
    weight = {word: math.log(len(documents) / count) for word, count in frequency.items()}
    postings: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for index, document in enumerate(documents):
        vector = {word: count * weight[word] for word, count in document.items()}
        norm = math.sqrt(sum(value * value for value in vector.values())) or 1.0
        for word, value in vector.items():
            postings[word].append((index, value / norm))
    arrays = {
        word: (np.array([index for index, _ in entries]), np.array([value for _, value in entries]))
        for word, entries in postings.items()
    }
    result = []
    for source in sources:
        scores = np.zeros(len(documents))
        for word, count in Counter(words(source)).items():
            if word in arrays:
                indices, values = arrays[word]
                scores[indices] += count * weight[word] * values
        result.append(train[1][int(scores.argmax())])
    return result


def lead(sources: list[str], count: int) -> list[str]:
    """Return the first words of every notice."""
    return [" ".join(source.split()[:count]) for source in sources]


def bleu(hypotheses: list[str], references: list[str]) -> tuple[float, str]:
    """Score with sacreBLEU: BLEU (13a, cased) and its signature."""
    metric = BLEU()
    score = metric.corpus_score(hypotheses, [references]).score
    return score, str(metric.get_signature())


def main() -> None:
    """Score the test splits."""
    train, (sources, references) = (
        read_pairs(HERE / "translation" / f"{name}.tsv") for name in ("train", "test")
    )
    notices, headlines = read_pairs(HERE / "summarization" / "test.tsv")
    news_train = read_pairs(HERE / "summarization" / "train.tsv")
    for name, hypotheses, gold in (
        ("translation, word for word", word_for_word(train, sources), references),
        ("translation, nearest neighbour", nearest_neighbour(train, sources), references),
        ("translation, source copied", sources, references),
        (f"summarization, first {LEAD_WORDS} words", lead(notices, LEAD_WORDS), headlines),
        ("summarization, nearest neighbour", nearest_neighbour(news_train, notices), headlines),
    ):
        score, signature = bleu(hypotheses, gold)
        metric = CHRF()
        chrf = metric.corpus_score(hypotheses, [gold]).score
        sys.stdout.write(
            f"{name}: BLEU {score:.1f} ({signature}), chrF {chrf:.1f} ({metric.get_signature()})\n"
        )


if __name__ == "__main__":
    main()
