"""Code shared by all peers' environments: runs a function of a peer's file, reads its log, times its translations.

    PYTHONPATH=benchmarks python -P -m peers.process PEER FUNCTION OPTIONS RESULT

Called like this by measure.py, with the options in JSON and the name of the JSON file to write. The only package
available in every environment is torch.
"""

import importlib
import json
import logging
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from machine import peak_mebibytes

Sentence = TypeVar("Sentence")


def source(work: str, sentences: int) -> list[str]:
    """The first `sentences` of the test split, as lines of pieces."""
    return Path(work, "test.pieces.en").read_text(encoding="utf-8").splitlines()[:sentences]


def logged(logger: logging.Logger, pattern: str) -> list[float]:
    """A list that grows as the peer logs: the number in the first group of `pattern`, wherever it matches."""
    figures: list[float] = []

    def read(record: logging.LogRecord) -> bool:
        if found := re.search(pattern, record.getMessage()):
            figures.append(float(found[1]))
        return True

    logger.addFilter(read)
    return figures


def timed(
    translate: Callable[[list[Sentence]], list[str]],
    sentences: list[Sentence],
    *,
    batch: int,
    at_once: int | None = None,
    samples: int,
    seconds: float,
) -> dict[str, Any]:
    """Translates all sentences several times, in order, after a warm-up batch.

    Args:
        translate: the timed function, called once per batch.
        sentences: in the form that `translate` takes.
        batch: sentences in the first call, and in all others without `at_once`.
        at_once: sentences in a call, for a peer that makes the batches itself.
        samples: repetitions; with 0 the outputs are those of the first call.
        seconds: no repetition is started after that many.

    Returns:
        `seconds` of each repetition, and `seconds_per_batch` and `outputs` of the last one.
    """
    step = at_once or batch
    outputs = translate(sentences[:batch])
    taken: list[float] = []
    latencies: list[float] = []
    while len(taken) < samples and sum(taken) < seconds:
        outputs, latencies = [], []
        for start in range(0, len(sentences), step):
            began = time.perf_counter()
            outputs += translate(sentences[start : start + step])
            latencies.append(time.perf_counter() - began)
        taken.append(sum(latencies))
    return {"seconds": taken, "seconds_per_batch": latencies, "outputs": outputs}


def main() -> None:
    import torch

    peer, function, options, result = sys.argv[1:]
    measured = getattr(importlib.import_module(f"peers.{peer}"), function)(**json.loads(options))
    about = {"torch": torch.__version__, "peak_memory_mib": peak_mebibytes()}
    Path(result).write_text(json.dumps({**about, **measured}))


if __name__ == "__main__":
    main()
