"""The conformance kit for tasks: each is trained for a few steps on a few lines, as by `s2s fit`.

Each check takes a task, a class that a plugin names in its hook. The kit sets the options that it knows: small parts,
a tiny text as `data.train` and `data.validation`. A task that needs others defines them, for the kit only:

    @classmethod
    def sample_options(cls, folder: Path) -> dict[str, Any]:
        ...  # dotted keys; write files that they name into the folder

The data module must have an option `batch_sentences`, so that batches of several sizes can be compared.
"""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from s2s.errors import S2SError
from s2s.registry import catalogue
from s2s.registry.parts import nested_kinds, options
from s2s.testing import constructors
from s2s.testing.comparing import TOLERANCES, expect_close
from s2s.testing.kit import Check, Nonconforming, part_of, told
from s2s.testing.texts import ENGLISH

if TYPE_CHECKING:
    from pytorch_lightning import Callback

    from s2s.training.cli import Fitted
    from s2s.training.task import Task

PAIRS = tuple(
    (" ".join(line.split()[: 2 + i]), " ".join(line.split()[: 9 - i])) for i, line in enumerate(ENGLISH)
)
"""Of many lengths, so that a mean over sentences or batches differs from one over tokens."""

SIZE = 8
"""The size of every part that has one."""


def check_constructor(task: type[Task]) -> None:
    """The options of module and data are typed, documented, and have defaults."""
    part = part_of(task)
    for what in ("module", "data"):
        holder = getattr(part, what, None)
        if not isinstance(holder, type):
            raise Nonconforming(
                f"that {what} of {part.__name__} is {holder!r}", "a class", f"Write {what} = ... in the task."
            )
        with_options = next(
            one for one in holder.__mro__ if "__init__" in vars(one)
        )  # inherited options are documented there
        constructors.check_constructor(with_options)


def check_protocol(task: type[Task]) -> None:
    """The module is a TaskModule, data has what training needs, and callbacks write checkpoints."""
    from pytorch_lightning import Callback, LightningDataModule
    from pytorch_lightning.callbacks import Checkpoint

    from s2s.training.task import TaskModule

    part = part_of(task)
    for what, base in (("module", TaskModule), ("data", LightningDataModule)):
        if not issubclass(getattr(part, what), base):
            raise Nonconforming(
                f"that {what} of {part.__name__} is {getattr(part, what).__name__}",
                f"a {base.__name__}",
                f"Derive it from {base.__module__}.{base.__name__}.",
            )
    lacking = [name for name in ("batches_per_epoch", "batch_done") if not hasattr(part.data, name)]
    lacking += [name for name in ("seed", "batch_sentences") if name not in options(part.data)]
    if lacking:
        raise Nonconforming(
            f"that {part.data.__name__} has no {', '.join(lacking)}",
            "methods batches_per_epoch and batch_done, options seed and batch_sentences",
            "Derive it from s2s.training.datamodule.PairData if that fits.",
        )
    callbacks = part.callbacks(Path("nowhere"))
    if not all(isinstance(one, Callback) for one in callbacks) or not any(
        isinstance(one, Checkpoint) for one in callbacks
    ):
        raise Nonconforming(
            f"callbacks {[type(one).__name__ for one in callbacks]}",
            "Lightning callbacks, one that writes checkpoints among them",
            "Extend Task.callbacks(folder), or use BestAndLast.",
        )


def check_defaults(task: type[Task]) -> None:
    """Its defaults are existing options, and include those that every training needs."""
    from pytorch_lightning import Trainer

    from s2s.training.task import Task

    part = part_of(task)
    holders = {"model": part.module, "data": part.data, "trainer": Trainer}
    known = {f"{group}.{name}" for group, holder in holders.items() for name in options(holder)}
    for name, value in part.defaults.items():
        if ".".join(name.split(".")[:2]) not in known:
            raise Nonconforming(
                f"a default for {name!r}",
                "an option of module, data or trainer",
                "Correct the name, or remove it.",
            )
        try:
            json.dumps(value)
        except TypeError as error:
            raise Nonconforming(
                f"the default {value!r} of {name!r}",
                "what a configuration can hold",
                "Use numbers, text, lists or mappings.",
            ) from error
    missing = [name for name in Task.defaults if name not in part.defaults]
    if missing:
        raise Nonconforming(
            f"no default for {', '.join(missing)}",
            "a value for each of Task.defaults",
            "Write defaults = {**Task.defaults, ...}: without them, Lightning shuffles and clips differently.",
        )


