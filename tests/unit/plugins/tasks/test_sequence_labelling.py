"""The task: exact batches, what it learns, what it measures, what it tells."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

import s2s
from s2s.errors import ConfigError, DataError
from s2s.inference.inspection import inspect
from s2s_plugins.tasks.labelled_data import LabelledBatch, LabelledData
from s2s_plugins.tokenizers.sentencepiece import SentencePiece


def sentence(chance: random.Random) -> list[tuple[str, str]]:
    """Words of two letters. The second decides the label, and whether the word before has the same letter."""
    words = [chance.choice("abcd") + chance.choice("xy") for _ in range(chance.randint(2, 6))]
    before = [None, *words]
    return [
        (word, ("B" if last is None or word[1] != last[1] else "I") + ("-X" if word[1] == "x" else "-Y"))
        for last, word in zip(before, words, strict=False)
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    chance = random.Random(4)
    for name, size in (("train", 120), ("validation", 20), ("test", 10)):
        text = "".join(
            "".join(f"{word}\t{label}\n" for word, label in sentence(chance)) + "\n" for _ in range(size)
        )
        (tmp_path / f"{name}.conll").write_text(text)
    return tmp_path


def options(folder: Path, **more: Any) -> dict[str, Any]:
    recurrent = {"class_path": "Recurrent", "init_args": {"cell": "GRU", "hidden_size": 12}}
    table = {"class_path": "Lookup", "init_args": {"size": 8}}
    given = {
        "task": "SequenceLabelling",
        "run_folder": str(folder / "run"),
        "model.encoder": recurrent,
        "model.word_embedding": "null",
        "model.piece_embedding": table,
        "model.piece_encoder": recurrent,
        "model.learning_rate": 0.03,
        "model.warmup_steps": 5,
        "data.train": str(folder / "train.conll"),
        "data.validation": str(folder / "validation.conll"),
        "data.test": str(folder / "test.conll"),
        "data.cache": str(folder / "cache"),
        "trainer.max_epochs": 8,
        "trainer.accelerator": "cpu",
        "trainer.logger": False,
    }
    return given | more


@pytest.mark.parametrize("crf", [False, True])
def test_it_learns_labels_that_letters_and_neighbours_decide(folder: Path, crf: bool, capsys: Any) -> None:
    fitted = s2s.fit(options(folder, **{"model.crf": crf, "model.monitor": "val_span_F1"}))
    assert fitted.score == 100.0
    labeller = s2s.Labeller.load(str(fitted.bundle))
    assert labeller.label("dx ax by ay bx") == ["B-X", "I-X", "B-Y", "I-Y", "B-X"]
    output = "".join(capsys.readouterr())
    assert (
        "loss 0.0" in output and "accuracy 100.00, macro_F1 100.00, span_F1 100.00 (20 sentences)" in output
    )
    found = inspect(str(fitted.bundle))
    assert found.problem is None
    assert found.task == "SequenceLabelling"
    assert found.training["column"] == "2"
    assert [score["name"] for score in found.scores] == ["accuracy", "macro_F1", "span_F1"]
    assert found.vocabulary is not None
    assert {name: one["tokens"] for name, one in found.vocabulary.items()} == {
        "source": 12,
        "target": 8,
        "piece": 11,
    }
    card = (fitted.bundle / "README.md").read_text()  # type: ignore[operator]
    assert "A recurrent labeller, trained on the 120 sentences of train.conll" in card
    assert "s2s label bundle < words.txt > labels.txt" in card


class Collected(pl.LightningModule):
    """Keeps the batches of a training and learns nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.batches: list[LabelledBatch] = []

    def training_step(self, batch: LabelledBatch, index: int) -> torch.Tensor:
        self.batches.append(batch)
        return self.weight.sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


def batches(data: LabelledData) -> list[LabelledBatch]:
    module = Collected()
    trainer = pl.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
    )
    trainer.fit(module, datamodule=data)
    return module.batches


