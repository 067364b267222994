"""`trainer.precision: auto`, on machines that this one is made to look like."""

import pytest
import torch

import s2s
from s2s.nn import kernels
from s2s.resources import recipes
from s2s.training import precision
from s2s.training.cli import run
from s2s.training.options import read_config
from s2s.training.precision import precision_here, precision_to_go_on, slow_precision


def a_machine(monkeypatch: pytest.MonkeyPatch, fast: bool, cuda: bool = False, mps: bool = False) -> None:
    """A processor that multiplies bfloat16 or does not, beside a GPU or none, which must not be used to find out."""
    monkeypatch.setattr(precision, "bfloat16_is_fast", lambda: fast)
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: fast)
    monkeypatch.setattr(precision.CUDAAccelerator, "is_available", staticmethod(lambda: cuda))
    monkeypatch.setattr(precision.MPSAccelerator, "is_available", staticmethod(lambda: mps))
    monkeypatch.setattr(torch.cuda, "_lazy_init", lambda: pytest.fail("the GPU is in use"))


@pytest.mark.parametrize(
    ("fast", "cuda", "mps", "accelerator", "expected"),
    [
        (True, False, False, "auto", "bf16-mixed"),
        (True, False, False, "cpu", "bf16-mixed"),
        (False, False, False, "auto", "32-true"),
        (False, False, False, "cpu", "32-true"),
        (False, True, False, "auto", "bf16-mixed"),
        (False, True, False, "gpu", "bf16-mixed"),
        (True, False, False, "cuda", "32-true"),
        (False, True, False, "cpu", "32-true"),
        (True, True, False, "cpu", "bf16-mixed"),
        (True, False, True, "auto", "32-true"),
        (True, False, False, "tpu", "32-true"),
        (True, False, False, {"class_path": "CPUAccelerator"}, "32-true"),
    ],
)
def test_what_is_chosen(monkeypatch, fast, cuda, mps, accelerator, expected):
    a_machine(monkeypatch, fast, cuda, mps)
    assert precision_here(accelerator) == expected


@pytest.mark.parametrize(
    ("able", "fast"),
    [
        ({"avx512_bf16": True}, True),
        ({"avx512_bf16": False, "amx_bf16": True}, True),
        ({"bf16": True}, True),
        ({"avx2": True, "avx512_f": True, "l2_cache_size": 1}, False),
        ({}, False),
    ],
)
def test_a_processor_is_asked_for_its_instructions(monkeypatch, able, fast):
    if not torch.backends.mkldnn.is_available():
        pytest.skip("this build of torch has no oneDNN")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
    assert kernels.bfloat16_is_fast.__wrapped__() == fast
    # where torch does not tell it, as before 2.11, the system may
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    flags = " ".join(name for name, there in able.items() if there)
    for told in ({"flags": f"fpu {flags} vme"}, {"Features": f"fp {flags}"}):
        monkeypatch.setattr(kernels, "_processor", lambda told=told: told)
        assert kernels.bfloat16_is_fast.__wrapped__() == fast
    monkeypatch.setattr(kernels, "_processor", dict)
    assert kernels.bfloat16_is_fast.__wrapped__() is False


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize(
    "argv",
    [
        ["-c", "demo"],
        ["-c", "demo", "--trainer.precision", "64-true", "--trainer.precision", "auto"],
        ["-c", "demo", "--trainer.accelerator", "cpu"],
        ["-c", "dotted.yaml"],
    ],
)
def test_the_configuration_says_what_was_chosen(monkeypatch, capsys, tmp_path, argv, fast):
    a_machine(monkeypatch, fast)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dotted.yaml").write_text("data.train: a.tsv\ntrainer.precision: auto\n")
    run("fit", [*argv, "--print_config"])
    chosen = "bf16-mixed" if fast else "32-true"
    assert f"precision: {chosen}\n" in capsys.readouterr().out
    run("fit", [*argv, "--trainer.precision", "64-true", "--print_config"])
    assert "precision: 64-true\n" in capsys.readouterr().out


def test_recipes_ask_for_no_precision_that_a_machine_may_lack():
    asked = {name: read_config(name).tree.get("trainer", {}).get("precision") for name in recipes()}
    assert asked and set(asked.values()) <= {"auto", None}


def test_another_word_is_refused_with_this_one_near():
    with pytest.raises(
        s2s.ConfigError, match="trainer.precision: expected auto or 64 .* got 'aut'; did you mean 'auto'"
    ):
        run("fit", ["-c", "demo", "--trainer.precision", "aut"])


@pytest.mark.parametrize(
    ("begun", "expected"),
    [
        ("trainer: {precision: bf16-mixed}", "bf16-mixed"),
        ("trainer: {precision: null}", None),
        ("trainer: {precision: 64-true}", "here"),
        ("trainer: {precision: [bf16-mixed]}", "here"),
        ("trainer: {}", "here"),
        ("trainer: 1", "here"),
        ("[]", "here"),
        ("", "here"),
        ("{", "here"),
    ],
)
def test_a_run_goes_on_in_what_it_was_begun_in(begun, expected):
    assert precision_to_go_on(begun, "here") == expected


def test_what_is_slow_here_is_said(monkeypatch):
    a_machine(monkeypatch, fast=False)
    assert slow_precision("bf16-mixed", "auto") == (
        "trainer.precision bf16-mixed is many times slower than float32 on this processor, because torch has no "
        "bfloat16 kernels for it; faster: --trainer.precision 32-true"
    )
    assert "trainer.precision bf16 is" in (slow_precision("bf16", "cpu") or "")
    assert slow_precision("32-true", "auto") is slow_precision(None, "auto") is None
    a_machine(monkeypatch, fast=False, cuda=True)
    assert slow_precision("bf16-mixed", "auto") is None
    assert slow_precision("bf16-mixed", "cpu") is not None
    a_machine(monkeypatch, fast=True)
    assert slow_precision("bf16-mixed", "cpu") is None
