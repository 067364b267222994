"""Every registered decoder; each with every attention, with built-in cells, and with unusual parts."""

from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from s2s.registry import catalogue
from s2s.testing import KITS, Check, check_decoder
from s2s.testing.decoders import build, draw, hold_against_walk, real_values, run
from s2s.testing.modules import expect_same
from s2s.testing.odd_attention import Coverage
from s2s.testing.odd_cells import OddCell
from s2s_plugins.attention.luong import LuongGeneral
from s2s_plugins.cells.elman import Elman
from s2s_plugins.cells.gru import GRU
from s2s_plugins.cells.lstm import LSTM

REGISTERED: dict[str, Any] = {
    entry.name: catalogue().load("decoder", entry.name) for entry in catalogue().entries("decoder")
}
ATTENTIONS: dict[str, Any] = {
    **{entry.name: catalogue().load("attention", entry.name) for entry in catalogue().entries("attention")},
    "none": None,
    "odd": Coverage,
}
CELLS: dict[str, Any] = {"Elman": Elman, "GRU": GRU, "GRU-reset-before": partial(GRU, reset_before=True)}
PAIRS: dict[str, Any] = {
    **{
        f"{name}-{attention}": partial(decoder, attention=ATTENTIONS[attention], cell=LSTM, layers=1)
        for name, decoder in REGISTERED.items()
        for attention in ATTENTIONS
    },
    **{
        f"{name}-{cell}": partial(decoder, attention=LuongGeneral, cell=CELLS[cell], layers=1)
        for name, decoder in REGISTERED.items()
        for cell in CELLS
    },
}
FOR_PAIRS = ("forward_equals_steps", "mixed_precision", "beams", "next_input", "folded_memory")
"""Checks of the interaction between a decoder and its parts."""

CASES = [
    pytest.param(name, check, id=f"{name}-{check}")
    for name in REGISTERED
    for check in KITS["decoder"]
    if check.name != "every_partner"  # cells, attentions, encoders and heads are combined with every decoder
]
every_pair = pytest.mark.parametrize("pair", PAIRS)


def test_decoders_are_registered() -> None:
    assert {"Bahdanau", "ConditionalGRU", "GNMT", "InputFeeding", "Recurrent"} <= set(REGISTERED)


@pytest.mark.parametrize(("name", "check"), CASES)
def test_decoder(name: str, check: Check) -> None:
    check(REGISTERED[name])


@every_pair
def test_pair(pair: str) -> None:
    for check in KITS["decoder"]:
        if check.name in FOR_PAIRS:
            check(PAIRS[pair])


@every_pair
def test_garbage_in_the_padding_of_the_source(pair: str) -> None:
    """The protocol guarantees zeros there; built-in decoders do not rely on it."""
    torch.manual_seed(0)
    decoder = build(PAIRS[pair])
    sentences = draw(decoder)
    encoded = sentences.encoded
    padding = torch.arange(encoded.outputs.size(1)) >= encoded.lengths.unsqueeze(1)
    assert padding.any()
    dirty = encoded._replace(outputs=encoded.outputs.masked_fill(padding.unsqueeze(-1), 1e20))
    found, expected = (
        real_values(run(decoder, sentences._replace(encoded=one))[0], sentences) for one in (dirty, encoded)
    )
    expect_same(found, expected, "with garbage in the padding of the source", "")


@pytest.mark.parametrize("name", REGISTERED)
@pytest.mark.parametrize("attention", ["none", "Bahdanau", "odd"])
@pytest.mark.parametrize("cell", [GRU, OddCell])
def test_layers(name: str, attention: str, cell: Any) -> None:
    torch.manual_seed(0)
    options = {"attention": ATTENTIONS[attention], "cell": cell, "layers": 3, "residual": True}
    decoder = build(partial(REGISTERED[name], **options))
    hold_against_walk(decoder, draw(decoder), "three layers")


@settings(max_examples=15, deadline=None)
@given(
    pairs=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=4),
    pair=st.sampled_from(sorted(PAIRS)),
    seed=st.integers(0, 2**16),
)
def test_any_lengths(pairs: list[tuple[int, int]], pair: str, seed: int) -> None:
    torch.manual_seed(seed)
    decoder = build(PAIRS[pair])
    sources, targets = zip(*pairs, strict=True)
    hold_against_walk(decoder, draw(decoder, sources, targets), pair)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no graphics card: its kernels go unchecked")
@pytest.mark.parametrize("name", REGISTERED)
def test_on_a_graphics_card(name: str) -> None:
    check_decoder(REGISTERED[name], device="cuda")
