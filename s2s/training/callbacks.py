"""Training callbacks: progress, checkpoints, early stopping, averaged weights, the bundle at the end."""

import math
import os
import signal
import sys
import threading
import time
import warnings
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint, EarlyStopping, ProgressBar, WeightAveraging
from pytorch_lightning.callbacks.early_stopping import EarlyStoppingReason
from pytorch_lightning.plugins.io import TorchCheckpointIO
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from torch import Tensor

from s2s.durable import durable_file, make_folder
from s2s.errors import ENDING, BundleError, Terminated
from s2s.inference.bundle import SHORTLIST
from s2s.inference.bundle_config import read_config
from s2s.inference.checkpoint import read_checkpoint
from s2s.inference.model_bundle import has_weights, stored_weights

LINE_SECONDS = 30.0
"""Interval of progress lines where there is no terminal to show a bar."""

DUE_STEPS = 20
DUE_SECONDS = 1.0
"""How often several ranks check, at least once in DUE_STEPS, whether a checkpoint is due or a signal arrived."""

SIGNALS = [signal.SIGINT, *ENDING]
"""Ctrl-C, and the signals that end a job."""


class DurableCheckpoints(TorchCheckpointIO):
    """Writes checkpoints atomically: a crash leaves the previous one intact."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write `checkpoint` at `path`.

        Raises:
            WriteError: it cannot be written; the existing one is unchanged.
        """
        make_folder(Path(path).parent)
        with durable_file(path) as file:
            torch.save(checkpoint, file)


class DeferredSignals:
    """Defers SIGNALS until the current work is done; a Ctrl-C after one of them acts at once.

    Works in the main thread only, where Python handles signals; elsewhere it does nothing.

    Attributes:
        asked: The signal that came first since `hold`; 0: none.
    """

    def __init__(self) -> None:
        self.asked = 0
        self._before: dict[int, Any] = {}
        self._process = 0

    def hold(self) -> None:
        """From now on signals only set `asked`, except ignored ones, such as Ctrl-C in a script's background jobs."""
        if self._process or threading.current_thread() is not threading.main_thread():
            return
        self.asked = 0
        self._process = os.getpid()
        self._before = {
            number: signal.signal(number, self._heard)
            for number in SIGNALS
            if signal.getsignal(number) is not signal.SIG_IGN
        }

    def release(self) -> None:
        """Restore the previous signal handlers."""
        if self._process == os.getpid():
            self._process = 0
            for number, before in self._before.items():
                if before is None:  # it was not handled by Python, which cannot restore such a handler
                    before = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
                signal.signal(number, before)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            return  # a forked worker: its parent ends it, and may need one more batch from it
        if self.asked:
            if number == signal.SIGINT:
                self.release()
                raise KeyboardInterrupt
            return  # clusters send more than one, and what is being saved must not be disturbed
        self.asked = number
        name = f"{signal.Signals(number).name}: " if number != signal.SIGINT else ""
        told = f"\n{name}stopping after this batch or validation; Ctrl-C now stops at once, without saving\n"
        with suppress(OSError):  # the terminal was closed
            os.write(2, told.encode())  # not print: the signal may have interrupted one


