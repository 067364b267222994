"""Bundles on command lines."""

from pathlib import Path


def expect_bundle(folder: str) -> None:
    """Report a mistyped folder before torch is imported, which takes seconds; the other files are checked later.

    Raises:
        BundleError: there is no bundle, or its configuration cannot be used.
    """
    from s2s.inference.bundle_config import read_config

    read_config(Path(folder))
