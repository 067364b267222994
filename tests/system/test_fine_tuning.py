"""Training that starts from a bundle: its weights, its tokenizers, other text."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from safetensors.torch import load_file

import s2s


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("first")
    (folder / "pairs.tsv").write_text("".join(f"{a} {b}\t{b} {a}\n" for a in "abcdef" for b in "ghijkl"))
    fitted = s2s.fit(
        {
            "model.embedding": {"class_path": "Lookup", "init_args": {"size": 8}},
            "model.encoder": {"class_path": "Recurrent", "init_args": {"hidden_size": 4, "cell": "GRU"}},
            "model.decoder": {"class_path": "InputFeeding", "init_args": {"hidden_size": 8, "cell": "Elman"}},
            "data.train": str(folder / "pairs.tsv"),
            "data.tokenizer": "Characters",
            **common(folder),
        }
    )
    assert fitted.bundle is not None
    return fitted.bundle


def common(folder: Path) -> dict[str, Any]:
    return {
        "run_folder": str(folder / "run"),
        "data.cache": str(folder / "cache"),
        "trainer.max_steps": 2,
        "trainer.logger": False,
    }


def test_weights_and_tokenizers_are_the_bundles(bundle: Path, tmp_path: Path) -> None:
    """At a learning rate of zero nothing moves, so what comes out is what went in; the text has new letters."""
    (tmp_path / "other.tsv").write_text("x y z a\ta z y x\nb c\tc b\n")
    fitted = s2s.fit(
        {
            "model.start_from": str(bundle),
            "model.learning_rate": 0.0,
            "data.train": str(tmp_path / "other.tsv"),
            **common(tmp_path),
        }
    )
    assert fitted.bundle is not None
    before, after = (load_file(folder / "weights.safetensors") for folder in (bundle, fitted.bundle))
    assert before.keys() == after.keys() and all(before[name].equal(after[name]) for name in before)
    configs = [json.loads((folder / "config.json").read_text()) for folder in (bundle, fitted.bundle)]
    assert configs[0]["model"] == configs[1]["model"]
    assert configs[0]["tokenizer"] == configs[1]["tokenizer"]
    texts = ["a b", "l k", ""]
    assert s2s.Translator.load(fitted.bundle).translate(texts) == s2s.Translator.load(bundle).translate(texts)


def test_it_learns_on_and_names_what_is_not_used(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.tsv").write_text("a b\tb a\nb c\tc b\n")
    fitted = s2s.fit(
        {
            "model.start_from": str(bundle),
            "model.encoder.hidden_size": 9,
            "data.train": str(tmp_path / "other.tsv"),
            "data.tokenizer": "Words",
            "data.joint": False,
            **common(tmp_path),
        }
    )
    said = "".join(capsys.readouterr())
    assert "  model.encoder.hidden_size is 4; 9 from the configuration is not used\n" in said
    assert "  data.tokenizer is 'Characters'; 'Words' from the configuration is not used\n" in said
    assert "  data.joint is True; False from the configuration is not used\n" in said
    assert fitted.bundle is not None
    before, after = (load_file(folder / "weights.safetensors") for folder in (bundle, fitted.bundle))
    assert not all(before[name].equal(after[name]) for name in before)


def test_no_bundle_there(tmp_path: Path) -> None:
    (tmp_path / "other.tsv").write_text("a b\tb a\n")
    with pytest.raises(s2s.BundleError, match="nowhere"):
        s2s.fit(
            {
                "model.start_from": str(tmp_path / "nowhere"),
                "data.train": str(tmp_path / "other.tsv"),
                **common(tmp_path),
            }
        )


TABLE = {"class_path": "Lookup", "init_args": {"size": 6}}
READER = {"class_path": "Recurrent", "init_args": {"hidden_size": 5, "cell": "GRU"}}
FORWARD = {"class_path": "Recurrent", "init_args": {"hidden_size": 5, "cell": "GRU", "bidirectional": False}}


def series(columns: str, months: int, scale: float) -> str:
    rows = [f"{t},{scale * (2 + (t % 4) + t / 9)},{t % 5}\n" for t in range(months)]
    return "".join([f"month,{columns}\n", *rows])


class Shape(NamedTuple):
    """How a task is tried: what it is trained on first, and then on, and what reads its bundle."""

    model: dict[str, Any]
    data: dict[str, Any]
    suffix: str
    first: str
    other: str
    answers: Any


SHAPES = {
    "LanguageModel": Shape(
        {"embedding": TABLE, "decoder": READER},
        {"tokenizer": "Characters"},
        ".txt",
        "ab cd\nba dc\n",
        "xy ab\nz\n",
        lambda bundle: s2s.Generator.load(bundle).generate("a", count=3, max_tokens=9),
    ),
    "SequenceClassification": Shape(
        {"embedding": TABLE, "encoder": READER},
        {"tokenizer": "Characters"},
        ".tsv",
        "ab\tgood\ncd\tbad\nab ab\tgood\n",
        "ab x\tgood\n",
        lambda bundle: s2s.Classifier.load(bundle).classify(["ab", "cd", "dd a"], results=True),
    ),
    "SequenceLabelling": Shape(
        {"encoder": READER, "word_embedding": TABLE, "piece_embedding": TABLE, "piece_encoder": READER},
        {"minimum_count": 1},
        ".conll",
        "ab B-X\ncd I-X\n\ncd O\n",
        "ab B-X\nxy B-X\n",
        lambda bundle: s2s.Labeller.load(bundle).label(["ab cd", "cd dd ab"], results=True),
    ),
    "Forecast": Shape(
        {"encoder": FORWARD},
        {"date": "month", "history": 4, "season": 4},
        ".csv",
        series("sales,rain", 30, 1.0),
        series("sales,rain", 20, 40.0),
        lambda bundle: (
            s2s.Forecaster.load(bundle)
            .forecast({"sales": [3.0, 4, 5, 6], "rain": [0.0] * 4}, steps=3)
            .values.tolist()
        ),
    ),
}
"""By the task."""


def fitted_on(task: str, text: str, folder: Path, **more: Any) -> Path:
    shape = SHAPES[task]
    folder.mkdir(exist_ok=True)
    train = folder / f"train{shape.suffix}"
    train.write_text(text)
    given = {
        "task": task,
        **{f"data.{key}": value for key, value in shape.data.items()},
        "data.train": str(train),
    }
    where = common(folder)
    if task == "Forecast":
        del where["data.cache"]
    fitted = s2s.fit({**given, **where, "model.warmup_steps": 1, **more})
    assert fitted.bundle is not None
    return fitted.bundle


@pytest.fixture(scope="module", params=list(SHAPES))
def shape(request: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A task and its bundle."""
    task = str(request.param)
    parts = {f"model.{name}": part for name, part in SHAPES[task].model.items()}
    return task, fitted_on(task, SHAPES[task].first, tmp_path_factory.mktemp(task), **parts)


