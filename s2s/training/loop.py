"""Lightning's training loop, made to stop, validate and resume at the ends of optimizer steps alone.

Lightning ends a training that was told to stop, and validates, after any batch, though the gradients of half an
accumulated step are in no checkpoint. And a validation that was due when a checkpoint was written is never run when
training goes on from there, so that early stopping and the best checkpoint miss it.
"""

from typing import Any

from pytorch_lightning import Trainer
from pytorch_lightning.loops.fit_loop import _FitLoop
from pytorch_lightning.loops.training_epoch_loop import _TrainingEpochLoop

_DUE = "validation_due"


class EpochLoop(_TrainingEpochLoop):
    """Waits for the end of an accumulated step before it validates, or ends because `should_stop` was set."""

    _due_in_step = False

    @property
    def done(self) -> bool:
        """Whether to leave the epoch."""
        return not self._should_accumulate() and bool(super().done)

    def _should_check_val_fx(self, data_fetcher: Any) -> bool:
        due = bool(super()._should_check_val_fx(data_fetcher))
        if self._should_accumulate():
            self._due_in_step = self._due_in_step or due
            return False
        return due or self._due_in_step

    def on_advance_end(self, data_fetcher: Any) -> None:
        """Validate if it is due."""
        super().on_advance_end(data_fetcher)
        if not self._should_accumulate():
            self._due_in_step = False

    def validation_follows(self, data_fetcher: Any) -> bool:
        """Whether the batch whose end this is will be validated after: what a checkpoint must know."""
        batches: Any = self.batch_progress.current
        # Lightning counts a batch as completed when the callbacks of its end have run.
        at_its_end = self.trainer.training and batches.processed > batches.completed
        return at_its_end and data_fetcher is not None and self._should_check_val_fx(data_fetcher)


class FitLoop(_FitLoop):
    """Begins with the validation that was due when the checkpoint was written from which training goes on."""

    epoch_loop: EpochLoop
    _validation_due = False

    def on_save_checkpoint(self) -> dict[str, Any]:
        """Tell whether a validation comes next."""
        return {**super().on_save_checkpoint(), _DUE: self.epoch_loop.validation_follows(self._data_fetcher)}

    def on_load_checkpoint(self, state_dict: dict[str, Any]) -> None:
        """The counterpart."""
        super().on_load_checkpoint(state_dict)
        self._validation_due = state_dict.get(_DUE, False)

    def run(self) -> None:
        """Make up for the validation, and train.

        Before anything else: the counts are still those of the step that is validated, and where nothing is left to
        train, the last validation is made up too.
        """
        if self._validation_due and self.trainer.enable_validation:
            validation = self.epoch_loop.val_loop
            validation.restarting = False  # from its first batch
            self.trainer.validating = True
            validation.run()
            self.trainer.training = True
        self._validation_due = False
        super().run()


def stop_and_validate_between_steps(trainer: Trainer) -> None:
    """Give a new trainer these loops instead of Lightning's."""
    old = trainer.fit_loop
    loop = FitLoop(trainer, min_epochs=old.min_epochs, max_epochs=old.max_epochs)
    loop.epoch_loop = EpochLoop(trainer, min_steps=old.min_steps, max_steps=old.max_steps)
    trainer.fit_loop = loop
