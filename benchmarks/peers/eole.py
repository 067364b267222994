"""Eole 0.6.4, the successor of OpenNMT-py, in float32, its default.

Runs in a separate environment (eole.txt), called by measure.py. Eole requires one hidden size for both sides: with a
decoder of 512 units its encoder has 256 per direction, half of the benchmark's, and there is no bridge. So it computes
less per token than the others.
"""

import logging
from typing import Any

from eole.bin.run.train import train
from eole.config.run import PredictConfig, TrainConfig
from eole.inference_engine import InferenceEnginePY
from eole.utils.logging import logger
from peers.process import logged, source, timed


def config(
    work: str, folder: str, *, feeding: bool, dropout: float, report: int, **training: Any
) -> TrainConfig:
    """The closest model that Eole supports, on the benchmark's pieces, which it reads as words."""
    return TrainConfig(
        src_vocab=f"{work}/vocabulary.txt",
        share_vocab=True,
        seed=1,
        report_every=report,
        data={
            "corpus": {"path_src": f"{work}/train.pieces.en", "path_tgt": f"{work}/train.pieces.de"},
            "valid": {"path_src": f"{work}/val.pieces.en", "path_tgt": f"{work}/val.pieces.de"},
        },
        model={
            "architecture": "custom",
            "embeddings": {"word_vec_size": 512, "position_encoding_type": None},
            "encoder": {"encoder_type": "brnn", "rnn_type": "LSTM"},
            "decoder": {"decoder_type": "rnn", "rnn_type": "LSTM", "global_attention": "general"},
            "hidden_size": 512,
            "layers": 1,
            "input_feed": int(feeding),
            "share_embeddings": True,
            "share_decoder_embeddings": True,
        },
        training={
            "model_path": folder,
            "batch_size": 64,
            "batch_type": "sents",
            "bucket_size": 29_000,
            "num_workers": 0,
            "normalization": "tokens",
            "optim": "adam",
            "learning_rate": 0.002,
            "decay_method": "none",
            "max_grad_norm": 1.0,
            "dropout": [dropout],
            "compute_dtype": "fp32",
            **training,
        },
    )


def train_speed(work: str, folder: str, *, feeding: bool, steps: int, every: int) -> dict[str, Any]:
    """Trains for `steps` updates; one sample per `every` updates, as logged by Eole."""
    samples = logged(logger, r"\d+/\s*(\d+) tok/s")
    rhythm = {"train_steps": steps, "valid_steps": 1_000 * every, "save_checkpoint_steps": 1_000 * every}
    train(config(work, folder, feeding=feeding, dropout=0.0, report=every, **rhythm))
    return {"target_tokens_per_second": samples}


def train_model(work: str, folder: str, *, feeding: bool, steps: int) -> dict[str, Any]:
    """Trains long enough for translations to end by themselves."""
    rhythm = {"train_steps": steps, "valid_steps": 220, "save_checkpoint_steps": 220}
    train(config(work, folder, feeding=feeding, dropout=0.1, report=20, keep_checkpoint=2, **rhythm))
    return {"steps": steps}


def decode(
    work: str, folder: str, *, feeding: bool, beam: int, batch: int, sentences: int, **limits: Any
) -> dict[str, Any]:
    """Translates the first `sentences` of the test split, given all at once for Eole to batch by length.

    With batch size 1 the sentences are passed one at a time, so that each is timed.
    """
    given = PredictConfig(
        model_path=folder, src="", beam_size=beam, batch_size=batch, length_penalty="avg", alpha=1.0
    )
    engine = InferenceEnginePY(given)
    logger.setLevel(logging.WARNING)

    def translate(lines: list[str]) -> list[str]:
        return [best[0] for best in engine.infer_list(lines)[2]]

    at_once = 1 if batch == 1 else sentences
    return timed(translate, source(work, sentences), batch=batch, at_once=at_once, **limits)
