"""The decoder of Google's neural machine translation: the lowest layer queries attention for all layers."""

from collections.abc import Callable

from s2s.nn import Attention, RecurrentCell, built_for_sizes, check_size
from s2s_plugins.attention.bahdanau import Bahdanau
from s2s_plugins.cells.lstm import LSTM
from s2s_plugins.decoders.conditioned import ConditionedDecoder
from s2s_plugins.decoders.upper_layers import UpperLayers


class GNMTDecoder(ConditionedDecoder):
    """Attention queried by the first layer, its context read by all layers (Wu et al. 2016, eq. 4-6 and figure 1).

    ::

        context_i = attention(x^1_{i-1})                     x^1: outputs of the first layer
        x^1_i = cell_1([E y_{i-1}; context_i])
        x^l_i = cell_l([x^{l-1}_i; context_i])               l = 2
        x^l_i = cell_l([x^{l-1}_i; context_i]) + x^{l-1}_i   l > 2

    The next token is predicted from the highest output. Attention depends only on the first layer, so the layers above
    it run over all positions at once. The first query is read from the first layer's initial state.

    Args:
        input_size: width of the embedded tokens.
        memory_size: width of the encoder outputs.
        cell: the recurrent cell.
        attention: the attention; None: there is no context.
        hidden_size: width of the cells' state.
        layers: number of layers; the paper has 8.
        residual: add a layer's input to its output, from the third layer on.
        dropout: dropout between the layers and on the highest output.
        variational: one dropout mask per sentence instead of one per position (Gal & Ghahramani 2016).
    """

    def __init__(
        self,
        input_size: int,
        memory_size: int,
        *,
        cell: Callable[[int, int], RecurrentCell] = LSTM,
        attention: Callable[[int, int], Attention] | None = Bahdanau,
        hidden_size: int = 512,
        layers: int = 4,
        residual: bool = True,
        dropout: float = 0.0,
        variational: bool = False,
    ) -> None:
        query_size = built_for_sizes(cell, input_size + memory_size, hidden_size).output_size
        attends = attention(query_size, memory_size) if attention is not None else None
        context_size = attends.context_size if attends is not None else 0
        super().__init__(
            input_size,
            memory_size,
            first=cell(input_size + context_size, hidden_size),
            attention=attends,
            upper=UpperLayers(
                query_size,
                context_size,
                cell=cell,
                hidden_size=hidden_size,
                layers=check_size("layers", layers) - 1,
                residual_from=1 if residual else None,
                dropout=dropout,
                variational=variational,
            ),
            deep_output=None,
            dropout=dropout,
            variational=variational,
        )
