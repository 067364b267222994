"""It learns to translate: what is trained lies far above what cannot have learnt it.

A small model on the shorter sentences of the embedded corpus, half a minute each; its twin on real text is in
test_learning_real.py (`make test-real`).
"""

import random
from pathlib import Path
from typing import Any

import pytest

import s2s
from s2s.resources import locate
from s2s_plugins.metrics.bleu import BLEU

LONGEST = 14
MARGIN = 20.0
"""BLEU that must lie between a trained model and each of the others."""


def pairs(split: str) -> list[tuple[str, str]]:
    with open(locate(f"embedded:translation/{split}.tsv"), encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    return [(source, target) for source, target in rows if len(source.split()) <= LONGEST]


def write(path: Path, rows: list[tuple[str, str]]) -> str:
    path.write_text("".join(f"{source}\t{target}\n" for source, target in rows), encoding="utf-8")
    return str(path)


def train(folder: Path, rows: list[tuple[str, str]], **more: Any) -> Path:
    folder.mkdir()
    fitted = s2s.fit(
        "demo",
        **{
            "run_folder": str(folder),
            "data.train": write(folder / "train.tsv", rows),
            "data.validation": write(folder / "validation.tsv", pairs("validation")[:40]),
            "data.cache": str(folder / "cache"),
            "trainer.max_epochs": 3,
            "trainer.logger": False,
            **more,
        },
    )
    assert fitted.bundle is not None
    return fitted.bundle


def bleu(bundle: Path) -> float:
    held_out = pairs("test")[:250]
    outputs = s2s.Translator.load(bundle).translate([source for source, _ in held_out], beam=1)
    return BLEU().score(outputs, [[target for _, target in held_out]]).value


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> float:
    score = bleu(train(tmp_path_factory.mktemp("trained") / "run", pairs("train")))
    print(f"trained: {score:.1f}")
    return score


def test_above_an_untrained_model(trained: float, tmp_path: Path) -> None:
    untrained = bleu(train(tmp_path / "run", pairs("train"), **{"trainer.max_steps": 1}))
    print(f"untrained: {untrained:.1f}")
    assert trained > untrained + MARGIN


def test_above_a_model_of_shuffled_sources(trained: float, tmp_path: Path) -> None:
    rows = pairs("train")
    sources = [source for source, _ in rows]
    random.Random(3).shuffle(sources)
    shuffled = bleu(
        train(tmp_path / "run", [(s, target) for s, (_, target) in zip(sources, rows, strict=True)])
    )
    print(f"shuffled sources: {shuffled:.1f}")
    assert trained > shuffled + MARGIN


def test_above_a_model_without_attention(trained: float, tmp_path: Path) -> None:
    without = bleu(train(tmp_path / "run", pairs("train"), **{"model.decoder.attention": None}))
    print(f"without attention: {without:.1f}")
    assert trained > without + MARGIN
