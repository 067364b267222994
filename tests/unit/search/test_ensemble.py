"""An ensemble against the mean of its members' tables, worked out beforehand."""

import pytest
import torch

from s2s.errors import ConfigError
from s2s.search.ensemble import StepperEnsemble
from s2s_plugins.search.beam import Beam
from s2s_plugins.search.greedy import Greedy
from tests.references.search import BOS, EOS, TableStepper, random_tables


@pytest.mark.parametrize("strategy", [Greedy(), Beam(4, 3)])
def test_an_ensemble_searches_the_mean_of_its_members(strategy):
    tables = [random_tables(12, 7, seed=seed, sharpness=2.0) for seed in (1, 2, 3)]
    limits = torch.tensor([1 + sentence % 6 for sentence in range(12)])
    members = [TableStepper(table) for table in tables]
    found = strategy.search(
        StepperEnsemble(members),
        tuple(member.initial_state() for member in members),
        bos=BOS,
        eos=EOS,
        limits=limits,
    )
    mean = TableStepper(torch.stack([table.exp() for table in tables]).mean(dim=0).log())
    expected = strategy.search(mean, mean.initial_state(), bos=BOS, eos=EOS, limits=limits)
    for one, other in zip(found, expected, strict=True):
        assert [(h.tokens, h.finished) for h in one] == [(h.tokens, h.finished) for h in other]
        assert [h.score for h in one] == pytest.approx([h.score for h in other], abs=1e-5)


def test_weights_are_averaged():
    members = [TableStepper(random_tables(2, 6, seed=seed), weights=torch.ones(1)) for seed in (1, 2)]
    step = StepperEnsemble(members)(
        torch.tensor([[4], [5]]), tuple(member.initial_state() for member in members)
    )
    assert step.weights.tolist() == [[[BOS, 4, 1, 2, 0]], [[BOS, 5, 1, 2, 0]]]


def test_members_that_do_not_fit():
    one, other = TableStepper(random_tables(2, 6, seed=1)), TableStepper(random_tables(2, 7, seed=1))
    with pytest.raises(ConfigError, match="needs at least one member"):
        StepperEnsemble([])
    with pytest.raises(ConfigError, match=r"same sentences, but they have \[2, 3\]"):
        StepperEnsemble([one, TableStepper(random_tables(3, 6, seed=1))])
    with pytest.raises(ConfigError, match=r"share their target tokens, but have \[6, 7\]"):
        StepperEnsemble([one, other])(torch.full((2, 1), BOS), (one.initial_state(), other.initial_state()))
