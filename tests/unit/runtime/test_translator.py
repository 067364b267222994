"""Exported models at work: what torch gives, whatever the batch; what they cannot do; damaged folders."""

import json
import shutil

import numpy as np
import onnx
import pytest

from s2s import Line, OnnxTranslator, Translator
from s2s.errors import BundleError, ConfigError
from s2s.export.folder import export_bundle
from s2s.export.graphs import Graphs
from s2s.inference.exported import EXPORTED
from s2s.inference.workers import GivenUp
from tests.references.tiny import sentences, tiny_bundle

LINES = [*sentences(40), "", "  ", "a", "ж", "\udc80", "One is here. Two is there."]


@pytest.fixture
def bundle(tiny_exports):
    return tiny_exports.bundle


@pytest.fixture
def exported(tiny_exports):
    return tiny_exports.onnx


def outputs(translator, **options):
    return translator.translate(LINES, results=True, max_tokens=20, **options)


def expect_same(found, expected):
    """Tokens equal, scores within 1e-5 per token; a single one's may stray further: the tiny model is unstable."""
    for one, other in zip(found, expected, strict=True):
        assert (one.text, one.tokens, one.source_tokens) == (other.text, other.tokens, other.source_tokens)
        assert (one.finished, one.truncated) == (other.finished, other.truncated)
        assert one.log_probs == pytest.approx(other.log_probs, abs=1e-4)
        assert one.score == pytest.approx(other.score, abs=1e-5 * max(1, len(one.log_probs)))
        expect_same(one.alternatives, other.alternatives)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"beam": 1},
        {"beam": 4, "n_best": 3, "normalization": "length", "alpha": 0.9},
        {"search": "Greedy", "min_tokens": 4, "minimum_ratio": 0.5},
        {"limit_ratio": 0.5, "limit_extra": 1, "max_source_tokens": 7},
        {"split": "sentences"},
    ],
    ids=str,
)
def test_what_torch_gives(bundle, exported, options):
    expect_same(
        outputs(OnnxTranslator.load(exported), **options), outputs(Translator.load(bundle), **options)
    )


def test_batches_and_threads_change_nothing(exported):
    expected = outputs(OnnxTranslator.load(exported, threads=1))
    for threads, batch_tokens in ((1, 1), (1, 70), (3, 4096)):
        expect_same(
            outputs(OnnxTranslator.load(exported, threads=threads), batch_tokens=batch_tokens), expected
        )
    stream = OnnxTranslator.load(exported).stream(LINES, results=True, window=7, max_tokens=20)
    expect_same(list(stream), expected)


def test_texts_of_several_lines_and_none(exported):
    translator = OnnxTranslator.load(exported)
    assert translator.translate("ab\n\ncd").split("\n") == translator.translate(["ab", "", "cd"])
    assert translator.translate([]) == []


def test_int8_is_smaller_and_nearly_the_same(tiny_exports):
    _, exported, quantized = tiny_exports

    def size(folder):
        return (folder / "weights.bin").stat().st_size

    assert size(quantized) < 0.5 * size(exported)
    found, expected = (outputs(OnnxTranslator.load(folder), beam=1) for folder in (quantized, exported))
    first = [
        (one.log_probs[0], other.log_probs[0])
        for one, other in zip(found, expected, strict=True)
        if one.tokens
    ]
    assert 0 < max(abs(one - other) for one, other in first) < 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"samples": 3},
            "exported model cannot do 'samples'; translate with its bundle, or leave it out. What it can",
        ),
        ({"beta": 0.2}, "cannot weigh coverage, and beta is 0.2; give beta 0, or translate with its bundle"),
        ({"no_repeat_ngram": 2}, "cannot do 'no_repeat_ngram'"),
        ({"phrases": ["a"]}, "cannot do 'phrases'"),
        ({"shortlist": True}, "cannot do 'shortlist'"),
        ({"weights": True}, "cannot do 'weights'"),
        (
            {"search": "Sampling"},
            "cannot do search 'Sampling'; ask for search Beam or Greedy, or translate with its bundle",
        ),
        ({"search": "Greedy", "alpha": 0.1}, "search 'Greedy' takes no 'alpha'. What takes it: Beam"),
        ({"beem": 3}, "unknown option 'beem'; did you mean 'beam'"),
        ({"beam": 0}, "beam is 0; it must be 1 or more"),
    ],
    ids=str,
)
def test_what_it_cannot_do_is_refused_by_name(exported, options, message):
    with pytest.raises(ConfigError, match=message):
        OnnxTranslator.load(exported).translate("a", **options)


def test_wishes_of_a_line_are_refused_and_a_line_without_is_a_line(exported):
    translator = OnnxTranslator.load(exported)
    assert translator.translate(Line("abc")) == translator.translate("abc")
    for name, wish in (("prefix", "a"), ("phrases", ["a"]), ("banned", ["a"])):
        with pytest.raises(ConfigError, match=f"cannot do '{name}'; translate with its bundle"):
            translator.translate(Line("abc", **{name: wish}))


