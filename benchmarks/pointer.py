"""Cost of the pointer-generator and of long sources: speed and memory against source length.

    python benchmarks/pointer.py          about ten minutes; see results/pointer.json
    python benchmarks/pointer.py quick    two lengths, few steps: a smoke test that saves nothing

The model of the other speed benchmarks with Bahdanau's attention, its softmax against the pointer-generator; random
tokens, one in twenty of them out of vocabulary. A batch has 4,096 tokens, as in the recipes: the longer the sources,
the fewer. The two heads are timed alternately. Each memory figure is from a separate process, which
trains a few steps. What segmented encoding saves is measured with SEGMENT_ROWS sources of LONGEST tokens: a single one,
the recipes' batch, takes less memory than the model and its optimizer.
"""

import json
import subprocess
import sys
import time
from functools import partial
from typing import Any

import torch
from machine import middle, peak_mebibytes, repeated, save
from workload import PIECES, SIZE, build_optimizer, model_config, train_step

from s2s.inference.bundle import build_model
from s2s.nn.prepared import Prepared
from s2s.nn.seq2seq import Seq2Seq
from s2s.padded import Padded
from s2s.search.stepper import ModelStepper
from s2s.text.batch import Batch
from s2s.text.tokenizer import BOS, EOS
from s2s_plugins.search.beam import Beam
from s2s_plugins.search.greedy import Greedy

LENGTHS = [50, 100, 200, 400, 800, 2000]
HEADS = {"softmax": "Softmax", "pointer": "PointerGenerator"}
TARGET = 50
BUDGET = 4096
OWN = 0.05
STEPS, SAMPLES = 3, 7
SEARCH_LENGTH, SEARCH_ROWS = 400, 16
SEGMENT = 250
LONGEST, SEGMENT_ROWS = 2000, 8


def model(head: str, **encoder: Any) -> Seq2Seq:
    torch.manual_seed(1)
    config = model_config()
    config["head"] = HEADS[head]
    config["decoder"]["init_args"]["attention"] = "Bahdanau"
    config["encoder"]["init_args"] |= encoder
    return build_model(config).train()


def batch(length: int, *, own_words: bool, rows: int | None = None) -> Batch:
    """Random tokens; source words outside the vocabulary are numbered from its size on."""
    generator = torch.Generator().manual_seed(length)
    rows = rows or max(1, BUDGET // (length + TARGET))

    def drawn(time: int) -> torch.Tensor:
        ids = torch.randint(4, PIECES, (rows, time), generator=generator)
        own = torch.rand(rows, time, generator=generator) < OWN
        words = torch.randint(PIECES, PIECES + max(1, int(length * OWN)), (rows, time), generator=generator)
        return torch.where(own, words, ids) if own_words else ids

    target = drawn(TARGET)
    target[:, 0], target[:, -1] = BOS, EOS
    return Batch(
        Padded(drawn(length), torch.full((rows,), length)),
        Padded(target, torch.full((rows,), TARGET)),
        torch.arange(rows),
    )


def training(length: int, steps: int, samples: int) -> dict[str, Any]:
    """Seconds per target token with each head."""
    made = {}
    for head in HEADS:
        one = model(head)
        made[head] = one, build_optimizer(one), batch(length, own_words=head == "pointer")
        train_step(*made[head])

    def both() -> dict[str, Any]:
        seconds = {}
        for head, given in made.items():
            began = time.perf_counter()
            for _ in range(steps):
                train_step(*given)
            tokens = steps * int(given[2].gold.lengths.sum())
            seconds[f"{head}_seconds_per_token"] = (time.perf_counter() - began) / tokens
        return seconds

    return {"rows": len(made["softmax"][2].lines), "samples": repeated(both, samples)}


@torch.inference_mode()
def searching(beam: int, samples: int) -> dict[str, Any]:
    """Seconds of a search over SEARCH_ROWS sources of SEARCH_LENGTH tokens; untrained models that never stop."""
    made = {}
    for head in HEADS:
        prepared = Prepared(model(head).eval())
        prepared.fold()
        made[head] = prepared, batch(SEARCH_LENGTH, own_words=head == "pointer", rows=SEARCH_ROWS).source
    strategy = Greedy() if beam == 1 else Beam(beam)
    limits = torch.full((SEARCH_ROWS,), TARGET)

    def both() -> dict[str, Any]:
        seconds = {}
        for head, (prepared, source) in made.items():
            began = time.perf_counter()
            memory, state = prepared.encode(source)
            stepper = ModelStepper(prepared, source, memory)
            strategy.search(stepper, state, bos=BOS, eos=EOS, limits=limits, minimums=limits)
            seconds[f"{head}_seconds"] = time.perf_counter() - began
        return seconds

    both()
    return {"samples": repeated(both, samples)}


def memory(head: str, length: str, rows: str = "", encoder: str = "{}") -> dict[str, Any]:
    """Peak memory of a process that trains STEPS steps, and the seconds of the last step."""
    one = model(head, **json.loads(encoder))
    given = batch(int(length), own_words=head == "pointer", rows=int(rows) if rows else None)
    optimizer, began = build_optimizer(one), 0.0
    for _ in range(STEPS):
        began = time.perf_counter()
        train_step(one, optimizer, given)
    return {
        "mebibytes": peak_mebibytes(),
        "step_seconds": time.perf_counter() - began,
        "rows": len(given.lines),
    }


def in_process(*arguments: str) -> dict[str, Any]:
    """Run `memory` in a separate process."""
    command = [sys.executable, __file__, "memory", *arguments]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found


def main() -> None:
    if sys.argv[1:2] == ["memory"]:
        print(json.dumps(memory(*sys.argv[2:])))
        return
    quick = sys.argv[1:] == ["quick"]
    lengths, steps, samples = ([100, 400], 1, 3) if quick else (LENGTHS, STEPS, SAMPLES)
    measured: dict[str, Any] = {
        "target": TARGET,
        "budget": BUDGET,
        "size": SIZE,
        "segment": SEGMENT,
        "training": {},
        "memory": {},
    }
    for length in lengths:
        measured["training"][str(length)] = found = training(length, steps, samples)
        print(length, {head: 1e6 * middle(found["samples"], partial(of, head)) for head in HEADS}, flush=True)
    measured["search"] = {str(beam): searching(beam, samples) for beam in (1, 5)}
    for beam, found in measured["search"].items():
        print("beam", beam, found["samples"][-1], flush=True)
    for length in lengths:
        measured["memory"][str(length)] = {head: in_process(head, str(length)) for head in HEADS}
    ways = [None, "checkpointed"] if quick else [None, "checkpointed", "truncated", "last"]
    measured["segments"] = {}
    for way in ways:
        options = {} if way is None else {"segment_length": SEGMENT, "segment_gradients": way}
        found = in_process("pointer", str(LONGEST), str(SEGMENT_ROWS), json.dumps(options))
        measured["segments"][way or "in one piece"] = found
    print(json.dumps({"memory": measured["memory"], "segments": measured["segments"]}))
    if not quick:
        save("pointer", measured, ["python", "benchmarks/pointer.py"])


def of(head: str, sample: dict[str, Any]) -> float:
    return float(sample[f"{head}_seconds_per_token"])


if __name__ == "__main__":
    main()
