"""Lightning's training loop, changed to stop, validate and resume only at the end of optimizer steps.

Lightning stops and validates after any batch, although no checkpoint holds the gradients of a half-accumulated step.
At its limit of steps or epochs it does not validate unless the interval happens to end there, so that the best
checkpoint misses the steps since the last validation. And a validation that was due when a checkpoint was written is
never run when training resumes from it, so that early stopping and the best checkpoint miss it.

With several ranks, one that has no batch of a validation skips it, while the others wait for it.

Lightning also handles the signals by which clusters end jobs: on SIGTERM it exits at the end of the batch, without
saving, on all ranks or only one; on SIGUSR1, under SLURM, it saves at once, in the middle of a step.
"""

from functools import partial
from typing import Any

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.loops.evaluation_loop import _EvaluationLoop
from pytorch_lightning.loops.fit_loop import _FitLoop
from pytorch_lightning.loops.training_epoch_loop import _TrainingEpochLoop
from pytorch_lightning.trainer.connectors.signal_connector import _SignalConnector
from pytorch_lightning.trainer.states import RunningStage, TrainerFn

_DUE = "validation_due"


class EvaluationLoop(_EvaluationLoop):
    """Runs on all ranks or none: a rank without a batch still takes part in reducing the scores."""

    @property
    def skip(self) -> bool:
        """Whether no rank has a batch."""
        mine = torch.tensor(float(sum(self.max_batches)), device=self.trainer.strategy.root_device)
        return not self.trainer.strategy.reduce(mine, reduce_op="max")


class ValidationLoop(EvaluationLoop):
    """Counts only the batches that it has actually run."""

    def __init__(self, trainer: Trainer) -> None:
        super().__init__(
            trainer, TrainerFn.FITTING, RunningStage.VALIDATING, verbose=False, inference_mode=False
        )

    def increment_progress_to_evaluation_end(self) -> None:
        """Do nothing: Lightning would count a missed validation here, but it has already been rerun and counted."""


class EpochLoop(_TrainingEpochLoop):
    """Waits for the end of an accumulated step before it validates, or ends because `should_stop` was set.

    It always validates where training ends, by a limit or because `should_stop` was set, whatever the validation
    interval.
    """

    _due_in_step = False

    def __init__(self, trainer: Trainer, min_steps: int | None, max_steps: int) -> None:
        super().__init__(trainer, min_steps=min_steps, max_steps=max_steps)
        self.val_loop = ValidationLoop(trainer)

    @property
    def done(self) -> bool:
        """Whether to leave the epoch."""
        return not self._should_accumulate() and bool(super().done)

    @property
    def _stops(self) -> bool:
        """Whether training ends here, possibly inside an epoch."""
        loop = self.trainer.fit_loop
        out_of_steps = self.max_steps != -1 and self.global_step >= self.max_steps
        epochs = loop.epoch_progress.current.processed + 1  # this one counted
        out_of_epochs = self.batch_progress.is_last_batch and 0 < (loop.max_epochs or -1) <= epochs
        return out_of_steps or out_of_epochs or bool(self.trainer.should_stop and loop._can_stop_early)

    def _should_check_val_fx(self, data_fetcher: Any) -> bool:
        at_the_end = self._stops and self.trainer.enable_validation
        due = bool(super()._should_check_val_fx(data_fetcher)) or at_the_end
        if self._should_accumulate():
            self._due_in_step = self._due_in_step or due
            return False
        return due or self._due_in_step

    def reset(self) -> None:
        """Number the rows of loggers by the optimizer steps that are done when a run is resumed.

        Checkpoints are written before Lightning counts their step for loggers, and it makes up for that only if the
        batch had not ended, or a validation is due there again: not if it was validated because training ended there.
        """
        super().reset()
        if self.restarting:
            self._batches_that_stepped = self.global_step

    def on_advance_end(self, data_fetcher: Any) -> None:
        """Validate if it is due."""
        super().on_advance_end(data_fetcher)
        if self.restarting:  # counted by `reset` if there was no batch: a validation was skipped
            self._batches_that_stepped = self.global_step
        if not self._should_accumulate():
            self._due_in_step = False

    def go_to(self, batches: int) -> None:
        """Set how many batches of the epoch are done: it differs after resuming with another number of ranks."""
        counts = self.batch_progress.current
        moved = batches - counts.ready
        for name in ("ready", "started", "processed", "completed"):
            setattr(counts, name, getattr(counts, name) + moved)

    def validation_follows(self, data_fetcher: Any) -> bool:
        """Whether a validation follows the batch that ends here; checkpoints save this."""
        batches: Any = self.batch_progress.current
        # Lightning counts a batch as completed when the callbacks of its end have run.
        at_its_end = self.trainer.training and batches.processed > batches.completed
        return at_its_end and data_fetcher is not None and self._should_check_val_fx(data_fetcher)


class FitLoop(_FitLoop):
    """Begins a resumed run with the validation that was due when its checkpoint was written."""

    epoch_loop: EpochLoop
    _validation_due = False

    def on_save_checkpoint(self) -> dict[str, Any]:
        """Save whether a validation comes next."""
        return {**super().on_save_checkpoint(), _DUE: self.validation_follows}

    def on_load_checkpoint(self, state_dict: dict[str, Any]) -> None:
        """The counterpart."""
        super().on_load_checkpoint(state_dict)
        self._validation_due = state_dict.get(_DUE, False)

    def reset(self) -> None:
        """Begin the next epoch if the checkpoint was written after the last batch of one.

        Lightning counts that epoch as done, but continues it instead of beginning the next, so that its epoch count,
        by which the next resume finds its position, lags behind.
        """
        super().reset()
        epochs: Any = self.epoch_progress.current
        if self.restarted_mid_epoch and epochs.processed == epochs.ready:
            self.reset_restart_stage()

    @property
    def validation_follows(self) -> bool:
        """Whether a validation follows the batch that ends here."""
        return self.epoch_loop.validation_follows(self._data_fetcher)

    def run(self) -> None:
        """Run the missed validation, then train.

        It comes first because the counts are still those of the validated step, and so that it is also run where
        nothing is left to train.
        """
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        moved_to = getattr(data, "moved_to", None)
        if self.restarting and moved_to is not None:
            self.epoch_loop.go_to(moved_to)
        if self._validation_due and self.trainer.enable_validation:
            validation = self.epoch_loop.val_loop
            validation.restarting = False  # from its first batch
            self.trainer.validating = True
            validation.run()
            self.trainer.training = True
        self._validation_due = False
        super().run()


class NoSignals(_SignalConnector):
    """Handles no signals: `BestAndLast` does, and saves and stops at the end of a step."""

    def register_signal_handlers(self) -> None:
        """None."""

    def teardown(self) -> None:
        """Nothing to put back."""


def stop_and_validate_between_steps(trainer: Trainer) -> None:
    """Give a new trainer these loops instead of Lightning's, and leave signals alone."""
    old = trainer.fit_loop
    loop = FitLoop(trainer, min_epochs=old.min_epochs, max_epochs=old.max_epochs)
    loop.epoch_loop = EpochLoop(trainer, old.min_steps, old.max_steps)
    trainer.fit_loop = loop
    evaluating = partial(EvaluationLoop, trainer, inference_mode=trainer.test_loop.inference_mode)
    trainer.validate_loop = evaluating(TrainerFn.VALIDATING, RunningStage.VALIDATING)
    trainer.test_loop = evaluating(TrainerFn.TESTING, RunningStage.TESTING)
    trainer._signal_connector = NoSignals(trainer)
