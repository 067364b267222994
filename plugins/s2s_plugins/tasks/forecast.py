"""Numbers in, numbers out: forecasts of series as a Lightning module."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor, distributed

from s2s.errors import ConfigError, DataError
from s2s.evaluation.forecast_plot import draw
from s2s.evaluation.forecasts import Result, Values, backtest, seasonal_naive, table
from s2s.evaluation.metric import Score
from s2s.inference.card import Card, command_of_this_process
from s2s.inference.model_bundle import save_model_bundle
from s2s.nn import HeadLoss, SequenceEncoder
from s2s.nn.forecaster import ForecastModel
from s2s.registry.parts import describe
from s2s.series import as_csv
from s2s.training.schedule import ScheduleName
from s2s.training.task import Task, TaskModule, check_monitor
from s2s_plugins.encoders.recurrent import RecurrentEncoder
from s2s_plugins.tasks.series_data import SeriesBatch, SeriesData, Split

FIGURES = ("val_loss", "val_mae", "val_rmse", "val_mase")

PICTURED_PARTS = 2
"""A picture shows this many times the part's length of preceding time steps."""


class ForecastModule(TaskModule):
    """An encoder that reads a window of a series and predicts what follows, validated in the series' own units.

    Args:
        encoder: reads the window.
        output: last: the encoder's last state predicts data.horizon steps; every: each time step of the window predicts
            the data.horizon steps after itself, so the encoder must not look ahead: it reads from left to right.
        error: what is minimized, of scaled values: squared (predicts means) or absolute (predicts medians).
        learning_rate: highest learning rate of AdamW.
        weight_decay: decoupled weight decay (Loshchilov & Hutter 2019); 0 makes AdamW Adam.
        adam_betas: decay of the means of gradient and squared gradient (Kingma & Ba 2015).
        warmup_steps: steps in which the learning rate rises linearly from 0.
        schedule: what follows the warm-up; plateau halves when `monitor` has not improved.
        plateau_patience: validations without improvement before plateau halves the learning rate.
        patience: validations without improvement of `monitor` before training stops; null: never.
        monitor: the validation figure that decides which checkpoint is best: val_loss, of scaled values; or val_mae,
            val_rmse, val_mase, errors of forecasts of data.horizon steps, averaged over the targets; val_mase over
            those that have one, see `s2s.evaluation.forecasts.Accuracy`.
        average_decay: validate and ship a moving average of the weights with this decay per step; 0: the weights.
        start_from: a bundle whose model and scaling training starts from (fine-tuning); settings of the model in the
            configuration that differ from the bundle's are reported and ignored. It must read and predict the same
            columns.
    """

    ships = ForecastModel

    likelihood = False
    unit = "values"

    def __init__(
        self,
        *,
        encoder: Callable[[int], SequenceEncoder] = RecurrentEncoder,
        output: Literal["last", "every"] = "last",
        error: Literal["squared", "absolute"] = "squared",
        learning_rate: float = 0.001,
        weight_decay: float = 0.0,
        adam_betas: tuple[float, float] = (0.9, 0.999),
        warmup_steps: int = 100,
        schedule: ScheduleName = "constant",
        plateau_patience: int = 2,
        patience: int | None = None,
        monitor: str = "val_loss",
        average_decay: float = 0.0,
        start_from: str | None = None,
    ) -> None:
        check_monitor(monitor, FIGURES)
        super().__init__(
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            adam_betas=adam_betas,
            warmup_steps=warmup_steps,
            schedule=schedule,
            plateau_patience=plateau_patience,
            patience=patience,
            monitor=monitor,
            higher_is_better=False,
            average_decay=average_decay,
        )
        self.start_from = start_from
        self.encoder = encoder
        self.output = output
        self.error: Literal["squared", "absolute"] = error
        self.sums = torch.zeros(0)

    def configure_model(self) -> None:
        """Build the model for the columns of the data, with the scaling that was learnt on the training part."""
        if self.model is not None:
            return
        self._check_device()
        data: SeriesData = self.data
        self._check_mase("test" if self.trainer.state.fn == TrainerFn.TESTING else "validation")
        config = {**_read_as(data), "encoder": describe(self.encoder), "output": self.output}
        model = self.made(ForecastModel, config)
        model.scaling.load_state_dict(data.scaling.state_dict())
        if self.model_config["output"] == "every" and model.looks_ahead():
            raise ConfigError(
                "model.output every needs an encoder that reads from left to right, but this one sees the time steps "
                "that are to be predicted; set --model.encoder.bidirectional false, or model.output: last"
            )

    def _check_device(self) -> None:
        # The scaling is kept in float64 beside the weights.
        if self.trainer.strategy.root_device.type == "mps":
            raise ConfigError("mps has no float64, which scaling needs; set trainer.accelerator: cpu")

    def _check_mase(self, split: Split) -> None:
        data: SeriesData = self.data
        without = [] if data.given[split] is None else data.without_mase(split)
        if not without:
            return
        why = f"no change from one season (data.season {data.season}) to the next before the {split} part"
        if split == "validation" and self.monitor == "val_mase" and len(without) == len(data.target_names):
            raise ConfigError(
                f"model.monitor is val_mase, but no target has a MASE: there is {why}, which it divides by; choose "
                "val_loss, val_mae or val_rmse, or another data.season"
            )
        names = ", ".join(map(repr, without))
        self.say(f"no MASE of {names}: there is {why}, which it divides by; means of MASE leave that out")

    def batch_loss(self, batch: SeriesBatch) -> HeadLoss:
        """Summed error of the scaled values that are predicted."""
        assert isinstance(self.model, ForecastModel)
        return self.model.loss(batch.history, batch.future, self.error)

    # --- validation and test ----------------------------------------------------------------------------------------

    def on_validation_epoch_start(self) -> None:
        """Reset the sums.

        Raises:
            DataError: the checkpoint was trained on another training part.
        """
        self._begin()

    def on_test_epoch_start(self) -> None:
        """As `on_validation_epoch_start`."""
        self._begin()

    def _begin(self) -> None:
        assert isinstance(self.model, ForecastModel)
        data: SeriesData = self.data
        for name, value in data.scaling.state_dict().items():
            if not torch.equal(value, self.model.scaling.state_dict()[name].cpu()):
                raise DataError(
                    "the scaling of the checkpoint was learnt on another training part than data.train is here; give "
                    "the one that it was trained on"
                )
        # loss, number of its values, number of windows; absolute and squared errors of each target
        self.sums = torch.zeros(3 + 2 * len(data.target_names), dtype=torch.float64)

    def validation_step(self, batch: SeriesBatch, batch_idx: int) -> None:
        """Loss and errors of some windows."""
        self._measure("validation", batch)

    def test_step(self, batch: SeriesBatch, batch_idx: int) -> None:
        """Loss and errors of some windows."""
        self._measure("test", batch)

    def _measure(self, split: Split, batch: SeriesBatch) -> None:
        assert isinstance(self.model, ForecastModel)
        data: SeriesData = self.data
        model = self.model
        loss = model.loss(batch.history, batch.future, self.error, future_only=True)
        values = torch.from_numpy(data.part(split).table.values)
        origins = batch.origins.cpu().unsqueeze(1)
        before = values[origins + torch.arange(-model.needs, 0)][..., model.target_columns]
        actual = values[origins + torch.arange(model.horizon)][..., model.target_columns]
        predicted = model.scaling.inverse(
            model.roll_out(batch.history, model.horizon), before, model.target_columns
        )
        errors = (predicted - actual).abs()
        counts = torch.tensor([float(loss.nll), float(loss.tokens), len(origins)], dtype=torch.float64)
        self.sums += torch.cat([counts, errors.sum((0, 1)), (errors**2).sum((0, 1))])

    def _figures(self, split: Split) -> dict[str, float]:
        """Loss, MAE, RMSE and MASE of all windows, by their names; means over the targets.

        A target without a MASE is left out of its mean; MASE is missing where no target has one.
        """
        data: SeriesData = self.data
        sums = self.sums.to(self.device)
        if self.trainer.world_size > 1:
            distributed.all_reduce(sums)
        loss, tokens, self.windows, *errors = sums.tolist()
        absolute, squared = np.split(np.array(errors) / (self.windows * data.horizon), 2)
        scale = data.in_sample_error(split)
        figures = {"loss": loss / tokens, "mae": absolute.mean(), "rmse": np.sqrt(squared).mean()}
        if (scale > 0).any():
            figures["mase"] = (absolute[scale > 0] / scale[scale > 0]).mean()
        return {name: float(figure) for name, figure in figures.items()}

    def on_validation_epoch_end(self) -> None:
        """Log, and keep the scores for the card; outside of training also report those of naive forecasts."""
        data: SeriesData = self.data
        figures = self._figures("validation")
        signature = (
            f"horizon:{data.horizon}|season:{data.season}|origins:rolling|scale:in-sample seasonal naive"
        )
        scores = [
            Score(figures[name], signature, "MASE", int(self.windows), unit="forecasts", decimals=3)
            for name in ("mase",)
            if name in figures
        ]
        self.validated({f"val_{name}": value for name, value in figures.items()}, scores)
        fitting = self.trainer.state.fn == TrainerFn.FITTING
        when = f" after epoch {self.current_epoch + 1}, step {self.global_step}" if fitting else ""
        self.say(
            f"validation{when}: loss {figures['loss']:.4g}, MAE {figures['mae']:.4g}, RMSE {figures['rmse']:.4g}"
            + "".join(f", {score.figure}" for score in scores)
        )
        if not fitting:
            self._tell("validation")

    def on_test_epoch_end(self) -> None:
        """Report the errors on the test part, and write the forecast of the whole part and its picture."""
        for name, value in self._figures("test").items():
            self.log(f"test_{name}", value)
        results = self._tell("test")
        self.keep_scores(self._as_scores(results))
        self.write_forecast()

    def backtests(self, split: Split) -> list[Result]:
        """Backtest the whole part at once, a season, the horizon and one step, from rolling origins; see `backtest`."""
        assert isinstance(self.model, ForecastModel)
        data: SeriesData = self.data
        model = self.model
        part = data.part(split)
        longest = part.stop - part.start
        lengths = {1, data.horizon, *((data.season, longest) if model.free else ())}
        results = []
        for steps in sorted((steps for steps in lengths if steps <= longest), reverse=True):
            results += backtest(
                self._forecasts,
                part.table.values[: part.stop],
                start=part.start,
                steps=steps,
                needs=model.needs,
                season=data.season,
                targets=model.target_columns,
                scale=data.in_sample_error(split),
            )
        return results

    def _forecasts(self, seen: Values, steps: int) -> Values:
        assert isinstance(self.model, ForecastModel)
        with torch.autocast(self.device.type, enabled=False):
            found: Tensor = self.model.forecast(torch.from_numpy(seen), steps)
        return found.numpy()

    def _tell(self, split: Split) -> list[Result]:
        data: SeriesData = self.data
        results = self.backtests(split)
        self.say("\n".join(table(results, data.target_names)))
        return results

    def _as_scores(self, results: Sequence[Result]) -> list[Score]:
        """The model's scores, for each length of its forecasts and each target."""
        data: SeriesData = self.data
        return [
            Score(
                float(values[column]),
                f"horizon:{result.steps}|season:{data.season}|origins:rolling|target:{target}"
                + ("|scale:in-sample seasonal naive" if figure == "mase" else ""),
                figure.upper(),
                result.origins,
                details={"target": target, "steps": result.steps},
                unit="forecasts",
                decimals=3,
            )
            for result in results
            if result.system == "model"
            for column, target in enumerate(data.target_names)
            for figure, values in result.accuracy._asdict().items()
        ]

    def write_forecast(self) -> None:
        """Write the forecast of the whole test part and the actual values as CSV and, if possible, as a picture."""
        assert isinstance(self.model, ForecastModel)
        data: SeriesData = self.data
        part = data.part("test")
        steps, columns = part.stop - part.start, self.model.target_columns
        if not self.trainer.is_global_zero or (steps > self.model.horizon and not self.model.free):
            return
        values = part.table.values
        seen, actual = values[: part.start], values[part.start : part.stop, columns]
        forecasts = {
            "actual": actual,
            "forecast": self._forecasts(seen[None, -self.model.needs :], steps)[0],
            "seasonal naive": seasonal_naive(seen[None, :, columns], steps, data.season)[0],
        }
        label, labels = part.table.labels(0, part.stop)
        names = [f"{name} {what}" for name in data.target_names for what in forecasts]
        rows = np.stack(list(forecasts.values()), axis=-1).reshape(steps, -1)
        self.keep_output("forecast", "forecast.csv", as_csv(label, labels[part.start :], names, rows))
        first = max(0, part.start - PICTURED_PARTS * steps)
        try:
            picture = draw(labels[first:], data.target_names, seen[first:, columns], forecasts, "png")
        except ConfigError as error:  # there is no matplotlib
            self.say(str(error))
            return
        self.keep_output("picture", "forecast.png", picture)

    # --- the bundle -------------------------------------------------------------------------------------------------

    def save_bundle(self, folder: Path, *, epoch: int, step: int) -> None:
        """Weights, scaling and card; there is no tokenizer."""
        assert isinstance(self.model, ForecastModel)
        data: SeriesData = self.data
        about = data.described()
        save_model_bundle(
            folder,
            model=self.model,
            model_config=self.model_config,
            tokenizers={},
            training={"epoch": epoch, "step": step, "seed": data.seed, **about},
            scores=self.scores,
            card=Card(
                description=(
                    f"Forecasts {', '.join(data.target_names)} from {data.history} time steps, {data.horizon} at once; "
                    f"trained on the first {about['time_steps']:,} time steps of {about['train'][0]}; weights of epoch "
                    f"{epoch}, step {step}. The scores are those of the validation part."
                ),
                intended_use=(
                    "The series that it was trained on, as it goes on. Nobody knows whether the future will be like "
                    "the past; of other series its scores say nothing."
                ),
                command=command_of_this_process(),
            ),
        )


