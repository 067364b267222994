"""Yoyodyne 0.5.27 (Wiemerslage et al.), in float32, its default.

Runs in a separate environment (yoyodyne.txt), called by measure.py. It is designed for small vocabularies and, by its
documentation, not for translation; with pieces as its symbols it does train here. Its attentive LSTM differs from
the benchmark's: additive attention before the recurrence, whose result the cell reads beside the embedding; a learnt
initial state instead of a bridge; a separate output layer (tying is not supported).
"""

import time
from pathlib import Path
from typing import Any

import lightning
import torch
from peers.process import source, timed
from torch.utils.data import DataLoader
from yoyodyne import data, models, optimizers, special
from yoyodyne.models import modules


def dataset(work: str, folder: str, **paths: str) -> data.DataModule:
    """Two columns of pieces; Yoyodyne's vocabulary is that of the training text."""
    table = {}
    for split, name in paths.items():
        sides = (
            Path(work, f"{name}.{side}").read_text(encoding="utf-8").splitlines() for side in ("en", "de")
        )
        table[split] = f"{folder}/{name}.tsv"
        Path(folder).mkdir(parents=True, exist_ok=True)
        Path(table[split]).write_text("".join(f"{en}\t{de}\n" for en, de in zip(*sides, strict=True)))
    return data.DataModule(model_dir=folder, source_sep=" ", target_sep=" ", batch_size=64, **table)


def build_model(pieces: data.DataModule, *, dropout: float) -> models.SoftAttentionLSTMModel:
    """The closest model that Yoyodyne supports."""
    torch.manual_seed(1)
    encoder = modules.LSTMEncoder(embedding_size=512, hidden_size=512, layers=1, dropout=dropout)
    return models.SoftAttentionLSTMModel(
        source_encoder=encoder,
        embedding_size=512,
        decoder_hidden_size=512,
        decoder_layers=1,
        decoder_dropout=dropout,
        compute_accuracy=False,
        optimizer=lambda parameters: optimizers.Adam(parameters, lr=0.001),
        target_vocab_size=pieces.target_vocab_size,
        vocab_size=pieces.vocab_size,
    )


class Speed(lightning.Callback):
    """One sample per `every` steps: target tokens, with ends but not padding, by the seconds they took."""

    def __init__(self, every: int) -> None:
        self.every, self.tokens, self.samples = every, 0, []

    def on_train_start(self, *_: Any) -> None:
        self.began = time.perf_counter()

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, step: int) -> None:
        self.tokens += int((batch.target.tensor != special.PAD_IDX).sum())
        if (step + 1) % self.every == 0:
            now = time.perf_counter()
            self.samples.append(self.tokens / (now - self.began))
            self.tokens, self.began = 0, now


def fit(model: lightning.LightningModule, loader: DataLoader, steps: int, callback: Any) -> None:
    trainer = lightning.Trainer(
        max_steps=steps,
        accelerator="cpu",
        gradient_clip_val=1.0,
        callbacks=[callback],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, loader)


def train_speed(work: str, folder: str, *, feeding: bool, steps: int, every: int) -> dict[str, Any]:
    """Trains for `steps` updates, timed by a callback: Yoyodyne logs no speed."""
    pieces = dataset(work, folder, train="train.pieces")
    speed = Speed(every)
    fit(build_model(pieces, dropout=0.0), pieces.train_dataloader(), steps, speed)
    return {"target_tokens_per_second": speed.samples}


def train_model(work: str, folder: str, *, feeding: bool, steps: int) -> dict[str, Any]:
    """Trains long enough for translations to end by themselves, on the file sorted into batches by length."""
    pieces = dataset(work, folder, train="ordered.pieces")
    shuffled = pieces.train_dataloader()
    ordered = DataLoader(shuffled.dataset, batch_size=64, collate_fn=shuffled.collate_fn)
    model = build_model(pieces, dropout=0.1)
    fit(model, ordered, steps, Speed(20))
    torch.save(model.state_dict(), f"{folder}/model.pt")
    return {"steps": steps}


@torch.inference_mode()
def decode(
    work: str, folder: str, *, feeding: bool, beam: int, batch: int, sentences: int, **limits: Any
) -> dict[str, Any]:
    """Translates the first `sentences` of the test split, in batches in file order, as Yoyodyne does."""
    pieces = data.DataModule(model_dir=folder, source_sep=" ", target_sep=" ")
    model = build_model(pieces, dropout=0.0).eval()
    model.load_state_dict(torch.load(f"{folder}/model.pt", weights_only=True))
    model.beam_width = beam
    mapper = data.mappers.Mapper(pieces.index)

    def translate(lines: list[str]) -> list[str]:
        encoded = [mapper.encode_source(line.split(" ")) for line in lines]
        predicted = model.predict_step(data.batches.Batch(data.batches.PaddedTensor(encoded)), 0)
        best = [beams[0] for beams in predicted[0]] if beam > 1 else predicted
        return [" ".join(mapper.decode_target(one)) for one in best]

    return timed(translate, source(work, sentences), batch=batch, **limits)
