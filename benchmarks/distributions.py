"""Dependencies of a distribution, and installed sizes."""

import importlib.metadata
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def closure(requirements: Iterable[str]) -> set[str]:
    """Names of distributions and all their installed dependencies, including those of requested extras.

    Args:
        requirements: as pip reads them, such as "jsonargparse[signatures]>=4.49".

    Raises:
        PackageNotFoundError: one of them is not installed.
    """
    found: set[tuple[str, str]] = set()
    waiting = [Requirement(one) for one in requirements]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        for extra in {"", *requirement.extras} - {known for other, known in found if other == name}:
            found.add((name, extra))
            waiting += [
                one
                for one in map(Requirement, importlib.metadata.requires(name) or ())
                if one.marker is None or one.marker.evaluate({"extra": extra})
            ]
    return {name for name, _ in found}


def installed_bytes(names: Iterable[str]) -> int:
    """Total size of all files of installed distributions."""
    return sum(
        path.stat().st_size
        for name in names
        for file in importlib.metadata.distribution(name).files or ()
        if (path := Path(str(file.locate()))).is_file()
    )


def bytes_when_installed(checkout: Path) -> int:
    """Total size of the files of the distribution built from a checkout, without dependencies."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        alone = ["--no-deps", "--no-index", "--no-build-isolation"]
        subprocess.run([*pip, *alone, "--target", folder, str(checkout)], check=True)
        return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
