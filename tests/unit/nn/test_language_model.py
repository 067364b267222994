"""The language model: against NumPy, in pieces as in one, whatever decoder and padding."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from s2s.errors import ConfigError
from s2s.nn import LanguageModel, leaves, map_state
from s2s.nn.language_model import no_source
from s2s.padded import Padded
from s2s.registry import catalogue
from s2s.registry.parts import factory
from s2s.testing.odd_cells import OddCell
from s2s_plugins.decoders.recurrent import RecurrentDecoder
from s2s_plugins.embeddings.lookup import LookupEmbedding
from s2s_plugins.heads.softmax import SoftmaxHead

VOCABULARY, SIZE, HIDDEN = 9, 4, 5
DECODERS = catalogue().names("decoder")


def part(kind: str, name: str, **options: Any) -> Any:
    return factory(kind, {"class_path": name, "init_args": options})


def model(
    decoder: str = "Recurrent", *, cell: Any = "LSTM", tie: bool = False, **options: Any
) -> LanguageModel:
    torch.manual_seed(1)
    options["cell"] = catalogue().load("cell", cell) if isinstance(cell, str) else cell
    built = LanguageModel(
        VOCABULARY,
        embedding=part("embedding", "Lookup", size=SIZE),
        decoder=partial(catalogue().load("decoder", decoder), attention=None, hidden_size=HIDDEN, **options),
        head=part("head", "Softmax"),
        tie_head=tie,
    )
    return built.double().eval()


def texts(rows: int, time: int) -> Tensor:
    return torch.randint(4, VOCABULARY, (rows, time), generator=torch.Generator().manual_seed(2))


def log_probs(built: LanguageModel, decoded: Any) -> Tensor:
    return built.head.log_probs(decoded, no_source(torch.ones(len(decoded.hidden), dtype=torch.long)))


def test_against_numpy() -> None:
    """An Elman network: h = tanh(W E y + U h + b), p = softmax(V h + c), from zeros."""
    built = model(cell="Elman")
    weights = {name: value.detach().numpy() for name, value in built.named_parameters()}
    table, V, c = weights["target_embedding.weight"], weights["head.weight"], weights["head.bias"]
    W, U, b = (
        weights[f"decoder.cells.cells.0.{name}"]
        for name in ("input_weight", "recurrent_weight", "input_bias")
    )
    read, said = [2, 5, 4, 7], [5, 4, 7, 3]
    h, nll = np.zeros(HIDDEN), 0.0
    for token, following in zip(read, said, strict=True):
        h = np.tanh(W @ table[token] + U @ h + b)
        scores = V @ h + c
        nll -= scores[following] - np.log(np.exp(scores).sum())
    loss, state = built.loss(Padded(torch.tensor([read]), torch.tensor([4])), torch.tensor([said]))
    assert float(loss.nll) == pytest.approx(nll, rel=1e-12)
    assert int(loss.tokens) == 4
    assert np.allclose(leaves(state)[0].detach().numpy()[0], h, rtol=0, atol=1e-12)


@pytest.mark.parametrize("cell", ["LSTM", "SLSTM", OddCell])
@pytest.mark.parametrize("decoder", DECODERS)
def test_a_carried_state_gives_the_logits_of_the_uncut_stream(decoder: str, cell: Any) -> None:
    built = model(decoder, cell=cell, layers=2)
    ids = texts(3, 11)
    whole, last = built(Padded(ids, torch.full((3,), 11)))
    state, parts = None, []
    for start, stop in ((0, 4), (4, 5), (5, 11)):
        decoded, state = built(Padded(ids[:, start:stop], torch.full((3,), stop - start)), state)
        parts.append(log_probs(built, decoded))
    assert torch.allclose(torch.cat(parts, dim=1), log_probs(built, whole), rtol=0, atol=1e-10)
    for one, other in zip(leaves(state), leaves(last), strict=True):
        assert torch.allclose(one, other, rtol=0, atol=1e-10)


@pytest.mark.parametrize("decoder", DECODERS)
def test_padding_and_mates_change_nothing(decoder: str) -> None:
    built = model(decoder)
    rows = [[2, 4, 5, 6, 7], [2, 8]]
    gold = [[4, 5, 6, 7, 3], [8, 3]]
    batch = torch.tensor([rows[0], [*rows[1], 6, 6, 6]]), torch.tensor([gold[0], [*gold[1], 5, 5, 5]])
    together, _ = built.loss(Padded(batch[0], torch.tensor([5, 2])), batch[1])
    together.total.backward()
    gradients = {name: value.grad.clone() for name, value in built.named_parameters()}
    built.zero_grad()
    alone = 0.0
    for row, said in zip(rows, gold, strict=True):
        loss, _ = built.loss(Padded(torch.tensor([row]), torch.tensor([len(row)])), torch.tensor([said]))
        loss.total.backward()
        alone += float(loss.nll)
    assert float(together.nll) == pytest.approx(alone, rel=1e-12)
    for name, value in built.named_parameters():
        assert torch.allclose(value.grad, gradients[name], rtol=0, atol=1e-10), name


@pytest.mark.parametrize("decoder", DECODERS)
def test_redrawing_changes_what_is_drawn_and_nothing_else(decoder: str) -> None:
    """In training each segment has masks of its own; what the network remembers stays."""
    built = model(decoder, dropout=0.5, variational=True)
    state = built(Padded(texts(6, 3), torch.full((6,), 3)))[1]
    assert all(
        torch.equal(one, other)
        for one, other in zip(leaves(built.decoder.redraw(state)), leaves(state), strict=True)
    )
    kept = len(leaves(state))  # without masks: nothing is drawn in evaluation
    built.train()
    state = built(Padded(texts(6, 3), torch.full((6,), 3)))[1]
    again = built.decoder.redraw(state)
    same = [torch.equal(one, other) for one, other in zip(leaves(again), leaves(state), strict=True)]
    assert same.count(True) == kept and len(same) > kept


def test_gradients_are_cut_where_the_state_is_detached() -> None:
    built = model()
    ids = texts(1, 6)
    _, state = built(Padded(ids[:, :3], torch.tensor([3])))
    built.loss(Padded(ids[:, 3:], torch.tensor([3])), ids[:, 3:], map_state(Tensor.detach, state))[
        0
    ].total.backward()
    touched = built.target_embedding.weight.grad.abs().sum(1).nonzero().flatten().tolist()
    assert sorted(touched) == sorted(set(ids[0, 3:].tolist())), "no token of the segment before"


def test_the_head_can_be_tied() -> None:
    built = model(tie=True)
    assert built.head.weight is built.target_embedding.weight


@pytest.mark.parametrize("decoder", DECODERS)
def test_attention_is_refused(decoder: str) -> None:
    name = catalogue().load("decoder", decoder).__name__
    with pytest.raises(
        ConfigError, match=f"no source that {name} could attend to; set model.decoder.attention: null"
    ):
        LanguageModel(
            VOCABULARY,
            embedding=part("embedding", "Lookup", size=SIZE),
            decoder=part("decoder", decoder, attention="Bahdanau"),
            head=part("head", "Softmax"),
        )


def test_copying_is_refused() -> None:
    class Copying(SoftmaxHead):
        copies = True

    with pytest.raises(ConfigError, match="Copying copies from a source, and a language model has none"):
        LanguageModel(
            VOCABULARY,
            embedding=LookupEmbedding,
            decoder=part("decoder", "Recurrent", attention=None),
            head=Copying,
        )


def test_a_tie_needs_a_table() -> None:
    class Tableless(LookupEmbedding):
        def table(self) -> None:
            return None

    with pytest.raises(ConfigError, match="tie_head needs an embedding with a table, but Tableless has none"):
        LanguageModel(
            VOCABULARY,
            embedding=Tableless,
            decoder=lambda *sizes: RecurrentDecoder(*sizes, attention=None),
            head=SoftmaxHead,
            tie_head=True,
        )
