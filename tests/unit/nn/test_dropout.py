"""Dropout on sequences."""

import pytest
import torch

from s2s.nn import SequenceDropout

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
