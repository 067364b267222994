"""Bundles that were made with other versions of their parts: brought up to date, or refused with the remedy."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from s2s import registry
from s2s.errors import BundleError, PluginError
from s2s.inference.bundle import Bundle, load_bundle, save_bundle
from s2s.nn import Attention, Bridge, RecurrentCell, State
from s2s.registry import Catalogue, catalogue
from s2s.registry.catalogue import Entry
from s2s.registry.versions import version_of, versions_of
from s2s_plugins.decoders.recurrent import RecurrentDecoder
from s2s_plugins.search.greedy import Greedy
from tests.references.tiny import sentences, tiny_bundle

THIS = sys.modules[__name__]


class FirstCell(RecurrentCell):
    """h' = tanh(x + scale U h)."""

    def __init__(self, input_size: int, hidden_size: int, *, gain: float = 0.5) -> None:
        super().__init__(input_size, hidden_size, projected_size=hidden_size)
        # Small, or the last bits of a product, which differ between machines and layouts, grow with every step.
        self.u = nn.Parameter(0.1 * torch.randn(hidden_size, hidden_size))
        self.gain = gain

    def step(self, x: Tensor, state: State, noise: object = None) -> tuple[Tensor, State]:
        h = torch.tanh(x + self.gain * state[0] @ self.u)
        return h, (h,)


