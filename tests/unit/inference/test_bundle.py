"""Bundles: what is written is read back, and whatever is wrong with one is told with its remedy."""

import functools
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from s2s.__main__ import main
from s2s.errors import BundleError, ConfigError
from s2s.evaluation.metric import Score
from s2s.export.folder import export_bundle
from s2s.inference.bundle import (
    add_shortlist,
    build_model,
    check_files,
    load_bundle,
    read_config,
    save_bundle,
)
from s2s.inference.bundle_config import FORMAT
from s2s.inference.card import Card
from s2s.inference.model_bundle import build
from s2s.inference.translator import Translator
from s2s.registry import use_plugins
from s2s.runtime.translator import OnnxTranslator
from s2s.text.shortlist import Shortlist
from s2s_plugins.embeddings.lookup import LookupEmbedding
from tests.references.tiny import sentences, tiny_bundle

LINES = sentences(12, seed=3)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return tiny_bundle(tmp_path_factory.mktemp("tiny") / "bundle")


@pytest.fixture
def folder(original, tmp_path):
    return Path(shutil.copytree(original, tmp_path / "bundle"))


def edit_config(folder, change):
    config = json.loads((folder / "config.json").read_text())
    config.pop("config_sha256", None)  # whoever edits it himself takes that out
    change(config)
    (folder / "config.json").write_text(json.dumps(config))


def save_again(bundle, folder, **changes):
    arguments = {
        "model": bundle.model,
        "model_config": bundle.config["model"],
        "source_tokenizer": bundle.source_tokenizer,
        "source_tokenizer_spec": "Characters",
        "search": "Greedy",
    }
    return save_bundle(folder, **{**arguments, **changes})


def test_what_is_in_a_bundle(original):
    names = sorted(path.relative_to(original).as_posix() for path in original.rglob("*") if path.is_file())
    assert names == ["README.md", "config.json", "tokenizer/tokenizer.json", "weights.safetensors"]
    assert [path.name for path in original.parent.iterdir()] == ["bundle"], "something was left beside it"


def test_whoever_may_read_the_card_may_read_the_weights(original, tmp_path):
    before = os.umask(0o027)
    try:
        folder = save_again(load_bundle(original), tmp_path / "bundle")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()}
    assert set(modes.values()) == {0o640}, modes


@pytest.mark.parametrize("tie", [False, True])
def test_round_trip(tmp_path, tie):
    first = load_bundle(tiny_bundle(tmp_path / "one", tie=tie))
    second = load_bundle(save_again(first, tmp_path / "two"))
    assert not second.model.training
    assert second.source_tokenizer is second.target_tokenizer
    assert type(second.search).__name__ == "Greedy" and first.search.size == 3
    weights = second.model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in first.model.state_dict().items())
    if tie:
        assert second.model.source_embedding is second.model.target_embedding
        assert second.model.head.weight is second.model.target_embedding.table()
    stored = load_file(tmp_path / "two" / "weights.safetensors")
    assert sum(value.numel() for value in stored.values()) == sum(p.numel() for p in first.model.parameters())


def test_loading_draws_nothing_and_yet_computes_what_is_not_stored(folder, monkeypatch):
    original_init = LookupEmbedding.__init__

    @functools.wraps(original_init)
    def build(self, *args, **options):
        original_init(self, *args, **options)
        seeded = torch.Generator().manual_seed(1)
        self.register_buffer("constant", torch.empty(4).normal_(generator=seeded), persistent=False)

    plain = load_bundle(folder)
    monkeypatch.setattr(LookupEmbedding, "__init__", build)
    before = torch.get_rng_state()
    loaded = load_bundle(folder)
    assert torch.equal(torch.get_rng_state(), before)
    expected = torch.randn(4, generator=torch.Generator().manual_seed(1))
    assert torch.equal(loaded.model.source_embedding.constant, expected)
    weights = loaded.model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in plain.model.state_dict().items())


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def draw(part):
    part.kept = torch.full((4,), torch.nan).normal_(generator=seeded())
    part.listed = [torch.full((4,), torch.nan).normal_(generator=seeded())]
    part.computed = {"twice": torch.full((4,), torch.nan).normal_(generator=seeded()) * 2}
    part.rotation = torch.nn.init.orthogonal_(torch.full((3, 3), torch.nan), generator=seeded())
    part.factor = [torch.linalg.qr(torch.arange(4.0).view(2, 2)).Q]


