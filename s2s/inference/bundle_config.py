"""The configuration of a bundle. Nothing here needs torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from s2s.errors import BundleError
from s2s.inference.exported import is_exported
from s2s.inference.shipped import Shipped

FORMAT = 1
"""Version of a bundle's layout; increased when an older s2s could not read what a newer one writes."""

CONFIG, WEIGHTS = "config.json", "weights.safetensors"
BUNDLE = Shipped("bundle", CONFIG, FORMAT, ("s2s_version", "model", "sha256"), (WEIGHTS,), "s2s fit")


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration of a bundle, its own checksum verified; the other files are not checked.

    Raises:
        BundleError: there is no bundle, or it is damaged, altered or made by a newer version.
    """
    if is_exported(folder) and not (folder / CONFIG).exists():
        raise BundleError(
            f"{folder} was written by s2s export: it is for `s2s translate`, `s2s summarize` and s2s.OnnxTranslator; "
            "everything else needs the bundle that it was exported from"
        )
    return BUNDLE.read_config(folder)
