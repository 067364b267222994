"""The task: its batches, its figures against an independent computation, and what cannot be."""

import csv
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback

import s2s
from s2s.errors import ConfigError, DataError
from s2s.inference.bundle_config import read_config
from s2s.nn import State, map_state
from s2s.nn.language_model import LanguageModel
from s2s_plugins.tasks.language_model_data import LanguageModelData

TEXTS = ["the old sea is calm", "the boat is old", "a calm boat", "is the sea calm ?", "old boats sink"]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    file = tmp_path / "texts.txt"
    file.write_text("".join(f"{text}\n" for text in TEXTS))
    return file


def data(file: Path, **options: Any) -> LanguageModelData:
    options = {"tokenizer": s2s.catalogue().load("tokenizer", "Words"), **options}
    made = LanguageModelData(
        train=str(file), validation=str(file), cache=str(file.parent / "cache"), **options
    )
    made.prepare_data()
    made.setup("fit")
    return made


def fit(file: Path, folder: Path, *callbacks: Callback, **more: Any) -> Any:
    return s2s.fit(
        {
            "task": "LanguageModel",
            "model.embedding.size": 6,
            "model.decoder.hidden_size": 8,
            "model.learning_rate": 0.05,
            "model.warmup_steps": 1,
            "data.train": str(file),
            "data.validation": str(file),
            "data.tokenizer": "Words",
            "data.cache": str(folder / "cache"),
            "trainer.max_epochs": 2,
            "run_folder": str(folder / "run"),
            **more,
        },
        callbacks=callbacks,
    )


def test_line_by_line(texts: Path) -> None:
    """Each text once, with its marks, whatever shares its batch; and no source."""
    made = data(texts, batch_sentences=2)
    tokenizer = made.tokenizers.target
    seen = {}
    for batch in made.train_dataloader():
        assert batch.source.ids.size(1) == 0
        for line, ids, length in zip(
            batch.lines.tolist(), batch.target.ids.tolist(), batch.target.lengths.tolist(), strict=True
        ):
            seen[line] = ids[:length]
    assert seen == {line: [2, *tokenizer.encode(text), 3] for line, text in enumerate(TEXTS)}


def test_as_a_stream(texts: Path) -> None:
    """Two tracks of thirteen tokens and twelve, in segments of five; put together they are the texts."""
    made = data(texts, segment_tokens=5, batch_sentences=2)
    batches = list(made.train_dataloader())
    assert [batch.gold.lengths.tolist() for batch in batches] == [[5, 5], [5, 5], [3, 2]]
    assert made.batches_per_epoch() == 3 and [batch.begins for batch in batches] == [True, False, False]
    tracks = [
        [token for batch in batches for token in batch.gold.ids[row, : int(batch.gold.lengths[row])].tolist()]
        for row in range(2)
    ]
    tokenizer = made.tokenizers.target
    assert tracks[0] + tracks[1] == [token for text in TEXTS for token in (*tokenizer.encode(text), 3)]


