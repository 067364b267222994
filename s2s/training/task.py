"""Tasks, and what their Lightning modules share: the training step, its random seeds, the learning rate schedule."""

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar

import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor, distributed, nn

from s2s.counted import counted
from s2s.durable import make_folder, write_durably
from s2s.errors import ConfigError, DataError
from s2s.evaluation.metric import Score
from s2s.inference.model_bundle import ModelBundle
from s2s.nn import BeginsLate, Embedding, HeadLoss, Scheduled
from s2s.nn.kernels import kernels_here
from s2s.registry.parts import options
from s2s.registry.versions import versions_of
from s2s.text.tokenizer import Tokenizer
from s2s.training import bad_batches
from s2s.training.bad_batches import Troubles
from s2s.training.datamodule import Example, NamesExamples
from s2s.training.fine_tuning import begun_from, model_of, named_tokenizers, not_used
from s2s.training.late_weights import WeightsAtStart
from s2s.training.out_of_memory import Piece
from s2s.training.pace import Learnt, Pace
from s2s.training.schedule import Plateau, Schedule, ScheduleName, learning_rate_factor
from s2s.training.scored_set import SCORES, ScoredSet

Model = TypeVar("Model", bound=nn.Module)

MIX = 0x9E3779B97F4A7C15
"""2**64 / golden ratio: spreads neighbouring (seed, step, rank) over the seeds (Knuth, TAOCP 3, section 6.4)."""

LOG_STEPS = 20
"""Interval, in optimizer steps, of reading and logging loss and speed: reading makes an accelerator wait."""

SMALL = 100_000
"""For models with fewer parameters, the exact number is printed."""

CLIP_EPSILON = 1e-6
"""Added to the norm that a gradient is divided by, as torch.nn.utils.clip_grad_norm_ does."""

BAD_STEPS = 20
"""Training stops after this many steps in a row without a finite loss and gradient: it would not recover."""

SPLITS_SAID = 5
"""This many split batches, and examples left out, are reported one by one; further ones are only counted."""


class Task:
    """A task: a Lightning module to train, and the data module that provides its batches.

    A task whose batches hold more than pairs, such as tags, has a data module of its own. Its Lightning hook
    `on_before_batch_transfer` turns each batch into what the module's `batch_loss` receives: `Batch.lines` gives the
    pairs in the batch, and `PairStore.line` their location in the files.

    Attributes:
        module: a `TaskModule`.
        data: a LightningDataModule with `seed`, `batches_per_epoch()` and `batch_done()` (called after each batch).
        defaults: option defaults of this task that differ from those of the classes, by dotted keys.
        reads: kind of training data and the option that sets it, for the error when no data is given.
    """

    module: type["TaskModule"]
    data: type[pl.LightningDataModule]
    reads = "text: --data.train SOURCE,TARGET"
    defaults: dict[str, Any] = {
        "trainer.gradient_clip_val": 1.0,
        "trainer.enable_model_summary": False,
        "trainer.num_sanity_val_steps": 0,
        "trainer.reload_dataloaders_every_n_epochs": 1,
        "trainer.use_distributed_sampler": False,
        "trainer.log_every_n_steps": LOG_STEPS,
    }

    @classmethod
    def callbacks(cls, folder: Path) -> list[pl.Callback]:
        """The callbacks of every training run: progress, checkpoints `best` and `last`, the bundle.

        Args:
            folder: the run's folder.
        """
        from s2s.training.callbacks import BestAndLast, BundleWriter, Progress

        checkpoints = BestAndLast(folder / "checkpoints")
        return [Progress(), checkpoints, BundleWriter(folder / "bundle", checkpoints)]

    @classmethod
    def answers(cls, bundle: Path, lines: Sequence[str]) -> list[str]:
        """The outputs of a trained bundle, one for each source; the conformance kit calls this to try a task.

        Args:
            bundle: the folder.
            lines: source texts. A task whose sources are not text uses its own instead.
        """
        from s2s.inference.translator import Translator

        return Translator.load(bundle, threads=1).translate(list(lines))

    @classmethod
    def connect(cls, module: "TaskModule", data: Any) -> None:
        """Called once when module and data module exist, to connect them before data is prepared.

        An override must call this one: fine-tuning uses the tokenizers of the bundle.

        Raises:
            BundleError: there is no bundle where `model.start_from` says, or it cannot be used here.
            ConfigError: it holds a model of another kind.
        """
        if getattr(module, "start_from", None) is None:  # a task may train a module of another make
            return
        module.bundle = begun_from(str(module.start_from), module.ships)
        if module.bundle.tokenizers:
            configured = data.tokenizer_options()
            data.use_named_tokenizers(named_tokenizers(module.bundle))
            used = data.tokenizer_options()
            module.not_used = [
                line for option, value in configured.items() for line in not_used(value, used[option], option)
            ]


