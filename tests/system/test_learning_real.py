"""The twin of test_learning.py on real text: `make test-real`, at most a quarter of an hour on two cores."""

import random
from pathlib import Path
from typing import Any

import pytest

import s2s
from s2s.evaluation.lines import read_lines
from s2s_plugins.metrics.bleu import BLEU

pytestmark = pytest.mark.real
MARGIN = 20.0
"""BLEU that must lie between a trained model and each of the others."""


@pytest.fixture(scope="module")
def multi30k(shared_data: Path) -> Path:
    return shared_data / "multi30k"


SMALL: dict[str, Any] = {
    "model.embedding.size": 128,
    "model.embedding.dropout": 0.1,
    "model.embedding.token_dropout": 0.0,
    "model.encoder.hidden_size": 64,
    "model.encoder.dropout": 0.1,
    "model.decoder.hidden_size": 128,
    "model.decoder.dropout": 0.1,
    "model.learning_rate": 0.003,
    "model.warmup_steps": 200,
    "model.average_decay": 0.99,
    "trainer.max_epochs": 7,
    "trainer.check_val_every_n_epoch": 7,
}
"""What learns most in three minutes. Into French: a model without attention, whose first words are good guesses into
any language, comes as far as 13 BLEU into German, where one with attention stands at 32 after ten epochs."""


def train(folder: Path, multi30k: Path, **more: Any) -> float:
    """BLEU, greedy, on the validation split."""
    fitted = s2s.fit(
        "multi30k-en-de",
        **{
            "run_folder": str(folder),
            "data.train": f"{multi30k}/train.en.gz,{multi30k}/train.fr.gz",
            "data.validation": f"{multi30k}/val.en.gz,{multi30k}/val.fr.gz",
            "data.test": None,
            "data.cache": str(folder / "cache"),
            **SMALL,
            **more,
        },
    )
    assert fitted.bundle is not None
    sources, references = (read_lines(str(multi30k / f"val.{language}.gz")) for language in ("en", "fr"))
    return BLEU().score(s2s.Translator.load(fitted.bundle).translate(sources, beam=1), [references]).value


def test_far_above_what_cannot_have_learnt(multi30k: Path, tmp_path: Path) -> None:
    trained = train(tmp_path / "trained", multi30k)
    untrained = train(tmp_path / "untrained", multi30k, **{"trainer.max_steps": 1})
    lines = read_lines(str(multi30k / "train.en.gz"))
    random.Random(3).shuffle(lines)
    (tmp_path / "shuffled.en").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    pairs = f"{tmp_path}/shuffled.en,{multi30k}/train.fr.gz"
    shuffled = train(tmp_path / "shuffled", multi30k, **{"data.train": pairs})
    without = train(tmp_path / "without", multi30k, **{"model.decoder.attention": None})
    print(
        f"trained {trained:.1f}, untrained {untrained:.1f}, shuffled {shuffled:.1f}, no attention {without:.1f}"
    )
    assert trained > max(untrained, shuffled, without) + MARGIN
