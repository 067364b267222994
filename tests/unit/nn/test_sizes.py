"""Options that describe no network are refused where the part is made, in one line."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from s2s.errors import ConfigError
from s2s.nn import RecurrentCell, built_for_sizes
from s2s_plugins.attention.bahdanau import Bahdanau
from s2s_plugins.cells.elman import Elman
from s2s_plugins.cells.gru import GRU
from s2s_plugins.cells.lstm import LSTM
from s2s_plugins.decoders.bahdanau import BahdanauDecoder
from s2s_plugins.decoders.gnmt import GNMTDecoder
from s2s_plugins.decoders.input_feeding import InputFeedingDecoder
from s2s_plugins.decoders.recurrent import RecurrentDecoder
from s2s_plugins.embeddings.lookup import LookupEmbedding
from s2s_plugins.encoders.recurrent import RecurrentEncoder
from s2s_plugins.heads.softmax import SoftmaxHead


@pytest.mark.parametrize(
    ("make", "message"),
    [
        *[(lambda cell=cell: cell(3, 0), "hidden_size 0 is impossible") for cell in (Elman, GRU, LSTM)],
        (lambda: RecurrentEncoder(3, hidden_size=-3), "hidden_size -3 is impossible; it must be at least 1"),
        (lambda: RecurrentEncoder(3, layers=0), "layers 0 is impossible"),
        (lambda: RecurrentDecoder(3, 4, layers=0), "layers 0 is impossible"),
        (lambda: RecurrentDecoder(3, 4, hidden_size=0), "hidden_size 0 is impossible"),
        (lambda: InputFeedingDecoder(3, 4, hidden_size=-1, attention=None), "hidden_size -1 is impossible"),
        (lambda: Bahdanau(3, 4, attention_size=0), "attention_size 0 is impossible"),
        (lambda: LookupEmbedding(9, size=0), "size 0 is impossible"),
        (lambda: LookupEmbedding(9, size=2, token_dropout=1.0), "a dropout probability of 1.0 is impossible"),
        (
            lambda: SoftmaxHead(3, 0, 3, 9, label_smoothing=2),
            "label_smoothing 2 is impossible; .* between 0 and 1",
        ),
        (lambda: SoftmaxHead(3, 0, 3, 9, label_smoothing=-0.1), "label_smoothing -0.1 is impossible"),
    ],
)
def test_what_describes_no_network(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


class Orthogonal(RecurrentCell):
    """Its constructor looks at the values of its weight, which are drawn."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, projected_size=hidden_size)
        self.recurrent = parametrizations.orthogonal(nn.Linear(hidden_size, hidden_size, bias=False))

    def step(self, x: torch.Tensor, state: Any, noise: Any = None) -> tuple[torch.Tensor, Any]:
        hidden = torch.tanh(x + self.recurrent(state[0]))
        return hidden, (hidden,)


@pytest.mark.parametrize("cell", [Orthogonal, LSTM])
def test_a_part_built_for_its_sizes_takes_no_random_numbers(cell: type[RecurrentCell]) -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    assert built_for_sizes(cell, 3, hidden_size=4).output_size == 4
    assert torch.equal(torch.rand(1), expected)


def test_a_part_built_for_its_sizes_takes_memory_only_where_it_must() -> None:
    assert {part.device.type for part in built_for_sizes(LSTM, 2**20, 2**20).parameters()} == {"meta"}
    with torch.device("meta"):  # one that builds such a part itself
        assert {part.device.type for part in built_for_sizes(Orthogonal, 3, 4).parameters()} == {"cpu"}


@pytest.mark.parametrize(
    "make",
    [BahdanauDecoder, GNMTDecoder, partial(InputFeedingDecoder, attention=None), RecurrentDecoder],
    ids=["Bahdanau", "GNMT", "InputFeeding", "Recurrent"],
)
def test_a_cell_that_looks_at_values_goes_into_every_decoder(make: Callable[..., nn.Module]) -> None:
    decoder = make(3, 4, cell=Orthogonal, hidden_size=4)
    assert sum(isinstance(part, Orthogonal) for part in decoder.modules()) == sum(
        isinstance(part, LSTM) for part in make(3, 4, cell=LSTM, hidden_size=4).modules()
    )
    assert {part.device.type for part in decoder.parameters()} == {"cpu"}


def test_an_option_that_no_part_can_have_is_told_where_one_is_built_for_its_sizes() -> None:
    with pytest.raises(ConfigError, match="hidden_size 0 is impossible") as caught:
        built_for_sizes(LSTM, 3, 0)
    assert caught.value.__context__ is None, "the same was said twice"
