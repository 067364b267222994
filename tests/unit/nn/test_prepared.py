"""A prepared model against the model: whatever the parts, folded or not, in float64 the same to rounding."""

import copy

import pytest
import torch

from s2s.nn import PackedMatrix, Prepared, leaves, map_state, select_state, top
from s2s.nn import packed as packed_module
from s2s.nn import prepared as prepared_module
from s2s.testing.odd_cells import HookedCell
from tests.unit.nn.test_seq2seq import MODELS as MODELS
from tests.unit.nn.test_seq2seq import TARGETS, batch, every_model, model

NEVER = torch.tensor([0, 2])


def steps(stepping, *, beams: int, best: int | None):
    """What each step says of the gold prefixes."""
    source, inputs, _ = batch()
    memory, state = stepping.encode(source)
    rows = torch.arange(len(TARGETS)).repeat_interleave(beams)
    state = select_state(state, rows)
    said = []
    for time in range(inputs.ids.size(1)):
        tokens = inputs.ids[rows, time]
        if best is None:
            log_probs, state, weights = stepping.decode_step(tokens, memory, state, source)
            said.append((log_probs, weights))
        else:
            *found, state, weights = stepping.decode_best(tokens, memory, state, source, best, NEVER)
            said.append((*found, weights))
    return said, state


@every_model
@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("fold", [False, True])
@torch.no_grad()
def test_prepared_steps_are_the_models(name: str, beams: int, fold: bool) -> None:
    built = MODELS[name]()
    fast = Prepared(built)
    if fold:
        fast.fold()
        assert fast.folded is not None
    expected, expected_state = steps(built, beams=beams, best=None)
    found, state = steps(fast, beams=beams, best=None)
    for (log_probs, weights), (expected_log_probs, expected_weights) in zip(found, expected, strict=True):
        torch.testing.assert_close(log_probs, expected_log_probs, rtol=1e-10, atol=1e-10)
        assert (weights is None) == (expected_weights is None)
        if weights is not None:
            torch.testing.assert_close(weights, expected_weights, rtol=1e-10, atol=1e-10)
    for leaf, expected_leaf in zip(leaves(state), leaves(expected_state), strict=True):
        torch.testing.assert_close(leaf, expected_leaf, rtol=1e-10, atol=1e-10)


@every_model
@torch.no_grad()
def test_a_folded_encoder_is_the_encoder(name: str) -> None:
    """In float32, since only packed models, of float32, fold their encoder."""
    built = MODELS[name]().float()
    fast = Prepared(built)
    fast.fold()
    packed = fast.model is not built
    folds = built.fold_source(torch.arange(2)) is not None
    assert (fast.folded_source is not None) == (packed and folds)
    source = batch()[0]
    (memory, state), (expected_memory, expected_state) = fast.encode(source), Prepared(built).encode(source)
    for leaf, expected in zip(
        [*leaves(memory), *leaves(state)], [*leaves(expected_memory), *leaves(expected_state)], strict=True
    ):
        torch.testing.assert_close(leaf, expected, rtol=1e-5, atol=1e-5)


def test_most_models_fold_their_encoder() -> None:
    folding = {name for name, make in MODELS.items() if make().fold_source(torch.arange(2)) is not None}
    assert len(folding) > len(MODELS) / 2, folding


@every_model
@pytest.mark.parametrize("k", [1, 4, 20])
@torch.no_grad()
def test_best_tokens_are_the_top_of_the_distribution(name: str, k: int) -> None:
    built = MODELS[name]()
    fast = Prepared(built)
    fast.fold()
    for stepping in (built, fast):
        for found, (log_probs, weights) in zip(
            steps(stepping, beams=2, best=k)[0], steps(built, beams=2, best=None)[0], strict=True
        ):
            values, tokens = top(log_probs.index_fill(1, NEVER, -torch.inf), k)
            possible = values > -torch.inf
            torch.testing.assert_close(found[0], values, rtol=0, atol=1e-6)
            assert torch.equal(found[1][possible], tokens[possible])
            assert (found[2] is None) == (weights is None)


