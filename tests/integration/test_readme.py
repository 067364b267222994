"""The README's instructions, run."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import summary

from s2s.resources import recipes
from tests.references.tiny import tiny_bundle

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
SHELL = [line.strip() for line in re.findall(r"^    (.+)$", README, flags=re.MULTILINE)]


def run(*words: str, cwd: Path, stdin: str = "") -> str:
    done = subprocess.run(
        [sys.executable, "-m", "s2s", *words],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in the state that the README assumes: a demo bundle, the plugin file."""
    tiny_bundle(tmp_path / "runs" / "demo" / "bundle")
    (tmp_path / "my_plugins").mkdir()
    cell, hook = (block for block in PYTHON if "MinimalGated" in block)
    (tmp_path / "my_plugins" / "minimal_gated.py").write_text(f"{cell}\n{hook}", encoding="utf-8")
    return tmp_path


def test_the_translator_block(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (block,) = (block for block in PYTHON if "Translator" in block)
    done = subprocess.run(
        [sys.executable, "-c", block], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("[")


def test_the_cell_has_thirty_lines_and_keeps_the_protocol(folder: Path) -> None:
    cell = next(block for block in PYTHON if "class MinimalGated" in block)
    assert sum(1 for line in cell.splitlines() if line.strip()) <= 30
    (command,) = (line.partition("#")[0] for line in SHELL if "plugins check" in line)
    assert " 0 failed" in run(*shlex.split(command)[1:], cwd=folder)


def test_the_cell_trains_and_translates(folder: Path) -> None:
    assert "MinimalGated" in run("--plugin-dir", "my_plugins", "plugins", "list", cwd=folder)
    (command,) = (line for line in SHELL if "fit -c demo" in line)
    words = shlex.split(command)[1:]
    limits = [
        "--trainer.max_epochs",
        "1",
        "--trainer.limit_train_batches",
        "2",
        "--trainer.limit_val_batches",
        "1",
    ]
    run(*words, *limits, cwd=folder)  # the demo's run exists, as after `make demo`
    out = run(
        "--plugin-dir", "my_plugins", "translate", "runs/minimal/bundle", cwd=folder, stdin="The boat.\n\n"
    )
    assert out.count("\n") == 2


def test_its_figures_are_those_of_the_results() -> None:
    """Every BLEU in the table of Multi30k, and every speed, is in the raw results."""
    results = json.loads((ROOT / "benchmarks" / "results" / "multi30k.json").read_text())
    rows = re.findall(r"^\| (\w\w) → (\w\w) .*$", README, flags=re.MULTILINE)
    assert len(rows) == len(results)
    for source, target in rows:
        (row,) = re.findall(rf"^\| {source} → {target} \|(.*)\|$", README, flags=re.MULTILINE)
        result = results[f"multi30k-{source}-{target}"]
        test = result["test_2016_flickr"]
        expected = [
            f"{result['training_minutes']:.0f} min",
            f"{result['target_tokens_per_second']['median']:,.0f}",
            *(
                f"{test[search]['BLEU_cased']['value']:.1f} / {test[search]['BLEU_lowercase']['value']:.1f}"
                for search in ("greedy", "beam5")
            ),
            *(f"{test[search]['sentences_per_second']:.0f}" for search in ("greedy", "beam5")),
        ]
        assert [cell.strip() for cell in row.split("|")][1:] == expected


def test_it_names_the_oldest_python() -> None:
    (oldest,) = re.findall(
        r'^requires-python = ">=([\d.]+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE
    )
    assert f"Python {oldest} or newer" in README


def test_recipes_and_folders_that_it_names_exist() -> None:
    named = re.findall(r"-c ([a-z0-9-]+)(?: |$)", "\n".join(SHELL))
    assert named and set(named) <= set(recipes())
    for name in re.findall(r"`(\w+)/`", README):
        assert (ROOT / name).is_dir(), name


def test_its_commands_have_the_options_that_it_shows(folder: Path) -> None:
    """The commands for the user's own two files, on sixty pairs, for two steps."""
    for name in ("my", "dev", "test", "new", "reference"):
        for language, letters in (("en", "abcd"), ("de", "efgh")):
            lines = [" ".join(letters[(i * j) % 4] * 2 for j in range(1, 5)) for i in range(60)]
            (folder / f"{name}.{language}").write_text(
                "".join(f"{line}\n" for line in lines), encoding="utf-8"
            )
    fit = shlex.split(next(line for line in SHELL if line.startswith("s2s fit -c default --run_folder")))[1:]
    limits = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "2"]
    run(*fit, *limits, cwd=folder)
    new = run("translate", "runs/mine/bundle", cwd=folder, stdin=(folder / "new.en").read_text())
    assert new.count("\n") == 60
    (folder / "new.de").write_text(new, encoding="utf-8")
    evaluate = shlex.split(next(line for line in SHELL if line.startswith("s2s evaluate")))[1:]
    (folder / "reference.de").write_text((folder / "my.de").read_text())
    assert "BLEU" in run(*evaluate, cwd=folder)
    shortlist = shlex.split(next(line for line in SHELL if line.startswith("s2s shortlist")))[1:]
    run(*shortlist, cwd=folder)
    use = shlex.split(next(line for line in SHELL if "--shortlist" in line).partition("<")[0])[1:]
    assert run(*use, cwd=folder, stdin=(folder / "new.en").read_text()).count("\n") == 60
    test = shlex.split(next(line for line in SHELL if line.startswith("s2s test")))[1:]
    run(*test, cwd=folder)


def test_its_ratios_are_those_of_the_summary() -> None:
    """The table of peers, cell by cell, with its rounding."""
    figures = json.loads((ROOT / "benchmarks" / "results" / "summary.json").read_text())
    cells = {
        "training with input feeding": ["train_feed_vs_joeynmt"],
        "training without": [
            "train_nofeed_vs_joeynmt",
            "train_nofeed_vs_joeynmt_float32",
            "train_nofeed_vs_eole",
            "train_nofeed_vs_eole_float32",
        ],
        "greedy translation, each at its best batch size": [
            "decode_greedy_vs_joeynmt",
            "decode_greedy_vs_joeynmt_float32",
            "decode_greedy_vs_eole",
            "decode_greedy_vs_eole_float32",
        ],
        "beam 5": [
            "decode_beam5_vs_joeynmt",
            "decode_beam5_vs_joeynmt_float32",
            "decode_beam5_vs_eole",
            "decode_beam5_vs_eole_float32",
        ],
    }
    for row, names in cells.items():
        (line,) = re.findall(rf"^\| {re.escape(row)} \|(.*)$", README, flags=re.MULTILINE)
        assert [float(number) for number in re.findall(r"\d+\.\d", line)] == [
            round(figures[name], 1) for name in names
        ]
    elsewhere = summary.other_machines(summary.RESULTS)["amd-epyc-avx2"]
    (said,) = re.findall(r"EPYC of 2021 with AVX2, s2s trained (.*?)\n\n", README, flags=re.DOTALL)
    names = ["train_feed_vs_joeynmt", "train_nofeed_vs_joeynmt", "train_nofeed_vs_eole"]
    names += [f"decode_{search}_vs_{peer}" for peer in ("joeynmt", "eole") for search in ("greedy", "beam5")]
    assert [float(number) for number in re.findall(r"\d+\.\d", said)] == [
        round(elsewhere[f"{name}_float32"], 1) for name in names
    ]
