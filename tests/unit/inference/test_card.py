"""What the card works out by itself."""

import sys

import pytest

from s2s.inference.bundle import load_bundle
from s2s.inference.card import command_of_this_process, parameters_by_part
from tests.references.tiny import tiny_bundle


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (["bin/s2s", "fit", "-c", "my recipe"], "s2s fit -c 'my recipe'"),
        (["lib/s2s/__main__.py", "demo"], "s2s demo"),
        (["lib/ipykernel/__main__.py", "-f", "x"], ""),
        (["train.py"], ""),
        (["-c"], ""),
    ],
)
def test_the_command_that_a_person_gave(monkeypatch, argv, command):
    monkeypatch.setattr(sys, "argv", argv)
    assert command_of_this_process() == command


def test_what_is_shared_is_counted_once(tmp_path):
    model = load_bundle(tiny_bundle(tmp_path / "b", tie=True)).model
    counts = parameters_by_part(model)
    assert counts["source_embedding"] == 36 * 16 and "target_embedding" not in counts
    assert counts["head"] == 36  # its bias
    assert sum(counts.values()) == sum(parameter.numel() for parameter in model.parameters())
