"""The parts of the templates do what their docstrings say; the kits alone would pass a part with another equation."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from s2s.errors import ConfigError
from s2s.nn import Encoded, length_mask
from s2s.scaffold import new
from s2s.search.limits import output_limits
from s2s.search.stepper import ModelStepper
from s2s.search.strategy import SearchStrategy
from s2s.testing.models import small_model
from s2s.text.batch import Batch, pad, pad_targets
from s2s.text.tokenizer import BOS, EOS, UNK, UNKNOWN_TEXT
from s2s_plugins.search.greedy import Greedy

Array = npt.NDArray[np.float64]
ROUNDING = 1e-12  # float64: a few sums of some ten numbers


@pytest.fixture
def module(request: pytest.FixtureRequest, tmp_path: Path) -> ModuleType:
    """The module of a new part `Mine`."""
    kind = request.param
    path = new(kind, "mine", tmp_path) / "mine" / f"{kind}.py"
    spec = importlib.util.spec_from_file_location(f"mine_{kind}", path)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def of(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("module", [kind], indirect=True, ids=[""])


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def numbers(tensor: Tensor) -> Array:
    return np.asarray(tensor.detach())


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


@of("cell")
def test_the_cell_s_equations(module: ModuleType) -> None:
    cell = module.Mine(3, 4, update_bias=0.5).double()
    x, h = torch.randn(2, 3).double(), torch.randn(2, 4).double()
    output, (state,) = cell.step(cell.project(x), (h,))
    sums = numbers(x) @ numbers(cell.input_weight).T + numbers(h) @ numbers(cell.recurrent_weight).T
    candidate, update = np.tanh(sums[:, :4]), sigmoid(sums[:, 4:] + 0.5)
    np.testing.assert_allclose(numbers(output), update * numbers(h) + (1 - update) * candidate, atol=ROUNDING)
    assert state is output


@of("attention")
def test_the_attention_s_equations(module: ModuleType) -> None:
    attention = module.Mine(3, 4, sharpness=2.0).double()
    outputs, query = torch.randn(2, 5, 4).double(), torch.randn(2, 3).double()
    lengths = torch.tensor([5, 3])
    found = attention.attend(query, attention.memorize(outputs, length_mask(lengths, 5)), ())
    asked = numbers(query) @ numbers(attention.query_layer.weight).T
    for row, length in enumerate(lengths.tolist()):
        memory = numbers(outputs[row, :length])
        norms = np.linalg.norm(memory, axis=1) * np.linalg.norm(asked[row])
        scores = np.exp(2.0 * (memory @ asked[row]) / norms)
        weights = scores / scores.sum()
        np.testing.assert_allclose(numbers(found.weights[row, :length]), weights, atol=ROUNDING)
        np.testing.assert_allclose(numbers(found.context[row]), weights @ memory, atol=ROUNDING)


@of("encoder")
def test_the_encoder_adds_two_directions(module: ModuleType) -> None:
    encoder = module.Mine(3, hidden_size=4).double()
    x, lengths = torch.randn(2, 5, 3).double(), torch.tensor([5, 3])
    found = encoder(x, lengths)
    for row, length in enumerate(lengths.tolist()):
        for time in range(length):
            sums = np.zeros(4)
            for cell, seen in (
                (encoder.rightward, x[row, : time + 1]),
                (encoder.leftward, x[row, time:length].flip(0)),
            ):
                state = cell.initial_state(1, like=x)
                for vector in seen:
                    output, state = cell.step(cell.project(vector[None]), state)
                sums += numbers(output)[0]
            np.testing.assert_allclose(numbers(found.outputs[row, time]), sums, atol=ROUNDING)


@of("decoder")
def test_the_decoder_s_equations(module: ModuleType) -> None:
    decoder = module.Mine(3, 5, hidden_size=4).double()
    encoded = Encoded(torch.randn(2, 6, 5).double(), torch.tensor([6, 6]), ())
    memory, state = decoder.start(encoded, torch.randn(2, decoder.feature_size).double())
    token = torch.randn(2, 3).double()
    decoded, _ = decoder.step(token, memory, state)
    output, _ = decoder.cell.step(decoder.cell.project(token), state.cell)
    context = decoder.attention.attend(output, memory, state.attention).context
    s, c = numbers(output), numbers(context)

    def layer(linear: torch.nn.Linear, x: Array) -> Array:
        return np.asarray(x @ numbers(linear.weight).T + numbers(linear.bias))

    gate = sigmoid(layer(decoder.gate_layer, np.concatenate([s, c], axis=1)))
    hidden = np.tanh(gate * layer(decoder.context_layer, c) + (1 - gate) * layer(decoder.output_layer, s))
    np.testing.assert_allclose(numbers(decoded.hidden), hidden, atol=ROUNDING)
    np.testing.assert_allclose(numbers(decoded.context), c, atol=ROUNDING)


@of("tokenizer")
def test_the_tokenizer_keeps_signs_apart_and_spaces_before(module: ModuleType) -> None:
    tokenizer = module.Mine()
    tokenizer.train(["Yes, I do"])
    ids = tokenizer.encode("Yes, I do")
    assert tokenizer.tokens(ids) == ["Yes", ",", " I", " do"]
    assert tokenizer.decode([BOS, *ids, EOS]) == "Yes, I do"
    assert tokenizer.encode("Yes, we do")[2] == UNK
    assert tokenizer.decode(tokenizer.encode("Yes, we do")) == f"Yes,{UNKNOWN_TEXT} do"
    with pytest.raises(ConfigError, match="vocabulary_size is 4; it must be at least 5"):
        module.Mine(vocabulary_size=4)


@of("metric")
def test_the_metric_counts_whole_sentences(module: ModuleType) -> None:
    hypotheses = ["a b", "c", "D", "e"]
    references = [["a b", "x", "d", "f"], ["y", "c", "d", "g"]]
    score = module.Mine().score(hypotheses, references)
    assert (score.value, score.sentences) == (50.0, 4)  # the first and the second
    lower = module.Mine(lowercase=True).score(hypotheses, references)
    assert lower.value == 75.0  # and the third
    assert score.signature != lower.signature


def found_by(strategy: SearchStrategy, minimum: int = 0) -> list[tuple[list[int], bool]]:
    """Outputs of an untrained model, which repeats itself, and whether they ended."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = small_model(size=8).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(3)
            model.head.get_parameter("bias")[EOS] = 2.0  # some outputs end before they repeat themselves
    source = pad([[4 + (i * j) % 8 for j in range(1, 3 + i % 5)] for i in range(1, 30)])
    with torch.inference_mode():
        memory, state = model.encode(source)
        limits, _ = output_limits(source.lengths)
        found = strategy.search(
            ModelStepper(model, source, memory, with_weights=True),
            state,
            bos=BOS,
            eos=EOS,
            limits=limits,
            minimums=torch.full_like(limits, minimum),
        )
    for (one,), length in zip(found, source.lengths.tolist(), strict=True):
        assert one.weights is not None and one.weights.shape == (len(one.tokens), length)
    return [(one.tokens, one.finished) for (one,) in found]


