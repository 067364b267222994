"""The peers' plain loop: its beam search against all sequences there are, its batches against padding."""

import itertools

import pytest
import torch
from peers import plain
from torch import Tensor

VOCABULARY = 6  # the four reserved ids and two words


class Bigrams:
    """A model whose next token depends on the last one alone."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(3)
        logits = torch.randn(VOCABULARY, VOCABULARY, generator=generator)
        logits[:, : plain.EOS] = -1e9
        self.table = logits.log_softmax(dim=-1)

    def encode(self, source: Tensor) -> tuple[Tensor, ...]:
        return (source,)

    def decode(self, tokens: Tensor, memory: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        return self.table[tokens], memory

    def score(self, sequence: tuple[int, ...]) -> float:
        """Mean log-probability."""
        path = (plain.BOS, *sequence)
        steps = [float(self.table[a, b]) for a, b in itertools.pairwise(path)]
        return sum(steps) / len(steps)


def test_wide_beam_is_exhaustive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "VOCABULARY", VOCABULARY)
    model, source = Bigrams(), torch.full((2, 1), 4)
    limit = 2 * source.shape[1] + 5
    words = range(plain.EOS + 1, VOCABULARY)
    ended = [
        (*inside, plain.EOS) for length in range(limit) for inside in itertools.product(words, repeat=length)
    ]
    cut = list(itertools.product(words, repeat=limit))
    best = max(ended + cut, key=model.score)
    found = plain.search(model, source, beam=len(ended) + len(cut))
    assert found == [[token for token in best if token != plain.EOS]] * 2


def test_beam_of_one_is_greedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "VOCABULARY", VOCABULARY)
    model, source = Bigrams(), torch.full((1, 3), 4)
    expected, token = [], plain.BOS
    for _ in range(2 * source.shape[1] + 5):
        token = int(model.table[token].argmax())
        if token == plain.EOS:
            break
        expected.append(token)
    assert plain.search(model, source, beam=1) == [expected]


@pytest.mark.parametrize("feeding", [False, True])
def test_steps_agree_with_the_whole(feeding: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "VOCABULARY", 11)
    monkeypatch.setattr(plain, "SIZE", 8)
    torch.manual_seed(0)
    model = plain.Seq2Seq(feeding=feeding).double()
    source, target = torch.randint(4, 11, (3, 5)), torch.randint(4, 11, (3, 4))
    whole, _ = model.decode(target, model.encode(source))
    memory, steps = model.encode(source), []
    for token in target.split(1, dim=1):
        logits, memory = model.decode(token, memory)
        steps.append(logits)
    torch.testing.assert_close(torch.cat(steps, dim=1), whole)
