import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint

from s2s.errors import ConfigError, DataError
from s2s.text.batch import Batch
from s2s.text.tokenizer import BOS, EOS, UNK
from s2s.training.datamodule import PairData
from s2s_plugins.tokenizers.bytes import Bytes
from s2s_plugins.tokenizers.sentencepiece import SentencePiece
from s2s_plugins.tokenizers.words import Words

WORDS = ["sea", "old", "man", "boat", "net", "the", "saw", "a", "long", "way", "from", "home"]


def text(pairs: int, seed: int = 0) -> list[tuple[str, str]]:
    chance = random.Random(seed)
    lines = [[chance.choice(WORDS) for _ in range(chance.randint(1, 9))] for _ in range(pairs)]
    return [(" ".join(line), " ".join(reversed(line)).upper()) for line in lines]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, pairs, seed in (("train", 90, 0), ("more", 30, 1), ("validation", 20, 2), ("test", 10, 3)):
        lines = [f"{source}\t{target}\n" for source, target in text(pairs, seed)]
        (tmp_path / f"{name}.tsv").write_text("".join(lines), encoding="utf-8")
    return tmp_path


def data(folder: Path, **options: Any) -> PairData:
    given: dict[str, Any] = {
        "train": str(folder / "train.tsv"),
        "validation": str(folder / "validation.tsv"),
        "test": str(folder / "test.tsv"),
        "tokenizer": Words,
        "batch_tokens": 60,
        "cache": str(folder / "cache"),
    }
    return PairData(**(given | options))


def ready(folder: Path, **options: Any) -> PairData:
    made = data(folder, **options)
    made.prepare_data()
    made.setup()
    return made


def lines(batches: Any) -> list[list[int]]:
    return [batch.lines.tolist() for batch in batches]


# --- batches ---


def test_batches_hold_the_text(folder: Path) -> None:
    made = ready(folder)
    sources, (references,) = made.sources("train"), made.references("train")
    assert list(zip(sources, references, strict=True)) == text(90)
    seen = []
    for batch in made.train_dataloader():
        assert isinstance(batch, Batch)
        rows = len(batch.lines)
        assert rows == 1 or rows * (batch.source.ids.shape[1] + batch.target.ids.shape[1] - 1) <= 60
        for row, line in enumerate(batch.lines.tolist()):
            source = batch.source.ids[row, : batch.source.lengths[row]].tolist()
            target = batch.target.ids[row, : batch.target.lengths[row]].tolist()
            assert made.tokenizers.source.decode(source) == sources[line]
            assert (target[0], target[-1]) == (BOS, EOS)
            assert made.tokenizers.target.decode(target) == references[line]
            seen.append(line)
    assert sorted(seen) == list(range(90))


def test_validation_and_test_are_whole(folder: Path) -> None:
    made = ready(folder, max_source_tokens=4, on_too_long="skip")
    assert len(made.store("train")) < 90
    for split, loader, pairs in (
        ("validation", made.val_dataloader(), 20),
        ("test", made.test_dataloader(), 10),
    ):
        batches = list(loader)
        assert sorted(line for batch in lines(batches) for line in batch) == list(range(pairs))
        lengths = [batch.source.lengths.tolist() for batch in batches]
        assert lengths[0][0] == max(length for batch in lengths for length in batch)
        assert all(batch == sorted(batch, reverse=True) for batch in lengths)
        assert [len(one) for one in made.references(split)] == [pairs]  # type: ignore[arg-type]


def test_references_beside_the_targets(folder: Path) -> None:
    words = WORDS[:3]
    lines = [f"{word}\t{word} {word}\tfirst {word}\tsecond {word}\n" for word in words]
    lines.insert(1, f"{words[0]}\t{words[0]}\tnone\n")
    (folder / "several.tsv").write_text("".join(lines))
    several = {"path": str(folder / "several.tsv"), "references_key": [4, 3]}
    made = ready(folder, validation=[several, several], on_bad_line="skip")
    targets, *others = made.references("validation")
    assert targets == [f"{word} {word}" for word in words] * 2
    assert others == [[f"{which} {word}" for word in words] * 2 for which in ("second", "first")]
    (folder / "several.tsv").write_text("".join(lines[:1]))
    message = r"train.tsv:1 has 0 references beside its target, and .*several.tsv:1 has 2; all"
    with pytest.raises(DataError, match=message):
        ready(folder, test=[several, str(folder / "train.tsv")])
    with pytest.raises(
        ConfigError, match=r"data.train: references_key of .* is only for scoring, and training uses the"
    ):
        data(folder, train=several)


