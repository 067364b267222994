"""It learns to translate: what is trained lies far above what cannot have learnt it.

A small model on the short sentences of the embedded corpus, at most two minutes in all; its twin on real text is in
test_learning_real.py (`make test-real`).
"""

import random
from pathlib import Path
from typing import Any

import s2s
from s2s.resources import locate
from s2s_plugins.metrics.bleu import BLEU

LONGEST = 9
"""Words of a source sentence: short ones are many, and quickly learnt."""

MARGIN = 20.0
"""BLEU that must lie between a trained model and each of the others."""


def pairs(split: str) -> list[tuple[str, str]]:
    with open(locate(f"embedded:translation/{split}.tsv"), encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    return [(source, target) for source, target in rows if len(source.split()) <= LONGEST]


def train(folder: Path, rows: list[tuple[str, str]], **more: Any) -> float:
    """BLEU on held-out sentences after a short training on `rows`."""
    folder.mkdir()
    (folder / "train.tsv").write_text(
        "".join(f"{source}\t{target}\n" for source, target in rows), encoding="utf-8"
    )
    size = 160
    fitted = s2s.fit(
        {
            "model.embedding": {"class_path": "Lookup", "init_args": {"size": size}},
            "model.encoder": {
                "class_path": "Recurrent",
                "init_args": {"hidden_size": size // 2, "dropout": 0.1},
            },
            "model.decoder": {"class_path": "Recurrent", "init_args": {"hidden_size": size, "dropout": 0.1}},
            "model.learning_rate": 0.006,
            "model.warmup_steps": 60,
            "model.schedule": "cosine",
            "data.train": str(folder / "train.tsv"),
            "data.tokenizer": {"class_path": "SentencePiece", "init_args": {"vocabulary_size": 1500}},
            "data.batch_tokens": None,
            "data.batch_sentences": 32,
            "data.cache": str(folder / "cache"),
            "trainer.max_epochs": 3,
            "trainer.logger": False,
            "run_folder": str(folder),
            **more,
        }
    )
    assert fitted.bundle is not None
    held_out = pairs("test")[:250]
    outputs = s2s.Translator.load(fitted.bundle).translate([source for source, _ in held_out], beam=1)
    return BLEU().score(outputs, [[target for _, target in held_out]]).value


def test_far_above_what_cannot_have_learnt(tmp_path: Path) -> None:
    rows = pairs("train")
    sources = [source for source, _ in rows]
    random.Random(3).shuffle(sources)
    trained = train(tmp_path / "trained", rows)
    untrained = train(tmp_path / "untrained", rows, **{"trainer.max_steps": 1})
    shuffled = train(
        tmp_path / "shuffled", [(s, target) for s, (_, target) in zip(sources, rows, strict=True)]
    )
    without = train(tmp_path / "without", rows, **{"model.decoder.attention": None})
    print(
        f"trained {trained:.1f}, untrained {untrained:.1f}, shuffled {shuffled:.1f}, no attention {without:.1f}"
    )
    assert trained > max(untrained, shuffled, without) + MARGIN
