"""`s2s shortlist` and `s2s translate --shortlist` as a person runs them."""

import pytest

from s2s.__main__ import main
from s2s.inference.bundle import load_bundle
from s2s.inference.translator import Translator
from tests.references.tiny import sentences, tiny_bundle


def test_learn_and_translate(tmp_path, capsys):
    bundle = tiny_bundle(tmp_path / "bundle")
    lines = sentences(50)
    (tmp_path / "a").write_text("".join(f"{line}\n" for line in lines))
    (tmp_path / "b").write_text("".join(f"{line[::-1]}\n" for line in lines))
    assert main(["translate", str(bundle), str(tmp_path / "a"), "--shortlist"]) == 2
    assert "the bundle has no shortlist; learn one" in capsys.readouterr().err
    text = f"{tmp_path}/a,{tmp_path}/b"
    assert main(["shortlist", str(bundle), text, "--per-piece", "2", "--frequent", "3"]) == 0
    told = capsys.readouterr().err
    assert told.startswith(f"a shortlist in {bundle}, learnt from 50 sentence pairs: ")
    learnt = load_bundle(bundle).shortlist
    assert learnt.beside.shape[1] == 2 and len(learnt.always) == 7
    # A letter is translated by itself, and so it is always on the list.
    letters = load_bundle(bundle).target_tokenizer.encode("abcdefghijklmnopqrstuvwxyz")
    assert all(letter in learnt.beside[letter] for letter in letters)
    assert "with 100.00% of the target tokens of this text" in told
    assert main(["translate", str(bundle), str(tmp_path / "a"), "--shortlist", "--beam", "2"]) == 0
    expected = Translator.load(bundle).translate(lines, beam=2, shortlist=True)
    assert capsys.readouterr().out.splitlines() == expected
    assert main(["shortlist", str(bundle), text]) == 0
    assert f"a shortlist in {bundle}, in place of the one that was there, learnt" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing", "a.tsv"], "there is no bundle at missing"),
        (["BUNDLE", "a.tsv"], "there is no file a.tsv"),
        (["BUNDLE", "a.tsv", "--per-peace", "3"], "did you mean '--per-piece'?"),
    ],
)
def test_errors_without_traceback(tmp_path, capsys, words, message):
    bundle = str(tiny_bundle(tmp_path / "bundle"))
    assert main(["shortlist", *(bundle if word == "BUNDLE" else word for word in words)]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("s2s: error: ") and message in errors and "Traceback" not in errors
