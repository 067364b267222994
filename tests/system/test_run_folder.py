"""What a run leaves behind, and what it does when numbers or options go wrong."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback

import s2s
from s2s.__main__ import main
from s2s_plugins.metrics.bleu import BLEU
from s2s_plugins.metrics.chrf import ChrF
from s2s_plugins.metrics.rouge import ROUGE1
from s2s_plugins.tasks.seq2seq import Seq2SeqModule


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    pairs = [(f"{a} {b}", f"{b} {a}") for a in "abcdef" for b in "ghijkl"]
    (tmp_path / "pairs.tsv").write_text("".join(f"{source}\t{target}\n" for source, target in pairs))
    return {
        "model.embedding": {"class_path": "Lookup", "init_args": {"size": 16}},
        "model.encoder": {"class_path": "Recurrent", "init_args": {"hidden_size": 8}},
        "model.decoder": {"class_path": "Recurrent", "init_args": {"hidden_size": 16}},
        "model.learning_rate": 0.02,
        "model.warmup_steps": 5,
        "data.train": str(tmp_path / "pairs.tsv"),
        "data.tokenizer": "Words",
        "data.batch_sentences": 6,
        "data.cache": str(tmp_path / "cache"),
        "trainer.logger": False,
        "trainer.max_epochs": 4,
        "run_folder": str(tmp_path / "run"),
    }


def test_the_bundle_carries_the_score_of_its_own_weights(options: dict[str, Any], tmp_path: Path) -> None:
    text = options["data.train"]
    # a learning rate that spoils the model again, so that the best epoch is not the last
    fitted = s2s.fit(
        {**options, "data.validation": text, "model.learning_rate": 0.3, "model.schedule": "constant"}
    )
    assert fitted.bundle is not None
    config = json.loads((fitted.bundle / "config.json").read_text())
    pairs = [line.split("\t") for line in Path(text).read_text().splitlines()]
    outputs = s2s.Translator.load(fitted.bundle).translate([source for source, _ in pairs], beam=1)
    score = BLEU().score(outputs, [[target for _, target in pairs]])
    assert config["scores"][0]["value"] == pytest.approx(score.value) == pytest.approx(fitted.score)
    best = torch.load(tmp_path / "run" / "checkpoints" / "best.ckpt", weights_only=True)
    assert config["training"]["step"] == best["global_step"]
    assert config["training"]["pairs"] == 36 and config["training"]["train"] == ["pairs.tsv"]
    assert "36 pairs of pairs.tsv" in (fitted.bundle / "README.md").read_text()


def test_without_validation_the_last_checkpoint_is_kept_and_shipped(
    options: dict[str, Any], tmp_path: Path
) -> None:
    fitted = s2s.fit({**options, "model.average_decay": 0.5})
    last = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["global_step"] == 24
    assert fitted.bundle is not None
    bundled = s2s.Translator.load(fitted.bundle).model.state_dict()
    for name, value in bundled.items():
        assert torch.equal(value, last["state_dict"][f"model.{name}"]), (
            "the averaged weights, as validation would see them"
        )


def test_one_embedding_for_two_tokenizers_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(
        s2s.ConfigError, match=r"share_embeddings needs one tokenizer .* set data.joint: true or"
    ):
        s2s.fit({**options, "data.joint": False})
    assert s2s.fit({**options, "data.joint": False, "model.share_embeddings": False}).bundle is not None


def poison(monkeypatch: pytest.MonkeyPatch, bad: Any) -> list[int]:
    """Make the loss NaN in the calls for which `bad` says so."""
    calls: list[int] = []
    batch_loss = Seq2SeqModule.batch_loss

    def poisoned(self: Seq2SeqModule, batch: Any) -> Any:
        loss = batch_loss(self, batch)
        calls.append(len(calls))
        return loss._replace(total=loss.total * float("nan")) if bad(calls[-1]) else loss

    monkeypatch.setattr(Seq2SeqModule, "batch_loss", poisoned)
    return calls


def test_a_step_of_nan_is_skipped(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = poison(monkeypatch, lambda call: call == 3)
    module = s2s.fit(options).module
    assert len(calls) == 24
    assert all(bool(parameter.isfinite().all()) for parameter in module.parameters())
    printed = capsys.readouterr()
    assert "step 4 skipped: its loss is nan" in printed.out + printed.err


def test_nothing_but_nan_stops_training(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    poison(monkeypatch, lambda call: True)
    with pytest.raises(
        s2s.DataError, match="20 steps in a row had no finite loss and gradient; lower model.learning_rate"
    ):
        s2s.fit(options)


def test_the_metric_of_the_model_is_tested_too(
    options: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metric = {"class_path": "ChrF", "init_args": {"word_order": 2}}
    s2s.fit({**options, "model.metric": metric, "model.monitor": "val_loss", "trainer.max_epochs": 1})
    text = options["data.train"]
    assert main(["test", "-c", str(tmp_path / "run" / "config.yaml"), "--data.test", text]) == 0
    outputs = (tmp_path / "run" / "test.pairs.hypotheses.txt").read_text().splitlines()
    references = [line.split("\t")[1] for line in Path(text).read_text().splitlines()]
    said = "".join(capsys.readouterr())
    assert f"model.metric {ChrF(word_order=2).score(outputs, [references])}" in said
    plain = BLEU().score(outputs, [references])
    assert f"BLEU  cased      {plain.value:7.2f}  {plain.signature}" in said


def test_several_checkpoints_are_kept_and_averaged(options: dict[str, Any], tmp_path: Path) -> None:
    keeping = {"class_path": "ModelCheckpoint", "init_args": {"every_n_train_steps": 8, "save_top_k": -1}}
    text = options["data.train"]
    s2s.fit({**options, "data.validation": text, "trainer.callbacks": [keeping]})
    folder = tmp_path / "run" / "checkpoints"
    several = [folder / f"epoch={epoch}-step={step}.ckpt" for epoch, step in ((1, 8), (2, 16), (3, 24))]
    assert set(folder.iterdir()) == {*several, folder / "best.ckpt", folder / "last.ckpt"}
    assert main(["average", *map(str, several), "--output", str(tmp_path / "mean")]) == 0
    kept = [torch.load(path, weights_only=True)["state_dict"] for path in several]
    for name, value in s2s.Translator.load(tmp_path / "mean").model.state_dict().items():
        mean = torch.stack([one[f"model.{name}"] for one in kept]).mean(0)
        torch.testing.assert_close(value, mean)


def test_each_test_set_has_outputs_and_scores_of_its_own(
    options: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, text = tmp_path / "run", options["data.train"]
    lines = Path(text).read_text().splitlines(keepends=True)
    for name, size in (("own", 4), ("2016/flickr", 6), ("2017/flickr", 8)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.tsv").write_text("".join(lines[:size]))
    s2s.fit({**options, "data.test": str(tmp_path / "own.tsv"), "trainer.max_epochs": 1})
    test = ["test", "-c", str(run / "config.yaml")]
    assert main(test) == 0
    for year in ("2016", "2017"):
        assert main([*test, "--data.test", str(tmp_path / year / "flickr.tsv")]) == 0
    assert "in place of" not in "".join(capsys.readouterr())
    for name, size, test_set in (
        ("test", 4, tmp_path / "own.tsv"),
        ("test.flickr", 6, tmp_path / "2016" / "flickr.tsv"),
        ("test.2017.flickr", 8, tmp_path / "2017" / "flickr.tsv"),
    ):
        outputs = (run / f"{name}.hypotheses.txt").read_text().splitlines()
        assert len(outputs) == size
        found = json.loads((run / f"{name}.scores.json").read_text())
        assert found["test_set"] == str(test_set)
        assert found["checkpoint"] == str(run / "checkpoints" / "last.ckpt")
        assert (found["epoch"], found["step"]) == (1, 6)
        scores = {score["signature"]: score for score in found["scores"]}
        assert len(scores) == len(found["scores"]), "each score once"
        expected = BLEU().score(outputs, [[line.rstrip().split("\t")[1] for line in lines[:size]]])
        bleu = scores[expected.signature]
        assert bleu["value"] == pytest.approx(expected.value)
        assert (bleu["name"], bleu["sentences"]) == ("BLEU", size)
    assert main([*test, "--data.test", str(tmp_path / "2017" / "flickr.tsv")]) == 0
    said = "".join(capsys.readouterr())
    assert f"hypotheses: {run / 'test.2017.flickr.hypotheses.txt'} (replaces that of an earlier test)" in said


def test_the_files_of_its_tests_go_with_a_replaced_run(options: dict[str, Any], tmp_path: Path) -> None:
    run, text = tmp_path / "run", options["data.train"]
    options |= {"data.test": text, "trainer.max_epochs": 1}
    s2s.fit(options)
    assert main(["test", "-c", str(run / "config.yaml")]) == 0
    (tmp_path / "a.en.tsv").write_text(Path(text).read_text())
    assert main(["test", "-c", str(run / "config.yaml"), "--data.test", str(tmp_path / "a.en.tsv")]) == 0
    written = {
        f"{name}.{ending}" for name in ("test", "test.a.en") for ending in ("hypotheses.txt", "scores.json")
    }
    mine = {"test.en", "test.mine.txt", "test.a.scores.json", "test.notes.json"}
    for name in mine:
        (run / name).write_text("{}")
    assert written | mine <= {path.name for path in run.iterdir()}

    with pytest.raises(ZeroDivisionError):  # the old run is put back, and these with it
        s2s.fit({**options, "overwrite": True}, callbacks=[Failing()])
    assert written | mine <= {path.name for path in run.iterdir()}
    s2s.fit({**options, "overwrite": True})
    assert {path.name for path in run.glob("test*")} == mine


class Failing(Callback):
    def on_train_batch_start(self, *_: Any) -> None:
        raise ZeroDivisionError


def test_summaries_are_scored_against_all_references_and_beside_extracts(
    options: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"source": "The b was here. A g.", "target": "g a", "more": ["the b", "b was here"]},
        {"source": "Nothing else. C h.", "target": "h c", "more": ["d i", "c"]},
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = {"path": str(tmp_path / "rows.jsonl"), "references_key": "more"}
    summaries = {"model.metric": "ROUGE1", "model.monitor": "val_ROUGE1", "trainer.max_epochs": 1}
    s2s.fit({**options, **summaries, "data.validation": text, "data.test": text})
    said = "".join(capsys.readouterr())
    assert "ROUGE-1|nrefs:3|refs:best|" in said
    config = str(tmp_path / "run" / "config.yaml")
    assert main(["test", "-c", config]) == 0
    lines = "".join(capsys.readouterr()).splitlines()
    outputs = (tmp_path / "run" / "test.hypotheses.txt").read_text().splitlines()
    references = [[row["target"] for row in rows], *([row["more"][i] for row in rows] for i in (0, 1))]
    own = ROUGE1().score(outputs, references)
    assert f"model.metric {own}" in lines
    (first,) = [
        i for i, line in enumerate(lines) if line.startswith("ROUGE-1     ROUGE-1|nrefs:3|refs:best|")
    ]
    scores = {line.split()[0]: float(line.split()[1]) for line in lines[first + 1 : first + 4]}
    # By hand: "The b was here" is "b was here" and a word more, F 6/7, and is chosen for its pairs; "C h" is "h c".
    assert scores == {"model": pytest.approx(own.value, abs=0.01), "lead-1": 42.86, "oracle-1": 92.86}
    assert (
        lines.count("intervals and p-values of 2 sentences are not reliable; a bootstrap needs 20 or more")
        == 1
    )
    metrics = [line.split()[0] for line in lines if line.startswith("ROUGE-")]
    assert metrics == ["ROUGE-1", "ROUGE-2", "ROUGE-L", "ROUGE-Lsum"]


@pytest.mark.parametrize("command", ["validate", "test"])
def test_help_of_what_scores_a_run_is_short(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert len(shown.splitlines()) < 40
    split, others = {"validate": ("validation", "test"), "test": ("test", "validation")}[command]
    assert f"--data.{split} " in shown and f"--data.{others} " not in shown
    assert "--model.metric " in shown and "--model.learning_rate" not in shown
    assert "all others: s2s fit --help" in shown
