"""Text in, class out: the sequence classifier as a Lightning module."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Literal
from unicodedata import normalize

import torch
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor, distributed

from s2s.counted import counted
from s2s.errors import ConfigError, DataError
from s2s.evaluation.classes import Classes
from s2s.inference.card import Card, command_of_this_process
from s2s.inference.confusion import draw
from s2s.inference.model_bundle import save_model_bundle
from s2s.nn import Embedding, HeadLoss, SequenceEncoder
from s2s.nn.classifier import UNKNOWN_CLASS, SequenceClassifier, class_loss
from s2s.nn.pooling import Pooling
from s2s.registry.near_names import unknown
from s2s.registry.parts import describe
from s2s.text.batch import Batch
from s2s.text.corpus import BadLinePolicy, Sides
from s2s.text.store_builder import TooLongPolicy
from s2s.text.tokenizer import SPECIALS, Tokenizer
from s2s.training.datamodule import Corpora, PairData
from s2s.training.fine_tuning import check_labels
from s2s.training.options import read_value
from s2s.training.schedule import ScheduleName
from s2s.training.task import Task, TaskModule, check_monitor
from s2s_plugins.embeddings.lookup import LookupEmbedding
from s2s_plugins.encoders.recurrent import RecurrentEncoder
from s2s_plugins.tokenizers.labels import Labels

_SHOWN_CLASSES = 12


class ClassificationModule(TaskModule):
    """Sequence classifier, trained end to end on the cross-entropy of its classes.

    Args:
        embedding: turns tokens into vectors.
        encoder: reads the text.
        pooling: how the encoder's outputs become one vector: last is its final state; mean and max are over the
            positions of the text; attention is a mean with learned weights (Yang et al. 2016).
        hidden_size: units of the hidden layer between the pooled text and its classes; 0: there is none.
        dropout: dropout on the pooled text, and on the hidden layer.
        class_weights: weight of a text in training, by its class: none, all alike; balanced, the same total for each
            class (texts / (classes x texts of the class)); or a number for each class, 1 for one that is not named.
            Reported losses are unweighted.
        learning_rate: highest learning rate of AdamW.
        weight_decay: decoupled weight decay (Loshchilov & Hutter 2019); 0 makes AdamW Adam.
        adam_betas: decay of the means of gradient and squared gradient (Kingma & Ba 2015).
        warmup_steps: steps in which the learning rate rises linearly from 0.
        schedule: what follows the warm-up; plateau halves when `monitor` has not improved.
        plateau_patience: validations without improvement before plateau halves the learning rate.
        patience: validations without improvement of `monitor` before training stops; null: never.
        monitor: the validation figure that decides which checkpoint is best: val_accuracy, val_macro_F1 or val_loss.
        average_decay: validate and ship a moving average of the weights with this decay per step; 0: the weights.
        start_from: a bundle whose model, tokenizer and classes training starts from (fine-tuning); settings of these in
            the configuration that differ from the bundle's are reported and ignored.
    """

    ships = SequenceClassifier

    likelihood = False  # it is one, but a perplexity of classes is of no use
    unit = "texts"

    def __init__(
        self,
        *,
        embedding: Callable[[int], Embedding] = LookupEmbedding,
        encoder: Callable[[int], SequenceEncoder] = RecurrentEncoder,
        pooling: Pooling = "max",
        hidden_size: int = 0,
        dropout: float = 0.0,
        class_weights: Literal["none", "balanced"] | dict[str, float] = "none",
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
        figures = {"val_accuracy": True, "val_macro_F1": True, "val_loss": False}
        check_monitor(monitor, figures)
        if isinstance(class_weights, dict):
            for name, weight in class_weights.items():
                if not 0 <= weight < math.inf:
                    raise ConfigError(
                        f"model.class_weights: the weight of {name!r} is {weight}; it must be 0 or more"
                    )
        super().__init__(
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            adam_betas=adam_betas,
            warmup_steps=warmup_steps,
            schedule=schedule,
            plateau_patience=plateau_patience,
            patience=patience,
            monitor=monitor,
            higher_is_better=figures[monitor],
            average_decay=average_decay,
        )
        self.start_from = start_from
        self.parts: dict[str, Callable[..., Any]] = {"embedding": embedding, "encoder": encoder}
        self.settings = {"pooling": pooling, "hidden_size": hidden_size, "dropout": dropout}
        self.class_weights = class_weights
        self.weights: Tensor | None = None
        self.given: dict[int, int] = {}
        self.losses: list[HeadLoss] = []

    def configure_model(self) -> None:
        """Build the model for the vocabulary and the classes that the data module has learnt."""
        if self.model is not None:
            return
        config = {
            "vocabulary_size": self.data.source_vocabulary_size,
            "classes": len(self.data.classes),
            **{name: describe(part) for name, part in self.parts.items()},
            **self.settings,
        }
        model = self.made(SequenceClassifier, config)
        if self.trainer.state.fn != TrainerFn.FITTING:
            return
        if self.start_from is not None:
            check_labels(self.start_from, self.data.unknown_targets("train"), self.data.classes)
        if self.data.corpora["validation"] and not self.data.has_known_targets("validation"):
            raise _no_known_class(self.data.unknown_targets("validation")[0])
        counts = self.data.class_counts()
        self.weights = self._weights(counts)
        self.say(_told(counts))
        self.begin(model.embedding, self.data.tokenizers.source)

    def _weights(self, counts: dict[str, int]) -> Tensor | None:
        if self.class_weights == "none":
            return None
        if isinstance(self.class_weights, dict):
            given = {_class_of(key, counts): float(weight) for key, weight in self.class_weights.items()}
            weights = [given.get(name, 1.0) for name in counts]
            if not any(weights):
                raise ConfigError("model.class_weights: all classes have weight 0, so that nothing is learnt")
            return torch.tensor(weights)
        texts = sum(counts.values())
        return torch.tensor([texts / (len(counts) * max(1, count)) for count in counts.values()])

    def _gold(self, batch: Batch) -> Tensor:
        """The class of each text, [batch]."""
        gold = batch.target.ids[:, 1] - len(SPECIALS)  # begin mark, label, end mark
        return gold.masked_fill(gold < 0, UNKNOWN_CLASS)

    def _log_probs(self, batch: Batch) -> Tensor:
        assert isinstance(self.model, SequenceClassifier)
        found: Tensor = self.model(batch.source)
        return found

    def batch_loss(self, batch: Batch) -> HeadLoss:
        """The cross-entropy of the classes."""
        log_probs = self._log_probs(batch)
        weights = None if self.weights is None else self.weights.to(log_probs)
        return class_loss(log_probs, self._gold(batch), weights)

    # --- validation and test ----------------------------------------------------------------------------------------

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation."""
        self.given, self.losses = {}, []

    def on_test_epoch_start(self) -> None:
        """Forget the last test."""
        self.given, self.losses = {}, []

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Loss and classes of a batch."""
        log_probs = self._log_probs(batch)
        self.losses.append(class_loss(log_probs, self._gold(batch)))
        self._note(batch, log_probs)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Classes of a batch, in float32 like the bundle's, whatever the training precision."""
        with torch.autocast(self.device.type, enabled=False):
            self._note(batch, self._log_probs(batch))

    def _note(self, batch: Batch, log_probs: Tensor) -> None:
        self.given |= zip(batch.lines.tolist(), log_probs.argmax(-1).tolist(), strict=True)

    def on_validation_epoch_end(self) -> None:
        """Score, log, and report."""
        totals = torch.tensor(
            [sum(float(loss.nll) for loss in self.losses), sum(int(loss.tokens) for loss in self.losses)],
            dtype=torch.float64,
            device=self.device,
        )
        if self.trainer.world_size > 1:
            distributed.all_reduce(totals)
        classes = self._scored("validation")
        if not totals[1]:
            raise _no_known_class(next(iter(classes.unknown)))
        mean = float(totals[0] / totals[1])
        figures = {"val_loss": mean, "val_accuracy": classes.accuracy, "val_macro_F1": classes.macro_f1}
        self.validated(figures, classes.scores)
        # `s2s validate` has already named the checkpoint, and the trainer's own counters mean nothing then.
        fitting = self.trainer.state.fn == TrainerFn.FITTING
        when = f" after epoch {self.current_epoch + 1}, step {self.global_step}" if fitting else ""
        self.say(
            f"validation{when}: loss {mean:.3f}, accuracy {classes.accuracy:.2f}, macro-F1 {classes.macro_f1:.2f} "
            f"({counted(classes.texts, 'text')})"
        )
        if (note := classes.note()) is not None:
            self.say(f"validation: {note}")
        if not fitting:
            self.say("\n".join(classes.lines()))

    def on_test_epoch_end(self) -> None:
        """Score the test split; write the predicted classes, and a picture of the confusion matrix."""
        classes = self._scored("test")
        self.log("test_accuracy", classes.accuracy)
        self.log("test_macro_F1", classes.macro_f1)
        self.say("\n".join(classes.lines()))
        if (note := classes.note()) is not None:
            self.say(f"test: {note}")
        if not self.trainer.is_global_zero:
            return
        names = (self.data.classes[self.given[line]] for line in sorted(self.given))
        self.keep_output("classes", "classes.txt", "".join(f"{' '.join(name.split())}\n" for name in names))
        self.keep_scores(classes.scores)
        try:
            contents, notes = draw(classes, "test.confusion.png")
        except (ConfigError, DataError) as error:  # the scores are kept all the same
            self.say(f"no picture: {error}")
            return
        self.keep_output("confusion matrix", "confusion.png", contents)
        if notes:
            self.say("\n".join(notes))

    def _scored(self, split: str) -> Classes:
        """Predicted and gold classes of all ranks, in the order of the split."""
        if self.trainer.world_size > 1:
            parts: list[Any] = [None] * self.trainer.world_size
            distributed.all_gather_object(parts, self.given)
            self.given = {line: one for part in parts for line, one in part.items()}
        lines = sorted(self.given)
        references = self.data.references(split)[0]
        normalize = self.data.tokenizers.target.normalize
        known = self.data.classes
        return Classes(
            [normalize(references[line]) for line in lines],
            [known[self.given[line]] for line in lines],
            known,
        )

    # --- the bundle -------------------------------------------------------------------------------------------------

    def save_bundle(self, folder: Path, *, epoch: int, step: int) -> None:
        """Weights, tokenizers and card."""
        assert isinstance(self.model, SequenceClassifier)
        data: ClassificationData = self.data
        source, target = data.tokenizers
        texts = len(data.store("train"))
        names = [Path(path).name for spec in data.corpora["train"] for path in spec.paths]
        save_model_bundle(
            folder,
            model=self.model,
            model_config=self.model_config,
            tokenizers={
                "source_tokenizer": (source, describe(data.tokenizer_of("source"))),
                "target_tokenizer": (target, describe(data.tokenizer_of("target"))),
            },
            training={"epoch": epoch, "step": step, "seed": data.seed, "train": names, "texts": texts},
            scores=self.scores,
            card=Card(
                description=(
                    f"A recurrent classifier with {len(data.classes)} classes, trained on the {texts:,} texts of "
                    f"{', '.join(names)}; weights of epoch {epoch}, step {step}. The scores are those of the "
                    "validation text."
                ),
                intended_use=(
                    "Text like the text that it was trained on. Every text is given one of its classes, also one that "
                    "has none of them. Its scores say nothing of other text, and nobody has looked for what it gets "
                    "wrong in a way that matters."
                ),
                command=command_of_this_process(),
            ),
        )