def test_batches_are_words_pieces_and_labels(folder: Path) -> None:
    (folder / "train.conll").write_text("aa X\nb Y\n\nb Y\nab Z\naa X\n\nc Y\n")
    data = LabelledData(
        train=str(folder / "train.conll"), cache=str(folder / "cache"), batch_sentences=3, minimum_count=2
    )
    (batch,) = batches(data)
    # words as a whole: aa and b have come twice; labels by frequency: Y, X, Z; pieces: a, b, then the space and c
    order = batch.lines.tolist()
    whole = {0: [4, 5], 1: [5, 1, 4], 2: [1]}
    labels = {0: [5, 4], 1: [4, 6, 5], 2: [4]}
    spelt = {0: ["aa", "b"], 1: ["b", "ab", "aa"], 2: ["c"]}
    pieces = data.spelling.pieces
    for row, line in enumerate(order):
        length = len(whole[line])
        assert batch.source.words.lengths[row] == length
        assert batch.source.words.ids[row].tolist() == whole[line] + [0] * (3 - length)
        assert batch.labels[row].tolist() == labels[line] + [0] * (3 - length)
        for place, word in enumerate(spelt[line]):
            at = int(batch.source.places[row, place])
            ids = batch.source.pieces.ids[at, : batch.source.pieces.lengths[at]].tolist()
            assert pieces.decode(ids) == word
    assert len(batch.source.pieces.ids) == 4  # each word once
    assert data.labels() == ["Y", "X", "Z"]


def test_long_sentences_are_cut_on_both_sides(folder: Path) -> None:
    (folder / "train.conll").write_text("a X\nb Y\nc Z\n\nd Y\n")
    data = LabelledData(
        train=str(folder / "train.conll"), cache=str(folder / "cache"), max_words=2, on_too_long="truncate"
    )
    (batch,) = batches(data)
    row = batch.lines.tolist().index(0)
    assert batch.source.words.lengths[row] == 2
    assert batch.labels[row].tolist() == [5, 4]
    with pytest.raises(ConfigError, match="data.max_words is 0; it must be at least 1, or null for no limit"):
        LabelledData(max_words=0)


def test_other_readers_give_words_and_labels_too(folder: Path, capsys: Any) -> None:
    (folder / "train.tsv").write_text("a b\tX Y\nc d\tX\ne\tZ\n")
    data = {"train": str(folder / "train.tsv"), "cache": str(folder / "cache")}
    with pytest.raises(
        DataError,
        match=r"train.tsv:2: not as many tokens in the target as in the source \(2 and 1\); mend the file, or",
    ):
        LabelledData(**data).prepare_data()  # type: ignore[arg-type]
    skipping = LabelledData(on_bad_line="skip", **data)  # type: ignore[arg-type]
    skipping.prepare_data()
    assert skipping.sources("train") == ["a b", "e"]
    assert skipping.store("train").report == [
        f"skipped 1 line: not as many tokens in the target as in the source, at {folder}/train.tsv:2"
    ]


def test_tokenizers_are_kept_and_taken_up_again(folder: Path) -> None:
    first = LabelledData(train=str(folder / "train.conll"), cache=str(folder / "cache"), minimum_count=1)
    first.save_tokenizers(folder / "kept")
    again = LabelledData(cache=str(folder / "other"))
    again.load_tokenizers(folder / "kept")
    for name, (tokenizer, _) in first.named_tokenizers().items():
        assert again.named_tokenizers()[name][0].fingerprint() == tokenizer.fingerprint()
    again.save_tokenizers(folder / "copy")
    assert (folder / "copy" / "config.json").read_text() == (folder / "kept" / "config.json").read_text()


def test_pieces_that_are_sampled_are_refused(folder: Path) -> None:
    data = LabelledData(
        train=str(folder / "train.conll"),
        cache=str(folder / "cache"),
        tokenizer=lambda: SentencePiece(vocabulary_size=300, sampling_alpha=0.1),
    )
    with (
        pytest.warns(UserWarning, match="pieces"),
        pytest.raises(ConfigError, match="SentencePiece samples, and"),
    ):
        _ = data.spelling


