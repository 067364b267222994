"""What a stepper knows of its sentences."""

from typing import Any, cast

import torch

from s2s.search.constraints import constrain
from s2s.search.ensemble import StepperEnsemble
from s2s.search.stepper import ModelStepper
from s2s.text.batch import pad


def fingerprints(sources) -> list[int]:
    stepper = ModelStepper(cast(Any, None), pad(sources), ())
    ensemble, _ = constrain(StepperEnsemble([stepper, stepper]), (), no_repeat_ngram=2)
    found: list[int] = stepper.fingerprints().tolist()
    assert ensemble.fingerprints().tolist() == found
    rows = torch.arange(len(sources) - 1, -1, -1)
    assert ensemble.keep(rows).fingerprints().tolist() == found[::-1]
    return found


def test_a_fingerprint_is_of_the_source_alone():
    sources = [[4, 5], [5, 4], [4, 5, 0], [4], [4, 5, 6, 7, 8, 9]]
    together = fingerprints(sources)
    assert together == [number for source in sources for number in fingerprints([source])]
    assert len(set(together)) == len(sources)