def draw_after_a_seed(part):
    torch.manual_seed(1)
    part.computed = [torch.full((4,), torch.nan).normal_() * 2]


def draw_what_is_not_stored(part):
    part.listed = [torch.full((4,), torch.nan)]
    part.listed[0].data.normal_()


@pytest.mark.parametrize("draws", [draw, draw_after_a_seed, draw_what_is_not_stored])
def test_what_a_bundle_does_not_store_is_as_it_was_made(folder, monkeypatch, draws):
    original_init = LookupEmbedding.__init__

    @functools.wraps(original_init)
    def build(self, *args, **options):
        original_init(self, *args, **options)
        draws(self)

    monkeypatch.setattr(LookupEmbedding, "__init__", build)
    torch.manual_seed(1)  # as a part may do
    part = load_bundle(folder).model.source_embedding
    expected = torch.randn(4, generator=seeded())
    if draws is draw:
        assert torch.equal(part.kept, expected) and torch.equal(part.listed[0], expected)
        assert torch.equal(part.computed["twice"], expected * 2)
        assert torch.equal(part.rotation, torch.nn.init.orthogonal_(torch.empty(3, 3), generator=seeded()))
        assert torch.equal(part.factor[0], torch.linalg.qr(torch.arange(4.0).view(2, 2)).Q)
    elif draws is draw_after_a_seed:
        assert torch.equal(part.computed[0], expected * 2)
    else:
        assert part.listed[0].isfinite().all()


def test_a_model_of_first_party_parts_is_built_once(folder, monkeypatch):
    built = []
    monkeypatch.setattr(
        "s2s.inference.model_bundle.build",
        lambda model, config: built.append(build(model, config)) or built[-1],
    )
    load_bundle(folder)
    assert len(built) == 1


def test_two_tokenizers(tmp_path):
    bundle = load_bundle(tiny_bundle(tmp_path / "b", target_text=["abc"]))
    assert bundle.target_tokenizer.vocabulary_size == 7 != bundle.source_tokenizer.vocabulary_size
    assert (tmp_path / "b" / "source_tokenizer").is_dir() and (tmp_path / "b" / "target_tokenizer").is_dir()


def test_the_card_carries_scores_with_signatures(original, tmp_path):
    score = Score(31.4, "BLEU|nrefs:1|case:mixed|version:0", "BLEU", 1000)
    save_again(
        load_bundle(original),
        tmp_path / "b",
        scores=[score],
        card="Trained on nothing.",
        training={"epochs": 3},
    )
    card = (tmp_path / "b" / "README.md").read_text()
    assert "Trained on nothing." in card
    assert "- BLEU 31.40, 1000 sentences, `BLEU|nrefs:1|case:mixed|version:0`" in card
    config = load_bundle(tmp_path / "b").config
    assert config["scores"][0]["value"] == 31.4
    assert config["training"] == {"epochs": 3}


def test_loading_draws_no_random_numbers(original):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    load_bundle(original)
    assert torch.equal(torch.rand(3), expected)


def test_a_bundle_is_replaced_whole_and_nothing_else_is(original, folder, tmp_path):
    bundle = load_bundle(original)
    (folder / "stale").write_text("left from before")
    save_again(bundle, folder)
    assert not (folder / "stale").exists()
    assert load_bundle(folder).config["search"] == "Greedy"
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter").write_text("dear")
    with pytest.raises(
        BundleError, match="thesis exists and is no bundle; it is left alone. Choose another folder"
    ):
        save_again(bundle, tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter").read_text() == "dear"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "thesis"]


def test_a_failure_half_way_leaves_the_old_bundle(original, folder, monkeypatch):
    bundle = load_bundle(original)

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr("s2s.inference.model_bundle.save_file", full)
    with pytest.raises(OSError, match="no space left"):
        save_again(bundle, folder)
    assert load_bundle(folder).config == bundle.config
    assert [path.name for path in folder.parent.iterdir()] == ["bundle"]


def test_a_configuration_of_another_model_is_refused(original, tmp_path):
    bundle = load_bundle(original)
    other = {
        **bundle.config["model"],
        "encoder": {"class_path": "Recurrent", "init_args": {"hidden_size": 11}},
    }
    with pytest.raises(ConfigError, match=r"the model and its model_config disagree: .* is \[.*\], not \["):
        save_again(bundle, tmp_path / "b", model_config=other)
    with pytest.raises(ConfigError, match="needs target_tokenizer_spec"):
        tokenizer = type(bundle.source_tokenizer)()
        save_again(bundle, tmp_path / "b", target_tokenizer=tokenizer)
    assert not (tmp_path / "b").exists()


def remove(name):
    return lambda folder: (folder / name).unlink()


def truncate(name):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-100])


