"""What runs in a peer's own environment, whichever the peer: a function of its file, its log, its translations timed.

    PYTHONPATH=benchmarks python -P -m peers.process PEER FUNCTION OPTIONS RESULT

Called so by measure.py, with the options in JSON and the name of the JSON file to write. Of packages only torch is
there in every environment.
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
    """A list that grows with what the peer logs: the number in the first group of `pattern`, wherever it is found."""
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
    """Translates all sentences several times, in their order, after a batch to warm up.

    Args:
        translate: what is timed, a call of it for each batch.
        sentences: as `translate` wants them.
        batch: sentences in the first call, and in every other if there is no `at_once`.
        at_once: sentences in a call, for a peer that makes the batches itself.
        samples: repetitions; with 0 the outputs are those of the first call.
        seconds: none is begun after so many.

    Returns:
        `seconds` of each repetition, and of the last one `seconds_per_batch` and `outputs`.
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
