"""The decoder of the paper that introduced attention: each recurrent step reads a context computed before it."""

from collections.abc import Callable

from s2s.nn import Attention, RecurrentCell, built_for_sizes, check_size
from s2s_plugins.attention.bahdanau import Bahdanau
from s2s_plugins.cells.gru import GRU
from s2s_plugins.decoders.conditioned import ConditionedDecoder
from s2s_plugins.decoders.deep_output import DeepOutput
from s2s_plugins.decoders.upper_layers import UpperLayers


class BahdanauDecoder(ConditionedDecoder):
    """Attention before each recurrent step, and a deep output with maxout (Bahdanau et al. 2015, eq. 4 and A.2.2).

    ::

        context_i = attention(s_{i-1})
        s_i = cell([E y_{i-1}; context_i], s_{i-1})
        t_i = maxout(U_o s_i + V_o E y_{i-1} + C_o context_i + b)       eq. 4: g(y_{i-1}, s_i, c_i)

    A.2.2 prints s_{i-1} in the last line, where eq. 4 has s_i. The paper has a single layer, a GRU with `reset_before`,
    no b, and t_i half as wide as s_i. Layers above the first read the outputs of the layer below.

    Args:
        input_size: width of the embedded tokens.
        memory_size: width of the encoder outputs.
        cell: the recurrent cell.
        attention: the attention; None: there is no context.
        hidden_size: width of the cells' state and of t.
        layers: number of layers.
        residual: add a layer's input to its output, from the second layer on.
        dropout: dropout between the layers and on t.
        variational: one dropout mask per sentence instead of one per position (Gal & Ghahramani 2016).
    """

    def __init__(
        self,
        input_size: int,
        memory_size: int,
        *,
        cell: Callable[[int, int], RecurrentCell] = GRU,
        attention: Callable[[int, int], Attention] | None = Bahdanau,
        hidden_size: int = 512,
        layers: int = 1,
        residual: bool = False,
        dropout: float = 0.0,
        variational: bool = False,
    ) -> None:
        query_size = built_for_sizes(cell, input_size + memory_size, hidden_size).output_size
        attends = attention(query_size, memory_size) if attention is not None else None
        context_size = attends.context_size if attends is not None else 0
        upper = UpperLayers(
            query_size,
            0,
            cell=cell,
            hidden_size=hidden_size,
            layers=check_size("layers", layers) - 1,
            residual_from=0 if residual else None,
            dropout=dropout,
            variational=variational,
        )
        super().__init__(
            input_size,
            memory_size,
            first=cell(input_size + context_size, hidden_size),
            attention=attends,
            upper=upper,
            deep_output=DeepOutput(
                upper.output_size, input_size, context_size, hidden_size, activation="maxout"
            ),
            dropout=dropout,
            variational=variational,
        )
