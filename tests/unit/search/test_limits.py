"""Limits of outputs, worked out with whole numbers."""

import torch

from s2s.search.limits import output_limits


def test_limits_follow_the_source():
    lengths = torch.tensor([1, 5, 10, 33])
    limits, minimums = output_limits(lengths)
    assert limits.tolist() == [22, 30, 40, 86]
    assert minimums.tolist() == [0, 0, 0, 0]
    limits, minimums = output_limits(lengths, limit_ratio=0.5, limit_extra=1, minimum_ratio=0.25)
    assert limits.tolist() == [1, 3, 6, 17]
    assert minimums.tolist() == [1, 2, 3, 9]


def test_rounding_costs_no_token():
    lengths = torch.arange(1, 300)
    for tenths in range(1, 40):
        ratio = tenths / 10
        limits, _ = output_limits(lengths, limit_ratio=ratio, limit_extra=0)
        assert limits.tolist() == [n * tenths // 10 for n in range(1, 300)]
        _, minimums = output_limits(lengths, limit_ratio=9, minimum_ratio=ratio)
        assert minimums.tolist() == [-(-n * tenths // 10) for n in range(1, 300)]


def test_a_minimum_never_exceeds_its_limit():
    limits, minimums = output_limits(torch.tensor([4]), limit_ratio=1, limit_extra=0, minimum_ratio=3)
    assert limits.tolist() == minimums.tolist() == [4]


def test_absolute_limits_hold_whatever_the_source():
    lengths = torch.tensor([1, 5, 10])
    limits, minimums = output_limits(
        lengths, limit_ratio=2, limit_extra=0, max_tokens=8, minimum_ratio=0.5, min_tokens=3
    )
    assert limits.tolist() == [2, 8, 8]
    assert minimums.tolist() == [2, 3, 5]  # the first gives way to its limit
