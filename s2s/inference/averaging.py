"""The mean of several models' weights: often better than each one, especially for the last checkpoints of a run."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from s2s.errors import BundleError, ConfigError
from s2s.inference.bundle import Bundle
from s2s.inference.card import Card
from s2s.inference.conversion import read, write
from s2s.inference.upgrade import MODEL_PARTS
from s2s.registry.parts import describe, factory

_ALIKE = 0.3
"""Minimum cosine similarity of the weights of two models. Between steps 60 and 300 of one training it was 0.91, between
two trainings with different seeds at most 0.01."""


def average(sources: Sequence[str | Path], folder: str | Path, *, card: Card | None = None) -> Path:
    """Write a bundle with the mean of the weights of others (as in Vaswani et al. 2017, section 6.1).

    Args:
        sources: checkpoints in their run folders, run folders, or bundles, with the same parts and tokenizers.
        folder: of the new bundle; an existing bundle is replaced.
        card: its model card; a licence and an intended use that all have in common are kept.

    Raises:
        ConfigError: fewer than two, or one of them twice.
        BundleError: one cannot be read, or they are not made of the same parts.

    Warns:
        UserWarning: one is unrelated to the first, because its training was started separately.
    """
    paths = [Path(source) for source in sources]
    if len(paths) < 2:
        raise ConfigError(f"averaging needs two or more models; {len(paths)} given")
    places = [path.resolve() for path in paths]
    if twice := [path for path, place in zip(paths, places, strict=True) if places.count(place) > 1]:
        raise ConfigError(f"{twice[0]} is given twice")
    first = read(paths[0])
    configs = [first.config]

    def states() -> Iterator[dict[str, Tensor]]:
        weights = first.model.state_dict()
        yield weights
        for path in paths[1:]:  # one at a time: they may be large
            other = read(path)
            _check_alike(first, other, paths[0], path)
            configs.append(other.config)
            others = other.model.state_dict()
            if (alike := similarity(weights, others)) < _ALIKE:
                warnings.warn(
                    f"{paths[0]} and {path} have nothing in common (cosine of their weights {alike:.2f}): separate "
                    "trainings order their units differently, so the mean of their weights is useless. "
                    f"Average checkpoints of one run, or use an ensemble: s2s translate {paths[0]} --model {path}",
                    stacklevel=3,
                )
            yield others

    first.model.load_state_dict(mean(states()))
    cards = [Card(**config.get("card", {})) for config in configs]
    stated = {name: value for name, value in vars(card or Card()).items() if value}
    about = {
        "description": f"The mean of the weights of {len(paths)} models.",
        **{name: _common(cards, name) for name in ("licence", "intended_use")},
        **stated,
    }
    uncarded = replace(first, config={**first.config, "card": {}})
    training = {"mean of": [_when(config) for config in configs]}
    return write(uncarded, folder, card=Card(**about), training=training, scores=())


def mean(states: Iterable[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of some state dicts, tensor by tensor, summed in float64; non-floating-point tensors must be equal.

    Raises:
        BundleError: they have different tensors, or numbers that cannot be averaged differ.
    """
    total: dict[str, Tensor] = {}
    dtypes: dict[str, torch.dtype] = {}
    count = 0
    for state in states:
        if not total:
            dtypes = {name: value.dtype for name, value in state.items()}
            total = {name: _widened(value) for name, value in state.items()}
        elif {name: value.shape for name, value in state.items()} != {
            name: value.shape for name, value in total.items()
        }:
            raise BundleError("the models have weights of different names or shapes")
        else:
            for name, value in state.items():
                if value.is_floating_point():
                    total[name] += value.double()
                elif not torch.equal(total[name], value):
                    raise BundleError(
                        f"{name} holds {value.dtype}, which has no mean, and is not the same in all models"
                    )
        count += 1
    return {
        name: (value / count).to(dtypes[name]) if value.is_floating_point() else value
        for name, value in total.items()
    }


def similarity(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    """Cosine similarity of all matrices of two state dicts of the same architecture; 1 if there are none.

    Vectors are left out: biases and gains of any two models start with the same values.
    """
    dot = lengths = others = 0.0
    for name, value in one.items():
        if value.is_floating_point() and value.dim() > 1 and other[name].shape == value.shape:
            a, b = value.double().flatten(), other[name].double().flatten()
            dot, lengths, others = dot + float(a @ b), lengths + float(a @ a), others + float(b @ b)
    return dot / math.sqrt(lengths * others) if lengths and others else 1.0


def _widened(value: Tensor) -> Tensor:
    return value.double() if value.is_floating_point() else value.clone()


def _check_alike(first: Bundle, other: Bundle, one: Path, path: Path) -> None:
    ours, theirs = (_parts(bundle.config["model"]) for bundle in (first, other))
    for entry, value in ours.items():
        if value != theirs[entry]:
            raise BundleError(
                f"{one} and {path} are not made of the same parts: {entry} is {value!r} and {theirs[entry]!r}; only "
                "models with the same parts can be averaged"
            )
    for side in ("source", "target"):
        tokenizers = [getattr(bundle, f"{side}_tokenizer") for bundle in (first, other)]
        if tokenizers[0].fingerprint() != tokenizers[1].fingerprint():
            raise BundleError(
                f"{one} and {path} have different {side} tokenizers, so that their weights belong to different pieces"
            )


def _parts(config: Mapping[str, Any]) -> dict[str, Any]:
    # With the defaults of all options, which a configuration may leave out.
    return {
        **{part: describe(factory(part, config[part])) for part in MODEL_PARTS},
        **{tie: bool(config.get(tie, False)) for tie in ("share_embeddings", "tie_head")},
        **{size: config[size] for size in ("source_vocabulary_size", "target_vocabulary_size")},
    }


def _common(cards: Sequence[Card], name: str) -> str:
    values = {str(getattr(card, name)) for card in cards}
    return values.pop() if len(values) == 1 else ""


def _when(config: Mapping[str, Any]) -> str:
    training = config.get("training", {})
    return (
        ", ".join(f"{name} {training[name]}" for name in ("epoch", "step", "seed") if name in training)
        or "unknown"
    )
