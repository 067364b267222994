"""A model that sees its batch mates is found, and so is one that sees its padding."""

import random
from typing import Any

import pytest
import torch

from s2s.nn import Seq2Seq
from soak.attack import Broken
from soak.exactness import Exactness, build, choices, draw, strategy

ROW = {name: given[0] for name, given in choices().items()}


def sees_mates(encoder: Any, given: Any, encoded: Any) -> Any:
    return encoded._replace(outputs=encoded.outputs + 1e-3 * encoded.outputs.mean(0))


def sees_padding(encoder: Any, given: Any, encoded: Any) -> Any:
    return encoded._replace(
        outputs=encoded.outputs + 1e-3 * given[0].mean(1, keepdim=True).sum(2, keepdim=True)
    )


@pytest.mark.parametrize(
    ("wrong", "how"),
    [
        (None, ""),
        (sees_mates, "all in a batch: scores are off"),
        (sees_padding, "all in a batch: scores are off"),
    ],
    ids=["right", "mates", "padding"],
)
def test_what_is_seen_of_others(wrong: Any, how: str) -> None:
    torch.manual_seed(0)
    model: Seq2Seq = build(ROW, 3).eval()
    if wrong is not None:
        model.encoder.register_forward_hook(wrong)
    sentences = draw(random.Random(1))

    def look() -> Any:
        return Exactness()._everywhere_the_same(model, strategy(ROW), sentences, random.Random(2), "plain")

    if wrong is None:
        found = look()
        assert found["scores within 1e-5"] == found["outputs the same"] == 6 * 6 and found.total() == 72
    else:
        with pytest.raises(Broken, match=how):
            look()