def test_every_shape_starts_from_its_bundle(
    shape: tuple[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Other data, with what tokenizers have not seen and, of series, another scale; the configured parts are others."""
    task, bundle = shape
    start = {"model.start_from": str(bundle)}
    still = fitted_on(task, SHAPES[task].other, tmp_path / "still", **start, **{"model.learning_rate": 0.0})
    assert f"starting from the model in {bundle}\n" in "".join(capsys.readouterr())
    before, after = (load_file(folder / "weights.safetensors") for folder in (bundle, still))
    assert before.keys() == after.keys() and all(before[name].equal(after[name]) for name in before)
    configs = [json.loads((folder / "config.json").read_text()) for folder in (bundle, still)]
    same = [key for key in configs[0] if key == "model" or key.endswith("tokenizer")]
    assert [configs[0][key] for key in same] == [configs[1][key] for key in same]
    tokenizers = [
        {str(file.relative_to(folder)): file.read_bytes() for file in folder.glob("*tokenizer/*")}
        for folder in (bundle, still)
    ]
    assert tokenizers[0] == tokenizers[1] and bool(tokenizers[0]) == (task != "Forecast")
    assert SHAPES[task].answers(still) == SHAPES[task].answers(bundle)
    moved = load_file(
        fitted_on(task, SHAPES[task].other, tmp_path / "moved", **start) / "weights.safetensors"
    )
    assert not all(before[name].equal(moved[name]) for name in before)


def test_a_labeller_names_its_options_that_are_not_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = "SequenceLabelling"
    parts = {f"model.{name}": part for name, part in SHAPES[task].model.items()}
    bundle = fitted_on(task, SHAPES[task].first, tmp_path / "first", **parts)
    capsys.readouterr()
    more = {"model.start_from": str(bundle), "data.tokenizer": "Bytes", "data.minimum_count": 3}
    fitted_on(task, SHAPES[task].other, tmp_path / "then", **more)
    said = "".join(capsys.readouterr())
    assert "  data.tokenizer is 'Characters'; 'Bytes' from the configuration is not used\n" in said
    assert "  data.minimum_count is 1; 3 from the configuration is not used\n" in said
    assert said.count("  data.") == 2


def test_a_bundle_of_another_kind_is_refused(shape: tuple[str, Path], bundle: Path, tmp_path: Path) -> None:
    task, own = shape
    called = {
        "LanguageModel": "a recurrent language model",
        "SequenceClassification": "a sequence classifier",
        "SequenceLabelling": "a recurrent labeller of words",
        "Forecast": "a recurrent model of series",
    }
    with pytest.raises(
        s2s.ConfigError,
        match=re.escape(
            f"model.start_from {bundle} holds a recurrent encoder-decoder model, and this task trains {called[task]}; "
            "name a bundle of one, or train with --task Seq2Seq"
        ),
    ):
        fitted_on(task, SHAPES[task].first, tmp_path / "run", **{"model.start_from": str(bundle)})
    (tmp_path / "other.tsv").write_text("a b\tb a\n")
    with pytest.raises(
        s2s.ConfigError, match=f"holds {called[task]}, and this task trains a recurrent encoder-decoder model"
    ):
        s2s.fit({"model.start_from": str(own), "data.train": str(tmp_path / "other.tsv"), **common(tmp_path)})


@pytest.mark.parametrize(
    ("shape", "text", "options", "told"),
    [
        (
            "SequenceClassification",
            "ab\tgood\ncd\tso so\nx\tawful\n",
            {},
            "does not know these labels of data.train: 'awful', 'so so'; it knows 'good', 'bad'. Rename or leave out",
        ),
        (
            "SequenceLabelling",
            "ab B-X\ncd B-Y\n",
            {},
            "does not know these labels of data.train: 'B-Y'; it knows 'B-X', 'I-X', 'O'. Rename or leave out",
        ),
        (
            "Forecast",
            series("sales,snow", 30, 1.0),
            {},
            "does not read the series in the same way: data.columns is ['sales', 'snow'], and there ['sales', 'rain']; "
            "data.targets is",
        ),
        (
            "Forecast",
            series("sales,rain", 30, 1.0),
            {"data.history": 6, "data.log": ["sales"]},
            "data.history is 6, and there 4; data.log is ['sales'], and there []. Set data as it was there",
        ),
    ],
    indirect=["shape"],
)
def test_what_a_bundle_cannot_learn_is_refused(
    shape: tuple[str, Path], text: str, options: dict[str, Any], told: str, tmp_path: Path
) -> None:
    task, bundle = shape
    with pytest.raises(s2s.ConfigError, match=re.escape(told)):
        fitted_on(task, text, tmp_path / "run", **{"model.start_from": str(bundle)}, **options)
    assert not (tmp_path / "run" / "run").exists()


def test_a_resumed_fine_tuning_is_the_same_run(shape: tuple[str, Path], tmp_path: Path) -> None:
    """Two steps and two more; what is learnt of new tokens must not be drawn anew, nor the bundle be read over it."""
    task, bundle = shape
    start = {"model.start_from": str(bundle)}
    whole = fitted_on(task, SHAPES[task].other, tmp_path / "whole", **start, **{"trainer.max_steps": 4})
    fitted_on(task, SHAPES[task].other, tmp_path / "parts", **start)
    parts = fitted_on(
        task, SHAPES[task].other, tmp_path / "parts", **start, ckpt_path="last", **{"trainer.max_steps": 4}
    )
    one, other = (load_file(folder / "weights.safetensors") for folder in (whole, parts))
    assert all(one[name].equal(other[name]) for name in one)
