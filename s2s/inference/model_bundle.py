"""Bundles: a trained model with everything that is needed to use it, in a folder that can be shared.

    config.json           the model's parts by catalogue name, their versions, and the distributions that they come
                          from; checksums of the other files, and of itself
    weights.safetensors   its parameters
    shortlist.safetensors which target pieces may translate which source pieces, if `s2s shortlist` was used
    tokenizer/            the trained tokenizer; source_tokenizer/ and target_tokenizer/ if there are two
    README.md             the model card, which people may edit

Nothing in it is executed or unpickled: weights are safetensors, the rest is JSON and the tokenizers' own
model files, and a name can only refer to a class of an installed plugin.

This module writes and reads bundles of any architecture; `s2s.inference.bundle` those of encoder-decoder models.
"""

from __future__ import annotations

import inspect
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode

from s2s import __version__
from s2s.durable import durable_folder, of_one_version
from s2s.errors import BundleError, ConfigError, DataError, PluginError, S2SError
from s2s.evaluation.metric import Score
from s2s.inference import checksums
from s2s.inference.architectures import ENTRY, check_architecture, model_class, name_of
from s2s.inference.bundle_config import BUNDLE, CONFIG, FORMAT, WEIGHTS, read_config
from s2s.inference.card import Card, parameters_by_part, render
from s2s.inference.origins import DISTRIBUTIONS, check_origins, record_origins
from s2s.inference.shipped import LIMIT
from s2s.inference.sizes import no_larger_than
from s2s.inference.upgrade import VERSIONS, record, upgraded
from s2s.registry.near_names import unknown
from s2s.registry.parts import Spec, check_values, factory, nested_kinds
from s2s.text.tokenizer import Tokenizer

README = "README.md"
_DRAWS = {"normal_", "uniform_", "trunc_normal_", "kaiming_uniform_", "kaiming_normal_"}
_NOBODYS_SEED = (
    7_320_508_075_688_772  # if a part used it, too, its seeding of the generator would not be noticed
)

Model = TypeVar("Model", bound=nn.Module)


@dataclass(frozen=True)
class ModelBundle(Generic[Model]):
    """A bundle in memory.

    Attributes:
        model: in evaluation mode.
        tokenizers: by name: "tokenizer", or "source_tokenizer" and "target_tokenizer", or none.
        config: contents of config.json.
    """

    model: Model
    tokenizers: dict[str, Tokenizer]
    config: dict[str, Any]


def build(model: type[Model], config: Mapping[str, Any]) -> Model:
    """A model with newly initialized parameters.

    Args:
        model: its class.
        config: the arguments of its constructor; parts are given as specs.

    Raises:
        ConfigError: an entry is missing, unknown or invalid.
        PluginError: a part cannot be imported.
    """
    known = inspect.signature(model).parameters
    for key in config:
        if key not in known:
            raise ConfigError(unknown("entry of the model", key, known))
    missing = [key for key in known if known[key].default is inspect.Parameter.empty and key not in config]
    if missing:
        raise ConfigError(f"the model's configuration lacks {', '.join(missing)}")
    kinds = nested_kinds(model)
    check_values("the model", model, {key: value for key, value in config.items() if key not in kinds})
    return model(
        **{
            key: factory(kinds[key], value) if key in kinds and value is not None else value
            for key, value in config.items()
        }
    )


