"""Bundles of encoder-decoder models: what `s2s translate` and `s2s summarize` read."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s2s.durable import durable_folder, of_one_version
from s2s.errors import BundleError, ConfigError
from s2s.evaluation.metric import Score
from s2s.inference import checksums
from s2s.inference.bundle_config import BUNDLE, CONFIG, WEIGHTS, read_config
from s2s.inference.card import Card
from s2s.inference.model_bundle import (
    README,
    build,
    built_here,
    check_files,
    load_model_bundle,
    save_model_bundle,
)
from s2s.nn.seq2seq import Seq2Seq
from s2s.registry.parts import Spec, factory
from s2s.search.strategy import SearchStrategy
from s2s.text.shortlist import Shortlist
from s2s.text.tokenizer import Tokenizer

__all__ = [
    "CONFIG",
    "README",
    "WEIGHTS",
    "Bundle",
    "add_shortlist",
    "build_model",
    "check_files",
    "load_bundle",
    "read_config",
    "save_bundle",
]

SHORTLIST = "shortlist.safetensors"
_SIZES = ("source_vocabulary_size", "target_vocabulary_size")


@dataclass(frozen=True)
class Bundle:
    """A bundle in memory.

    Attributes:
        model: in evaluation mode.
        source_tokenizer: trained.
        target_tokenizer: the same object as `source_tokenizer` if both sides share one.
        search: the strategy that the bundle recommends.
        config: contents of config.json.
        shortlist: its vocabulary shortlist; None if it has none.
    """

    model: Seq2Seq
    source_tokenizer: Tokenizer
    target_tokenizer: Tokenizer
    search: SearchStrategy
    config: dict[str, Any]
    shortlist: Shortlist | None = None


def build_model(config: Mapping[str, Any]) -> Seq2Seq:
    """The model that a configuration describes, with newly initialized parameters.

    Args:
        config: `source_vocabulary_size`, `target_vocabulary_size`, a spec for each of embedding, encoder,
            bridge, decoder and head, and, if they are to differ from False, `share_embeddings` and
            `tie_head`.

    Raises:
        ConfigError: an entry is missing, unknown or invalid.
        PluginError: a part cannot be imported.
    """
    return build(Seq2Seq, config)


def save_bundle(
    folder: str | Path,
    *,
    model: Seq2Seq,
    model_config: Mapping[str, Any],
    source_tokenizer: Tokenizer,
    source_tokenizer_spec: Spec,
    target_tokenizer: Tokenizer | None = None,
    target_tokenizer_spec: Spec | None = None,
    search: Spec,
    max_output_tokens: int | None = None,
    task: str = "Seq2Seq",
    training: Mapping[str, Any] | None = None,
    scores: Sequence[Score] = (),
    card: Card | str = "",
) -> Path:
    """Write a bundle atomically, first to a temporary folder next to it; an existing bundle is replaced.

    Args:
        folder: of the new bundle.
        model: the model to save; on any device.
        model_config: the configuration from which `build_model` makes the same model.
        source_tokenizer: trained.
        source_tokenizer_spec: name and options of the source tokenizer.
        target_tokenizer: None if both sides share the source tokenizer.
        target_tokenizer_spec: name and options of the target tokenizer.
        search: the recommended strategy.
        max_output_tokens: the recommended maximum output length; None: none.
        task: name of the task that trained it.
        training: facts about the training; any JSON value.
        scores: with their signatures, for the card.
        card: the model card; a str is its description.

    Returns:
        the folder.

    Raises:
        BundleError: there is something else at that place.
        ConfigError: the configuration does not describe the model.
    """
    tokenizers = {"tokenizer": (source_tokenizer, source_tokenizer_spec)}
    if target_tokenizer is not None and target_tokenizer is not source_tokenizer:
        if target_tokenizer_spec is None:
            raise ConfigError("a separate target tokenizer needs target_tokenizer_spec, its name and options")
        tokenizers = {
            "source_tokenizer": (source_tokenizer, source_tokenizer_spec),
            "target_tokenizer": (target_tokenizer, target_tokenizer_spec),
        }
    return save_model_bundle(
        folder,
        model=model,
        model_config=model_config,
        tokenizers=tokenizers,
        search=search,
        max_output_tokens=max_output_tokens,
        task=task,
        training=training,
        scores=scores,
        card=card,
    )


@of_one_version
def load_bundle(folder: str | Path) -> Bundle:
    """Read a bundle; nothing in it is executed.

    Raises:
        BundleError: a file is missing, damaged, made by a newer version or needs a plugin that is not installed; or it
            holds no encoder-decoder model.
    """
    folder = Path(folder)
    loaded = load_model_bundle(folder, Seq2Seq)
    config = loaded.config
    if "search" not in config:
        raise BundleError(f"{folder / CONFIG} lacks search; {BUNDLE.again}")
    source, target = BUNDLE.sides(folder, loaded.tokenizers)
    with built_here(folder, config):
        search = factory("search", config["search"])()
        sizes = [config["model"][size] for size in _SIZES]
        shortlist = Shortlist.read(folder / SHORTLIST, *sizes) if SHORTLIST in config["sha256"] else None
    return Bundle(loaded.model, source, target, search, config, shortlist)


def add_shortlist(folder: str | Path, shortlist: Shortlist) -> None:
    """Store a shortlist in a bundle, replacing an existing one; atomic, by a copy that is renamed.

    Raises:
        BundleError: there is no complete bundle at that place.
    """
    folder = Path(folder)
    read_config(folder)
    with durable_folder(folder) as new:
        config = _copy(folder, new)
        shortlist.write(new / SHORTLIST)
        config["sha256"][SHORTLIST] = checksums.of_file(new / SHORTLIST)
        BUNDLE.write_config(new, config)


@of_one_version
def _copy(folder: Path, new: Path) -> dict[str, Any]:
    shutil.copytree(folder, new, symlinks=True, dirs_exist_ok=True)
    return read_config(new)
