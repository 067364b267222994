"""Conformance kits for plugins, and slow, readable reference implementations.

    from s2s.testing import check_cell, conformance

    check_cell(MyCell)                       # or functools.partial(MyCell, my_option=3): raises if a check fails

    @conformance("cell", MyCell)             # one pytest case per check
    def test_my_cell(check):
        check()

`s2s plugins check` prints the same, check by check. What no kit covers on a GPU can be tested without one:

    with emulated_accelerator() as device:   # refuses tensors of two devices, and computes on the CPU
        model.to(device)(x.to(device))
"""

from s2s.testing.accelerator import DeviceMismatch, emulated_accelerator
from s2s.testing.kit import Check, FailedChecks, Nonconforming, Outcome, Report, examine
from s2s.testing.kits import (
    KITS,
    check_attention,
    check_bridge,
    check_cell,
    check_corpus,
    check_decoder,
    check_embedding,
    check_encoder,
    check_head,
    check_metric,
    check_search,
    check_task,
    check_tokenizer,
    conformance,
)

__all__ = [
    "KITS",
    "Check",
    "DeviceMismatch",
    "FailedChecks",
    "Nonconforming",
    "Outcome",
    "Report",
    "check_attention",
    "check_bridge",
    "check_cell",
    "check_corpus",
    "check_decoder",
    "check_embedding",
    "check_encoder",
    "check_head",
    "check_metric",
    "check_search",
    "check_task",
    "check_tokenizer",
    "conformance",
    "emulated_accelerator",
    "examine",
]
