"""Conversion of run folders and checkpoints to bundles, and of bundles to ones with another card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from s2s.errors import BundleError, S2SError
from s2s.evaluation.metric import Score
from s2s.inference.bundle import CONFIG, Bundle, add_shortlist, build_model, load_bundle, save_bundle
from s2s.inference.card import Card
from s2s.inference.checkpoint import read_checkpoint
from s2s.inference.shipped import LIMIT
from s2s.inference.sizes import no_larger_than
from s2s.inference.upgrade import MODEL_PARTS
from s2s.registry import catalogue
from s2s.registry.parts import Spec, describe, factory
from s2s.registry.versions import version_of
from s2s.text.tokenizer import Tokenizer
from s2s.untrusted import parse_yaml, read_bytes, read_json

RUN_CONFIG, CHECKPOINTS, TOKENIZERS = "config.yaml", "checkpoints", "tokenizers"
"""What `s2s fit` writes into the folder of a run."""

_SIDES = ({"tokenizer"}, {"source_tokenizer", "target_tokenizer"})
_PREFIX = "model."
_OPTIONS = ("share_embeddings", "tie_head")


def convert(
    source: str | Path, folder: str | Path, *, checkpoint: str = "best", card: Card | None = None
) -> Path:
    """Make a bundle from a run, from one checkpoint in it, or from another bundle.

    Args:
        source: run folder, a checkpoint in one, or a bundle, which is written again.
        folder: of the new bundle; an existing bundle is replaced.
        checkpoint: of a run: "best" (the last one if there is no best), "last", or a file.
        card: its model card; empty entries are taken from the bundle or derived.

    Raises:
        BundleError: something is missing, damaged, or does not fit.
    """
    return write(read(source, checkpoint=checkpoint), folder, card=card)


def read(source: str | Path, *, checkpoint: str = "best") -> Bundle:
    """A trained model with its tokenizers from a run, a checkpoint in one, or a bundle.

    Args:
        source: run folder, a checkpoint in one, or a bundle.
        checkpoint: see `convert`.

    Raises:
        BundleError: something is missing, damaged, or does not fit.
    """
    source = Path(source)
    if (source / CONFIG).is_file() and not (source / RUN_CONFIG).is_file():
        bundle = load_bundle(source)
        try:
            _stated(bundle.config)
        except TypeError as error:
            raise BundleError(
                f"{source / CONFIG} misstates its card or its scores: {error}; get the bundle again"
            ) from error
        return bundle
    if source.is_file():
        run, path = source.resolve().parent.parent, source
    else:
        run, path = source, _checkpoint(source, checkpoint)
    try:
        return _read_run(run, path)
    except Exception as error:  # also unforeseen errors of parts
        if isinstance(error, BundleError) and str(run) in str(error):
            raise
        what = "" if isinstance(error, S2SError) else f"{type(error).__name__}: "
        raise BundleError(f"{path} cannot be converted to a bundle: {what}{error}") from error


def write(
    bundle: Bundle,
    folder: str | Path,
    *,
    card: Card | None = None,
    training: Mapping[str, Any] | None = None,
    scores: Sequence[Score] | None = None,
) -> Path:
    """Write a bundle that is in memory.

    Args:
        bundle: its model, tokenizers and the entries of its configuration are written.
        folder: of the new bundle.
        card: see `convert`.
        training: replaces that of its configuration; so do `scores`.
        scores: see `training`.
    """
    config = bundle.config
    joint = "tokenizer" in config
    stated, measured = _stated(config)
    given = {name: value for name, value in vars(card or Card()).items() if value}
    written = save_bundle(
        folder,
        model=bundle.model,
        model_config=config["model"],
        source_tokenizer=bundle.source_tokenizer,
        source_tokenizer_spec=config["tokenizer" if joint else "source_tokenizer"],
        target_tokenizer=None if joint else bundle.target_tokenizer,
        target_tokenizer_spec=None if joint else config["target_tokenizer"],
        search=config["search"],
        max_output_tokens=config.get(LIMIT),
        task=config.get("task", "Seq2Seq"),
        training=config.get("training", {}) if training is None else training,
        scores=measured if scores is None else scores,
        card=replace(stated, **given),
    )
    if bundle.shortlist is not None:
        add_shortlist(written, bundle.shortlist)
    return written


def _stated(config: Mapping[str, Any]) -> tuple[Card, list[Score]]:
    """The card and the scores that a bundle's configuration states."""
    return Card(**config.get("card", {})), [Score(**score) for score in config.get("scores", [])]


def _checkpoint(run: Path, wanted: str) -> Path:
    if not run.is_dir():
        raise BundleError(f"there is no run, bundle or checkpoint at {run}; make a run with: s2s fit")
    folder = run / CHECKPOINTS
    names = [wanted, "last"] if wanted == "best" else [wanted]
    for path in [folder / f"{name}.ckpt" for name in names] + [Path(wanted)]:
        if path.is_file():
            return path
    there = ", ".join(sorted(path.name for path in folder.glob("*.ckpt")))
    raise BundleError(
        f"{run} has no checkpoint {wanted!r}; "
        + (
            f"there are: {there}"
            if there
            else f"there are none in {folder}: is it a run folder of `s2s fit`?"
        )
    )


