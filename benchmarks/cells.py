"""Comparison of all registered cells, with equal parameter counts and equal updates.

    python benchmarks/cells.py                   everything, into results/cells.json; hours, resumable
    python benchmarks/cells.py quality [CELL …]  BLEU after training on each corpus; may run beside other work
    python benchmarks/cells.py speed             training and decoding speed and memory; needs an idle machine
    python benchmarks/cells.py table             the table and the plot of docs/cells.md, from the results alone

Every registered cell is included; existing results are not measured again. The model is that of the recipes
(bidirectional recurrent encoder, recurrent decoder, attention), made smaller; the cells' width is chosen so that the
whole model has as many parameters as the one with LSTMs. Learning rate and dropout are the recipe's: no cell is tuned.
BLEU is greedy, on the test split, with a 95 % interval (bootstrap over sentences), overall and by source length.
"""

import gzip
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
import workload
from embedded import score
from machine import RESULTS, ROOT, peak_mebibytes, provenance, repeated
from workload import batches, build_optimizer, target_tokens, train_step

import s2s
from s2s.inference.bundle import build_model
from s2s.nn.prepared import Prepared
from s2s.padded import Padded
from s2s.registry import catalogue
from s2s.resources import locate
from s2s.search.stepper import ModelStepper
from s2s.text.tokenizer import BOS, EOS
from s2s_plugins.search.greedy import Greedy

PATH = RESULTS / "cells.json"
RUNS = Path("runs/cells")
PAGE = ROOT / "docs" / "cells.md"
BEGIN, END = "<!-- begin of the table -->", "<!-- end of the table -->"
REFERENCE, WIDTH, EMBEDDING, PIECES = "LSTM", 256, 192, 4000
LIKE = 0.01
"""Parameter counts of two models are equal if they differ by at most this share."""


class Corpus(NamedTuple):
    """Training data, number of updates, and test data; source sentences of up to `short` words count as short."""

    recipe: str
    updates: int
    test: tuple[str, str]
    short: int
    options: dict[str, Any]


CORPORA = {
    "embedded": Corpus(
        "demo",
        1200,
        ("embedded:translation/test.tsv", ""),
        10,
        {"data.batch_tokens": 2048},
    ),
    "multi30k-en-de": Corpus(
        "multi30k-en-de",
        1500,
        (
            "$S2S_DATA/multi30k/test_2016_flickr.en.gz",
            "$S2S_DATA/multi30k/test_2016_flickr.de.gz",
        ),
        12,
        {"model.warmup_steps": 200, "model.average_decay": 0},
    ),
}