def check_training(task: type[Task]) -> None:
    """Two steps of `s2s.fit` change the weights, keep them finite, and write a checkpoint."""
    with _folder() as folder:
        recorder = _recorder()
        fitted = _fit(task, folder, {"trainer.max_steps": 2}, callbacks=[recorder])
        _expect_steps(fitted, 2)
        after = _weights(fitted)
        if not all(bool(value.isfinite().all()) for value in after.values()):
            raise Nonconforming(
                "weights that are not finite after two steps",
                "numbers",
                "Look for a division or a logarithm near 0 in batch_loss.",
            )
        if all(torch.equal(value, recorder.before[name]) for name, value in after.items()):
            raise Nonconforming(
                "the same weights after two steps",
                "other ones",
                "Build self.model in configure_model, and let batch_loss depend on it.",
            )
        if not (fitted.run_folder / "checkpoints" / "last.ckpt").is_file():
            raise Nonconforming(
                "no checkpoints/last.ckpt in the run's folder",
                "one",
                "Keep BestAndLast among callbacks: an interrupted run resumes from it.",
            )


def check_loss(task: type[Task]) -> None:
    """batch_loss sums over real tokens: batches of one sentence, of all, and of all split up have the same total."""
    from s2s.training.out_of_memory import Divisible

    totals: dict[int, tuple[float, ...]] = {}
    with _folder() as folder:
        for sentences in (len(PAIRS), 1):
            recorder = _recorder()
            more: dict[str, Any] = {"trainer.max_epochs": 1, "trainer.limit_val_batches": 0}
            more |= {"data.batch_sentences": sentences, "run_folder": str(folder / str(sentences))}
            fitted = _fit(task, folder, more, callbacks=[recorder])
            if not totals:
                module: Any = fitted.module
                module.to(recorder.device).eval()
            totals[sentences] = _totals(module, recorder.batches)
            if sentences > 1 and all(isinstance(batch, Divisible) for batch in recorder.batches):
                rows = [batch.rows(slice(i, i + 1)) for batch in recorder.batches for i in range(batch.size)]
                totals[0] = _totals(module, rows)
    one, all_at_once = totals[1], totals[len(PAIRS)]
    for name, found, expected in zip(("tokens", "total", "nll"), totals.get(0, one), one, strict=True):
        if not abs(found - expected) <= TOLERANCES[torch.float32] * max(1.0, abs(expected)):
            raise Nonconforming(
                f"{name} {found:.6g} of a batch in parts, one example each, {expected:.6g} of batches of one",
                "the same",
                "Let rows(part) of the batch return these examples as a smaller batch would hold them.",
            )
    if one[0] != all_at_once[0]:
        raise Nonconforming(
            f"{all_at_once[0]:.0f} tokens in a batch of all sentences, {one[0]:.0f} one by one",
            "the same number",
            "Count real tokens, the end of each sentence included, and no padding.",
        )
    for name, found, expected in zip(("total", "nll"), all_at_once[1:], one[1:], strict=True):
        if not abs(found - expected) <= TOLERANCES[torch.float32] * max(1.0, abs(expected)):
            raise Nonconforming(
                f"{name} {found:.6g} of all sentences in one batch, {expected:.6g} one by one",
                "the same sum over real tokens",
                "Sum over tokens, average over nothing, and use neither padding nor other rows: step takes the mean.",
            )


def _totals(module: Any, batches: Sequence[Any]) -> tuple[float, ...]:
    with torch.no_grad():
        losses = [module.batch_loss(batch) for batch in batches]
    return tuple(
        float(sum(getattr(loss, name).double() for loss in losses)) for name in ("tokens", "total", "nll")
    )


