"""Output files of a test in the run folder: outputs and scores, with names that identify the test set."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

import yaml

from s2s.evaluation.metric import Score
from s2s.inference.card import command_of_this_process
from s2s.untrusted import parse_yaml, read_bytes, read_json

OWN = "test"
"""Name of the run's configured test set."""

SCORES = "scores.json"


@dataclass(frozen=True)
class ScoredSet:
    """The test set and the checkpoint of a test.

    Attributes:
        name: prefix of the names of its files: "test", or "test.flickr2017" for another set.
        test_set: `data.test`.
        checkpoint: the file of the weights; "" for those of a training run that has just ended.
        epoch: epoch of the weights, from 1.
        step: optimizer step of the weights.
    """

    name: str = OWN
    test_set: Any = None
    checkpoint: str = ""
    epoch: int = 0
    step: int = 0

    def scores_text(self, scores: Iterable[Score], files: Iterable[str] = ()) -> str:
        """The scores as JSON, with what was scored; non-finite scores are null, because JSON has no such numbers.

        Args:
            scores: of the test set.
            files: names of the other files of the test.
        """
        entries = [
            {**asdict(score), "value": score.value if math.isfinite(score.value) else None}
            for score in scores
        ]
        about = asdict(self)
        del about["name"]
        return (
            json.dumps(
                {
                    **about,
                    "command": command_of_this_process(),
                    "files": sorted(set(files)),
                    "scores": entries,
                },
                indent=2,
                ensure_ascii=False,
            )
            + "\n"
        )


def name_of(test_set: Any, own: Any, folder: Path) -> str:
    """Prefix of the names of a test's files.

    Two sets with equal file names are distinguished by their folders, or else by a number: existing files are replaced
    only by another test of the same set.

    Args:
        test_set: `data.test` of this test.
        own: that of the run's configuration.
        folder: where the files go.
    """
    if test_set == own:
        return OWN
    return next(
        name
        for name in (f"{OWN}.{label}" for label in _labels(test_set))
        if _is_free(folder / f"{name}.{SCORES}", test_set)
    )


def files_of_tests(folder: Path) -> list[Path]:
    """The files that tests have written into a folder: those with scores, and the others that these name.

    Other files stay, whatever their names: data may lie in the folder as `test.en`.
    """
    found = []
    for scores in sorted(folder.glob(f"{OWN}.*")):
        name = scores.name.removesuffix(SCORES)
        if name == scores.name:
            continue
        try:
            files = [str(file) for file in read_json(scores)["files"]]
        except (OSError, ValueError, LookupError, TypeError):
            continue
        found += [scores, *(folder / file for file in files if file.startswith(name) and "/" not in file)]
    return found


def set_of_run(folder: Path) -> Any:
    """`data.test` of the run in a folder; None if it is not set, or the configuration cannot be read."""
    try:
        return parse_yaml(read_bytes(folder / "config.yaml"))["data"]["test"]
    except (OSError, ValueError, LookupError, TypeError, yaml.YAMLError):
        return None


def _labels(test_set: Any) -> Iterator[str]:
    """Names of a set, the plainest first."""
    first = test_set[0] if isinstance(test_set, list) and test_set else test_set
    if isinstance(first, Mapping):
        first = first.get("path") or first.get("source")
    if isinstance(first, str):
        file = Path(first.partition(",")[0].removesuffix(".gz")).resolve()
        plain = file.stem
        yield plain
        yield f"{file.parent.name}.{plain}"
    else:  # so many time steps
        plain = str(first)
        yield plain
    for number in count(2):
        yield f"{plain}-{number}"


def _is_free(scores: Path, test_set: Any) -> bool:
    """Whether a name is not used by another set."""
    if not scores.exists():
        return True
    try:
        return bool(read_json(scores)["test_set"] == test_set)
    except (OSError, ValueError, LookupError, TypeError):
        return False
