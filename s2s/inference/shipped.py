"""Folders that are shared with others, and verified when they are read: bundles and exports.

Nothing here needs torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s2s import __version__
from s2s.errors import BundleError
from s2s.inference import checksums
from s2s.registry.parts import Spec, factory
from s2s.text.tokenizer import Tokenizer
from s2s.untrusted import read_json

LIMIT = "max_output_tokens"
"""Optional entry of a configuration: the recommended maximum output length in tokens, as in validation."""

_TOKENIZERS = {
    "tokenizer": ("source_vocabulary_size", "target_vocabulary_size", "vocabulary_size"),
    "source_tokenizer": ("source_vocabulary_size",),
    "target_tokenizer": ("target_vocabulary_size",),
    "piece_tokenizer": ("piece_vocabulary_size",),
}
"""Entries of a configuration that name tokenizers, each also a folder name, and the model entries for their sizes."""

_TYPES: dict[str, type] = {
    **dict.fromkeys(
        ("s2s_version", "task", "architecture", "precision", "config_sha256", "card_sha256"), str
    ),
    **dict.fromkeys(("model", "sha256", "training", "card", "graphs"), dict),
    "scores": list,
}
"""Types of the entries of a configuration, if present."""
_CALLED: dict[type, str] = {str: "text", dict: "a mapping", list: "a list"}


@dataclass(frozen=True)
class Shipped:
    """A kind of folder.

    Attributes:
        name: what it is called.
        config: the JSON file of its configuration.
        format: version of its layout; increased when an older s2s could not read what a newer one writes.
        entries: required entries of its configuration.
        files: required files, besides those that the configuration names.
        command: the command that makes one.
    """

    name: str
    config: str
    format: int
    entries: tuple[str, ...]
    files: tuple[str, ...]
    command: str

    @property
    def again(self) -> str:
        """The remedy for a damaged one."""
        return f"get the {self.name} again, or write it again with: {self.command}"

    def read_config(self, folder: Path) -> dict[str, Any]:
        """The configuration of a folder, its own checksum verified; the other files are not checked.

        Raises:
            BundleError: there is no such folder, or it is damaged, altered or made by a newer version.
        """
        if not folder.exists():
            raise BundleError(f"there is no {self.name} at {folder}; make one with: {self.command}")
        if not folder.is_dir():
            raise BundleError(
                f"{folder} is a file; {_article(self.name)} is a folder with {self.config}, as `{self.command}` "
                "writes it"
            )
        path = folder / self.config
        try:
            config: dict[str, Any] = read_json(path)
        except FileNotFoundError as error:
            within = folder / self.name
            remedy = (
                f"did you mean {within}?"
                if (within / self.config).is_file()
                else f"make one with: {self.command}"
            )
            raise BundleError(f"{folder} is no {self.name}: it has no {self.config}; {remedy}") from error
        except (OSError, ValueError) as error:
            raise BundleError(f"{path} cannot be read ({error}); {self.again}") from error
        version = config.get("format") if isinstance(config, dict) else None
        if not isinstance(version, int) or version < 1:
            raise BundleError(
                f"{path} is no configuration of {_article(self.name)}: it states no format; {self.again}"
            )
        if version > self.format:
            raise BundleError(
                f"{folder} was made by a newer s2s ({config.get('s2s_version', 'unknown')}; format {version}, "
                f"this s2s {__version__} reads up to {self.format}); install a newer s2s: "
                "pip install --upgrade FOLDER_OF_ITS_CHECKOUT"
            )
        if checksums.is_altered(config):
            raise BundleError(
                f"{path} has been altered: its checksum is not the one that it states; {self.again}. "
                f"If you changed it yourself, take the entry {checksums.OWN} out of it"
            )
        missing = [key for key in self.entries if key not in config]
        if missing:
            raise BundleError(f"{path} lacks {', '.join(missing)}; {self.again}")
        for key, kind in _TYPES.items():
            if key in config and not isinstance(config[key], kind):
                raise BundleError(
                    f"{path}: {key} is {repr(config[key])[:60]}, not {_CALLED[kind]}; {self.again}"
                )
        limit = config.get(LIMIT, 1)
        if type(limit) is not int or limit < 1:
            raise BundleError(
                f"{path}: {LIMIT} is {limit!r:.60}, but it must be a whole number of at least 1; {self.again}"
            )
        return config

    def check_files(self, folder: Path, config: Mapping[str, Any]) -> None:
        """Check that the files of a folder are unchanged.

        Raises:
            BundleError: one is missing, truncated or altered, or is not in the folder.
        """
        for name, expected in {**dict.fromkeys(self.files), **config["sha256"]}.items():
            path = folder / name
            try:
                inside, whole = path.resolve().is_relative_to(folder.resolve()), path.is_file()
            except (
                OSError,
                ValueError,
                RuntimeError,
            ) as error:  # impossible file names, or circular links
                raise BundleError(
                    f"{folder / self.config} names a file that cannot be: {name[:60]!r} ({error}); {self.again}"
                ) from error
            if not inside:
                raise BundleError(
                    f"{folder / self.config} names a file outside of the {self.name}: {name}; do not use it"
                )
            if not whole:
                raise BundleError(f"{folder} is incomplete: {name} is missing; {self.again}")
            if expected is not None and checksums.of_file(path) != expected:
                raise BundleError(
                    f"{path} is damaged: its checksum is not the one in {self.config}; {self.again}"
                )
        # Files that are read besides these must not lead outside, either.
        for tokenizer in filter(config.__contains__, _TOKENIZERS):
            for path in [folder / tokenizer, *(folder / tokenizer).rglob("*")]:
                if path.is_symlink() and not _leads_inside(path, folder):
                    raise BundleError(f"{path} leads outside of the {self.name}; do not use it")

    def check_place(self, folder: Path) -> None:
        """Check that a folder may be written there: the place is free, or has a folder of this kind to be replaced.

        Raises:
            BundleError: there is something else.
        """
        if (
            folder.exists()
            and not (folder / self.config).is_file()
            and (folder.is_file() or any(folder.iterdir()))
        ):
            raise BundleError(
                f"{folder} exists and is no {self.name}; it is left alone. Choose another folder or remove it"
            )

    def write_config(self, folder: Path, config: Mapping[str, Any]) -> None:
        """Write the configuration, with its checksum."""
        text = json.dumps(checksums.signed(config), indent=2, ensure_ascii=False)
        (folder / self.config).write_text(f"{text}\n", encoding="utf-8")

    def load_tokenizers(self, folder: Path, config: Mapping[str, Any]) -> dict[str, Tokenizer]:
        """The tokenizers that the configuration names: one, one for each side, or none.

        Raises:
            BundleError: the vocabulary of one does not fit the model.
            ConfigError: an unknown tokenizer or option.
            DataError: the files of one are damaged.
            PluginError: one cannot be imported.
        """
        tokenizers = {}
        for name, sizes in _TOKENIZERS.items():
            if name not in config:
                continue
            tokenizer = tokenizers[name] = _load_tokenizer(folder / name, config[name])
            for size in sizes:
                expected = config["model"].get(size, tokenizer.vocabulary_size)
                if tokenizer.vocabulary_size != expected:
                    side = size.removesuffix("vocabulary_size").strip("_")
                    raise BundleError(
                        f"{folder}: the {f'{side} tokenizer'.strip()} has {tokenizer.vocabulary_size} tokens, "
                        f"the model {expected}; {self.again}"
                    )
        return tokenizers

    def of_both_sides(self, folder: Path, config: Mapping[str, Any]) -> tuple[Tokenizer, Tokenizer]:
        """The tokenizers of source and target; the same object if both sides share one.

        Raises:
            BundleError: one is missing, or its vocabulary does not fit the model.
            ConfigError: an unknown tokenizer or option.
            DataError: the files of one are damaged.
            PluginError: one cannot be imported.
        """
        tokenizers = self.load_tokenizers(folder, config)
        return self.sides(folder, tokenizers)

    def sides(self, folder: Path, tokenizers: Mapping[str, Tokenizer]) -> tuple[Tokenizer, Tokenizer]:
        """The source and the target tokenizer among these.

        Raises:
            BundleError: there is not one for each side.
        """
        joint = tokenizers.get("tokenizer")
        names = ["source_tokenizer", "target_tokenizer"]
        if joint is not None:
            return joint, joint
        if missing := [name for name in names if name not in tokenizers]:
            raise BundleError(f"{folder / self.config} lacks {', '.join(missing)}; {self.again}")
        return tokenizers[names[0]], tokenizers[names[1]]


def _load_tokenizer(folder: Path, spec: Spec) -> Tokenizer:
    tokenizer: Tokenizer = factory("tokenizer", spec)()
    tokenizer.load(folder)
    return tokenizer


def _leads_inside(path: Path, folder: Path) -> bool:
    try:
        return path.resolve(strict=True).is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a broken or circular link
        return False


def _article(name: str) -> str:
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
