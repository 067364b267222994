"""Language models of English text: captions as single sentences, and e-mails as a stream.

    python benchmarks/language_models.py multi30k-en-lm [--skip-training] [OPTION...]
    python benchmarks/language_models.py aeslc-lm

Needs $S2S_DATA (see data/catalogue.yaml). The checkpoint is selected on the validation split; the test split is scored
once, at the end, from the bundle. Further options are passed to `s2s fit`. Adds its result to
results/language_models.json and writes the training log beside it.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml
from machine import RESULTS, ROOT, Stopwatch, provenance
from multi30k import rows

from s2s.evaluation.perplexity import Perplexity, TextSizes
from s2s.inference.generator import Generator
from s2s.resources import recipe
from s2s_plugins.tasks.language_model_data import LanguageModelData

PROMPTS = {"multi30k-en-lm": ["", "A man", "Two dogs"], "aeslc-lm": ["", "Please", "I will"]}
PATH = RESULTS / "language_models.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("recipe", choices=list(PROMPTS))
    parser.add_argument("--run-folder", default=None)
    parser.add_argument("--skip-training", action="store_true", help="the run folder holds a finished run")
    given, options = parser.parse_known_args()
    run = Path(given.run_folder or f"runs/{given.recipe}")
    if not given.skip_training:
        train(given.recipe, run, options)
    generator = Generator.load(run / "bundle")
    result: dict[str, Any] = {
        **provenance(["python", "benchmarks/language_models.py", given.recipe, *options]),
        **json.loads((run / "training.json").read_text()),
        "validation": [
            {
                "epoch": int(row["epoch"]) + 1,
                **{name: float(row[f"val_{name}"]) for name in ("loss", "perplexity_word")},
            }
            for row in rows(run / "metrics.csv")
            if row.get("val_loss")
        ],
        "test": test(given.recipe, generator),
        "drawn": {
            prompt: generator.generate(prompt, top_p=0.9, max_tokens=40) for prompt in PROMPTS[given.recipe]
        },
    }
    results = json.loads(PATH.read_text()) if PATH.is_file() else {}
    results[given.recipe] = result
    PATH.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


def train(name: str, run: Path, options: list[str]) -> None:
    """Train the recipe; save training time and the CPU share used by other programs in the run folder."""
    command = [sys.executable, "-m", "s2s", "fit", "-c", name, "--run_folder", str(run), *options]
    with open(RESULTS / f"{name}.log", "w", encoding="utf-8") as log, Stopwatch() as watch:
        subprocess.run(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, check=True)
    about = {"training_minutes": round(watch.seconds / 60, 2), "others": round(watch.others, 3)}
    (run / "training.json").write_text(json.dumps(about))


def test(name: str, generator: Generator) -> dict[str, Any]:
    """Score the test split from the bundle, read as in training; a stream is scored as one sequence."""
    options = yaml.safe_load(recipe(name).read_text())["data"]
    stream = "segment_tokens" in options
    data = LanguageModelData(test=options["test"])
    data.use_tokenizers(generator.tokenizer, generator.tokenizer)
    (texts,) = data.references("test")
    began = time.perf_counter()
    scored = generator.score(texts, as_stream=stream)
    seconds = time.perf_counter() - began
    sizes = TextSizes.of(zip(texts, generator.pieces(texts), strict=True))
    nll = -sum(value for one in scored for value in one.log_probs) / sizes.pieces
    measured = Perplexity(nll, sizes)
    print(f"{name}: {measured}")
    return {
        "stream": stream,
        "nll_per_piece": nll,
        **sizes._asdict(),
        "perplexity": measured.piece,
        "perplexity_word": measured.word,
        "bits_per_character": measured.bits_per_character,
        "signatures": [score.signature for score in measured.scores()],
        "pieces_per_second": sizes.pieces / seconds,
    }


if __name__ == "__main__":
    main()