def flip(name):
    def damage(folder):
        data = bytearray((folder / name).read_bytes())
        data[-5] ^= 1
        (folder / name).write_bytes(data)

    return damage


def write(name, text):
    return lambda folder: (folder / name).write_text(text)


def config(**changes):
    return lambda folder: edit_config(folder, lambda entries: entries.update(changes))


def without(*keys):
    return lambda folder: edit_config(folder, lambda entries: [entries.pop(key) for key in keys])


def model(**changes):
    return lambda folder: edit_config(folder, lambda entries: entries["model"].update(changes))


def other_weights(folder):
    weights = load_file(folder / "weights.safetensors")
    weights["head.wait"] = weights.pop("head.weight")
    save_file(weights, folder / "weights.safetensors")
    edit_config(folder, lambda entries: entries["sha256"].pop("weights.safetensors"))


def unsigned(damage):
    def both(folder):
        damage(folder)
        edit_config(folder, lambda entries: entries["sha256"].clear())

    return both


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (shutil.rmtree, "there is no bundle at .*; make one with: s2s fit"),
        (remove("config.json"), "is no bundle: it has no config.json"),
        (
            remove("weights.safetensors"),
            "is incomplete: weights.safetensors is missing; get the bundle again",
        ),
        (remove("tokenizer/tokenizer.json"), "is incomplete: tokenizer/tokenizer.json is missing"),
        (unsigned(remove("weights.safetensors")), "is incomplete: weights.safetensors is missing"),
        (unsigned(remove("tokenizer/tokenizer.json")), "cannot read the tokenizer .*get the bundle again"),
        (truncate("weights.safetensors"), "weights.safetensors is damaged: its checksum"),
        (flip("weights.safetensors"), "weights.safetensors is damaged: its checksum"),
        (unsigned(truncate("weights.safetensors")), "weights.safetensors is damaged .*get the bundle again"),
        (flip("tokenizer/tokenizer.json"), "tokenizer.json is damaged: its checksum"),
        (unsigned(write("tokenizer/tokenizer.json", "{")), "get the bundle again"),
        (truncate("config.json"), "config.json cannot be read"),
        (write("config.json", "[" * 99_999), r"config.json cannot be read \(it is nested too deeply\)"),
        (write("config.json", "[1]"), "is no configuration of a bundle: it states no format"),
        (write("config.json", "{}"), "is no configuration of a bundle: it states no format"),
        (
            config(format=FORMAT + 1, s2s_version="9.9"),
            r"made by a newer s2s \(9.9; format 2, .*install a newer s2s: pip install --upgrade FOLDER_OF_ITS_CHECKOUT",
        ),
        (without("search"), "config.json lacks search; get the bundle again"),
        (config(architecture={}), r"config.json: architecture is \{\}, not text; get the bundle again"),
        (
            config(architecture="Oracle"),
            r"'Oracle', which this s2s does not know; it knows LanguageModel, Seq2Seq, SequenceClassification, "
            r"Forecast, SequenceLabelling\.",
        ),
        (without("search", "model"), "config.json lacks model; get the bundle again"),
        (without("tokenizer"), "config.json lacks source_tokenizer, target_tokenizer"),
        (config(model=[]), r"model is \[\], not a mapping"),
        (config(search="Beem"), "'Beem'; did you mean 'Beam'.*If it needs a plugin, install it"),
        (config(search={"class_path": "Beam", "init_args": {"size": 0}}), "beam size 0"),
        (
            model(head="os.system"),
            "'os.system'.*If it needs a plugin, install it or name its folder with --plugin-dir",
        ),
        (model(hedd="Softmax"), "'hedd'; did you mean 'head'"),
        (
            model(encoder={"class_path": "Recurrent", "init_args": {"hidden_sise": 3}}),
            "'hidden_sise'; did you mean 'hidden_size'",
        ),
        (
            model(encoder={"class_path": "Recurrent", "init_args": {"hidden_size": "x"}}),
            "impossible options|cannot be",
        ),
        (
            model(encoder={"class_path": "Recurrent", "init_args": {"hidden_size": 11}}),
            r"does not fit config.json: ",
        ),
        (model(source_vocabulary_size=35), "the source tokenizer has 36 tokens, the model 35"),
        (other_weights, "does not fit config.json: it lacks head.weight and has unknown head.wait"),
        (config(sha256={"../secret": "0"}), "names a file outside of the bundle: ../secret"),
    ],
)
def test_whatever_is_wrong_is_told_with_its_remedy(folder, damage, message):
    damage(folder)
    with pytest.raises(BundleError, match=message):
        load_bundle(folder)


