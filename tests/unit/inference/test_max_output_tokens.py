"""The maximum output length that a bundle recommends."""

import io
import json
import shutil
import sys

import pytest

from s2s.__main__ import main
from s2s.errors import BundleError
from s2s.export.folder import export_bundle
from s2s.inference.bundle import load_bundle
from s2s.inference.summarizer import Summarizer
from s2s.inference.translator import Translator
from s2s.runtime.translator import OnnxTranslator
from tests.references.tiny import sentences, tiny_bundle

LINES = sentences(20, seed=4)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return tiny_bundle(tmp_path_factory.mktemp("tiny") / "bundle", max_output_tokens=4)


@pytest.fixture(scope="module")
def exported(bundle):
    return export_bundle(bundle, bundle.parent / "exported")


@pytest.fixture(params=["bundle", "exported"])
def translator(request, bundle, exported):
    return Translator.load(bundle) if request.param == "bundle" else OnnxTranslator.load(exported)


@pytest.mark.parametrize("beam", [1, 3])
def test_it_is_the_limit_where_none_is_given(translator, beam):
    recommended = translator.translate(LINES, results=True, beam=beam)
    assert recommended == translator.translate(LINES, results=True, beam=beam, max_tokens=4)
    assert max(len(one.tokens) for one in recommended) == 4


def test_another_limit_or_a_longer_minimum_replaces_it(translator, tmp_path):
    free = Translator.load(tiny_bundle(tmp_path / "free"))
    assert translator.translate(LINES, max_tokens=80) == free.translate(LINES)
    for one in translator.translate(LINES, results=True, min_tokens=6):
        assert len(one.tokens) == 6
    assert {len(one.tokens) for one in translator.translate(LINES, results=True, max_tokens=1)} <= {0, 1}


def test_a_summarizer_of_the_bundle_has_it(bundle):
    translator = Translator.load(bundle)
    assert Summarizer.of(translator).summarize(LINES) == translator.translate(LINES)


def test_of_an_ensemble_the_first_bundle_decides(bundle, tmp_path):
    longer = tiny_bundle(tmp_path / "longer", seed=1, max_output_tokens=7)
    for first, second, most in ((bundle, longer, 4), (longer, bundle, 7)):
        both = Translator.load(first, models=[second])
        assert both.translate(LINES) == both.translate(LINES, max_tokens=most)


@pytest.mark.parametrize("command", ["translate", "summarize"])
def test_the_command_says_which_option_allows_longer_outputs(bundle, command, capfd, monkeypatch):
    for options, option in (([], "--max-tokens"), (["--max-tokens", "3"], "--max-tokens")):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join(LINES).encode())))
        assert main([command, str(bundle), *options]) == 0
        assert f"outputs were cut at their token limit; see {option}\n" in capfd.readouterr().err


@pytest.mark.parametrize("limit", [0, -1, True, "40", 4.5, None])
def test_what_cannot_be_is_refused(bundle, exported, tmp_path, limit):
    for folder, name, load in (
        (bundle, "config.json", load_bundle),
        (exported, "export.json", OnnxTranslator.load),
    ):
        changed = shutil.copytree(folder, tmp_path / name)
        config = json.loads((changed / name).read_text())
        assert config["max_output_tokens"] == 4
        del config["config_sha256"]
        config["max_output_tokens"] = limit
        (changed / name).write_text(json.dumps(config))
        with pytest.raises(
            BundleError, match=f"max_output_tokens is {limit!r}, but it must be a whole number"
        ):
            load(changed)