def save_model_bundle(
    folder: str | Path,
    *,
    model: nn.Module,
    model_config: Mapping[str, Any],
    tokenizers: Mapping[str, tuple[Tokenizer, Spec]],
    search: Spec | None = None,
    max_output_tokens: int | None = None,
    task: str | None = None,
    training: Mapping[str, Any] | None = None,
    scores: Sequence[Score] = (),
    card: Card | str = "",
) -> Path:
    """Write a bundle atomically, first to a temporary folder next to it; an existing bundle is replaced.

    Args:
        folder: of the new bundle.
        model: the model to save, of one of the `ARCHITECTURES`; on any device.
        model_config: the configuration from which `build` makes the same model.
        tokenizers: trained, each with its name and options; see `ModelBundle.tokenizers`.
        search: the recommended strategy, for a model that is used with a search.
        max_output_tokens: the recommended maximum output length; None: none.
        task: name of the task that trained it; None: that of the architecture.
        training: facts about the training; any JSON value.
        scores: with their signatures, for the card.
        card: the model card; a str is its description.

    Returns:
        the folder.

    Raises:
        BundleError: there is something else at that place.
        ConfigError: the configuration does not describe the model.
    """
    folder = Path(folder)
    BUNDLE.check_place(folder)
    architecture = name_of(type(model))
    weights = stored_weights(model)
    with torch.random.fork_rng(devices=[]):
        again = build(type(model), model_config)
        _check_weights(_stored(again), weights, "the model and its model_config disagree")

    with durable_folder(folder) as new:
        for name, (tokenizer, _) in tokenizers.items():
            tokenizer.save(new / name)
        save_file(weights, new / WEIGHTS)
        files = sorted(path for path in new.rglob("*") if path.is_file())
        config = {
            "format": FORMAT,
            "s2s_version": __version__,
            "task": task or architecture,
            ENTRY: architecture,
            "model": dict(model_config),
            **{name: spec for name, (_, spec) in tokenizers.items()},
            **({} if search is None else {"search": search}),
            **({} if max_output_tokens is None else {LIMIT: max_output_tokens}),
            "training": dict(training or {}),
            VERSIONS: {},
            DISTRIBUTIONS: {},
            "scores": [asdict(score) for score in scores],
            "card": asdict(Card(card) if isinstance(card, str) else card),
            "sha256": checksums.of_files(new, files),
        }
        config[VERSIONS] = record(config, model)
        config[DISTRIBUTIONS] = record_origins(config)
        file_bytes = {path.relative_to(new).as_posix(): path.stat().st_size for path in files}
        text = render(folder.name, config, parameters_by_part(model), file_bytes)
        (new / README).write_text(text, encoding="utf-8")
        config[checksums.CARD] = checksums.of_file(new / README)
        BUNDLE.write_config(new, config)
        shutil.copymode(new / README, new / WEIGHTS)  # save_file creates a file that only its owner may read
    return folder


@of_one_version
def load_model_bundle(folder: str | Path, wanted: type[Model]) -> ModelBundle[Model]:
    """Read a bundle; nothing in it is executed.

    Args:
        folder: the bundle.
        wanted: the class of its model.

    Raises:
        BundleError: a file is missing, damaged, made by a newer version or needs a plugin that is not installed; or it
            holds a model of another kind.
    """
    folder = Path(folder)
    config = read_config(folder)
    check_architecture(folder, config, wanted)
    check_files(folder, config)
    check_origins(folder, config)
    weights: dict[str, Tensor] | None
    with built_here(folder, config):
        config, weights = upgraded(folder, config, lambda: _read_weights(folder))
        shapes = _shapes(folder) if weights is None else [value.shape for value in weights.values()]
        with no_larger_than(shapes, f"{folder / WEIGHTS} does not fit {CONFIG}", BUNDLE.again):
            model = _undrawn(wanted, config["model"])
        tokenizers = BUNDLE.load_tokenizers(folder, config)
    weights = _read_weights(folder) if weights is None else weights
    try:
        _check_weights(_stored(model), weights, f"{folder / WEIGHTS} does not fit {CONFIG}")
    except ConfigError as error:
        raise BundleError(f"{error}; {BUNDLE.again}") from error
    with built_here(folder, config):
        # Not by hand: parts have hooks on loading. Not strict: shared weights would be required under each name.
        model.load_state_dict(weights, strict=False)
    return ModelBundle(model.eval(), tokenizers, config)


@of_one_version
def has_weights(folder: Path, weights: Mapping[str, Tensor]) -> bool:
    """Whether a bundle exists and has exactly these weights, bit for bit."""
    try:
        there = _read_weights(folder)
    except BundleError:
        return False
    return there.keys() == weights.keys() and all(
        value.dtype == weights[name].dtype and value.equal(weights[name].cpu())
        for name, value in there.items()
    )


@of_one_version
def load_any_bundle(folder: str | Path) -> ModelBundle[Any]:
    """`load_model_bundle`, whatever kind of model it holds."""
    return load_model_bundle(folder, model_class(Path(folder), read_config(Path(folder))))


