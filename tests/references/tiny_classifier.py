"""A classifier's bundle, untrained and yet decided: it tells texts apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from s2s.inference.model_bundle import build, save_model_bundle
from s2s.nn.classifier import SequenceClassifier
from s2s.registry.parts import factory
from s2s.text.batch import pad
from tests.references.tiny import TEXT, sentences

CLASSES = ("so so", "good", "bad")


def tiny_classifier(
    folder: Path,
    *,
    pooling: str = "max",
    classes: Sequence[str] = CLASSES,
    seed: int = 0,
    hidden_size: int = 7,
) -> Path:
    """Write a bundle; `classes` are its labels, the most frequent first."""
    source, target = factory("tokenizer", "Characters")(), factory("tokenizer", "Labels")()
    source.train(TEXT)
    target.train([name for place, name in enumerate(classes) for _ in range(len(classes) - place)])
    config: dict[str, Any] = {
        "vocabulary_size": source.vocabulary_size,
        "classes": len(classes),
        "embedding": {"class_path": "Lookup", "init_args": {"size": 16}},
        "encoder": {"class_path": "Recurrent", "init_args": {"cell": "GRU", "hidden_size": 10}},
        "pooling": pooling,
        "hidden_size": hidden_size,
        "dropout": 0.1,
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build(SequenceClassifier, config)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(4)  # large weights make it sensitive to its input and sure of its output
            model.output.bias -= model.eval()(pad(source.encode_batch(sentences(50)))).mean(
                0
            )  # no class is shunned
    return save_model_bundle(
        folder,
        model=model,
        model_config=config,
        tokenizers={"source_tokenizer": (source, "Characters"), "target_tokenizer": (target, "Labels")},
        card="Says nothing of use.",
    )
