"""Searches in numpy and their twins in torch: the same hypotheses and scores from the same distributions."""

from typing import NamedTuple

import numpy as np
import pytest
import torch

from s2s.errors import ConfigError
from s2s.runtime import search
from s2s.search.stepper import Step, Stepper
from s2s.text.tokenizer import BOS, EOS
from s2s_plugins.search.beam import Beam
from s2s_plugins.search.greedy import Greedy

VOCABULARY, SENTENCES = 7, 5


class Bigrams(Stepper):
    """Each sentence has a table of its own: what follows what; the state counts the steps."""

    def __init__(self, tables: torch.Tensor) -> None:
        self.tables = tables  # [sentences, vocabulary, vocabulary]
        self.source_lengths = torch.full((len(tables),), 3)

    def __call__(self, tokens: torch.Tensor, state: torch.Tensor) -> Step:
        rows = torch.arange(len(tokens)).unsqueeze(1)
        # What is likely changes with the number of steps, so that beams that are mixed up are seen.
        steps = state.view(*tokens.shape, 1)
        log_probs = (self.tables[rows, tokens] * (1 + 0.1 * steps)).log_softmax(-1)
        log_probs[..., : BOS + 1] = -torch.inf
        return Step(log_probs, state + 1, None)

    def keep(self, sentences: torch.Tensor) -> "Bigrams":
        return Bigrams(self.tables[sentences])


class Best(NamedTuple):
    log_probs: np.ndarray
    tokens: np.ndarray
    state: list[np.ndarray]


class AsArrays:
    """A stepper of torch as one of numpy."""

    def __init__(self, stepper: Stepper) -> None:
        self.stepper = stepper

    def best(self, tokens: np.ndarray, state: list[np.ndarray], k: int) -> Best:
        found = self.stepper.best(torch.from_numpy(tokens), torch.from_numpy(state[0]).flatten(), k)
        following = found.state.numpy().reshape(tokens.shape)
        return Best(found.log_probs.numpy(), found.tokens.numpy(), [following])

    def keep(self, sentences: np.ndarray) -> "AsArrays":
        return AsArrays(self.stepper.keep(torch.from_numpy(sentences)))


def tables(seed, *, ties=False, nan=False, dead=False):
    generator = torch.Generator().manual_seed(seed)
    drawn = 2 * torch.randn(SENTENCES, VOCABULARY, VOCABULARY, generator=generator)
    if ties:
        drawn = drawn.round()
    if nan:
        drawn[1, 4:] = torch.nan
    if dead:
        drawn[2] = -torch.inf
        drawn[2, :, 5] = 0.0  # the only token that can follow, and never the end
    return drawn


def compare(twin, strategy, drawn, limits, minimums=None):
    minimums = [0] * SENTENCES if minimums is None else minimums
    stepper = Bigrams(drawn)
    expected = strategy.search(
        stepper,
        torch.zeros(SENTENCES),
        bos=BOS,
        eos=EOS,
        limits=torch.tensor(limits),
        minimums=torch.tensor(minimums),
    )
    found = twin.search(
        AsArrays(stepper),
        [np.zeros((SENTENCES, 1), dtype=np.float32)],
        bos=BOS,
        eos=EOS,
        limits=np.array(limits),
        minimums=np.array(minimums),
    )
    for one, other in zip(found, expected, strict=True):
        assert [hypothesis.tokens for hypothesis in one] == [hypothesis.tokens for hypothesis in other]
        for mine, theirs in zip(one, other, strict=True):
            assert mine.finished == theirs.finished
            assert mine.score == pytest.approx(theirs.score, abs=1e-9)
            assert mine.log_probs == theirs.log_probs


CASES = {
    "plain": {},
    "ties": {"ties": True},
    "not a number": {"nan": True},
    "nothing else can follow": {"dead": True},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seed", range(5))
def test_greedy(seed, case):
    drawn = tables(seed, **CASES[case])
    compare(search.Greedy(), Greedy(), drawn, [9, 3, 6, 0, 20])
    compare(search.Greedy(), Greedy(), drawn, [9, 3, 6, 0, 20], [2, 3, 0, 0, 7])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    "options",
    [
        {"size": 1},
        {"size": 3},
        {"size": 4, "n_best": 4},
        {"size": 4, "n_best": 2, "normalization": "length", "alpha": 1.0},
        {"size": 6, "n_best": 6, "normalization": "none"},  # more than there are first tokens
    ],
    ids=str,
)
def test_beam(options, case):
    for seed in range(5):
        drawn = tables(seed, **CASES[case])
        compare(search.Beam(**options), Beam(**options), drawn, [9, 3, 6, 0, 20])
        compare(search.Beam(**options), Beam(**options), drawn, [9, 3, 6, 0, 20], [2, 3, 0, 0, 7])


def test_no_sentences():
    nothing = np.zeros(0, dtype=np.int64)
    for strategy in (search.Greedy(), search.Beam()):
        stepper = AsArrays(Bigrams(tables(0)[:0]))
        assert (
            strategy.search(stepper, [np.zeros((0, 1))], bos=BOS, eos=EOS, limits=nothing, minimums=nothing)
            == []
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "beam size 0 is impossible; it must be 1 or more"),
        ({"size": 2, "n_best": 3}, "n_best 3 is impossible with a beam of 2; choose 1 to 2 or a larger beam"),
        ({"alpha": 1e300}, r"alpha 1e\+300 is impossible; it must be 0 or more, and at most 10"),
        ({"normalization": "wo"}, "unknown normalization 'wo'; known: wu, length, none"),
    ],
)
def test_what_cannot_be(options, message):
    with pytest.raises(ConfigError, match=message):
        search.Beam(**options)
