"""The classifier beside NumPy; padding and batch mates must never matter."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from s2s.errors import ConfigError
from s2s.nn import Encoded, SequenceEncoder
from s2s.nn.classifier import UNKNOWN_CLASS, SequenceClassifier, class_loss
from s2s.nn.pooling import AttentionPooling, max_over_time, mean_over_time
from s2s.registry import catalogue
from s2s.registry.parts import factory
from s2s.text.batch import pad
from s2s_plugins.embeddings.lookup import LookupEmbedding

POOLINGS = ("last", "mean", "max", "attention")
SENTENCES = [[5, 9, 4, 7, 7], [6], [8, 4, 10], [11, 5]]


class Given(SequenceEncoder):
    """Hands on what it reads, NaN in the padding; its state is the last vector."""

    def __init__(self, input_size: int) -> None:
        super().__init__(input_size, output_size=input_size, feature_size=input_size)

    def forward(self, x: Tensor, lengths: Tensor) -> Encoded:
        real = torch.arange(x.size(1)) < lengths.unsqueeze(1)
        last = x[torch.arange(len(x)), lengths - 1]
        return Encoded(x.masked_fill(~real.unsqueeze(-1), torch.nan), lengths, (last,))


def model(pooling: Any, encoder: Any = Given, **more: Any) -> SequenceClassifier:
    torch.manual_seed(3)
    built = SequenceClassifier(
        12, 3, embedding=partial(LookupEmbedding, size=6), encoder=encoder, pooling=pooling, **more
    )
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.normal_()
    return built.double().eval()


def numpy_log_probs(built: SequenceClassifier, sentence: list[int]) -> np.ndarray:
    """One sentence, from the equations."""
    weights = {name: value.detach().numpy() for name, value in built.named_parameters()}
    h = weights["embedding.weight"][sentence]  # [time, 6], for the encoder hands them on
    if built.pooling == "last":
        pooled = h[-1]
    elif built.pooling == "mean":
        pooled = h.sum(0) / len(h)
    elif built.pooling == "max":
        pooled = h.max(0)
    else:  # Yang et al. 2016, eq. 5-7
        u = np.tanh(h @ weights["attention.project.weight"].T + weights["attention.project.bias"])
        alpha = np.exp(u @ weights["attention.context"])
        pooled = (alpha / alpha.sum()) @ h
    if "hidden.weight" in weights:
        pooled = np.maximum(0, weights["hidden.weight"] @ pooled + weights["hidden.bias"])
    scores = weights["output.weight"] @ pooled + weights["output.bias"]
    return scores - np.log(np.exp(scores).sum())


@pytest.mark.parametrize("hidden_size", [0, 5])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_against_numpy_with_nan_in_the_padding(pooling: str, hidden_size: int) -> None:
    built = model(pooling, hidden_size=hidden_size)
    found = built(pad(SENTENCES))
    expected = np.stack([numpy_log_probs(built, sentence) for sentence in SENTENCES])
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=0, atol=1e-12)
    built(pad(SENTENCES)).sum().backward()
    assert all(bool(parameter.grad.isfinite().all()) for parameter in built.parameters())  # type: ignore[union-attr]


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("encoder", catalogue().names("encoder"))
def test_a_text_gives_what_it_gives_alone_values_and_gradients(encoder: str, pooling: str) -> None:
    part = catalogue().load("encoder", encoder)
    options = {"hidden_size": 4} if "hidden_size" in part.__init__.__annotations__ else {}
    if encoder == "Transformer":
        options = {"heads": 2} if "heads" in part.__init__.__annotations__ else {}
    made = factory("encoder", {"class_path": encoder, "init_args": options} if options else encoder)
    built = model(pooling, made, hidden_size=5)
    padded = pad(SENTENCES)
    # Any token may lie in the padding, and a batch may be wider than its longest text.
    ids = torch.nn.functional.pad(padded.ids, (0, 2)).masked_fill(
        ~torch.nn.functional.pad(padded.mask, (0, 2)), 9
    )
    together = built(padded._replace(ids=ids))
    alone = torch.cat([built(pad([sentence])) for sentence in SENTENCES])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-10)
    gold = torch.tensor([0, 2, 1, 1])
    gradients = []
    for log_probs in (together, alone):
        built.zero_grad()
        class_loss(log_probs, gold).total.backward()
        gradients.append(
            {name: value.grad.clone() for name, value in built.named_parameters() if value.grad is not None}
        )
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], rtol=0, atol=1e-9)


def test_attention_weights_are_zero_at_padding_and_sum_to_one() -> None:
    pooling = AttentionPooling(4)
    mask = torch.tensor([[True, True, False], [True, False, False]])
    weights = pooling.weights(torch.randn(2, 3, 4), mask)
    assert bool((weights[~mask] == 0).all())
    torch.testing.assert_close(weights.sum(1), torch.ones(2))


def test_mean_and_max_by_hand() -> None:
    outputs = torch.tensor([[[1.0, -4.0], [3.0, -2.0], [9.0, 9.0]], [[-5.0, 0.5], [9.0, 9.0], [9.0, 9.0]]])
    mask = torch.tensor([[True, True, False], [True, False, False]])
    assert mean_over_time(outputs, mask).tolist() == [[2.0, -3.0], [-5.0, 0.5]]
    assert max_over_time(outputs, mask).tolist() == [[3.0, -2.0], [-5.0, 0.5]]


def test_loss_by_hand() -> None:
    log_probs = torch.tensor([[0.5, 0.5], [0.25, 0.75], [0.1, 0.9]]).log()
    gold = torch.tensor([0, 1, UNKNOWN_CLASS])
    plain = class_loss(log_probs, gold)
    assert float(plain.total) == pytest.approx(np.log(2) + np.log(4 / 3))
    assert float(plain.nll) == pytest.approx(float(plain.total)) and int(plain.tokens) == 2
    weighted = class_loss(log_probs, gold, torch.tensor([3.0, 0.5]))
    assert float(weighted.total) == pytest.approx(3 * np.log(2) + 0.5 * np.log(4 / 3))
    assert float(weighted.nll) == pytest.approx(float(plain.total)) and int(weighted.tokens) == 2


def test_dropout_is_for_training_alone() -> None:
    built = model("mean", hidden_size=5, dropout=0.5)
    assert torch.equal(built(pad(SENTENCES)), built(pad(SENTENCES)))
    built.train()
    assert not torch.equal(built(pad(SENTENCES)), built(pad(SENTENCES)))


def test_mixed_precision_ends_in_float32() -> None:
    built = model("attention").float()
    with torch.autocast("cpu", torch.bfloat16):
        found = built(pad(SENTENCES))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, built(pad(SENTENCES)), rtol=0.05, atol=0.1)  # of bfloat16's 8 bits


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"pooling": "min"}, "unknown pooling 'min'; choose one of last, mean, max, attention"),
        ({"classes": 1}, "classes is 1; there must be 2 or more to choose from"),
        ({"hidden_size": -1}, "hidden_size is -1; it must be at least 1, or 0 for no hidden layer"),
        ({"dropout": 1.0}, "a dropout probability of 1.0 is impossible"),
    ],
)
def test_what_cannot_be(more: dict[str, Any], message: str) -> None:
    options = {"vocabulary_size": 12, "classes": 3, "embedding": LookupEmbedding, "encoder": Given} | more
    with pytest.raises(ConfigError, match=message):
        SequenceClassifier(**options)
