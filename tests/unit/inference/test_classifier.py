"""A classifier's bundle at work: the model's own numbers, and never those of a batch mate."""

from pathlib import Path
from typing import Any

import pytest
import torch

import s2s
from s2s.errors import BundleError, ConfigError, DataError
from s2s.inference.classifier import Classification
from s2s.text.batch import pad
from tests.references.tiny import sentences, tiny_bundle
from tests.references.tiny_classifier import CLASSES, tiny_classifier


@pytest.fixture(scope="module", params=["last", "mean", "max", "attention"])
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_classifier(tmp_path_factory.mktemp("tiny") / "bundle", pooling=request.param)


def by_itself(classifier: s2s.Classifier, text: str) -> dict[str, float]:
    """One text through the model, without any of the classifier's ways."""
    tokens = classifier.bundle.tokenizers["source_tokenizer"].encode(text)
    with torch.no_grad():
        probabilities = classifier.model(pad([tokens]))[0].exp().tolist()
    return dict(zip(CLASSES, probabilities, strict=True))


def test_a_text_depends_on_that_text_alone(bundle: Path) -> None:
    texts = [*sentences(60), "", "two\nlines", *sentences(20, seed=4), "a\x00\u2028b", "\ud800"]
    classifier = s2s.Classifier.load(bundle, threads=2)
    classifier.model.double()  # weights as large as these make 1e-4 of float32's rounding in 26 steps
    assert classifier.classes == list(CLASSES)
    expected = [by_itself(classifier, text) if text not in ("", "\ud800") else {} for text in texts]
    for options in ({}, {"batch_tokens": 40}, {"batch_tokens": 1}):
        found = classifier.classify(texts, results=True, **options)
        backwards = classifier.classify(texts[::-1], results=True, **options)[::-1]
        for one, other, wanted in zip(found, backwards, expected, strict=True):
            if wanted:
                assert one.probabilities == pytest.approx(wanted, abs=1e-10)
                assert other.probabilities == pytest.approx(wanted, abs=1e-10)
                assert list(one.probabilities.values()) == sorted(one.probabilities.values(), reverse=True)
                assert one.label == max(wanted, key=wanted.__getitem__) == next(iter(one.probabilities))
                assert one.probability == max(one.probabilities.values())
    labels = classifier.classify(texts)
    assert labels == [one.label for one in classifier.classify(texts, results=True)]
    assert len(set(labels)) == 4  # it tells texts apart, and says "" of the empty one
    assert list(classifier.stream(texts, window=7)) == labels
    assert [classifier.classify(text) for text in texts] == labels


def test_an_empty_text_has_no_class(bundle: Path) -> None:
    classifier = s2s.Classifier.load(bundle)
    assert classifier.classify("") == "" and classifier.classify(["", ""]) == ["", ""]
    assert classifier.classify("", results=True) == Classification("")
    assert classifier.classify("", results=True).probability is None
    assert classifier.classify([]) == []


def test_what_is_too_long_is_cut_and_told(bundle: Path) -> None:
    classifier = s2s.Classifier.load(bundle)
    long, short = sentences(1, seed=9)[0] * 3, "abc"
    with pytest.warns(
        UserWarning, match="1 of 2 texts have more than 5 tokens; only so many were read of each"
    ):
        labels = classifier.classify([long, short], max_source_tokens=5)
    assert labels == classifier.classify([long[:5], short])
    results = classifier.classify([long, short], results=True, max_source_tokens=5)
    assert [(one.tokens, one.truncated) for one in results] == [(5, True), (3, False)]
    classifier.model.encoder.longest = 5  # as of a table of positions that ends there
    with pytest.warns(
        UserWarning, match="1 of 2 texts have more than 5 tokens; only so many were read of each"
    ):
        assert classifier.classify([long, short]) == labels


def test_with_a_window_of_one_each_text_is_answered_before_the_next_is_read(bundle: Path) -> None:
    read = []

    def texts() -> Any:
        for name in ("abc", "de"):
            read.append(name)
            yield name

    stream = s2s.Classifier.load(bundle).stream(texts(), window=1)
    next(stream)
    assert read == ["abc"]
    stream.close()  # type: ignore[union-attr]


def test_what_cannot_be(bundle: Path, tmp_path: Path) -> None:
    classifier = s2s.Classifier.load(bundle)
    for raising, message in (
        (lambda: classifier.classify(["a", 5]), "text 1 is a int, not a str: 5"),  # type: ignore[list-item]
        (
            lambda: classifier.stream("abc"),
            "stream takes texts, such as a list; for one text use classify",
        ),
    ):
        with pytest.raises(DataError, match=message):
            raising()
    for raising, message in (
        (
            lambda: classifier.classify("a", max_source_tokens=0),
            "max_source_tokens is 0; it must be 1 or more",
        ),
        (lambda: classifier.classify("a", batch_tokens=0), "batch_tokens is 0; it must be 1 or more"),
        (lambda: classifier.stream(["a"], window=0), "window is 0; it must be 1 or more"),
        (lambda: s2s.Classifier.load(bundle, threads=0), "threads is 0; it must be 1 or more"),
        (lambda: s2s.Classifier.load(bundle, device="cooker"), "device 'cooker' cannot be used here"),
    ):
        with pytest.raises(ConfigError, match=message):
            raising()
    with pytest.raises(
        BundleError, match="holds a recurrent encoder-decoder model; use it with: s2s translate"
    ):
        s2s.Classifier.load(tiny_bundle(tmp_path / "translator"))
    with pytest.raises(BundleError, match="holds a sequence classifier; use it with: s2s classify"):
        s2s.Translator.load(bundle)
