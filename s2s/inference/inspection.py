"""The contents of a bundle, and whether it can be used here; an unusable one is described as far as possible."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s2s.errors import BundleError, S2SError
from s2s.inference import checksums
from s2s.inference.bundle import SHORTLIST
from s2s.inference.bundle_config import CONFIG, read_config
from s2s.inference.card import parameters_by_part
from s2s.inference.model_bundle import README, ModelBundle, load_any_bundle
from s2s.inference.origins import installed_origin, origins
from s2s.inference.shipped import LIMIT
from s2s.inference.upgrade import VERSIONS, named_parts
from s2s.registry import catalogue
from s2s.registry.versions import version_of
from s2s.text.tokenizer import Tokenizer

_SHOWN_TOKENS = 24


@dataclass(frozen=True)
class Inspection:
    """Information about a bundle; all of it can be written as JSON.

    Attributes:
        bundle: its folder.
        format: version of its layout.
        s2s_version: the version that wrote it.
        task: the task that it was trained for.
        search: the strategy that it recommends; None for a model that is used without a search.
        max_output_tokens: the maximum output length that it recommends; None: none.
        card: `Card`, as a mapping; empty for older bundles without one.
        training: recorded facts about the training.
        scores: `Score`, as mappings, with their signatures.
        parameters: of each part of the model; None if it cannot be loaded.
        vocabulary: for each side its tokenizer, its number of tokens and some of them, evenly spaced; None if it
            cannot be loaded.
        parts: for each part its version and distribution, then and here ("made_with", "here"); None: not known.
        files: for each file its bytes and its state: "verified", "altered", "missing", "not signed".
        shortlist: whether it has a vocabulary shortlist.
        problem: why it cannot be used here; None if it can.
    """

    bundle: str
    format: int
    s2s_version: str
    task: str | None
    search: Any
    max_output_tokens: int | None
    card: dict[str, str]
    training: dict[str, Any]
    scores: list[dict[str, Any]]
    parameters: dict[str, int] | None
    vocabulary: dict[str, Any] | None
    parts: dict[str, dict[str, Any]]
    files: dict[str, dict[str, Any]]
    shortlist: bool
    problem: str | None


def inspect(folder: str | Path) -> Inspection:
    """Read a bundle, verify its checksums and try to load it.

    Raises:
        BundleError: there is no bundle, or its configuration cannot be read.
    """
    folder = Path(folder)
    config = read_config(folder)
    loaded, problem = None, None
    try:
        loaded = load_any_bundle(folder)
    except BundleError as error:
        problem = str(error)
    return Inspection(
        bundle=str(folder),
        format=config["format"],
        s2s_version=config["s2s_version"],
        task=config.get("task"),
        search=config.get("search"),
        max_output_tokens=config.get(LIMIT),
        card=config.get("card", {}),
        training=config.get("training", {}),
        scores=config.get("scores", []),
        parameters=None if loaded is None else parameters_by_part(loaded.model),
        vocabulary=None if loaded is None else _vocabulary(loaded),
        parts=_parts(folder, config),
        files=_files(folder, config),
        shortlist=SHORTLIST in config["sha256"],
        problem=problem,
    )


def _vocabulary(bundle: ModelBundle[Any]) -> dict[str, Any]:
    def described(key: str, tokenizer: Tokenizer) -> dict[str, Any]:
        size = tokenizer.vocabulary_size
        some = tokenizer.tokens(list(range(0, size, -(-size // _SHOWN_TOKENS))))
        return {"tokenizer": bundle.config[key], "tokens": size, "some": some}

    joint = "source and target" if "source_vocabulary_size" in bundle.config["model"] else "text"
    return {
        joint if key == "tokenizer" else key.removesuffix("_tokenizer"): described(key, tokenizer)
        for key, tokenizer in bundle.tokenizers.items()
    }


def _parts(folder: Path, config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    versions, brought = config.get(VERSIONS, {}), origins(folder, config)
    found = {}
    try:
        named = [part.label for part in named_parts(config)]
    except S2SError:  # one is not installed, so the parts inside it are unknown
        named = []
    for label in dict.fromkeys([*named, *versions, *brought]):
        made_with = {"part_version": versions.get(label, {}).get("version"), **brought.get(label, {})}
        kind, _, name = label.partition(" ")
        here: dict[str, Any] | None
        try:
            part = catalogue().load(kind, name)
            here = {"part_version": version_of(part), **installed_origin(kind, name)}
        except S2SError:
            here = None
        found[label] = {"made_with": made_with, "here": here}
    return found


def _files(folder: Path, config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    expected = {README: config.get(checksums.CARD), **config["sha256"]}
    signed = checksums.OWN in config  # read_config has verified it
    found: dict[str, dict[str, Any]] = {
        CONFIG: {
            "bytes": (folder / CONFIG).stat().st_size,
            "state": "verified" if signed else "not signed",
        }
    }
    for name, checksum in sorted(expected.items()):
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
            found[name] = {"bytes": 0, "state": "missing"}
            continue
        found[name] = {"bytes": path.stat().st_size, "state": _state(path, checksum)}
    return found


def _state(path: Path, checksum: str | None) -> str:
    if checksum is None:
        return "not signed"
    return "verified" if checksums.of_file(path) == checksum else "altered"
