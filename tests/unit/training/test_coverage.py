"""The coverage loss against its equation, and when it counts."""

from functools import partial

import numpy as np
import pytest
import torch

from s2s.errors import ConfigError
from s2s.nn import Seq2Seq, coverage_loss, length_mask
from s2s.padded import Padded
from s2s.testing.models import small_model
from s2s.text.batch import pad, pad_targets
from s2s.training.coverage import CoverageLoss
from s2s_plugins.attention.history import Coverage
from s2s_plugins.heads.pointer_generator import PointerGenerator
from tests.references.pointer import coverage_loss as by_hand


def test_the_loss_of_the_paper() -> None:
    torch.manual_seed(0)
    lengths = [5, 2, 1]
    mask = length_mask(torch.tensor(lengths), 5)
    weights = torch.rand(3, 5, 4, dtype=torch.float64).softmax(-1)
    weights[~mask] = torch.nan
    weights.requires_grad_()
    found = coverage_loss(weights, mask)
    rows = weights.detach().numpy()
    expected = sum(by_hand(rows[row, :length]) for row, length in enumerate(lengths))
    np.testing.assert_allclose(found.item(), expected, rtol=1e-12)
    (gradient,) = torch.autograd.grad(found, weights)
    assert gradient.isfinite().all() and not gradient[~mask].any()
    assert gradient[2].eq(0).all(), "the first position repeats nothing"


def trained_batch() -> tuple[Padded, Padded, torch.Tensor]:
    source, target = pad([[4, 5, 6, 7], [8, 9]]), pad_targets([[4, 5, 6], [9, 8, 9, 9]])
    return source, Padded(target.ids[:, :-1], target.lengths - 1), target.ids[:, 1:]


def test_it_is_added_to_what_is_minimized_alone() -> None:
    torch.manual_seed(0)
    model = small_model(attention=Coverage, head=PointerGenerator).double()
    source, inputs, gold = trained_batch()
    weights = model(source, inputs).weights
    assert weights is not None
    plain, covered = model.loss(source, inputs, gold), model.loss(source, inputs, gold, coverage=0.5)
    torch.testing.assert_close(covered.total - plain.total, 0.5 * coverage_loss(weights, inputs.mask))
    torch.testing.assert_close(covered.nll, plain.nll)


def test_it_is_switched_on_late() -> None:
    loss = CoverageLoss(0.7, after=3)
    factors = []
    for step in range(5):
        loss.at_step(step)
        factors.append(loss.factor)
    assert factors == [0.0, 0.0, 0.0, 0.7, 0.7]
    assert CoverageLoss(0.7, after=0).factor == 0.7
    for weight, after, name in ((-1.0, 0, "coverage_loss -1.0"), (1.0, -2, "coverage_loss_after -2")):
        with pytest.raises(ConfigError, match=f"model.{name} is impossible; it must be 0 or more"):
            CoverageLoss(weight, after=after)


class TestCoverageThatBeginsLate:
    def model(self, after_steps: int) -> Seq2Seq:
        torch.manual_seed(0)
        return small_model(attention=partial(Coverage, after_steps=after_steps)).double().eval()

    def test_its_term_makes_a_difference_once_it_is_there(self) -> None:
        source, inputs, _ = trained_batch()
        late, always = self.model(2), self.model(0)
        attention = late.decoder.attention
        found = []
        for step in range(3):
            attention.at_step(step)
            found.append(late(source, inputs).weights)
        assert torch.equal(found[0], found[1]) and not torch.allclose(found[1], found[2])
        torch.testing.assert_close(found[2], always(source, inputs).weights)
        with torch.no_grad():  # without its term: Bahdanau's attention
            always.decoder.attention.coverage_layer.weight.zero_()
        real = inputs.mask
        torch.testing.assert_close(found[0][real], always(source, inputs).weights[real])

    def test_it_is_kept_in_what_is_saved(self) -> None:
        source, inputs, _ = trained_batch()
        late, loaded = self.model(2), self.model(2)
        late.decoder.attention.at_step(5)
        loaded.load_state_dict(late.state_dict())
        assert loaded.decoder.attention.sequential
        torch.testing.assert_close(loaded(source, inputs).weights, late(source, inputs).weights)
        loaded.decoder.attention.at_step(0)  # fine-tuning counts anew
        assert loaded.decoder.attention.sequential

    def test_steps_that_cannot_be(self) -> None:
        with pytest.raises(ConfigError, match="after_steps -1 is impossible; it must be 0 or more"):
            self.model(-1)
