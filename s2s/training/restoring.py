"""Restores checkpoints with Lightning, with one-line errors where a checkpoint does not fit the run."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pytorch_lightning import Trainer
from pytorch_lightning.trainer.connectors.checkpoint_connector import _CheckpointConnector

from s2s.errors import ConfigError, S2SError

_SIZES = re.compile(
    r"size mismatch for (\S+): copying a param with shape torch\.Size\((\[.*?\])\) from checkpoint, "
    r"the shape in current model is torch\.Size\((\[.*?\])\)"
)
_NAMES = re.compile(r'(Missing|Unexpected) key\(s\) in state_dict: "([^"]+)"')


class Restoring(_CheckpointConnector):
    """Raises a ConfigError for whatever fails while states are taken from a checkpoint."""

    def _restore_modules_and_callbacks(self, checkpoint_path: Any = None, *args: Any, **kwargs: Any) -> None:
        self._path = checkpoint_path
        with self._told():
            super()._restore_modules_and_callbacks(checkpoint_path, *args, **kwargs)

    def restore_training_state(self) -> None:
        """Restore loops, optimizers and schedules."""
        with self._told():
            super().restore_training_state()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if self._path is None or isinstance(error, S2SError):
                raise
            if (difference := _of_another_model(str(error))) is not None:
                raise ConfigError(
                    f"{self._path} has the weights of another model: {difference}; set the model options back to "
                    "their old values, or start a new run from its bundle: --model.start_from BUNDLE"
                ) from error
            reason = " ".join(str(error).split())
            raise ConfigError(
                f"{self._path} does not fit this run: {type(error).__name__}: {reason[:500]}; resume from a "
                "checkpoint of this run (--ckpt_path last), or start a new run from a bundle: --model.start_from BUNDLE"
            ) from error


def _of_another_model(message: str) -> str | None:
    """The first difference that torch reports between the weights of a checkpoint and of the model."""
    if found := _SIZES.search(message):
        return f"{found[1]} is {found[2]} in the checkpoint and {found[3]} in the model"
    if found := _NAMES.search(message):
        return f"{found[2]} is {'only in the model' if found[1] == 'Missing' else 'only in the checkpoint'}"
    return None


def tell_what_does_not_fit(trainer: Trainer) -> None:
    """Give a new trainer this connector instead of Lightning's."""
    trainer._checkpoint_connector = Restoring(trainer)
