"""Ablations on the embedded corpus: attention against a fixed vector, cell against cell, short against long.

    python benchmarks/embedded.py [VARIANT ...]

Trains the demo recipe, with a quarter of its batch size, with each variant (equal sizes, equal batches and updates),
translates the test split with beam 5 and scores it, overall and by source length, with 95 % intervals (bootstrap over
sentences). Writes results/embedded.json; resumable: existing variants are not trained again.
"""

import json
import sys
from pathlib import Path
from typing import Any

from machine import provenance

import s2s
from s2s.resources import locate
from s2s_plugins.metrics.bleu import BLEU

RESULTS = Path(__file__).resolve().parent / "results" / "embedded.json"
TRAINING = {"data.batch_tokens": 1024}
VARIANTS: dict[str, dict[str, Any]] = {
    "LSTM, attention": {},
    "LSTM, no attention": {"model.decoder.attention": None},
    "GRU, no attention": {
        "model.encoder.cell": "GRU",
        "model.decoder.cell": "GRU",
        "model.decoder.attention": None,
    },
    "Elman, no attention": {
        "model.encoder.cell": "Elman",
        "model.decoder.cell": "Elman",
        "model.decoder.attention": None,
    },
}
LENGTHS = [(3, 8), (9, 14), (15, 40)]
"""Source length in words, first and last of each group."""


def main() -> None:
    for name in sys.argv[1:] or VARIANTS:
        if name not in known():
            measured = measure(name, VARIANTS[name])
            results = {**known(), name: measured}  # read again: another process may measure another variant
            ordered = {variant: results[variant] for variant in VARIANTS if variant in results}
            RESULTS.write_text(json.dumps(ordered, indent=1) + "\n")
    print(table(known()))


def known() -> dict[str, Any]:
    """The existing results."""
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    return results


def measure(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Train and score one variant."""
    folder = f"runs/embedded/{name.lower().replace(', ', '-').replace(' ', '-')}"
    fitted = s2s.fit("demo", **{"run_folder": folder, **TRAINING, **options})
    with open(locate("embedded:translation/test.tsv"), encoding="utf-8") as file:
        pairs = [line.rstrip("\n").split("\t") for line in file]
    assert fitted.bundle is not None
    outputs = s2s.Translator.load(fitted.bundle).translate([source for source, _ in pairs])
    scored = {"all": score(outputs, [target for _, target in pairs])}
    for first, last in LENGTHS:
        chosen = [i for i, (source, _) in enumerate(pairs) if first <= len(source.split()) <= last]
        scored[f"{first}-{last} words"] = score([outputs[i] for i in chosen], [pairs[i][1] for i in chosen])
    return {
        **provenance(["python", "benchmarks/embedded.py"]),
        "options": {**TRAINING, **options},
        "updates": fitted.module.trainer.global_step,
        "parameters": sum(parameter.numel() for parameter in fitted.module.parameters()),
        "BLEU": scored,
    }


def score(outputs: list[str], references: list[str]) -> dict[str, Any]:
    """BLEU with its interval and signature."""
    measured = BLEU(resamples=1000).score(outputs, [references])
    return {
        "value": round(measured.value, 2),
        "interval": round(measured.confidence or 0.0, 2),
        "sentences": measured.sentences,
        "signature": measured.signature,
    }


def table(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    groups = ["all", *(f"{first}-{last} words" for first, last in LENGTHS)]
    lines = [
        f"| | parameters | updates | {' | '.join(groups)} |",
        f"|---|---|---|{'---|' * len(groups)}",
    ]
    for name, result in results.items():
        figures = [
            f"{result['BLEU'][group]['value']} ± {result['BLEU'][group]['interval']}" for group in groups
        ]
        size = f"{result['parameters'] / 1e6:.2f} M"
        lines.append(f"| {name} | {size} | {result['updates']:,} | {' | '.join(figures)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
