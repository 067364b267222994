"""Series for Lightning: chronological parts, scaling fitted on the training part, a resumable order of windows."""

import hashlib
import json
import math
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor
from torch.utils.data import Dataset

from s2s.errors import ConfigError, DataError
from s2s.evaluation.forecasts import Values, in_sample_error
from s2s.nn.scaling import Scaling
from s2s.registry.near_names import unknown
from s2s.resources import locate
from s2s.series import Table, read_table
from s2s.text.sampler import BatchLimits, Numbers, Sampler
from s2s.training.datamodule import Example
from s2s.training.pair_loader import PairLoader

Split = Literal["train", "validation", "test"]

_FORMAT = 1  # part of the fingerprint: raise it when windows or batches are made differently


class Part(NamedTuple):
    """A part of a table whose time steps are predicted; earlier time steps may be read.

    Attributes:
        table: all time steps.
        start: first time step of the part; in a separate file, the first one that has a history.
        stop: last + 1.
    """

    table: Table
    start: int
    stop: int


class SeriesBatch(NamedTuple):
    """Windows of a series.

    Attributes:
        history: what is read, scaled, [batch, history, columns].
        future: what follows, scaled, [batch, horizon, targets].
        origins: first time step of `future` in the table, [batch].
    """

    history: Tensor
    future: Tensor
    origins: Tensor

    @property
    def size(self) -> int:
        """How many windows there are."""
        return self.origins.size(0)

    def rows(self, part: slice) -> "SeriesBatch":
        """Some of the windows, see `Batch.rows`."""
        return SeriesBatch(self.history[part], self.future[part], self.origins[part])


