"""The mean of weights, worked out tensor by tensor; what has none is refused."""

import pytest
import torch
from safetensors.torch import load_file

from s2s.errors import BundleError, ConfigError
from s2s.inference.averaging import average, mean
from s2s.inference.bundle import load_bundle, save_bundle
from s2s.inference.card import Card
from s2s.inference.conversion import convert, write
from tests.references.tiny import tiny_bundle


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return [tiny_bundle(folder / f"b{seed}", seed=seed, tie=True) for seed in range(3)]


def test_the_mean_of_bundles(folders, tmp_path):
    licensed = [
        convert(path, tmp_path / path.name, card=Card(licence="CC0", intended_use=path.name))
        for path in folders
    ]
    with pytest.warns(UserWarning, match=r"cosine of their weights -?0\.0\d\).*--model .*b[12]$") as told:
        written = average(licensed, tmp_path / "mean", card=Card(command="s2s average"))
    assert len(told) == 2
    files = [load_file(path / "weights.safetensors") for path in folders]
    found = load_file(written / "weights.safetensors")
    assert set(found) == set(files[0])
    for name, value in found.items():
        expected = sum(weights[name].double() for weights in files) / 3
        assert torch.equal(value, expected.float())
    bundle = load_bundle(written)
    assert bundle.model.source_embedding is bundle.model.target_embedding
    assert bundle.config["training"] == {"mean of": ["unknown"] * 3} and bundle.config["scores"] == []
    assert bundle.config["card"] == {
        "description": "The mean of the weights of 3 models.",
        "licence": "CC0",
        "intended_use": "",
        "command": "s2s average",
    }


def test_options_that_a_configuration_leaves_out_are_its_defaults(folders, tmp_path):
    bundle = load_bundle(folders[1])
    model = {
        **bundle.config["model"],
        "head": {"class_path": "Softmax", "init_args": {"label_smoothing": 0.0}},
    }
    bundle.config["model"] = model
    with pytest.warns(UserWarning, match="nothing in common"):
        written = average([folders[0], write(bundle, tmp_path / "full")], tmp_path / "mean")
    assert load_bundle(written).config["search"]["init_args"]["size"] == 3


def test_numbers_that_have_no_mean():
    one, two = (
        {"a": torch.tensor([value]), "n": torch.tensor([count])} for value, count in ((1.0, 4), (2.0, 5))
    )
    assert torch.equal(mean([one, {**two, "n": one["n"]}])["a"], torch.tensor([1.5]))
    with pytest.raises(
        BundleError, match=r"n holds torch.int64, which has no mean, and is not the same in all models"
    ):
        mean([one, two])
    with pytest.raises(BundleError, match="weights of different names or shapes"):
        mean([one, {"a": torch.zeros(2), "n": one["n"]}])
    half = [{"a": torch.tensor([value], dtype=torch.bfloat16)} for value in (1.0, 1.0078125, 1.0)]
    assert mean(half)["a"].dtype == torch.bfloat16
    assert torch.equal(one["a"], torch.tensor([1.0])), "what was given is left as it was"


def test_what_cannot_be(folders, tmp_path):
    with pytest.raises(ConfigError, match="averaging needs two or more models; 1 given"):
        average(folders[:1], tmp_path / "mean")
    with pytest.raises(ConfigError, match="b0 is given twice"):
        average([folders[0], folders[1], folders[0]], tmp_path / "mean")
    other = tiny_bundle(tmp_path / "other", cell="GRU", tie=True)
    with pytest.raises(BundleError, match="are not made of the same parts: encoder is .*LSTM.* and .*GRU"):
        average([folders[0], other], tmp_path / "mean")
    bundle = load_bundle(folders[1])
    bundle.source_tokenizer.train([text for text in ("ABCDEFGHIJKLMNOPQRSTUVWXYZ .,äßé",)])
    strange = save_bundle(
        tmp_path / "strange",
        model=bundle.model,
        model_config=bundle.config["model"],
        source_tokenizer=bundle.source_tokenizer,
        source_tokenizer_spec="Characters",
        search="Greedy",
    )
    with pytest.raises(BundleError, match="different source tokenizers"):
        average([folders[0], strange], tmp_path / "mean")
    with pytest.raises(BundleError, match="there is no run, bundle or checkpoint at .*nowhere"):
        average([folders[0], tmp_path / "nowhere"], tmp_path / "mean")
    assert not (tmp_path / "mean").exists()


def test_models_of_one_training_are_alike(folders, tmp_path, recwarn):
    bundle = load_bundle(folders[0])
    with torch.no_grad():
        for parameter in bundle.model.parameters():
            parameter.mul_(1.5).add_(0.1 * torch.randn_like(parameter) * parameter.abs().mean())
    average([folders[0], write(bundle, tmp_path / "later")], tmp_path / "mean")
    assert not recwarn.list
