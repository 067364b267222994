"""Every recipe runs: a few steps on a handful of pairs instead of its own data."""

import random
from pathlib import Path

import pytest
import yaml

import s2s
from s2s.registry import catalogue
from s2s.resources import recipes


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Sixty pairs of words and the same words in reverse order."""
    chance = random.Random(1)
    words = ["boat", "net", "sea", "old", "man", "fish", "sun", "salt", "wind", "rope"]
    lines = []
    for _ in range(60):
        sentence = [chance.choice(words) for _ in range(chance.randint(3, 9))]
        lines.append(f"{' '.join(sentence)}\t{' '.join(reversed(sentence))}\n")
    path = tmp_path_factory.mktemp("pairs") / "pairs.tsv"
    path.write_text("".join(lines), encoding="utf-8")
    return str(path)


def series_for(recipe: str, folder: Path) -> str:
    """Ten years of two columns, with the dates in the column that a recipe names."""
    date = yaml.safe_load(recipes()[recipe].read_text(encoding="utf-8"))["data"]["date"]
    rows = [f"{2001 + t // 12}-{t % 12 + 1:02d},{50 + t % 12 + 0.1 * t},{t % 7}\n" for t in range(120)]
    path = folder / "series.csv"
    path.write_text("".join([f"{date},visitors,sunshine\n", *rows]).replace(",0\n", ",1\n"), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def words(pairs: str) -> str:
    """The same words with labels determined by their first letters."""
    sentences = [line.partition("\t")[0].split() for line in Path(pairs).read_text().splitlines()]
    rows = ["".join(f"{word}\tB-{word[0].upper()}\n" for word in sentence) for sentence in sentences]
    path = Path(pairs).with_name("words.conll")
    path.write_text("\n".join(rows), encoding="utf-8")
    return str(path)


@pytest.mark.filterwarnings("ignore:the text gives .* pieces:UserWarning")
@pytest.mark.parametrize("name", sorted(recipes()))
def test_a_recipe_trains_and_leaves_a_bundle_that_answers(
    name: str, pairs: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    task = yaml.safe_load(recipes()[name].read_text(encoding="utf-8")).get("task", "Seq2Seq")
    text = series_for(name, tmp_path) if task == "Forecast" else {"SequenceLabelling": words}.get(task, pairs)
    corpora = {f"data.{split}": text for split in ("train", "validation", "test")}
    limits = {"trainer.max_epochs": 1, "trainer.limit_train_batches": 2, "trainer.limit_val_batches": 1}
    fitted = s2s.fit(name, **corpora, **limits)
    assert fitted.run_folder == Path("runs") / name
    assert fitted.bundle is not None
    answers = catalogue().load("task", task).answers(fitted.bundle, ["boat net", "", "sea"])
    assert len(answers) == 3
    assert answers[1] == "" or task == "LanguageModel"  # which also continues an empty text