def test_a_bad_segment_spoils_no_other(texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state that it leaves behind is not carried on; and the texts that stand in it are kept."""
    loss = LanguageModel.loss
    calls: list[State] = []

    def spoilt(self: LanguageModel, inputs: Any, gold: Any, state: State = None, **more: Any) -> Any:
        calls.append(state)
        found, state = loss(self, inputs, gold, state, **more)
        if len(calls) == 2:
            found = found._replace(total=found.total * torch.nan)
            state = map_state(lambda leaf: leaf * torch.nan, state)
        return found, state

    monkeypatch.setattr(LanguageModel, "loss", spoilt)
    stream = {"data.segment_tokens": 5, "data.batch_sentences": 2, "trainer.max_epochs": 1}
    module = fit(texts, tmp_path, **stream, **{"data.validation": None, "trainer.logger": False}).module
    assert module.troubles.skipped_steps == 1
    assert len(calls) == 3 and calls[1] is not None and calls[2] is None
    kept = (tmp_path / "run" / "bad_batches" / "step-2.jsonl").read_text().splitlines()
    # of the tracks as in test_as_a_stream: </s> the boat is old, sea calm ? </s> old
    assert [json.loads(line)["target"] for line in kept] == [TEXTS[0], TEXTS[1], TEXTS[3], TEXTS[4]]
    assert [json.loads(line)["origin"] for line in kept] == [f"{texts}:{line}" for line in (1, 2, 4, 5)]


def test_a_stream_is_not_split(texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def starved(*_: Any, **__: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(LanguageModel, "loss", starved)
    with pytest.raises(
        DataError, match="a StreamBatch cannot be split; lower data.batch_tokens or data.batch_"
    ):
        fit(texts, tmp_path, **{"data.segment_tokens": 5, "trainer.logger": False})


def test_tracks_keep_to_the_tokens_of_a_batch(texts: Path) -> None:
    assert data(texts, segment_tokens=5, batch_tokens=24).stream("train").tracks == 4


@pytest.mark.parametrize(
    ("name", "spec", "content"),
    [
        ("texts.en", {}, "{}\n"),
        ("texts.jsonl", {"target_key": "body"}, '{{"body": "{}", "subject": ""}}\n'),
        ("texts.tsv", {"target_key": 2}, "nothing\t{}\tmore\n"),
        ("texts.tsv", {}, "source\t{}\n"),
    ],
)
def test_texts_of_many_kinds_of_files(tmp_path: Path, name: str, spec: dict[str, Any], content: str) -> None:
    file = tmp_path / name
    file.write_text("".join(content.format(text) for text in TEXTS))
    made = LanguageModelData(
        train={"path": str(file), **spec},
        cache=str(tmp_path / "cache"),
        tokenizer=s2s.catalogue().load("tokenizer", "Words"),
    )
    assert made.references("train") == [TEXTS]
    assert "source" not in made.tokenizers.target.tokens(range(made.vocabulary_size))


def test_the_tokenizer_is_not_that_of_pairs(tmp_path: Path) -> None:
    """The same file, the same cache: one task learns both sides, the other one."""
    from s2s.training.datamodule import PairData

    (tmp_path / "pairs.tsv").write_text("das Meer\tthe sea\n")
    options: Any = {
        "train": str(tmp_path / "pairs.tsv"),
        "cache": str(tmp_path / "cache"),
        "tokenizer": s2s.catalogue().load("tokenizer", "Words"),
    }
    assert PairData(**options).target_vocabulary_size == 8
    assert LanguageModelData(**options).vocabulary_size == 6


@pytest.mark.parametrize("stream", [{}, {"data.segment_tokens": 7, "data.batch_sentences": 1}])
def test_validation_figures(texts: Path, tmp_path: Path, stream: dict[str, Any]) -> None:
    """Worked out again from the bundle, text by text, or through the whole stream."""
    fitted = fit(texts, tmp_path, **stream)
    scored = s2s.Generator.load(fitted.bundle).score(TEXTS, as_stream=bool(stream))
    nll = -math.fsum(one.log_prob for one in scored)
    words = sum(len(text.split()) + 1 for text in TEXTS)
    characters = sum(len(text) + 1 for text in TEXTS)
    with open(tmp_path / "run" / "metrics.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["val_loss"]]
    best = min(rows, key=lambda row: float(row["val_loss"]))
    pieces = sum(len(one.tokens) for one in scored)
    assert float(best["val_loss"]) == pytest.approx(nll / pieces, rel=1e-5)
    assert float(best["val_perplexity"]) == pytest.approx(math.exp(nll / pieces), rel=1e-4)
    assert float(best["val_perplexity_word"]) == pytest.approx(math.exp(nll / words), rel=1e-4)
    assert float(best["val_bits_per_character"]) == pytest.approx(nll / math.log(2) / characters, rel=1e-4)
    assert fitted.score == pytest.approx(nll / pieces, rel=1e-5)
    config = read_config(fitted.bundle)
    assert config["training"]["read"] == (
        "as a stream, in segments of 7 tokens" if stream else "text by text"
    )
    assert config["model"]["decoder"]["init_args"]["attention"] is None
    assert config["scores"][0]["value"] == pytest.approx(math.exp(nll / words), rel=1e-4)


def test_the_test_split(texts: Path, tmp_path: Path, capsys: Any) -> None:
    from s2s.__main__ import main

    fitted = fit(texts, tmp_path, **{"data.test": str(texts)})
    assert main(["test", "-c", str(fitted.run_folder / "config.yaml")]) == 0
    nll = -math.fsum(one.log_prob for one in s2s.Generator.load(fitted.bundle).score(TEXTS))
    words = sum(len(text.split()) + 1 for text in TEXTS)
    shown = re.search(
        r"perplexity per word ([\d.]+) \(5 sentences; words:whitespace\|",
        capsys.readouterr().err,
    )
    assert shown is not None and float(shown[1]) == pytest.approx(math.exp(nll / words), abs=0.01)
    score = json.loads((fitted.run_folder / "test.scores.json").read_text())["scores"][0]
    assert score["name"] == "perplexity per word"
    assert score["value"] == pytest.approx(math.exp(nll / words), rel=1e-4)


def test_segments_that_vary_scale_the_learning_rate(texts: Path, tmp_path: Path) -> None:
    """Merity et al. 2018, section 4.1: a step's learning rate is that of the schedule times its share of a segment."""

    shares: list[float] = []
    rates: list[float] = []

    class Watch(Callback):
        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            shares.append(batch.share)
            optimizer = trainer.optimizers[0]
            if not getattr(optimizer, "watched", False):
                optimizer.watched = True
                optimizer.register_step_post_hook(
                    lambda optimizer, *_: rates.append(optimizer.param_groups[0]["lr"])
                )

    fit(
        texts,
        tmp_path,
        Watch(),
        **{
            "data.segment_tokens": 6,
            "data.vary_segments": True,
            "data.batch_sentences": 1,
            "model.schedule": "constant",
            "model.warmup_steps": 0,
            "trainer.logger": False,
        },
    )
    assert len(set(shares)) > 2 and len(rates) == len(shares)
    assert rates == pytest.approx([0.05 * share for share in shares])


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (
            {"segment_tokens": 0},
            "segment_tokens is 0; it must be at least 1 and at most batch_tokens, 4096, or null",
        ),
        (
            {"segment_tokens": 9, "batch_tokens": 8},
            "segment_tokens is 9; it must be .* at most batch_tokens, 8",
        ),
        ({"vary_segments": True}, "vary_segments is for a stream; .* --data.segment_tokens 70"),
        ({"max_tokens": 0}, "max_tokens is 0; it must be at least 1, or null"),
        (
            {"train": {"path": "a.txt", "target_key": 2}},
            "a.txt has target_key 2, but each of its lines is a text, without columns or keys; take it out, or name",
        ),
        (
            {"train": {"path": "a.tsv", "source_key": 1}},
            "a.tsv has source_key, but a language model .* target_key",
        ),
        ({"train": {"path": "a.tsv", "tell_length": True}}, "a.tsv has tell_length, but a language model"),
        (
            {"train": {"path": "a.txt", "weight": 2}, "segment_tokens": 9},
            "the weight of corpus a.txt is 2, but a stream is read once; .* segment_tokens: null",
        ),
    ],
)
def test_what_cannot_be(options: dict[str, Any], error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        LanguageModelData(**options)


def test_a_stream_has_one_reader(texts: Path) -> None:
    made = LanguageModelData(train=str(texts), segment_tokens=5, cache=str(texts.parent / "cache"))
    made.trainer = type("Trainer", (), {"world_size": 2})()
    with pytest.raises(
        ConfigError, match="a stream is read by one process, and here are 2; set trainer.devices: 1"
    ):
        made.setup("fit")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (
            {"model.monitor": "val_BLEU"},
            "model.monitor is 'val_BLEU'; this model measures val_loss, val_perplexity,",
        ),
        ({"model.decoder.attention": "Bahdanau"}, "no source that RecurrentDecoder could attend to"),
    ],
)
def test_what_the_model_cannot_be(texts: Path, tmp_path: Path, options: dict[str, Any], error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        fit(texts, tmp_path, **options)