@of("search")
def test_the_search_is_greedy_but_for_repeated_trigrams(module: ModuleType) -> None:
    def repeats(tokens: list[int]) -> bool:
        trigrams = [tuple(tokens[i : i + 3]) for i in range(len(tokens) - 2)]
        return len(set(trigrams)) < len(trigrams)

    for minimum in (0, 4):
        greedy, mine = found_by(Greedy(), minimum), found_by(module.Mine(), minimum)
        assert found_by(module.Mine(size=10_000), minimum) == greedy
        assert any(repeats(tokens) for tokens, _ in greedy)
        assert not any(repeats(tokens) for tokens, _ in mine)
        calm = [row for row, (tokens, _) in enumerate(greedy) if not repeats(tokens)]
        assert calm and [mine[row] for row in calm] == [greedy[row] for row in calm]
    with pytest.raises(ConfigError, match="size 0 is impossible"):
        module.Mine(size=0)


@of("task")
def test_the_task_copies_beside_translating_but_only_in_training(module: ModuleType) -> None:
    learner = module.MineModule()
    learner.model = small_model().double()
    source, target = pad([[4, 5, 6], [7]]), pad_targets([[8, 9], [10, 11, 4]])
    batch = Batch(source, target, torch.arange(2))
    gold = target.ids[:, 1:]
    translated = learner.model.loss(source, batch.inputs, gold)
    copied = learner.model.loss(pad([[8, 9, EOS], [10, 11, 4, EOS]]), batch.inputs, gold)
    both = learner.train().batch_loss(batch)
    torch.testing.assert_close(both.total, translated.total + copied.total)
    assert (int(both.tokens), int(translated.tokens)) == (14, 7)  # an end mark each
    alone = learner.eval().batch_loss(batch)
    torch.testing.assert_close(alone.total, translated.total)
    assert int(alone.tokens) == 7


@of("task")
def test_the_task_refuses_two_embeddings(module: ModuleType) -> None:
    module.Mine.connect(module.MineModule(), None)
    with pytest.raises(ConfigError, match="set model.share_embeddings: true"):
        module.Mine.connect(module.MineModule(share_embeddings=False), None)
