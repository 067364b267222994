"""A minimal training loop: nn.LSTM, padded batches, CrossEntropyLoss, Adam, no optimizations.

Runs in s2s's own environment, called by measure.py, on the same pieces and the same length-sorted batches. Padding runs
through the LSTMs; only the attention masks it.
"""

import time
from pathlib import Path
from typing import Any

import torch
from peers.process import timed
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

PAD, UNK, BOS, EOS = 0, 1, 2, 3
VOCABULARY, SIZE = 8_000, 512


class Seq2Seq(nn.Module):
    """The benchmark's model."""

    def __init__(self, *, feeding: bool) -> None:
        super().__init__()
        self.feeding = feeding
        self.embedding = nn.Embedding(VOCABULARY, SIZE, padding_idx=PAD)
        nn.init.normal_(self.embedding.weight, std=SIZE**-0.5)
        self.encoder = nn.LSTM(SIZE, SIZE, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(4 * SIZE, 2 * SIZE)
        self.decoder = nn.LSTM(SIZE * (2 if feeding else 1), SIZE, batch_first=True)
        self.key = nn.Linear(2 * SIZE, SIZE, bias=False)
        self.combine = nn.Linear(3 * SIZE, SIZE)
        self.output = nn.Linear(SIZE, VOCABULARY)
        self.output.weight = self.embedding.weight

    def encode(self, source: Tensor) -> tuple[Any, ...]:
        """Everything that a decoder step reads or changes, batch first."""
        outputs, (h, c) = self.encoder(self.embedding(source))
        state = self.bridge(torch.cat([h[0], h[1], c[0], c[1]], dim=-1)).tanh()
        h, c = state.chunk(2, dim=-1)
        return outputs, self.key(outputs), source == PAD, h, c, torch.zeros_like(h)

    def attend(self, hidden: Tensor, outputs: Tensor, keys: Tensor, padding: Tensor) -> Tensor:
        scores = (hidden @ keys.transpose(1, 2)).masked_fill(padding[:, None], -1e4)
        context = scores.softmax(dim=-1) @ outputs
        return torch.tanh(self.combine(torch.cat([hidden, context], dim=-1)))

    def decode(self, tokens: Tensor, memory: tuple[Any, ...]) -> tuple[Tensor, tuple[Any, ...]]:
        """Logits of the tokens after `tokens`, [batch, time, vocabulary], and the changed state."""
        outputs, keys, padding, h, c, feed = memory
        embedded, state = self.embedding(tokens), (h[None].contiguous(), c[None].contiguous())
        if not self.feeding:
            hidden, state = self.decoder(embedded, state)
            combined = self.attend(hidden, outputs, keys, padding)
        else:
            steps = []
            for vector in embedded.unbind(1):
                hidden, state = self.decoder(torch.cat([vector, feed], dim=-1)[:, None], state)
                feed = self.attend(hidden, outputs, keys, padding)[:, 0]
                steps.append(feed)
            combined = torch.stack(steps, dim=1)
        return self.output(combined), (outputs, keys, padding, state[0][0], state[1][0], feed)


def batches(work: str) -> list[tuple[Tensor, Tensor]]:
    """The training text in the order and the batches of `ordered.ids`."""
    sides = []
    for side in ("en", "de"):
        lines = Path(work, f"ordered.ids.{side}").read_text().splitlines()
        sides.append([torch.tensor([int(word) for word in line.split()]) for line in lines])
    ends = torch.tensor([BOS]), torch.tensor([EOS])
    targets = [torch.cat([ends[0], target, ends[1]]) for target in sides[1]]
    return [
        (
            pad_sequence(sides[0][i : i + 64], batch_first=True, padding_value=PAD),
            pad_sequence(targets[i : i + 64], batch_first=True, padding_value=PAD),
        )
        for i in range(0, len(targets), 64)
    ]


def train(work: str, *, feeding: bool, bf16: bool, steps: int, every: int) -> tuple[Seq2Seq, list[float]]:
    """One sample per `every` steps of target tokens/s, counting ends but not padding."""
    torch.manual_seed(1)
    model = Seq2Seq(feeding=feeding)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    criterion = nn.CrossEntropyLoss(ignore_index=PAD)
    samples, tokens, began = [], 0, time.perf_counter()
    for step, (source, target) in enumerate(batches(work)[:steps], 1):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits, _ = model.decode(target[:, :-1], model.encode(source))
            loss = criterion(logits.flatten(0, 1), target[:, 1:].flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        tokens += int((target[:, 1:] != PAD).sum())
        if step % every == 0:
            now = time.perf_counter()
            samples.append(tokens / (now - began))
            tokens, began = 0, now
    return model, samples


def train_speed(
    work: str, folder: str, *, feeding: bool, bf16: bool, steps: int, every: int
) -> dict[str, Any]:
    """Trains for `steps` updates."""
    _, samples = train(work, feeding=feeding, bf16=bf16, steps=steps, every=every)
    return {"target_tokens_per_second": samples}


def train_model(work: str, folder: str, *, feeding: bool, bf16: bool, steps: int) -> dict[str, Any]:
    """Trains long enough for translations to end by themselves."""
    model, _ = train(work, feeding=feeding, bf16=bf16, steps=steps, every=20)
    Path(folder).mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), f"{folder}/model.pt")
    return {"steps": steps}


