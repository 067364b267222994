"""Every registered encoder, bridge, head and embedding, and built-in options that change the equations."""

from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from s2s.registry import catalogue
from s2s.testing import KITS, Check, examine
from s2s.testing.encoders import compare_with_alone
from s2s_plugins.bridges.linear import LinearBridge
from s2s_plugins.cells.lstm import LSTM
from s2s_plugins.encoders.convolutional import ConvolutionalEncoder
from s2s_plugins.encoders.recurrent import RecurrentEncoder
from s2s_plugins.encoders.transformer import TransformerEncoder

KINDS = ("encoder", "bridge", "head", "embedding")
REGISTERED: dict[tuple[str, str], Any] = {
    (kind, entry.name): catalogue().load(kind, entry.name)
    for kind in KINDS
    for entry in catalogue().entries(kind)
}
PARTS = REGISTERED | {
    ("bridge", "Linear-affine"): partial(LinearBridge, activation="none"),
    ("encoder", "Convolutional-learned"): partial(ConvolutionalEncoder, positions="learned", kernel_width=5),
    ("encoder", "Recurrent-deep"): partial(RecurrentEncoder, cell=LSTM, layers=3, residual=True),
    ("encoder", "Recurrent-rightward"): partial(RecurrentEncoder, bidirectional=False, layers=2),
    ("encoder", "Transformer-rotary"): partial(TransformerEncoder, positions="rotary", heads=2, layers=2),
}
ENCODERS = {name: part for (kind, name), part in PARTS.items() if kind == "encoder"}

FOR_REGISTERED_PARTS = ("constructor", "every_partner", "export", "learning")
"""Checks of parts that a configuration can name; one option of a part is enough for them."""

CASES = [
    pytest.param(kind, name, check, id=f"{kind}-{name}-{check}")
    for kind, name in PARTS
    for check in KITS[kind]
    if (kind, name) in REGISTERED or check.name not in FOR_REGISTERED_PARTS
]


def test_parts_are_registered() -> None:
    plainest = {("encoder", "Recurrent"), ("bridge", "Linear"), ("head", "Softmax"), ("embedding", "Lookup")}
    assert plainest <= set(REGISTERED)


@pytest.mark.parametrize(("kind", "name", "check"), CASES)
def test_part(kind: str, name: str, check: Check) -> None:
    check(PARTS[kind, name])


@pytest.mark.parametrize("name", ENCODERS)
@settings(max_examples=5, deadline=None)
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4), seed=st.integers(0, 2**16))
def test_any_lengths(name: str, lengths: list[int], seed: int) -> None:
    torch.manual_seed(seed)
    compare_with_alone(ENCODERS[name], lengths)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no graphics card: its kernels go unchecked")
@pytest.mark.parametrize(("kind", "name"), REGISTERED)
def test_on_a_graphics_card(kind: str, name: str) -> None:
    examine(KITS[kind], REGISTERED[kind, name], device="cuda").raise_for_failures()
