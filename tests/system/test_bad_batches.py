"""Numbers gone bad and memory that is too small: what was not learnt is told, and nothing else changes."""

import csv
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import s2s
from s2s.__main__ import main
from s2s.text.batch import Batch
from s2s.training.bad_batches import keep
from s2s.training.datamodule import Example
from s2s_plugins.tasks.seq2seq import Seq2SeqModule

Options = dict[str, Any]
SPOILT = "c h"
"""The source of the pair that makes numbers bad."""


@pytest.fixture
def options(tmp_path: Path) -> Options:
    """36 pairs in batches of 6, a model without dropout, in float64."""
    pairs = [(f"{a} {b}", f"{b} {a}" + f" {a}" * (i % 3)) for a in "abcdef" for i, b in enumerate("ghijkl")]
    (tmp_path / "pairs.tsv").write_text("".join(f"{source}\t{target}\n" for source, target in pairs))
    return {
        "model.embedding": {"class_path": "Lookup", "init_args": {"size": 8}},
        "model.encoder": {"class_path": "Recurrent", "init_args": {"hidden_size": 4}},
        "model.decoder": {"class_path": "Recurrent", "init_args": {"hidden_size": 8}},
        "model.warmup_steps": 2,
        "data.train": str(tmp_path / "pairs.tsv"),
        "data.tokenizer": "Words",
        "data.batch_sentences": 6,
        "data.cache": str(tmp_path / "cache"),
        "trainer.max_epochs": 2,
        "trainer.precision": "64-true",
        "trainer.log_every_n_steps": 6,
        "run_folder": str(tmp_path / "run"),
    }


def spoil(monkeypatch: pytest.MonkeyPatch, bad: Callable[[Any], Any]) -> list[list[str]]:
    """Let `bad` change the loss of each batch that holds the pair SPOILT.

    Returns:
        the sources of all batches, as they come.
    """
    seen: list[list[str]] = []
    batch_loss = Seq2SeqModule.batch_loss

    def spoilt(self: Seq2SeqModule, batch: Batch) -> Any:
        loss = batch_loss(self, batch)
        if not self.training:
            return loss
        sources = self.data.sources("train")
        seen.append([sources[line] for line in batch.lines.tolist()])
        return bad(loss) if SPOILT in seen[-1] else loss

    monkeypatch.setattr(Seq2SeqModule, "batch_loss", spoilt)
    return seen


