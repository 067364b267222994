"""The linear bridge: every part of the encoder's state reaches every part of the decoder's."""

import pytest
import torch

from s2s_plugins.bridges.linear import LinearBridge


@pytest.mark.parametrize("activation", ["none", "tanh"])
def test_values(activation: str) -> None:
    torch.manual_seed(0)
    bridge = LinearBridge(5, 3, activation=activation).double()  # type: ignore[arg-type]
    features = torch.randn(2, 5, dtype=torch.float64)
    expected = (
        features.numpy() @ bridge.layer.weight.detach().numpy().T
    ) + bridge.layer.bias.detach().numpy()
    expected = torch.from_numpy(expected)
    torch.testing.assert_close(bridge(features), expected.tanh() if activation == "tanh" else expected)


@pytest.mark.parametrize("activation", ["none", "tanh"])
def test_every_part_reaches_every_part(activation: str) -> None:
    torch.manual_seed(0)
    bridge = LinearBridge(5, 3, activation=activation).double()  # type: ignore[arg-type]
    jacobian = torch.autograd.functional.jacobian(bridge, torch.randn(1, 5, dtype=torch.float64))
    assert jacobian.squeeze().abs().gt(0).all()
