"""The pointer-generator in NumPy, written from See et al. 2017, eq. 8-13, with its gradients worked out by hand."""

from typing import NamedTuple

import numpy as np

from s2s.testing.numpy_cells import Array


class Parameters(NamedTuple):
    """Of the gate (eq. 8) and of the softmax [vocabulary, hidden], [vocabulary]."""

    w_context: Array
    w_hidden: Array
    w_input: Array
    b_gate: float
    W: Array
    b: Array


class Token(NamedTuple):
    """What is known of one target token, and the gradients of its loss.

    Attributes:
        probabilities: of the extended vocabulary, [vocabulary + own words].
        loss: smoothed.
        nll: not smoothed.
        d_logits: of the loss, [vocabulary].
        d_gate: of the loss by the logit of p_gen.
        d_weights: of the loss by attention's weights, [source].
    """

    probabilities: Array
    loss: float
    nll: float
    d_logits: Array
    d_gate: float
    d_weights: Array


def token(
    hidden: Array,
    context: Array,
    y: Array,
    weights: Array,
    source: list[int],
    gold: int,
    p: Parameters,
    e: float = 0.0,
) -> Token:
    """Eq. 8 and 9 for one token.

    Args:
        hidden: s_t, [hidden].
        context: h*_t, [context].
        y: x_t, the embedded token that was read, [input].
        weights: a^t, [source].
        source: ids w_i; from the size of the vocabulary on, words that it lacks.
        gold: the token to be said.
        p: parameters.
        e: label smoothing, the share that the softmax is to spread evenly.
    """
    gate = p.w_context @ context + p.w_hidden @ hidden + p.w_input @ y + p.b_gate
    p_gen = 1 / (1 + np.exp(-gate))
    logits = p.W @ hidden + p.b
    softmax = np.exp(logits - logits.max())
    softmax /= softmax.sum()
    vocabulary = len(softmax)
    final = np.zeros(max([vocabulary - 1, *source]) + 1)
    final[:vocabulary] = p_gen * softmax
    for w_i, a_i in zip(source, weights, strict=True):
        final[w_i] += (1 - p_gen) * a_i

    said = softmax[gold] if gold < vocabulary else 0.0
    here = np.array([float(w_i == gold) for w_i in source])
    of_gold = p_gen * said + (1 - p_gen) * (weights @ here)
    nll = -np.log(of_gold)
    one = np.arange(vocabulary) == gold
    d_logits = -p_gen * said * (one - softmax) / of_gold
    d_gate = -p_gen * (1 - p_gen) * (said - weights @ here) / of_gold
    spread = -np.log(p_gen * softmax).mean()
    return Token(
        final,
        (1 - e) * nll + e * spread,
        nll,
        (1 - e) * d_logits + e * (softmax - 1 / vocabulary),
        (1 - e) * d_gate - e * (1 - p_gen),
        -(1 - e) * (1 - p_gen) * here / of_gold,
    )


def coverage_loss(weights: Array) -> float:
    """Eq. 10 and 12, summed over the target: what is attended to again, [target, source]."""
    total, coverage = 0.0, np.zeros(weights.shape[1])
    for a_t in weights:
        total += np.minimum(a_t, coverage).sum()
        coverage = coverage + a_t
    return float(total)
