"""A model that was told lengths in training obeys a wish; one that was not cannot."""

import random
from pathlib import Path
from statistics import fmean

import s2s
from s2s.text.words import words

LETTERS = "abcdefgh"


def test_a_wanted_length_is_obeyed(tmp_path: Path) -> None:
    """Summaries are the first so many words of a text, and nothing else in it says how many."""
    draw = random.Random(1)
    lines = []
    for _ in range(3000):
        text = draw.choices(LETTERS, k=8)
        lines.append(f"{' '.join(text)}\t{' '.join(text[: draw.randint(1, 6)])}\n")
    (tmp_path / "train.tsv").write_text("".join(lines[100:]))
    (tmp_path / "validation.tsv").write_text("".join(lines[:100]))
    train = str(tmp_path / "train.tsv")
    fitted = s2s.fit(
        "demo-summarization",
        **{
            "run_folder": str(tmp_path / "run"),
            "data.cache": str(tmp_path / "cache"),
            "data.train": [{"path": train, "weight": 0.25}, {"path": train, "tell_length": True}],
            "data.validation": str(tmp_path / "validation.tsv"),
            "data.test": None,
            "data.tokenizer": "Words",
            "data.batch_tokens": 1024,
            "model.embedding.size": 32,
            "model.encoder.hidden_size": 32,
            "model.decoder.hidden_size": 64,
            "model.learning_rate": 0.01,
            "model.warmup_steps": 30,
            "trainer.max_epochs": 8,
            "trainer.check_val_every_n_epoch": 8,
        },
    )
    assert fitted.bundle is not None
    summarizer = s2s.Summarizer.load(fitted.bundle)
    sources = [line.split("\t")[0] for line in lines[:100]]
    wishes = (1, 3, 5, 6)
    obeyed = fmean(
        len(words(summary)) == wanted
        for wanted in wishes
        for summary in summarizer.summarize(sources, words=wanted)
    )
    unasked = [len(words(summary)) for summary in summarizer.summarize(sources)]
    by_chance = fmean(length == wanted for wanted in wishes for length in unasked)
    print(f"obeyed {obeyed:.2f}, by chance {by_chance:.2f}")
    assert obeyed > 0.85
    assert by_chance < 0.5