def search(model: Seq2Seq, source: Tensor, beam: int) -> list[list[int]]:
    """Beam search that runs until all beams have ended; the best by mean log-probability."""
    sentences = len(source)
    memory = tuple(part.repeat_interleave(beam, dim=0) for part in model.encode(source))
    tokens = torch.full((sentences * beam, 1), BOS)
    scores = torch.tensor([0.0] + [-1e9] * (beam - 1)).repeat(sentences, 1)
    ended = torch.zeros(sentences * beam, dtype=torch.bool)
    only_end = torch.full((VOCABULARY,), -1e9).index_fill(0, torch.tensor(EOS), 0.0)
    first = torch.arange(sentences)[:, None] * beam
    for _ in range(2 * source.shape[1] + 5):
        logits, memory = model.decode(tokens[:, -1:], memory)
        step = logits[:, 0].float().log_softmax(dim=-1)
        step[ended] = only_end
        total = scores[:, :, None] + step.view(sentences, beam, VOCABULARY)
        scores, chosen = total.flatten(1).topk(beam)
        rows = (first + chosen // VOCABULARY).flatten()
        memory = tuple(part[rows] for part in memory)
        tokens = torch.cat([tokens[rows], (chosen % VOCABULARY).view(-1, 1)], dim=1)
        ended = (tokens[:, 1:] == EOS).any(dim=1)
        if ended.all():
            break
    lengths = (tokens != EOS).sum(dim=1).view(sentences, beam)
    best = (scores / lengths).argmax(dim=1)
    return [
        one[1:].tolist()[: one[1:].tolist().index(EOS)] if EOS in one else one[1:].tolist()
        for one in tokens[first[:, 0] + best]
    ]


@torch.inference_mode()
def decode(
    work: str, folder: str, *, feeding: bool, bf16: bool, beam: int, batch: int, sentences: int, **limits: Any
) -> dict[str, Any]:
    """Translates the first `sentences` of the test split, in batches in file order."""
    model = Seq2Seq(feeding=feeding).eval()
    model.load_state_dict(torch.load(f"{folder}/model.pt", weights_only=True))
    pieces = ["<pad>", "<unk>", "<s>", "</s>"]
    pieces += Path(work, "vocabulary.txt").read_text(encoding="utf-8").split("\n")[:-1]
    lines = Path(work, "test.en.ids").read_text().splitlines()[:sentences]
    source = [torch.tensor([int(word) for word in line.split()]) for line in lines]

    def translate(some: list[Tensor]) -> list[str]:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            found = search(model, pad_sequence(some, batch_first=True, padding_value=PAD), beam)
        return [" ".join(pieces[i] for i in one) for one in found]

    return timed(translate, source, batch=batch, **limits)
