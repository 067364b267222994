"""The decoder of Nematus: two recurrent transitions per token, with attention between them."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from s2s.nn import Attention, RecurrentCell, State, advance, check_size
from s2s_plugins.attention.bahdanau import Bahdanau
from s2s_plugins.cells.gru import GRU
from s2s_plugins.decoders.conditioned import ConditionedDecoder, Turn
from s2s_plugins.decoders.deep_output import DeepOutput
from s2s_plugins.decoders.upper_layers import UpperLayers


class ConditionalDecoder(ConditionedDecoder):
    """The conditional GRU with attention (Sennrich et al. 2017, section 2), for any cell.

    ::

        s'_j = cell_1(E y_{j-1}, s_{j-1})
        context_j = attention(s'_j)
        s_j = cell_2(context_j, s'_j)
        t_j = tanh(W_t1 s_j + W_t2 E y_{j-1} + W_t3 context_j + b)

    Both cells update the same state, with separate weights. The first one's projection of the tokens is computed
    outside the loop. Layers above the first are cells without attention, which read s (Miceli Barone et al. 2017).

    Args:
        input_size: width of the embedded tokens.
        memory_size: width of the encoder outputs.
        cell: the recurrent cell of both transitions, and of the layers above.
        attention: the attention; None: the second transition reads the first one's output.
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
        first = cell(input_size, hidden_size)
        attends = attention(first.output_size, memory_size) if attention is not None else None
        context_size = attends.context_size if attends is not None else 0
        second = cell(context_size or first.output_size, hidden_size)
        upper = UpperLayers(
            second.output_size,
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
            first=first,
            attention=attends,
            upper=upper,
            deep_output=DeepOutput(
                upper.output_size, input_size, context_size, hidden_size, activation="tanh"
            ),
            dropout=dropout,
            variational=variational,
        )
        self.second = second

    def draw_first(self, batch_size: int, *, like: Tensor) -> Any:
        """The noise of both transitions."""
        return tuple(cell.noise(batch_size, like=like) for cell in (self.first, self.second))

    def turn(
        self, known: Tensor, memory: Any, first: State, attention: State, noise: Any
    ) -> tuple[Turn, State, State]:
        """Both transitions, with attention between them."""
        said, between = advance(self.first, known, first, noise[0])
        context, weights, attention = self.ask(said, memory, attention)
        read = self.second.project(said if context is None else context)
        output, first = advance(self.second, read, between, noise[1])
        return Turn(output, context, weights), first, attention
