"""A model is no larger than its weights."""

import threading

import pytest
import torch
from torch import nn

from s2s.errors import BundleError
from s2s.inference.sizes import no_larger_than

SHAPES = [[3, 4], [5]]


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.empty(10**12),
        lambda: torch.empty((10**6, 10**6), dtype=torch.bool),
        lambda: torch.zeros(10**5, 10**6),
        lambda: torch.full([10**12], 1),
        lambda: torch.ones(size=(10**12,)),
        lambda: torch.eye(10**6),
        lambda: torch.eye(10**6, 10**6),
        lambda: torch.arange(10**12),
        lambda: torch.zeros(2).new_zeros(10**12),
        lambda: nn.Linear(10**6, 10**6),
        lambda: [torch.empty(10**6) for _ in range(10)],
    ],
)
def test_what_is_larger_is_refused_before_it_is_made(make):
    with (
        pytest.raises(
            BundleError, match="^b: it asks for more than 4,194,372 numbers, and 17 are stored; get it$"
        ),
        no_larger_than(SHAPES, "b", "get it"),
    ):
        make()


def test_too_many_parameters_are_refused_though_each_is_small():
    with (
        pytest.raises(
            BundleError, match="^b: it asks for more than 1,008 tensors, and 2 are stored; get it$"
        ),
        no_larger_than(SHAPES, "b", "get it"),
    ):
        nn.ModuleList(nn.Linear(0, 1, bias=False) for _ in range(10**9))


def test_what_is_as_large_is_made_and_other_threads_are_left_alone():
    made = []
    with no_larger_than(SHAPES, "b", "get it"):
        made.append(nn.Linear(3, 4))
        other = threading.Thread(target=lambda: made.append([nn.Linear(1, 1) for _ in range(2000)]))
        other.start()
        other.join()
    assert len(made) == 2 and len(made[1]) == 2000
    nn.ModuleList(nn.Linear(1, 1) for _ in range(2000))  # nothing counts any more