class ClassificationData(PairData):
    """Texts and their classes from files to batches: `PairData` whose source is a text and whose target its class.

    Args:
        train: training texts with their classes: `texts.tsv` (text TAB class), `texts.jsonl` (plain or .gz), or a
            mapping with path, weight, source_key (where the text is), target_key (where its class is), reader; or a
            list of these.
        validation: texts for validation, in the same forms.
        test: texts for the test, in the same forms.
        tokenizer: how text becomes tokens. Each class is a single token, including spaces.
        batch_tokens: most padded tokens in a batch, rows x (longest text + 1), measured on plain segmentations, not on
            sampled ones, which are longer; training texts that alone have more are left out, counted and reported;
            null: 32,768.
        batch_sentences: most texts in a batch; null: no such limit.
        max_source_tokens: longest training text, in tokens; null: no limit.
        on_too_long: what happens to training texts beyond this limit; skipped and cut ones are counted and reported.
        on_bad_line: what happens to lines that are empty, not UTF-8, or without a class: an error that names file and
            line, or a counted and reported skip.
        cache: folder for tokenizers and stored text.
        num_workers: processes that prepare training batches beside the training process.
        seed: decides the order of training and sampled segmentations.
    """

    def __init__(
        self,
        *,
        train: Corpora | None = None,
        validation: Corpora | None = None,
        test: Corpora | None = None,
        tokenizer: Callable[[], Tokenizer] | None = None,
        batch_tokens: int | None = 4096,
        batch_sentences: int | None = None,
        max_source_tokens: int | None = None,
        on_too_long: TooLongPolicy = "truncate",
        on_bad_line: BadLinePolicy = "error",
        cache: str = "runs/cache",
        num_workers: int = 0,
        seed: int = 1,
    ) -> None:
        super().__init__(
            train=train,
            validation=validation,
            test=test,
            tokenizer=tokenizer,
            joint=False,
            batch_tokens=batch_tokens,
            batch_sentences=batch_sentences,
            max_source_tokens=max_source_tokens,
            on_too_long=on_too_long,
            on_bad_line=on_bad_line,
            cache=cache,
            num_workers=num_workers,
            seed=seed,
        )
        for split, specs in self.corpora.items():
            for spec in specs:
                if spec.references_key or spec.tell_length:
                    name = "references_key" if spec.references_key else "tell_length"
                    raise ConfigError(
                        f"data.{split}: {name} of {','.join(spec.paths)} is for targets that are text; a class has no "
                        "length, and no text has several. Leave it out"
                    )

    def tokenizer_of(self, side: Sides) -> Callable[[], Tokenizer]:
        """Each class is a single token."""
        return Labels if side == "target" else self.tokenizer

    @property
    def classes(self) -> list[str]:
        """Names of the classes, the most frequent first; the index of each is its number.

        Raises:
            DataError: the training texts have one class only.
        """
        target = self.tokenizers.target
        names = target.tokens(range(len(SPECIALS), target.vocabulary_size))
        if len(names) < 2:
            raise DataError(
                f"all training texts have the same class, {names[0]!r}; a classifier needs two to choose from"
            )
        return names

    def class_counts(self) -> dict[str, int]:
        """How many training texts have each class, by its name, in the order of `classes`."""
        counts = self.store("train").id_counts("target").tolist()
        counts += [0] * len(self.classes)  # a rare class may be missing, if its only text was too long
        return {name: counts[number] for number, name in enumerate(self.classes, start=len(SPECIALS))}