@contextmanager
def built_here(folder: Path, config: Mapping[str, Any]) -> Iterator[None]:
    """Report errors inside the block as errors of a bundle.

    Raises:
        BundleError: what it names cannot be built.
    """
    try:
        yield
    except (ConfigError, PluginError) as error:
        raise BundleError(
            f"{folder} (made by s2s {config['s2s_version']}) cannot be built here: {str(error).rstrip('.')}. "
            "If it needs a plugin, install it or name its folder with --plugin-dir"
        ) from error
    except DataError as error:
        raise BundleError(f"{folder}: {error}; {BUNDLE.again}") from error
    except Exception as error:  # unforeseen errors of parts
        if isinstance(error, S2SError):
            raise
        raise BundleError(
            f"{folder / CONFIG} asks for impossible options: {type(error).__name__}: {error}; {BUNDLE.again}"
        ) from error


class _WithoutDrawing(TorchFunctionMode):
    """Skips the random initialization of weights, which takes longer than all the rest of loading.

    Random numbers from an explicit generator are still drawn: they are computed values, not initial weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self.undrawn: set[StorageWeakRef] = set()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in _DRAWS and not any(
            isinstance(value, torch.Generator) for value in (*args, *kwargs.values())
        ):
            tensor = args[0] if args else kwargs["tensor"]
            self.undrawn.add(_storage(tensor))
            return tensor
        if func is torch.linalg.qr and args and _storage(args[0]) in self.undrawn:  # for an orthogonal matrix
            return torch.return_types.linalg_qr((args[0], args[0]))  # type: ignore[attr-defined]
        return func(*args, **kwargs)


def _undrawn(wanted: type[Model], config: Mapping[str, Any]) -> Model:
    """The model with arbitrary values in the weights that a bundle stores; the others are as `build` makes them."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(_NOBODYS_SEED)
        before = torch.get_rng_state()
        with _WithoutDrawing() as drawing:
            model = build(wanted, config)
        stored = {_storage(tensor) for tensor in _stored(model).values()}
        left = any(not storage.expired() for storage in drawing.undrawn - stored)
        # If the generator has advanced, it was used otherwise, or seeded: then draws may be computed values, too.
        return build(wanted, config) if left or not torch.equal(torch.get_rng_state(), before) else model


def _storage(tensor: Tensor) -> StorageWeakRef:
    return StorageWeakRef(tensor.untyped_storage())


def _stored(model: nn.Module) -> dict[str, Tensor]:
    # Shared weights are stored once, under their first name: building the model ties them again.
    parameters: dict[str, Tensor] = dict(model.named_parameters())
    every_parameter = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    buffers = {name: value for name, value in model.state_dict().items() if name not in every_parameter}
    return {**parameters, **buffers}


def _check_weights(expected: Mapping[str, Tensor], given: Mapping[str, Tensor], what: str) -> None:
    missing, strange = sorted(set(expected) - set(given)), sorted(set(given) - set(expected))
    if missing or strange:
        lists = [
            f"{word} {', '.join(names[:3])}"
            for word, names in (("lacks", missing), ("has unknown", strange))
            if names
        ]
        raise ConfigError(f"{what}: it {' and '.join(lists)}")
    for name, value in expected.items():
        if value.shape != given[name].shape:
            raise ConfigError(f"{what}: {name} is {list(given[name].shape)}, not {list(value.shape)}")


def check_files(folder: Path, config: Mapping[str, Any]) -> None:
    """Check that the files of a bundle are unchanged.

    Raises:
        BundleError: one is missing, truncated or altered, or is not in the bundle.
    """
    BUNDLE.check_files(folder, config)


def _shapes(folder: Path) -> Sequence[Sequence[int]]:
    try:
        with safe_open(folder / WEIGHTS, framework="pt") as file:
            return [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise BundleError(f"{folder / WEIGHTS} is damaged ({error}); {BUNDLE.again}") from error


def stored_weights(model: nn.Module) -> dict[str, Tensor]:
    """The weights of a model that a bundle stores, by name; shared ones once."""
    return {name: value.detach().cpu().contiguous() for name, value in _stored(model).items()}


def _read_weights(folder: Path) -> dict[str, Tensor]:
    try:
        return load_file(folder / WEIGHTS)
    except (SafetensorError, OSError) as error:
        raise BundleError(f"{folder / WEIGHTS} is damaged ({error}); {BUNDLE.again}") from error
