"""What every registered encoder, bridge, head and embedding must keep, with their options as they come."""

from typing import Any

import pytest
import torch
from torch import Tensor

from s2s.nn import Decoded, Head, SequenceEncoder, leaves, length_mask
from s2s.padded import Padded
from s2s.registry import catalogue

LENGTHS = (4, 1, 3)


def registered(kind: str) -> list[Any]:
    return [pytest.param(catalogue().load(kind, e.name), id=e.name) for e in catalogue().entries(kind)]


@pytest.mark.parametrize("make", registered("encoder"))
def test_encoder(make: Any) -> None:
    """Outputs zero at padding, finite values and gradients; each sentence as alone; sizes as announced."""
    torch.manual_seed(0)
    encoder: SequenceEncoder = make(3).double().eval()
    lengths = torch.tensor(LENGTHS)
    mask = length_mask(lengths, max(LENGTHS))
    x = torch.randn(*mask.shape, 3, dtype=torch.float64)
    x[~mask] = float("nan")
    x.requires_grad_()
    encoded = encoder(x, lengths)
    features = encoder.features(encoded.state)
    assert encoded.outputs.shape == (*mask.shape, encoder.output_size)
    assert features.shape == (len(LENGTHS), encoder.feature_size)
    assert all(leaf.size(0) == len(LENGTHS) for leaf in leaves(encoded.state))
    assert not encoded.outputs[~mask].any()
    for row, length in enumerate(LENGTHS):
        alone = encoder(x[row : row + 1, :length], lengths[row : row + 1])
        torch.testing.assert_close(encoded.outputs[row, :length], alone.outputs[0], rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(features[row], encoder.features(alone.state)[0], rtol=1e-10, atol=1e-10)
    loss = (encoded.outputs * torch.randn_like(encoded.outputs)).sum() + features.sum()
    (gradient,) = torch.autograd.grad(loss, [x], retain_graph=True)
    assert gradient.isfinite().all() and not gradient[~mask].any()
    loss.backward()
    idle = [key for key, p in encoder.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert not idle


@pytest.mark.parametrize("make", registered("bridge"))
def test_bridge(make: Any) -> None:
    """Any widths; each sentence for itself; each feature reaches the other side."""
    torch.manual_seed(0)
    for before, after in ((3, 7), (7, 3), (4, 4)):
        bridge = make(before, after).double().eval()
        features = torch.randn(2, before, dtype=torch.float64, requires_grad=True)
        bridged = bridge(features)
        assert bridged.shape == (2, after)
        torch.testing.assert_close(bridge(features[1:]), bridged[1:])
        (gradient,) = torch.autograd.grad(
            (bridged[0] * torch.randn(after, dtype=torch.float64)).sum(), [features]
        )
        assert gradient[0].abs().gt(0).all() and not gradient[1].any()


@pytest.mark.parametrize("make", registered("embedding"))
def test_embedding(make: Any) -> None:
    torch.manual_seed(0)
    embedding = make(11).eval()
    tokens = torch.tensor([[1, 2, 3], [3, 0, 0]])
    vectors = embedding(tokens)
    assert vectors.shape == (2, 3, embedding.size)
    assert torch.equal(vectors[0, 2], vectors[1, 0])
    assert torch.equal(embedding(tokens[:, 0]), vectors[:, 0])
    table = embedding.table()
    assert table is None or table.shape == (11, embedding.size)


def decoded(mask: Tensor, source: Padded, padding: float) -> Decoded:
    """An answer of a decoder with attention, of widths 4, 5 and 3."""
    torch.manual_seed(1)
    weights = torch.rand(*mask.shape, source.ids.size(1), dtype=torch.float64)
    weights = weights.masked_fill(~source.mask.unsqueeze(1), 0.0)
    weights = weights / weights.sum(-1, keepdim=True)
    parts = [torch.randn(*mask.shape, width, dtype=torch.float64) for width in (4, 5, 3)]
    answer = Decoded(parts[0], parts[1], weights, parts[2])
    return Decoded(*(part.masked_fill(~mask.unsqueeze(-1), padding) for part in answer))


@pytest.mark.parametrize("make", registered("head"))
def test_head(make: Any) -> None:
    """Probabilities sum to one; the loss is theirs, over real tokens alone, each sentence for itself."""
    torch.manual_seed(0)
    head: Head = make(4, 5, 3, 11).double().eval()
    mask = length_mask(torch.tensor(LENGTHS), max(LENGTHS))
    source = Padded(torch.tensor([[4, 5], [6, 0], [7, 8]]), torch.tensor([2, 1, 2]))
    gold = torch.randint(1, 11, mask.shape).masked_fill(~mask, 0)
    answer = decoded(mask, source, 0.0)
    log_probs = head.log_probs(answer, source)
    assert log_probs.shape[:2] == mask.shape and log_probs.size(-1) >= 11
    torch.testing.assert_close(log_probs.exp().sum(-1)[mask], torch.ones(sum(LENGTHS), dtype=torch.float64))
    loss = head.loss(answer, gold, mask, source)
    expected = -log_probs.gather(-1, gold.unsqueeze(-1)).squeeze(-1)[mask].sum()
    torch.testing.assert_close(loss.nll, expected.detach())
    assert int(loss.tokens) == sum(LENGTHS) and loss.total.requires_grad and not loss.nll.requires_grad

    dirty = head.loss(decoded(mask, source, float("nan")), gold, mask, source)
    torch.testing.assert_close(dirty.total, loss.total)
    for gradient in torch.autograd.grad(dirty.total, [p for p in head.parameters() if p.requires_grad]):
        assert gradient.isfinite().all()

    alone = []
    for row, length in enumerate(LENGTHS):
        rows = slice(row, row + 1)
        one = Decoded(*(part[rows, :length] for part in answer))
        own_source = Padded(source.ids[rows], source.lengths[rows])
        alone.append(head.loss(one, gold[rows, :length], mask[rows, :length], own_source).total)
    torch.testing.assert_close(torch.stack(alone).sum(), loss.total)


@pytest.mark.parametrize("make", registered("head"))
def test_head_at_one_step(make: Any) -> None:
    """[rows] as in search gives what [batch, target] gives."""
    torch.manual_seed(0)
    head: Head = make(4, 5, 3, 11).double().eval()
    mask = length_mask(torch.tensor(LENGTHS), max(LENGTHS))
    source = Padded(torch.tensor([[4, 5], [6, 0], [7, 8]]), torch.tensor([2, 1, 2]))
    answer = decoded(mask, source, 0.0)
    whole = head.log_probs(answer, source)
    first = Decoded(*(part[:, 0] for part in answer))
    torch.testing.assert_close(head.log_probs(first, source), whole[:, 0])
