"""How many threads compute when nobody says it."""

import os

import pytest
import torch

from s2s import cores
from s2s.commands.threads import use_threads
from s2s.cores import MOST_THREADS, container_cores, default_threads
from s2s.training.threads import no_more_threads_than_cores


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "200000 100000\n"}, 2.0),
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4.0),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu.max": "what is this"}, None),
        ({}, None),
    ],
)
def test_the_quota_of_a_container(files, expected, tmp_path):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert container_cores(tmp_path) == expected


@pytest.mark.parametrize(
    ("torch_says", "affinity", "quota", "threads"),
    [
        (2, 64, None, 2),
        (64, 64, None, MOST_THREADS),
        (64, 3, None, 3),
        (64, 64, 1.5, 2),
        (64, 64, 0.1, 1),
        (1, 64, 8.0, 1),
    ],
)
def test_as_many_threads_as_there_are_cores_to_run_them(monkeypatch, torch_says, affinity, quota, threads):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(affinity), raising=False)
    monkeypatch.setattr(cores, "container_cores", lambda: quota)
    assert default_threads(torch_says) == threads


@pytest.mark.parametrize(("quota", "threads"), [(None, 3), (64.0, 3), (1.5, 2), (0.5, 1)])
def test_threads_that_share_a_product_all_have_a_core(monkeypatch, three_threads, quota, threads):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(64), raising=False)
    monkeypatch.setattr(cores, "container_cores", lambda: quota)
    with no_more_threads_than_cores():
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == 3
    use_threads(None)
    assert torch.get_num_threads() == threads
    use_threads(2)
    assert torch.get_num_threads() == 2