class SeriesData(pl.LightningDataModule):
    """One or more series over the same time steps, from CSV files to batches of windows.

    Parts are in chronological order. Scaling is fitted on the training part, whose windows lie wholly within it;
    windows of validation and test may read earlier time steps in the same file. The order of training is a function of
    (seed, epoch); the position in it is kept in checkpoints (`state_dict`).

    Args:
        train: a CSV file, plain or .gz, with a header of names and a row for each time step, oldest first.
        validation: a separate CSV file; or how many time steps to hold out from `train`, a whole number or a share
            below 1: the last ones before those of the test.
        test: a separate CSV file; or how many time steps to hold out from `train`: the last ones.
        columns: names of the columns that are read; null: all but `date`.
        targets: names of the columns that are predicted; null: all that are read, so that forecasts may have any
            length.
        date: name of the column of dates, which are copied to the output; null: there is none.
        history: number of time steps that a prediction is made from.
        horizon: number of time steps that are predicted at once.
        season: seasonal period in time steps, 12 for monthly data; used by the seasonal naive forecast and MASE.
        scaling: standard: mean 0, deviation 1; minmax: from 0 to 1; none. Fitted per column on the training part.
        log: take logarithms of all columns or of those named.
        difference: predict the change over this many time steps, 12 for the change from the same month a year ago;
            several lags are applied one after the other; null: predict the values.
        batch_sentences: windows in a batch.
        seed: decides the order of training.
    """

    def __init__(
        self,
        *,
        train: str | None = None,
        validation: int | float | str | None = None,
        test: int | float | str | None = None,
        columns: list[str] | None = None,
        targets: list[str] | None = None,
        date: str | None = None,
        history: int = 24,
        horizon: int = 1,
        season: int = 1,
        scaling: Literal["standard", "minmax", "none"] = "standard",
        log: bool | list[str] = False,
        difference: int | list[int] | None = None,
        batch_sentences: int = 32,
        seed: int = 1,
    ) -> None:
        super().__init__()
        self.allow_zero_length_dataloader_with_multiple_devices = True
        for name, size in (("history", history), ("horizon", horizon), ("season", season)):
            if size < 1:
                raise ConfigError(f"data.{name} is {size}; it must be at least 1 time step")
        for name, chosen in (("columns", columns), ("targets", targets), ("log", log)):
            names = chosen if isinstance(chosen, list) else []
            if twice := [one for one in names if names.count(one) > 1]:
                raise ConfigError(f"data.{name} names {twice[0]!r} twice; name each column once")
        self.given: dict[Split, int | float | str | None] = {
            "train": train,
            "validation": validation,
            "test": test,
        }
        self.columns, self.targets, self.date = columns, targets, date
        self.history, self.horizon, self.season = history, horizon, season
        self.scale = scaling
        self.log = log
        lags = difference if isinstance(difference, list) else [] if difference is None else [difference]
        self.difference: list[int] = lags
        self.limits = BatchLimits(None, batch_sentences)
        self.limits.check()
        self.seed = seed
        self.parts: dict[Split, Part] = {}
        self.scaling = Scaling(0)
        self._scaled: dict[Split, Tensor] = {}
        self._end = 0  # number of time steps of the training file before its test part
        self._sampler: Sampler | None = None
        self._restored: dict[str, Any] | None = None

    # --- parts ---

    @property
    def needs(self) -> int:
        """How many values a prediction is made from: the history, and the lags of the differences."""
        return self.history + sum(self.difference)

    @property
    def names(self) -> list[str]:
        """The columns that are read."""
        return self.part("train").table.names

    @property
    def target_names(self) -> list[str]:
        """The columns that are predicted."""
        return self.targets or self.names

    @property
    def target_columns(self) -> list[int]:
        """The indices of the predicted columns among those that are read."""
        return [self.names.index(name) for name in self.target_names]

    @property
    def logarithms(self) -> list[str]:
        """The columns whose logarithm is taken."""
        return self.logarithms_of(self.part("train").table)

    def part(self, split: Split) -> Part:
        """A part of the data.

        Raises:
            ConfigError: the configuration names none.
            DataError: it cannot be read, or is too short.
        """
        self._read()
        if split not in self.parts:
            raise ConfigError(
                f"data.{split} names no part: --data.{split} FILE.csv"
                + ("" if split == "train" else ", or how many of the last time steps of data.train")
            )
        return self.parts[split]

    def before(self, split: Split) -> Values:
        """The values of the training file before a part, known when it begins, [time, columns]."""
        train, part = self.part("train"), self.part(split)
        return train.table.values[: part.start if part.table is train.table else self._end]

    def in_sample_error(self, split: Split) -> Values:
        """The scale of a part's MASE for each target, see `s2s.evaluation.forecasts`."""
        return in_sample_error(self.before(split)[:, self.target_columns], self.season)

    def without_mase(self, split: Split) -> list[str]:
        """The targets that have no MASE in a part: their seasons before it are all alike, so it would divide by 0."""
        return [
            name
            for name, scale in zip(self.target_names, self.in_sample_error(split), strict=True)
            if not scale > 0
        ]

    def _read(self) -> None:
        if self.parts or self.given["train"] is None:
            return
        table = self._table(self.given["train"], self.columns)
        for what, chosen in (("targets", self.targets or []), ("log", self.logarithms_of(table))):
            for name in chosen:
                if name not in table.names:
                    raise ConfigError(f"data.{what}: {unknown('column', name, table.names)}")
        stop = len(table)
        parts: dict[Split, Part] = {}
        later: tuple[Split, ...] = ("test", "validation")
        for split in later:
            given = self.given[split]
            if isinstance(given, (int, float)):
                start = stop - _steps(given, len(table), split)
                parts[split] = Part(table, start, stop)
                stop = start
            elif given is not None:
                own = self._table(given, table.names)
                parts[split] = Part(own, max(self.needs, self.season), len(own))
            if split == "test":
                self._end = stop
        parts = {"train": Part(table, self.needs, stop), **parts}
        for split, part in parts.items():
            self._check_length(split, part, table)
            part.table.check_positive(self.logarithms_of(table))
        self.scaling = Scaling(
            len(table.names),
            scale=self.scale,
            log=[name in self.logarithms_of(table) for name in table.names],
            difference=self.difference,
        )
        self.scaling.fit(torch.from_numpy(table.values[:stop]), table.names)
        self.parts = parts
        self._scale_parts()
        for split in later:
            if split in parts:
                self.in_sample_error(split)  # raises its errors before training, not after it

    def _scale_parts(self) -> None:
        # Scaling a value uses only itself and earlier values.
        self._scaled = {}
        for name, part in self.parts.items():
            scaled = self.scaling(torch.from_numpy(part.table.values)).float()
            if not bool(scaled.isfinite().all()):
                row, column = (~scaled.isfinite()).nonzero()[0].tolist()
                time = row + self.scaling.lost
                value = part.table.values[time, column]
                raise DataError(
                    f"{part.table.place(time)}: column {part.table.names[column]!r} holds {value:g}, which is beyond "
                    "float32 after scaling; see whether it is meant, or leave the column out of data.columns"
                )
            self._scaled[name] = scaled

    def use_scaling(self, scaling: Scaling) -> None:
        """Uses a scaling fitted elsewhere on the same columns, instead of the one of the training part.

        Raises:
            ConfigError: see `part`.
            DataError: see `part`.
        """
        self.part("train")
        self.scaling.load_state_dict(scaling.state_dict())
        self._scale_parts()

    def logarithms_of(self, table: Table) -> list[str]:
        """The columns of a table whose logarithm is taken."""
        return self.log if isinstance(self.log, list) else table.names if self.log else []

    def _table(self, path: Any, columns: list[str] | None) -> Table:
        return read_table(locate(str(path)), columns=columns, date=self.date)

    def _check_length(self, split: Split, part: Part, train: Table) -> None:
        if part.stop - part.start >= self.horizon and part.start >= self.needs:
            return
        lags = f" + data.difference {' + '.join(map(str, self.difference))}" if self.difference else ""
        wanted = (
            f"data.history {self.history}{lags} + data.horizon {self.horizon} = {self.needs + self.horizon}"
        )
        if split == "train" or part.table is not train:
            raise DataError(
                f"the {split} part of {part.table.path} has {part.stop} time steps, and a window needs {wanted}; give "
                "more of them, or lower these"
            )
        # What comes before it is enough, or the train part would have been refused.
        raise DataError(
            f"data.{split} {self.given[split]} is {part.stop - part.start} of the {len(train)} time steps of "
            f"{train.path}, but one forecast is of data.horizon {self.horizon}; choose another number"
        )

    # --- windows ---

    def origins(self, split: Split) -> Numbers:
        """The first time step that each window of a part predicts, [windows]."""
        part = self.part(split)
        return np.arange(part.start, part.stop - self.horizon + 1, dtype=np.int64)

    def windows(self, split: Split, origins: Numbers) -> SeriesBatch:
        """Windows of a part."""
        scaled, lost = self._scaled[split], self.scaling.lost
        first = torch.from_numpy(origins).unsqueeze(1) - lost
        history = scaled[first + torch.arange(-self.history, 0)]
        future = scaled[first + torch.arange(self.horizon)][..., self.target_columns]
        return SeriesBatch(history, future, torch.from_numpy(origins))

    def examples(self, batch: SeriesBatch) -> list[Example]:
        """The windows of a training batch: the place of the first time step that each predicts."""
        table = self.part("train").table
        return [Example(table.place(origin), {}) for origin in batch.origins.tolist()]

    # --- what Lightning calls ---

    def prepare_data(self) -> None:
        """Checks that all files can be read; runs in one process per machine."""
        self.part("train")

    def setup(self, stage: str | None = None) -> None:
        """Reads the data, and creates the order of training."""
        needed: dict[str | None, Split] = {"validate": "validation", "test": "test"}
        self.part(needed.get(stage, "train"))
        if stage in (None, "fit"):
            self._sampler = self._make_sampler()
            if self._restored is not None:
                self._sampler.load_state_dict(self._restored)
                self._restored = None

    def _make_sampler(self) -> Sampler:
        windows = len(self.origins("train"))
        train = self.part("train")
        about = [
            _FORMAT,
            hashlib.sha256(train.table.values[: train.stop].tobytes()).hexdigest(),
            *(self.names, self.target_names, self.history, self.horizon, self.limits.sentences),
            *(self.scale, self.logarithms, self.difference),
        ]
        return Sampler(
            np.full(windows, self.history, np.int64),
            np.full(windows, self.horizon, np.int64),
            self.limits,
            seed=self.seed,
            fingerprint=hashlib.sha256(json.dumps(about).encode()).hexdigest(),
            rank=self.trainer.global_rank if self.trainer is not None else 0,
            ranks=self.trainer.world_size if self.trainer is not None else 1,
        )

    @property
    def sampler(self) -> Sampler:
        """The order of training and the place in it."""
        if self._sampler is None:
            raise DataError(
                "the data module is not set up for training; call prepare_data() and setup('fit')"
            )
        return self._sampler

    @property
    def moved_to(self) -> int | None:
        """See `Place.moved_to`."""
        return self._sampler.moved_to if self._sampler is not None else None

    def batches_per_epoch(self) -> int:
        """Training batches of this process in an epoch."""
        return len(self.sampler.dealt(self.sampler.batches(0)))

    def batch_done(self) -> None:
        """Counts a training batch as consumed; to be called before a checkpoint that includes it is made."""
        self.sampler.batch_done()

    def train_dataloader(self) -> PairLoader[SeriesBatch]:
        """The batches of the trainer's current epoch from the saved position on."""
        epoch = self.trainer.current_epoch if self.trainer is not None else self.sampler.epoch
        start = self.sampler.start(epoch)
        batches = self.sampler.batches(epoch)
        origins = self.origins("train")
        mine = [origins[batches.pairs(int(batch))] for batch in self.sampler.dealt(batches)]
        return PairLoader(SeriesWindows(self, "train", mine), start=start)

    def val_dataloader(self) -> PairLoader[SeriesBatch] | list[PairLoader[SeriesBatch]]:
        """The windows of the validation part in the order of time; nothing if there is none."""
        return self._evaluated("validation") if self.given["validation"] is not None else []

    def test_dataloader(self) -> PairLoader[SeriesBatch]:
        """The windows of the test part in the order of time."""
        return self._evaluated("test")

    def _evaluated(self, split: Split) -> PairLoader[SeriesBatch]:
        origins = self.origins(split)
        if self.trainer is not None:
            origins = origins[self.trainer.global_rank :: self.trainer.world_size]
        size = self.limits.sentences or 1
        batches = [origins[start : start + size] for start in range(0, len(origins), size)]
        return PairLoader(SeriesWindows(self, split, batches))

    def state_dict(self) -> dict[str, Any]:
        """The sampler's state, for the checkpoint."""
        return self._sampler.state_dict() if self._sampler is not None else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the position in the order of training from a checkpoint.

        Raises:
            DataError: the checkpoint was made with other data, options or seed.
        """
        training = self.trainer is None or self.trainer.state.fn == TrainerFn.FITTING
        if not state_dict or not training:
            return
        if self._sampler is None:
            self._restored = state_dict
        else:
            self._sampler.load_state_dict(state_dict)

    def described(self) -> dict[str, Any]:
        """Facts about the training data for the bundle, whose reader takes `date` and `season` from them."""
        train = self.part("train")
        return {
            "train": [Path(train.table.path).name],
            "time_steps": train.stop,
            "season": self.season,
            **({"date": self.date} if self.date is not None else {}),
        }


class SeriesWindows(Dataset[SeriesBatch]):
    """The batches of this process, item i being batch number i.

    Args:
        data: makes windows.
        split: the part.
        batches: origins of each batch.
    """

    def __init__(self, data: SeriesData, split: Split, batches: list[Numbers]) -> None:
        self.data = data
        self.split = split
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> SeriesBatch:
        return self.data.windows(self.split, self.batches[index])


def _steps(given: int | float, total: int, split: str) -> int:
    """The number of time steps that are given as a number or as a share."""
    steps = given if isinstance(given, int) else math.floor(given * total) if given < 1 else -1
    if not 0 < steps < total:
        raise ConfigError(
            f"data.{split} is {given}, of {total} time steps; give a whole number of them, or a share between 0 and 1"
        )
    return steps