def check_gradient(task: type[Task]) -> None:
    """A step's gradient is that of the mean over all its real tokens, also with accumulated batches."""
    with _folder() as folder:
        recorder = _recorder(quiet=True)
        more = {"trainer.accumulate_grad_batches": 2, "trainer.gradient_clip_val": 0, "trainer.max_steps": 2}
        fitted = _fit(task, folder, more, callbacks=[recorder])
    module: Any = fitted.module
    module.load_state_dict(recorder.before)
    module.zero_grad()
    module.to(recorder.device).eval()
    losses = [module.batch_loss(batch) for batch in recorder.batches[:2]]
    (sum(loss.total for loss in losses) / sum(loss.tokens for loss in losses)).backward()
    for name, parameter in module.named_parameters():
        if parameter.grad is not None:
            expect_close(
                f"the gradient of {name} after two accumulated batches",
                recorder.gradients.get(name, torch.zeros_like(parameter)),
                parameter.grad,
                "Return sums from batch_loss, and do not override training_step or on_before_optimizer_step.",
                TOLERANCES[torch.float32],
            )


def check_repeatable(task: type[Task]) -> None:
    """The same seed gives the same weights, bit for bit."""
    with _folder() as folder:
        first, second = (
            _weights(_fit(task, folder, {"trainer.max_steps": 2, "run_folder": str(folder / str(run))}))
            for run in (1, 2)
        )
    _expect_bits(
        "of a second run", second, first, "Sample only from torch's generator; it is seeded at each step."
    )


def check_resuming(task: type[Task]) -> None:
    """Three steps, and two more after resuming, equal five: the same weights, bit for bit."""
    with _folder() as folder:
        parts, whole = str(folder / "parts"), str(folder / "whole")
        expected = _weights(_fit(task, folder, {"trainer.max_steps": 5, "run_folder": whole}))
        _fit(task, folder, {"trainer.max_steps": 3, "run_folder": parts})
        rest = _fit(task, folder, {"trainer.max_steps": 5, "run_folder": parts, "ckpt_path": "last"})
        _expect_steps(rest, 5)
        _expect_bits(
            "of a resumed run",
            _weights(rest),
            expected,
            "Put into state_dict, of module or data, all that the next step depends on.",
        )


def check_validation(task: type[Task]) -> None:
    """A validation logs the figure that `monitor` names, a number, and keeps the best checkpoint."""
    with _folder() as folder:
        fitted = _fit(task, folder, {"trainer.max_epochs": 1})
        module: Any = fitted.module
        figures = {name: float(value) for name, value in module.trainer.callback_metrics.items()}
        value = figures.get(module.monitor)
        if value is None or value != value:
            raise Nonconforming(
                f"{module.monitor} {value} after a validation, which gave {', '.join(sorted(figures)) or 'nothing'}",
                "a number",
                "Call self.validated({name: figure}, scores) in on_validation_epoch_end; monitor names one of them.",
            )
        if fitted.score != value or not (fitted.run_folder / "checkpoints" / "best.ckpt").is_file():
            raise Nonconforming(
                f"the best score {fitted.score} where {module.monitor} is {value}",
                "that value, and checkpoints/best.ckpt",
                "Keep BestAndLast among callbacks.",
            )


def check_bundle(task: type[Task]) -> None:
    """If it writes a bundle, this loads with the trained weights, and gives repeatable answers."""
    from s2s.inference.model_bundle import load_any_bundle
    from s2s.training.callbacks import BundleWriter

    with _folder() as folder:
        fitted = _fit(task, folder, {"trainer.max_epochs": 1})
        if fitted.bundle is None:
            if any(isinstance(one, BundleWriter) for one in part_of(task).callbacks(folder)):
                raise Nonconforming(
                    "no bundle, though BundleWriter is among callbacks",
                    "a folder `bundle` in the run's folder",
                    "Write it in save_bundle(folder, ...), or remove BundleWriter.",
                )
            return
        try:
            with torch.device("cpu"), _in_silence():
                model = load_any_bundle(fitted.bundle).model
                lines = [*(source for source, _ in PAIRS), "", "ᚠᛇᚻ that no text has"]
                first, second = (part_of(task).answers(fitted.bundle, lines) for _ in range(2))
        except Exception as error:
            raise Nonconforming(
                f"from the bundle: {told(error)}",
                "answers",
                "Write it by s2s.inference.bundle.save_bundle, or remove BundleWriter from callbacks; override "
                "Task.answers to read it.",
            ) from error
    if first != second:
        raise Nonconforming(
            f"{second} for what was answered by {first} before", "the same", "Use only the bundle."
        )
    module: Any = fitted.module
    trained = {name: value.cpu() for name, value in module.model.state_dict().items()}
    _expect_bits(
        "in the bundle",
        model.state_dict(),
        trained,
        "Save self.model as it is when save_bundle is called.",
    )