def test_a_file_is_no_bundle(tmp_path):
    (tmp_path / "last.ckpt").write_bytes(b"x")
    with pytest.raises(BundleError, match="last.ckpt is a file; a bundle is a folder"):
        load_bundle(tmp_path / "last.ckpt")


def test_what_a_model_needs(original):
    entries = json.loads((original / "config.json").read_text())["model"]
    del entries["head"], entries["bridge"]
    with pytest.raises(ConfigError, match="the model's configuration lacks bridge, head"):
        build_model(entries)


FIRST = Path(__file__).parents[2] / "data" / "bundle_of_format_1"


def test_a_bundle_of_the_first_format_loads_for_ever():
    # The outputs were written down when the bundle was made, in November 2026.
    expected = json.loads(FIRST.with_name(f"{FIRST.name}.outputs.json").read_text(encoding="utf-8"))
    found = Translator.load(FIRST).translate([one["source"] for one in expected], results=True)
    assert [one.text for one in found] == [one["translation"] for one in expected]
    for one, then in zip(found, expected, strict=True):
        assert one.log_probs == pytest.approx(then["log_probs"], abs=1e-4)  # float32 on another machine


def test_a_bundle_of_the_first_format_takes_a_shortlist(tmp_path):
    folder = shutil.copytree(FIRST, tmp_path / "bundle")
    pieces = torch.arange(36, dtype=torch.int32).numpy()
    lists = torch.zeros(36, 1, dtype=torch.int32).numpy()
    assert "config_sha256" not in read_config(folder)
    add_shortlist(folder, Shortlist(lists, pieces[:4]))
    assert "config_sha256" in read_config(folder)
    assert load_bundle(folder).shortlist is not None


def test_no_file_can_be_altered_unnoticed(folder):
    config, path = read_config(folder), folder / "config.json"
    whole = path.read_bytes()
    name = whole.index(b'"config_sha256"')
    for position in {*range(0, len(whole), 11)} - {
        *range(name + 1, name + 14)
    }:  # then only the checksum is lost
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(BundleError, match="get the bundle again|newer s2s|names a file outside|lacks"):
            read_config(folder)
    for length in range(0, len(whole.rstrip()), 50):
        path.write_bytes(whole[:length])
        with pytest.raises(BundleError, match="get the bundle again"):
            read_config(folder)
    path.write_bytes(whole)
    for name in config["sha256"]:
        content = (folder / name).read_bytes()
        for position in {0, len(content) // 3, len(content) - 1}:
            (folder / name).write_bytes(
                content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]
            )
            with pytest.raises(BundleError, match=f"{name} is damaged: its checksum"):
                check_files(folder, config)
        (folder / name).write_bytes(content)
    assert load_bundle(folder).config == config
    path.write_text(json.dumps(config))  # another layout says the same
    assert load_bundle(folder).config == config


def test_an_altered_configuration_is_told_and_its_owner_may_edit_it(folder):
    path = folder / "config.json"
    path.write_text(path.read_text().replace('"size": 3', '"size": 4'))
    with pytest.raises(
        BundleError, match="altered: .*get the bundle again.*take the entry config_sha256 out"
    ):
        load_bundle(folder)
    edit_config(folder, lambda entries: None)
    assert load_bundle(folder).search.size == 4


def test_the_card_is_for_people_who_may_edit_it(folder):
    (folder / "README.md").write_text("mine")
    assert load_bundle(folder).config["card_sha256"]


