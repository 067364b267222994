"""A custom task whose batches hold more than pairs: an extra field of the data reaches the loss."""

import functools
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import s2s
from s2s import registry
from s2s.nn import HeadLoss, Seq2Seq
from s2s.padded import Padded
from s2s.registry import Catalogue, catalogue
from s2s.registry.catalogue import Entry
from s2s.text.batch import Batch
from s2s.training.datamodule import PairData
from s2s_plugins.tasks.seq2seq import Seq2SeqModule, Seq2SeqTask

DOMAINS = ["law", "news", "talks"]


class DomainBatch(NamedTuple):
    """Pairs, and the number of the domain that each comes from, [batch]."""

    source: Padded
    target: Padded
    lines: Tensor
    words: Sequence[Sequence[str]]
    domains: Tensor

    @property
    def inputs(self) -> Padded:
        return Batch(self.source, self.target, self.lines).inputs

    @property
    def gold(self) -> Padded:
        return Batch(self.source, self.target, self.lines).gold


@functools.cache
def records(path: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


class DomainData(PairData):
    """Pairs with the field `domain` of their JSON lines."""

    def on_before_batch_transfer(self, batch: Batch, dataloader_idx: int) -> DomainBatch:
        trainer: Any = self.trainer
        store = self.store("train" if trainer.training else "test" if trainer.testing else "validation")
        found = []
        for pair in batch.lines.tolist():
            (path,), line = store.line(pair)
            found.append(DOMAINS.index(records(path)[line - 1]["domain"]))
        return DomainBatch(*batch, torch.tensor(found))


class DomainModule(Seq2SeqModule):
    """Translates, and predicts the source's domain from the encoder's state."""

    def configure_model(self) -> None:
        if self.model is None:
            super().configure_model()
            assert isinstance(self.model, Seq2Seq)
            self.domain = nn.Linear(self.model.encoder.feature_size, len(DOMAINS))
            self.first_weight = self.domain.weight.detach().clone()

    def batch_loss(self, batch: Any) -> HeadLoss:
        assert isinstance(self.model, Seq2Seq)
        SEEN.append((self.trainer.training, batch.lines.tolist(), batch.domains.tolist()))
        loss = super().batch_loss(batch)
        vectors = self.model.source_embedding(batch.source.ids)
        state = self.model.encoder(vectors, batch.source.lengths).state
        guessed = self.domain(self.model.encoder.features(state))
        return loss._replace(total=loss.total + F.cross_entropy(guessed, batch.domains, reduction="sum"))


class DomainTask(Seq2SeqTask):
    """Translation with domain classification as a second objective."""

    module = DomainModule
    data = DomainData


SEEN: list[tuple[bool, list[int], list[int]]] = []


def corpus(path: Path, pairs: int, seed: int) -> list[str]:
    """Write JSON lines, every fifth of them bad, and return the domains of the good ones."""
    chance = random.Random(seed)
    lines, domains = [], []
    for i in range(pairs):
        words = [chance.choice("abcdef") for _ in range(chance.randint(1, 6))]
        record = {
            "source": " ".join(words),
            "target": " ".join(words[::-1]),
            "domain": chance.choice(DOMAINS),
        }
        if i % 5 == 2:
            record["target"] = ""
        else:
            domains.append(record["domain"])
        lines.append(json.dumps(record) + "\n")
    path.write_text("".join(lines), encoding="utf-8")
    return domains


@pytest.mark.parametrize("workers", [0, 1])
def test_a_field_of_the_data_reaches_the_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """Each pair has its own domain, in training order and in validation order, whether lines were skipped or not."""
    SEEN.clear()
    entry = Entry("task", "Domains", f"{__name__}:DomainTask", "own", "1.0")
    monkeypatch.setattr(registry, "_catalogue", Catalogue([*catalogue().entries(), entry]))
    expected = {True: corpus(tmp_path / "train.jsonl", 40, 1), False: corpus(tmp_path / "val.jsonl", 15, 2)}
    fitted = s2s.fit(
        {
            "task": "Domains",
            "model.embedding": {"class_path": "Lookup", "init_args": {"size": 4}},
            "model.encoder": {"class_path": "Recurrent", "init_args": {"hidden_size": 4}},
            "model.decoder": {"class_path": "Recurrent", "init_args": {"hidden_size": 4}},
            "data.train": str(tmp_path / "train.jsonl"),
            "data.validation": str(tmp_path / "val.jsonl"),
            "data.tokenizer": "Characters",
            "data.on_bad_line": "skip",
            "data.batch_sentences": 8,
            "data.cache": str(tmp_path / "cache"),
            "data.num_workers": workers,
            "trainer.max_epochs": 1,
            "trainer.logger": False,
            "run_folder": str(tmp_path / "run"),
        }
    )
    for training, domains in expected.items():
        batches = [(lines, found) for of_training, lines, found in SEEN if of_training == training]
        found = {
            line: domain for lines, of_batch in batches for line, domain in zip(lines, of_batch, strict=True)
        }
        assert [DOMAINS[found[line]] for line in sorted(found)] == domains
    assert any(lines != sorted(lines) for training, lines, _ in SEEN if training)
    assert not torch.equal(fitted.module.domain.weight, fitted.module.first_weight)
    assert fitted.bundle is not None  # of the translation model, as for any other
    assert len(s2s.Translator.load(str(fitted.bundle)).translate(["a b", "c"])) == 2
