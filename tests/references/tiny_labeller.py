"""A bundle of an untrained labeller that is small and yet decided."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from s2s.inference.model_bundle import build, save_model_bundle
from s2s.nn import SequenceLabeller
from s2s.registry.parts import factory

WORDS = ["the old man saw a boat", "the boat saw the sea"]
LABELS = ["DET ADJ NOUN VERB", "X"]


def tiny_labeller(
    folder: Path, *, crf: bool = False, seed: int = 0, training: dict[str, Any] | None = None
) -> Path:
    """Write a bundle; `training` is what it says of that."""
    tokenizers = {}
    for name, kind, lines in (
        ("source_tokenizer", "Words", WORDS),
        ("target_tokenizer", "Words", LABELS),
        ("piece_tokenizer", "Characters", WORDS),
    ):
        tokenizers[name] = factory("tokenizer", kind)(), kind
        tokenizers[name][0].train(lines)
    encoder = {"class_path": "Recurrent", "init_args": {"cell": "GRU", "hidden_size": 6}}
    table = {"class_path": "Lookup", "init_args": {"size": 5}}
    config = {
        **{
            name.replace("tokenizer", "vocabulary_size"): tokenizer.vocabulary_size
            for name, (tokenizer, _) in tokenizers.items()
        },
        "encoder": encoder,
        "word_embedding": table,
        "piece_embedding": table,
        "piece_encoder": encoder,
        "crf": crf,
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build(SequenceLabeller, config)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_(std=0.8)  # sensitive to its input, and sure of its output
    return save_model_bundle(
        folder,
        model=model,
        model_config=config,
        tokenizers=tokenizers,
        training=training,
        card="Says nothing of use.",
    )
