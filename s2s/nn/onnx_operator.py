"""A cell as one of ONNX's recurrent operators: data only, nothing here imports onnx."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from torch import Tensor


class OnnxOperator(NamedTuple):
    """One of the operators RNN, GRU and LSTM, in one direction, with the weights in the operator's own order of gates.

    The leaves of the cell's state are those of the operator: (hidden,), or (hidden, memory) for LSTM.

    Attributes:
        name: of the operator.
        input_weight: W, [gates * hidden, input].
        recurrent_weight: R, [gates * hidden, hidden].
        bias: B, that of the input and then that of the recurrence, [2 * gates * hidden].
        peepholes: P, LSTM only, [3 * hidden]; None: it has none.
        attributes: of the operator, besides its direction and its width.
    """

    name: Literal["RNN", "GRU", "LSTM"]
    input_weight: Tensor
    recurrent_weight: Tensor
    bias: Tensor
    peepholes: Tensor | None = None
    attributes: Mapping[str, int | list[str]] = {}
