"""Every registered attention, each built-in option that changes the equations, and one unlike built-in ones."""

from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from s2s.registry import catalogue
from s2s.testing import KITS, Check, check_attention
from s2s.testing.attentions import (
    LENGTHS,
    ask_one_by_one,
    build,
    compare_with_alone,
    draw_queries,
    draw_source,
)
from s2s.testing.modules import expect_same
from s2s.testing.odd_attention import Coverage
from s2s_plugins.attention.bahdanau import Bahdanau
from s2s_plugins.attention.history import Location
from s2s_plugins.attention.local import LocalP
from s2s_plugins.attention.multi_head import MultiHead
from s2s_plugins.attention.scaled_dot import ScaledDot

REGISTERED: dict[str, Any] = {
    entry.name: catalogue().load("attention", entry.name) for entry in catalogue().entries("attention")
}
ATTENTIONS = REGISTERED | {
    "Bahdanau-narrow": partial(Bahdanau, attention_size=3),
    "LocalP-window": partial(LocalP, window=1),
    "Location-wide": partial(Location, filters=2, kernel_width=9),
    "MultiHead-wide": partial(MultiHead, heads=2, attention_size=10),
    "ScaledDot-narrow": partial(ScaledDot, attention_size=3),
    "odd": Coverage,
}
every_attention = pytest.mark.parametrize("name", ATTENTIONS)

FOR_REGISTERED_ATTENTIONS = ("constructor", "every_partner", "export", "learning")
"""Checks of parts that a configuration can name; one option of a part is enough for them."""

CASES = [
    pytest.param(name, check, id=f"{name}-{check}")
    for name in ATTENTIONS
    for check in KITS["attention"]
    if name in REGISTERED or check.name not in FOR_REGISTERED_ATTENTIONS
]


def test_attentions_are_registered() -> None:
    assert {"Bahdanau", "LuongDot", "LuongGeneral", "LuongConcat", "ScaledDot"} <= set(REGISTERED)


@pytest.mark.parametrize(("name", "check"), CASES)
def test_attention(name: str, check: Check) -> None:
    check(ATTENTIONS[name])


@every_attention
@settings(max_examples=5, deadline=None)
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4), seed=st.integers(0, 2**16))
def test_any_lengths(name: str, lengths: list[int], seed: int) -> None:
    torch.manual_seed(seed)
    compare_with_alone(ATTENTIONS[name], lengths)


@every_attention
def test_garbage_in_the_padding(name: str) -> None:
    """The protocol guarantees zeros there; built-in attentions do not rely on it."""
    torch.manual_seed(0)
    attention = build(ATTENTIONS[name])
    queries, (outputs, mask) = draw_queries(attention), draw_source(attention)
    clean = ask_one_by_one(attention, queries, outputs, mask)
    dirty = ask_one_by_one(attention, queries, outputs.masked_fill(~mask.unsqueeze(-1), 1e20), mask)
    expect_same(dirty, clean, "with garbage in the padding", "")
    assert min(LENGTHS) < max(LENGTHS)  # there is some padding


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no graphics card: its kernels go unchecked")
@pytest.mark.parametrize("name", REGISTERED)
def test_on_a_graphics_card(name: str) -> None:
    check_attention(REGISTERED[name], device="cuda")
