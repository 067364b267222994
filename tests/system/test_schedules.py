"""Parts that change over training hear each step once; they are in checkpoint and bundle; a resumed run is the run."""

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from s2s.nn import HeadLoss, Scheduled, Seq2Seq
from s2s.registry import use_plugins
from s2s_plugins.tasks.seq2seq import Seq2SeqModule
from tests.system.test_resume import BATCHES, Recorder, train
from tests.system.test_resume import corpus as corpus

PLUGIN = '''
"""Attention that becomes sharper over training."""

import torch

from s2s.registry import hookimpl
from s2s_plugins.attention.luong import LuongGeneral

@hookimpl
def s2s_attentions():
    return {"Cooling": "cooling_attention:Cooling"}


class Cooling(LuongGeneral):
    """Scores are divided by a temperature that falls by a tenth at each step."""

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        self.register_buffer("temperature", torch.tensor(2.0))
        self.register_buffer("told", torch.tensor(-1))

    def at_step(self, step: int) -> None:
        assert step == int(self.told) + 1, "each step once, and in order"
        self.told.fill_(step)
        self.temperature.mul_(0.9)

    def score(self, query, keys):
        return super().score(query, keys) / self.temperature
'''


@pytest.fixture(scope="module")
def cooling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The plugin, known while these tests run."""
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "cooling_attention.py").write_text(PLUGIN)
    use_plugins(plugin_dirs=[folder])
    yield
    sys.path.remove(str(folder.resolve()))
    del sys.modules["cooling_attention"]
    use_plugins()


def options(attention: str) -> dict[str, Any]:
    return {
        "model.decoder": {
            "class_path": "Bahdanau",
            "init_args": {"cell": "GRU", "hidden_size": 12, "dropout": 0.3, "attention": attention},
        },
        "model.scheduled_sampling": "inverse_sigmoid",
        "model.sampling_half_steps": 3,
        "trainer.accumulate_grad_batches": 3,
        "trainer.max_epochs": 2,
    }


class Told(Seq2SeqModule):
    told: tuple[int, ...] = ()

    def at_step(self, step: int) -> None:
        super().at_step(step)
        self.told += (step,)


def test_a_tasks_module_calls_the_method_of_its_base() -> None:
    built = Told()
    built.at_step(0)
    assert isinstance(built, Scheduled) and built.told == (0,)


def test_a_resumed_run_is_the_run(
    cooling: None, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a plugin's schedule and scheduled sampling, averaged weights, accumulated batches."""
    whole = train(corpus, Recorder(tmp_path / "whole", (3,)), monkeypatch, **options("Cooling"))
    rest = train(corpus, Recorder(whole.killed(3)), monkeypatch, ckpt_path="last", **options("Cooling"))
    steps = 2 * math.ceil(BATCHES / 3)  # of two epochs
    assert min(rest.batches) == 4 and max(whole.weights) == max(rest.weights) == steps
    for step, weights in rest.weights.items():
        if step > 3:
            assert torch.equal(weights, whole.weights[step]), f"weights after step {step}"
    assert any("temperature" in name for name in rest.average)
    for name, value in rest.average.items():
        assert torch.equal(value, whole.average[name]), name
    assert rest.validations == whole.validations and rest.shipped() == whole.shipped()

    bundle = tmp_path / "whole" / "bundle"
    step = json.loads((bundle / "config.json").read_text())["training"]["step"]
    shipped = load_file(bundle / "weights.safetensors")["decoder.attention.temperature"]
    assert float(shipped) == pytest.approx(2 * 0.9**step, rel=1e-6)  # float32; as it was, not averaged


def test_the_share_of_gold_tokens_falls_in_training_and_is_one_in_validation(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[bool, float]] = []
    plain = Seq2Seq.loss

    def loss(model: Seq2Seq, *batch: Any, gold_share: float = 1.0, coverage: float = 0.0) -> HeadLoss:
        seen.append((model.training, gold_share))
        return plain(model, *batch, gold_share=gold_share, coverage=coverage)

    monkeypatch.setattr(Seq2Seq, "loss", loss)
    given = {**options("LuongGeneral"), "model.scheduled_sampling": "linear", "model.sampling_floor": 0.1}
    train(corpus, Recorder(tmp_path), monkeypatch, **given)
    # half at step 3, so a sixth less at each; the steps of an epoch have three, three, three batches and one
    of_steps = [max(0.1, 1 - step / 6) for step in range(8)]
    batches = [share for step, share in enumerate(of_steps) for _ in range(1 if step % 4 == 3 else 3)]
    assert [share for training, share in seen if training] == pytest.approx(batches)
    validated = {share for training, share in seen if not training}
    assert validated == {1.0}
