"""The forecasting model against NumPy: predictions, loss, roll-out."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from s2s.errors import ConfigError
from s2s.nn.forecaster import ForecastModel
from s2s_plugins.cells.elman import Elman
from s2s_plugins.cells.lstm import LSTM
from s2s_plugins.encoders.recurrent import RecurrentEncoder
from s2s_plugins.encoders.transformer import TransformerEncoder

HIDDEN, HISTORY = 4, 6


def model(**options: Any) -> ForecastModel:
    torch.manual_seed(5)
    encoder = options.pop(
        "encoder", partial(RecurrentEncoder, cell=Elman, hidden_size=HIDDEN, bidirectional=False)
    )
    columns = options.pop("columns", ["a", "b"])
    return ForecastModel(
        columns, options.pop("targets", columns), encoder=encoder, history=HISTORY, **options
    ).double()


def elman(made: ForecastModel, x: np.ndarray) -> np.ndarray:
    """States [time, hidden] of one window [time, columns]: h = tanh(W x + b + U h)."""
    weights = {
        name.rpartition(".")[2]: value.detach().numpy() for name, value in made.encoder.named_parameters()
    }
    h, states = np.zeros(HIDDEN), []
    for now in x:
        h = np.tanh(weights["input_weight"] @ now + weights["input_bias"] + weights["recurrent_weight"] @ h)
        states.append(h)
    return np.stack(states)


def head(made: ForecastModel, state: np.ndarray) -> np.ndarray:
    """What a state predicts, [horizon, targets]."""
    weight, bias = (one.detach().numpy() for one in made.output_layer.parameters())
    return (weight @ state + bias).reshape(made.horizon, -1)


def windows(count: int = 3, horizon: int = 2, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    chance = np.random.default_rng(seed)
    return (
        torch.from_numpy(chance.normal(size=(count, HISTORY, 2))),
        torch.from_numpy(chance.normal(size=(count, horizon, 2))),
    )


@pytest.mark.parametrize("error", ["squared", "absolute"])
def test_loss_of_the_last_output(error: Any) -> None:
    made = model(horizon=2)
    x, future = windows()
    expected = 0.0
    for one, gold in zip(x.numpy(), future.numpy(), strict=True):
        off = head(made, elman(made, one)[-1]) - gold
        expected += (off**2 if error == "squared" else np.abs(off)).sum()
    loss = made.loss(x, future, error)
    assert loss.total.item() == pytest.approx(expected, rel=1e-10)
    assert int(loss.tokens) == 3 * 2 * 2 and not loss.nll.requires_grad


def test_loss_of_every_output_predicts_what_follows_each_time_step() -> None:
    made = model(horizon=2, output="every", targets=["b"])
    x, future = windows()
    expected = 0.0
    for one, gold in zip(x.numpy(), future[..., [1]].numpy(), strict=True):
        line = np.concatenate([one[:, [1]], gold])
        for t, state in enumerate(elman(made, one)):
            expected += ((head(made, state) - line[t + 1 : t + 3]) ** 2).sum()
    loss = made.loss(x, future[..., [1]])
    assert loss.total.item() == pytest.approx(expected, rel=1e-10)
    assert int(loss.tokens) == 3 * HISTORY * 2
    last = made.loss(x, future[..., [1]], future_only=True)
    assert int(last.tokens) == 3 * 2
    states = [elman(made, one)[-1] for one in x.numpy()]
    off = np.stack([head(made, state) for state in states]) - future[..., [1]].numpy()
    assert last.total.item() == pytest.approx((off**2).sum(), rel=1e-10)


@pytest.mark.parametrize("output", ["last", "every"])
@pytest.mark.parametrize("horizon", [1, 2, 5])
def test_a_roll_out_reads_its_own_predictions(output: Any, horizon: int) -> None:
    made = model(horizon=horizon, output=output)
    x, _ = windows()
    found = made.roll_out(x, 5).detach().numpy()
    for row, one in enumerate(x.numpy()):
        line = one
        while len(line) < HISTORY + 5:
            line = np.concatenate([line, head(made, elman(made, line[-HISTORY:])[-1])])
        np.testing.assert_allclose(found[row], line[HISTORY : HISTORY + 5], rtol=1e-9)


@pytest.mark.parametrize("cell", [Elman, LSTM])
def test_a_forecast_depends_on_its_own_window_alone(cell: Any) -> None:
    encoder = partial(RecurrentEncoder, cell=cell, hidden_size=HIDDEN, bidirectional=True, layers=2)
    made = model(encoder=encoder, log=["a"], difference=[1, 3]).eval()
    series = torch.from_numpy(np.exp(np.random.default_rng(2).normal(size=(5, 14, 2))))
    together = made.forecast(series, 4)
    for row in range(5):
        torch.testing.assert_close(made.forecast(series[[row]], 4)[0], together[row], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(made.forecast(series[:, -made.needs :], 4), together)
    assert made.needs == HISTORY + 4


def test_a_forecast_is_scaled_there_and_back() -> None:
    made = model(log=["a", "b"], difference=[2]).eval()
    series = torch.from_numpy(np.exp(np.random.default_rng(2).normal(size=(30, 2))))
    made.scaling.fit(series)
    logs = np.log(series.numpy())
    changes = logs[2:] - logs[:-2]
    center, spread = changes.mean(0), changes.std(0)
    line = list((changes - center) / spread)
    levels = list(logs)
    for _ in range(3):
        predicted = head(made, elman(made, np.stack(line[-HISTORY:]))[-1])[0]
        line.append(predicted)
        levels.append(levels[-2] + predicted * spread + center)
    found = made.forecast(series.unsqueeze(0), 3)[0].numpy()
    np.testing.assert_allclose(found, np.exp(np.stack(levels[-3:])), rtol=1e-9)


def test_who_looks_ahead_is_found_out() -> None:
    assert not model(output="every").looks_ahead()
    assert model(encoder=partial(RecurrentEncoder, hidden_size=HIDDEN), output="every").looks_ahead()
    transformer = partial(TransformerEncoder, hidden_size=HIDDEN, heads=2, layers=1)
    made = model(encoder=transformer)
    assert made.looks_ahead() and made.training and made.encoder.training
    assert made(windows()[0]).shape == (3, 1, 1, 2)  # other encoders serve, too


def test_gradients_reach_every_parameter() -> None:
    made = model(horizon=2, output="every")
    made.loss(*windows()).total.backward()
    assert all(bool(one.grad is not None and one.grad.abs().sum() > 0) for one in made.parameters())


def test_what_cannot_be() -> None:
    with pytest.raises(ConfigError, match="unknown output 'first'; choose one of last, every"):
        model(output="first")
    with pytest.raises(ConfigError, match="horizon 0 is impossible"):
        model(horizon=0)
    made = model(targets=["b"], horizon=2)
    assert made.roll_out(windows()[0], 2).shape == (3, 2, 1)
    with pytest.raises(ConfigError) as error:
        made.roll_out(windows()[0], 3)
    assert str(error.value) == (
        "3 steps are more than the horizon of 2, and then predictions are read again; but a is not predicted. Ask for "
        "2 steps at most, or train with a larger data.horizon or without data.targets"
    )
