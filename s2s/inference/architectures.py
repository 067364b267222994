"""The architectures that a bundle may hold, and the commands for each."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from s2s.errors import BundleError, ConfigError


class Architecture(NamedTuple):
    """A kind of model.

    Attributes:
        model: its class, "package.module:Class"; a configuration gives the arguments of its constructor.
        called: its name in messages.
        uses: example commands for a bundle of it.
    """

    model: str
    called: str
    uses: tuple[str, ...]


ARCHITECTURES = {
    "LanguageModel": Architecture(
        "s2s.nn.language_model:LanguageModel",
        "a recurrent language model",
        ("s2s generate {bundle} --prompt 'How it begins'", "s2s score {bundle} text.txt"),
    ),
    "Seq2Seq": Architecture(
        "s2s.nn.seq2seq:Seq2Seq",
        "a recurrent encoder-decoder model",
        ("s2s translate {bundle} < source.txt > target.txt",),
    ),
    "SequenceClassification": Architecture(
        "s2s.nn.classifier:SequenceClassifier",
        "a sequence classifier",
        ("s2s classify {bundle} < texts.txt > classes.txt",),
    ),
    "Forecast": Architecture(
        "s2s.nn.forecaster:ForecastModel",
        "a recurrent model of series",
        ("s2s forecast {bundle} series.csv --steps 12 > forecast.csv",),
    ),
    "SequenceLabelling": Architecture(
        "s2s.nn.labeller:SequenceLabeller",
        "a recurrent labeller of words",
        ("s2s label {bundle} < words.txt > labels.txt", "s2s label {bundle} words.conllu > labelled.conllu"),
    ),
}
"""By name, which is that of the built-in task that trains it. Other tasks may train them, too."""

ENTRY = "architecture"
"""Entry of a bundle's configuration; missing in bundles from when there was only one architecture."""


def architecture(config: Mapping[str, Any]) -> Architecture:
    """The architecture that a bundle's configuration states; `Seq2Seq` if it states none."""
    return ARCHITECTURES[config.get(ENTRY, "Seq2Seq")]


def model_class(folder: Path, config: Mapping[str, Any]) -> Any:
    """The class of the model that a bundle holds.

    Raises:
        BundleError: this s2s does not know it.
    """
    module, _, name = _known(folder, config).model.partition(":")
    return getattr(import_module(module), name)


def name_of(model: type) -> str:
    """The name of the architecture of a class.

    Raises:
        ConfigError: it has none.
    """
    path = f"{model.__module__}:{model.__qualname__}"
    for name, one in ARCHITECTURES.items():
        if one.model == path:
            return name
    known = ", ".join(one.model for one in ARCHITECTURES.values())
    raise ConfigError(f"a bundle cannot hold a {path}; it can hold {known}")


def check_architecture(folder: Path, config: Mapping[str, Any], wanted: type) -> None:
    """Check that a bundle holds a model of the wanted architecture.

    Raises:
        BundleError: it holds another one, or one that this s2s does not know.
    """
    found = _known(folder, config)
    if found.model != f"{wanted.__module__}:{wanted.__qualname__}":
        use = found.uses[0].format(bundle=folder)
        raise BundleError(f"{folder} holds {found.called}; use it with: {use}")


def _known(folder: Path, config: Mapping[str, Any]) -> Architecture:
    name = config.get(ENTRY, "Seq2Seq")
    if not isinstance(name, str) or name not in ARCHITECTURES:
        raise BundleError(
            f"{folder} holds a model of the architecture {name!r}, which this s2s does not know; it knows "
            f"{', '.join(ARCHITECTURES)}. Install a newer s2s: pip install --upgrade FOLDER_OF_ITS_CHECKOUT"
        )
    return ARCHITECTURES[name]