def test_a_part_of_the_validation_text_is_not_its_longest_sentences(folder: Path) -> None:
    longest = [batch.source.ids.shape[1] for batch in ready(folder, batch_tokens=30).val_dataloader()]
    assert longest[0] == max(longest)
    assert longest != sorted(longest, reverse=True)
    assert longest == [batch.source.ids.shape[1] for batch in ready(folder, batch_tokens=30).val_dataloader()]
    tested = [batch.source.ids.shape[1] for batch in ready(folder, batch_tokens=30).test_dataloader()]
    assert tested == sorted(tested, reverse=True)


def test_without_validation_text(folder: Path) -> None:
    made = ready(folder, validation=None)
    assert made.val_dataloader() == []
    with pytest.raises(ConfigError, match=r"data\.validation is not set"):
        made.references("validation")
    with pytest.raises(ConfigError, match="unknown split 'valid'; did you mean 'validation'"):
        made.references("valid")  # type: ignore[arg-type]


def test_several_corpora_with_weights(folder: Path) -> None:
    more = {"path": str(folder / "more.tsv"), "weight": 2}
    made = ready(folder, train=[str(folder / "train.tsv"), more])
    seen = [line for batch in lines(made.train_dataloader()) for line in batch]
    assert sorted(seen) == sorted([*range(90), *range(90, 120), *range(90, 120)])


@pytest.mark.parametrize("workers", [0, 2])
def test_loading_leaves_the_global_generators_alone(folder: Path, workers: int) -> None:
    made = ready(folder, num_workers=workers)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index,union-attr]
    list(made.train_dataloader())
    list(made.val_dataloader())
    after = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index,union-attr]
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_workers_give_the_same_batches(folder: Path) -> None:
    assert lines(ready(folder).train_dataloader()) == lines(ready(folder, num_workers=2).train_dataloader())


# --- tokenizers ---


def test_joint_and_separate_tokenizers(folder: Path) -> None:
    joint = ready(folder)
    assert joint.tokenizers.source is joint.tokenizers.target
    assert joint.source_vocabulary_size == joint.target_vocabulary_size == 4 + 2 * len(WORDS)
    separate = ready(folder, joint=False)
    assert separate.source_vocabulary_size == separate.target_vocabulary_size == 4 + len(WORDS)
    assert separate.tokenizers.source.encode("SEA") == [1]
    assert 1 not in separate.tokenizers.target.encode("SEA")


def test_tokenizers_are_trained_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ready(folder)

    def never(self: Words, lines: Any) -> None:
        raise AssertionError("trained again")

    with monkeypatch.context() as patched:
        patched.setattr(Words, "train", never)
        again = data(folder)
        assert (
            again.source_vocabulary_size == first.source_vocabulary_size
        )  # before any setup, as links need it
        with pytest.raises(AssertionError, match="trained again"):
            _ = data(folder, tokenizer=lambda: Words(minimum_count=2)).tokenizers
    (folder / "train.tsv").write_text("other\ttext\n", encoding="utf-8")
    assert ready(folder).source_vocabulary_size == 4 + 2


def test_tokenizers_of_a_bundle(folder: Path) -> None:
    made = data(folder)
    made.use_tokenizers(Bytes(), Bytes())
    made.setup()
    assert made.source_vocabulary_size == 260
    assert not list((folder / "cache").glob("tokenizer-*"))