def test_nobody_waits_for_a_search_that_is_given_up(exported):
    stepper, state = OnnxTranslator.load(exported)._model.begin([[5, 6]], lambda: True)
    with pytest.raises(GivenUp):
        stepper.best(np.array([[2]]), state, 1)


def test_a_recommended_search_that_it_cannot_do(exported, tmp_path):
    folder = shutil.copytree(exported, tmp_path / "exported")

    def recommend(search):
        config = json.loads((folder / "export.json").read_text())
        config["search"] = search
        config.pop("config_sha256", None)
        (folder / "export.json").write_text(json.dumps(config))
        return OnnxTranslator.load(folder)

    with pytest.raises(ConfigError, match="cannot do search 'Sampling', which .*export.json recommends"):
        recommend("Sampling").translate("a")
    weighs = recommend({"class_path": "Beam", "init_args": {"size": 3, "beta": 0.5}})
    with pytest.raises(ConfigError, match="cannot weigh coverage, and .*export.json recommends beta 0.5"):
        weighs.translate("a")
    assert weighs.translate("abc", beta=0.0) == recommend("Beam").translate("abc", beam=3)
    greedy = recommend("Greedy")
    assert greedy.translate("abc") == greedy.translate("abc", beam=1)


def damage(folder, name):
    path = folder / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: shutil.rmtree(folder), "there is no export at .*; make one with: s2s export"),
        (lambda folder: (folder / "export.json").unlink(), "is no export: it has no export.json"),
        (lambda folder: (folder / "weights.bin").unlink(), "is incomplete: weights.bin is missing"),
        (lambda folder: (folder / "step.onnx").write_bytes(b""), "step.onnx is damaged: its checksum"),
        (lambda folder: damage(folder, "weights.bin"), "weights.bin is damaged: its checksum"),
        (lambda folder: damage(folder, "tokenizer/tokenizer.json"), "tokenizer.json is damaged"),
        (
            lambda folder: rewrite(folder, lambda config: config.update(format=2)),
            "was made by a newer s2s .*format 2, this s2s .* reads up to 1",
        ),
        (
            lambda folder: rewrite(folder, lambda config: config.update(opset=1)),
            "export.json has been altered",
        ),
        (
            lambda folder: rewrite(
                folder, lambda config: config["sha256"].update({"../x": "0"}), signed=False
            ),
            "names a file outside of the export",
        ),
    ],
)
def test_damaged_folders(exported, tmp_path, change, message):
    folder = shutil.copytree(exported, tmp_path / "exported")
    change(folder)
    with pytest.raises(BundleError, match=message):
        OnnxTranslator.load(folder)


def rewrite(folder, change, *, signed=True):
    config = json.loads((folder / "export.json").read_text())
    change(config)
    if not signed:
        del config["config_sha256"]
    (folder / "export.json").write_text(json.dumps(config))


def test_a_graph_that_is_none(exported, tmp_path):
    folder = shutil.copytree(exported, tmp_path / "exported")
    (folder / "step.onnx").write_bytes(b"no graph")
    rewrite(folder, lambda config: config["sha256"].pop("step.onnx"), signed=False)
    with pytest.raises(BundleError, match="step.onnx cannot be read by onnxruntime"):
        OnnxTranslator.load(folder)


def test_writing_replaces_an_export_and_nothing_else(bundle, exported, tmp_path, monkeypatch):
    graphs = Graphs(*(onnx.load(exported / name) for name in ("encoder.onnx", "step.onnx")))
    monkeypatch.setattr("s2s.export.folder.to_onnx", lambda model: graphs)
    with pytest.raises(BundleError, match="exists and is no export; it is left alone"):
        export_bundle(bundle, bundle)
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "export.json").write_text("{}")
    (folder / "old").write_text("")
    assert export_bundle(bundle, folder) == folder
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in exported.iterdir())
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_two_tokenizers(exported, tmp_path, monkeypatch):
    bundle = tiny_bundle(tmp_path / "bundle", target_text=["xyzuvw.,"])
    graphs = Graphs(*(onnx.load(exported / name) for name in ("encoder.onnx", "step.onnx")))
    monkeypatch.setattr(
        "s2s.export.folder.to_onnx", lambda model: graphs
    )  # of another model: nothing is asked of it
    monkeypatch.setattr("s2s.export.folder.verify", lambda model, graphs: None)
    folder = export_bundle(bundle, tmp_path / "exported")
    for side in ("source_tokenizer", "target_tokenizer"):
        assert (folder / side / "tokenizer.json").read_bytes() == (
            bundle / side / "tokenizer.json"
        ).read_bytes()
    source, target = EXPORTED.of_both_sides(folder, EXPORTED.read_config(folder))
    assert source.vocabulary_size > target.vocabulary_size


def test_an_export_is_no_bundle(exported):
    with pytest.raises(
        BundleError,
        match="written by s2s export: it is for `s2s translate`, `s2s summarize` and s2s.OnnxTranslator",
    ):
        Translator.load(exported)


def test_threads_that_cannot_be(exported):
    with pytest.raises(ConfigError, match="threads is 0; it must be 1 or more"):
        OnnxTranslator.load(exported, threads=0)