class BestAndLast(Checkpoint):
    """Saves `best.ckpt`, chosen by the module's monitored metric (ties: the lower loss), and `last.ckpt`.

    Both are written after a validation; `last.ckpt` also before it, after the last batch of an epoch, after the last
    step of training, and every `last_every_minutes`. Neither is ever written between the batches of one accumulated
    step, because checkpoints do not hold gradients. (Where training validates and ends is decided in loop.py.)

    Ctrl-C and the signals of `ENDING` wait for the end of such a step, where `last.ckpt` is written before training
    stops: a checkpoint of half a step, or half a checkpoint, could not be resumed. In a validation they wait for the
    current batch only. Ranks receive signals at different times, or only one of them does, so rank 0 decides for all,
    at batches that all ranks have: each of a validation, the last of an epoch, else once in DUE_SECONDS or DUE_STEPS.

    Args:
        folder: where checkpoints are saved.
        last_every_minutes: maximum time between saves, and so the most work that a crash can lose.
    """

    def __init__(self, folder: Path, last_every_minutes: float = 10.0) -> None:
        self.folder = folder
        self.last_every_seconds = 60 * last_every_minutes
        self.best_model_score: float | None = None
        self._best_loss = math.inf
        self._written = self._asked_at = time.monotonic()
        self._saved_step = -1
        self._asked_step = 0
        self._next_step = 0
        self._shared_batches = 0
        self._signals = DeferredSignals()

    @property
    def best(self) -> Path:
        """Path of the best checkpoint, which need not exist."""
        return self.folder / "best.ckpt"

    @property
    def last(self) -> Path:
        """Path of the last checkpoint, which need not exist."""
        return self.folder / "last.ckpt"

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Reset the counters."""
        self._saved_step = -1
        self._next_step = 0

    def on_load_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Note whether it is our `last.ckpt`: then signals need not wait for the validation that may come first."""
        if self.last.is_file() and self.last.samefile(trainer.ckpt_path):
            self._saved_step = checkpoint["global_step"]

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Defer signals, before loaders fork their workers, which inherit the handlers."""
        if not self.best.is_file():  # the run that was here was deleted to make room
            self.best_model_score = None
        if not trainer.fast_dev_run:
            self._signals.hold()

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Stop deferring signals."""
        self._signals.release()

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Stop deferring signals also in a run with nothing left to train, which never reaches `on_train_end`."""
        self._signals.release()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Stop deferring signals."""
        self._signals.release()

    def _stop(self, trainer: Any, pl_module: Any, asked: int) -> None:
        pl_module.say(f"stopped; saved at epoch {trainer.current_epoch + 1}, step {trainer.global_step}")
        if asked == signal.SIGINT:
            raise KeyboardInterrupt
        raise Terminated(asked)

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write `last.ckpt` when it is due, before a validation, and after the last batch of an epoch or of training.

        This is done here and not at the end of training: by then Lightning has closed the epoch, and a run resumed
        with more steps would miss the rest of it.
        """
        if not trainer.is_last_batch and (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        stopping = trainer.should_stop or trainer.global_step == trainer.max_steps
        asked, due = 0, False
        # All ranks must save and stop together; rank 0 decides, rarely, because the broadcast costs time.
        if trainer.world_size == 1 or trainer.is_last_batch or trainer.global_step >= self._next_step:
            now = time.monotonic()
            due = now - self._written >= self.last_every_seconds
            steps = trainer.global_step - self._asked_step
            wait = min(DUE_STEPS, int(DUE_SECONDS * steps / max(1e-9, now - self._asked_at)))
            mine = (self._signals.asked, due, trainer.global_step + max(1, wait))
            asked, due, self._next_step = trainer.strategy.broadcast(mine)
            self._asked_step, self._asked_at = trainer.global_step, now
        if asked or stopping or trainer.is_last_batch or due or trainer.fit_loop.validation_follows:
            self.save_last(trainer)
        if asked:
            self._stop(trainer, pl_module, asked)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Write `best.ckpt` if the monitored metric is the best so far, and `last.ckpt`."""
        if trainer.sanity_checking or trainer.fast_dev_run or trainer.state.fn != "fit":
            return
        value = trainer.callback_metrics.get(pl_module.monitor)
        if value is None:
            known = ", ".join(sorted(name for name in trainer.callback_metrics if name.startswith("val")))
            warnings.warn(
                f"no best checkpoint: {pl_module.monitor!r} was not logged; logged are: {known}", stacklevel=2
            )
        elif self._better(float(value), pl_module.higher_is_better, loss := self._loss(trainer)):
            self.best_model_score, self._best_loss = float(value), loss
            trainer.save_checkpoint(self.best, weights_only=False)
        self.save_last(trainer)
        if asked := trainer.strategy.broadcast(self._signals.asked):
            self._stop(trainer, pl_module, asked)

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        """Find the number of validation batches that all ranks have."""
        self._shared_batches = sum(int(batches) for batches in trainer.num_val_batches)
        if trainer.world_size > 1:
            mine = torch.tensor(self._shared_batches, device=trainer.strategy.root_device)
            self._shared_batches = int(trainer.strategy.reduce(mine, reduce_op="min"))

    def on_validation_batch_end(
        self,
        trainer: Any,
        pl_module: Any,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Stop on a signal without finishing the validation: `last.ckpt` already holds the step being validated."""
        if self._saved_step != trainer.global_step or batch_idx >= self._shared_batches:
            return
        if asked := trainer.strategy.broadcast(self._signals.asked):
            self._stop(trainer, pl_module, asked)

    def save_last(self, trainer: Any) -> None:
        """Write `last.ckpt` now."""
        if trainer.fast_dev_run:
            return
        trainer.save_checkpoint(self.last, weights_only=False)
        self._written = time.monotonic()
        self._saved_step = trainer.global_step

    def _better(self, value: float, higher_is_better: bool, loss: float) -> bool:
        if value != value:
            return False
        if self.best_model_score is None:
            return True
        if value == self.best_model_score:  # BLEU may stay 0 for the first epochs, in which much is learnt
            return loss < self._best_loss
        return (value > self.best_model_score) == higher_is_better

    @staticmethod
    def _loss(trainer: Any) -> float:
        return float(trainer.callback_metrics.get("val_loss", math.inf))

    def state_dict(self) -> dict[str, Any]:
        """The best score so far, and its validation loss."""
        return {"best_model_score": self.best_model_score, "loss": self._best_loss}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The best score so far, if its checkpoint is here: a run may be resumed in another folder."""
        self.best_model_score = state_dict["best_model_score"] if self.best.is_file() else None
        self._best_loss = state_dict.get("loss", -math.inf)  # missing in old checkpoints


class CountBatches(pl.Callback):
    """Tells data and module that a batch is done, before a checkpoint is written (checkpoint callbacks run last)."""

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the batch."""
        trainer.datamodule.batch_done()
        pl_module.log_pace()


class StopEarly(EarlyStopping):
    """Stops when the monitored metric has not improved for some validations.

    The waiting count, and whether it has stopped, are saved: a stopped run trains on only with more patience.

    Args:
        monitor: the metric.
        patience: validations without improvement.
        higher_is_better: direction of improvement.
    """

    def __init__(self, monitor: str, patience: int, *, higher_is_better: bool) -> None:
        super().__init__(
            monitor,
            patience=patience,
            mode="max" if higher_is_better else "min",
            strict=False,
            check_on_train_epoch_end=False,
        )
        self.stopped = False

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {**super().state_dict(), "stopped": self.stopped}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """From the checkpoint; the patience is the one configured now."""
        super().load_state_dict({**state_dict, "patience": self.patience})
        more = (
            self.stopping_reason == EarlyStoppingReason.PATIENCE_EXHAUSTED and self.wait_count < self.patience
        )
        self.stopped = state_dict.get("stopped", False) and not more

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Stop again if the resumed run had stopped: it may have been killed before it ended."""
        if self.stopped:
            trainer.should_stop = True
            self._say(trainer, pl_module)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Stop when patience is exhausted, and say so."""
        stopping = trainer.should_stop
        super().on_validation_end(trainer, pl_module)
        if stopping or not trainer.should_stop:
            return
        self.stopped = True
        self._say(trainer, pl_module)

    def _say(self, trainer: Any, pl_module: Any) -> None:
        if self.wait_count >= self.patience:
            why = f"{self.monitor} did not improve in {self.patience} validations (model.patience)"
        else:
            why = f"{self.monitor} is {float(trainer.callback_metrics.get(self.monitor, math.nan))}"
        pl_module.say(f"stopped: {why}")


class AverageWeights(WeightAveraging):
    """A moving average of the weights, used in validation, in checkpoints and in the bundle.

    The first steps count as in TensorFlow's ExponentialMovingAverage: with n steps averaged so far, the average keeps
    min(decay, (1 + n) / (10 + n)) of itself. Otherwise the initial weights would stay in it for several times
    1 / (1 - decay) steps, which is more than a small training run has. Buffers, such as an annealed temperature, are
    not averaged but copied. Skipped steps are not counted.

    Args:
        decay: largest share of the average that each step keeps.
    """

    def __init__(self, decay: float) -> None:
        def average(averages: list[Tensor], weights: list[Tensor], steps: Tensor) -> None:
            # `steps` stays a tensor: reading its value at every step, as torch does, makes an accelerator wait.
            kept = ((1 + steps) / (10 + steps)).clamp(max=decay)
            torch._foreach_mul_(averages, kept)
            torch._foreach_add_(averages, torch._foreach_mul(weights, 1 - kept))

        super().__init__(use_buffers=False, multi_avg_fn=average)

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """As in Lightning, without its warning about sharded models, which does not apply."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*overrides the configure_model.*")
            super().setup(trainer, pl_module, stage)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *arguments: Any) -> None:
        """Update the average after a step, but not after a skipped one, as Lightning would."""
        if getattr(pl_module, "skipped", False):  # of a `TaskModule`
            self._latest_update_step = trainer.global_step
        super().on_train_batch_end(trainer, pl_module, *arguments)


