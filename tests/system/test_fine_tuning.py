"""Training that starts from a bundle: its weights, its tokenizers, other text."""

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

import s2s


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("first")
    (folder / "pairs.tsv").write_text("".join(f"{a} {b}\t{b} {a}\n" for a in "abcdef" for b in "ghijkl"))
    fitted = s2s.fit(
        {
            "model.embedding": {"class_path": "Lookup", "init_args": {"size": 8}},
            "model.encoder": {"class_path": "Recurrent", "init_args": {"hidden_size": 4, "cell": "GRU"}},
            "model.decoder": {"class_path": "InputFeeding", "init_args": {"hidden_size": 8, "cell": "Elman"}},
            "data.train": str(folder / "pairs.tsv"),
            "data.tokenizer": "Characters",
            **common(folder),
        }
    )
    assert fitted.bundle is not None
    return fitted.bundle


def common(folder: Path) -> dict[str, Any]:
    return {
        "run_folder": str(folder / "run"),
        "data.cache": str(folder / "cache"),
        "trainer.max_steps": 2,
        "trainer.logger": False,
    }


def test_weights_and_tokenizers_are_the_bundles(bundle: Path, tmp_path: Path) -> None:
    """At a learning rate of zero nothing moves, so what comes out is what went in; the text has new letters."""
    (tmp_path / "other.tsv").write_text("x y z a\ta z y x\nb c\tc b\n")
    fitted = s2s.fit(
        {
            "model.start_from": str(bundle),
            "model.learning_rate": 0.0,
            "data.train": str(tmp_path / "other.tsv"),
            **common(tmp_path),
        }
    )
    assert fitted.bundle is not None
    before, after = (load_file(folder / "weights.safetensors") for folder in (bundle, fitted.bundle))
    assert before.keys() == after.keys() and all(before[name].equal(after[name]) for name in before)
    configs = [json.loads((folder / "config.json").read_text()) for folder in (bundle, fitted.bundle)]
    assert configs[0]["model"] == configs[1]["model"]
    assert configs[0]["tokenizer"] == configs[1]["tokenizer"]
    texts = ["a b", "l k", ""]
    assert s2s.Translator.load(fitted.bundle).translate(texts) == s2s.Translator.load(bundle).translate(texts)


def test_it_learns_on(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "other.tsv").write_text("a b\tb a\nb c\tc b\n")
    fitted = s2s.fit(
        {"model.start_from": str(bundle), "data.train": str(tmp_path / "other.tsv"), **common(tmp_path)}
    )
    assert fitted.bundle is not None
    before, after = (load_file(folder / "weights.safetensors") for folder in (bundle, fitted.bundle))
    assert not all(before[name].equal(after[name]) for name in before)


def test_no_bundle_there(tmp_path: Path) -> None:
    (tmp_path / "other.tsv").write_text("a b\tb a\n")
    with pytest.raises(s2s.BundleError, match="nowhere"):
        s2s.fit(
            {
                "model.start_from": str(tmp_path / "nowhere"),
                "data.train": str(tmp_path / "other.tsv"),
                **common(tmp_path),
            }
        )