TASK_CHECKS = tuple(
    Check("task", run)
    for run in (
        check_constructor,
        check_protocol,
        check_defaults,
        check_training,
        check_loss,
        check_gradient,
        check_repeatable,
        check_resuming,
        check_validation,
        check_bundle,
    )
)
"""All of them, in the order in which they are run."""


def _sample_options(task: Any, folder: Path) -> dict[str, Any]:
    """A tiny text and small parts, for those options that the task has."""
    own = getattr(task, "sample_options", None)
    if own is not None:
        given: dict[str, Any] = own(folder)
        return given
    text = folder / "pairs.tsv"
    text.write_text("".join(f"{source}\t{target}\n" for source, target in PAIRS), encoding="utf-8")
    wanted: dict[str, Any] = {
        "data.train": str(text),
        "data.validation": str(text),
        "data.tokenizer": "Words",
        "data.cache": str(folder / "cache"),
        "model.warmup_steps": 1,
        "model.show_translations": 0,
    }
    for name in nested_kinds(task.module):
        part = options(task.module)[name].default
        sizes = {size: SIZE for size in ("size", "hidden_size") if part and size in options(part)}
        if sizes:
            known = catalogue().find(part)
            wanted[f"model.{name}"] = {"class_path": known.name if known else name, "init_args": sizes}
    known_options = {f"model.{name}" for name in options(task.module)}
    known_options |= {f"data.{name}" for name in options(task.data)}
    return {name: value for name, value in wanted.items() if name in known_options}


def _fit(task: Any, folder: Path, more: Mapping[str, Any], *, callbacks: Sequence[Callback] = ()) -> Fitted:
    """Train for some steps in a folder, without output."""
    from s2s.training.cli import fit

    part = part_of(task)
    device = torch.get_default_device().type
    try:
        name = catalogue().name_of("task", part)
        given = {
            "task": name,
            "run_folder": str(folder / "run"),
            "data.batch_sentences": 2,
            "trainer.accelerator": "gpu" if device == "cuda" else device,
            "trainer.devices": 1,
            "trainer.logger": False,
            **_sample_options(part, folder),
            **more,
        }
        with torch.device("cpu"), _in_silence():
            return fit(given, callbacks=callbacks)
    except S2SError as error:
        raise Nonconforming(
            f"that it cannot be trained: {error}",
            "a training of some steps",
            "Give it a class method sample_options(folder) if it needs options that the kit does not know.",
        ) from error
    except Exception as error:
        raise Nonconforming(f"in training: {told(error)}", "no error", "Fix what raised it.") from error


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@contextlib.contextmanager
def _in_silence() -> Iterator[None]:
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield


def _recorder(*, quiet: bool = False) -> Any:
    """A callback that keeps the weights before training, all batches, and the gradient of the first step.

    Args:
        quiet: train in evaluation mode, so that there is no noise and a gradient can be recomputed.
    """
    from pytorch_lightning import Callback

    class Recorder(Callback):
        def __init__(self) -> None:
            self.before: dict[str, Tensor] = {}
            self.batches: list[Any] = []
            self.gradients: dict[str, Tensor] = {}
            self.device = torch.device("cpu")

        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            self.device = pl_module.device  # training moves the module away at its end
            self.before = {name: value.clone() for name, value in pl_module.state_dict().items()}
            if quiet:
                pl_module.eval()

        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            self.batches.append(batch)

        def on_before_zero_grad(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
            if not self.gradients:
                self.gradients = {
                    name: parameter.grad.clone()
                    for name, parameter in pl_module.named_parameters()
                    if parameter.grad is not None
                }

    return Recorder()


def _weights(fitted: Fitted) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in fitted.module.state_dict().items()}


def _expect_steps(fitted: Fitted, wanted: int) -> None:
    done = fitted.module.trainer.global_step
    if done != wanted:
        raise Nonconforming(
            f"{done} steps of training", f"{wanted}", "Provide a batch for each step, and one optimizer."
        )


def _expect_bits(what: str, found: dict[str, Tensor], expected: dict[str, Tensor], remedy: str) -> None:
    for name, value in expected.items():
        if name not in found or not torch.equal(found[name], value):
            raise Nonconforming(f"another {name} {what}", "the same bits", remedy)
