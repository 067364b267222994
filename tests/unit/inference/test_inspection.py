"""What `inspect` finds: numbers counted another way, damage told file by file."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file

from s2s.errors import BundleError
from s2s.inference.inspection import inspect
from tests.references.tiny import tiny_bundle

FIRST = Path(__file__).parents[2] / "data" / "bundle_of_format_1"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return tiny_bundle(tmp_path_factory.mktemp("tiny") / "bundle")


def test_numbers_are_those_of_the_files(bundle):
    found = inspect(bundle)
    sizes = dict.fromkeys(found.parameters, 0)
    for name, value in load_file(bundle / "weights.safetensors").items():
        sizes[name.partition(".")[0]] += value.numel()
    assert found.parameters == sizes
    paths = [path for path in bundle.rglob("*") if path.is_file()]
    assert {name: file["bytes"] for name, file in found.files.items()} == {
        path.relative_to(bundle).as_posix(): path.stat().st_size for path in paths
    }
    assert {file["state"] for file in found.files.values()} == {"verified"}
    vocabulary = found.vocabulary["source and target"]
    signs = sorted("abcdefghijklmnopqrstuvwxyz .,äßé")
    assert vocabulary["tokens"] == 36
    assert vocabulary["some"] == [*["<pad>", "<unk>", "<s>", "</s>"], *signs][::2]
    assert found.parts["cell LSTM"]["here"] == found.parts["cell LSTM"]["made_with"]
    assert found.problem is None


def test_damage_is_told_file_by_file(bundle, tmp_path):
    folder = shutil.copytree(bundle, tmp_path / "b")
    (folder / "README.md").write_text("mine")
    (folder / "weights.safetensors").write_bytes(b"no")
    (folder / "tokenizer" / "tokenizer.json").unlink()
    found = inspect(folder)
    assert {name: file["state"] for name, file in found.files.items()} == {
        "README.md": "altered",
        "config.json": "verified",
        "tokenizer/tokenizer.json": "missing",
        "weights.safetensors": "altered",
    }
    assert found.parameters is None and "get the bundle again" in found.problem


def test_a_card_that_was_edited_is_no_problem(bundle, tmp_path):
    folder = shutil.copytree(bundle, tmp_path / "b")
    (folder / "README.md").write_text("mine")
    assert inspect(folder).problem is None


def test_a_part_that_is_not_here(bundle, tmp_path):
    folder = shutil.copytree(bundle, tmp_path / "b")
    config = json.loads((folder / "config.json").read_text())
    del config["config_sha256"]
    config["distributions"]["cell Odd"] = {"distribution": "odd-cells", "version": "2.0"}
    (folder / "config.json").write_text(json.dumps(config))
    found = inspect(folder)
    assert found.parts["cell Odd"] == {
        "made_with": {"part_version": None, "distribution": "odd-cells", "version": "2.0"},
        "here": None,
    }
    assert "pip install odd-cells==2.0" in found.problem
    assert found.files["config.json"]["state"] == "not signed"


def test_no_bundle(tmp_path):
    with pytest.raises(BundleError, match="there is no bundle at"):
        inspect(tmp_path / "nowhere")


def test_the_folder_of_a_run_is_no_bundle_but_holds_one(tmp_path):
    shutil.copytree(FIRST, tmp_path / "run" / "bundle")
    with pytest.raises(
        BundleError, match="run is no bundle: it has no config.json; did you mean .*run/bundle"
    ):
        inspect(tmp_path / "run")


def test_a_bundle_that_notes_no_versions(tmp_path):
    folder = shutil.copytree(FIRST, tmp_path / "b")
    config = json.loads((folder / "config.json").read_text())
    del config["versions"]
    (folder / "config.json").write_text(json.dumps(config))
    found = inspect(folder)
    assert found.problem is None and found.parts["attention LuongGeneral"]["made_with"] == {
        "part_version": None
    }
    assert found.files["README.md"]["state"] == "not signed" and found.card == {}
