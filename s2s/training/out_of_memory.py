"""Trains a batch that does not fit into memory in parts, with the same resulting step.

Lightning calls forward and backward in a closure. If it runs out of memory, some weights may already have a part of
their gradient, and it is unknown which. So all gradients of the step are dropped; earlier batches of the step (with
gradient accumulation) are computed again, each with its own seed, and then the halves of the batch that failed. Only
the token ids need be kept, and steps that fit cost nothing extra.
"""

from collections import OrderedDict
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.loops.optimization.automatic import Closure, ClosureResult, _AutomaticOptimization
from torch import Tensor
from torch.optim import Optimizer

from s2s.errors import DataError

_ALLOCATORS = ("DefaultCPUAllocator", "CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED")
"""Parts of other RuntimeErrors that mean out of memory: of torch on the CPU, and of libraries with their own errors."""


@runtime_checkable
class Divisible(Protocol):
    """A batch that can be trained in parts."""

    @property
    def size(self) -> int:
        """How many examples there are."""

    def rows(self, part: slice) -> "Divisible":
        """Some of them."""


class Piece(NamedTuple):
    """A batch or a part of one.

    Attributes:
        batch: what is trained.
        number: of the batch in the whole training, from 0; its random numbers are a function of it.
    """

    batch: Any
    number: int


class StepInParts(Protocol):
    """Interface of a module whose steps can be repeated in parts; `TaskModule` implements it."""

    def pieces(self) -> list[Piece]:
        """The batches whose gradients the step already contains."""

    def drop_step(self) -> None:
        """Forget all gradients and sums of the step."""

    def seed_batch(self, number: int) -> None:
        """Seed what is drawn in a batch."""

    def was_split(self, batch: Any) -> None:
        """A batch did not fit, and its halves are next."""

    def was_left_out(self, batch: Any) -> None:
        """A batch of a single example did not fit."""


def out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(name in str(error) for name in _ALLOCATORS)


class OptimizationInParts(_AutomaticOptimization):
    """Lightning's forward and backward, repeated in parts if memory runs out."""

    def _make_closure(self, kwargs: OrderedDict[str, Any], optimizer: Optimizer, batch_idx: int) -> Closure:
        whole = super()._make_closure(kwargs, optimizer, batch_idx)
        return _ClosureInParts(self, whole, kwargs, optimizer)

    def part(self, kwargs: OrderedDict[str, Any], optimizer: Optimizer, batch: Any) -> Closure:
        """Forward and backward of a part; its gradients are added to the existing ones."""
        first = next(iter(kwargs))
        step = self._make_step_fn(OrderedDict(kwargs, **{first: batch}))
        return Closure(step, self._make_backward_fn(optimizer), zero_grad_fn=None)


class _ClosureInParts(Closure):
    def __init__(
        self,
        optimization: OptimizationInParts,
        whole: Closure,
        kwargs: OrderedDict[str, Any],
        optimizer: Optimizer,
    ) -> None:
        super().__init__(whole._step_fn, whole._backward_fn, whole._zero_grad_fn)
        self._optimization = optimization
        self._kwargs = kwargs
        self._optimizer = optimizer
        self._trainer = optimization.trainer

    def closure(self, *args: Any, **kwargs: Any) -> ClosureResult:
        batch = next(iter(self._kwargs.values()))
        try:
            return super().closure(*args, **kwargs)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            self._refuse_the_indivisible(batch, error)
        return self._in_parts(batch)  # outside of `except`, because the error holds the batch's memory

    def _in_parts(self, batch: Any) -> ClosureResult:
        module: Any = self._trainer.lightning_module
        failed = Piece(batch, self._trainer.fit_loop.total_batch_idx)
        if batch.size > 1:
            module.was_split(batch)
        before = module.pieces()
        pieces = [*before, *_halves(module, failed)]
        while (done := self._train(module, pieces)).failing is not None:
            pieces[done.failing : done.failing + 1] = _halves(module, pieces[done.failing])
        losses = done.losses[len(before) :]
        return ClosureResult(torch.stack(losses).sum() if losses else None)

    def _refuse_the_indivisible(self, batch: Any, error: BaseException) -> None:
        remedy = "lower data.batch_tokens or data.batch_sentences, or use a smaller model"
        ranks = self._trainer.world_size
        if ranks > 1:
            raise DataError(
                f"a batch does not fit into memory, and cannot be split because {ranks} processes train in step with "
                f"each other; {remedy}, and resume: --ckpt_path last ({_brief(error)})"
            ) from error
        if not isinstance(batch, Divisible):
            raise DataError(
                f"a batch does not fit into memory, and a {type(batch).__name__} cannot be split; {remedy}, and "
                f"resume: --ckpt_path last ({_brief(error)})"
            ) from error

    def _train(self, module: StepInParts, pieces: list[Piece]) -> "_Trained":
        """Train all parts of a step, from its beginning."""
        module.drop_step()
        losses: list[Tensor] = []
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()  # release memory that is free but fragmented
        seeded = -1
        for place, piece in enumerate(pieces):
            if piece.number != seeded:  # the second half continues the random numbers of the first
                seeded = piece.number
                module.seed_batch(seeded)
            try:
                loss = self._optimization.part(self._kwargs, self._optimizer, piece.batch)()
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                return _Trained(losses, failing=place)
            assert loss is not None
            losses.append(loss)
        return _Trained(losses, failing=None)


class _Trained(NamedTuple):
    """The losses of the parts that were trained, and which one did not fit."""

    losses: list[Tensor]
    failing: int | None


def _halves(module: StepInParts, piece: Piece) -> list[Piece]:
    """The halves to train instead of a part that did not fit."""
    batch = piece.batch
    if batch.size < 2:
        module.was_left_out(batch)
        return []
    half = batch.size // 2
    return [Piece(batch.rows(slice(half)), piece.number), Piece(batch.rows(slice(half, None)), piece.number)]


def _brief(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def train_in_parts_what_does_not_fit(trainer: Trainer) -> None:
    """Replace Lightning's automatic optimization in a new trainer."""
    trainer.fit_loop.epoch_loop.automatic_optimization = OptimizationInParts(trainer)
