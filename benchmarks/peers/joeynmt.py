"""JoeyNMT 2.3.0 (Kreutzer et al. 2019), in float32, its default on a CPU.

Runs in a separate environment (joeynmt.txt), called by measure.py. With torch 2.13 its plateau scheduler no
longer starts, so the learning rate falls with the square root of the step. Its bridge transfers the hidden state,
not the cell state.
"""

import logging
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from joeynmt import hub_interface, training
from joeynmt.helpers import make_model_dir
from peers.process import logged, source, timed


def config(
    work: str, folder: str, *, feeding: bool, dropout: float, corpus: str, **train: Any
) -> dict[str, Any]:
    """The benchmark's model on the benchmark's pieces, which JoeyNMT reads as words."""

    def side(lang: str) -> dict[str, Any]:
        return {"lang": lang, "level": "word", "lowercase": False, "voc_file": f"{work}/vocabulary.txt"}

    def cells(layers: int) -> dict[str, Any]:
        embeddings = {"embedding_dim": 512, "dropout": dropout}
        sizes = {"hidden_size": 512, "num_layers": layers, "dropout": dropout}
        return {"type": "recurrent", "rnn_type": "lstm", "embeddings": embeddings, **sizes}

    return {
        "name": "benchmark",
        "joeynmt_version": "2.3.0",
        "model_dir": folder,
        "use_cuda": False,
        "fp16": False,
        "random_seed": 1,
        "data": {
            "train": f"{work}/{corpus}.pieces",
            "dev": f"{work}/val.pieces",
            "test": f"{work}/test.pieces",
            "dataset_type": "plain",
            "src": side("en"),
            "trg": side("de"),
        },
        "training": {
            "batch_size": 64,
            "batch_type": "sentence",
            "optimizer": "adam",
            "learning_rate": 0.002,
            "scheduling": "warmupinversesquareroot",
            "learning_rate_warmup": 200,
            "learning_rate_min": 1e-8,
            "clip_grad_norm": 1.0,
            "normalization": "tokens",
            "early_stopping_metric": "ppl",
            "keep_best_ckpts": 1,
            "epochs": 100,
            "print_valid_sents": [0, 1, 2],
            "overwrite": True,
            **train,
        },
        "testing": {"eval_metrics": [], "max_output_length": -1},
        "model": {
            "tied_embeddings": True,
            "tied_softmax": True,
            "initializer": "uniform",
            "init_weight": 0.1,
            "embed_initializer": "uniform",
            "embed_init_weight": 0.1,
            "encoder": {**cells(1), "bidirectional": True},
            "decoder": {
                **cells(1),
                "attention": "luong",
                "init_hidden": "bridge",
                "input_feeding": feeding,
                "hidden_dropout": dropout,
            },
        },
    }


def train(given: dict[str, Any]) -> None:
    """The equivalent of `python -m joeynmt train`, with a configuration that need not be a file."""
    folder = Path(given["model_dir"])
    make_model_dir(folder, overwrite=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(given))
    training.train(rank=0, world_size=0, cfg=given, skip_test=True)


def train_speed(work: str, folder: str, *, feeding: bool, steps: int, every: int) -> dict[str, Any]:
    """Trains for `steps` updates; one sample per `every` updates, as logged by JoeyNMT."""
    samples = logged(logging.getLogger("joeynmt.training"), r"Tokens per Sec:\s+(\d+)")
    training.TrainManager._save_checkpoint = lambda *_: None  # the final checkpoint must not be timed
    rhythm = {"updates": steps, "logging_freq": every, "validation_freq": 1_000 * every}
    train(config(work, folder, feeding=feeding, dropout=0.0, corpus="train", **rhythm))
    return {"target_tokens_per_second": samples}


def train_model(work: str, folder: str, *, feeding: bool, steps: int) -> dict[str, Any]:
    """Trains long enough for translations to end by themselves.

    JoeyNMT does not batch by length; here, where only the model matters, the file is sorted so that it does, which
    halves the time.
    """
    rhythm = {"updates": steps, "logging_freq": 20, "validation_freq": 220}
    train(config(work, folder, feeding=feeding, dropout=0.1, corpus="ordered", shuffle=False, **rhythm))
    return {"steps": steps}


def decode(
    work: str, folder: str, *, feeding: bool, beam: int, batch: int, sentences: int, **limits: Any
) -> dict[str, Any]:
    """Translates the first `sentences` of the test split, in batches in file order, as JoeyNMT does."""
    logging.disable(logging.INFO)
    model = hub_interface.TranslatorHubInterface(*hub_interface._from_pretrained(folder))
    search = {"beam_size": beam, "beam_alpha": 1.0 if beam > 1 else -1}
    translate = partial(model.translate, **search)
    return timed(translate, source(work, sentences), batch=batch, **limits)