@pytest.mark.parametrize("joint", [True, False])
def test_tokenizers_are_kept_and_taken_up_again_without_the_training_text(folder: Path, joint: bool) -> None:
    kept = folder / "run" / "tokenizers"
    first = data(folder, joint=joint)
    for _ in range(2):  # what is there is replaced
        first.save_tokenizers(kept)
    (folder / "train.tsv").unlink()
    options = {"tokenizer": Bytes, "joint": not joint, "cache": str(folder / "other")}
    again = data(folder, **options)
    again.load_tokenizers(kept)
    assert (again.tokenizers.source is again.tokenizers.target) is joint
    for side in ("source", "target"):
        old, new = getattr(first.tokenizers, side), getattr(again.tokenizers, side)
        assert new.fingerprint() == old.fingerprint()
    assert len(again.store("test")) == 10
    again.save_tokenizers(folder / "copy")
    assert (folder / "copy" / "config.json").read_text() == (kept / "config.json").read_text()
    (kept / "config.json").write_text("[]")
    with pytest.raises(DataError, match="tokenizers does not contain the tokenizers of a run"):
        data(folder).load_tokenizers(kept)


def test_sentencepiece_is_the_default(folder: Path) -> None:
    assert PairData(train=str(folder / "train.tsv")).tokenizer is SentencePiece


# --- sampled segmentations ---


def sampled(folder: Path, **options: Any) -> PairData:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so little text gives few pieces
        return ready(
            folder, tokenizer=lambda: SentencePiece(vocabulary_size=350, sampling_alpha=0.3), **options
        )


def segmentations(made: PairData) -> dict[int, list[int]]:
    return {
        line: batch.source.ids[row, : batch.source.lengths[row]].tolist()
        for batch in made.train_dataloader()
        for row, line in enumerate(batch.lines.tolist())
    }


def test_segmentations_depend_on_seed_epoch_and_line_alone(folder: Path) -> None:
    made = sampled(folder)
    first = segmentations(made)
    assert segmentations(sampled(folder, num_workers=2)) == first
    assert segmentations(sampled(folder, batch_tokens=200)) == first  # other batches, same lines
    assert segmentations(sampled(folder, seed=2)) != first
    made.sampler.start(1)
    second = segmentations(made)
    assert second != first
    for line, source in enumerate(made.sources("train")):
        assert made.tokenizers.source.decode(first[line]) == source
        assert made.tokenizers.source.decode(second[line]) == source


def test_no_sampled_segmentation_is_beyond_the_limit(folder: Path) -> None:
    made = sampled(folder, max_source_tokens=8)
    assert max(len(ids) for ids in segmentations(made).values()) <= 8
    cut = sampled(folder, max_source_tokens=8, on_too_long="truncate")
    found = segmentations(cut)
    assert len(found) == 90
    assert max(len(ids) for ids in found.values()) == 8


# --- with Lightning ---