class BundleWriter(pl.Callback):
    """Writes the best checkpoint as a bundle when training ends, at its limit or by early stopping.

    Args:
        folder: the bundle.
        checkpoints: where the best checkpoint is; without validation, the last one is used.
    """

    def __init__(self, folder: Path, checkpoints: BestAndLast) -> None:
        self.folder = folder
        self.checkpoints = checkpoints

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """Load the chosen checkpoint, with its scores, and write the bundle.

        Raises:
            BundleError: the checkpoint is damaged, or of another run.
        """
        if trainer.fast_dev_run or not trainer.is_global_zero:
            return
        path = self.checkpoints.best if self.checkpoints.best.is_file() else self.checkpoints.last
        if path.is_file():
            checkpoint = read_checkpoint(path)
            try:
                pl_module.load_state_dict(checkpoint["state_dict"])
                pl_module.load_scores(checkpoint)
            except (RuntimeError, KeyError) as error:
                reason = " ".join(str(error).split())
                raise BundleError(
                    f"no bundle is written: {path} does not fit this run: {reason[:500]}; use another checkpoint: "
                    f"s2s convert {path.parent.parent} BUNDLE --checkpoint last"
                ) from error
            epoch, step = checkpoint["epoch"] + 1, checkpoint["global_step"]
        else:
            # the epoch is over, so that the trainer counts it
            epoch, step = trainer.current_epoch, trainer.global_step
        scores = "".join(f", {score.figure}" for score in pl_module.scores)
        if self._is_there(pl_module, step):
            print(f"bundle: {self.folder} (epoch {epoch}{scores}), unchanged")
            return
        before = self._config()
        pl_module.save_bundle(self.folder, epoch=epoch, step=step)
        print(f"bundle: {self.folder} (epoch {epoch}{scores})")
        for line in self._lost(before):
            print(line)

    def _is_there(self, pl_module: Any, step: int) -> bool:
        """Whether the bundle already holds these weights: then it is kept, with all that users have added to it."""
        same_step = self._config().get("training", {}).get("step") == step
        return same_step and has_weights(self.folder, stored_weights(pl_module.model))

    def _config(self) -> dict[str, Any]:
        """The configuration of the existing bundle; empty if there is no valid one."""
        try:
            return read_config(self.folder)
        except BundleError:
            return {}

    def _lost(self, before: dict[str, Any]) -> list[str]:
        """Notes on what users had added to the replaced bundle, and how to add it again."""
        lines = []
        if SHORTLIST in before.get("sha256", {}):
            lines.append("the replaced bundle had a shortlist; to learn it again: s2s shortlist")
        cards = [config.get("card", {}) for config in (before, self._config())]
        if any(
            cards[0].get(name) not in (None, "", cards[1].get(name)) for name in ("licence", "intended_use")
        ):
            lines.append(
                "the replaced bundle stated a licence or an intended use; to state it again: s2s convert"
            )
        return lines


