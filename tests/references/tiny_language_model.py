"""A bundle of an untrained language model that is small and yet decided."""

from pathlib import Path
from typing import Any

import torch

from s2s.inference.model_bundle import build, save_model_bundle
from s2s.nn import LanguageModel
from s2s.registry.parts import Spec, factory
from s2s.text.tokenizer import EOS


def tiny_language_model(
    folder: Path,
    *,
    text: str = "the old sea is calm",
    tokenizer: Spec = "Words",
    decoder: str = "Recurrent",
    seed: int = 0,
    end: float = 1.0,
) -> Path:
    """Write a bundle; `end` is the bias of the end mark: the higher, the shorter its texts."""
    made = factory("tokenizer", tokenizer)()
    made.train([text])
    config: dict[str, Any] = {
        "vocabulary_size": made.vocabulary_size,
        "embedding": {"class_path": "Lookup", "init_args": {"size": 8}},
        "decoder": {"class_path": decoder, "init_args": {"hidden_size": 12, "attention": None}},
        "head": "Softmax",
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build(LanguageModel, config)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.mul_(4 if name.startswith("head") else 2)  # sensitive to what it read, and sure
            model.head.bias[EOS] = end
    return save_model_bundle(
        folder,
        model=model,
        model_config=config,
        tokenizers={"tokenizer": (made, tokenizer)},
        search="Sampling",
    )
