"""The softmax head against cross-entropy worked out token by token in NumPy and by torch's own function."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from s2s.nn import Decoded, Head, length_mask, linear_cross_entropy
from s2s.nn import head as head_module
from s2s.padded import Padded
from s2s_plugins.heads.softmax import SoftmaxHead
from tests.references.loss import smoothed_cross_entropy

HIDDEN, VOCABULARY = 4, 7
SOURCE = Padded(torch.ones(3, 2, dtype=torch.int64), torch.tensor([2, 1, 2]))  # this head does not look at it


def decoded(lengths: list[int], *, padding: float = float("nan")) -> tuple[Decoded, Tensor, Tensor]:
    """Decoded with NaN in its padding, gold tokens, mask."""
    mask = length_mask(torch.tensor(lengths), max(lengths))
    hidden = torch.randn(*mask.shape, HIDDEN, dtype=torch.float64)
    hidden[~mask] = padding
    gold = torch.randint(VOCABULARY, mask.shape).masked_fill(~mask, 0)
    return Decoded(hidden.requires_grad_(), None, None, torch.zeros(*mask.shape, 3)), gold, mask


def make(smoothing: float, **options: int) -> SoftmaxHead:
    head = SoftmaxHead(HIDDEN, 0, 3, VOCABULARY, label_smoothing=smoothing).double()
    torch.nn.init.normal_(head.bias)
    return head


@settings(max_examples=20, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    smoothing=st.sampled_from([0.0, 0.1, 1.0]),
    seed=st.integers(0, 2**16),
)
def test_loss_and_gradients_against_numpy(lengths: list[int], smoothing: float, seed: int) -> None:
    torch.manual_seed(seed)
    head, (answer, gold, mask) = make(smoothing), decoded(lengths)
    loss = head.loss(answer, gold, mask, SOURCE)
    found = torch.autograd.grad(loss.total, [answer.hidden, head.weight, head.bias])

    hidden, W, b = (t.detach().numpy() for t in (answer.hidden, head.weight, head.bias))
    total = nll = 0.0
    d_hidden, d_W, d_b = np.zeros(hidden.shape), np.zeros(W.shape), np.zeros(b.shape)
    for row, length in enumerate(lengths):
        for t in range(length):
            h = hidden[row, t]
            token_loss, token_nll, d_logits = smoothed_cross_entropy(W @ h + b, int(gold[row, t]), smoothing)
            total, nll = total + token_loss, nll + token_nll
            d_hidden[row, t] = W.T @ d_logits
            d_W, d_b = d_W + np.outer(d_logits, h), d_b + d_logits
    assert float(loss.total.detach()) == pytest.approx(total, rel=1e-12)
    assert float(loss.nll) == pytest.approx(nll, rel=1e-12)
    assert int(loss.tokens) == sum(lengths)
    assert not loss.nll.requires_grad
    for gradient, expected in zip(found, (d_hidden, d_W, d_b), strict=True):
        np.testing.assert_allclose(gradient.numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("bound", [1, VOCABULARY, 3 * VOCABULARY, 2**22])
def test_pieces_against_torch(smoothing: float, bound: int) -> None:
    """However small the pieces: torch's cross-entropy over all logits at once, scaled as in training."""
    torch.manual_seed(0)
    hidden = torch.randn(10, HIDDEN, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(VOCABULARY, HIDDEN, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(VOCABULARY, dtype=torch.float64, requires_grad=True)
    gold = torch.randint(VOCABULARY, (10,))
    total, nll = linear_cross_entropy(
        hidden, weight, bias, gold, label_smoothing=smoothing, piece_elements=bound
    )
    logits = F.linear(hidden, weight, bias)
    expected = F.cross_entropy(logits, gold, label_smoothing=smoothing, reduction="sum")
    torch.testing.assert_close(total, expected)
    torch.testing.assert_close(nll, F.cross_entropy(logits, gold, reduction="sum"))
    inputs = [hidden, weight, bias]
    for found, wanted in zip(
        torch.autograd.grad(total / 3, inputs), torch.autograd.grad(expected / 3, inputs), strict=True
    ):
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("bound", [1, 40, 2**22])
def test_the_protocol_s_own_loss(bound: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a head inherits that writes `log_probs` alone, in pieces computed again, equals the fast one."""
    torch.manual_seed(0)
    head, (answer, gold, mask) = make(0.1), decoded([5, 1, 3], padding=0.0)
    inputs = [answer.hidden, head.weight, head.bias]
    fast = head.loss(answer, gold, mask, SOURCE)
    monkeypatch.setattr(head_module, "PIECE_ELEMENTS", bound)
    slow = Head.loss(head, answer, gold, mask, SOURCE)
    torch.testing.assert_close(slow.total, fast.total)
    torch.testing.assert_close(slow.nll, fast.nll)
    assert slow.tokens == fast.tokens == 9 and not slow.nll.requires_grad
    for found, wanted in zip(
        torch.autograd.grad(slow.total, inputs), torch.autograd.grad(fast.total, inputs), strict=True
    ):
        torch.testing.assert_close(found, wanted)


def test_the_protocol_s_own_loss_ignores_padding() -> None:
    torch.manual_seed(0)
    head, (answer, gold, mask) = make(0.1), decoded([5, 1, 3])
    loss = Head.loss(head, answer, gold, mask, SOURCE)
    assert loss.total.isfinite()
    gradients = torch.autograd.grad(loss.total, [answer.hidden, head.weight, head.bias])
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_without_gradients() -> None:
    """Validation: the same numbers, and no work done for gradients that nobody takes."""

    class Products(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.count += "mm" in str(func)
            return func(*args, **(kwargs or {}))

    torch.manual_seed(0)
    head, (answer, gold, mask) = make(0.1), decoded([3, 2, 1])
    with Products() as training:
        expected = head.loss(answer, gold, mask, SOURCE)
    with torch.no_grad(), Products() as validation:
        loss = head.loss(answer, gold, mask, SOURCE)
    assert (training.count, validation.count) == (3, 1)
    assert not loss.total.requires_grad
    torch.testing.assert_close(loss.total, expected.total.detach())
    torch.testing.assert_close(loss.nll, expected.nll)


def test_only_what_learns_gets_a_gradient() -> None:
    """A frozen table, as in fine-tuning."""
    torch.manual_seed(0)
    head, (answer, gold, mask) = make(0.1), decoded([3, 2, 1], padding=0.0)
    head.weight.requires_grad_(False)
    head.loss(answer, gold, mask, SOURCE).total.backward()
    logits = F.linear(answer.hidden.detach()[mask], head.weight, head.bias)
    (expected,) = torch.autograd.grad(
        F.cross_entropy(logits, gold[mask], label_smoothing=0.1, reduction="sum"), [head.bias]
    )
    assert head.weight.grad is None
    torch.testing.assert_close(head.bias.grad, expected)


def test_log_probs() -> None:
    """Sum to one, agree with the loss, in any leading shape; float32 under bfloat16."""
    torch.manual_seed(0)
    head, (answer, gold, mask) = make(0.0), decoded([5, 1, 3], padding=0.0)
    log_probs = head.log_probs(answer, SOURCE)
    assert log_probs.shape == (3, 5, VOCABULARY)
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(3, 5, dtype=torch.float64))
    picked = log_probs.gather(-1, gold.unsqueeze(-1)).squeeze(-1)[mask]
    torch.testing.assert_close(head.loss(answer, gold, mask, SOURCE).total, -picked.sum())
    one = Decoded(answer.hidden[:, 0], None, None, answer.inputs[:, 0])
    torch.testing.assert_close(head.log_probs(one, SOURCE), log_probs[:, 0])
    head.float()
    with torch.autocast("cpu", torch.bfloat16):
        mixed = head.log_probs(answer._replace(hidden=answer.hidden.float()), SOURCE)
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed.exp().sum(-1), torch.ones(3, 5))


def test_mixed_precision_loss() -> None:
    """bfloat16 rounds each logit to 8 bits (4e-3): the loss and the gradients agree to a few per cent."""
    torch.manual_seed(0)
    head, (answer, gold, mask) = make(0.1).float(), decoded([5, 1, 3], padding=0.0)
    hidden = answer.hidden.detach().float().requires_grad_()
    answer = answer._replace(hidden=hidden)
    inputs = [hidden, head.weight, head.bias]
    exact = head.loss(answer, gold, mask, SOURCE).total
    with torch.autocast("cpu", torch.bfloat16):
        mixed = head.loss(answer, gold, mask, SOURCE).total
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed, exact, rtol=0.02, atol=0)
    for found, wanted in zip(
        torch.autograd.grad(mixed, inputs), torch.autograd.grad(exact, inputs), strict=True
    ):
        assert found.dtype == torch.float32
        assert (found - wanted).norm() < 0.05 * wanted.norm()


@pytest.mark.parametrize("columns", [2, 3, 256])
def test_the_gradient_in_pieces_of_columns(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What several threads do in bfloat16, whatever this machine has."""

    def gradient() -> Tensor:
        torch.manual_seed(0)
        hidden = torch.randn(5, 8).bfloat16().requires_grad_()
        weight, bias = torch.randn(11, 8).bfloat16(), torch.randn(11)
        total, _ = linear_cross_entropy(hidden, weight, bias, torch.arange(5))
        total.backward()
        assert hidden.grad is not None
        return hidden.grad

    whole = gradient()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr("s2s.nn.cross_entropy.SHARED_COLUMNS", columns)
    assert whole.abs().max() > 0.1
    torch.testing.assert_close(gradient(), whole, rtol=2**-7, atol=2**-9)


def test_a_scaled_loss_has_a_scaled_gradient() -> None:
    gold = torch.tensor([1, 2])

    def gradients(scale: float) -> list[Tensor]:
        torch.manual_seed(0)
        given = [
            torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ((2, 4), (7, 4), (7,))
        ]
        (scale * linear_cross_entropy(*given, gold)[0]).backward()
        return [one.grad for one in given if one.grad is not None]

    for one, scaled in zip(gradients(1.0), gradients(0.25), strict=True):
        torch.testing.assert_close(scaled, 0.25 * one)


def test_tying() -> None:
    """The output weights are the table, one parameter; a narrower table stands behind a linear layer."""
    torch.manual_seed(0)
    table = torch.nn.Parameter(torch.randn(VOCABULARY, HIDDEN, dtype=torch.float64))
    head = make(0.1)
    head.tie(table)
    answer, gold, mask = decoded([2, 3], padding=0.0)
    head.loss(answer, gold, mask, SOURCE).total.backward()
    logits = F.linear(answer.hidden.detach()[mask], table, head.bias)
    (expected,) = torch.autograd.grad(
        F.cross_entropy(logits, gold[mask], label_smoothing=0.1, reduction="sum"), [table]
    )
    assert head.weight is table
    torch.testing.assert_close(table.grad, expected)

    narrow = torch.nn.Parameter(torch.randn(VOCABULARY, 2, dtype=torch.float64))
    head = make(0.1)
    head.tie(narrow)
    head.double()
    log_probs = head.log_probs(answer, SOURCE)
    assert head.narrow is not None
    logits = answer.hidden @ head.narrow.weight.T @ narrow.T + head.bias
    torch.testing.assert_close(log_probs, logits.log_softmax(-1))
    head.loss(answer, gold, mask, SOURCE).total.backward()
    assert narrow.grad is not None and narrow.grad.any()
