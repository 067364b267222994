"""`s2s export`, and `s2s translate` with what it wrote."""

import re

import pytest

from s2s.__main__ import main
from tests.references.tiny import tiny_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return tiny_bundle(tmp_path_factory.mktemp("export") / "bundle")


def test_export_compare_translate(bundle, tmp_path, capsys):
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("abc\tabc abc\nde f\tdef def\n")
    assert main(["export", str(bundle), "--int8", "--compare", str(pairs)]) == 0
    folder = bundle.with_name("bundle-onnx-int8")
    first, of_bundle, of_export, same = capsys.readouterr().out.splitlines()
    assert first == str(folder)
    assert re.fullmatch(rf"{bundle} +BLEU \d+\.\d\d", of_bundle)
    assert re.fullmatch(rf"{folder} +BLEU \d+\.\d\d \([+-]\d+\.\d\d\)", of_export)
    assert re.fullmatch(r"[0-2] of 2 outputs are the same; BLEU\|.*version:.*", same)

    (tmp_path / "in.txt").write_text("abc\n\nde\n")
    output = tmp_path / "out.txt"
    assert main(["translate", str(folder), str(tmp_path / "in.txt"), "--output", str(output)]) == 0
    lines = output.read_text().split("\n")
    assert len(lines) == 4 and lines[1] == ""
    card = (folder / "README.md").read_text()
    assert "ONNX graphs in int8" in card and "Says nothing of use." in card


def test_a_search_that_it_cannot_do_is_told(tmp_path, capsys):
    weighing = {"class_path": "Beam", "init_args": {"size": 2, "beta": 0.2}}
    assert main(["export", str(tiny_bundle(tmp_path / "model", search=weighing))]) == 0
    told = (
        "cannot weigh coverage, and model-onnx recommends beta 0.2; give beta 0, or translate with its bundle"
    )
    assert told in capsys.readouterr().err
    (tmp_path / "in.txt").write_text("abc\n")
    arguments = ["translate", str(tmp_path / "model-onnx"), str(tmp_path / "in.txt")]
    assert main(arguments) == 2
    assert main([*arguments, "--beta", "0"]) == 0


def test_a_beam_is_searched_where_the_recommended_search_has_none(tmp_path, capsys):
    bundle = tiny_bundle(tmp_path / "model", search="Sampling")
    assert main(["export", str(bundle)]) == 0
    (tmp_path / "in.txt").write_text("abc\nde\n")
    found = []
    for folder in (bundle, f"{bundle}-onnx"):
        capsys.readouterr()
        assert main(["translate", str(folder), str(tmp_path / "in.txt"), "--beam", "3"]) == 0
        found.append(capsys.readouterr().out)
    assert found[0] == found[1]


def test_other_commands_want_the_bundle(tiny_exports, capsys):
    for command in ("inspect", "export"):
        assert main([command, str(tiny_exports.onnx)]) == 2
        assert "was written by s2s export" in capsys.readouterr().err


def test_what_is_not_installed_is_named(bundle, capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "s2s.export.folder", None)
    assert main(["export", str(bundle)]) == 2
    assert "exporting needs the packages of s2s[onnx]" in capsys.readouterr().err


def test_unknown_runtime(bundle, capsys):
    assert main(["export", str(bundle), "--to", "tensorflow"]) == 2
    assert "invalid choice: 'tensorflow'" in capsys.readouterr().err
