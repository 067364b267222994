"""Options that describe no network are refused where the part is made, in one line."""

from collections.abc import Callable

import pytest

from s2s.errors import ConfigError
from s2s_plugins.attention.bahdanau import Bahdanau
from s2s_plugins.cells.elman import Elman
from s2s_plugins.cells.gru import GRU
from s2s_plugins.cells.lstm import LSTM
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
