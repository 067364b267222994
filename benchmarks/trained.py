"""The benchmark's model, trained long enough to end its sentences; used to measure decoding.

    python benchmarks/trained.py [feeding]

Trains the recipe multi30k-en-de, with its own settings (dropout, label smoothing, averaged weights), with the model and
the pieces of workload.py, for EPOCHS epochs, and keeps the bundle in .models.
"""

import shutil
import sys
from pathlib import Path
from typing import Any

from workload import PIECES, SIZE, prepare

import s2s

MODELS = Path(__file__).resolve().parent / ".models"
EPOCHS = 6


def bundle(*, feeding: bool = False) -> Path:
    """The folder of the trained bundle; the first call trains it, which takes a quarter of an hour or more."""
    folder = MODELS / ("feeding" if feeding else "plain")
    if not (folder / "bundle" / "config.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        s2s.fit("multi30k-en-de", **options(folder, feeding=feeding))
    return folder / "bundle"


def options(folder: Path, *, feeding: bool, epochs: int = EPOCHS) -> dict[str, Any]:
    """Changes to the recipe."""
    work = prepare()
    return {
        "run_folder": str(folder),
        "overwrite": True,
        "model.encoder.hidden_size": SIZE,
        "model.decoder": "InputFeeding" if feeding else "Recurrent",
        "model.share_embeddings": True,
        "model.tie_head": True,
        "data.train": f"{work}/train.en,{work}/train.de",
        "data.validation": f"{work}/val.en,{work}/val.de",
        "data.test": f"{work}/test.en,{work}/test.de",
        "data.tokenizer.vocabulary_size": PIECES,
        "data.tokenizer.model": str(work / "tokenizer" / "sentencepiece.model"),
        "trainer.max_epochs": epochs,
    }


if __name__ == "__main__":
    print(bundle(feeding="feeding" in sys.argv[1:]))
