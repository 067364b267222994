"""The promises of SECURITY.md: a test for each sentence."""

import io
import json
import os
import random
import re
import shutil
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import yaml

import s2s
from s2s.__main__ import main
from s2s.errors import BundleError, ConfigError, DataError, S2SError
from s2s.inference.bundle import load_bundle
from s2s.inference.conversion import read
from s2s.inference.translator import Translator
from s2s.registry import catalogue
from s2s.registry.parts import factory
from s2s.runtime.translator import OnnxTranslator
from s2s.text.corpus import corpus_spec
from s2s.text.store import PairStore
from s2s.text.store_builder import pair_store
from s2s.training.lightning_cli import vocabulary
from s2s.training.nameable import LIGHTNING
from s2s.training.options import Config, Option, read_config
from soak.contained import MARK, results
from soak.hostile_files import (
    HostileBundles,
    HostileCheckpoints,
    HostileExports,
    HostileFiles,
    HostileStores,
    HostileTokenizers,
    Opening,
    seal_shipped,
)
from soak.mutated_files import hostile_pickle, pickle_of, protobuf_of

PAGE = Path(__file__).resolve().parents[2] / "SECURITY.md"
KINDS: list[type[HostileFiles]] = [
    HostileBundles,
    HostileExports,
    HostileTokenizers,
    HostileStores,
    HostileCheckpoints,
]


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    kinds = {kind.name: kind for kind in KINDS}

    class Made(dict):
        """Made when it is asked for."""

        def __missing__(self, name):
            folder = tmp_path_factory.mktemp(name)
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(folder)
                self[name] = kinds[name]().make(folder)
            return self[name]

    return Made()


