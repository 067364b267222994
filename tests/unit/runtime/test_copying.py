"""An exported model that copies says what its bundle says: words that the vocabulary lacks, as they stand."""

import pytest

from s2s import OnnxTranslator, Translator
from tests.references.exported import Exports, exports_of
from tests.references.tiny import tiny_bundle
from tests.unit.runtime.test_translator import expect_same

LINES = [
    "Größe7 ab",
    "abc def",
    "Ж",
    "x☃y☃z☄",
    "ЖЖ a Ж",
    "hello 12 and 21",
    "",
    "abcdef ☃☄",
    "Ж here. A ☃ there.",
]
KNOWN = set("abcdefghijklmnopqrstuvwxyz .,äßé⁇")


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Exports:
    folder = tmp_path_factory.mktemp("copying")
    bundle = tiny_bundle(folder / "bundle", head="PointerGenerator", attention="Coverage", seed=1)
    return exports_of(bundle, folder)


@pytest.mark.parametrize(
    "options",
    [
        {"beam": 1},
        {"beam": 4, "n_best": 3},
        {"beam": 2, "max_source_tokens": 4},  # words behind the cut are none that it can say
        {"split": "sentences", "batch_tokens": 1},
    ],
    ids=str,
)
def test_what_torch_gives(exports: Exports, options: dict[str, int | str]) -> None:
    found, expected = (
        translator.translate(LINES, results=True, max_tokens=12, minimum_ratio=1.0, **options)
        for translator in (OnnxTranslator.load(exports.onnx), Translator.load(exports.bundle))
    )
    expect_same(found, expected)
    copied = [set(one.text) - KNOWN for one in found]
    assert any(copied), "this model copies nothing: the test shows nothing"
    assert all(own <= set(line) for own, line in zip(copied, LINES, strict=True))


def test_int8_copies_too(exports: Exports) -> None:
    found = OnnxTranslator.load(exports.int8).translate(LINES, beam=1, max_tokens=12, minimum_ratio=1.0)
    copied = [set(text) - KNOWN for text in found]
    assert any(copied) and all(own <= set(line) for own, line in zip(copied, LINES, strict=True))
