"""Language models from text to answer: the beginner's case, and a stream that is resumed in the middle of an epoch."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning.callbacks import Checkpoint

import s2s
from s2s.nn import leaves

SENTENCES = {
    "I like": "dogs",
    "I love": "coffee",
    "I hate": "milk",
    "you like": "cats",
    "you love": "milk",
    "you hate": "coffee",
}
"""The word after two decides nothing by itself: only both words before it together do."""


def test_the_third_word_from_two(tmp_path: Path) -> None:
    """The beginner's first language model: six sentences of three words, learnt by heart."""
    (tmp_path / "sentences.txt").write_text("".join(f"{two} {third}\n" for two, third in SENTENCES.items()))
    fitted = s2s.fit(
        {
            "task": "LanguageModel",
            "model.embedding.size": 8,
            "model.decoder": {"class_path": "Recurrent", "init_args": {"cell": "Elman", "hidden_size": 16}},
            "model.learning_rate": 0.05,
            "model.warmup_steps": 1,
            "model.schedule": "constant",
            "data.train": str(tmp_path / "sentences.txt"),
            "data.tokenizer": "Words",
            "data.batch_sentences": 6,
            "data.cache": str(tmp_path / "cache"),
            "trainer.max_epochs": 150,
            "trainer.logger": False,
            "run_folder": str(tmp_path / "run"),
        }
    )
    generator = s2s.Generator.load(str(fitted.bundle))
    for two, third in SENTENCES.items():
        assert generator.generate(two, search="Greedy") == f"{two} {third}"
        (word, probability), *_ = generator.following(two)
        assert word == third and probability > 0.9
    # six sentences, equally probable: nobody can do better than log 6 nats for each
    nll = -sum(
        one.log_prob for one in generator.score([f"{two} {third}" for two, third in SENTENCES.items()])
    )
    assert nll / 6 == pytest.approx(torch.log(torch.tensor(6.0)).item(), abs=0.2)


class Recorder(Checkpoint):
    """Keeps weights and the carried state after each step; leaves the folder that a kill after some would."""

    def __init__(self, folder: Path, save_after: tuple[int, ...] = ()) -> None:
        self.folder = folder
        self.save_after = save_after
        self.after: dict[int, list[torch.Tensor]] = {}

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if (batch_idx + 1) % trainer.accumulate_grad_batches and not trainer.is_last_batch:
            return  # the gradients of half a step are in no checkpoint
        weights = [value.detach().clone() for value in pl_module.parameters()]
        self.after[trainer.global_step] = [
            *weights,
            *(leaf.clone() for leaf in leaves(pl_module.carried[True])),
        ]
        if trainer.global_step in self.save_after:
            killed = self.folder / f"killed-{trainer.global_step}"
            trainer.save_checkpoint(killed / "checkpoints" / "last.ckpt", weights_only=False)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    chance = random.Random(3)
    folder = tmp_path_factory.mktemp("corpus")
    texts = [" ".join(chance.choice("abcdefgh") for _ in range(chance.randint(1, 9))) for _ in range(60)]
    (folder / "texts.txt").write_text("".join(f"{text}\n" for text in texts))
    return folder


def train(corpus: Path, recorder: Recorder, **more: Any) -> Recorder:
    s2s.fit(
        {
            "task": "LanguageModel",
            "model.embedding": {"class_path": "Lookup", "init_args": {"size": 6, "dropout": 0.2}},
            "model.decoder": {
                "class_path": "Recurrent",
                "init_args": {"hidden_size": 8, "layers": 2, "dropout": 0.3, "variational": True},
            },
            "model.warmup_steps": 3,
            "data.train": str(corpus / "texts.txt"),
            "data.validation": str(corpus / "texts.txt"),
            "data.tokenizer": "Words",
            "data.segment_tokens": 9,
            "data.vary_segments": True,
            "data.batch_sentences": 4,
            "data.cache": str(corpus / "cache"),
            "trainer.max_epochs": 2,
            "trainer.logger": False,
            "run_folder": str(recorder.folder),
            **more,
        },
        callbacks=[recorder],
    )
    return recorder


@pytest.mark.parametrize("options", [{}, {"data.num_workers": 1, "trainer.accumulate_grad_batches": 2}])
def test_a_stream_goes_on_in_the_middle_of_an_epoch(
    corpus: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    stops = (2, 5)
    whole = train(corpus, Recorder(tmp_path, stops), **options)
    last = max(whole.after)
    for stop in stops:
        rest = train(corpus, Recorder(tmp_path / f"killed-{stop}"), ckpt_path="last", **options)
        assert sorted(rest.after) == list(range(stop + 1, last + 1))
        for step, found in rest.after.items():
            for one, other in zip(found, whole.after[step], strict=True):
                assert torch.equal(one, other), f"after step {step}, resumed after {stop}"


def test_another_cut_is_refused(corpus: Path, tmp_path: Path) -> None:
    train(corpus, Recorder(tmp_path, (2,)), **{"trainer.max_steps": 2})
    again = {"ckpt_path": "last", "data.segment_tokens": 8}
    with pytest.raises(s2s.ConfigError, match="data.segment_tokens was 9, now 8"):
        train(corpus, Recorder(tmp_path / "killed-2"), **again)
    with pytest.raises(s2s.DataError, match="other training data"):
        train(corpus, Recorder(tmp_path / "killed-2"), **again, accept_changes=True)
