"""Translating with a shortlist: a sentence's list is its own, whoever its batch mates are."""

import dataclasses

import numpy as np
import pytest
import torch

from s2s.errors import BundleError
from s2s.inference.bundle import add_shortlist, load_bundle
from s2s.inference.translator import Translator
from s2s.nn import shortlist as module
from s2s.text.shortlist import Shortlist
from tests.references.tiny import sentences, tiny_bundle


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Every letter has five pieces beside it."""
    folder = tiny_bundle(tmp_path_factory.mktemp("tiny") / "bundle")
    size = load_bundle(folder).target_tokenizer.vocabulary_size
    beside = np.random.default_rng(0).integers(size, size=(size, 5), dtype=np.int32)
    add_shortlist(folder, Shortlist(beside, np.array([0, 1, 2, 3, 9], dtype=np.int32)))
    return folder


@pytest.fixture(autouse=True)
def small_groups(monkeypatch):
    monkeypatch.setattr(module, "SENTENCES", 5)


@pytest.mark.parametrize("beam", [1, 4])
def test_a_sentence_does_not_depend_on_its_batch(folder, beam):
    bundle = load_bundle(folder)
    lines = sentences(48, seed=8)
    exact = Translator(dataclasses.replace(bundle, model=bundle.model.double()))
    options = {"beam": beam, "minimum_ratio": 1.0, "results": True, "shortlist": True}
    together = exact.translate(lines, batch_tokens=10**6, **options)
    backwards = exact.translate(lines[::-1], batch_tokens=200, **options)[::-1]
    alone = [exact.translate(line, **options) for line in lines]
    for one, two, three in zip(together, backwards, alone, strict=True):
        assert one.tokens == two.tokens == three.tokens
        assert one.log_probs == pytest.approx(two.log_probs, abs=1e-6)
        assert one.log_probs == pytest.approx(three.log_probs, abs=1e-6)
    free = exact.translate(lines, beam=beam, minimum_ratio=1.0)
    assert sum(one.text != text for one, text in zip(together, free, strict=True)) > 12, "nothing was barred"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_is_said_is_on_the_list(folder, precision):
    translator = Translator.load(folder, precision=precision)
    tokenizer, shortlist = translator.bundle.target_tokenizer, translator.bundle.shortlist
    for line in sentences(20, seed=9):
        found = translator.translate(line, beam=3, minimum_ratio=1.0, results=True, shortlist=True)
        own = [*shortlist.candidates(np.array([tokenizer.encode(line)]))[0], *shortlist.always]
        assert set(found.tokens) <= set(tokenizer.tokens(own)) and len(found.tokens) >= len(line)
        assert all(-50 < value <= 1e-6 for value in found.log_probs)


def test_a_list_of_everything_changes_nothing(tmp_path):
    folder = tiny_bundle(tmp_path / "b")
    size = load_bundle(folder).target_tokenizer.vocabulary_size
    add_shortlist(folder, Shortlist(np.full((size, 1), 3, np.int32), np.arange(size, dtype=np.int32)))
    translator = Translator.load(folder)
    lines = ["", *sentences(30, seed=10)]
    for one, two in zip(
        translator.translate(lines, results=True),
        translator.translate(lines, results=True, shortlist=True),
        strict=True,
    ):
        assert one.tokens == two.tokens
        assert one.log_probs == pytest.approx(two.log_probs, abs=1e-4)


def test_a_bundle_without_one(tmp_path):
    translator = Translator.load(tiny_bundle(tmp_path / "b"))
    with pytest.raises(BundleError, match="no shortlist; learn one .* s2s shortlist BUNDLE SOURCE,TARGET"):
        translator.translate("abc", shortlist=True)


def test_it_is_part_of_the_bundle(folder, tmp_path):
    loaded = load_bundle(folder)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["bundle"]
    again = Shortlist(loaded.shortlist.beside[:, :2], loaded.shortlist.always)
    link = tmp_path / "link"
    link.symlink_to(folder)
    add_shortlist(link, again)
    assert link.is_symlink() and load_bundle(folder).shortlist.beside.shape[1] == 2
    assert torch.equal(load_bundle(folder).model.head.bias, loaded.model.head.bias)
    add_shortlist(folder, loaded.shortlist)
    broken = tiny_bundle(tmp_path / "broken")
    add_shortlist(broken, loaded.shortlist)
    contents = bytearray((broken / "shortlist.safetensors").read_bytes())
    contents[-1] ^= 1
    (broken / "shortlist.safetensors").write_bytes(contents)
    with pytest.raises(BundleError, match="shortlist.safetensors is damaged: its checksum"):
        load_bundle(broken)
    (broken / "shortlist.safetensors").unlink()
    with pytest.raises(BundleError, match="incomplete: shortlist.safetensors is missing"):
        load_bundle(broken)
    other = tiny_bundle(tmp_path / "other", target_text=["ab"])
    add_shortlist(other, loaded.shortlist)
    with pytest.raises(BundleError, match="is no shortlist for .* get the bundle again"):
        load_bundle(other)