def check_monitor(monitor: str, figures: Iterable[str]) -> None:
    """Check that the monitored metric exists.

    Raises:
        ConfigError: `monitor` is none of the metrics that a task logs at the end of a validation.
    """
    if monitor not in (known := list(figures)):
        raise ConfigError(
            f"model.monitor is {monitor!r}; this model measures {', '.join(known)}: give --model.monitor {known[0]}, "
            "or another of these"
        )


def seed_of(seed: int, step: int, rank: int) -> int:
    """The seed of one step on one rank, which depends on these three numbers only."""
    return ((seed * MIX + step * 2 + 1) * MIX + rank) % 2**63


class TaskModule(pl.LightningModule):
    """Base class that trains `self.model` on a loss summed over tokens, for any task.

    The gradient is that of the mean over all real (non-padding) tokens of a step, across accumulated batches and ranks.
    Random numbers are a function of (seed, step, rank), so that a resumed run equals an uninterrupted one. A part that
    changes during training has a method `at_step`, see `s2s.nn.Scheduled`.

    Args:
        learning_rate: highest learning rate of AdamW.
        weight_decay: decoupled weight decay (Loshchilov & Hutter 2019); 0 makes AdamW Adam.
        adam_betas: decay rates of the running means of gradient and squared gradient (Kingma & Ba 2015).
        warmup_steps: steps in which the learning rate rises linearly from 0.
        schedule: learning rate after the warm-up: constant; cosine (to 1 % at the end of training); inverse_sqrt of
            the step (Vaswani et al. 2017, section 5.3); plateau (halved when `monitor` has not improved for
            `plateau_patience` validations).
        plateau_patience: validations without improvement before the plateau schedule halves the learning rate.
        patience: validations without improvement of `monitor` before training stops; None: never.
        monitor: the validation metric that decides which checkpoint is best, when to stop, and the plateau schedule.
        higher_is_better: whether a higher value of the monitored metric is better.
        average_decay: decay per step of a moving average of the weights, which validation and the bundle then use
            (Polyak & Juditsky 1992); 0: use the weights themselves.
    """

    likelihood = True
    """Whether the loss is a negative log-likelihood in nats, so that its exponential is the perplexity."""

    unit = "tokens"
    """Name of the unit that the loss is averaged over."""

    start_from: str | None = None
    """The bundle that training starts from, for a task that has this option."""

    ships: type[nn.Module]
    """The class of the model in the bundle, for a task that has the option `start_from`."""

    bundle: ModelBundle[Any] | None = None
    """The loaded bundle that `start_from` names."""

    scored_set = ScoredSet()
    """The test set and checkpoint of `s2s test`."""

    def __init__(
        self,
        *,
        learning_rate: float,
        weight_decay: float,
        adam_betas: tuple[float, float],
        warmup_steps: int,
        schedule: ScheduleName,
        plateau_patience: int,
        patience: int | None,
        monitor: str,
        higher_is_better: bool,
        average_decay: float,
    ) -> None:
        super().__init__()
        for name, value, possible, words in (
            ("learning_rate", learning_rate, 0 <= learning_rate < math.inf, "0 or more"),
            ("weight_decay", weight_decay, 0 <= weight_decay < math.inf, "0 or more"),
            ("adam_betas", adam_betas, all(0 <= beta < 1 for beta in adam_betas), "at least 0 and below 1"),
            ("warmup_steps", warmup_steps, warmup_steps >= 0, "at least 0"),
            ("patience", patience, patience is None or patience >= 0, "at least 0, or null: never"),
            ("plateau_patience", plateau_patience, plateau_patience >= 0, "at least 0"),
            ("average_decay", average_decay, 0 <= average_decay < 1, "at least 0 and below 1"),
        ):
            if not possible:
                raise ConfigError(f"model.{name} {value} is impossible; it must be {words}")
        self.model: nn.Module | None = None
        self.goes_on = (
            False  # whether training resumes from a checkpoint, which is not yet read when the model is made
        )
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.adam_betas = adam_betas
        self.warmup_steps = warmup_steps
        self.schedule = schedule
        self.monitor = monitor
        self.higher_is_better = higher_is_better
        self.patience = patience
        self.average_decay = average_decay
        self.plateau = Plateau(plateau_patience, higher_is_better=higher_is_better)
        self.scores: list[Score] = []
        self.tested: list[Score] | None = None  # the scores of the test, once they are written
        self.outputs: list[str] = []  # names of the other files of the test
        self.choices: dict[str, Any] = {}
        self.kernels_before: dict[str, Any] = {}
        self.pending: Learnt | None = None  # until its gradient is there
        self.step: list[Learnt] = []
        self.not_used: list[str] = []  # notes on options other than the model's that `start_from` overrides
        self.troubles = Troubles()
        self.skipped = False  # whether the latest step was
        self.pace = Pace()
        self.scheduled: list[Scheduled] = []
        self.scheduled_step = -1
        self.unused: list[nn.Parameter] = []
        self.weights_at_start: WeightsAtStart | None = None
        self.first_step = True  # of this process
        self.used_learning_rate = 0.0  # of the latest step

    @property
    def data(self) -> Any:
        """The data module that training runs on."""
        return self.trainer.datamodule  # type: ignore[attr-defined]

    def configure_callbacks(self) -> list[pl.Callback]:
        """Early stopping and weight averaging, where they are asked for."""
        from s2s.training.callbacks import AverageWeights, CountBatches, StopEarly

        wanted: list[pl.Callback] = [CountBatches()]
        if self.average_decay > 0 and self.trainer.state.fn == TrainerFn.FITTING:
            wanted.append(AverageWeights(self.average_decay))
        if self.patience is not None:
            wanted.append(StopEarly(self.monitor, self.patience, higher_is_better=self.higher_is_better))
        return wanted

    def batch_loss(self, batch: Any) -> HeadLoss:
        """The loss of a batch, summed over its real tokens. A task writes it."""
        raise NotImplementedError(f"{type(self).__name__} must define batch_loss")

    def save_bundle(self, folder: Path, *, epoch: int, step: int) -> None:
        """Write what inference needs, replacing what is there. A task writes it.

        Args:
            folder: the bundle.
            epoch: the epoch, from 1, that the weights are of.
            step: the optimizer step that they are of.
        """
        raise NotImplementedError(f"{type(self).__name__} must define save_bundle")

    # --- a step -----------------------------------------------------------------------------------------------------

    def on_fit_start(self) -> None:
        """Print the model size and record the training settings: a callback may change the trainer's settings."""
        self.choices = self._choices()
        self.scheduled = [part for part in self.modules() if isinstance(part, Scheduled)]
        self.scheduled_step = -1
        self.weights_at_start, self.first_step = WeightsAtStart(self), True
        parameters = sum(parameter.numel() for parameter in self.parameters())
        self.say(f"model: {_size(parameters)}, trained in {self.trainer.precision}")
        if (difference := self._other_kernels()) is not None:
            self.say(difference)
        if (warning := self.long_warmup()) is not None and not self.trainer.fast_dev_run:  # type: ignore[attr-defined]
            self.say(warning)

    def made(self, wanted: type[Model], given: dict[str, Any]) -> Model:
        """The model to train: that of the bundle that training starts from, or a new one; `model_config` describes it.

        Args:
            wanted: its class.
            given: its configured arguments; where the bundle's model differs from these, a note is printed.

        Raises:
            ConfigError: a new one cannot be made.
        """
        model, self.model_config = model_of(wanted, given, self.bundle)
        if self.bundle is not None:
            told = [
                f"starting from the model in {self.start_from}",
                *not_used(given, self.model_config),
                *self.not_used,
            ]
            self.say("\n".join(told))
        self.model = model
        return model

    def begin(self, embedding: Embedding, tokenizer: Tokenizer) -> None:
        """Initialize the embedding of a new model from pretrained vectors; does nothing for any other model."""
        new = self.bundle is None and not self.goes_on
        if self.trainer.state.fn == TrainerFn.FITTING and new:
            said = embedding.begin_with(tokenizer.tokens(range(tokenizer.vocabulary_size)))
            if said is not None:
                self.say(said)

    def say(self, text: str) -> None:
        """Print on the first process, without disturbing the progress bar."""
        bar = self.trainer.progress_bar_callback
        if not self.trainer.is_global_zero:
            return
        if bar is None:
            print(text, file=sys.stderr)
        else:
            bar.print(text)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Seed the step, and tell scheduled parts its number, once for all its accumulated batches."""
        self._seed()
        step = self.trainer.global_step
        if step != self.scheduled_step:
            self.scheduled_step = step
            for part in self.scheduled:
                part.at_step(step)
            late = [part for part in self.scheduled if isinstance(part, BeginsLate)]
            self.unused = [parameter for part in late for parameter in part.unused_parameters()]

    def at_step(self, step: int) -> None:
        """Update what changes during training, see `s2s.nn.Scheduled`; does nothing by default."""

    def _seed(self) -> None:
        self.seed_batch(self.trainer.fit_loop.total_batch_idx)

    def seed_batch(self, number: int) -> None:
        """Seed what is drawn in a batch, by its number in the whole training."""
        seed = seed_of(self.data.seed, number, self.global_rank)
        if self.device.type == "cpu":
            torch.default_generator.manual_seed(seed)  # half a millisecond less than all generators there are
        else:
            torch.manual_seed(seed)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """The summed loss; `on_before_optimizer_step` makes the mean of the whole step."""
        loss = self.batch_loss(batch)
        number = self.trainer.fit_loop.total_batch_idx
        self.pending = Learnt(batch, number, loss.total.detach(), loss.nll.detach(), loss.tokens)
        total = loss.total
        if self.trainer.world_size > 1:  # ranks wait for each other's gradients, of every parameter
            total = total + sum(0.0 * parameter.sum() for parameter in self.unused)
        return total * self.trainer.accumulate_grad_batches  # Lightning divides by it

    def on_after_backward(self) -> None:
        """Add the batch to the step, now that its gradient has been computed."""
        assert self.pending is not None
        self.step.append(self.pending)
        self.pending = None

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Make the summed gradients the mean over all tokens of the step (ranks, accumulated batches), and clip it.

        Clips by the global norm (Pascanu et al. 2013) or by value, as the trainer is configured; a step without a
        finite loss and gradient is skipped. Mean and clipping are a single multiplication, because each pass over the
        gradients costs 1 % of a step.

        Raises:
            DataError: BAD_STEPS such steps came in a row.
            PluginError: a part made a weight in the first step.
        """
        if self.first_step:
            self._refuse_late_weights()
            self.first_step = False
        step, self.step = self.step, []
        self.skipped = not step
        if not step:
            self._skip_what_does_not_fit()
            return
        tokens = _sum([batch.tokens.to(torch.float32) for batch in step])
        loss = _sum([batch.total for batch in step])
        for parameter in self.unused:  # else the optimizer would let it decay, and count the step
            parameter.grad = None
        if self.trainer.world_size > 1:
            # Ranks' gradients were averaged, so tokens are too; and all must skip, or none.
            sums = torch.stack([tokens, loss.to(torch.float32)])
            tokens, loss = self.trainer.strategy.reduce(sums, reduce_op="mean").unbind()
        gradients = [parameter.grad for parameter in self.parameters() if parameter.grad is not None]
        scale = tokens.reciprocal()
        norm = nn.utils.get_total_norm(gradients) * scale
        if not bool((norm + loss * 0).isfinite()):  # read once: an accelerator waits for it
            self._skip_step(float(norm), float(loss), step)
            return
        self.troubles.in_a_row = 0
        most = self.trainer.gradient_clip_val
        by_value = self.trainer.gradient_clip_algorithm == "value"
        self.pace.add(step, norm)
        if most and not by_value:
            self.pace.clipped = self.pace.clipped + (norm > most)
            scale = scale * (most / (norm + CLIP_EPSILON)).clamp(max=1.0)
        torch._foreach_mul_(gradients, scale)
        if most and by_value:
            nn.utils.clip_grad_value_(self.parameters(), most)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Take the step, and store its learning rate: the schedule moves on before the step is logged."""
        super().optimizer_step(*args, **kwargs)
        optimizer: Any = self.trainer.optimizers[0]
        self.used_learning_rate = float(optimizer.param_groups[0]["lr"])

    def _refuse_late_weights(self) -> None:
        if self.weights_at_start is not None:
            self.weights_at_start.refuse_others(self)

    def configure_gradient_clipping(self, *_: Any, **__: Any) -> None:
        """Nothing: `on_before_optimizer_step` has clipped. Lightning's own refuses fused optimizers."""

    def _skip_step(self, norm: float, loss: float, step: list[Learnt]) -> None:
        """Skip a step, and save its batches so that they can be inspected.

        Args:
            norm: of its gradient, over all ranks.
            loss: its sum, over all ranks.
            step: the batches of this rank.
        """
        self.drop_step()  # an optimizer passes over what has no gradient
        self.skipped = True
        self.troubles.in_a_row += 1
        self.troubles.skipped_steps += 1
        number = self.global_step + 1
        stops = self.troubles.in_a_row >= BAD_STEPS
        finite = math.isfinite(loss)
        why = f"the norm of its gradient is {norm}" if finite else f"its loss is {loss}"
        if finite and not stops and getattr(self.trainer.precision_plugin, "scaler", None) is not None:
            self.say(f"step {number} skipped: {why}; the float16 loss scale is lowered")
            return
        bad = [batch for batch in step if finite or not bool(batch.total.isfinite())]
        examples = self._of_all_ranks([one for batch in bad for one in self._examples(batch.batch)])
        corpus = None
        if examples and self.trainer.is_global_zero and not self.trainer.fast_dev_run:  # type: ignore[attr-defined]
            corpus = bad_batches.keep(Path(self.trainer.default_root_dir), number, examples)
        told = f"; {bad_batches.named(examples)}" if examples else ""
        self.say(f"step {number} skipped: {why}{told}{f', kept in {corpus}' if corpus else ''}")
        if stops:
            raise DataError(
                f"{BAD_STEPS} steps in a row had no finite loss and gradient; lower model.learning_rate or "
                "trainer.gradient_clip_val, or train in float32 (trainer.precision: 32-true), and resume from the last "
                f"good checkpoint: --ckpt_path best{self._again(corpus if examples and examples[0].record else None)}"
            )

    def _skip_what_does_not_fit(self) -> None:
        self.troubles.in_a_row += 1
        if self.troubles.in_a_row >= BAD_STEPS:
            raise DataError(
                f"for {BAD_STEPS} steps in a row no example fit into memory; limit their length (for example "
                "data.max_source_tokens), use a smaller model, or check what else uses the memory"
            )

    def _again(self, corpus: Path | None) -> str:
        """The command that trains the current model on the latest bad batch again."""
        if corpus is None:
            return ""
        folder = Path(self.trainer.default_root_dir)
        bundle = None
        if "start_from" in options(type(self)):
            bundle = folder / bad_batches.FOLDER / "bundle"
            self.save_bundle(bundle, epoch=self.current_epoch + 1, step=self.global_step)
        return f". To reproduce it: {bad_batches.command(folder, corpus, bundle)}"

    def _examples(self, batch: Any) -> list[Example]:
        return self.data.examples(batch) if isinstance(self.data, NamesExamples) else []

    def _of_all_ranks(self, examples: list[Example]) -> list[Example]:
        if self.trainer.world_size == 1:
            return examples
        parts: list[list[Example]] = [[]] * self.trainer.world_size
        distributed.all_gather_object(parts, examples)
        return [example for part in parts for example in part]

    # --- a step in parts, see out_of_memory.py ---

    def pieces(self) -> list[Piece]:
        """The batches whose gradients the step already contains."""
        return [Piece(batch.batch, batch.number) for batch in self.step]

    def drop_step(self) -> None:
        """Forget all gradients and sums of the step."""
        self.step = []
        for parameter in self.parameters():
            parameter.grad = None

    def was_split(self, batch: Any) -> None:
        """Count a split batch, and report it."""
        self.troubles.split_batches += 1
        if self.troubles.split_batches <= SPLITS_SAID:
            self.say(
                f"step {self.global_step + 1}: a batch of {batch.size} examples does not fit into memory; it is "
                "trained in parts"
            )

    def was_left_out(self, batch: Any) -> None:
        """Count an example that was left out, and report it."""
        self.troubles.skipped_examples += 1
        if self.troubles.skipped_examples <= SPLITS_SAID:
            what = bad_batches.named(self._examples(batch)) or "an example"
            self.say(
                f"step {self.global_step + 1}: {what} does not fit into memory even alone; it is left out"
            )

    def on_train_end(self) -> None:
        """Print a summary of skipped steps, split batches and examples left out."""
        for line in self.troubles.told(Path(self.trainer.default_root_dir)):
            self.say(line)

    def log_pace(self) -> None:
        """Log at intervals; to be called at the end of a training batch, before a checkpoint that includes it is made.

        Lightning would write the row only after all callbacks: a run resumed from that checkpoint would lack it.
        """
        trainer: Any = self.trainer
        due = trainer._logger_connector.should_update_logs
        if trainer.fit_loop._should_accumulate() or not (due or trainer.is_last_batch):
            return
        measured = self.pace.read()
        figures = {"train_loss": measured.loss}
        if self.likelihood:
            figures["train_perplexity"] = math.exp(min(measured.loss, 100.0))
        # of all ranks, which have equal shares of every step
        figures[f"{self.unit}_per_second"] = measured.tokens_per_second * trainer.world_size
        figures["learning_rate"] = self.used_learning_rate
        figures["gradient_norm"] = measured.gradient_norm
        if trainer.gradient_clip_val and trainer.gradient_clip_algorithm != "value":
            figures["clipped_steps"] = measured.clipped_steps
        figures["skipped_steps"] = float(self.troubles.skipped_steps)
        if self.troubles.split_batches or self.troubles.skipped_examples:
            figures["split_batches"] = float(self.troubles.split_batches)
            figures["skipped_examples"] = float(self.troubles.skipped_examples)
        self.log_dict(figures, logger=False)
        if due:
            trainer._logger_connector.log_metrics(figures)

    def validated(self, figures: dict[str, float], scores: list[Score]) -> None:
        """To be called at the end of a validation, in `on_validation_epoch_end`, before checkpoints are written.

        Args:
            figures: what is logged; the monitored one among them.
            scores: for the card of the bundle; non-finite ones are left out, because JSON has no such numbers.

        Raises:
            PluginError: a part has made a weight since training began.
        """
        self.log_dict(figures)
        if self.trainer.sanity_checking:
            return
        self._refuse_late_weights()
        self.scores = [score for score in scores if math.isfinite(score.value)]
        if self.schedule == "plateau":
            self.plateau.see(figures[self.monitor])

    def keep_scores(self, scores: Iterable[Score]) -> None:
        """To be called at the end of a test, in `on_test_epoch_end`: write the scores as JSON into the run's folder.

        Args:
            scores: of the test set.
        """
        self.tested = [*scores]
        self.keep_output("scores", SCORES, self.scored_set.scores_text(self.tested, self.outputs))

    def keep_output(self, what: str, ending: str, content: str | bytes) -> None:
        """Write an output of a test into the run's folder, on the first process, and say where it is.

        Args:
            what: what it is, for a person.
            ending: of the file's name, which begins with that of the test set.
            content: of the file.

        Raises:
            WriteError: it cannot be written.
        """
        if not self.trainer.is_global_zero:
            return
        path = Path(self.trainer.default_root_dir) / f"{self.scored_set.name}.{ending}"
        replaced = " (replaces that of an earlier test)" if path.exists() else ""
        make_folder(path.parent)
        write_durably(path, content)
        self.say(f"{what}: {path}{replaced}")
        if ending == SCORES:
            return
        self.outputs.append(path.name)
        if self.tested is not None:  # the scores name the files that belong to them
            scores = path.with_name(f"{self.scored_set.name}.{SCORES}")
            write_durably(scores, self.scored_set.scores_text(self.tested, self.outputs))

    def on_validation_start(self) -> None:
        """Seed the validation, for search strategies that sample: one that is rerun after a resume samples the same."""
        self._seed()
        self.pace.restart()  # now, and not when checkpoints are written

    def on_validation_end(self) -> None:
        """Exclude validation from the speed measurement."""
        self.pace.restart()

    # --- the schedule -----------------------------------------------------------------------------------------------

    def epoch_steps(self) -> int:
        """Optimizer steps of an epoch."""
        batches: int = self.data.batches_per_epoch()
        if isinstance(self.trainer.limit_train_batches, int):
            batches = min(batches, self.trainer.limit_train_batches)
        else:
            batches = int(batches * self.trainer.limit_train_batches)
        return math.ceil(batches / self.trainer.accumulate_grad_batches)

    def most_steps(self) -> float:
        """Optimizer steps of the whole training, from the trainer's limits; infinity where it has none."""
        trainer = self.trainer
        limit = trainer.max_steps if trainer.max_steps and trainer.max_steps > 0 else math.inf
        if trainer.max_epochs is not None and trainer.max_epochs > 0:
            limit = min(limit, trainer.max_epochs * self.epoch_steps())
        return limit

    def long_warmup(self) -> str | None:
        """A warning if training ends before the warm-up or soon after it, else None."""
        total = self.most_steps()
        if 2 * self.warmup_steps <= total:
            return None
        per_epoch = self.epoch_steps()
        epochs = self.trainer.max_epochs or 0
        product = (
            f", {per_epoch} per epoch x {counted(epochs, 'epoch')}" if total == per_epoch * epochs else ""
        )
        return (
            f"model.warmup_steps is {self.warmup_steps}, but the whole training has only "
            f"{counted(int(total), 'step')}{product}, so most of it runs at a low learning rate. Set "
            f"--model.warmup_steps {max(1, int(total) // 10)}; or train for more steps: smaller "
            "--data.batch_sentences or --data.batch_tokens, more --trainer.max_epochs"
        )

    def total_steps(self) -> int:
        """Optimizer steps of the whole training, which must be limited.

        Raises:
            ConfigError: there is no limit.
        """
        limit = self.most_steps()
        if limit == math.inf:
            raise ConfigError(
                "schedule 'cosine' needs to know the end of training; set trainer.max_epochs or trainer.max_steps, or "
                "choose model.schedule: inverse_sqrt, plateau or constant"
            )
        return int(limit)

    def learning_rate_factor(self, step: int, total: int | None) -> float:
        """Factor on `learning_rate` at an optimizer step, counted from 0, of `total` steps."""
        return learning_rate_factor(
            self.schedule, step, warmup_steps=self.warmup_steps, total=total, plateau=self.plateau
        )

    def configure_optimizers(self) -> Any:
        """AdamW, and the schedule by optimizer step."""
        optimizer = torch.optim.AdamW(
            self.parameters(),
            lr=self.learning_rate,
            betas=self.adam_betas,
            weight_decay=self.weight_decay,
            fused=getattr(self.trainer.precision_plugin, "scaler", None)
            is None,  # else it unscales after the clipping
        )
        total = self.total_steps() if self.schedule == "cosine" else None
        scheduler = Schedule(optimizer, lambda step: self.learning_rate_factor(step, total))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    # --- checkpoints ------------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the state that Lightning does not save."""
        checkpoint["plateau"] = self.plateau.state_dict()
        checkpoint["scores"] = [asdict(score) for score in self.scores]
        checkpoint["troubles"] = asdict(self.troubles)
        checkpoint["pace"] = self.pace.state_dict()
        checkpoint["choices"] = self.choices
        checkpoint["kernels"] = self._kernels()
        checkpoint["versions"] = versions_of(type(part) for part in self.modules())

    def _choices(self) -> dict[str, Any]:
        # Settings that must not change when a run is resumed, beside data and parts, whose states would not fit.
        # `RunFolder` asks about all other changes, which are allowed.
        return {
            "model.average_decay": self.average_decay,
            "model.monitor": self.monitor,  # the best figure so far is of it
        }

    def _kernels(self) -> dict[str, Any]:
        # Chosen by the machine: a run can be resumed with other kernels, but they round differently.
        device = self.trainer.strategy.root_device
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
        return {**kernels_here(), "device": name}

    def _other_kernels(self) -> str | None:
        differing = [
            f"{name} {now} instead of {self.kernels_before[name]}"
            for name, now in self._kernels().items()
            if self.kernels_before.get(name, now) != now
        ]
        if not differing:
            return None
        told = ", ".join(differing)
        return f"training resumes with different kernels ({told}): results will be close, but not bit for bit the same"

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The counterpart of `on_save_checkpoint`.

        Raises:
            ConfigError: a setting that cannot change within a run was changed, or a part has another version.
        """
        now = versions_of(type(part) for part in self.modules())
        for part, before in checkpoint.get("versions", {}).items():
            if now.get(part, before) != before:
                raise ConfigError(
                    f"the checkpoint was made with version {before} of {part}, but the installed version is "
                    f"{now[part]}. Install version {before}, or {self._anew('which is upgraded')}"
                )
        if self.trainer.state.fn == TrainerFn.FITTING:
            for name, value in self._choices().items():
                before = checkpoint["choices"].get(name, value)  # in one of an earlier s2s some lack
                if value != before:
                    raise ConfigError(
                        f"{name} is {value}, but the run to resume was begun with {before}, and it cannot change "
                        f"within a run; set --{name} {before}, or {self._anew()}"
                    )
            self.kernels_before = checkpoint.get("kernels", {})
        self.plateau.load_state_dict(checkpoint["plateau"])
        self.troubles = Troubles(**checkpoint.get("troubles", {}))
        if "pace" in checkpoint:  # not in one of an earlier s2s
            self.pace.load_state_dict(checkpoint["pace"])
        self.load_scores(checkpoint)

    def _anew(self, bundle: str = "") -> str:
        """How to start a new run; from the bundle of this one, if the task can do so."""
        if "start_from" not in options(type(self)):
            return "start a new run: --run_folder ANOTHER"
        return f"start a new run from the bundle{bundle and f', {bundle}'}: --model.start_from BUNDLE"

    def load_scores(self, checkpoint: dict[str, Any]) -> None:
        """Restore the scores of the validation before a checkpoint, for the card of the bundle."""
        self.scores = [Score(**score) for score in checkpoint["scores"]]


def _size(parameters: int) -> str:
    small = parameters < SMALL
    return counted(parameters, "parameter") if small else f"{parameters / 1e6:.1f} million parameters"


def _sum(values: list[Tensor]) -> Tensor:
    return reduce(torch.add, values)