@pytest.fixture
def copy(good, tmp_path):
    def copied(kind: str) -> Path:
        return Path(shutil.copytree(good[f"hostile-{kind}"], tmp_path / kind))

    return copied


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """A module that records when it is imported, and the list of its records."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / f"{MARK}.py").write_text("def Thing(*a, **k): raise SystemExit\n")
    monkeypatch.syspath_prepend(folder)
    yield f"{MARK}.Thing"
    assert MARK not in sys.modules


def edited(folder: Path, change, name: str = "config.json") -> Path:
    config = json.loads((folder / name).read_text())
    change(config)
    (folder / name).write_text(json.dumps(config))
    seal_shipped(folder, name)
    return folder


def test_each_promise_names_its_test():
    text = PAGE.read_text(encoding="utf-8")
    promised = text.partition("## What is promised")[2].partition("## What is not promised")[0]
    sentences = re.split(r"^\* ", promised.partition("The classes that")[0], flags=re.MULTILINE)[1:]
    assert len(sentences) > 10
    named = [re.findall(r"\(`(test_\w+)`\)$", sentence.strip()) for sentence in sentences]
    assert all(len(names) == 1 for names in named), [
        s for s, n in zip(sentences, named, strict=True) if not n
    ]
    tests = {name for name in globals() if name.startswith("test_")} - {"test_each_promise_names_its_test"}
    assert {name for names in named for name in names} | {"test_the_classes_are_those_listed"} == tests


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_nothing_is_executed_or_unpickled(kind, good, tmp_path):
    attack = kind()
    attack.warm(good[kind.name])
    openings = [Opening(attack.open, good[kind.name], "as it was")]
    for number, file in enumerate(attack.files(good[kind.name])):
        spoilt = Path(shutil.copytree(good[kind.name], tmp_path / str(number)))
        (spoilt / file).write_bytes(hostile_pickle())
        attack.seal(spoilt)
        openings.append(Opening(attack.open, spoilt, f"a pickle for {file}"))
    first, *others = results(openings, tmp_path)  # "broken" if anything is executed, written or fetched
    assert first.what == "opened", first
    assert {one.what for one in others} <= {"refused", "opened"}, others
    assert "refused" in {one.what for one in others}


def test_a_checkpoint_that_calls_something_is_refused(copy):
    run = copy("checkpoints")
    path = run / "checkpoints" / "last.ckpt"
    for called, message in ((os.system, "system"), (eval, "eval"), (torch.load, "load")):
        torch.save({"state_dict": Calls(called), "epoch": 0, "global_step": 1}, path)
        with pytest.raises(BundleError, match=f"last.ckpt is damaged, or no checkpoint.*{message}"):
            read(run, checkpoint="last")
        with pytest.raises(S2SError, match="last.ckpt is damaged, or no checkpoint"):
            s2s.fit(str(run / "config.yaml"), run_folder=str(run), ckpt_path="last")
    torch.save({"state_dict": {"model.x": torch.zeros(3)}, "epoch": 0, "global_step": 1}, path)
    with pytest.raises(
        ConfigError, match="last.ckpt does not fit this run: .*; resume from a checkpoint of this run"
    ):
        s2s.fit(str(run / "config.yaml"), run_folder=str(run), ckpt_path="last")
    torch.save({"state_dict": {"weight": torch.zeros(10**6)}, "epoch": 0, "global_step": 1}, path)
    packed = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    path.write_bytes(packed.getvalue())
    with pytest.raises(BundleError, match="in it is packed, which torch never does"):
        read(run, checkpoint="last")


def test_a_checkpoint_takes_no_more_memory_than_its_file(good, copy, tmp_path):
    attack = HostileCheckpoints()
    attack.warm(good[attack.name])
    with zipfile.ZipFile(good[attack.name] / "checkpoints" / "last.ckpt") as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    [name] = [name for name in records if name.endswith("data.pkl")]
    called = b"cbuiltins\nbytearray\nJ\x00\x00\x00\x40\x85R"  # 1 GiB
    pickles = {"a gigabyte": records[name].replace(b"K\x02", called, 1)}
    pickles |= {how: data for data, how in (pickle_of(records[name], random.Random(i)) for i in range(12))}
    assert {how.split()[0] for how in pickles} == {"a", "call", "copies", "deep", "key", "lists"}
    openings = []
    for number, (how, data) in enumerate(pickles.items()):
        run = Path(shutil.copytree(good[attack.name], tmp_path / str(number)))
        with zipfile.ZipFile(run / "checkpoints" / "last.ckpt", "w") as archive:
            for other, record in records.items():
                archive.writestr(other, data if other == name else record)
        openings.append(Opening(attack.open, run, how))
    found = results(openings, tmp_path)  # "broken" if it takes more than 512 MiB, or the process dies
    assert "broken" not in {one.what for one in found}, found
    assert [one.what for one in found][0] == "refused"
    run = copy("checkpoints")
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace("hidden_size: 8", "hidden_size: 30000"))
    state = {"model.x": torch.zeros(1).expand(2**20, 2**20)}
    torch.save({"state_dict": state, "epoch": 0, "global_step": 1}, run / "checkpoints" / "last.ckpt")
    with pytest.raises(
        BundleError, match="last.ckpt is damaged: its weights are said to be larger than it is"
    ):
        read(run, checkpoint="last")


class Calls:
    def __init__(self, called):
        self.called = called

    def __reduce__(self):
        return self.called, ("1",)


def test_a_bundle_imports_nothing_that_it_names(copy, hostile):
    names = (hostile, hostile.replace(".", ":"), "os.system", "builtins.eval", "torch.nn.Linear", "s2s.fit")
    for name in names:
        for spec in (name, {"class_path": name, "init_args": {"command": "id"}}):
            for place in ("encoder", "cell", "tokenizer", "search", "architecture"):

                def change(config, place=place, spec=spec):
                    holder = config["model"] if place == "encoder" else config
                    holder = config["model"]["encoder"]["init_args"] if place == "cell" else holder
                    holder[place] = spec

                folder = edited(copy("bundles"), change)
                with pytest.raises(BundleError, match="unknown|does not know|not text"):
                    load_bundle(folder)
                shutil.rmtree(folder)
        folder = edited(
            copy("exports"), lambda config, name=name: config.update(tokenizer=name), "export.json"
        )
        with pytest.raises(BundleError, match="unknown tokenizer"):
            OnnxTranslator.load(folder)
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("hidden_size", "ten", r"encoder 'Recurrent': option 'hidden_size' is 'ten'; it must be of type int"),
        ("hidden_size", True, "option 'hidden_size' is True; it must be of type int"),
        ("dropout", [0.1], r"option 'dropout' is \[0.1\]; it must be of type float"),
        ("bidirectional", 1, "option 'bidirectional' is 1; it must be of type bool"),
        ("segment_length", 2.5, "option 'segment_length' is 2.5; it must be of type int | "),
        (
            "segment_gradients",
            "os",
            r"option 'segment_gradients' is 'os'; it must be of type Literal\['check",
        ),
    ],
)
def test_options_in_a_bundle_are_of_their_types(copy, option, value, message):
    folder = edited(
        copy("bundles"), lambda config: config["model"]["encoder"]["init_args"].update({option: value})
    )
    with pytest.raises(BundleError, match=message):
        load_bundle(folder)


def places(name: str) -> list[str]:
    """Options whose value names a class or function, on a command line."""
    spec = f"{{class_path: {name}, init_args: {{command: id}}}}"
    found = []
    for key in [*LIGHTNING, "model.encoder", "model.search", "model.metric", "data.tokenizer"]:
        found += [f"{key}={name}", f"{key}={spec}", f"{key}.class_path={name}", f"{key}=[{spec}]"]
    for key in (
        "model.adam_betas",
        "model.learning_rate",
        "data.train",
        "trainer.devices",
        "trainer.max_time",
    ):
        found += [f"{key}={spec}", f"{key}=[{spec}]"]
    for key in ("cell", "init_args.cell", "cell.class_path", "init_args.cell.class_path"):
        found += [f"model.encoder.{key}={name}"]
    return [
        *found,
        f"model.encoder.hidden_size={spec}",
        f"model.encoder.init_args={{cell: {spec}, hidden_size: {spec}}}",
        f"model.encoder={{class_path: Recurrent, init_args: {{hidden_size: {spec}}}}}",
        f"model.encoder={{class_path: Recurrent, init_args: {{}}, dict_kwargs: {{a: {spec}}}}}",
        f"model.encoder.dict_kwargs={{a: {spec}}}",
        f"trainer.callbacks={{class_path: LambdaCallback, init_args: {{on_fit_start: {name}}}}}",
        f"trainer.callbacks={{class_path: pytorch_lightning.callbacks.LambdaCallback, init_args: {{setup: {name}}}}}",
        f"trainer.callbacks={{class_path: StochasticWeightAveraging, init_args: {{swa_lrs: 1, avg_fn: {name}}}}}",
        f"trainer.callbacks={{class_path: EarlyStopping, init_args: {{monitor: {spec}}}}}",
        f"trainer.strategy={{class_path: DDPStrategy, init_args: {{ddp_comm_hook: {name}}}}}",
        f"trainer.logger={{class_path: CSVLogger, init_args: {{save_dir: x}}, dict_kwargs: {{a: {spec}}}}}",
        f"trainer.callbacks.init_args.x={name}",
        f"optimizer={name}",
    ]


@pytest.mark.parametrize(
    "name", [f"{MARK}.Thing", "os.system", "subprocess.Popen", "builtins.eval", "torch.load"]
)
def test_a_configuration_imports_nothing_else_that_it_names(name, hostile, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub.yaml").write_text(f"class_path: {name}\n")
    known = vocabulary(catalogue().load("task", "Seq2Seq"), "fit")  # what is consulted before the parser
    files = ["trainer.callbacks=sub.yaml", "trainer.strategy=sub.yaml", "model.encoder=sub.yaml"]
    for option in [*places(name), *files]:
        key, _, value = option.partition("=")
        with pytest.raises(
            ConfigError, match=rf"{re.escape(name)}|'sub.yaml'|unknown option|dict_kwargs|LambdaCallback"
        ):
            known.arguments([Option(key, value)])
        if key.split(".")[-1] in ("class_path", "dict_kwargs") or key.startswith("trainer.callbacks."):
            continue  # not in this form in a file
        tree = yaml.safe_load(value)
        for part in reversed(key.split(".")):
            tree = {part: tree}
        with pytest.raises(ConfigError):
            known.arguments([Config("", tree)])
    for option in (f"--trainer.callbacks={name}", f"--task={name}"):
        assert main(["fit", option, "--print_config"]) == 2
        told = capsys.readouterr().err
        assert re.match(rf"s2s: error: .*unknown (callback|task) '{name}'.*Known: .*\n$", told), told


def test_the_classes_are_those_listed(tmp_path, monkeypatch, capsys):
    rows = re.findall(
        r"^\| `(trainer\.\w+)` \| (.*) \|$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    listed = {key: () if told.startswith("none") else tuple(told.split(", ")) for key, told in rows}
    assert listed == {key: names for key, (_, names) in LIGHTNING.items()}
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "my_callbacks.py").write_text(
        "from pytorch_lightning import Callback\nclass Mine(Callback):\n    def __init__(self, n: int = 0): ...\n"
    )
    stops = "{class_path: EarlyStopping, init_args: {monitor: val_loss, patience: 7}}"
    mine = "{class_path: my_callbacks.Mine, init_args: {n: 3}}"
    given = f"--trainer.callbacks=[{stops}, {mine}, RichModelSummary]"
    assert main(["--plugin-dir", "own", "fit", given, "--trainer.strategy=ddp", "--print_config"]) == 0
    saved = capsys.readouterr().out
    first, second, _ = yaml.safe_load(saved)["trainer"]["callbacks"]
    assert first["init_args"]["patience"] == 7 and second["init_args"] == {"n": 3}
    (tmp_path / "again.yaml").write_text(saved)  # a saved configuration is read again
    assert main(["--plugin-dir", "own", "fit", "-c", "again.yaml", "--print_config"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["trainer"]["callbacks"][0] == first


@pytest.mark.parametrize(
    "tag", ["object/apply:os.system [id]", "object/new:os.system [id]", f"module:{MARK}", "name:os.system"]
)
def test_yaml_builds_no_objects(tag, hostile, copy, tmp_path):
    config = tmp_path / "bad.yaml"
    config.write_text(f"task: !!python/{tag}\n")
    with pytest.raises(
        DataError, match="bad.yaml:1: not YAML: could not determine a constructor for the tag"
    ):
        read_config(str(config))
    run = copy("checkpoints")
    (run / "config.yaml").write_text(f"model: !!python/{tag}\n")
    with pytest.raises(BundleError, match="config.yaml is no YAML"):
        read(run)
    config.write_text("a: ${HOME}\nb: ${oc.env:HOME}\n")
    assert read_config(str(config)).tree == {"a": "${HOME}", "b": "${oc.env:HOME}"}


def test_bombs_of_yaml_and_json_are_refused(copy, tmp_path):
    bomb = tmp_path / "bomb.yaml"
    anchors = list(zip("abcdefghijkl", "bcdefghijklm", strict=True))
    for text in (
        "a: &a [x]\n" + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in anchors),
        "a: &a {x: 1}\n" + "".join(f"{b}: &{b} {{<<: [{','.join([f'*{a}'] * 9)}]}}\n" for a, b in anchors),
        "a: &a [*a]\n",
        "[" * 100_000,
    ):
        bomb.write_text(text)
        with pytest.raises(
            DataError, match="bomb.yaml cannot be read: it (is nested|has more than 1,000,000)"
        ):
            read_config(str(bomb))
    folder = copy("bundles")
    (folder / "config.json").write_text('{"a":' * 100_000 + "1" + "}" * 100_000)
    with pytest.raises(
        BundleError, match=r"config.json cannot be read \(it is nested too deeply\); get the bundle"
    ):
        load_bundle(folder)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "tokenizer/../../secret", "linked"])
def test_no_way_leads_out_of_a_folder(copy, tmp_path, name):
    (tmp_path / "secret").write_text("x")
    for kind, config, opened in (
        ("bundles", "config.json", load_bundle),
        ("exports", "export.json", OnnxTranslator.load),
    ):
        folder = copy(kind)
        (folder / "linked").symlink_to(tmp_path / "secret")
        edited(folder, lambda config: config["sha256"].update({name: None}), config)
        with pytest.raises(BundleError, match=f"names a file outside of the .*: {name}; do not use it"):
            opened(folder)
        shutil.rmtree(folder)
    folder = copy("bundles")
    learnt = folder / "tokenizer" / "tokenizer.json"
    shutil.move(learnt, tmp_path / "elsewhere.json")
    learnt.symlink_to(tmp_path / "elsewhere.json")
    edited(folder, lambda config: config["sha256"].pop("tokenizer/tokenizer.json"))
    with pytest.raises(BundleError, match="tokenizer.json leads outside of the bundle; do not use it"):
        load_bundle(folder)


@pytest.mark.parametrize("made", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_is_no_file_is_refused(kind, made, copy, tmp_path):
    attack = kind()
    folder = copy(kind.name.removeprefix("hostile-"))
    for file in sorted(set(attack.files(folder))):
        if kind is HostileCheckpoints and file.name == "best.ckpt":
            continue  # the last one is opened
        kept = (folder / file).read_bytes()
        (folder / file).unlink()
        made(folder / file)
        with pytest.raises(S2SError, match=re.escape(str(folder))):
            attack.open(folder)
        shutil.rmtree(folder / file) if (folder / file).is_dir() else (folder / file).unlink()
        (folder / file).write_bytes(kept)
    if kind is HostileStores:
        made(tmp_path / "corpus.tsv")
        bytes_ = factory("tokenizer", "Bytes")()
        with pytest.raises(DataError, match="cannot read .*corpus.tsv: "):
            pair_store(tmp_path, "train", [corpus_spec(str(tmp_path / "corpus.tsv"))], bytes_, bytes_)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"hidden_size": 10**6},
            "asks for more than [0-9,]+ numbers, and [0-9,]+ are stored; get the bundle",
        ),
        (
            {"hidden_size": 10**12},
            "asks for more than [0-9,]+ numbers, and [0-9,]+ are stored; get the bundle",
        ),
        (
            {"layers": 10**9},
            "asks for more than [0-9,]+ (tensors|numbers), and [0-9,]+ are stored; get the bundle",
        ),
    ],
)
def test_a_bundle_takes_no_more_memory_than_its_weights(copy, tmp_path, options, message):
    folder = edited(copy("bundles"), lambda config: config["model"]["encoder"]["init_args"].update(options))
    [result] = results([Opening(lambda path: repr(load_bundle(path)), folder, "large")], tmp_path)
    assert result.what == "refused" and re.search(message, result.told), result
    for search in (
        {"class_path": "Beam", "init_args": {"size": 10**6}},
        {"class_path": "Sampling", "init_args": {"samples": 10**6}},
    ):
        other = Path(shutil.copytree(folder, tmp_path / search["class_path"]))
        edited(other, lambda config, search=search: config.update(search=search))
        edited(
            other,
            lambda config: [
                config["model"]["encoder"]["init_args"].pop(key) for key in options if key != "hidden_size"
            ],
        )
        edited(other, lambda config: config["model"]["encoder"]["init_args"].update(hidden_size=10))
        with pytest.raises(
            BundleError, match="1000000 is impossible; it must be 1 or more, and at most 10,000"
        ):
            load_bundle(other)


@pytest.mark.parametrize(("kind", "opened"), [("bundles", load_bundle), ("exports", OnnxTranslator.load)])
def test_a_flipped_bit_is_noticed(copy, kind, opened):
    folder = copy(kind)
    chance = random.Random(0)
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".md"):
        data = path.read_bytes()
        place = chance.randrange(len(data))
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(
            BundleError, match="its checksum is not the one|cannot be read|is incomplete|lacks|no conf"
        ):
            opened(folder)
        path.write_bytes(data)
    opened(folder)


def test_no_tokenizer_model_ends_the_process(good, tmp_path):
    tokenizer = factory("tokenizer", HostileTokenizers.specs()["unigram"])()
    model = (good["hostile-tokenizers"] / "unigram" / "sentencepiece.model").read_bytes()

    @dataclass
    class Restoring:
        number: int

        def __call__(self):
            tokenizer.restore(protobuf_of(model, random.Random(self.number))[0])
            return str(tokenizer.encode("the cat \ufb01"))

    found = results([Restoring(number) for number in range(200)], tmp_path)
    assert {one.what for one in found} == {"refused", "opened"}, [
        one for one in found if one.what == "broken"
    ]


def test_text_is_data(good, tmp_path, capsys, monkeypatch, hostile):
    lines = [
        "--plugin-dir x",
        f"{{class_path: {hostile}}}",
        "$(id)",
        "!!python/object:os.system",
        "-c run.yaml",
        "%s {0} `id`",
    ]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("\n".join(lines).encode() + b"\n")))
    assert main(["translate", str(good["hostile-bundles"]), "--max-tokens", "5", "--device", "cpu"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(lines)
    translator = Translator.load(good["hostile-bundles"], threads=1)
    [result] = results(
        [Opening(lambda _: repr(translator.translate(lines, max_tokens=5)), tmp_path, "")], tmp_path
    )
    assert result.what == "opened"


def test_what_is_refused_is_told(copy, capsys):
    folder = copy("bundles")
    (folder / "weights.safetensors").write_bytes(b"x")
    assert main(["translate", str(folder)]) == 2
    told = capsys.readouterr().err
    assert (
        told.startswith(f"s2s: error: {folder / 'weights.safetensors'} is damaged") and told.count("\n") == 1
    )
    assert "get the bundle again, or write it again with: s2s fit" in told
    with pytest.raises(
        ConfigError, match="trainer.callbacks: unknown callback 'os.system'.*Known: DeviceStats.*--plugin-dir"
    ):
        s2s.fit({"trainer": {"callbacks": "os.system"}})
    store = copy("stores")
    (store / "store.json").write_text("{}")
    with pytest.raises(DataError, match="is damaged: store.json lacks or misstates 'pairs'; delete it"):
        PairStore(store, [("pairs.tsv",)])