def test_the_card_tells_all_that_was_given(original, tmp_path):
    card = Card("Trained on nothing.", "CC0 1.0", "For tests.", "s2s fit -c 'my recipe'")
    save_again(
        load_bundle(original), tmp_path / "b", card=card, training={"train": ["a.tsv", "b.tsv"], "pairs": 7}
    )
    text = (tmp_path / "b" / "README.md").read_text()
    for words in ("Trained on nothing.", "CC0 1.0", "For tests.", "s2s fit -c 'my recipe'", "a.tsv, b.tsv"):
        assert words in text
    parameters = sum(parameter.numel() for parameter in load_bundle(original).model.parameters())
    assert f"{parameters:,} parameters; 36 source and 36 target tokens" in text
    assert "None were measured." in text and "Not stated" not in text
    stated = (original / "README.md").read_text()
    assert "## Licence\n\nNot stated. Whoever made the bundle can state it with: s2s convert" in stated


PLUGIN = """
from s2s.registry import hookimpl
from s2s_plugins.bridges.linear import LinearBridge
class Odd(LinearBridge):
    pass
@hookimpl
def s2s_bridges():
    return {"Odd": "made_up_odd_bridge:Odd"}
"""


@pytest.mark.parametrize(
    ("named", "place"), [("plugins of mine", "folder"), ("plugins of mine/made_up_odd_bridge.py", "file")]
)
def test_who_brought_a_part_is_noted_and_told_when_it_is_not_here(
    named, place, original, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "made_up_odd_bridge", raising=False)
    plugins = tmp_path / named
    (tmp_path / "plugins of mine").mkdir()
    (tmp_path / "plugins of mine" / "made_up_odd_bridge.py").write_text(PLUGIN)
    bundle = load_bundle(original)
    assert bundle.config["distributions"]["cell LSTM"] == {"distribution": "s2s", "version": "0.1.0"}
    assert set(bundle.config["distributions"]) == set(bundle.config["versions"])
    try:
        use_plugins(plugin_dirs=[plugins])
        saved = save_again(bundle, tmp_path / "b", model_config={**bundle.config["model"], "bridge": "Odd"})
        assert type(load_bundle(saved).model.bridge).__name__ == "Odd"
    finally:
        use_plugins()
    assert read_config(saved)["distributions"]["bridge Odd"] == {"folder": plugins.name}
    assert f"a {place} {plugins.name} (--plugin-dir)" in (saved / "README.md").read_text()
    assert main(["inspect", str(saved)]) == 2
    assert f"{place} {plugins.name}; here: not installed" in capsys.readouterr().out
    assert str(tmp_path) not in (saved / "config.json").read_text() + (saved / "README.md").read_text()
    came = f"came from a {place} '{plugins.name}' and cannot be used here; get that {place} and name it with --plug"
    with pytest.raises(BundleError, match=f"bridge 'Odd', which {came}"):
        load_bundle(saved)
    origin = {"distribution": "odd-bridges", "version": "1.2"}
    edit_config(saved, lambda entries: entries["distributions"].update({"bridge Odd": origin}))
    with pytest.raises(
        BundleError,
        match=r"needs the bridge 'Odd', which was brought by odd-bridges 1.2 and cannot be used here; install it: "
        r"pip install odd-bridges==1.2\. \(unknown bridge 'Odd'.*Known: Linear",
    ):
        load_bundle(saved)
    edit_config(saved, lambda entries: entries.update(distributions={"bridge Odd": 3}))
    with pytest.raises(
        BundleError, match="distributions is .*, which is not who brought its parts; get it again"
    ):
        load_bundle(saved)


def test_attention_that_looked_at_the_coverage_does_so_in_the_bundle(tmp_path):
    """Of a checkpoint its flag is read as it is loaded; a bundle forgot it, and decoded without coverage."""
    attention = {"class_path": "Coverage", "init_args": {"after_steps": 3}}
    bundle = load_bundle(tiny_bundle(tmp_path / "young", attention=attention))
    young = Translator(bundle).translate(LINES, results=True)
    looking = bundle.model.decoder.attention
    assert not looking.sequential
    looking.at_step(3)
    saved = save_again(bundle, tmp_path / "grown", search={"class_path": "Beam", "init_args": {"size": 3}})
    grown = load_bundle(saved)
    assert grown.model.decoder.attention.sequential
    kept, found = (Translator(one).translate(LINES, results=True) for one in (bundle, grown))
    assert [one.log_probs for one in found] == [one.log_probs for one in kept]
    assert [one.log_probs for one in found] != [one.log_probs for one in young]
    exported = OnnxTranslator.load(export_bundle(saved, tmp_path / "exported"))
    assert exported.translate(LINES) == [one.text for one in found]
