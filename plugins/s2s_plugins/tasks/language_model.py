"""The next token from those before it: the language model as a Lightning module."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor, distributed

from s2s.evaluation.perplexity import Perplexity
from s2s.inference.card import Card, command_of_this_process
from s2s.inference.model_bundle import save_model_bundle
from s2s.nn import (
    Decoder,
    Embedding,
    Head,
    HeadLoss,
    LanguageModel,
    State,
    leaves,
    map_state,
)
from s2s.registry.parts import describe
from s2s.text.batch import Batch
from s2s.text.stream import StreamBatch
from s2s.training.schedule import ScheduleName
from s2s.training.task import Task, TaskModule, check_monitor
from s2s_plugins.decoders.recurrent import RecurrentDecoder
from s2s_plugins.embeddings.lookup import LookupEmbedding
from s2s_plugins.heads.softmax import SoftmaxHead
from s2s_plugins.search.sampling import Sampling
from s2s_plugins.tasks.language_model_data import LanguageModelData


class LanguageModelModule(TaskModule):
    """A language model (Mikolov et al. 2010), trained with teacher forcing.

    Validation measures val_loss (nats per piece), val_perplexity (per piece), val_perplexity_word and
    val_bits_per_character; the end of each text counts as a piece, a word and a character.

    Args:
        embedding: turns tokens into vectors.
        decoder: reads tokens from left to right; one without attention.
        head: predicts the next token.
        tie_head: output weights are the embedding (Press & Wolf 2017).
        learning_rate: highest learning rate of AdamW.
        weight_decay: decoupled weight decay (Loshchilov & Hutter 2019); 0 makes AdamW Adam.
        adam_betas: decay of the means of gradient and squared gradient (Kingma & Ba 2015).
        warmup_steps: steps in which the learning rate rises linearly from 0.
        schedule: what follows the warm-up; plateau halves when `monitor` has not improved.
        plateau_patience: validations without improvement before plateau halves the learning rate.
        patience: validations without improvement of `monitor` before training stops; null: never.
        monitor: the validation figure that decides which checkpoint is best; all figures rank checkpoints alike.
        average_decay: validate and ship a moving average of the weights with this decay per step; 0: the weights.
        start_from: a bundle whose model and tokenizer training starts from (fine-tuning); settings of these in the
            configuration that differ from the bundle's are reported and ignored.
    """

    ships = LanguageModel

    def __init__(
        self,
        *,
        embedding: Callable[[int], Embedding] = LookupEmbedding,
        decoder: Callable[[int, int], Decoder] = RecurrentDecoder,
        head: Callable[[int, int, int, int], Head] = SoftmaxHead,
        tie_head: bool = True,
        learning_rate: float = 0.001,
        weight_decay: float = 0.0,
        adam_betas: tuple[float, float] = (0.9, 0.999),
        warmup_steps: int = 500,
        schedule: ScheduleName = "inverse_sqrt",
        plateau_patience: int = 2,
        patience: int | None = None,
        monitor: str = "val_loss",
        average_decay: float = 0.0,
        start_from: str | None = None,
    ) -> None:
        known = ("val_loss", "val_perplexity", "val_perplexity_word", "val_bits_per_character")
        check_monitor(monitor, known)
        super().__init__(
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            adam_betas=adam_betas,
            warmup_steps=warmup_steps,
            schedule=schedule,
            plateau_patience=plateau_patience,
            patience=patience,
            monitor=monitor,
            higher_is_better=False,
            average_decay=average_decay,
        )
        self.start_from = start_from
        self.parts: dict[str, Callable[..., Any]] = {"embedding": embedding, "decoder": decoder, "head": head}
        self.ties = {"tie_head": tie_head}
        self.losses: list[HeadLoss] = []
        # Of a stream, the state after the latest segment, in training and in evaluation.
        self.carried: dict[bool, State] = {True: None, False: None}
        self.restored: list[Tensor] = []
        self.shares: list[float] = []

    def configure_model(self) -> None:
        """Build the model for the vocabulary that the data module has learnt."""
        if self.model is not None:
            return
        config = {
            "vocabulary_size": self.data.vocabulary_size,
            **{name: describe(part) for name, part in self.parts.items()},
            **self.ties,
        }
        model = self.made(LanguageModel, config)
        self.begin(model.target_embedding, self.data.tokenizers.target)

    # --- a step -----------------------------------------------------------------------------------------------------

    def batch_loss(self, batch: Batch | StreamBatch) -> HeadLoss:
        """Loss with teacher forcing; in a stream it starts from the detached state of the previous segment."""
        assert isinstance(self.model, LanguageModel)
        if isinstance(batch, Batch):
            return self.model.loss(batch.inputs, batch.gold.ids)[0]
        state = None if batch.begins else self.carried[self.training]
        if state is not None:
            state = self.model.decoder.redraw(state)
        loss, state = self.model.loss(batch.inputs, batch.gold.ids, state)
        self.carried[self.training] = map_state(Tensor.detach, state)
        if self.training:
            self.shares.append(batch.share)
        return loss

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """See `TaskModule`; scales the learning rate of a step by its segments (Merity et al. 2018, section 4.1)."""
        super().on_before_optimizer_step(optimizer)
        if self.troubles.in_a_row:  # whatever spoilt the step may also be in the state
            self.carried[True] = None
        if self.shares:
            share = sum(self.shares) / len(self.shares)
            self.shares = []
            if share != 1.0:
                for group in optimizer.param_groups:
                    group["lr"] *= share  # the schedule sets it anew after each step

    # --- validation and test ----------------------------------------------------------------------------------------

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation."""
        self.losses = []

    def on_test_epoch_start(self) -> None:
        """Forget the last test."""
        self.losses = []

    def validation_step(self, batch: Batch | StreamBatch, batch_idx: int) -> None:
        """Loss of a batch."""
        self.losses.append(self.batch_loss(batch))

    def test_step(self, batch: Batch | StreamBatch, batch_idx: int) -> None:
        """Loss of a batch, in float32 like the bundle's, whatever the training precision."""
        with torch.autocast(self.device.type, enabled=False):
            self.losses.append(self.batch_loss(batch))

    def on_validation_epoch_end(self) -> None:
        """Measure, log and report."""
        measured = self._measured("validation")
        self.validated(_figures("val", measured), measured.scores())
        # `s2s validate` has already named the checkpoint, and the trainer's own counters mean nothing then.
        fitting = self.trainer.state.fn == TrainerFn.FITTING
        when = f" after epoch {self.current_epoch + 1}, step {self.global_step}" if fitting else ""
        self.say(f"validation{when}: loss {measured.nll:.3f}, {measured}")

    def on_test_epoch_end(self) -> None:
        """Measure, log, report, and keep the scores."""
        measured = self._measured("test")
        self.log_dict(_figures("test", measured))
        for score in measured.scores():
            self.say(str(score))
        self.keep_scores(measured.scores())

    def _measured(self, split: Literal["validation", "test"]) -> Perplexity:
        """Perplexity over all ranks; if validation was cut short, with the whole split's ratio of words to pieces."""
        total = sum(float(loss.nll) for loss in self.losses)
        tokens = sum(int(loss.tokens) for loss in self.losses)
        totals = torch.tensor([total, float(tokens)], dtype=torch.float64, device=self.device)
        if self.trainer.world_size > 1:
            distributed.all_reduce(totals)
        return Perplexity(float(totals[0] / totals[1]), self.data.sizes(split))

    # --- checkpoints and the bundle ---------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """See `TaskModule`; also saves the state that the next segment begins with."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["carried"] = leaves(self.carried[True])

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The counterpart of `on_save_checkpoint`."""
        super().on_load_checkpoint(checkpoint)
        if self.trainer.state.fn == TrainerFn.FITTING:
            self.restored = checkpoint["carried"]

    def on_train_start(self) -> None:
        """Put the state tensors of a checkpoint into the state structure of this decoder."""
        if not self.restored:
            return
        assert isinstance(self.model, LanguageModel)
        parts = iter(self.restored)
        form = self.model.begin(len(self.restored[0]))
        self.carried[True] = map_state(lambda leaf: next(parts).to(leaf.device), form)
        self.restored = []

    def save_bundle(self, folder: Path, *, epoch: int, step: int) -> None:
        """Weights, tokenizer, search and card."""
        assert isinstance(self.model, LanguageModel)
        data: LanguageModelData = self.data
        names = [Path(path).name for spec in data.corpora["train"] for path in spec.paths]
        texts = len(data.store("train"))
        length = data.segment_tokens
        reading = "text by text" if length is None else f"as a stream, in segments of {length} tokens"
        save_model_bundle(
            folder,
            model=self.model,
            model_config=self.model_config,
            tokenizers={"tokenizer": (data.tokenizers.target, describe(data.tokenizer))},
            search=describe(Sampling),
            training={
                "epoch": epoch,
                "step": step,
                "seed": data.seed,
                "train": names,
                "texts": texts,
                "read": reading,
            },
            scores=self.scores,
            card=Card(
                description=(
                    f"A recurrent language model, trained on the {texts:,} texts of {', '.join(names)}, read "
                    f"{reading}; weights of epoch {epoch}, step {step}. The scores are those of the validation text."
                ),
                intended_use=(
                    "Text like the text that it was trained on. It says what is probable, not what is true, and may "
                    "repeat what it has read word for word; nobody has looked for what it says that it should not."
                ),
                command=command_of_this_process(),
            ),
        )


def _figures(split: str, measured: Perplexity) -> dict[str, float]:
    return {
        f"{split}_loss": measured.nll,
        f"{split}_perplexity": measured.piece,
        f"{split}_perplexity_word": measured.word,
        f"{split}_bits_per_character": measured.bits_per_character,
    }


class LanguageModelTask(Task):
    """Texts that a model learns to continue, and whose probability it tells."""

    module = LanguageModelModule
    data = LanguageModelData
    reads = "text: --data.train TEXTS.txt"
    defaults = {**Task.defaults, "model.decoder.attention": None}

    @classmethod
    def answers(cls, bundle: Path, lines: Sequence[str]) -> list[str]:
        """The lines, continued."""
        from s2s.inference.generator import Generator

        generator = Generator.load(bundle)
        return [generator.generate(line, max_tokens=20) for line in lines]
