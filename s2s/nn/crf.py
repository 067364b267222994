"""A linear-chain conditional random field (Lafferty et al. 2001), as the output of a recurrent labeller."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class CRF(nn.Module):
    """Labels that depend on their neighbours (Lample et al. 2016, section 2.2).

    The score of labels y of a sentence of n words is ``first[y_1] + sum_t scores[t, y_t] + sum_t transitions[y_(t-1),
    y_t] + last[y_n]``, and its probability is the softmax over all label sequences of n words. Every sum over them is
    computed from left to right, in n steps, and in float64: they grow with n, and float32 would leave marginals of a
    thousand words with an error of a thousandth.

    Args:
        labels: number of labels.
    """

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.transitions = nn.Parameter(torch.zeros(labels, labels))
        self.first = nn.Parameter(torch.zeros(labels))
        self.last = nn.Parameter(torch.zeros(labels))

    def log_partition(self, scores: Tensor, lengths: Tensor) -> Tensor:
        """Logarithm of the sum over all label sequences of each sentence, [batch] of float64.

        Args:
            scores: of each label at each word, [batch, words, labels]; any numbers at padding.
            lengths: of the sentences, [batch].
        """
        scores, transitions = scores.double(), self.transitions.double()
        alpha = self.first + scores[:, 0]
        for time in range(1, scores.size(1)):
            following = torch.logsumexp(alpha.unsqueeze(2) + transitions, dim=1) + scores[:, time]
            alpha = torch.where((time < lengths).unsqueeze(1), following, alpha)
        return torch.logsumexp(alpha + self.last, dim=1)

    def nll(self, scores: Tensor, allowed: Tensor, lengths: Tensor) -> Tensor:
        """Negative log-likelihood of all allowed label sequences together, [batch].

        Args:
            scores: see `log_partition`.
            allowed: [batch, words, labels]; only the gold label where it is known, all where it is not and at padding.
            lengths: see `log_partition`.
        """
        right = scores.masked_fill(~allowed, -torch.inf)
        both = self.log_partition(scores, lengths), self.log_partition(right, lengths)
        return (both[0] - both[1]).to(torch.promote_types(scores.dtype, torch.float32))

    def marginals(self, scores: Tensor, lengths: Tensor) -> Tensor:
        """The marginal probability of each label at each word, [batch, words, labels]; 0 at padding.

        It is the derivative of the logarithm of the partition function; taking it is the backward algorithm.
        """
        with torch.inference_mode(False), torch.enable_grad():
            leaf = scores.detach().clone().requires_grad_()
            (found,) = torch.autograd.grad(self.log_partition(leaf, lengths.clone()).sum(), leaf)
        return found

    def best(self, scores: Tensor, lengths: Tensor) -> Tensor:
        """The most probable labels of each sentence (Viterbi 1967), [batch, words]; any at padding."""
        scores, transitions = scores.double(), self.transitions.double()
        alpha = self.first + scores[:, 0]
        stay = torch.arange(scores.size(2), device=scores.device).expand_as(alpha)
        came_from = []
        for time in range(1, scores.size(1)):
            moving = (time < lengths).unsqueeze(1)
            values, before = (alpha.unsqueeze(2) + transitions).max(dim=1)
            alpha = torch.where(moving, values + scores[:, time], alpha)
            came_from.append(torch.where(moving, before, stay))
        path = [(alpha + self.last).argmax(dim=1, keepdim=True)]
        for before in reversed(came_from):
            path.append(before.gather(1, path[-1]))
        return torch.cat(path[::-1], dim=1)
