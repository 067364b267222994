"""A label for each word: the recurrent labeller as a Lightning module."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from pytorch_lightning.trainer.states import TrainerFn
from torch import distributed

from s2s.counted import counted
from s2s.errors import ConfigError, DataError
from s2s.evaluation.labelling import are_bio, f1_by_label, most_confused, scores
from s2s.inference.card import Card, command_of_this_process
from s2s.inference.model_bundle import save_model_bundle
from s2s.nn import Embedding, HeadLoss, SequenceEncoder, SequenceLabeller
from s2s.registry.parts import describe
from s2s.text.annotated import AnnotatedCorpus
from s2s.text.corpus import open_corpus
from s2s.text.tokenizer import UNK
from s2s.training.fine_tuning import check_labels
from s2s.training.schedule import ScheduleName
from s2s.training.task import Task, TaskModule, check_monitor
from s2s_plugins.embeddings.lookup import LookupEmbedding
from s2s_plugins.encoders.recurrent import RecurrentEncoder
from s2s_plugins.tasks.labelled_data import LabelledBatch, LabelledData

FIGURES = {"val_accuracy": True, "val_macro_F1": True, "val_span_F1": True, "val_loss": False}
"""Validation metrics, and whether higher is better."""

SHOWN = 5
"""Number of confusions that a validation prints, and of unknown labels that it names."""


class SequenceLabellingModule(TaskModule):
    """Labeller trained on the negative log-likelihood of gold labels, validated by its predictions.

    Args:
        encoder: reads the vectors of the words of a sentence.
        word_embedding: vectors of whole words; null: words are represented by their pieces only.
        piece_embedding: vectors of the pieces of words.
        piece_encoder: reads the pieces of each word, and its features are part of the word's vector; null: pieces are
            not read.
        dropout: dropout on the vectors of words.
        crf: use a CRF, where labels depend on their neighbours (Lafferty et al. 2001); else each is predicted
            independently.
        learning_rate: highest learning rate of AdamW.
        weight_decay: decoupled weight decay (Loshchilov & Hutter 2019); 0 makes AdamW Adam.
        adam_betas: decay of the means of gradient and squared gradient (Kingma & Ba 2015).
        warmup_steps: steps in which the learning rate rises linearly from 0.
        schedule: what follows the warm-up; plateau halves when `monitor` has not improved.
        plateau_patience: validations without improvement before plateau halves the learning rate.
        patience: validations without improvement of `monitor` before training stops; null: never.
        monitor: the validation figure that decides which checkpoint is best: val_accuracy, val_macro_F1, val_loss, or,
            where labels are BIO, val_span_F1.
        average_decay: validate and ship a moving average of the weights with this decay per step; 0: the weights.
        start_from: a bundle whose model, tokenizers and labels training starts from (fine-tuning); settings of these in
            the configuration that differ from the bundle's are reported and ignored.
    """

    ships = SequenceLabeller

    unit = "words"
    data: LabelledData

    def __init__(
        self,
        *,
        encoder: Callable[[int], SequenceEncoder] = RecurrentEncoder,
        word_embedding: Callable[[int], Embedding] | None = LookupEmbedding,
        piece_embedding: Callable[[int], Embedding] = LookupEmbedding,
        piece_encoder: Callable[[int], SequenceEncoder] | None = RecurrentEncoder,
        dropout: float = 0.0,
        crf: bool = False,
        learning_rate: float = 0.001,
        weight_decay: float = 0.0,
        adam_betas: tuple[float, float] = (0.9, 0.999),
        warmup_steps: int = 200,
        schedule: ScheduleName = "inverse_sqrt",
        plateau_patience: int = 2,
        patience: int | None = None,
        monitor: str = "val_accuracy",
        average_decay: float = 0.0,
        start_from: str | None = None,
    ) -> None:
        check_monitor(monitor, FIGURES)
        super().__init__(
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            adam_betas=adam_betas,
            warmup_steps=warmup_steps,
            schedule=schedule,
            plateau_patience=plateau_patience,
            patience=patience,
            monitor=monitor,
            higher_is_better=FIGURES[monitor],
            average_decay=average_decay,
        )
        self.start_from = start_from
        self.parts: dict[str, Callable[..., Any] | None] = {
            "encoder": encoder,
            "word_embedding": word_embedding,
            "piece_embedding": piece_embedding,
            "piece_encoder": piece_encoder,
        }
        self.choice = {"dropout": dropout, "crf": crf}
        self.said: dict[int, list[str]] = {}
        self.losses: list[HeadLoss] = []

    def configure_model(self) -> None:
        """Build the model for the words, pieces and labels that the data module has learnt."""
        if self.model is not None:
            return
        labels = self.data.labels()
        if self.monitor == "val_span_F1" and not are_bio(labels):
            raise ConfigError(
                f"model.monitor is 'val_span_F1', but the labels are not BIO: {', '.join(labels[:SHOWN])}...; choose "
                "val_accuracy or val_macro_F1"
            )
        if len(labels) < 2:
            raise DataError(
                f"all training words have the same label, {labels[0]!r}; a labeller needs two to choose from"
            )
        config = {
            "source_vocabulary_size": self.data.source_vocabulary_size,
            "piece_vocabulary_size": self.data.spelling.pieces.vocabulary_size,
            "target_vocabulary_size": self.data.target_vocabulary_size,
            **{name: None if part is None else describe(part) for name, part in self.parts.items()},
            **self.choice,
        }
        model = self.made(SequenceLabeller, config)
        if self.trainer.state.fn == TrainerFn.FITTING:
            if self.start_from is not None:
                check_labels(self.start_from, self.data.unknown_targets("train"), labels)
            if self.data.corpora["validation"]:
                self._check_validation()
        words, pieces = self.data.spelling.words, self.data.spelling.pieces
        for embedding, tokenizer in ((model.word_embedding, words), (model.piece_embedding, pieces)):
            if embedding is not None:
                self.begin(embedding, tokenizer)

    def _check_validation(self) -> None:
        """Refuse before the first epoch what the validation after it could not measure."""
        labels = [label for line in self.data.references("validation")[0] for label in line.split()]
        if self.monitor == "val_span_F1" and not are_bio(labels):
            raise self._not_bio()
        if not self.data.has_known_targets("validation"):
            raise _no_known_label(labels[0])

    def _not_bio(self) -> ConfigError:
        return ConfigError(
            f"model.monitor is {self.monitor!r}, but the labels of the validation text are not BIO; choose "
            "val_accuracy or val_macro_F1"
        )

    def batch_loss(self, batch: LabelledBatch) -> HeadLoss:
        """Negative log-likelihood of the labels that are known."""
        assert isinstance(self.model, SequenceLabeller)
        return self.model.loss(batch.source, batch.labels)

    # --- validation and test ----------------------------------------------------------------------------------------

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation."""
        self.said, self.losses = {}, []

    def on_test_epoch_start(self) -> None:
        """Forget the last test."""
        self.said, self.losses = {}, []

    def validation_step(self, batch: LabelledBatch, batch_idx: int) -> None:
        """Loss and labels of a batch."""
        self.losses.append(self.batch_loss(batch))
        self._label(batch)

    def test_step(self, batch: LabelledBatch, batch_idx: int) -> None:
        """Labels of a batch, in float32 like the bundle's, whatever the training precision."""
        with torch.autocast(self.device.type, enabled=False):
            self._label(batch)

    def on_validation_epoch_end(self) -> None:
        """Score, log, and show the most frequent confusions."""
        totals = torch.tensor(
            [sum(float(loss.nll) for loss in self.losses), sum(int(loss.tokens) for loss in self.losses)],
            dtype=torch.float64,
            device=self.device,
        )
        if self.trainer.world_size > 1:
            distributed.all_reduce(totals)
        mean = float(totals[0] / totals[1].clamp(min=1))
        hypotheses, references = self._gathered("validation")
        found = scores(hypotheses, references)
        figures = {"val_loss": mean, **{f"val_{score.name}": score.value for score in found}}
        if self.monitor not in figures:
            raise self._not_bio()
        if not totals[1]:
            raise _no_known_label(references[0][0])
        self.validated(figures, found)
        # `s2s validate` has already named the checkpoint, and the trainer's own counters mean nothing then.
        fitting = self.trainer.state.fn == TrainerFn.FITTING
        when = f" after epoch {self.current_epoch + 1}, step {self.global_step}" if fitting else ""
        values = ", ".join(f"{score.name} {score.value:.2f}" for score in found)
        self.say(f"\nvalidation{when}: loss {mean:.3f}, {values} ({counted(len(references), 'sentence')})")
        self._tell(hypotheses, references)

    def on_test_epoch_end(self) -> None:
        """Score the test split, show each label's F1, and write the predicted labels."""
        hypotheses, references = self._gathered("test")
        found = scores(hypotheses, references)
        for score in found:
            self.log(f"test_{score.name}", score.value)
            self.say(str(score))
        for label, value in f1_by_label(hypotheses, references).items():
            self.say(f"  F1 of {label:<12} {value:6.2f}")
        self._tell(hypotheses, references)
        self.keep_output("labels", "labels.txt", "".join(f"{' '.join(labels)}\n" for labels in hypotheses))
        self.keep_scores(found)

    def _label(self, batch: LabelledBatch) -> None:
        assert isinstance(self.model, SequenceLabeller)
        labels = self.data.tokenizers.target
        found = self.model.label(batch.source).ids.tolist()
        for line, ids, length in zip(
            batch.lines.tolist(), found, batch.source.words.lengths.tolist(), strict=True
        ):
            self.said[line] = labels.tokens(ids[:length])

    def _gathered(self, split: Literal["validation", "test"]) -> tuple[list[list[str]], list[list[str]]]:
        """Predicted and gold labels of all ranks, in the order of the split."""
        if self.trainer.world_size > 1:
            parts: list[Any] = [None] * self.trainer.world_size
            distributed.all_gather_object(parts, self.said)
            self.said = {line: labels for part in parts for line, labels in part.items()}
        store = self.data.store(split)
        lines = sorted(self.said)
        return [self.said[line] for line in lines], [store.text("target", line).split() for line in lines]

    def _tell(self, hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> None:
        for ours, right, count in most_confused(hypotheses, references, SHOWN):
            self.say(f"  {count:6,} times {ours} for {right}")
        tokenizer = self.data.tokenizers.target
        unknown = [label for labels in references for label in labels if tokenizer.encode(label) == [UNK]]
        if unknown:
            names = ", ".join(sorted(set(unknown))[:SHOWN])
            self.say(
                f"  {len(unknown):,} words have a label that the training text has not, and count as wrong: {names}"
            )

    # --- the bundle -------------------------------------------------------------------------------------------------

    def save_bundle(self, folder: Path, *, epoch: int, step: int) -> None:
        """Weights, tokenizers and card."""
        assert isinstance(self.model, SequenceLabeller)
        data = self.data
        names = [Path(path).name for spec in data.corpora["train"] for path in spec.paths]
        readers = [open_corpus(spec) for spec in data.corpora["train"]]
        columns = {reader.layout.label_name for reader in readers if isinstance(reader, AnnotatedCorpus)}
        save_model_bundle(
            folder,
            model=self.model,
            model_config=self.model_config,
            tokenizers={
                name: (tokenizer, describe(made_by))
                for name, (tokenizer, made_by) in data.named_tokenizers().items()
            },
            training={
                "epoch": epoch,
                "step": step,
                "seed": data.seed,
                "train": names,
                "sentences": len(data.store("train")),
                **({"column": columns.pop()} if len(columns) == 1 else {}),
            },
            scores=self.scores,
            card=Card(
                description=(
                    f"A recurrent labeller, trained on the {len(data.store('train')):,} sentences of "
                    f"{', '.join(names)}; weights of epoch {epoch}, step {step}. The scores are those of the "
                    "validation text."
                ),
                intended_use=(
                    "Words like those that it was trained on, separated as they were there. Its scores say nothing of "
                    "other text, and nobody has looked for what it gets wrong in a way that matters."
                ),
                command=command_of_this_process(),
            ),
        )


def _no_known_label(one: str) -> DataError:
    return DataError(
        f"no validation word has a label that a training word has; one is {one!r}. Which column is which? See "
        "source_key (the words) and target_key (their labels) of data.train and data.validation"
    )


class SequenceLabelling(Task):
    """An output at every step: parts of speech, names, and whatever else words have labels for."""

    module = SequenceLabellingModule
    data = LabelledData
    reads = "words with their labels: --data.train WORDS.conllu"

    @classmethod
    def answers(cls, bundle: Path, lines: Sequence[str]) -> list[str]:
        """The labels of the words between spaces, with spaces between them."""
        from s2s.inference.labeller import Labeller

        return [" ".join(labels) for labels in Labeller.load(bundle, threads=1).label(list(lines))]

    @classmethod
    def sample_options(cls, folder: Path) -> dict[str, Any]:
        """For the kit: letters of words decide their labels."""
        from s2s.testing.tasks import PAIRS, SIZE

        text = "".join(
            "".join(f"{word}\t{'B' if word[0] in 'aeiost' else 'I'}-X\n" for word in source.split()) + "\n"
            for source, _ in PAIRS
        )
        (folder / "words.conll").write_text(text, encoding="utf-8")
        small = {"class_path": "Recurrent", "init_args": {"hidden_size": SIZE}}
        table = {"class_path": "Lookup", "init_args": {"size": SIZE}}
        return {
            "data.train": str(folder / "words.conll"),
            "data.validation": str(folder / "words.conll"),
            "data.cache": str(folder / "cache"),
            "data.minimum_count": 1,
            "model.encoder": small,
            "model.word_embedding": table,
            "model.piece_embedding": table,
            "model.piece_encoder": small,
            "model.crf": True,
            "model.warmup_steps": 1,
        }
