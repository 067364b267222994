"""A task in miniature for tests of the command line: real first-party cells and encoders, made-up data."""

from collections.abc import Callable
from pathlib import Path

import torch
from pytorch_lightning import Callback, LightningDataModule, LightningModule
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from s2s.nn.encoder import SequenceEncoder
from s2s.training.task import Task
from s2s_plugins.cells.gru import GRU

WIDTH = 3


class NoCell(nn.Module):
    """A module that is no recurrent cell."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()


class WantsMore(GRU):
    """A cell whose constructor wants more than sizes."""

    def __init__(self, input_size: int, hidden_size: int, alpha) -> None:  # type: ignore[no-untyped-def]
        super().__init__(input_size, hidden_size)


class WantsTwo(GRU):
    """A cell with two options that must be given."""

    def __init__(self, input_size: int, hidden_size: int, *, alpha: float, beta: int) -> None:
        super().__init__(input_size, hidden_size)


class MiniModule(LightningModule):
    """Reads a sequence and predicts its mean.

    Args:
        encoder: What reads the sequence.
        second_encoder: Another one, if wanted.
        learning_rate: Of plain gradient descent.
        tie_head: An option whose name ends like a part's, but which takes none.
    """

    def __init__(
        self,
        *,
        encoder: Callable[[int], SequenceEncoder],
        second_encoder: Callable[[int], SequenceEncoder] | None = None,
        learning_rate: float = 0.1,
        tie_head: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = encoder(WIDTH)
        self.second = second_encoder(WIDTH) if second_encoder else None
        self.out = nn.Linear(self.encoder.output_size, 1)
        self.learning_rate = learning_rate
        self.tie_head = tie_head

    def _loss(self, batch: list[Tensor]) -> Tensor:
        x = batch[0]
        lengths = torch.full((x.size(0),), x.size(1), dtype=torch.int64)
        predicted = self.out(self.encoder(x, lengths).outputs.mean(1)).squeeze(-1)
        return (predicted - x.mean((1, 2))).square().mean()

    def training_step(self, batch: list[Tensor], index: int) -> Tensor:
        return self._loss(batch)

    def validation_step(self, batch: list[Tensor], index: int) -> None:
        self.log("loss", self._loss(batch), prog_bar=True)

    def test_step(self, batch: list[Tensor], index: int) -> None:
        self.log("loss", self._loss(batch))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.learning_rate)


class MiniData(LightningDataModule):
    """Random sequences.

    Args:
        size: How many.
        tokenizer: A spec, kept as it is.
    """

    def __init__(self, *, size: int = 8, tokenizer: str | dict[str, object] = "Words") -> None:
        super().__init__()
        self.size = size
        self.tokenizer = tokenizer

    def prepare_data(self) -> None:
        1 // self.size  # what is wrong with the data shows before training begins

    def _loader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(TensorDataset(torch.randn(self.size, 5, WIDTH)), batch_size=4)

    train_dataloader = val_dataloader = test_dataloader = _loader


class Mini(Task):
    """The stand-in's task."""

    module = MiniModule
    data = MiniData
    defaults = {"model.encoder": "Recurrent", "model.encoder.hidden_size": 4}

    @classmethod
    def callbacks(cls, folder: Path) -> list[Callback]:
        return [
            ModelCheckpoint(
                folder / "checkpoints",
                filename="best",
                monitor="loss",
                save_last=True,
                enable_version_counter=False,
            )
        ]
