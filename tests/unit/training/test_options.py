"""Names and options, held against the catalogue before the parser sees them."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from s2s.errors import ConfigError, DataError
from s2s.training.options import Config, Option, Vocabulary, given_value, read_command_line, read_config

GRU = "s2s_plugins.cells.gru.GRU"
LSTM = "s2s_plugins.cells.lstm.LSTM"
ENCODER = "s2s_plugins.encoders.recurrent.RecurrentEncoder"

VOCABULARY = Vocabulary(
    ["task", "model.encoder", "model.tie_head", "model.learning_rate", "data.tokenizer", "trainer.max_epochs"]
    + ["model.metric", "model.search", "trainer.callbacks"],
    parts={
        "model.encoder": "encoder",
        "model.metric": "metric",
        "model.search": "search",
        "data.tokenizer": "tokenizer",
    },
    several=["model.search"],
    specs=["data.tokenizer"],
    open_ended=["trainer.callbacks"],
)


def translated(tree: dict[str, Any]) -> Any:
    (argument,) = VOCABULARY.arguments([Config("", tree)])
    return yaml.safe_load(argument.removeprefix("--config="))


def option(key: str, value: str) -> str:
    (argument,) = VOCABULARY.arguments([Option(key, value)])
    return argument


def test_names_of_parts_become_paths_at_every_depth() -> None:
    tree = {"model": {"encoder": {"class_path": "Recurrent", "init_args": {"cell": "GRU", "hidden_size": 3}}}}
    expected = {"class_path": ENCODER, "init_args": {"cell": GRU, "hidden_size": 3}}
    assert translated(tree) == {"model": {"encoder": expected}}


def test_a_spec_that_is_kept_is_still_checked() -> None:
    assert translated({"data": {"tokenizer": "Words"}}) == {"data": {"tokenizer": "Words"}}
    with pytest.raises(ConfigError, match="unknown tokenizer 'Wrods'; did you mean 'Words'"):
        translated({"data": {"tokenizer": "Wrods"}})


def test_an_option_that_ends_like_a_part_but_takes_none_is_left_alone() -> None:
    assert translated({"model": {"tie_head": True}}) == {"model": {"tie_head": True}}
    assert option("model.tie_head", "true") == "--model.tie_head=true"


def test_options_for_a_part_that_an_earlier_configuration_chose() -> None:
    tree = {"model": {"encoder": {"init_args": {"cell": "GRU"}}}}
    assert translated(tree) == {"model": {"encoder": {"init_args": {"cell": GRU}}}}


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("model.encoder", "Recurrent", ENCODER),
        ("model.encoder.cell", "GRU", GRU),
        ("model.encoder.cell", LSTM, LSTM),
        ("model.encoder.init_args.cell", "GRU", GRU),
        ("model.encoder.hidden_size", "7", "7"),
        ("model.learning_rate", "1e-3", "1e-3"),
    ],
)
def test_names_on_the_command_line(key: str, value: str, expected: str) -> None:
    assert option(key, value) == f"--{key}={expected}"


def test_a_part_with_options_on_the_command_line() -> None:
    argument = option("model.encoder.cell", "{class_path: GRU, init_args: {reset_before: true}}")
    assert yaml.safe_load(argument.partition("=")[2]) == {
        "class_path": GRU,
        "init_args": {"reset_before": True},
    }


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("model.encodr", "model.encoder"),
        ("model.encodr.cell", "model.encoder.cell"),
        ("model.encodr.cell.reset_before", "model.encoder.cell.reset_before"),
        ("modl", "model"),
        ("trainer.max_epoch", "trainer.max_epochs"),
        ("max_epochs", "trainer.max_epochs"),
        ("learning_rate", "model.learning_rate"),
    ],
)
def test_a_misspelt_option_is_answered_with_the_nearest(key: str, meant: str) -> None:
    with pytest.raises(ConfigError) as told:
        option(key, "1")
    assert str(told.value) == f"unknown option {key!r}; did you mean {meant!r}? See: s2s fit --help"


def test_a_misspelt_key_of_a_file() -> None:
    with pytest.raises(
        ConfigError, match="unknown option 'model.lerning_rate'; did you mean 'model.learning_rate'"
    ):
        translated({"model": {"lerning_rate": 1}})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("Recurent", "unknown encoder 'Recurent'; did you mean 'Recurrent'"),
        ("s2s.nn.stack.Stack", "unknown encoder 's2s.nn.stack.Stack'"),
        (
            {"class_path": "Recurrent", "init_args": {"cel": "GRU"}},
            "unknown option 'cel'; did you mean 'cell'",
        ),
        ({"class_path": "Recurrent", "init_args": {"cell": "Stack"}}, "unknown cell 'Stack'"),
        ({"class_path": "Recurrent", "init_args": {"cell": LSTM + "X"}}, "unknown cell"),
        ({"hidden_size": 3}, "encoder: expected a name or {class_path: NAME"),
    ],
)
def test_only_parts_of_the_catalogue_are_accepted(spec: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        translated({"model": {"encoder": spec}})


@pytest.mark.parametrize("given", ["[BLEU, ChrF]", "[BLEU, {class_path: ChrF, init_args: {word_order: 2}}]"])
def test_several_parts_where_one_is_taken(given: str) -> None:
    with pytest.raises(ConfigError) as told:
        option("model.metric", given)
    assert str(told.value).startswith(f"model.metric is {given}, but takes one metric, one of BLEU, ChrF, ")
    assert str(told.value).endswith(
        ". Several score finished outputs: s2s evaluate OUTPUTS REFERENCES --metrics NAME NAME"
    )
    with pytest.raises(
        ConfigError, match=r"model.encoder is \[Recurrent\], but takes one .* See: s2s fit --help"
    ):
        translated({"model": {"encoder": ["Recurrent"]}})
    assert len(translated({"model": {"search": ["Greedy", "Beam"]}})["model"]["search"]) == 2


def test_a_class_of_the_other_lightning_is_refused() -> None:
    callback = {"class_path": "lightning.pytorch.callbacks.EarlyStopping"}
    with pytest.raises(ConfigError, match="write pytorch_lightning.callbacks.EarlyStopping"):
        translated({"trainer": {"callbacks": [callback]}})


def test_a_group_takes_options_not_a_value() -> None:
    with pytest.raises(ConfigError, match="model: expected options below it, got 3"):
        translated({"model": 3})


def test_names_is_the_reverse() -> None:
    tree = {"model": {"encoder": {"class_path": "Recurrent", "init_args": {"cell": "GRU", "hidden_size": 3}}}}
    assert VOCABULARY.names(translated(tree)) == tree


def test_the_command_line_keeps_its_order(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("task: Mine\n")
    written = read_command_line(
        ["--a.b", "1", "-c", str(path), f"--config={path}", "--a.c=x=y", "--a.d", "-1"]
    )
    config = Config("mine", {"task": "Mine"})
    assert written == [Option("a.b", "1"), config, config, Option("a.c", "x=y"), Option("a.d", "-1")]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["mine"], "unexpected 'mine'; .* a recipe is named with -c: -c mine"),
        (["--data.train", "a", "b"], "unexpected 'b'; two files are joined by a comma: --data.train a,b"),
        (["--data.train", "a", "b.yaml"], "unexpected 'b.yaml'; .* a recipe is named with -c: -c b.yaml"),
        (["--a"], "option --a needs a value"),
        (["--a", "--b", "1"], "option --a needs a value"),
        (["-c", "no-such-recipe"], "unknown recipe 'no-such-recipe'"),
    ],
)
def test_what_is_no_command_line(argv: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_command_line(argv)


def test_the_last_value_counts() -> None:
    written = [Config("", {"task": "A"}), Option("task", "B"), Config("", {"model": {}})]
    assert given_value(written, "task") == "B"
    assert given_value(written, "run_folder") is None
    written = [
        Config("", {"trainer": {"precision": "a"}}),
        Config("", {"trainer.precision": "b", "trainer.x": 1}),
    ]
    assert given_value(written, "trainer.precision") == "b"
    assert given_value([*written, Config("", {"trainer": {"precision": None}})], "trainer.precision") is None
    assert given_value([*written, Option("trainer.precision", "c")], "trainer.precision") == "c"
    assert given_value([*written, Config("", {"trainer": None})], "trainer.precision") == "b"


def test_a_file_that_is_not_yaml_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("a: 1\nb: [1, 2\nc: 3\n")
    with pytest.raises(DataError, match=r"bad\.yaml:3: not YAML"):
        read_config(str(path))
    path.write_text("- a\n")
    with pytest.raises(ConfigError, match="expected `key: value` lines, but it holds a list"):
        read_config(str(path))
    path.write_text("# nothing yet\n")
    with pytest.raises(ConfigError, match="expected `key: value` lines, but it is empty"):
        read_config(str(path))


def test_scientific_notation_is_a_number(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("a: 1e-3\nb: -2.5E+4\nc: 1e3x\nd: 12\n")
    assert read_config(str(path)).tree == {"a": 1e-3, "b": -2.5e4, "c": "1e3x", "d": 12}


def test_a_file_builds_no_objects(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("a: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(DataError, match="not YAML"):
        read_config(str(path))


def test_a_run_is_named_after_its_recipe(tmp_path: Path) -> None:
    folder = tmp_path / "my-run"
    folder.mkdir()
    for name, expected in [("recipe.yaml", "recipe"), ("config.yaml", "my-run")]:
        (folder / name).write_text("task: X\n")
        assert read_config(str(folder / name)).name == expected


@pytest.mark.parametrize("content", [b"a: 2001-99-99\n", b"a: \xff\n", b"a: " + b"[" * 999])
def test_yaml_that_cannot_be_read_is_told_with_its_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mine.yaml").write_bytes(content)
    with pytest.raises(DataError, match=r"mine\.yaml cannot be read: "):
        read_config(str(tmp_path / "mine.yaml"))
    text = content.decode("utf-8", "replace")
    assert read_command_line(["--x", text])[0] == Option("x", text)
