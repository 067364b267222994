"""Logarithms of small probabilities in ONNX, written so that they do not underflow.

The exporter's own ways are ``log(exp(x) + exp(y))`` and ``log(sigmoid(x))``: in float32 they are -inf below -103, where
torch gives the number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from onnxscript import opset20 as op

_LEAST = float(np.finfo(np.float32).min)


def log_sigmoid(x: Any) -> Any:
    """``-softplus(-x)``."""
    return op.Neg(op.Softplus(op.Neg(x)))


def log_add_exp(x: Any, y: Any) -> Any:
    """``m + log(exp(x - m) + exp(y - m))``, m the larger of both, or the least number there is where both are -inf."""
    larger = op.Max(x, y, op.Constant(value_float=_LEAST))
    return op.Add(larger, op.Log(op.Add(op.Exp(op.Sub(x, larger)), op.Exp(op.Sub(y, larger)))))


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.aten.log_sigmoid.default: log_sigmoid,
    torch.ops.aten.logaddexp.default: log_add_exp,
}
"""Operators of torch, and what they become."""