class Recorder(pl.LightningModule):
    """Learns nothing and notes which lines it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[tuple[int, list[int]]] = []

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        self.seen.append((self.current_epoch, batch.lines.tolist()))
        self.trainer.datamodule.batch_done()  # type: ignore[attr-defined]
        return self.weight * 0

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.log("nothing", 0.0, batch_size=len(batch.lines))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trainer(folder: Path, callbacks: list[Callback] | None = None, **options: Any) -> pl.Trainer:
    return pl.Trainer(
        accelerator="cpu",
        default_root_dir=folder,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=bool(callbacks),
        callbacks=callbacks,
        num_sanity_val_steps=0,
        reload_dataloaders_every_n_epochs=1,
        use_distributed_sampler=False,
        **{"max_epochs": 3, **options},
    )


def expected_order(folder: Path, epochs: int) -> list[tuple[int, list[int]]]:
    sampler = ready(folder).sampler
    return [
        (epoch, sampler.batches(epoch).pairs(i).tolist())
        for epoch in range(epochs)
        for i in range(len(sampler.batches(epoch)))
    ]


@pytest.mark.parametrize(
    ("when", "workers"),
    [
        ("first batch", 0),
        ("middle", 0),
        ("middle", 2),
        ("second epoch", 0),
        ("second epoch", 2),
        ("before the last batch", 0),
        ("epoch's end", 0),
    ],
)
@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.filterwarnings("ignore:Be aware that when using")
def test_a_resumed_run_goes_on_with_the_next_batch(folder: Path, workers: int, when: str) -> None:
    whole = expected_order(folder, 3)
    per_epoch = [sum(epoch == e for epoch, _ in whole) for e in range(3)]
    steps = {
        "first batch": 1,
        "middle": per_epoch[0] // 2,
        "second epoch": per_epoch[0] + 3,
        "before the last batch": per_epoch[0] - 1,
        "epoch's end": per_epoch[0],
    }[when]
    keep = ModelCheckpoint(folder / "kept", every_n_train_steps=steps, save_top_k=-1, filename="{step}")
    straight = Recorder()
    trainer(folder, [keep]).fit(straight, datamodule=data(folder, num_workers=workers))
    assert straight.seen == whole

    resumed = Recorder()
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*dataloader is not resumable.*")
        trainer(folder).fit(
            resumed,
            datamodule=data(folder, num_workers=workers),
            ckpt_path=str(folder / "kept" / f"step={steps}.ckpt"),
            weights_only=True,
        )
    assert resumed.seen == whole[steps:]


def test_a_second_fit_begins_anew(folder: Path) -> None:
    whole = expected_order(folder, 1)
    made = data(folder)
    trainer(folder, max_steps=5, max_epochs=-1).fit(Recorder(), datamodule=made)
    anew = Recorder()
    trainer(folder, max_epochs=1).fit(anew, datamodule=made)
    assert anew.seen == whole


@pytest.mark.filterwarnings("ignore:Be aware that when using")
def test_validation_in_the_middle_of_an_epoch(folder: Path) -> None:
    whole = expected_order(folder, 2)
    keep = ModelCheckpoint(folder / "kept", monitor="nothing", save_top_k=-1, filename="{step}")
    model = Recorder()
    trainer(folder, [keep], max_epochs=2, val_check_interval=4).fit(model, datamodule=data(folder))
    assert model.seen == whole
    for steps in (4, 8):
        resumed = Recorder()
        trainer(folder, max_epochs=2, val_check_interval=4).fit(
            resumed,
            datamodule=data(folder),
            ckpt_path=str(folder / "kept" / f"step={steps}.ckpt"),
            weights_only=True,
        )
        assert resumed.seen == whole[steps:]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_tokens": 61}, "other training data, tokenizers or batch sizes"),
        ({"seed": 2}, "comes from seed 1, here the seed is 2"),
    ],
)
def test_another_order_is_refused(folder: Path, options: dict[str, int], message: str) -> None:
    first = trainer(folder, max_steps=2, max_epochs=-1)
    first.fit(Recorder(), datamodule=data(folder))
    first.save_checkpoint(folder / "a.ckpt")
    with pytest.raises(DataError, match=message):
        trainer(folder).fit(
            Recorder(),
            datamodule=data(folder, **options),
            ckpt_path=str(folder / "a.ckpt"),
            weights_only=True,
        )
    # but such a checkpoint can be tested
    again: Callable[..., Any] = trainer(folder).validate
    again(Recorder(), datamodule=data(folder, **options), ckpt_path=str(folder / "a.ckpt"), weights_only=True)


def test_validation_without_text_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.validation is not set"):
        trainer(folder).validate(Recorder(), datamodule=data(folder, validation=None), verbose=False)


def test_weights_so_small_that_nothing_is_drawn_are_refused(folder: Path) -> None:
    with pytest.raises(
        DataError, match=r"some epochs would contain none of the 90 pairs: the weights in data\.train are"
    ):
        ready(folder, train=[{"path": str(folder / "train.tsv"), "weight": 0.001}])


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_weight_of_what_is_scored_is_refused(folder: Path, split: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"data\.{split}: .*more.tsv has a weight, which only training uses"
    ):
        data(folder, **{split: [{"path": str(folder / "more.tsv"), "weight": 2}]})


def test_a_vocabulary_too_large_for_its_text_is_told(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "once.tsv").write_text("".join(f"a{i}\tb{i}\n" for i in range(600)))
    known = ready(folder, train=str(folder / "once.tsv"), batch_tokens=4096).tokenizers.source
    assert "a vocabulary of 1,204 is large for 1,200 tokens of text" in capfd.readouterr().err
    known.save(folder / "known")

    def given() -> Words:
        tokenizer = Words()
        tokenizer.load(folder / "known")
        return tokenizer

    ready(folder, train=str(folder / "once.tsv"), batch_tokens=4096, tokenizer=given)
    assert "vocabulary" not in capfd.readouterr().err  # nobody chose its size here
    (folder / "often.tsv").write_text("".join(f"a{i % 300}\tb{i % 300}\n" for i in range(600)))
    ready(folder, train=str(folder / "often.tsv"), batch_tokens=4096)
    assert "vocabulary" not in capfd.readouterr().err


def test_pairs_beyond_the_budget_are_left_out_and_reported(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    made = ready(folder, batch_tokens=15)
    said = capfd.readouterr().err
    batches = made.sampler.batches(0)
    assert f"train: {len(batches)} batches per epoch" in said
    assert "pairs are longer than the 15 tokens of a batch and left out, first at " in said
    assert made.batches_per_epoch() == len(batches)
    source, target = (made.store("train").lengths(side)[:] for side in ("source", "target"))
    fitting = np.flatnonzero(source + target + 1 <= 15)
    assert 0 < len(fitting) < len(source)
    assert sorted(np.concatenate([batches.pairs(i) for i in range(len(batches))])) == fitting.tolist()
    with pytest.raises(
        DataError, match=r"of a batch, first at .*; raise batch_tokens, or choose on_too_long"
    ):
        ready(folder, batch_tokens=15, on_too_long="error")
    with pytest.raises(DataError, match="longer than the 2 tokens of a batch"):
        ready(folder, batch_tokens=2)


def test_one_monstrous_sentence_does_not_fill_a_batch(folder: Path) -> None:
    with open(folder / "train.tsv", "a", encoding="utf-8") as file:
        file.write("x " * 40_000 + "\ty\n")
    made = ready(folder, batch_tokens=None, batch_sentences=2)
    batches = made.sampler.batches(0)
    monster = len(made.store("train")) - 1
    assert monster not in np.concatenate([batches.pairs(i) for i in range(len(batches))])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_tokens": None}, "both null"),
        ({"max_target_tokens": 0}, "max_target_tokens is 0"),
        ({"train": {"pth": "x"}}, "did you mean 'path'"),
    ],
)
def test_impossible_options(folder: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        data(folder, **options)


def test_no_training_text(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.train is not set, but the tokenizers are trained on it"):
        data(folder, train=None).prepare_data()
    with pytest.raises(DataError, match="there is no file"):
        data(folder, train=str(folder / "none.tsv")).prepare_data()


@pytest.mark.parametrize("workers", [0, 1])
def test_words_that_the_vocabulary_lacks_have_ids_for_a_model_that_copies(folder: Path, workers: int) -> None:
    pairs = [(source, " ".join(reversed(source.split()))) for source, _ in text(90)]
    (folder / "same.tsv").write_text("".join(f"{one}\t{other}\n" for one, other in pairs), encoding="utf-8")
    same = str(folder / "same.tsv")
    made = data(folder, train=same, tokenizer=lambda: Words(vocabulary_size=10), num_workers=workers)
    made.copies = True
    made.prepare_data()
    made.setup()
    size = made.target_vocabulary_size
    store, tokenizer = made.store("train"), made.tokenizers.target
    seen = 0
    for batch in made.train_dataloader():
        assert len(batch.words) == len(batch.lines)
        for row, pair in enumerate(batch.lines.tolist()):
            source, target = store.text("source", pair).split(), store.text("target", pair).split()
            unknown = [word for word in source if tokenizer.encode(word) == [UNK]]
            own = list(dict.fromkeys(unknown))
            assert list(batch.words[row]) == own
            ids = batch.source.ids[row, : len(source)].tolist()
            assert [own[i - size] for i in ids if i >= size] == unknown
            gold = batch.gold.ids[row, : len(target)].tolist()
            for word, token in zip(target, gold, strict=True):
                assert (token >= size) == (word in own)
                assert token < size or own[token - size] == word
            seen += len(own)
    assert seen > 20
    made.copies = False
    plain = list(made.train_dataloader())
    assert all(batch.words == [] and batch.source.ids.max() < size for batch in plain)
