"""Run folders become bundles: the one that training wrote, and those of other checkpoints."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

import s2s
from s2s.__main__ import main
from s2s.errors import BundleError
from s2s.inference.averaging import average
from s2s.inference.bundle import load_bundle
from s2s.inference.conversion import convert


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("convert")
    pairs = "".join(f"{a} {b}\t{b} {a}\n" for a in "abcd" for b in "ghij")
    (folder / "pairs.tsv").write_text(pairs)
    s2s.fit(
        {
            "model.embedding": {"class_path": "Lookup", "init_args": {"size": 12}},
            "model.encoder": {"class_path": "Recurrent", "init_args": {"hidden_size": 6}},
            "model.decoder": {"class_path": "Recurrent", "init_args": {"hidden_size": 12}},
            "model.max_output_tokens": 5,
            "model.warmup_steps": 1,
            "model.average_decay": 0.5,
            "data.train": str(folder / "pairs.tsv"),
            "data.validation": str(folder / "pairs.tsv"),
            "data.tokenizer": "Words",
            "data.batch_sentences": 8,
            "data.cache": str(folder / "cache"),
            "trainer.logger": False,
            "trainer.max_epochs": 2,
            "run_folder": str(folder / "run"),
        }
    )
    return folder / "run"


def config(bundle: Path) -> dict[str, Any]:
    return dict(json.loads((bundle / "config.json").read_text()))


def test_the_best_checkpoint_is_the_bundle_that_training_wrote(run: Path, tmp_path: Path) -> None:
    assert (
        main(["convert", str(run), str(tmp_path / "b"), "--licence", "CC0 1.0", "--intended-use", "Tests."])
        == 0
    )
    ours, theirs = (
        load_file(tmp_path / "b" / "weights.safetensors"),
        load_file(run / "bundle" / "weights.safetensors"),
    )
    assert set(ours) == set(theirs) and all(torch.equal(value, theirs[name]) for name, value in ours.items())
    one, other = config(tmp_path / "b"), config(run / "bundle")
    assert other["training"].pop("pairs") == 16
    for entry in ("task", "model", "tokenizer", "search", "training", "versions", "distributions", "scores"):
        assert one[entry] == other[entry], entry
    assert one["max_output_tokens"] == other["max_output_tokens"] == 5
    assert one["card"]["licence"] == "CC0 1.0" and one["card"]["intended_use"] == "Tests."
    assert "trained on pairs.tsv; weights of epoch" in one["card"]["description"]
    assert s2s.Translator.load(tmp_path / "b").translate("a g", beam=1) is not None


def test_another_checkpoint_and_another_card(run: Path, tmp_path: Path) -> None:
    last = run / "checkpoints" / "last.ckpt"
    for number, source in enumerate(
        ((run, {"checkpoint": "last"}), (last, {}), (run, {"checkpoint": str(last)}))
    ):
        bundle = load_bundle(convert(source[0], tmp_path / str(number), **source[1]))
        saved = torch.load(last, weights_only=True)["state_dict"]
        for name, value in bundle.model.state_dict().items():
            assert torch.equal(value, saved[f"model.{name}"])
    assert main(["convert", str(tmp_path / "0"), str(tmp_path / "0"), "--licence", "MIT"]) == 0
    assert config(tmp_path / "0")["card"]["licence"] == "MIT"
    assert config(tmp_path / "0")["max_output_tokens"] == 5
    assert config(tmp_path / "0")["card"]["description"] == config(tmp_path / "1")["card"]["description"]


def test_the_mean_of_checkpoints(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    saved = torch.load(last, weights_only=True)
    saved["state_dict"] = {name: value + 1 for name, value in saved["state_dict"].items()}
    torch.save(saved, last)
    assert main(["average", str(run / "bundle"), str(last), "--output", str(tmp_path / "mean")]) == 0
    theirs = load_file(run / "bundle" / "weights.safetensors")
    for name, value in load_file(tmp_path / "mean" / "weights.safetensors").items():
        plus = saved["state_dict"][f"model.{name}"].double()
        assert torch.equal(value, ((theirs[name].double() + plus) / 2).float())
    assert config(tmp_path / "mean")["training"]["mean of"][1] == "epoch 2, step 4, seed 1"
    with pytest.raises(BundleError, match="is damaged, or no checkpoint of `s2s fit`"):
        last.write_bytes(last.read_bytes()[:500])
        average([run, last], tmp_path / "other")


@pytest.mark.parametrize(
    ("train", "names"),
    [
        ("$NOWHERE/a.de.gz,$NOWHERE/a.en.gz", ["a.de.gz", "a.en.gz"]),
        ([{"source": "x/a", "target": "x/b", "weight": 2}, {"path": "c.tsv"}], ["a", "b", "c.tsv"]),
        (None, None),
    ],
)
def test_the_files_that_were_learnt_from_need_not_be_there(
    run: Path, tmp_path: Path, train: Any, names: list[str] | None
) -> None:
    shutil.copytree(run, tmp_path / "run")
    settings = yaml.safe_load((run / "config.yaml").read_text())
    settings["data"]["train"] = train
    (tmp_path / "run" / "config.yaml").write_text(yaml.safe_dump(settings))
    assert config(convert(tmp_path / "run", tmp_path / "b"))["training"].get("train") == names


def test_what_cannot_be_converted(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(run), str(tmp_path / "b"), "--checkpoint", "first"]) == 2
    assert "has no checkpoint 'first'; there are: best.ckpt, last.ckpt" in capsys.readouterr().err
    assert main(["convert", str(tmp_path / "nowhere"), str(tmp_path / "b")]) == 2
    assert "there is no run, bundle or checkpoint at " in capsys.readouterr().err
    assert main(["convert", str(tmp_path), str(tmp_path / "b")]) == 2
    assert "is it a run folder of `s2s fit`?" in capsys.readouterr().err
    shutil.copy(run / "checkpoints" / "last.ckpt", tmp_path / "alone.ckpt")
    assert main(["convert", str(tmp_path / "alone.ckpt"), str(tmp_path / "b")]) == 2
    assert "a checkpoint must be where `s2s fit` has put it" in capsys.readouterr().err
    changed = shutil.copytree(run, tmp_path / "run")
    text = (changed / "config.yaml").read_text()
    (changed / "config.yaml").write_text(text.replace("hidden_size: 12", "hidden_size: 10"))
    assert main(["convert", str(changed), str(tmp_path / "b")]) == 2
    assert "best.ckpt does not fit " in capsys.readouterr().err
    (changed / "config.yaml").write_text(text.replace("encoder:", "reader:"))
    assert main(["convert", str(changed), str(tmp_path / "b")]) == 2
    assert "lacks model.encoder; only runs of an encoder-decoder" in capsys.readouterr().err
    (changed / "config.yaml").write_text(text.replace("start_from: null", "start_from: gone"))
    assert main(["convert", str(changed), str(tmp_path / "b")]) == 2
    assert "the run was begun with the bundle gone, which is not there" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


def test_a_checkpoint_of_another_version_of_a_part_is_refused(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    best = tmp_path / "run" / "checkpoints" / "best.ckpt"
    saved = torch.load(best, weights_only=True)
    assert saved["versions"]["encoder Recurrent"] == 1
    saved["versions"]["encoder Recurrent"] = 7
    torch.save(saved, best)
    with pytest.raises(
        BundleError, match="version 7 of encoder 'Recurrent', and the installed one is version 1"
    ):
        convert(tmp_path / "run", tmp_path / "b")


@pytest.mark.parametrize(("name", "value"), [("scores", [1]), ("scores", [{"x": 1}]), ("card", {"x": 1})])
def test_a_bundle_that_misstates_what_is_known_of_it(
    run: Path, tmp_path: Path, name: str, value: Any
) -> None:
    spoilt = shutil.copytree(run / "bundle", tmp_path / "spoilt")
    entries = {**config(spoilt), name: value}
    entries.pop("config_sha256")
    (spoilt / "config.json").write_text(json.dumps(entries))
    with pytest.raises(
        BundleError, match="spoilt/config.json misstates its card or its scores: .*; get the bundle"
    ):
        convert(spoilt, tmp_path / "b")


def test_a_run_begun_with_a_bundle_that_is_none_is_named(run: Path, tmp_path: Path) -> None:
    spoilt = shutil.copytree(run, tmp_path / "spoilt")
    entries = yaml.safe_load((spoilt / "config.yaml").read_text())
    entries["model"]["start_from"] = "."
    (spoilt / "config.yaml").write_text(yaml.safe_dump(entries))
    with pytest.raises(
        BundleError, match="spoilt/checkpoints/best.ckpt cannot be converted to a bundle: . is no bundle"
    ):
        convert(spoilt, tmp_path / "b")


def test_what_was_added_to_a_bundle_stays_or_is_missed(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Going on with a run that is over leaves its bundle alone; another bundle in its place says what it lacks."""
    mine = shutil.copytree(run, tmp_path / "run")
    assert main(["convert", str(mine), str(mine / "bundle"), "--licence", "CC0"]) == 0
    kept = (mine / "bundle" / "config.json").read_bytes()
    going_on = ["fit", "-c", str(mine / "config.yaml"), "--run_folder", str(mine), "--ckpt_path", "last"]
    assert main(going_on) == 0
    assert ", unchanged\n" in capsys.readouterr().out
    assert (mine / "bundle" / "config.json").read_bytes() == kept
    # what the training itself states is no loss
    (mine / "checkpoints" / "best.ckpt").unlink()
    plain = shutil.copytree(mine, tmp_path / "plain")
    config = json.loads((plain / "bundle" / "config.json").read_text())
    config["card"]["licence"] = ""
    (plain / "bundle" / "config.json").write_text(json.dumps(config))
    assert main([*going_on[:3], "--run_folder", str(plain), *going_on[5:], "--trainer.max_epochs", "3"]) == 0
    assert "stated a licence" not in capsys.readouterr().out
    assert main([*going_on, "--trainer.max_epochs", "3"]) == 0
    assert (
        "the replaced bundle stated a licence or an intended use; to state it again: s2s convert"
        in capsys.readouterr().out
    )
    assert (mine / "bundle" / "config.json").read_bytes() != kept