class Progress(ProgressBar):
    """One progress bar for the whole training on a terminal, otherwise a line at intervals.

    Shows epoch, loss and perplexity per token, the speed in units per second (`TaskModule.unit`), and the time left.
    """

    def __init__(self) -> None:
        super().__init__()
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._began = self._spoke = time.monotonic()
        self._first_step = 0

    def disable(self) -> None:
        """Lightning calls it on all ranks but the first."""
        self._enabled = False

    def enable(self) -> None:
        """Enable it again."""
        self._enabled = True

    _enabled = True

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin."""
        self._began = self._spoke = time.monotonic()
        self._first_step = trainer.fit_loop.total_batch_idx + 1
        if not self._enabled or not sys.stderr.isatty():
            return
        self._bar = Bar(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._bar.start()
        self._task = self._bar.add_task(
            "train", total=self._total(trainer), completed=self._first_step, epoch="", figures=""
        )

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Update the bar, or print a line when one is due."""
        if not self._enabled:
            return
        done = trainer.fit_loop.total_batch_idx + 1
        if self._bar is not None and self._task is not None:
            self._bar.update(
                self._task, completed=done, epoch=trainer.current_epoch + 1, figures=self._figures(pl_module)
            )
        elif time.monotonic() - self._spoke >= LINE_SECONDS:
            self._spoke = time.monotonic()
            total = self._total(trainer)
            left = ""
            if total:
                seconds = (self._spoke - self._began) / max(1, done - self._first_step) * (total - done)
                left = f", {clock(seconds)} left"
            batches = f"batch {done}/{total}" if total else f"batch {done}"
            self.print(f"epoch {trainer.current_epoch + 1}, {batches}, {self._figures(pl_module)}{left}")

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """End."""
        self._close()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """End."""
        self._close()

    def print(self, *args: Any, **kwargs: Any) -> None:
        """Print without disturbing the bar."""
        if self._bar is not None:
            self._bar.console.print(*args, markup=False, highlight=False)
        else:
            print(*args, file=sys.stderr, flush=True)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    @staticmethod
    def _figures(pl_module: Any) -> str:
        measured = pl_module.pace.latest
        if measured.loss != measured.loss:
            return "loss ..."
        perplexity = (
            f"perplexity {torch.tensor(measured.loss).exp().item():.1f}, " if pl_module.likelihood else ""
        )
        return f"loss {measured.loss:.3f}, {perplexity}{measured.tokens_per_second:,.0f} {pl_module.unit}/s"

    @staticmethod
    def _total(trainer: Any) -> int | None:
        steps = trainer.max_steps * trainer.accumulate_grad_batches if trainer.max_steps > 0 else None
        if trainer.max_epochs is None or trainer.max_epochs < 0:
            return steps
        epochs = int(trainer.max_epochs * trainer.num_training_batches)
        return epochs if steps is None else min(steps, epochs)


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss or m:ss."""
    minutes, rest = divmod(int(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
