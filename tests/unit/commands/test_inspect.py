"""`s2s inspect` as a person runs it."""

import json
import shutil

import pytest

from s2s.__main__ import main
from tests.references.tiny import tiny_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return tiny_bundle(tmp_path_factory.mktemp("tiny") / "bundle", target_text=["abc"], max_output_tokens=40)


def test_all_is_shown(bundle, capsys):
    assert main(["inspect", str(bundle)]) == 0
    shown = capsys.readouterr().out
    for words in (
        "bundle of format 1, made by s2s",
        "description   Says nothing of use.",
        "licence       not stated",
        "search        Beam(size=3)",
        "output        at most 40 tokens",
        "vocabulary of source: Characters, 36 tokens",
        "vocabulary of target: Characters, 7 tokens",
        "cell LSTM               version 1 of s2s",
        "weights.safetensors",
        "bytes, verified",
    ):
        assert words in shown, words


def test_json_says_the_same(bundle, capsys):
    assert main(["inspect", "--json", str(bundle)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["vocabulary"]["target"]["tokens"] == 7
    assert found["card"]["description"] == "Says nothing of use."


def test_what_cannot_be_used_is_shown_and_the_status_is_2(bundle, tmp_path, capsys):
    folder = shutil.copytree(bundle, tmp_path / "b")
    (folder / "weights.safetensors").write_bytes(b"no")
    assert main(["inspect", str(folder)]) == 2
    told = capsys.readouterr()
    assert "weights.safetensors              2 bytes, altered" in told.out
    assert told.err.startswith("s2s: error: ") and "is damaged: its checksum" in told.err
    assert main(["inspect", str(tmp_path)]) == 2
    assert "is no bundle: it has no config.json" in capsys.readouterr().err


def test_what_a_bundle_says_does_not_command_the_terminal(bundle, tmp_path, capsys):
    folder = shutil.copytree(bundle, tmp_path / "b")
    config = json.loads((folder / "config.json").read_text())
    del config["config_sha256"]
    config["card"]["licence"] = "\x1b[2J none\nat all"
    (folder / "config.json").write_text(json.dumps(config))
    assert main(["inspect", str(folder)]) == 0
    assert "licence       \\x1b[2J none\n                at all\n" in capsys.readouterr().out
