"""Checkpoints of training, as far as they can be trusted: read by torch's loader of weights, which executes nothing."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from s2s.errors import BundleError
from s2s.untrusted import ordinary

_ENTRIES: dict[str, type] = {"state_dict": dict, "epoch": int, "global_step": int}
_MAYBE: dict[str, type] = {"versions": dict, "scores": list}


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What `s2s fit` saved, its tensors mapped and not read.

    Raises:
        BundleError: it is damaged, or something else.
    """
    try:
        _check_packing(path)
        saved = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # what torch raises for spoilt files has no class in common
        raise BundleError(
            f"{path} is damaged, or no checkpoint of `s2s fit`: {type(error).__name__}: {_reason(str(error))}; go on "
            "with another checkpoint of the run, or get it again"
        ) from error
    whole = isinstance(saved, dict) and all(
        isinstance(saved.get(key), kind) for key, kind in _ENTRIES.items()
    )
    if not whole:
        raise BundleError(f"{path} is no checkpoint of `s2s fit`: it has no weights, epoch and step")
    fits = all(isinstance(saved.get(key, kind()), kind) for key, kind in _MAYBE.items())
    if not fits or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in saved["state_dict"].items()
    ):
        raise BundleError(
            f"{path} is damaged: what it holds under its names is not what `s2s fit` saves; get it again"
        )
    return dict(saved)


def _reason(message: str) -> str:
    # torch begins with advice to load it unsafely, which nobody should take.
    lines = [line.strip() for line in message.split("\n") if "Weights only load failed" not in line]
    return next((line for line in lines if line and "weights_only" not in line), "not what torch saves")[:200]


def _check_packing(path: Path) -> None:
    """Small files that unpack to large ones are none of torch's, which packs nothing.

    Raises:
        OSError: it is no ordinary file.
        ValueError: it is packed, or no archive.
    """
    with ordinary(path) as file:
        try:
            records = zipfile.ZipFile(file).infolist()
        except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError) as error:
            raise ValueError(f"no archive of torch ({error})") from error
    if packed := [one.filename for one in records if one.compress_type or one.file_size != one.compress_size]:
        raise ValueError(f"{packed[0]} in it is packed, which torch never does")
