"""Training and inference on an accelerator, emulated: no tensor stays on the CPU, and the numbers are the CPU's."""

import csv
from pathlib import Path
from typing import Any

import pytest

import s2s
from s2s.inference.translation import Translation
from s2s.testing import emulated_accelerator
from tests.references.emulated_training import emulated_training
from tests.references.tiny import sentences, tiny_bundle
from tests.references.tiny_classifier import tiny_classifier
from tests.references.tiny_labeller import WORDS, tiny_labeller
from tests.references.tiny_language_model import tiny_language_model

TEXTS = [*sentences(9), ""]


@pytest.mark.parametrize(
    ("decoder", "head", "options"),
    [
        ("InputFeeding", "Softmax", {}),
        ("InputFeeding", "PointerGenerator", {"search": "Greedy"}),
        ("Recurrent", "PointerGenerator", {}),
        ("Recurrent", "Softmax", {"search": "Greedy"}),
        ("Recurrent", "Softmax", {"search": "Sampling"}),
        ("Recurrent", "Softmax", {"banned": ["a b"], "phrases": ["cd"], "min_tokens": 5}),
    ],
)
def test_translations(tmp_path: Path, decoder: str, head: str, options: dict[str, Any]) -> None:
    bundle = tiny_bundle(tmp_path / "bundle", decoder=decoder, head=head, tie=decoder == "InputFeeding")
    options = {"min_tokens": 4} | options
    expected = s2s.Translator.load(bundle).translate(TEXTS, results=True, **options)
    with emulated_accelerator() as device:
        found = s2s.Translator.load(bundle, device=str(device)).translate(TEXTS, results=True, **options)
    expect_same(found, expected)
    assert len({one.text for one in found}) > 3


def expect_same(found: list[Translation], expected: list[Translation]) -> None:
    """The CPU's products are packed, which changes last bits."""
    assert [one.text for one in found] == [one.text for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.log_probs == pytest.approx(other.log_probs, abs=1e-4)


def test_ensembles(tmp_path: Path) -> None:
    first, second = (tiny_bundle(tmp_path / str(seed), seed=seed) for seed in (0, 1))
    expected = s2s.Translator.load(first, models=[second]).translate(TEXTS, results=True)
    with emulated_accelerator() as device:
        found = s2s.Translator.load(first, str(device), models=[second]).translate(TEXTS, results=True)
    expect_same(found, expected)


def test_other_tasks(tmp_path: Path) -> None:
    classifier, language_model = tiny_classifier(tmp_path / "c"), tiny_language_model(tmp_path / "g")
    labellers = [tiny_labeller(tmp_path / f"l{crf}", crf=crf) for crf in (False, True)]

    def results(device: str) -> list[Any]:
        generator = s2s.Generator.load(language_model, device)
        return [
            s2s.Classifier.load(classifier, device).classify(TEXTS),
            *(s2s.Labeller.load(bundle, device).label(WORDS) for bundle in labellers),
            generator.generate("the", count=3, max_tokens=9, seed=1),
            [round(one.log_prob, 3) for one in generator.score(["the old sea", "calm"])],
        ]

    expected = results("cpu")
    with emulated_accelerator() as device:
        found = results(str(device))
    assert expected == found


TRAINED: dict[str, dict[str, Any]] = {
    "input feeding": {
        "model.decoder": "InputFeeding",
        "model.tie_head": True,
        "model.share_embeddings": True,
    },
    "copies": {
        "model.decoder": {"class_path": "Recurrent", "init_args": {"attention": "Coverage"}},
        "model.head": "PointerGenerator",
        "trainer.accumulate_grad_batches": 2,
        "trainer.gradient_clip_algorithm": "value",
    },
}


@pytest.mark.parametrize("model", TRAINED)
def test_training(tmp_path: Path, model: str) -> None:
    """With validations, averaged weights, and a bundle that the CPU can use."""
    texts = sentences(12)
    for name, some in (("train", texts), ("validation", texts[:3])):
        (tmp_path / f"{name}.tsv").write_text("".join(f"{text}\t{text[::-1]}\n" for text in some))
    options = {
        "model.embedding": {"class_path": "Lookup", "init_args": {"size": 8}},
        "model.encoder": {"class_path": "Recurrent", "init_args": {"hidden_size": 8}},
        **TRAINED[model],
        "data.train": str(tmp_path / "train.tsv"),
        "data.validation": str(tmp_path / "validation.tsv"),
        "data.tokenizer": "Characters",
        "data.batch_sentences": 4,
        "data.cache": str(tmp_path / "cache"),
        "model.max_output_tokens": 4,
        "trainer.max_epochs": 3,
        "trainer.precision": "32-true",
    }

    def losses(name: str, **others: Any) -> list[float]:
        folder = tmp_path / name
        s2s.fit({**options, **others, "run_folder": str(folder)})
        s2s.Translator.load(folder / "bundle").translate(texts[:2])
        rows = csv.DictReader((folder / "metrics.csv").read_text().splitlines())
        return [float(row[key]) for row in rows for key in ("train_loss", "val_loss") if row.get(key)]

    expected = losses("cpu", **{"trainer.accelerator": "cpu"})
    with emulated_training():
        found = losses("there", **{"trainer.strategy": "emulated"})
    assert found == pytest.approx(expected, rel=1e-4)
    assert len(found) > 2
