"""Lightning's way back from a checkpoint, told in one line where a checkpoint does not fit the run."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pytorch_lightning import Trainer
from pytorch_lightning.trainer.connectors.checkpoint_connector import _CheckpointConnector

from s2s.errors import ConfigError, S2SError


class Restoring(_CheckpointConnector):
    """Raises a ConfigError for whatever fails while states are taken from a checkpoint."""

    def _restore_modules_and_callbacks(self, checkpoint_path: Any = None, *args: Any, **kwargs: Any) -> None:
        self._path = checkpoint_path
        with self._told():
            super()._restore_modules_and_callbacks(checkpoint_path, *args, **kwargs)

    def restore_training_state(self) -> None:
        """Take back loops, optimizers and schedules."""
        with self._told():
            super().restore_training_state()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if self._path is None or isinstance(error, S2SError):
                raise
            reason = " ".join(str(error).split())
            raise ConfigError(
                f"{self._path} does not fit this run: {type(error).__name__}: {reason[:500]}; go on with a checkpoint "
                "of this run (--ckpt_path last), or begin a new one with what it learnt: --model.start_from BUNDLE"
            ) from error


def tell_what_does_not_fit(trainer: Trainer) -> None:
    """Give a new trainer this connector instead of Lightning's."""
    trainer._checkpoint_connector = Restoring(trainer)
