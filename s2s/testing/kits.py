"""All kits by kind of part, and the functions that run one on a part."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from s2s.errors import ConfigError
from s2s.registry.near_names import unknown
from s2s.testing.attentions import ATTENTION_CHECKS
from s2s.testing.bridges import BRIDGE_CHECKS
from s2s.testing.cells import CELL_CHECKS
from s2s.testing.corpora import CORPUS_CHECKS
from s2s.testing.decoders import DECODER_CHECKS
from s2s.testing.embeddings import EMBEDDING_CHECKS
from s2s.testing.encoders import ENCODER_CHECKS
from s2s.testing.heads import HEAD_CHECKS
from s2s.testing.kit import Check, examine, expected_failures
from s2s.testing.metrics import METRIC_CHECKS
from s2s.testing.searches import SEARCH_CHECKS
from s2s.testing.tasks import TASK_CHECKS
from s2s.testing.tokenizers import TOKENIZER_CHECKS

KITS: Mapping[str, Sequence[Check]] = {
    "cell": CELL_CHECKS,
    "decoder": DECODER_CHECKS,
    "head": HEAD_CHECKS,
    "embedding": EMBEDDING_CHECKS,
    "bridge": BRIDGE_CHECKS,
    "encoder": ENCODER_CHECKS,
    "attention": ATTENTION_CHECKS,
    "tokenizer": TOKENIZER_CHECKS,
    "metric": METRIC_CHECKS,
    "search": SEARCH_CHECKS,
    "corpus": CORPUS_CHECKS,
    "task": TASK_CHECKS,
}
"""Kind of part -> its checks, in the order in which they are run."""


def checks_of(kind: str) -> Sequence[Check]:
    """The checks of a kind.

    Raises:
        ConfigError: there is no kit for it.
    """
    if kind not in KITS:
        raise ConfigError(unknown("kit for kind", kind, KITS))
    return KITS[kind]


def _check(kind: str, factory: Any, *, device: str = "cpu", slow: bool = False) -> None:
    """Run all checks of a kind on a part.

    Args:
        kind: of the part.
        factory: its class, or a `functools.partial` of it with options.
        device: where to check; GPU kernels differ from CPU kernels.
        slow: also run the slow checks (torch.compile).

    Raises:
        FailedChecks: a check failed; with what was found, what was expected, and the remedy of each.
    """
    examine(checks_of(kind), factory, device=device, slow=slow).raise_for_failures()


check_cell = functools.partial(_check, "cell")
check_decoder = functools.partial(_check, "decoder")
check_head = functools.partial(_check, "head")
check_embedding = functools.partial(_check, "embedding")
check_bridge = functools.partial(_check, "bridge")
check_encoder = functools.partial(_check, "encoder")
check_attention = functools.partial(_check, "attention")
check_tokenizer = functools.partial(_check, "tokenizer")
check_metric = functools.partial(_check, "metric")
check_search = functools.partial(_check, "search")
check_corpus = functools.partial(_check, "corpus")
check_task = functools.partial(_check, "task")


def conformance(kind: str, factory: Any, *, slow: bool = False) -> Callable[..., Any]:
    """A pytest decorator: one case per check, passed to the test as `check`, which takes no arguments.

    Checks in the part's `expected_failures` are marked as strictly expected to fail.

    Args:
        kind: of the part.
        factory: its class, or a `functools.partial` of it with options.
        slow: also run the slow checks.
    """
    import pytest

    checks = [check for check in checks_of(kind) if slow or not check.slow]
    declared = expected_failures(checks_of(kind), factory)
    cases = [
        pytest.param(
            functools.partial(check, factory),
            id=check.name,
            marks=[pytest.mark.xfail(reason=declared[check.name], strict=True)]
            if check.name in declared
            else [],
        )
        for check in checks
    ]
    mark: Callable[..., Any] = pytest.mark.parametrize("check", cases)
    return mark
