"""Every reader of files is given files that are almost valid.

With atheris installed (`make soak` does) inputs are coverage-guided; it takes over a process, so each attempt is a
child process. Without it, and in CI, they are random mutations, in this process.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

from soak.attack import Attack, Broken, Outcome
from soak.mutated_contents import mutated
from soak.readers import Reader, read, readers

BLIND = 25
"""Inputs per attempt in CI."""
LONGEST_INPUT = 2**14
"""Bytes of coverage-guided inputs; some random ones have 200,000."""
MOST_MEBIBYTES = 4096
"""Maximum memory of a reader; a child process with a bundle loaded needs about 500."""
SECONDS = 1800


class FuzzedReaders(Attack):
    name = "fuzzed-readers"
    promise = (
        "Whatever stands in a file, its reader reads it or refuses it with an error that names it: corpora, series, "
        "vectors, bundles, tokenizers, token stores, configurations."
    )
    units = "files"

    def __init__(self) -> None:
        self._names = [*readers()]
        self.short = len(self._names)
        self.attempts = 3 * len(self._names)

    def prepare(self, folder: Path) -> None:
        pass

    def attempt(self, number: int, folder: Path) -> Outcome:
        # CI runs the first turn of each reader, without coverage; later turns are coverage-guided.
        name, turn = self._names[number % len(self._names)], number // len(self._names)
        if turn == 0 or importlib.util.find_spec("atheris") is None:
            counts = _blind(name, number, folder, BLIND if turn == 0 else readers()[name].inputs)
            return Outcome(Counter({f"{what}, drawn blindly": count for what, count in counts.items()}))
        counts = _in_child(name, number, folder)
        return Outcome(Counter({f"{what}, led by coverage": count for what, count in counts.items()}))


def _blind(name: str, seed: int, folder: Path, inputs: int) -> Counter[str]:
    reader = readers()[name]
    seeds = reader.prepare(folder)
    generator = random.Random(seed)
    contents = [*seeds, *(mutated(seeds, generator) for _ in range(inputs - len(seeds)))]
    return Counter(_tried(name, reader, folder, content) for content in contents)


def _tried(name: str, reader: Reader, folder: Path, content: bytes) -> str:
    try:
        return read(reader, folder, content)
    except Broken as broken:
        told = base64.b64encode(content[:3000]).decode()
        raise Broken(f"{name}: {broken}; {len(content)} bytes, in base64: {told}") from (
            broken.__cause__ or broken
        )


def _in_child(name: str, seed: int, folder: Path) -> Counter[str]:
    result = folder / "result.json"
    command = [
        sys.executable,
        "-m",
        "soak.fuzzed_readers",
        name,
        str(seed),
        str(folder),
        str(readers()[name].inputs),
    ]
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(
        command, cwd=root, capture_output=True, text=True, timeout=SECONDS, errors="replace"
    )
    if not result.is_file():
        raise Broken(
            f"{name}, seed {seed}: the process ended with {done.returncode}: {(done.stdout + done.stderr)[-2000:]}"
        )
    told = json.loads(result.read_text(encoding="utf-8"))
    if told["broken"]:
        raise Broken(told["broken"])
    return Counter(told["counts"])


def _led(name: str, seed: int, folder: Path, inputs: int) -> None:
    """Run in a separate process; writes result.json, and never returns."""
    import atheris

    with atheris.instrument_imports(include=["s2s", "s2s_plugins", "json", "csv", "gzip", "yaml"]):
        import s2s.inference.bundle  # noqa: F401  (with everything that readers need, or it is not instrumented)
        import s2s.training.options  # noqa: F401

        reader = readers()[name]
        inside = folder / "files"
        inside.mkdir()
        seeds = reader.prepare(inside)
        for content in seeds:
            read(reader, inside, content)  # imports the rest
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, content in enumerate(seeds):
        (corpus / str(number)).write_bytes(content)
    counts: Counter[str] = Counter()

    def one_input(content: bytes) -> None:
        broken = ""
        try:
            counts[_tried(name, reader, inside, content)] += 1
        except Broken as error:
            broken = str(error)
        if broken or counts.total() >= inputs:
            told = json.dumps({"counts": counts, "broken": broken})
            (folder / "result.json").write_text(told, encoding="utf-8")
            os._exit(0)

    def mutate(content: bytes, most: int, seed: int) -> bytes:
        generator = random.Random(seed)
        if generator.random() < 0.5:
            return mutated([content, *seeds[:1]], generator)[:most]
        led: bytes = atheris.Mutate(content, most)
        return led

    options = [
        f"-seed={seed + 1}",  # 0 means a random seed
        f"-max_len={LONGEST_INPUT}",
        f"-rss_limit_mb={MOST_MEBIBYTES}",
        "-timeout=60",
        f"-artifact_prefix={folder}/",
        str(corpus),
    ]
    atheris.Setup([sys.argv[0], *options], one_input, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    _led(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