def test_unknown_labels_count_as_wrong_and_are_told(folder: Path, capsys: Any) -> None:
    (folder / "validation.conll").write_text("ax B-X\nay B-Z\nbx NEW\n")
    fitted = s2s.fit(options(folder, **{"trainer.max_epochs": 3}))
    assert fitted.score == pytest.approx(100 / 3)
    output = "".join(capsys.readouterr())
    assert "2 words have a label that the training text has not, and count as wrong: B-Z, NEW" in output


@pytest.mark.parametrize("crf", [False, True])
def test_a_validation_without_any_known_label_is_refused(folder: Path, crf: bool) -> None:
    """Nothing could be measured but a loss of 0."""
    (folder / "validation.conll").write_text("B-X\tax\nB-Y\tay\n\nB-X\tbx\n")  # columns the other way round
    told = (
        "no validation word has a label that a training word has; one is 'ax'.*target_key .their labels. of"
    )
    with pytest.raises(DataError, match=told):
        s2s.fit(options(folder, **{"model.crf": crf, "trainer.max_epochs": 1}))
    assert not (folder / "run" / "bundle").exists()
    assert not list(folder.glob("run/checkpoints/*"))  # not even the first epoch was trained


def test_the_test_split(folder: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from s2s.__main__ import main

    s2s.fit(options(folder))
    monkeypatch.chdir(folder)
    (folder / "train.conll").write_text("other A\n")  # its tokenizers are kept in the run
    capsys.readouterr()
    assert main(["test", "-c", str(folder / "run" / "config.yaml")]) == 0
    output = "".join(capsys.readouterr())
    gold = [
        [line.split("\t")[1] for line in block.split("\n")]
        for block in (folder / "test.conll").read_text().strip().split("\n\n")
    ]
    said = [line.split() for line in (folder / "run" / "test.labels.txt").read_text().splitlines()]
    assert [len(one) for one in said] == [len(one) for one in gold]
    pairs = [pair for one, other in zip(said, gold, strict=True) for pair in zip(one, other, strict=True)]
    right = sum(ours == theirs for ours, theirs in pairs)
    assert right > 0.8 * len(pairs)
    scores = json.loads((folder / "run" / "test.scores.json").read_text())["scores"]
    (accuracy,) = [one for one in scores if one["name"] == "accuracy"]
    assert accuracy["value"] == pytest.approx(100 * right / len(pairs))
    assert f"accuracy {100 * right / len(pairs):.2f} (10 sentences; unit:word|version:s2s-" in output
    both, either = pairs.count(("B-X", "B-X")), sum((pair[0] == "B-X") + (pair[1] == "B-X") for pair in pairs)
    assert f"F1 of B-X          {200 * both / either:6.2f}" in output


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {"model.monitor": "val_BLEU"},
            "model.monitor is 'val_BLEU'; this model measures val_accuracy, val_macro_F1",
        ),
        (
            {"model.monitor": "val_span_F1", "data.train": "plain.conll"},
            "model.monitor is 'val_span_F1', but the labels are not BIO: NOUN",
        ),
        ({"model.piece_encoder": "null"}, "model.word_embedding and model.piece_encoder are both null"),
        (
            {"model.monitor": "val_span_F1", "data.validation": "plain.conll"},
            "model.monitor is 'val_span_F1', but the labels of the validation text are not BIO",
        ),
    ],
)
def test_what_cannot_be(
    folder: Path, more: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    Path("plain.conll").write_text("a NOUN\n")
    with pytest.raises(ConfigError, match=message):
        s2s.fit(options(folder, **more))


def test_one_label_is_nothing_to_choose_from(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    Path("plain.conll").write_text("a NOUN\n")
    with pytest.raises(
        DataError, match="all training words have the same label, 'NOUN'; a labeller needs two"
    ):
        s2s.fit(options(folder, **{"data.train": "plain.conll", "data.validation": "plain.conll"}))
