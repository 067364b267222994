"""The common basis of all speed benchmarks: text, pieces, batches, the model, and a minimal training loop.

Multi30k (Elliott et al. 2016), English to German, 8,000 joint SentencePiece pieces; a bidirectional LSTM of 512 units
per direction, an LSTM decoder of 512 with Luong's general attention, one embedding shared by both sides and the output
layer: 13.8 million parameters, 14.9 with input feeding. No dropout.

`prepare()` writes to .work, for programs in other languages and environments, each split as lines of text
(`train.en`), of pieces (`train.en.pieces`; white space inside a piece is written <U+00A0>) and of ids
(`train.en.ids`), and the SentencePiece model. Needs $S2S_DATA (see data/catalogue.yaml).
"""

import gzip
import shutil
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from s2s.errors import DataError
from s2s.inference.bundle import build_model as build
from s2s.nn.kernels import bfloat16_is_fast
from s2s.nn.seq2seq import Seq2Seq
from s2s.resources import locate
from s2s.text.batch import Batch, pad, pad_targets
from s2s.text.sampler import BatchLimits, Epoch, by_length
from s2s.text.store_builder import one_builder
from s2s.text.tokenizer import Tokenizer
from s2s_plugins.tokenizers.sentencepiece import SentencePiece

WORK = Path(__file__).resolve().parent / ".work"
SPLITS = {"train": "train", "val": "val", "test": "test_2016_flickr"}
SIDES = ("en", "de")
PIECES = 8_000
SIZE = 512
BATCH = 64
SEED = 1
LEARNING_RATE = 0.001
PRECISIONS = ("bf16", "float32") if bfloat16_is_fast() else ("float32",)
"""Measured precisions: bfloat16 only if the processor has instructions for it. The first is s2s's default here."""
CLIP = 1.0


def prepare() -> Path:
    """Create the files that do not exist yet.

    Returns:
        The folder that contains them.
    """
    with one_builder(WORK / "done"):
        if not (WORK / "done").exists():
            for split, name in SPLITS.items():
                for side in SIDES:
                    with (
                        gzip.open(locate(f"$S2S_DATA/multi30k/{name}.{side}.gz")) as packed,
                        open(WORK / f"{split}.{side}", "wb") as plain,
                    ):
                        shutil.copyfileobj(packed, plain)
            learnt = SentencePiece(vocabulary_size=PIECES)
            learnt.train([line for side in SIDES for line in _read(WORK / f"train.{side}")])
            learnt.save(WORK / "tokenizer")
            for split in SPLITS:
                for side in SIDES:
                    encoded = learnt.encode_batch(_read(WORK / f"{split}.{side}"))
                    _write(WORK / f"{split}.{side}.ids", (map(str, ids) for ids in encoded))
                    pieces = ([visible(piece) for piece in learnt.tokens(ids)] for ids in encoded)
                    _write(WORK / f"{split}.{side}.pieces", pieces)
            (WORK / "done").touch()
    return WORK


def _read(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")


def visible(piece: str) -> str:
    return "".join(f"<U+{ord(letter):04X}>" if letter.isspace() else letter for letter in piece)


def _write(path: Path, sentences: Iterable[Iterable[str]]) -> None:
    path.write_text("".join(" ".join(sentence) + "\n" for sentence in sentences), encoding="utf-8")


def lines(split: str, side: str) -> list[str]:
    """The text of a split, "train", "val" or "test", in "en" or "de"."""
    return _read(prepare() / f"{split}.{side}")


@cache
def ids(split: str, side: str) -> list[list[int]]:
    """The same as ids of pieces, without begin and end tokens."""
    return [[int(word) for word in line.split()] for line in _read(prepare() / f"{split}.{side}.ids")]


def tokenizer() -> Tokenizer:
    """The joint pieces."""
    learnt = SentencePiece(vocabulary_size=PIECES)
    learnt.load(prepare() / "tokenizer")
    return learnt


def batches(split: str = "train", *, sentences: int = BATCH, epoch: int = 0) -> list[Batch]:
    """A split in batches of sentences of similar length; "train" in the order in which s2s trains."""
    source, target = (ids(split, side) for side in SIDES)
    lengths = [np.array([len(one) for one in side]) for side in (source, target)]
    limits = BatchLimits(sentences=sentences)
    made = (
        Epoch(lengths[0], lengths[1], limits, seed=SEED, epoch=epoch)
        if split == "train"
        else by_length(lengths[0], lengths[1], limits)
    )
    chosen = [made.pairs(number) for number in range(len(made))]
    return [
        Batch(pad([source[i] for i in rows]), pad_targets([target[i] for i in rows]), torch.from_numpy(rows))
        for rows in chosen
    ]


def target_tokens(given: Sequence[Batch]) -> int:
    """The number of predicted target tokens, counting ends of sentences but not padding."""
    return sum(int(batch.gold.lengths.sum()) for batch in given)


def model_config(
    *,
    feeding: bool = False,
    size: int = SIZE,
    layers: int = 1,
    vocabulary: int = PIECES,
    dropout: float = 0.0,
    encoder_size: int | None = None,
) -> dict[str, Any]:
    """The model's parts, as in a bundle or a recipe; the encoder has `encoder_size` (`size`) units per direction."""
    cells = {"cell": "LSTM", "hidden_size": size, "layers": layers, "dropout": dropout}
    return {
        "source_vocabulary_size": vocabulary,
        "target_vocabulary_size": vocabulary,
        "embedding": {"class_path": "Lookup", "init_args": {"size": size, "dropout": dropout}},
        "encoder": {"class_path": "Recurrent", "init_args": {**cells, "hidden_size": encoder_size or size}},
        "bridge": "Linear",
        "decoder": {
            "class_path": "InputFeeding" if feeding else "Recurrent",
            "init_args": {**cells, "attention": "LuongGeneral"},
        },
        "head": "Softmax",
        "share_embeddings": True,
        "tie_head": True,
    }


def build_model(feeding: bool, *, seed: int = SEED) -> Seq2Seq:
    """The benchmark's model with fresh weights, ready to train."""
    torch.manual_seed(seed)
    model = build(model_config(feeding=feeding)).train()
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    expected = 14.9 if feeding else 13.8
    if abs(millions - expected) > 0.1:
        raise DataError(f"the model has {millions:.2f} million parameters, not {expected}")
    return model


def build_optimizer(model: torch.nn.Module) -> torch.optim.Optimizer:
    """The optimizer that s2s trains with."""
    return torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.0, fused=True)


def train_step(
    model: Seq2Seq, optimizer: torch.optim.Optimizer, batch: Batch, *, precision: str = PRECISIONS[0]
) -> torch.Tensor:
    """One step of a minimal loop: loss, gradient of the mean over tokens, clipping, update.

    Args:
        model: the model to train.
        optimizer: the optimizer of its parameters.
        batch: sentence pairs.
        precision: "bf16" (mixed) or "float32"; by default s2s's default here.

    Returns:
        The summed loss, without gradient.
    """
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        loss = model.loss(batch.source, batch.inputs, batch.gold.ids)
    (loss.total / loss.tokens).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP, foreach=True)
    optimizer.step()
    optimizer.zero_grad()
    return loss.total.detach()


if __name__ == "__main__":
    print(f"{prepare().name}: {len(batches())} batches, {target_tokens(batches()):,} target tokens")
