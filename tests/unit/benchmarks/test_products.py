"""The counts of products.py against what torch counts while a tiny model runs by its slow, plain ways."""

import pytest
import torch
from products import Architecture
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from workload import model_config

from s2s.inference.bundle import build_model
from s2s.nn.seq2seq import Seq2Seq
from s2s.padded import Padded
from s2s_plugins.cells.lstm import LSTM

SENTENCES, SOURCE, TARGET = 3, 5, 4


def full(time: int, vocabulary: int) -> Padded:
    """Random tokens without padding: torch counts padding, products.py does not."""
    return Padded(torch.randint(4, vocabulary, (SENTENCES, time)), torch.full((SENTENCES,), time))


@pytest.fixture(autouse=True)
def by_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch counts nothing inside its own LSTM."""
    monkeypatch.setattr(LSTM, "fused", lambda *_: None)


def tiny(architecture: Architecture) -> Seq2Seq:
    config = model_config(
        feeding=architecture.feeding,
        size=architecture.hidden,
        layers=architecture.layers,
        vocabulary=architecture.vocabulary,
    )
    return build_model(config).double()


ARCHITECTURES = [Architecture(8, 8, layers, 23, feeding) for layers in (1, 2) for feeding in (False, True)]


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=str)
def test_training(architecture: Architecture) -> None:
    model = tiny(architecture)
    source, inputs = full(SOURCE, 23), full(TARGET, 23)
    with FlopCounterMode(display=False) as counter:
        memory, state = model.encode(source)
        decoded, _ = model.decoder.forward_stepwise(
            model.target_embedding(inputs.ids), inputs.lengths, memory, state
        )
        log_probs = model.head.log_probs(decoded, source)
        F.nll_loss(log_probs.flatten(0, 1), inputs.ids.flatten()).backward()
    hidden, layers = architecture.hidden, architecture.layers
    # zeros before the first step, of each direction and layer, and what is fed first, take no gradient
    spared = SENTENCES * 2 * layers * 4 * hidden * hidden
    spared += SENTENCES * 4 * hidden * hidden if architecture.feeding else 0
    assert counter.get_total_flops() == 2 * (architecture.training([(SOURCE, TARGET)] * SENTENCES) - spared)


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=str)
def test_decoding(architecture: Architecture, beam: int) -> None:
    model = tiny(architecture).eval()
    source = full(SOURCE, 23)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        memory, state = model.encode(source)
        for step in range(TARGET):
            rows = SENTENCES * (beam if step else 1)
            wide = _rows(state, rows) if step else state
            model.decode_step(torch.randint(4, 23, (rows,)), memory, wide, source)
    assert counter.get_total_flops() == 2 * architecture.decoding([(SOURCE, TARGET)] * SENTENCES, beam=beam)


def _rows(state: object, rows: int) -> object:
    from s2s.nn.cell import map_state

    return map_state(lambda leaf: leaf.repeat_interleave(rows // leaf.size(0), 0), state)


def test_shapes_hold_all_products() -> None:
    """However products are cut, their multiply-adds stay the same."""
    pairs = [(5, 7), (3, 2), (9, 9), (4, 4)]
    for architecture in ARCHITECTURES:
        cut = architecture.training_shapes(pairs, 2)
        assert sum(amount for _, amount in cut) == architecture.training(pairs)
        cut = architecture.decoding_shapes(pairs, 2, beam=3)
        assert sum(amount for _, amount in cut) == architecture.decoding(pairs, beam=3)


def test_a_growing_part_grows_the_count() -> None:
    small = Architecture()
    for larger in (Architecture(feeding=True), Architecture(layers=2), Architecture(vocabulary=16_000)):
        assert larger.training([(10, 10)]) > small.training([(10, 10)])


def test_weights_read_are_the_parameters_of_a_step() -> None:
    """The decoder's, the output layer's, and a row of the embedding; attention's keys are made once per sentence."""
    architecture = Architecture(8, 8, 1, 23)
    model = tiny(architecture)
    decoder = sum(parameter.numel() for parameter in model.decoder.parameters())
    keys = 2 * 8 * 8
    assert (
        architecture.read_per_token()
        == decoder - keys + model.head.weight.numel() + model.head.bias.numel() + 8
    )
