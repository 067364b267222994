"""Text in, text out: the encoder-decoder as a Lightning module."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
from pytorch_lightning.trainer.states import TrainerFn
from torch import distributed

from s2s.errors import ConfigError
from s2s.evaluation.defaults import METRICS, RESAMPLES, SUMMARY_METRICS
from s2s.evaluation.evaluate import evaluate
from s2s.evaluation.extracts import extracts
from s2s.evaluation.metric import Metric
from s2s.evaluation.table import bootstrap_note, table
from s2s.inference.bundle import save_bundle
from s2s.inference.card import Card, command_of_this_process
from s2s.nn import Bridge, Decoder, Embedding, Head, HeadLoss, Seq2Seq, SequenceEncoder
from s2s.registry import catalogue
from s2s.registry.parts import describe
from s2s.search.limits import output_limits
from s2s.search.stepper import ModelStepper
from s2s.search.strategy import SearchStrategy
from s2s.text.batch import Batch
from s2s.text.extended import ExtendedVocabulary
from s2s.text.tokenizer import BOS, EOS
from s2s.training.coverage import CoverageLoss
from s2s.training.datamodule import PairData
from s2s.training.schedule import ScheduleName
from s2s.training.scheduled_sampling import ScheduledSampling
from s2s.training.task import Task, TaskModule, check_monitor
from s2s.untrusted import printable
from s2s_plugins.bridges.linear import LinearBridge
from s2s_plugins.decoders.recurrent import RecurrentDecoder
from s2s_plugins.embeddings.lookup import LookupEmbedding
from s2s_plugins.encoders.recurrent import RecurrentEncoder
from s2s_plugins.heads.softmax import SoftmaxHead
from s2s_plugins.metrics.bleu import BLEU
from s2s_plugins.search.beam import Beam
from s2s_plugins.search.greedy import Greedy


class Seq2SeqModule(TaskModule):
    """Encoder-decoder trained with teacher forcing, validated by decoding.

    Args:
        embedding: turns tokens into vectors; one for each side.
        encoder: reads the source.
        bridge: carries the encoder's state to the decoder.
        decoder: writes the target.
        head: predicts the next token.
        share_embeddings: one embedding for both sides; needs data.joint.
        tie_head: output weights are the target embedding (Press & Wolf 2017).
        search: how validation decodes.
        test_search: how `s2s test` decodes, and what the bundle recommends.
        metric: what validation measures, logged as val_ and its name; `s2s test` also reports BLEU, chrF and TER, or,
            if it is a ROUGE metric, all of ROUGE-1, -2, -L and -Lsum.
        show_translations: how many translations each validation prints.
        max_output_tokens: maximum output length in validation and test, which the bundle recommends, for outputs that
            are short whatever the source, such as headlines; null: twice the tokens of the source and 20 more.
        start_from: a bundle whose model and tokenizers training starts from (fine-tuning); settings of these in the
            configuration that differ from the bundle's are reported and ignored.
        learning_rate: highest learning rate of AdamW.
        weight_decay: decoupled weight decay (Loshchilov & Hutter 2019); 0 makes AdamW Adam.
        adam_betas: decay of the means of gradient and squared gradient (Kingma & Ba 2015).
        warmup_steps: steps in which the learning rate rises linearly from 0.
        schedule: what follows the warm-up; plateau halves when `monitor` has not improved.
        plateau_patience: validations without improvement before plateau halves the learning rate.
        patience: validations without improvement of `monitor` before training stops; null: never.
        monitor: the validation figure that decides which checkpoint is best: val_loss, or val_ and the metric's name.
        average_decay: validate and ship a moving average of the weights with this decay per step; 0: the weights.
        scheduled_sampling: how the share of gold tokens that the decoder reads in training decays; the rest is sampled
            from its own predictions (Bengio et al. 2015); none: it reads gold tokens only.
        sampling_half_steps: steps after which half of the tokens are the model's own, whatever the curve.
        sampling_floor: minimum share of gold tokens.
        coverage_loss: weight of the coverage loss, which penalizes attending to the same position repeatedly (See et
            al. 2017, eq. 12-13; they use 1); 0: none. val_loss and val_perplexity do not include it.
        coverage_loss_after: optimizer steps before the coverage loss is added. See et al. add it near the end of
            training.
    """

    ships = Seq2Seq

    def __init__(
        self,
        *,
        embedding: Callable[[int], Embedding] = LookupEmbedding,
        encoder: Callable[[int], SequenceEncoder] = RecurrentEncoder,
        bridge: Callable[[int, int], Bridge] = LinearBridge,
        decoder: Callable[[int, int], Decoder] = RecurrentDecoder,
        head: Callable[[int, int, int, int], Head] = SoftmaxHead,
        share_embeddings: bool = True,
        tie_head: bool = True,
        search: Callable[[], SearchStrategy] = Greedy,
        test_search: Callable[[], SearchStrategy] = Beam,
        metric: Callable[[], Metric] = BLEU,
        show_translations: int = 3,
        max_output_tokens: int | None = None,
        start_from: str | None = None,
        learning_rate: float = 0.001,
        weight_decay: float = 0.0,
        adam_betas: tuple[float, float] = (0.9, 0.999),
        warmup_steps: int = 500,
        schedule: ScheduleName = "inverse_sqrt",
        plateau_patience: int = 2,
        patience: int | None = None,
        monitor: str = "val_BLEU",
        average_decay: float = 0.0,
        scheduled_sampling: Literal["none", "linear", "exponential", "inverse_sigmoid"] = "none",
        sampling_half_steps: int = 10000,
        sampling_floor: float = 0.0,
        coverage_loss: float = 0.0,
        coverage_loss_after: int = 0,
    ) -> None:
        self.metric = metric()
        self.metric_name = catalogue().name_of("metric", type(self.metric))
        figures = {
            f"val_{self.metric_name}": self.metric.higher_is_better,
            "val_loss": False,
            "val_perplexity": False,
        }
        if max_output_tokens is not None and max_output_tokens < 1:
            raise ConfigError(
                f"model.max_output_tokens is {max_output_tokens}; it must be at least 1, or null for no such limit"
            )
        check_monitor(monitor, figures)
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
        self.sampling = (
            None
            if scheduled_sampling == "none"
            else ScheduledSampling(scheduled_sampling, half_steps=sampling_half_steps, floor=sampling_floor)
        )
        self.coverage = CoverageLoss(coverage_loss, after=coverage_loss_after)
        self.parts: dict[str, Callable[..., Any]] = {
            "embedding": embedding,
            "encoder": encoder,
            "bridge": bridge,
            "decoder": decoder,
            "head": head,
        }
        self.ties = {"share_embeddings": share_embeddings, "tie_head": tie_head}
        self.search = search()
        test_search()  # raises its errors before training, not after it
        self.test_search = test_search
        self.show_translations = show_translations
        self.max_output_tokens = max_output_tokens
        self.start_from = start_from
        self.decoded: dict[int, str] = {}
        self.losses: list[HeadLoss] = []

    def configure_model(self) -> None:
        """Build the model for the vocabularies that the data module has learnt."""
        if self.model is not None:
            return
        sizes = {
            "source_vocabulary_size": self.data.source_vocabulary_size,
            "target_vocabulary_size": self.data.target_vocabulary_size,
        }
        config = {
            **sizes,
            **{name: describe(part) for name, part in self.parts.items()},
            **self.ties,
        }
        source, target = self.data.tokenizers
        if self.ties["share_embeddings"] and source is not target and self.bundle is None:
            raise ConfigError(
                "share_embeddings needs one tokenizer for both sides, but data.joint is false; set data.joint: true or "
                "model.share_embeddings: false"
            )
        model = self.made(Seq2Seq, config)
        if model.head.copies and source is not target:
            raise ConfigError(
                f"{type(model.head).__name__} copies source tokens as they are, which needs one tokenizer for both "
                "sides, but data.joint is false; set data.joint: true or choose another model.head"
            )
        sides = {model.source_embedding: source, model.target_embedding: target}  # one, if it is shared
        for embedding, tokenizer in sides.items():
            self.begin(embedding, tokenizer)
        self.data.copies = model.head.copies
        if self.coverage.weight and not model.decoder.context_size:
            raise ConfigError(
                f"model.coverage_loss {self.coverage.weight} needs attention, and the decoder has none; give it one, "
                "as --model.decoder.attention Coverage, or set model.coverage_loss: 0"
            )

    def batch_loss(self, batch: Batch) -> Any:
        """Loss with teacher forcing; in training with scheduled sampling, if it is enabled."""
        assert isinstance(self.model, Seq2Seq)
        gold_share = self.sampling.epsilon if self.sampling is not None and self.training else 1.0
        coverage = self.coverage.factor if self.training else 0.0
        return self.model.loss(
            batch.source, batch.inputs, batch.gold.ids, gold_share=gold_share, coverage=coverage
        )

    # --- validation and test ----------------------------------------------------------------------------------------

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation."""
        self.decoded, self.losses = {}, []

    def on_test_epoch_start(self) -> None:
        """Forget the last test."""
        self.decoded, self.losses = {}, []

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Loss and translations of a batch."""
        self.losses.append(self.batch_loss(batch))
        self._decode(batch, self.search)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Translations of a batch, in float32 like the bundle's, whatever the training precision."""
        with torch.autocast(self.device.type, enabled=False):
            self._decode(batch, self.test_search())

    def on_validation_epoch_end(self) -> None:
        """Score, log, and show a few translations."""
        total = sum(float(loss.nll) for loss in self.losses)
        tokens = sum(int(loss.tokens) for loss in self.losses)
        totals = torch.tensor([total, float(tokens)], dtype=torch.float64, device=self.device)
        if self.trainer.world_size > 1:
            distributed.all_reduce(totals)
        mean = float(totals[0] / totals[1])
        lines, hypotheses, references = self._gathered("validation")
        score = self.metric.score(hypotheses, references)
        perplexity = math.exp(min(mean, 100.0))
        figures = {"val_loss": mean, "val_perplexity": perplexity, f"val_{self.metric_name}": score.value}
        self.validated(figures, [score])
        sources = self.data.sources("validation")
        # `s2s validate` has already named the checkpoint, and the trainer's own counters mean nothing then.
        fitting = self.trainer.state.fn == TrainerFn.FITTING
        when = f" after epoch {self.current_epoch + 1}, step {self.global_step}" if fitting else ""
        self.say(f"\nvalidation{when}: loss {mean:.3f}, perplexity {perplexity:.2f}, {score}")
        shown = lines[:: max(1, len(lines) // max(1, self.show_translations))][: self.show_translations]
        texts = dict(zip(lines, zip(hypotheses, references[0], strict=True), strict=True))
        for line in shown:
            source, hypothesis, reference = map(printable, (sources[line], *texts[line]))
            self.say(f"  source    {source}\n  output    {hypothesis}\n  reference {reference}\n")

    def on_test_epoch_end(self) -> None:
        """Score the test split with `metric` and the usual metrics, and write the outputs."""
        lines, hypotheses, references = self._gathered("test")
        own = self.metric.score(hypotheses, references)
        self.log("test_metric", own.value)
        self.say(f"model.metric {own}")
        systems, summaries = {"model": hypotheses}, self.metric_name in SUMMARY_METRICS
        if summaries:  # extractive baselines are scored, too, as in `s2s evaluate --sources`
            sources = self.data.sources("test")
            systems |= extracts([sources[line] for line in lines], references, 1)
        resamples = RESAMPLES if summaries else 0
        scores = []
        for name in SUMMARY_METRICS if summaries else METRICS:
            rows = list(evaluate(systems, references, metrics=[name], resamples=resamples))
            for line in table(rows):
                self.say(line)
            for row in rows:
                if row.system == "model":
                    self.log(f"test_{name}{'_lowercase' if row.case == 'lower-cased' else ''}", row.score)
                    scores.append(row.as_score)
        if note := bootstrap_note(len(hypotheses), resamples):
            self.say(note)
        self.keep_output("hypotheses", "hypotheses.txt", "".join(f"{line}\n" for line in hypotheses))
        known = {score.signature for score in scores}
        self.keep_scores(scores if own.signature in known else [own, *scores])

    def _decode(self, batch: Batch, search: SearchStrategy) -> None:
        assert isinstance(self.model, Seq2Seq)
        memory, state = self.model.encode(batch.source)
        limits, minimums = output_limits(batch.source.lengths, max_tokens=self.max_output_tokens)
        found = search.search(
            ModelStepper(self.model, batch.source, memory, with_weights=search.reads_weights),
            state,
            bos=BOS,
            eos=EOS,
            limits=limits,
            minimums=minimums,
        )
        words = batch.words or [()] * len(found)
        for line, own, hypotheses in zip(batch.lines.tolist(), words, found, strict=True):
            text = ExtendedVocabulary(self.data.tokenizers.target, own).decode(hypotheses[0].tokens)
            self.decoded[line] = text.replace("\n", " ")  # one line per output

    def _gathered(self, split: str) -> tuple[list[int], list[str], list[list[str]]]:
        """Lines, hypotheses and sets of references of all ranks, in the order of the split."""
        if self.trainer.world_size > 1:
            parts: list[Any] = [None] * self.trainer.world_size
            distributed.all_gather_object(parts, self.decoded)
            self.decoded = {line: text for part in parts for line, text in part.items()}
        lines = sorted(self.decoded)
        references = [[one[line] for line in lines] for one in self.data.references(split)]
        return lines, [self.decoded[line] for line in lines], references

    # --- the bundle -------------------------------------------------------------------------------------------------

    def save_bundle(self, folder: Path, *, epoch: int, step: int) -> None:
        """Weights, tokenizers, search and card."""
        assert isinstance(self.model, Seq2Seq)
        data: PairData = self.data
        source, target = data.tokenizers
        joint = target is source
        spec = describe(data.tokenizer)
        save_bundle(
            folder,
            model=self.model,
            model_config=self.model_config,
            source_tokenizer=source,
            source_tokenizer_spec=spec,
            target_tokenizer=None if joint else target,
            target_tokenizer_spec=None if joint else spec,
            search=describe(self.test_search),
            max_output_tokens=self.max_output_tokens,
            training={"epoch": epoch, "step": step, "seed": data.seed, **self._corpora()},
            scores=self.scores,
            card=Card(
                description=(
                    f"A recurrent encoder-decoder model, trained on the {len(data.store('train')):,} pairs of "
                    f"{', '.join(self._corpora()['train'])}; weights of epoch {epoch}, step {step}. The scores are "
                    "those of the validation text."
                ),
                intended_use=(
                    "Text like the text that it was trained on. Its scores say nothing of other text, and nobody "
                    "has looked for what it gets wrong in a way that matters."
                ),
                command=command_of_this_process(),
            ),
        )

    def _corpora(self) -> dict[str, Any]:
        """The training corpora: names of the files and number of pairs."""
        data: PairData = self.data
        names = [Path(path).name for spec in data.corpora["train"] for path in spec.paths]
        told = any(spec.tell_length for spec in data.corpora["train"])
        return {
            "train": names,
            "pairs": len(data.store("train")),
            **({"told_lengths": True} if told else {}),
        }


class Seq2SeqTask(Task):
    """Translation, summarization, and whatever else is text in, text out."""

    module = Seq2SeqModule
    data = PairData
