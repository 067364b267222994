"""One direction and both."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from s2s.nn import Bidirectional, Encoded, RecurrentCell, SequenceEncoder, Stack, Unidirectional, unroll
from s2s.nn import encoder as encoder_module
from s2s.spare import SpareThread, helping
from s2s.testing.odd_cells import OddCell
from s2s_plugins.cells.gru import GRU
from s2s_plugins.cells.lstm import LSTM

X, LENGTHS = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([4, 2])


def test_unidirectional_is_an_unrolled_cell() -> None:
    cell = LSTM(3, 5)
    encoder = Unidirectional(cell)
    encoded = encoder(X, LENGTHS)
    outputs, state = unroll(cell, X, LENGTHS)
    assert torch.equal(encoded.outputs, outputs) and torch.equal(encoded.state[1], state[1])
    assert encoder.output_size == 5 and encoder.feature_size == 10
    assert torch.equal(encoder.features(encoded.state), torch.cat([state[0], state[1]], -1))


def test_bidirectional_may_have_two_kinds_of_cells() -> None:
    rightward, leftward = OddCell(3, 5), GRU(3, 4)
    encoder = Bidirectional(rightward, leftward)
    encoded = encoder(X, LENGTHS)
    assert encoder.output_size == 7 + 4 and encoded.outputs.shape == (2, 4, 11)
    assert encoder.feature_size == (7 + 5 + 1) + 4
    assert encoder.features(encoded.state).shape == (2, encoder.feature_size)
    # the last word of the first sentence alone is all that the leftward cell has read there
    alone, _ = unroll(leftward, X[:1, 3:], torch.tensor([1]))
    torch.testing.assert_close(encoded.outputs[0, 3, 7:], alone[0, 0])
    # its state at the end is its output at the first word
    torch.testing.assert_close(encoded.state[1][0], encoded.outputs[:, 0, 7:])
    torch.testing.assert_close(encoder.features(encoded.state)[:, -4:], encoded.outputs[:, 0, 7:])


class Wrapping(RecurrentCell):
    """A cell that holds another; without `fused`, it is run by steps in any case."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.inner = GRU(input_size, hidden_size)

    def project(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner.project(x)

    def step(self, x: torch.Tensor, state: Any, noise: Any = None) -> tuple[torch.Tensor, Any]:
        return self.inner.step(x, state)


class WrappingAll(Wrapping):
    """The same, with a faster way: packing leaves it alone, as it has no matrix of its own."""

    def fused(self, x: torch.Tensor, mask: torch.Tensor, state: Any, noise: Any) -> Any:
        return self.inner.fused(x, mask, state, noise)


def test_cells_that_keep_a_faster_way_are_not_folded() -> None:
    assert Unidirectional(Wrapping(3, 4)).fold_tokens(X) is not None
    assert Unidirectional(WrappingAll(3, 4)).fold_tokens(X) is None


def test_a_stack_is_not_folded_as_its_layers_are_faster_one_after_the_other() -> None:
    cell, stack = GRU(3, 4), Stack([GRU(3, 4), GRU(4, 4)])
    assert Unidirectional(cell).fold_tokens(X) is not None
    assert Unidirectional(stack).fold_tokens(X) is None
    assert Bidirectional(cell, stack).fold_tokens(X) is None
    assert Bidirectional(stack, cell).fold_tokens(X) is None


def test_features_of_an_encoder_are_its_state_whatever_the_shape_of_a_leaf() -> None:
    class Summing(SequenceEncoder):
        def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> Encoded:
            return Encoded(x, lengths, (x.sum((1, 2)), x.sum(1), x))

    encoder = Summing(3, output_size=3, feature_size=1 + 3 + 12)
    features = encoder.features(encoder(X, LENGTHS).state)
    torch.testing.assert_close(features, torch.stack([torch.cat([x.sum()[None], x.sum(0), *x]) for x in X]))


@pytest.mark.parametrize("large", [True, False])
def test_both_directions_of_large_cells_are_read_at_once(
    large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    class Noting(LSTM):
        def step(self, x: torch.Tensor, state: object, noise: object = None) -> tuple[torch.Tensor, object]:
            threads.append(threading.get_ident())
            if len(set(threads)) == 2:
                gate.set()
            gate.wait(patience)  # for the other direction to begin
            return super().step(x, state, noise)

    numbers = sum(one.numel() for one in Noting(3, 4).parameters())
    monkeypatch.setattr(encoder_module, "LARGE", numbers if large else numbers + 1)
    encoder = Bidirectional(Noting(3, 4), Noting(3, 4)).eval()
    gate, patience = threading.Event(), 0.0
    with torch.inference_mode():
        alone = encoder(X, LENGTHS)
        assert len(set(threads)) == 1
        threads.clear()
        patience = 10.0 if large else 0.02
        with ThreadPoolExecutor(1) as pool, helping(SpareThread(pool)):
            found = encoder(X, LENGTHS)
    assert len(set(threads)) == (2 if large else 1)
    assert torch.equal(found.outputs, alone.outputs)
    assert torch.equal(encoder.features(found.state), encoder.features(alone.state))