class SecondCell(RecurrentCell):
    """The same, but its weight has a name, the option another one, and the factor 2 has gone into the option."""

    version = 2

    def __init__(self, input_size: int, hidden_size: int, *, scale: float = 1.0) -> None:
        super().__init__(input_size, hidden_size, projected_size=hidden_size)
        self.recurrent_weight = nn.Parameter(torch.randn(hidden_size, hidden_size))
        self.scale = scale

    def step(self, x: Tensor, state: State, noise: object = None) -> tuple[Tensor, State]:
        h = torch.tanh(x + self.scale / 2 * state[0] @ self.recurrent_weight)
        return h, (h,)

    @classmethod
    def upgrade(
        cls, options: dict[str, Any], weights: dict[str, Tensor], version: int
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        assert version == 1
        weights["recurrent_weight"] = weights.pop("u")
        return {"scale": 2 * options.pop("gain", 0.5)}, weights


class FirstDecoder(RecurrentDecoder):
    """As it was."""


class SecondDecoder(RecurrentDecoder):
    """Its cells are elsewhere."""

    version = 5

    def __init__(
        self,
        input_size: int,
        memory_size: int,
        *,
        cell: Callable[[int, int], RecurrentCell],
        attention: Callable[[int, int], Attention] | None,
        hidden_size: int,
    ) -> None:
        super().__init__(input_size, memory_size, cell=cell, attention=attention, hidden_size=hidden_size)
        self.moved = nn.ModuleDict({"here": self.cells})
        del self._modules["cells"]

    @property
    def cells(self) -> Any:
        return self.moved["here"]

    @classmethod
    def upgrade(cls, options: Any, weights: dict[str, Tensor], version: int) -> Any:
        return options, {
            name.replace("cells.", "moved.here.", 1) if name.startswith("cells.") else name: value
            for name, value in weights.items()
        }


class FirstBridge(Bridge):
    def __init__(self, encoder_features: int, decoder_features: int) -> None:
        super().__init__(encoder_features, decoder_features)
        self.w = nn.Linear(encoder_features, decoder_features)

    def forward(self, features: Tensor) -> Tensor:
        return torch.tanh(self.w(features))


class SecondBridge(Bridge):
    """The bias has gone."""

    version = 2

    def __init__(self, encoder_features: int, decoder_features: int) -> None:
        super().__init__(encoder_features, decoder_features)
        self.weight = nn.Parameter(torch.randn(decoder_features, encoder_features + 1))

    def forward(self, features: Tensor) -> Tensor:
        ones = features.new_ones(features.size(0), 1)
        return torch.tanh(torch.cat([features, ones], dim=1) @ self.weight.T)

    @classmethod
    def upgrade(cls, options: Any, weights: dict[str, Tensor], version: int) -> Any:
        weight = torch.cat([weights["w.weight"], weights["w.bias"].unsqueeze(1)], dim=1)
        return options, {"weight": weight}


class FirstSearch(Greedy):
    def __init__(self, *, patience: int = 1) -> None:
        super().__init__()


class SecondSearch(Greedy):
    version = 3

    def __init__(self, *, waits: int = 1) -> None:
        super().__init__()
        self.waits = waits

    @classmethod
    def upgrade(cls, options: Any, weights: dict[str, Tensor], version: int) -> Any:
        assert version == 1 and not weights
        return {"waits": options["patience"]}, weights


@pytest.fixture(autouse=True)
def plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin with a cell, a decoder, a bridge and a search strategy, in their first versions."""
    entries = [
        Entry(kind, "Tiny", f"{__name__}:Tiny{kind}", "tiny-parts", "1.4")
        for kind in ("cell", "decoder", "bridge", "search")
    ]
    monkeypatch.setattr(registry, "_catalogue", Catalogue([*catalogue().entries(), *entries]))
    install(monkeypatch, cell=FirstCell, decoder=FirstDecoder, bridge=FirstBridge, search=FirstSearch)


def install(monkeypatch: pytest.MonkeyPatch, **parts: type) -> None:
    """Another version of some of them."""
    for kind, part in parts.items():
        monkeypatch.setattr(THIS, f"Tiny{kind}", part, raising=False)


def scores(bundle: Bundle) -> Tensor:
    """What the model thinks of some sentences."""
    from s2s.text.batch import pad, pad_targets

    lines = [bundle.source_tokenizer.encode(line) for line in sentences(3)]
    source, target = pad(lines), pad_targets(lines)
    inputs = target._replace(ids=target.ids[:, :-1], lengths=target.lengths - 1)
    with torch.no_grad():
        return bundle.model.head.log_probs(bundle.model(source, inputs), source)


def edit(folder: Path, change: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    del config["config_sha256"]
    change(config)
    (folder / "config.json").write_text(json.dumps(config))


def with_bridge_and_search(folder: Path) -> Path:
    """A bundle of the plugin's parts at every place."""
    plain = load_bundle(tiny_bundle(folder, cell="Tiny", decoder="Tiny"))
    config = {**plain.config["model"], "bridge": "Tiny"}
    plain.model.bridge = FirstBridge(plain.model.bridge.encoder_features, plain.model.bridge.decoder_features)
    return save_bundle(
        folder,
        model=plain.model,
        model_config=config,
        source_tokenizer=plain.source_tokenizer,
        source_tokenizer_spec="Characters",
        search={"class_path": "Tiny", "init_args": {"patience": 7}},
    )


def test_what_a_bundle_notes(tmp_path: Path) -> None:
    noted = load_bundle(tiny_bundle(tmp_path / "b", cell="Tiny")).config["versions"]
    assert noted["cell Tiny"] == {
        "version": 1,
        "modules": [
            "encoder.layers.0.forward_cell",
            "encoder.layers.0.backward_cell",
            "decoder.cells.cells.0",
        ],
    }
    assert noted["attention LuongGeneral"] == {"version": 1, "modules": ["decoder.attention"]}
    assert noted["search Beam"] == {"version": 1, "modules": []}
    assert {label.partition(" ")[0] for label in noted} == {
        *("embedding", "encoder", "cell", "bridge", "decoder", "attention", "head", "search", "tokenizer")
    }


def test_an_older_bundle_of_all_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell inside of two parts, of which one has moved it; a bridge; a search strategy."""
    folder = with_bridge_and_search(tmp_path / "b")

    def other_gain(config: Any) -> None:
        options = config["model"]["decoder"]["init_args"]
        options["cell"] = {"class_path": "Tiny", "init_args": {"gain": 0.25}}

    edit(folder, other_gain)
    before = load_bundle(folder)
    install(monkeypatch, cell=SecondCell, decoder=SecondDecoder, bridge=SecondBridge, search=SecondSearch)
    after = load_bundle(folder)
    torch.testing.assert_close(scores(after), scores(before), rtol=0, atol=1e-5)  # float32
    assert after.model.decoder.cells.layers[0].scale == 0.5
    assert after.model.encoder.layers[0].forward_cell.scale == 1.0
    assert after.search.waits == 7

    model = after.config["model"]
    assert model["encoder"]["init_args"]["cell"] == {"class_path": "Tiny", "init_args": {"scale": 1.0}}
    assert model["decoder"]["init_args"]["cell"] == {"class_path": "Tiny", "init_args": {"scale": 0.5}}
    again = save_bundle(
        tmp_path / "again",
        model=after.model,
        model_config=model,
        source_tokenizer=after.source_tokenizer,
        source_tokenizer_spec="Characters",
        search=after.config["search"],
    )
    config = load_bundle(again).config
    assert config["versions"]["cell Tiny"]["version"] == 2
    assert config["versions"]["decoder Tiny"]["version"] == 5
    assert torch.equal(scores(load_bundle(again)), scores(after))


def test_a_newer_bundle_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, cell=SecondCell)
    folder = tiny_bundle(tmp_path / "b", cell="Tiny")
    install(monkeypatch, cell=FirstCell)
    with pytest.raises(BundleError) as told:
        load_bundle(folder)
    assert str(told.value) == (
        f"{folder} was made with version 2 of cell 'Tiny'; the installed one, of tiny-parts 1.4, is version 1. "
        "Update it: pip install --upgrade tiny-parts"
    )


class NoUpgrade(FirstCell):
    version = 2


class Failing(SecondCell):
    @classmethod
    def upgrade(cls, options: Any, weights: dict[str, Tensor], version: int) -> Any:
        return options, {"recurrent_weight": weights["v"]}


class Forgetful(SecondCell):
    @classmethod
    def upgrade(cls, options: Any, weights: dict[str, Tensor], version: int) -> Any:
        return {}, weights


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (
            NoUpgrade,
            "cell 'Tiny' cannot be brought from version 1 to 2: it has no `upgrade`; install the version",
        ),
        (Failing, "cell 'Tiny' cannot be brought from version 1 to 2: KeyError: 'v'"),
        (Forgetful, r"it lacks .*cell.*recurrent_weight.* and has unknown .*\.u"),
    ],
)
def test_what_cannot_be_brought_up_to_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cell: type, message: str
) -> None:
    folder = tiny_bundle(tmp_path / "b", cell="Tiny")
    install(monkeypatch, cell=cell)
    with pytest.raises(BundleError, match=message):
        load_bundle(folder)


def test_a_bundle_that_notes_no_versions_is_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = with_bridge_and_search(tmp_path / "b")
    expected = scores(load_bundle(folder))
    edit(folder, lambda config: config.pop("versions"))
    assert torch.equal(scores(load_bundle(folder)), expected)
    install(monkeypatch, bridge=SecondBridge, search=SecondSearch)
    torch.testing.assert_close(scores(load_bundle(folder)), expected, rtol=0, atol=1e-5)
    install(monkeypatch, cell=SecondCell)
    with pytest.raises(
        BundleError, match="does not say where in the model cell 'Tiny' is.*; install the version"
    ):
        load_bundle(folder)


@pytest.mark.parametrize("versions", [[1], {"cell Tiny": 1}, {"cell Tiny": {"version": "2", "modules": []}}])
def test_what_are_no_versions(tmp_path: Path, versions: Any) -> None:
    folder = tiny_bundle(tmp_path / "b", cell="Tiny")
    edit(folder, lambda config: config.update(versions=versions))
    with pytest.raises(BundleError, match="which are no versions of parts; get the bundle again"):
        load_bundle(folder)


@pytest.mark.parametrize("version", ["2", 0, True, 1.5])
def test_a_version_is_a_whole_number(version: Any) -> None:
    with pytest.raises(PluginError, match=r"Own\.version is .*; it must be a whole number from 1"):
        version_of(type("Own", (), {"version": version}))
    assert version_of(FirstCell) == 1 and version_of(SecondCell) == 2


def test_versions_of_what_is_in_the_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, cell=SecondCell)
    assert versions_of([SecondCell, nn.Linear, SecondCell]) == {"cell Tiny": 2}
