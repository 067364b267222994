"""Dropout on sequences."""

import pytest
import torch

from s2s.errors import ConfigError
from s2s.nn import SequenceDropout, drop, dropout_mask

X = torch.ones(3, 4, 200)


def test_off_in_evaluation_and_at_rate_zero() -> None:
    assert torch.equal(SequenceDropout(0.5).eval()(X), X)
    assert torch.equal(SequenceDropout(0.0).train()(X), X)


@pytest.mark.parametrize("variational", [False, True])
def test_one_mask_per_sequence_or_per_position(variational: bool) -> None:
    """Gal & Ghahramani 2016: the same units are dropped at every position of a sequence."""
    torch.manual_seed(0)
    dropped = SequenceDropout(0.25, variational=variational).train()(X)
    assert dropped.unique().tolist() == [0.0, pytest.approx(4 / 3)]
    assert bool((dropped == dropped[:, :1]).all()) == variational
    assert not torch.equal(dropped[0], dropped[1])


def test_a_drawn_mask_serves_steps_and_sequence() -> None:
    torch.manual_seed(0)
    dropout = SequenceDropout(0.5, variational=True).train()
    mask = dropout.draw(3, 200, like=X)
    assert mask is not None
    whole = dropout(X, mask)
    for time in range(4):
        assert torch.equal(dropout(X[:, time], mask), whole[:, time])
    assert dropout.eval().draw(3, 200, like=X) is None
    assert SequenceDropout(0.5).train().draw(3, 200, like=X) is None


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_mask_keeps_the_mean_and_the_share(rate: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    mask = dropout_mask(torch.zeros(1, dtype=dtype), (400, 251), rate)
    assert mask.dtype == dtype and mask.shape == (400, 251)
    values = mask.unique().tolist()
    assert len(values) == (1 if rate == 0 else 2) and values[-1] == pytest.approx(1 / (1 - rate), rel=5e-3)
    zeros = (mask == 0).double().mean().item()
    assert zeros == pytest.approx(rate, abs=0.006)  # 100,400 draws: standard error at most 0.0016
    # the four values cut from one random number must not depend on each other, nor have shares of their own
    flat = (mask == 0).double().flatten().view(-1, 4)
    assert torch.allclose(flat.mean(0), torch.full((4,), rate, dtype=torch.float64), atol=0.012)
    if rate:
        correlation = torch.corrcoef(flat.T) - torch.eye(4, dtype=torch.float64)
        assert correlation.abs().max() < 0.03  # 25,100 rows: standard error 0.006


@pytest.mark.parametrize("rate", [0.99999, 1 - 2**-17, 0.999999, 1 - 2**-53])
def test_a_rate_just_below_one_leaves_few_values_of_the_mean_one(rate: float) -> None:
    """One that would be rounded to 1: some of a million are left, each scaled by what share that is."""
    torch.manual_seed(0)
    mask = dropout_mask(torch.zeros(1), (1000, 1000), rate)
    assert mask.unique().tolist() == [0.0, 65536.0]
    assert 4 <= int(mask.count_nonzero()) <= 32  # 15.3 expected: standard deviation 3.9


def test_drop_is_dropout_with_that_mask() -> None:
    x = torch.randn(3, 4, 5, dtype=torch.float64, requires_grad=True)
    torch.manual_seed(1)
    dropped = drop(x, 0.3)
    torch.manual_seed(1)
    mask = dropout_mask(x, x.shape, 0.3)
    torch.testing.assert_close(dropped, x * mask)
    dropped.sum().backward()
    torch.testing.assert_close(x.grad, mask)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 2.0])
def test_impossible_rates(rate: float) -> None:
    with pytest.raises(ConfigError, match="a dropout probability of .* is impossible"):
        SequenceDropout(rate)
    with pytest.raises(ConfigError, match="a dropout probability of .* is impossible"):
        dropout_mask(torch.zeros(1), (2, 2), rate)