def parts(cell: str, width: int) -> dict[str, Any]:
    """The parts that contain the cell, for a bundle or a recipe."""
    return {
        "embedding": {"class_path": "Lookup", "init_args": {"size": EMBEDDING, "dropout": 0.2}},
        "encoder": {
            "class_path": "Recurrent",
            "init_args": {"cell": cell, "hidden_size": width // 2, "dropout": 0.2},
        },
        "decoder": {
            "class_path": "Recurrent",
            "init_args": {"cell": cell, "hidden_size": width, "dropout": 0.2},
        },
    }


def model_config(cell: str, width: int, pieces: int = PIECES) -> dict[str, Any]:
    """The configuration of the whole model."""
    sizes = {"source_vocabulary_size": pieces, "target_vocabulary_size": pieces}
    shared = {"share_embeddings": True, "tie_head": True}  # as in the recipes
    return {**sizes, **parts(cell, width), **shared, "bridge": "Linear", "head": "Softmax"}


def parameters(cell: str, width: int) -> int:
    """Parameter count of the whole model."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build_model(model_config(cell, width)).parameters())


def width_of(cell: str) -> int:
    """The even width at which the model's parameter count is closest to that of the one with LSTMs."""
    wanted = parameters(REFERENCE, WIDTH)
    low, high = 32, 2048
    while high - low > 2:
        middle = (low + high) // 4 * 2
        low, high = (middle, high) if parameters(cell, middle) < wanted else (low, middle)
    width = min((low, high), key=lambda width: abs(parameters(cell, width) - wanted))
    assert abs(parameters(cell, width) / wanted - 1) < LIKE, (
        f"{cell}: no width has about {wanted:,} parameters"
    )
    return width


def quality(cell: str, corpus: str) -> dict[str, Any]:
    """Train, translate, score."""
    given = CORPORA[corpus]
    width = width_of(cell)
    folder = RUNS / corpus / cell
    overrides = {f"model.{name}": part for name, part in parts(cell, width).items()}
    fitted = s2s.fit(
        given.recipe,
        **overrides,
        **given.options,
        **{
            "data.tokenizer": {"class_path": "SentencePiece", "init_args": {"vocabulary_size": PIECES}},
            "trainer.max_epochs": -1,
            "trainer.max_steps": given.updates,
            "trainer.limit_val_batches": 0,
            "run_folder": str(folder),
            "overwrite": True,
        },
    )
    assert fitted.bundle is not None
    pairs = test_pairs(given)
    outputs = s2s.Translator.load(fitted.bundle).translate([source for source, _ in pairs], beam=1)
    long = [len(source.split()) > given.short for source, _ in pairs]
    rows = {"all": range(len(pairs)), "short": [i for i, one in enumerate(long) if not one]}
    rows["long"] = [i for i, one in enumerate(long) if one]
    return {
        **provenance(["python", "benchmarks/cells.py", "quality"]),
        "width": width,
        "parameters": sum(parameter.numel() for parameter in fitted.module.parameters()),
        "updates": fitted.module.trainer.global_step,
        "short_words": given.short,
        "BLEU": {
            name: score([outputs[i] for i in chosen], [pairs[i][1] for i in chosen])
            for name, chosen in rows.items()
        },
    }


def test_pairs(corpus: Corpus) -> list[tuple[str, str]]:
    """Source and target of the test split."""
    source, target = (list(_lines(path)) for path in corpus.test)
    if target:
        return list(zip(source, target, strict=True))
    return [(row[0], row[1]) for row in (line.split("\t") for line in source)]


def _lines(path: str) -> Iterator[str]:
    if path:
        with (gzip.open if path.endswith(".gz") else open)(locate(path), "rt", encoding="utf-8") as file:
            yield from (line.rstrip("\n") for line in file)


def speed(cell: str) -> dict[str, Any]:
    """One sample, in a separate process: target tokens and sentences per second, and peak memory."""
    command = [sys.executable, __file__, "child", cell]
    found: dict[str, Any] = json.loads(
        subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    )
    return found


def child(cell: str, warm_up: int = 5, steps: int = 30, sentences: int = 512) -> None:
    """What `speed` measures on Multi30k: training in the default precision of this machine, greedy search in float32.

    Outputs are as long as their sources, so that all cells do the same work and none needs training.
    """
    torch.manual_seed(0)
    model = build_model(model_config(cell, width_of(cell), pieces=workload.PIECES)).train()
    optimizer = build_optimizer(model)
    given = batches()[: warm_up + steps]
    for batch in given[:warm_up]:
        train_step(model, optimizer, batch)
    began = time.perf_counter()
    for batch in given[warm_up:]:
        train_step(model, optimizer, batch)
    trained = target_tokens(given[warm_up:]) / (time.perf_counter() - began)
    peak = peak_mebibytes()
    prepared = Prepared(model.eval())
    prepared.fold()
    sources = [batch.source for batch in batches("test")]
    translate(prepared, sources[0])
    began, done = time.perf_counter(), 0
    for source in sources:
        translate(prepared, source)
        done += len(source.lengths)
        if done >= sentences:
            break
    print(
        json.dumps(
            {
                "train_tokens_per_second": trained,
                "decode_sentences_per_second": done / (time.perf_counter() - began),
                "train_peak_mebibytes": peak,
            }
        )
    )


@torch.inference_mode()
def translate(model: Prepared, source: Padded) -> None:
    """Greedy search for outputs as long as their sources."""
    memory, state = model.encode(source)
    stepper = ModelStepper(model, source, memory)
    Greedy().search(stepper, state, bos=BOS, eos=EOS, limits=source.lengths, minimums=source.lengths)


def known() -> dict[str, Any]:
    """The existing results: {"quality": {corpus: {cell: ...}}, "speed": {...}}."""
    found: dict[str, Any] = json.loads(PATH.read_text()) if PATH.is_file() else {}
    return {"quality": {name: {} for name in CORPORA}, "speed": {}, **found}


def keep(*path: str, value: Any) -> None:
    """Add one result to the file, which is read again first, as another process may be measuring too."""
    results = known()
    place = results
    for name in path[:-1]:
        place = place.setdefault(name, {})
    place[path[-1]] = value
    PATH.write_text(json.dumps(results, indent=1) + "\n")


def main() -> None:
    words = sys.argv[1:]
    if words[:1] == ["child"]:
        return child(words[1])
    cells = [word for word in words if word in catalogue().names("cell")] or catalogue().names("cell")
    corpora = [word for word in words if word in CORPORA] or list(CORPORA)
    what = [word for word in words if word in ("quality", "speed", "table")] or ["quality", "speed"]
    if "quality" in what:
        for corpus in corpora:
            for cell in cells:
                if cell not in known()["quality"][corpus]:
                    keep("quality", corpus, cell, value=quality(cell, corpus))
    if "speed" in what:
        samples: dict[str, list[dict[str, Any]]] = {cell: [] for cell in cells}
        for _ in range(3):
            for cell in cells:
                samples[cell] += repeated(lambda cell=cell: speed(cell), 1)
        for cell in cells:
            keep(
                "speed",
                cell,
                value={**provenance(["python", "benchmarks/cells.py", "speed"]), "samples": samples[cell]},
            )
    publish(known())


def publish(results: dict[str, Any]) -> None:
    """Write the table into the page, and the plot beside it."""
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(with_table(page, results), encoding="utf-8")
    plot(results)


def with_table(page: str, results: dict[str, Any]) -> str:
    """The page with the table computed from the results."""
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{table(results)}\n{END}{after}"


def plot(results: dict[str, Any]) -> None:
    """Plot BLEU with its interval, for short and long sources, one panel per corpus."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(CORPORA), figsize=(10, 5), layout="constrained")
    for axis, corpus in zip(axes, CORPORA, strict=True):
        measured = results["quality"][corpus]
        cells = sorted(measured, key=lambda cell: measured[cell]["BLEU"]["all"]["value"])
        for shift, group, colour in (
            (0.2, "short", "tab:blue"),
            (0.0, "all", "black"),
            (-0.2, "long", "tab:orange"),
        ):
            bleu = [measured[cell]["BLEU"][group] for cell in cells]
            axis.errorbar(
                [one["value"] for one in bleu],
                [place + shift for place in range(len(cells))],
                xerr=[one["interval"] for one in bleu],
                fmt="o",
                markersize=4,
                color=colour,
                label=f"{group} sources",
            )
        axis.set_yticks(range(len(cells)), cells)
        axis.set_xlabel("BLEU, greedy, with 95 % interval")
        axis.set_title(corpus)
        axis.grid(axis="x", alpha=0.3)
    axes[0].legend(loc="upper left")
    figure.savefig(PAGE.with_suffix(".png"), dpi=110)


def table(results: dict[str, Any]) -> str:
    """The results as Markdown; speed and memory are medians, relative to the LSTM."""
    head = ["cell", "width"]
    head += [f"{corpus}: {group}" for corpus in CORPORA for group in ("all", "short", "long")]
    head += ["training", "decoding", "memory"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    cells = sorted({cell for measured in results["quality"].values() for cell in measured})
    for cell in cells:
        row = [cell, str(next(m[cell]["width"] for m in results["quality"].values() if cell in m))]
        for corpus in CORPORA:
            bleu = results["quality"][corpus].get(cell, {}).get("BLEU", {})
            row += [
                f"{bleu[g]['value']:.1f} ± {bleu[g]['interval']:.1f}" if bleu else ""
                for g in ("all", "short", "long")
            ]
        for name in ("train_tokens_per_second", "decode_sentences_per_second", "train_peak_mebibytes"):
            row.append(_of_reference(results["speed"], cell, name))
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines)


def _of_reference(measured: dict[str, Any], cell: str, name: str) -> str:
    if cell not in measured or REFERENCE not in measured:
        return ""
    figure, reference = (
        statistics.median(sample[name] for sample in measured[one]["samples"]) for one in (cell, REFERENCE)
    )
    return f"{figure / reference:.2f}"


if __name__ == "__main__":
    main()