class SequenceClassification(Task):
    """Sentiment, topic, language, and whatever else is text in, class out."""

    module = ClassificationModule
    data = ClassificationData
    reads = "texts with their classes: --data.train TEXTS.tsv"

    @classmethod
    def answers(cls, bundle: Path, lines: Sequence[str]) -> list[str]:
        """The class of each line."""
        from s2s.inference.classifier import Classifier

        return Classifier.load(bundle, threads=1).classify(list(lines))


def _class_of(key: Any, classes: Collection[str]) -> str:
    """The class that a key names; YAML turns names such as `yes` and `1` into a truth value and a number.

    Raises:
        ConfigError: there is none, or more than one.
    """
    if isinstance(key, str):
        alike = [key] if key in classes else []
    else:
        alike = [name for name in classes if type(read_value(name)) is type(key) and read_value(name) == key]
    if len(alike) != 1:
        quoted = "" if isinstance(key, str) else ". Names that YAML takes for something else stand in quotes"
        raise ConfigError(f"model.class_weights: {unknown('class', str(key), classes)}{quoted}")
    return alike[0]


def _no_known_class(one: str) -> DataError:
    return DataError(
        f"no validation text has a class that a training text has; one is {one!r}. Which column or key is which? See "
        "source_key (the text) and target_key (its class) of data.train and data.validation"
    )


def _told(counts: dict[str, int]) -> str:
    some = list(counts.items())[:_SHOWN_CLASSES]
    more = "" if len(some) == len(counts) else ", ..."
    alike = Counter(normalize("NFC", name) for name in counts)

    def shown(name: str) -> str:  # names that look the same are told by their code points
        return repr(name) if alike[normalize("NFC", name)] == 1 else ascii(name)

    return f"{len(counts):,} classes: " + ", ".join(f"{shown(name)} {count:,}" for name, count in some) + more