def _read_run(run: Path, checkpoint: Path) -> Bundle:
    config = _run_config(run)
    source, target, specs = _tokenizers(run / TOKENIZERS)
    model_config = _model_config(config, source, target)
    saved = read_checkpoint(checkpoint)
    _check_versions(checkpoint, saved)
    with no_larger_than(
        [value.shape for value in saved["state_dict"].values()],
        f"{checkpoint} does not fit {run / RUN_CONFIG}",
        "take the checkpoint of this run",
    ):
        model = build_model(model_config)
    weights = {
        name.removeprefix(_PREFIX): value
        for name, value in saved["state_dict"].items()
        if name.startswith(_PREFIX)
    }
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise BundleError(f"{checkpoint} does not fit {run / RUN_CONFIG}: {error}") from error
    search = describe(factory("search", config["model"].get("test_search", "Beam")))
    limit = config["model"].get(LIMIT)
    epoch, step = saved["epoch"] + 1, saved["global_step"]
    training = {"epoch": epoch, "step": step, "seed": config.get("seed_everything"), **_corpora(config)}
    learnt = ", ".join(training.get("train", []))
    about = Card(
        description=f"A recurrent encoder-decoder model{f', trained on {learnt}' if learnt else ''}; weights of epoch "
        f"{epoch}, step {step}."
    )
    contents = {
        "task": config.get("task", "Seq2Seq"),
        "model": model_config,
        **specs,
        "search": search,
        **({} if limit is None else {LIMIT: limit}),
        "training": {name: value for name, value in training.items() if value is not None},
        "scores": saved.get("scores", []),
        "card": vars(about),
    }
    return Bundle(model.eval(), source, target, factory("search", search)(), contents)


def _run_config(run: Path) -> dict[str, Any]:
    path = run / RUN_CONFIG
    try:
        config = parse_yaml(read_bytes(path))
    except OSError as error:
        raise BundleError(
            f"{run} is not a run folder: {path.name} cannot be read ({error.strerror}); a checkpoint must be where "
            "`s2s fit` has put it, in its run folder"
        ) from error
    except (ValueError, yaml.YAMLError) as error:
        raise BundleError(f"{path} is no YAML: {error}") from error
    model = config.get("model") if isinstance(config, dict) else None
    if not isinstance(model, dict) or (missing := [part for part in MODEL_PARTS if part not in model]):
        lacks = "model" if not isinstance(model, dict) else ", ".join(f"model.{part}" for part in missing)
        raise BundleError(
            f"{path} lacks {lacks}; only runs of an encoder-decoder (task: Seq2Seq) become bundles this way"
        )
    return dict(config)


def _model_config(config: Mapping[str, Any], source: Tokenizer, target: Tokenizer) -> dict[str, Any]:
    model = config["model"]
    if model.get("start_from") is not None:  # then the parts of the configuration were not used
        begun = Path(model["start_from"])
        if not begun.exists():
            raise BundleError(
                f"the run was begun with the bundle {begun}, which is not there; it says what the model is made of"
            )
        return dict(load_bundle(begun).config["model"])
    return {
        "source_vocabulary_size": source.vocabulary_size,
        "target_vocabulary_size": target.vocabulary_size,
        **{part: describe(factory(part, model[part])) for part in MODEL_PARTS},
        **{option: bool(model.get(option, False)) for option in _OPTIONS},
    }


def _tokenizers(folder: Path) -> tuple[Tokenizer, Tokenizer, dict[str, Spec]]:
    try:
        specs: dict[str, Spec] = read_json(folder / "config.json")
    except (OSError, ValueError) as error:
        raise BundleError(
            f"the run's tokenizers cannot be read: {folder / 'config.json'}: {error}"
        ) from error
    if not isinstance(specs, dict) or set(specs) not in _SIDES:
        raise BundleError(f"{folder / 'config.json'} names {specs!r:.60}, not the run's tokenizers")
    found = []
    for name, spec in specs.items():
        tokenizer = factory("tokenizer", spec)()
        tokenizer.load(folder / name)
        found.append(tokenizer)
    described = {name: describe(factory("tokenizer", spec)) for name, spec in specs.items()}
    return found[0], found[-1], described


def _check_versions(checkpoint: Path, saved: Mapping[str, Any]) -> None:
    for label, version in saved.get("versions", {}).items():
        kind, _, name = label.partition(" ")
        installed = version_of(catalogue().load(kind, name))
        if installed != version:
            raise BundleError(
                f"{checkpoint} was made with version {version} of {kind} {name!r}, and the installed one is version "
                f"{installed}; install the former, and make the bundle with it: bundles can be upgraded"
            )


def _corpora(config: Mapping[str, Any]) -> dict[str, Any]:
    # The names of the training files (not their folders, which are private and may no longer exist), and whether they
    # told lengths.
    given = (config.get("data") or {}).get("train") or []
    names = []
    given = given if isinstance(given, list) else [given]
    for one in given:
        paths = (
            [one.get(key) for key in ("path", "source", "target")]
            if isinstance(one, dict)
            else one.split(",")
        )
        names += [Path(path.strip()).name for path in paths if path]
    told = any(isinstance(one, dict) and one.get("tell_length") for one in given)
    return {**({"train": names} if names else {}), **({"told_lengths": True} if told else {})}
