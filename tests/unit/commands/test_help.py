"""What the help of commands says is what they do: defaults, kinds of values, and one name for one thing."""

import inspect
import json
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from s2s.__main__ import main
from s2s.cores import MOST_THREADS
from s2s.diagnosis.settings import Settings
from s2s.inference.alignment import align
from s2s.inference.classifier import Classifier
from s2s.inference.generator import Generator
from s2s.inference.options import Options
from s2s.inference.scoring import score
from s2s.inference.strategies import strategy_of
from s2s.registry import catalogue
from s2s.text.shortlist import learn_shortlist
from s2s.training.datamodule import PairData
from s2s_plugins.search.beam import Beam
from s2s_plugins.search.sampling import Sampling

LIGHTNING = ("fit", "validate", "test")


def help_of(command: str, capsys: Any) -> str:
    """Without line breaks."""
    with pytest.raises(SystemExit) as stop:
        main([*command.split(), "--help"])
    assert stop.value.code == 0
    return " ".join(capsys.readouterr().out.split("options:", 1)[1].split())


def default_of(option: str, text: str) -> str:
    found = re.search(rf" {option} [^()]*?(?:\([^()]*\)[^()]*?)*?\(default: ([^()]*)\)", text)
    assert found is not None, f"no default of {option}"
    return found[1]


def default_in(function: Callable[..., Any], name: str) -> Any:
    return inspect.signature(function).parameters[name].default


OF_A_SEARCH = [one for one in fields(Options) if one.metadata["search"] is not None and one.default is None]


@pytest.mark.parametrize("option", [one.name for one in OF_A_SEARCH])
def test_what_a_search_does_unasked(option: str, capsys: Any) -> None:
    (about,) = (one.metadata for one in OF_A_SEARCH if one.name == option)
    strategy = catalogue().load("search", about["search"] or "Sampling")
    default = default_in(strategy, {"beam": "size"}.get(option, option))
    value = "all" if default is None else default if isinstance(default, str) else f"{default:g}"
    told = default_of(f"--{option.replace('_', '-')}", help_of("translate", capsys))
    assert re.match(rf"the (bundle|search strategy)'s, {re.escape(value)} (if|unless) ", told)


def test_the_beam_of_other_searches(capsys: Any) -> None:
    told = default_of("--beam", help_of("summarize", capsys))
    for option, value in (("groups", 3), ("phrases", ("a",))):
        strategy: Any = strategy_of(Options.of({option: value}), Beam(), "Beam")
        assert f" with {option} {strategy.size}" in told
    assert f"{Beam().size} unless" in default_of("--beam", help_of("heatmap", capsys))


@pytest.mark.parametrize(
    ("command", "option", "function", "name"),
    [
        ("score", "--batch-tokens", score, "batch_tokens"),
        ("score", "--batch-tokens", Generator.scorer, "batch_tokens"),
        ("align", "--batch-tokens", align, "batch_tokens"),
        ("classify", "--batch-tokens", Classifier.classify, "batch_tokens"),
        ("classify", "--max-source-tokens", Classifier.classify, "max_source_tokens"),
        ("shortlist", "--per-piece", learn_shortlist, "per_piece"),
        ("shortlist", "--frequent", learn_shortlist, "frequent"),
        ("generate", "--seed", Sampling, "seed"),
        ("generate", "--min-tokens", Options, "min_tokens"),
        ("diagnose", "--hidden-size", Settings, "hidden_size"),
        ("tokenizer train", "--on-bad-line", PairData, "on_bad_line"),
    ],
)
def test_what_a_command_does_unasked(
    command: str, option: str, function: Callable[..., Any], name: str, capsys: Any
) -> None:
    assert default_of(option, help_of(command, capsys)) == str(default_in(function, name))


def test_the_tokenizer_is_the_one_that_training_takes(capsys: Any) -> None:
    assert default_of("--kind", help_of("tokenizer train", capsys)) == PairData().tokenizer.__name__  # type: ignore[attr-defined]


def test_threads_are_said_to_be_what_they_are(capsys: Any) -> None:
    kinds: dict[str, set[str]] = {"at once": set(), "within": set()}
    for command in sorted({*catalogue().names("command")} - {*LIGHTNING}):
        text = help_of(command, capsys) if command not in ("plugins", "data", "tokenizer") else ""
        if " --threads " not in text:
            continue
        about = text.partition(" --threads ")[2]
        at_once = re.match(r"N CPU threads that (search|classify|label) at once, a batch each", about)
        within = re.match(r"N CPU threads that share the work of each batch \(default: ", about)
        assert bool(at_once) != bool(within), command
        if at_once:
            assert f"as many as there are cores, {MOST_THREADS} at most" in about
        kinds["at once" if at_once else "within"].add(command)
    assert kinds["at once"] == {"translate", "summarize", "classify", "label"}
    assert kinds["within"] == {"score", "align", "generate", "diagnose"}


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("tokenizer train", "--output FOLDER, --out FOLDER"),
        ("tokenizer train", "--option KEY=VALUE, --set KEY=VALUE"),
        ("tokenizer train", "--skip-bad-lines short for --on-bad-line skip"),
        ("shortlist", "--skip-bad-lines short for --on-bad-line skip"),
        ("classify", "--plot FILE, --confusion FILE"),
        ("classify", "--field KEY, --source-key KEY"),
        ("summarize", "--field KEY, --source-key KEY"),
        ("heatmap", "--output FILE, --plot FILE"),
        ("convert", "--ckpt_path NAME, --ckpt-path NAME, --checkpoint NAME"),
    ],
)
def test_the_common_name_comes_first(command: str, names: str, capsys: Any) -> None:
    assert names in help_of(command, capsys)


def test_both_names_of_the_options_of_a_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"the sea\n\xff\n")
    train = ["tokenizer", "train", str(tmp_path / "text"), "--kind", "Words"]
    old = ["--out", str(tmp_path / "old"), "--set", "minimum_count=1", "--skip-bad-lines"]
    new = ["--output", str(tmp_path / "new"), "--option", "minimum_count=1", "--on-bad-line", "skip"]
    assert main([*train, *old]) == main([*train, *new]) == 0
    made = [json.loads((tmp_path / name / "config.json").read_text()) for name in ("old", "new")]
    assert made[0] == made[1] and made[0]["tokenizer"]["init_args"]["minimum_count"] == 1
    assert main([*train, "--output", str(tmp_path / "bad")]) == 2


def test_both_names_of_a_picture_and_of_a_checkpoint(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("--output", "--plot"):
        assert main(["heatmap", "bundle", "a", name, "a.gif"]) == 2
        assert "a.gif ends with '.gif'" in capsys.readouterr().err
    asked = []
    monkeypatch.setattr(
        "s2s.inference.conversion.convert", lambda *_, checkpoint, card: asked.append(checkpoint)
    )
    for name in ("--ckpt_path", "--ckpt-path", "--checkpoint"):
        assert main(["convert", "run", "bundle", name, "last"]) == 0
    assert asked == ["last"] * 3
