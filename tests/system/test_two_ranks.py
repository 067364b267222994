"""Two processes with less text than there are processes: each is trained, validated and tested to its end."""

import subprocess
import sys
from pathlib import Path

import pytest

OPTIONS = {
    "model.embedding": "Lookup",
    "model.embedding.size": 8,
    "model.encoder.hidden_size": 4,
    "model.decoder.hidden_size": 8,
    "data.tokenizer": "Words",
    "data.batch_sentences": 2,
    "trainer.max_epochs": 1,
    "trainer.accelerator": "cpu",
    "trainer.devices": 2,
    "trainer.strategy": "ddp",
}


def s2s_on_two(folder: Path, command: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "s2s", command, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "more", [{}, {"trainer.max_steps": 1, "data.batch_sentences": 1}], ids=["epoch", "step"]
)
def test_one_sentence_for_two(tmp_path: Path, more: dict[str, int]) -> None:
    """Whether training ends with the epoch, or by its steps inside of it."""
    (tmp_path / "train.tsv").write_text("a b\tx\nb\ty z\nc c\tx x\nd a\tz\n", encoding="utf-8")
    (tmp_path / "one.tsv").write_text("a b\tx\n", encoding="utf-8")
    given = {**OPTIONS, "data.train": "train.tsv", "data.validation": "one.tsv", "run_folder": "run", **more}
    told = s2s_on_two(tmp_path, "fit", *(f"--{key}={value}" for key, value in given.items()))
    assert "bundle: run/bundle (epoch 1" in told
    assert (tmp_path / "run" / "checkpoints" / "best.ckpt").is_file()
    told = s2s_on_two(tmp_path, "test", "-c", "run/config.yaml", "--data.test=one.tsv")
    assert "BLEU  cased         0.00" in told and "sync_dist" not in told, told
