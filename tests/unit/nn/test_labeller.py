"""The labeller against NumPy, word by word; and that padding, batch mates and the grouping of words change nothing."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from s2s.errors import ConfigError
from s2s.nn import SequenceLabeller
from s2s.nn import labeller as module
from s2s.padded import Padded, Spelled
from s2s.testing.numpy_cells import Affine, elman_forward
from s2s_plugins.cells.elman import Elman
from s2s_plugins.cells.gru import GRU
from s2s_plugins.embeddings.lookup import LookupEmbedding
from s2s_plugins.encoders.recurrent import RecurrentEncoder

Array = NDArray[np.float64]
PIECES = [[4, 5, 6], [7], [5, 5], [6, 4, 4, 7, 5]]
"""Of four words."""
SENTENCES = [[0, 1, 2], [3], [1, 1, 3, 0, 2]]
"""Each word by its number."""
GOLD = [[4, 6, 5], [5], [4, 1, 6, 6, 4]]
"""1 is no label that is known."""
LABELS = 3


def made(**options: Any) -> SequenceLabeller:
    torch.manual_seed(3)
    given: dict[str, Any] = {
        "encoder": partial(RecurrentEncoder, cell=Elman, hidden_size=4),
        "word_embedding": partial(LookupEmbedding, size=3),
        "piece_embedding": partial(LookupEmbedding, size=2),
        "piece_encoder": partial(RecurrentEncoder, cell=Elman, hidden_size=3),
    }
    return SequenceLabeller(9, 8, 4 + LABELS, **(given | options)).double().eval()


def batch(sentences: list[list[int]], *, more: int = 0) -> Spelled:
    """Sentences, as they are read; with so many columns and distinct words more than there need be."""
    used = sorted({word for sentence in sentences for word in sentence})
    lengths = torch.tensor([len(sentence) for sentence in sentences])
    width = int(lengths.max()) + more
    ids, places = (
        torch.zeros(len(sentences), width, dtype=torch.int64),
        torch.zeros(len(sentences), width).long(),
    )
    for row, sentence in enumerate(sentences):
        ids[row, : len(sentence)] = torch.tensor([4 + word for word in sentence])
        places[row, : len(sentence)] = torch.tensor([used.index(word) for word in sentence])
    spelt = torch.tensor([len(PIECES[word]) for word in used])
    pieces = torch.zeros(len(used), int(spelt.max()) + more, dtype=torch.int64)
    for row, word in enumerate(used):
        pieces[row, : len(PIECES[word])] = torch.tensor(PIECES[word])
    return Spelled(Padded(ids, lengths), Padded(pieces, spelt), places)


def gold(sentences: list[list[int]], labels: list[list[int]], more: int = 0) -> torch.Tensor:
    found = torch.zeros(len(sentences), max(map(len, sentences)) + more, dtype=torch.int64)
    for row, own in enumerate(labels):
        found[row, : len(own)] = torch.tensor(own)
    return found


def both_directions(layer: Any, x: Array) -> tuple[Array, Array]:
    """Outputs [time, both] and last states, side by side, of a bidirectional Elman layer."""
    outputs, states = [], []
    for cell, order in ((layer.forward_cell, 1), (layer.backward_cell, -1)):
        given = (cell.input_weight, cell.recurrent_weight, cell.input_bias)
        parameters = Affine(*(one.detach().numpy() for one in given))
        own, last, _ = elman_forward(x[::order], np.zeros(cell.hidden_size), parameters)
        outputs.append(own[::order])
        states.append(last)
    return np.concatenate(outputs, axis=1), np.concatenate(states)


def test_scores_are_those_of_numpy() -> None:
    model = made()
    assert model.word_embedding is not None and model.piece_embedding is not None
    words = model.word_embedding.weight.detach().numpy()  # type: ignore[union-attr]
    pieces = model.piece_embedding.weight.detach().numpy()  # type: ignore[union-attr]
    found = model(batch(SENTENCES))
    for row, sentence in enumerate(SENTENCES):
        vectors = []
        for word in sentence:
            _, spelt = both_directions(model.piece_encoder.layers[0], pieces[PIECES[word]])  # type: ignore[union-attr]
            vectors.append(np.concatenate([words[4 + word], spelt]))
        outputs, _ = both_directions(model.encoder.layers[0], np.stack(vectors))  # type: ignore[union-attr]
        expected = outputs @ model.output.weight.detach().numpy().T + model.output.bias.detach().numpy()
        np.testing.assert_allclose(found[row, : len(sentence)].detach().numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("crf", [False, True])
def test_loss_is_that_of_the_scores(crf: bool) -> None:
    model = made(crf=crf)
    source, labels = batch(SENTENCES), gold(SENTENCES, GOLD)
    loss = model.loss(source, labels)
    assert int(loss.tokens) == sum(label != 1 for own in GOLD for label in own)
    scores = model(source).detach()
    if model.crf is None:  # the crf's own loss has a test of its own
        log_probs = scores.numpy() - np.log(np.exp(scores.numpy()).sum(-1, keepdims=True))
        expected = -sum(
            log_probs[row, time, label - 4]
            for row, own in enumerate(GOLD)
            for time, label in enumerate(own)
            if label != 1
        )
        assert loss.total.item() == pytest.approx(expected, abs=1e-12)
        return
    alone = [
        model.crf.nll(scores[row : row + 1, : len(own)], allowed(own), torch.tensor([len(own)]))
        for row, own in enumerate(GOLD)
    ]
    assert loss.total.item() == pytest.approx(sum(one.item() for one in alone), abs=1e-12)


def allowed(labels: list[int]) -> torch.Tensor:
    """What a sentence may have: its label, or any where it is unknown."""
    return torch.tensor([[label in (1, 4 + other) for other in range(LABELS)] for label in labels]).unsqueeze(
        0
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"crf": True},
        {"word_embedding": None},
        {"piece_encoder": None},
        {"encoder": partial(RecurrentEncoder, cell=GRU, hidden_size=4, layers=2)},
    ],
    ids=["plain", "crf", "pieces alone", "words alone", "two layers"],
)
def test_batch_mates_and_padding_change_nothing(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = made(**options)
    together = model.label(batch(SENTENCES))
    model.loss(batch(SENTENCES), gold(SENTENCES, GOLD)).total.backward()
    gradients = {name: one.grad for name, one in model.named_parameters()}
    model.zero_grad()
    for row, sentence in enumerate(SENTENCES):
        alone = model.label(batch([sentence], more=2))
        assert alone.ids[0, : len(sentence)].tolist() == together.ids[row, : len(sentence)].tolist()
        torch.testing.assert_close(
            alone.probabilities[0, : len(sentence)], together.probabilities[row, : len(sentence)]
        )
        model.loss(batch([sentence], more=2), gold([sentence], [GOLD[row]], more=2)).total.backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name], msg=name)
    monkeypatch.setattr(module, "PIECES_AT_ONCE", 4)  # a word at a time, two of the short ones
    torch.testing.assert_close(model.label(batch(SENTENCES)).probabilities, together.probabilities)


def test_what_lies_in_the_padding_does_not_matter() -> None:
    model = made(crf=True)
    source = batch(SENTENCES)
    expected = model.loss(source, gold(SENTENCES, GOLD)).total
    source.words.ids.masked_fill_(~source.words.mask, 8)
    source.pieces.ids.masked_fill_(~source.pieces.mask, 7)
    source.places.masked_fill_(~source.words.mask, 3)
    torch.testing.assert_close(model.loss(source, gold(SENTENCES, GOLD)).total, expected)


def test_probabilities_are_shares() -> None:
    model = made()
    source = batch(SENTENCES)
    scores, labels = model(source).detach().numpy(), model.label(source)
    shares = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    for row, sentence in enumerate(SENTENCES):
        for time in range(len(sentence)):
            assert labels.ids[row, time] == 4 + shares[row, time].argmax()
            assert labels.probabilities[row, time].item() == pytest.approx(shares[row, time].max(), abs=1e-12)


def test_a_word_needs_a_vector() -> None:
    with pytest.raises(
        ConfigError, match="word_embedding and model.piece_encoder are both null; a word needs a"
    ):
        made(word_embedding=None, piece_encoder=None)
