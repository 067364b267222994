"""Safe reading of training checkpoints, with torch's weights-only loader, which executes nothing."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from s2s.errors import BundleError
from s2s.evaluation.metric import Score
from s2s.inference.pickled import check_pickle
from s2s.untrusted import ordinary

_ENTRIES: dict[str, type] = {"state_dict": dict, "epoch": int, "global_step": int}
_MAYBE: dict[str, type] = {"versions": dict, "scores": list, "run": dict}
_MOST_SHARED = 4  # times that weights may be named: both embeddings and the output layer can share theirs


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The checkpoint that `s2s fit` saved, its tensors memory-mapped.

    Raises:
        BundleError: it is damaged, or not such a checkpoint.
    """
    try:
        _check_packing(path)
        _check_records(path)
        saved = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch's exceptions for damaged files have no common base class
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
    if not fits or not (
        _are_weights(saved["state_dict"])
        and all(isinstance(label, str) for label in saved.get("versions", {}))
        and _are_scores(saved.get("scores", []))
        and _is_run(saved.get("run", {}))
    ):
        raise BundleError(
            f"{path} is damaged: what it holds under its names is not what `s2s fit` saves; get it again"
        )
    if sum(value.nbytes for value in saved["state_dict"].values()) > _MOST_SHARED * path.stat().st_size:
        raise BundleError(f"{path} is damaged: its weights are said to be larger than it is; get it again")
    return dict(saved)


def _are_weights(state: dict[Any, Any]) -> bool:
    return all(isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items())


def _are_scores(scores: list[Any]) -> bool:
    try:
        return all(Score(**score).figure for score in scores)
    except (TypeError, ValueError):
        return False


def _is_run(run: dict[Any, Any]) -> bool:
    """Whether it is a valid "run" entry; a Trainer without a run folder saves none."""
    config, rows = run.get("config", ""), run.get("rows", 0)
    return isinstance(config, str) and type(rows) is int and rows >= 0


def _reason(message: str) -> str:
    # torch begins with the advice to load it unsafely, which nobody should follow.
    lines = [line.strip() for line in message.split("\n") if "Weights only load failed" not in line]
    return next((line for line in lines if line and "weights_only" not in line), "not what torch saves")[:200]


def _check_packing(path: Path) -> None:
    """Refuse compressed archives, which may be decompression bombs; torch never compresses.

    Raises:
        OSError: it is not an ordinary file.
        ValueError: it is compressed, or not an archive.
    """
    with ordinary(path) as file:
        try:
            records = zipfile.ZipFile(file).infolist()
        except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError) as error:
            raise ValueError(f"no archive of torch ({error})") from error
    # What Python's reader finds in an archive, torch's need not find: see below.
    if packed := [one.filename for one in records if one.compress_type or one.file_size != one.compress_size]:
        raise ValueError(f"{packed[0]} in it is packed, which torch never does")


def _check_records(path: Path) -> None:
    """The same check for the archive as torch reads it, since a file can contain two; and a check of its pickle.

    Raises:
        ValueError: it is larger than the file, or its pickle asks for more than weights, numbers and text.
        Exception: it is damaged; raised by torch or Python.
    """
    archive = torch._C.PyTorchFileReader(str(path))
    if sum(map(archive.get_record_size, archive.get_all_records())) > path.stat().st_size:
        raise ValueError("it is packed, which torch never does")
    check_pickle(archive.get_record("data.pkl"))
