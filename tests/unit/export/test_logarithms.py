"""Logarithms of small probabilities in ONNX against float64, where float32's exp is 0."""

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s.export.graphs import export_part


class Logarithms(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return torch.logaddexp(x, y), F.logsigmoid(x)


def test_nothing_underflows() -> None:
    x = np.array([0.0, -1.0, -200.0, -200.0, -np.inf, -np.inf, -1e30, 80.0, 3.0])
    y = np.array([0.0, -300.0, -201.0, -np.inf, -150.0, -np.inf, -1e30, -80.0, 3.0])
    example = torch.zeros(2), torch.zeros(2)
    with torch.no_grad():
        free = ({0: torch.export.Dim.DYNAMIC},) * 2
        graph = export_part(Logarithms(), example, free, ["x", "y"], ["sum", "sigmoid"])
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    found = session.run(None, {"x": x.astype(np.float32), "y": y.astype(np.float32)})
    assert np.allclose(found[0], np.logaddexp(x, y), rtol=1e-6, atol=1e-6)
    assert np.allclose(found[1], -np.logaddexp(0.0, -x), rtol=1e-6, atol=1e-6)
