"""Fine-tuning: training that starts from the weights, tokenizers and labels of a bundle, on other data."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from s2s.errors import ConfigError
from s2s.inference.architectures import ENTRY, architecture, name_of
from s2s.inference.bundle_config import read_config
from s2s.inference.model_bundle import ModelBundle, build, load_model_bundle
from s2s.registry.parts import factory
from s2s.text.tokenizer import Tokenizer

Model = TypeVar("Model", bound=nn.Module)

_SHOWN = 5


def begun_from(folder: str, wanted: type[Model]) -> ModelBundle[Model]:
    """The bundle that training starts from.

    Args:
        folder: as `model.start_from` names it.
        wanted: the class of the model that is trained.

    Raises:
        BundleError: there is none, or it cannot be used here.
        ConfigError: it holds a model of another kind.
    """
    config = read_config(Path(folder))
    found, ours = config.get(ENTRY, "Seq2Seq"), name_of(wanted)
    if found != ours:
        raise ConfigError(
            f"model.start_from {folder} holds {architecture(config).called}, and this task trains "
            f"{architecture({ENTRY: ours}).called}; name a bundle of one, or train with --task {found}"
        )
    return load_model_bundle(folder, wanted)


def named_tokenizers(bundle: ModelBundle[Any]) -> dict[str, tuple[Tokenizer, Callable[[], Tokenizer]]]:
    """The tokenizers of a bundle and their factories, as `PairData.use_named_tokenizers` takes them."""
    return {
        name: (tokenizer, factory("tokenizer", bundle.config[name]))
        for name, tokenizer in bundle.tokenizers.items()
    }


def model_of(
    wanted: type[Model], given: Mapping[str, Any], bundle: ModelBundle[Any] | None
) -> tuple[Model, dict[str, Any]]:
    """The model to train and its configuration: that of the bundle, or a new one.

    Args:
        wanted: its class.
        given: its configured arguments.
        bundle: the bundle that training starts from, if any.

    Raises:
        ConfigError: a new one cannot be made.
    """
    if bundle is None:
        return build(wanted, given), dict(given)
    return bundle.model.train(), dict(bundle.config["model"])


def not_used(given: Any, used: Any, path: str = "model") -> list[str]:
    """Lines that list where the configuration differs from the model, or from a tokenizer, of a bundle.

    Args:
        given: the value in the configuration.
        used: the value in the bundle.
        path: option that both are values of.
    """
    if isinstance(given, str) and isinstance(used, Mapping):  # a part without options
        given = {"class_path": given}
    if isinstance(given, Mapping) and isinstance(used, str):
        used = {"class_path": used}
    if isinstance(given, Mapping) and isinstance(used, Mapping):
        names = given.get("class_path"), used.get("class_path")
        if names[0] != names[1]:
            return not_used(*names, path)
        return [
            line
            for key in used
            for line in not_used(given.get(key), used[key], path if key == "init_args" else f"{path}.{key}")
        ]
    return [] if given == used else [f"  {path} is {used!r}; {given!r} from the configuration is not used"]


def check_labels(start_from: str, unknown: list[str], known: list[str]) -> None:
    """Check that a bundle has all labels of the training text.

    Args:
        start_from: the bundle, as `model.start_from` names it.
        unknown: labels of the training text that the tokenizer does not know.
        known: those that it knows.

    Raises:
        ConfigError: there is one that it lacks.
    """
    if not unknown:
        return

    def names(labels: list[str]) -> str:
        return ", ".join(map(repr, labels[:_SHOWN])) + (", ..." if len(labels) > _SHOWN else "")

    raise ConfigError(
        f"model.start_from {start_from} does not know these labels of data.train: {names(unknown)}; it knows "
        f"{names(known)}. Rename or leave out the unknown labels, or train from scratch, without model.start_from"
    )