@pytest.mark.parametrize("able", [True, False], ids=["as the machine can", "no bfloat16"])
@every_model
@torch.no_grad()
def test_narrow_products_only_round(name: str, able: bool, monkeypatch) -> None:
    """bfloat16 keeps 8 bits; the state stays in float32, and so does the memory."""
    if not able:
        can = packed_module.can_pack
        monkeypatch.setattr(
            packed_module, "can_pack", lambda d, dtype: dtype != torch.bfloat16 and can(d, dtype)
        )
    built = MODELS[name]().float()
    fast = Prepared(built, narrow=True)
    fast.fold()
    expected, _ = steps(built, beams=2, best=None)
    found, state = steps(fast, beams=2, best=None)
    for (log_probs, _), (expected_log_probs, _) in zip(found, expected, strict=True):
        torch.testing.assert_close(log_probs, expected_log_probs, rtol=0, atol=0.05)
    assert any(not torch.equal(one[0], other[0]) for one, other in zip(found, expected, strict=True))
    memory, _ = fast.encode(batch()[0])
    for leaf in [*leaves(state), *leaves(memory)]:
        assert leaf.dtype in (torch.float32, torch.bool)


@pytest.mark.parametrize("narrow", [False, True])
@torch.no_grad()
def test_a_model_that_cannot_be_copied_is_stepped_as_it_is(narrow: bool, monkeypatch) -> None:
    monkeypatch.setattr(prepared_module, "gains_by_packing", lambda device, dtype: True)
    with torch.enable_grad():  # as a trained model is built
        built = model(encoder_cell=HookedCell, decoder_cell=HookedCell).float().eval()
    with pytest.raises(RuntimeError, match="deepcopy"):
        copy.deepcopy(built)
    fast = Prepared(built, narrow=narrow)
    fast.fold()
    expected, found = steps(built, beams=2, best=None)[0], steps(fast, beams=2, best=None)[0]
    off = max(float((one[0] - other[0]).abs().max()) for one, other in zip(found, expected, strict=True))
    if narrow:  # bfloat16 keeps 8 bits
        assert 1e-4 < off < 0.05
    else:  # float32 keeps 24, and sums are taken in another order
        assert off < 1e-6


def packed_numbers(matrix: PackedMatrix) -> int:
    own = 0 if matrix._packed is None or not matrix._packed.is_mkldnn else matrix.numel()
    return own + sum(map(packed_numbers, matrix._slices.values()))


@every_model
@torch.no_grad()
def test_no_matrix_is_packed_more_than_once(name: str) -> None:
    """Whole, or in parts that do not overlap: it is in memory twice, not thrice."""
    built = MODELS[name]().float()
    fast = Prepared(built)
    fast.fold()
    steps(fast, beams=2, best=3)
    for own, matrix in fast.model.named_parameters():
        if isinstance(matrix, PackedMatrix):
            assert packed_numbers(matrix) <= matrix.numel(), own


def test_a_table_too_large_is_not_made(monkeypatch) -> None:
    monkeypatch.setattr(prepared_module, "FOLDED_ELEMENTS", 10)
    fast = Prepared(model().float())
    fast.fold()
    assert fast.folded is None and fast.folded_source is None


@torch.no_grad()
def test_a_head_that_reads_the_context_gets_it() -> None:
    built = model()
    built.head.reads_context = True
    source, inputs, _ = batch()
    fast = Prepared(built)
    memory, state = fast.encode(source)
    plain_memory, _ = built.encode(source)
    assert all(map(torch.equal, leaves(memory), leaves(plain_memory)))
    decoded, _ = built.decoder.step(built.target_embedding(inputs.ids[:, 0]), memory, state)
    assert decoded.context is not None
    fast.model.head.reads_context = False
    folded, _ = fast.encode(source)
    decoded, _ = built.decoder.step(built.target_embedding(inputs.ids[:, 0]), folded, state)
    assert decoded.context is None
    assert map_state(lambda leaf: leaf, folded) is not None  # a State like any other: sentences can leave it
