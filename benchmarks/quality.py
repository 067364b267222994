"""Quality after equal training: s2s and its peers, compared on translations of the test set.

    python benchmarks/quality.py [joeynmt] [eole]

For each peer s2s trains the same model with the peer's own recipe (peers/joeynmt.py, peers/eole.py: optimizer, rates,
dropout, number of updates of 64 sentences, no label smoothing, no averaging), in bf16 if the processor supports it, on
its own batches; both translate Multi30k's test set of 2016 greedily, and are compared by paired bootstrap resampling
(Koehn 2004) as in sacreBLEU. The peer translates one sentence at a time, as Eole's output depends on the batch.
No choice is based on these figures. The log of each training is written beside them.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from machine import RESULTS, save
from peers.measure import MODEL_STEPS, PEERS, run, texts
from sacrebleu.metrics import BLEU
from sacrebleu.significance import PairedTest
from trained import options
from workload import PRECISIONS, SIZE, WORK, lines

import s2s

MODELS = Path(__file__).resolve().parent / ".models" / "peers"
RECIPES: dict[str, dict[str, Any]] = {
    "joeynmt": {"model.schedule": "inverse_sqrt", "model.warmup_steps": 200},
    "eole": {
        "model.schedule": "constant",
        "model.warmup_steps": 0,
        "model.encoder.hidden_size": SIZE // 2,  # Eole has one hidden size for both sides
    },
}
"""Recipe settings that differ between the peers. Their learning rate is 0.002, their dropout 0.1."""


def train(peer: str) -> tuple[str, Path]:
    """Train s2s as the peer was trained.

    Returns:
        The bundle, and the log of its metrics.
    """
    folder = WORK / "quality" / peer
    shutil.rmtree(folder, ignore_errors=True)
    feeding = next(iter(PEERS[peer].values()))["feeding"]
    given = options(folder, feeding=feeding) | {
        "model.embedding.dropout": 0.1,
        "model.embedding.token_dropout": 0.0,
        "model.encoder.dropout": 0.1,
        "model.decoder.dropout": 0.1,
        "model.head.label_smoothing": 0.0,
        "model.average_decay": 0.0,
        "model.learning_rate": 0.002,
        "data.validation": None,  # so that the last update is exported, as for the peer
        "trainer.max_epochs": -1,
        "trainer.max_steps": MODEL_STEPS[peer],
        **RECIPES[peer],
    }
    fitted = s2s.fit("multi30k-en-de", **given)
    return str(fitted.bundle), folder / "metrics.csv"


def compare(peer: str) -> dict[str, Any]:
    """Scores of both, and the p-value of their difference."""
    sources, references = lines("test", "en"), lines("test", "de")
    given = {**next(iter(PEERS[peer].values())), "folder": str(MODELS / peer)}
    theirs = run(peer, "decode", **given, beam=1, batch=1, sentences=len(sources), samples=1, seconds=1.0)
    bundle, log = train(peer)
    shutil.copy(log, RESULTS / f"quality-{peer}.csv")
    systems = [
        (peer, texts(theirs["outputs"])),
        (
            "s2s",
            s2s.Translator.load(
                bundle, precision="bfloat16" if PRECISIONS[0] == "bf16" else "float32"
            ).translate(sources, beam=1),
        ),
    ]
    metric = BLEU()
    test = PairedTest(systems, {"BLEU": metric}, [references], test_type="bs", n_samples=1000)
    found = {
        system: {
            "score": result.score,
            "mean": result.mean,
            "half_width": result.ci,
            "p_value": result.p_value,
        }
        for system, result in zip(("peer", "s2s"), test()[1]["BLEU"], strict=True)
    }
    return {"updates": MODEL_STEPS[peer], **found, "signature": str(metric.get_signature())}


def main() -> None:
    path = RESULTS / "quality.json"
    measured = json.loads(path.read_text()) if path.is_file() else {}
    for peer in sys.argv[1:] or RECIPES:
        measured[peer] = compare(peer)
    found = {peer: measured[peer] for peer in RECIPES if peer in measured}
    save("quality", found, ["python", "benchmarks/quality.py"])


if __name__ == "__main__":
    main()
