"""The conformance kit for bridges.

Each check takes a factory (encoder_features, decoder_features) -> Bridge: a class, or a partial with options.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from s2s.nn.bridge import Bridge
from s2s.testing import constructors, models
from s2s.testing.comparing import TOLERANCES, expect_close, expect_shape
from s2s.testing.kit import Check, Nonconforming
from s2s.testing.modules import (
    expect_exported,
    expect_gradients,
    expect_nothing_kept,
    expect_same_on_accelerator,
    expect_true_gradients,
    unsettle,
    with_gradients,
)

BridgeFactory = Callable[[int, int], Bridge]

SIZES = ((3, 7), (7, 3), (4, 4), (1, 1))  # wider, narrower, equal, the smallest
ROWS = 3


def check_constructor(factory: BridgeFactory) -> None:
    """The constructor is typed, documented, and builds from a name alone."""
    constructors.check_constructor(factory)


def check_shapes(factory: BridgeFactory) -> None:
    """Any widths on both sides, in float64 and float32."""
    for before, after in SIZES:
        for dtype in (torch.float64, torch.float32):
            bridged = build(factory, before, after, dtype)(torch.randn(ROWS, before, dtype=dtype))
            expect_shape(
                f"what a bridge from {before} to {after} gives",
                bridged,
                (ROWS, after),
                "encoder and decoder may have any sizes, depths and cells",
            )
            if bridged.dtype != dtype:
                raise Nonconforming(
                    f"that a bridge makes {bridged.dtype} of {dtype}", f"{dtype}", "Keep the dtype."
                )


def check_every_feature(factory: BridgeFactory) -> None:
    """Every feature of the decoder's state depends on every feature of the encoder's."""
    for before, after in SIZES:
        bridge = build(factory, before, after)
        features = torch.randn(16, before, dtype=torch.float64, requires_grad=True)  # a ReLU is dead at some
        bridged = bridge(features)
        for place in range(after):
            values = {"answer": bridged[:, place]}
            gradient = with_gradients(values, {"features": features}, bridge)["gradient of features"]
            reached = gradient.ne(0).any(0)
            if not reached.all():
                lost = int(reached.logical_not().nonzero()[0])
                raise Nonconforming(
                    f"that feature {place} of {after} does not depend on feature {lost} of {before}",
                    "that every part of the encoder's state, hidden and memory, reaches every part of the decoder's",
                    "Map all features together, neither only some nor part by part.",
                )


def check_mixed_precision(factory: BridgeFactory) -> None:
    """Under bfloat16 autocast the features are the same within rounding."""
    for before, after in SIZES:
        bridge = build(factory, before, after, torch.float32)
        features = torch.randn(ROWS, before)
        with torch.autocast(features.device.type, torch.bfloat16):
            found = bridge(features)
        remedy = "Take what bfloat16 cannot hold in float32 at least."
        expect_close(
            "features in bfloat16 and in float32",
            found,
            bridge(features),
            remedy,
            TOLERANCES[torch.bfloat16],
        )


def check_batch_mates(factory: BridgeFactory) -> None:
    """A sentence alone, in a batch and in a reordered batch: the same features."""
    for before, after in SIZES:
        bridge = build(factory, before, after)
        features = torch.randn(ROWS, before, dtype=torch.float64)
        whole, remedy = bridge(features), "No row may see another: no mean or normalization over the batch."
        for row in range(ROWS):
            alone = bridge(features[row : row + 1])
            expect_close("features alone and in a batch", whole[row : row + 1], alone, remedy)
        order = torch.tensor([2, 0, 1])
        expect_close("features in another order of the batch", bridge(features[order]), whole[order], remedy)


def check_keeps_nothing(factory: BridgeFactory) -> None:
    """The same features give the same bits, a run leaves nothing on the part, and its state_dict is complete."""
    expect_nothing_kept(
        lambda: build(factory, 3, 7),
        lambda bridge: torch.randn(ROWS, 3, dtype=torch.float64),
        lambda bridge, features: {"the bridge's answer": bridge(features)},
    )


def check_devices(factory: BridgeFactory) -> None:
    """On an accelerator, here an emulated one, it computes the same: no tensor stays behind on the CPU."""
    expect_same_on_accelerator(
        build(factory, 3, 7),
        torch.randn(ROWS, 3, dtype=torch.float64),
        lambda bridge, features: {"the bridge's answer": bridge(features)},
    )


def check_gradients(factory: BridgeFactory) -> None:
    """Gradients match finite differences; features and every parameter get one."""
    for before, after in SIZES:
        bridge = build(factory, before, after)
        features = torch.randn(ROWS, before, dtype=torch.float64, requires_grad=True)

        def run(features: Tensor, bridge: Bridge = bridge) -> tuple[Tensor, ...]:
            return (bridge(features),)

        expect_true_gradients(run, (features,), "the bridge")
        expect_gradients({"answer": bridge(features)}, {"features": features}, bridge)


def check_every_partner(factory: BridgeFactory) -> None:
    """With every registered encoder, decoder and cell: teacher forcing equals stepping, beams stay independent."""
    models.expect_exact_beside("bridge", factory, ("encoder", "decoder", "cell"))


def check_export(factory: BridgeFactory) -> None:
    """It can be exported, for any number of sentences."""
    bridge = build(factory, 3, 7, torch.float32)
    expect_exported(bridge, (torch.randn(3, 3),), (torch.randn(5, 3),), ({0: "rows"},))


def check_learning(factory: BridgeFactory) -> None:
    """A model that passes everything through it learns to copy short sequences in a few seconds."""
    parts: dict[str, Any] = {"bridge": factory, "attention": None}
    models.expect_to_learn(models.learning_model(size=32, **parts), "a model with the bridge", longest=4)


def build(factory: BridgeFactory, before: int, after: int, dtype: torch.dtype = torch.float64) -> Bridge:
    """A bridge in evaluation mode."""
    return unsettle(factory(before, after).to(dtype)).eval()


BRIDGE_CHECKS = tuple(
    Check("bridge", run)
    for run in (
        check_constructor,
        check_shapes,
        check_every_feature,
        check_mixed_precision,
        check_batch_mates,
        check_keeps_nothing,
        check_devices,
        check_gradients,
        check_every_partner,
        check_export,
        check_learning,
    )
)