def _read_as(data: SeriesData) -> dict[str, Any]:
    """The settings of the data that a model stores, to read a series in the same way."""
    return {
        "columns": data.names,
        "targets": data.target_names,
        "history": data.history,
        "horizon": data.horizon,
        "scaling": data.scale,
        "log": data.logarithms,
        "difference": data.difference,
    }


class ForecastTask(Task):
    """Forecasts of series of numbers."""

    module = ForecastModule
    data = SeriesData
    reads = "a series: --data.train SERIES.csv"

    @classmethod
    def connect(cls, module: TaskModule, data: Any) -> None:
        """See `Task`; a bundle's model must read the series as the data gives it, and keeps its scaling.

        Raises:
            ConfigError: it reads another series, or in another way.
        """
        super().connect(module, data)
        if module.bundle is None:
            return
        used = module.bundle.config["model"]
        differing = [
            f"data.{name} is {value!r}, and there {used.get(name)!r}"
            for name, value in _read_as(data).items()
            if used.get(name) != value
        ]
        if differing:
            raise ConfigError(
                f"model.start_from {module.start_from} does not read the series in the same way: "
                f"{'; '.join(differing)}. Set data as it was there, or train anew, without model.start_from"
            )
        data.use_scaling(module.bundle.model.scaling)

    @classmethod
    def answers(cls, bundle: Path, lines: Sequence[str]) -> list[str]:
        """A forecast, as text, of a series made from the length of each line; empty for an empty line."""
        from s2s.inference.forecaster import Forecaster

        forecaster = Forecaster.load(bundle)
        times = np.arange(forecaster.model.needs, dtype=np.float64)
        answers = []
        for line in lines:
            series = dict.fromkeys(forecaster.columns, 2.0 + np.sin(times + len(line)))
            answers.append(forecaster.forecast(series).csv() if line else "")
        return answers

    @classmethod
    def sample_options(cls, folder: Path) -> dict[str, Any]:
        """A short series and a small encoder, for the kit."""
        series = folder / "series.csv"
        rows = [f"{step},{np.sin(step / 2.0):.4f},{step % 5}\n" for step in range(24)]
        series.write_text("".join(["step,wave,saw\n", *rows]), encoding="utf-8")
        return {
            "data.train": str(series),
            "data.validation": 6,
            "data.date": "step",
            "data.history": 4,
            "data.horizon": 2,
            "model.encoder": {"class_path": "Recurrent", "init_args": {"hidden_size": 8}},
            "model.warmup_steps": 1,
        }