@pytest.mark.parametrize(
    ("bad", "accumulated", "why"),
    [
        (lambda loss: loss._replace(total=loss.total * torch.nan), 1, "its loss is nan"),
        (lambda loss: loss._replace(total=loss.total + torch.inf), 1, "its loss is inf"),
        (lambda loss: loss._replace(total=loss.total * torch.nan), 3, "its loss is nan"),
        (
            lambda loss: loss._replace(total=loss.total + (loss.total - loss.total.detach()).sqrt()),
            1,
            "the norm of its gradient is nan",
        ),
    ],
    ids=["nan", "a loss of inf with a gradient", "one of three accumulated", "a gradient without end"],
)
def test_a_bad_batch_is_skipped_counted_named_and_kept(
    options: Options,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    bad: Callable[[Any], Any],
    accumulated: int,
    why: str,
) -> None:
    seen = spoil(monkeypatch, bad)
    once_an_epoch = {
        "trainer.accumulate_grad_batches": accumulated,
        "trainer.log_every_n_steps": 6 // accumulated,
    }
    module = s2s.fit({**options, **once_an_epoch}).module
    assert all(bool(parameter.isfinite().all()) for parameter in module.parameters())
    said = "".join(capsys.readouterr())
    steps = {index // accumulated + 1: sources for index, sources in enumerate(seen) if SPOILT in sources}
    assert len(seen) == 12 and len(steps) == 2
    lines = (tmp_path / "pairs.tsv").read_text().splitlines()
    for step, sources in steps.items():
        kept = tmp_path / "run" / "bad_batches" / f"step-{step}.jsonl"
        records = [json.loads(line) for line in kept.read_text().splitlines()]
        assert [record["source"] for record in records] == sources, "of accumulated batches the bad one alone"
        for record in records:
            path, line = record["origin"].rsplit(":", 1)
            assert path == options["data.train"]
            assert lines[int(line) - 1] == f"{record['source']}\t{record['target']}"
        named = ", ".join(record["origin"] for record in records[:3])
        assert f"step {step} skipped: {why}; {named} and 3 more, kept in {kept}\n" in said
    assert f"2 steps skipped because loss or gradient was not finite; see {kept.parent}\n" in said
    with open(tmp_path / "run" / "metrics.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["skipped_steps"]]
    assert [float(row["skipped_steps"]) for row in rows] == [1, 2]
    assert all(0 < float(row["train_loss"]) < 10 for row in rows), "of the other batches"
    assert all(0 < float(row["gradient_norm"]) < 10 for row in rows)
    assert all(0 <= float(row["clipped_steps"]) <= 1 for row in rows)


def test_what_stops_training_can_be_seen_again(
    options: Options, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command of the message trains the model as it was on the batch as it was."""
    seen = spoil(monkeypatch, lambda loss: loss._replace(total=loss.total * torch.nan))
    with pytest.raises(s2s.DataError, match="20 steps in a row had no finite loss and gradient") as stopped:
        s2s.fit({**options, "data.batch_sentences": 40, "trainer.max_epochs": 30})
    command = shlex.split(str(stopped.value).split("To reproduce it: ")[1])
    capsys.readouterr()
    seen.clear()
    assert main(command[1:]) == 2
    said = "".join(capsys.readouterr())
    assert f"starting from the model in {options['run_folder']}/bad_batches/bundle" in said
    assert "20 steps in a row had no finite loss and gradient" in said
    assert len(seen) == 20 and sorted(seen[0]) == sorted(seen[-1]) and len(seen[0]) == 36


def test_the_latest_five_are_kept(options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(monkeypatch, lambda loss: loss._replace(total=loss.total * torch.nan))
    s2s.fit({**options, "trainer.max_epochs": 7})
    names = [path.name for path in (tmp_path / "run" / "bad_batches").iterdir()]
    steps = sorted(int(name.removeprefix("step-").removesuffix(".jsonl")) for name in names)
    assert len(steps) == 5 and steps[0] > 12 and steps[-1] > 36
    monkeypatch.undo()
    s2s.fit({**options, "trainer.max_epochs": 1, "overwrite": True})
    assert not (tmp_path / "run" / "bad_batches").exists(), "they were of the run that is replaced"


def test_what_is_skipped_is_not_averaged(
    options: Options, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The average of the weights stands still with them; else it would run after them while nothing is learnt."""
    more = {"model.average_decay": 0.9, "trainer.accumulate_grad_batches": 2, "trainer.max_epochs": 1}
    good = s2s.fit({**options, **more}).module
    batches = 0
    batch_loss = Seq2SeqModule.batch_loss

    def spoilt(self: Seq2SeqModule, batch: Batch) -> Any:
        nonlocal batches
        loss = batch_loss(self, batch)
        batches += self.training
        return loss._replace(total=loss.total * torch.nan) if batches > 6 else loss

    monkeypatch.setattr(Seq2SeqModule, "batch_loss", spoilt)
    bad = s2s.fit({**options, **more, "trainer.max_epochs": 3, "run_folder": str(tmp_path / "bad")}).module
    assert batches == 18 and bad.troubles.skipped_steps == 6
    for run in (tmp_path / "run", tmp_path / "bad"):
        saved = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
        assert int(saved["averaging_state"]["n_averaged"]) == 3
        assert any(
            not torch.equal(saved["state_dict"][name], weight)
            for name, weight in saved["current_model_state"].items()
        )
    for name, average in good.state_dict().items():
        assert torch.equal(average, bad.state_dict()[name]), name


def test_a_bad_batch_of_an_earlier_step_is_kept(tmp_path: Path) -> None:
    """Going on from `best` comes to lower numbers than those that are there already."""
    example = [Example("a.tsv:1", {"source": "a", "target": "b"})]
    for step in (900, 901, 902, 903, 904, 100, 101):
        assert keep(tmp_path, step, example).is_file()
    names = {path.name for path in (tmp_path / "bad_batches").iterdir()}
    assert names == {f"step-{step}.jsonl" for step in (902, 903, 904, 100, 101)}


def test_counts_and_means_outlive_a_resume(
    options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is logged after a resume in the midst of an epoch is what a run logs that was never stopped."""
    spoil(monkeypatch, lambda loss: loss._replace(total=loss.total * torch.nan))
    logged = []
    for run, stops in (("whole", (12,)), ("part", (4, 6, 9, 12))):
        for stop in stops:
            more = {"ckpt_path": "last"} if stop != stops[0] else {}
            s2s.fit({**options, **more, "run_folder": str(tmp_path / run), "trainer.max_steps": stop})
        with open(tmp_path / run / "metrics.csv", newline="") as file:
            names = ("step", "train_loss", "gradient_norm", "clipped_steps", "skipped_steps")
            logged.append([[row[name] for name in names] for row in csv.DictReader(file)])
    assert logged[0] == logged[1]
    assert len(logged[0]) == 2 and [row[-1] for row in logged[0]] == ["1.0", "2.0"]


def record_gradients(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, torch.Tensor]]:
    """The gradient of every step, the mean over its tokens."""
    found: list[dict[str, torch.Tensor]] = []

    def record(self: Seq2SeqModule, *_: Any, **__: Any) -> None:
        found.append({name: p.grad.clone() for name, p in self.named_parameters() if p.grad is not None})

    monkeypatch.setattr(Seq2SeqModule, "configure_gradient_clipping", record)
    return found


CUDA = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
CPU = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: 8"
)


def starve(monkeypatch: pytest.MonkeyPatch, error: BaseException, most: int, *, backward: bool) -> list[int]:
    """Raise the error for each batch of more than so many pairs.

    Args:
        backward: in the backward pass, when the decoder has its gradients and the encoder has none.

    Returns:
        sizes of the batches that came.
    """
    sizes: list[int] = []
    batch_loss = Seq2SeqModule.batch_loss

    def starved(self: Seq2SeqModule, batch: Batch) -> Any:
        if not self.training:
            return batch_loss(self, batch)
        sizes.append(batch.size)
        if batch.size <= most:
            return batch_loss(self, batch)
        if not backward:
            raise error

        def fail(gradient: torch.Tensor) -> None:
            assert any(p.grad is not None for p in self.model.decoder.parameters()), "too early a failure"
            raise error

        def hook(module: Any, given: Any, encoded: Any) -> None:
            encoded.outputs.register_hook(fail)

        handle = self.model.encoder.register_forward_hook(hook)
        try:
            return batch_loss(self, batch)
        finally:
            handle.remove()

    monkeypatch.setattr(Seq2SeqModule, "batch_loss", starved)
    return sizes


@pytest.mark.parametrize(
    ("error", "backward"),
    [(CUDA, False), (CPU, True), (MemoryError(), True)],
    ids=["cuda, forward", "cpu, backward", "python, backward"],
)
def test_a_batch_in_parts_has_the_gradient_of_the_whole(
    options: Options,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    backward: bool,
) -> None:
    """Also where it is the last of three accumulated ones: 6, 6 and 4 pairs, of which 4 fit."""
    (tmp_path / "pairs.tsv").write_text(
        "".join(line + "\n" for line in (tmp_path / "pairs.tsv").read_text().splitlines()[:16])
    )
    options |= {"model.learning_rate": 0.0, "trainer.accumulate_grad_batches": 3, "trainer.max_epochs": 4}
    options |= {"trainer.log_every_n_steps": 1}
    gradients = record_gradients(monkeypatch)
    s2s.fit({**options, "run_folder": str(tmp_path / "whole")})
    whole = gradients[:]
    gradients.clear()
    sizes = starve(monkeypatch, error, 4, backward=backward)
    s2s.fit(options)
    assert len(gradients) == len(whole) == 4
    assert sizes.count(6) >= 8 and max(sizes) == 6 and 3 in sizes
    for mine, expected in zip(gradients, whole, strict=True):
        for name, value in expected.items():
            # float64, and sums in another order
            torch.testing.assert_close(mine[name], value, rtol=1e-10, atol=1e-14)
    said = "".join(capsys.readouterr())
    assert "step 1: a batch of 6 examples does not fit into memory; it is trained in parts" in said
    assert (
        "8 batches split for lack of memory; a lower data.batch_tokens or data.batch_sentences saves" in said
    )
    with open(tmp_path / "run" / "metrics.csv", newline="") as file:
        assert [float(row["split_batches"]) for row in csv.DictReader(file)] == [2, 4, 6, 8]


def test_dropout_in_a_step_that_is_done_again(
    options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batches before the one that failed draw what they drew: the gradient of the first of two is the same."""
    options |= {"model.learning_rate": 0.0, "trainer.max_steps": 1, "trainer.limit_train_batches": 2}
    options["model.embedding"] = {"class_path": "Lookup", "init_args": {"size": 8, "dropout": 0.5}}
    gradients = record_gradients(monkeypatch)
    s2s.fit({**options, "run_folder": str(tmp_path / "one")})
    calls: list[int] = []
    batch_loss = Seq2SeqModule.batch_loss

    def second_fails(self: Seq2SeqModule, batch: Batch) -> Any:
        calls.append(batch.size)
        loss = batch_loss(self, batch)
        if len(calls) == 2:
            raise CUDA
        return loss if len(calls) in (1, 3) else loss._replace(total=loss.total * 0)

    monkeypatch.setattr(Seq2SeqModule, "batch_loss", second_fails)
    s2s.fit({**options, "trainer.accumulate_grad_batches": 2})
    assert calls == [6, 6, 6, 3, 3]
    for name, value in gradients[0].items():  # the other half of the tokens has no gradient
        ratio = gradients[1][name].norm() / value.norm() if value.norm() else torch.tensor(1.0)
        torch.testing.assert_close(gradients[1][name], value * ratio, rtol=1e-9, atol=1e-14)


def test_what_does_not_fit_alone_is_left_out(
    options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The step is that of the other examples of its batch."""
    options |= {"model.learning_rate": 0.0, "data.batch_sentences": 40, "trainer.max_epochs": 1}
    gradients = record_gradients(monkeypatch)
    batch_loss = Seq2SeqModule.batch_loss

    def without(self: Seq2SeqModule, batch: Batch) -> Any:
        sources = self.data.sources("train")
        keep = [row for row, line in enumerate(batch.lines.tolist()) if sources[line] != SPOILT]
        rest = Batch(*(side.__class__(side.ids[keep], side.lengths[keep]) for side in batch[:2]), batch.lines)
        return batch_loss(self, rest)

    def too_large(self: Seq2SeqModule, batch: Batch) -> Any:
        if SPOILT in [self.data.sources("train")[line] for line in batch.lines.tolist()]:
            raise CPU
        return batch_loss(self, batch)

    for run, loss in (("expected", without), ("run", too_large)):
        monkeypatch.setattr(Seq2SeqModule, "batch_loss", loss)
        s2s.fit({**options, "run_folder": str(tmp_path / run)})
    assert len(gradients) == 2
    for name, value in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], value, rtol=1e-10, atol=1e-14)
    said = "".join(capsys.readouterr())
    line = (tmp_path / "pairs.tsv").read_text().splitlines().index("c h\th c c") + 1
    assert (
        f"step 1: {options['data.train']}:{line} does not fit into memory even alone; it is left out" in said
    )
    assert "1 example left out, too large for the memory even alone" in said


def test_where_nothing_fits_training_stops(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    starve(monkeypatch, CPU, 0, backward=False)
    with pytest.raises(s2s.DataError, match="for 20 steps in a row no example fit into memory; limit their"):
        s2s.fit({**options, "data.batch_sentences": 1})


def test_other_errors_are_no_want_of_memory(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = starve(monkeypatch, RuntimeError("shapes do not match"), 0, backward=False)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        s2s.fit(options)
    assert sizes == [6]
