"""Logistic regression on word and letter counts, the baseline of nsmc.py; runs in a separate environment.

    python benchmarks/peers/bag_of_words.py TRAIN DEV TEST RESULT

Files have lines of label TAB text, plain or gzip. Every bag below is tried with every penalty; bag and penalty are
selected on DEV, also for each family, and TEST is used once for each selection. RESULT gets all results as JSON.
"""

import gzip
import json
import sys
import time
import warnings
from typing import Any

import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion

WORD = r"\S+"  # keeps short words, which sklearn's default pattern drops
PENALTIES = (0.3, 1.0, 3.0, 10.0)
"""sklearn's C: the inverse of the L2 penalty."""


def words(longest: int, **more: Any) -> TfidfVectorizer:
    return TfidfVectorizer(token_pattern=WORD, lowercase=False, ngram_range=(1, longest), **more)


def letters(longest: int) -> TfidfVectorizer:
    return TfidfVectorizer(
        analyzer="char_wb", lowercase=False, ngram_range=(1, longest), sublinear_tf=True, min_df=2
    )


BAGS: dict[str, dict[str, Any]] = {
    "words": {
        "counts of words": words(1, use_idf=False, norm=None),
        "which words": words(1, use_idf=False, norm=None, binary=True),
        "tf-idf of words": words(1, sublinear_tf=True),
    },
    "word n-grams": {"tf-idf of 1 and 2 words": words(2, sublinear_tf=True)},
    "letter n-grams": {
        "tf-idf of 1 to 3 letters": letters(3),
        "tf-idf of 1 to 5 letters": letters(5),
        "tf-idf of 1 to 5 letters, and of 1 and 2 words": FeatureUnion(
            [("letters", letters(5)), ("words", words(2, sublinear_tf=True))]
        ),
    },
}


def read(path: str) -> tuple[list[str], list[str]]:
    """Labels and texts."""
    opened = gzip.open if path.endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8", newline="\n") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    return [row[0] for row in rows], [row[1] for row in rows]


def main() -> None:
    warnings.simplefilter("error", ConvergenceWarning)
    train, dev, test = (read(path) for path in sys.argv[1:4])
    tried, best = [], {}
    for family, bags in BAGS.items():
        for name, bag in bags.items():
            began = time.perf_counter()
            counts = bag.fit_transform(train[1])
            dev_counts, test_counts = bag.transform(dev[1]), bag.transform(test[1])
            for penalty in PENALTIES:
                model = LogisticRegression(C=penalty, max_iter=5000).fit(counts, train[0])
                row = {"family": family, "bag": name, "C": penalty, "features": counts.shape[1]}
                row["dev_accuracy"] = model.score(dev_counts, dev[0])
                row["iterations"] = int(model.n_iter_[0])
                tried.append(row)
                if row["dev_accuracy"] > best.get(family, ({"dev_accuracy": 0},))[0]["dev_accuracy"]:
                    best[family] = (row, model, test_counts)
            print(name, f"{time.perf_counter() - began:.0f} s", tried[-len(PENALTIES) :], flush=True)
    chosen = {
        family: {**row, "test_accuracy": model.score(counts, test[0])}
        for family, (row, model, counts) in best.items()
    }
    result = {"sklearn": sklearn.__version__, "chosen": chosen, "tried": tried}
    with open(sys.argv[4], "w", encoding="utf-8") as file:
        json.dump(result, file)


if __name__ == "__main__":
    main()
