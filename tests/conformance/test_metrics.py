"""Every registered metric, and each built-in option that changes what is measured."""

from functools import partial

import pytest

from s2s.registry import catalogue
from s2s.testing import KITS, Check
from s2s.testing.metrics import MetricFactory
from s2s_plugins.metrics.bleu import BLEU
from s2s_plugins.metrics.chrf import ChrF
from s2s_plugins.metrics.rouge import ROUGE1, ROUGELsum
from s2s_plugins.metrics.ter import TER

REGISTERED: dict[str, MetricFactory] = {
    name: catalogue().load("metric", name) for name in catalogue().names("metric")
}
METRICS: dict[str, MetricFactory] = REGISTERED | {
    "BLEU-characters": partial(BLEU, tokenize="char"),
    "BLEU-lower": partial(BLEU, lowercase=True, resamples=10),
    "ChrF++": partial(ChrF, word_order=2),
    "ROUGE1-mean": partial(ROUGE1, references="mean", resamples=10),
    "ROUGELsum-stems": partial(ROUGELsum, stemmer=True),
    "TER-lower": partial(TER, lowercase=True),
}


def test_metrics_are_registered() -> None:
    assert {"BLEU", "ChrF", "ROUGE1", "ROUGE2", "ROUGEL", "ROUGELsum", "TER"} <= set(REGISTERED)


@pytest.mark.parametrize("check", KITS["metric"], ids=str)
@pytest.mark.parametrize("name", METRICS)
def test_metric(name: str, check: Check) -> None:
    check(METRICS[name])
