"""A bundle of an untrained model that is small and yet decided: it tells sentences apart, and it ends."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch

from s2s.inference.bundle import build_model, save_bundle
from s2s.registry.parts import factory
from s2s.text.tokenizer import EOS

TEXT = ["abcdefghijklmnopqrstuvwxyz .,äßé"]


def tiny_bundle(
    folder: Path,
    *,
    decoder: str = "InputFeeding",
    cell: str = "LSTM",
    attention: str | dict[str, Any] | None = "LuongGeneral",
    tie: bool = False,
    head: str = "Softmax",
    encoder: dict[str, Any] | None = None,
    search: dict[str, Any] | None = None,
    max_output_tokens: int | None = None,
    seed: int = 0,
    target_text: list[str] | None = None,
    tokenizer: str = "Characters",
    training: dict[str, Any] | None = None,
) -> Path:
    """Write a bundle; `target_text` gives the target a tokenizer of its own, `training` is what it says of that."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*pieces")  # SentencePiece finds few in so little text
        source = factory("tokenizer", tokenizer)()
        source.train(TEXT)
        target = None
        if target_text is not None:
            target = factory("tokenizer", tokenizer)()
            target.train(target_text)
    config = {
        "source_vocabulary_size": source.vocabulary_size,
        "target_vocabulary_size": (target or source).vocabulary_size,
        "embedding": {"class_path": "Lookup", "init_args": {"size": 16}},
        "encoder": encoder or {"class_path": "Recurrent", "init_args": {"cell": cell, "hidden_size": 10}},
        "bridge": "Linear",
        "decoder": {
            "class_path": decoder,
            "init_args": {"cell": cell, "hidden_size": 16, "attention": attention},
        },
        "head": head,
        "share_embeddings": tie,
        "tie_head": tie,
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build_model(config)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                # Large weights make it sensitive to its input and sure of its output.
                parameter.mul_(6 if name.startswith("head") else 2)
            (model.head.softmax if model.head.copies else model.head).bias[EOS] = 3.0
    return save_bundle(
        folder,
        model=model,
        model_config=config,
        source_tokenizer=source,
        source_tokenizer_spec=tokenizer,
        target_tokenizer=target,
        target_tokenizer_spec=None if target is None else tokenizer,
        search=search or {"class_path": "Beam", "init_args": {"size": 3}},
        max_output_tokens=max_output_tokens,
        training=training,
        card="Says nothing of use.",
    )


def sentences(number: int, seed: int = 0) -> list[str]:
    """Random lines of 1 to 30 letters."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 31, (number,), generator=generator).tolist()
    return [
        "".join(TEXT[0][i] for i in torch.randint(0, 26, (n,), generator=generator).tolist()) for n in lengths
    ]
