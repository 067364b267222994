"""The conformance kit for attentions.

Each check takes a factory (query_size, memory_size) -> Attention: a class, or a partial with the attention's options.
The reference for several queries at once is `ask_one_by_one`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from s2s.errors import ConfigError
from s2s.nn.attention import Attention, attend_rows
from s2s.nn.bridge import Bridge
from s2s.nn.cell import State, leaves, select_state
from s2s.nn.unroll import length_mask
from s2s.testing import constructors, models
from s2s.testing.comparing import TOLERANCES, expect_close, expect_shape, outline
from s2s.testing.kit import Check, Nonconforming
from s2s.testing.modules import (
    expect_batch_first,
    expect_exported,
    expect_gradients,
    expect_nothing_kept,
    expect_same,
    expect_same_on_accelerator,
    expect_true_gradients,
    modes,
    name_leaves,
    unsettle,
    with_gradients,
)

AttentionFactory = Callable[[int, int], Attention]

QUERY_SIZE, MEMORY_SIZE = 4, 6
LENGTHS = (3, 1, 5)  # the shortest possible, the longest, and one between
TIMES = 4  # queries


def check_constructor(factory: AttentionFactory) -> None:
    """The constructor is typed, documented, and builds from a name alone."""
    constructors.check_constructor(factory)


def check_shapes(factory: AttentionFactory) -> None:
    """Memory and state hold one row per sentence; context, weights and the next state have the declared form."""
    attention = build(factory)
    outputs, mask = draw_source(attention)
    memory = attention.memorize(outputs, mask)
    expect_batch_first("the memory", memory, len(LENGTHS))
    state = attention.initial_state(memory)
    expect_batch_first("the state", state, len(LENGTHS))
    queries = draw_queries(attention)
    axes: list[tuple[int, ...]] = [(len(LENGTHS),)] + ([] if attention.sequential else [queries.shape[:2]])
    for leading in axes:
        query = queries[:, 0] if len(leading) == 1 else queries
        answer = attention.attend(query, memory, state)
        for name, found, width, advice in (
            ("context", answer.context, attention.context_size, "pass context_size to super().__init__"),
            ("weights", answer.weights, max(LENGTHS), "give one weight to every source position"),
        ):
            what = f"{name} for a query of shape {tuple(query.shape)}"
            expect_shape(what, found, (*leading, width), advice)
        if outline(answer.state) != outline(state):
            raise Nonconforming(
                f"that attend returns a state of the form {outline(answer.state)}",
                f"{outline(state)}, as initial_state gives",
                "Return the same structure, the same widths and the same types from both.",
            )


def check_weights(factory: AttentionFactory) -> None:
    """Weights are zero at padding, never negative, and sum to one."""
    for lengths in (LENGTHS, (1,), (4, 4)):
        _expect_distribution(build(factory), lengths, TOLERANCES[torch.float64])


def check_sequential(factory: AttentionFactory) -> None:
    """`sequential` is correct: if it is True, an answer depends on previous ones."""
    attention = build(factory)
    if not attention.sequential:
        return  # the requirement is then checked by at_once_equals_steps
    outputs, mask = draw_source(attention)
    memory = attention.memorize(outputs, mask)
    queries = draw_queries(attention)
    first = attention.initial_state(memory)
    later = attention.attend(queries[:, 0], memory, first).state
    answers = [attention.attend(queries[:, 1], memory, state) for state in (first, later)]
    if torch.equal(answers[0].context, answers[1].context):
        raise Nonconforming(
            "that sequential is True, but no answer depends on the ones before it",
            "sequential = False",
            "Remove sequential, so that all positions are answered at once; or read the state in attend.",
        )


def check_at_once_equals_steps(factory: AttentionFactory) -> None:
    """All queries at once and one by one: same answers and gradients, float64 and float32, unless `sequential`."""
    for dtype in (torch.float64, torch.float32):
        attention = build(factory, dtype)
        if not attention.sequential:
            _compare_with_steps(attention, str(dtype), TOLERANCES[dtype])


def check_mixed_precision(factory: AttentionFactory) -> None:
    """Under bfloat16 autocast answers are the same within rounding, and the state keeps its dtypes."""
    attention = build(factory, torch.float32)
    tolerance = TOLERANCES[torch.bfloat16]
    queries, (outputs, mask) = draw_queries(attention), draw_source(attention)
    for dtype in (torch.float32, torch.bfloat16):  # both occur: of a cell's state, and of a product
        given, source = queries.to(dtype), outputs.detach().to(dtype)
        where = f"under bfloat16 autocast, with queries and outputs in {dtype}"
        expected = ask_one_by_one(attention, given.float(), source.float(), mask)
        with torch.autocast(outputs.device.type, torch.bfloat16), torch.no_grad():
            found = ask_one_by_one(attention, given, source, mask)
            first = name_leaves("state", attention.initial_state(attention.memorize(source, mask)))
            for name, leaf in first.items():
                if found[name].dtype != leaf.dtype:
                    raise Nonconforming(
                        f"that {name} is {found[name].dtype} {where}",
                        f"{leaf.dtype}, as it began",
                        "A state must keep the dtype that initial_state gave it.",
                    )
        remedy = (
            "Take what bfloat16 cannot hold, such as sums over the source and positions, in float32 at least."
        )
        expect_same(found, expected, where, remedy, tolerance, types=False)
    with torch.autocast(outputs.device.type, torch.bfloat16), torch.no_grad():
        _expect_distribution(attention, LENGTHS, tolerance)
        if not attention.sequential:
            _compare_with_steps(attention, "bfloat16 autocast", tolerance)


def check_batch_mates(factory: AttentionFactory) -> None:
    """A sentence alone, padded in a batch (in training, too), and in a reordered batch: the same answers."""
    compare_with_alone(factory, LENGTHS)
    attention = build(factory)
    queries, (outputs, mask) = draw_queries(attention), draw_source(attention)
    whole = ask_one_by_one(attention, queries, outputs, mask)
    remedy = "No row may see another: no mean or normalization over the batch."
    order = torch.tensor([2, 0, 1])
    shuffled = ask_one_by_one(attention, queries[order], outputs[order], mask[order])
    expected = {name: value[order] for name, value in whole.items()}
    expect_same(shuffled, expected, "in another order of the batch", remedy)


def check_select_state(factory: AttentionFactory) -> None:
    """Selecting rows of memory and state before or after a query gives the same, as searches require."""
    attention = build(factory)
    memory = attention.memorize(*draw_source(attention))
    queries = draw_queries(attention)
    state = attention.attend(queries[:, 0], memory, attention.initial_state(memory)).state
    index = torch.tensor([2, 0])
    whole = attention.attend(queries[:, 1], memory, state)
    chosen = attention.attend(queries[index, 1], select_state(memory, index), select_state(state, index))
    remedy = "Every leaf must be [batch, ...], and a row's answer must depend on that row alone."
    expect_same(_named(*chosen), _named(*select_state(tuple(whole), index)), "after choosing rows", remedy)


def check_beams(factory: AttentionFactory) -> None:
    """Several rows per sentence that share one memory get the same answers as rows with their own copies."""
    attention = build(factory)
    memory = attention.memorize(*draw_source(attention))
    rows = torch.arange(len(LENGTHS)).repeat_interleave(2)
    expanded = select_state(memory, rows)
    state = expected_state = select_state(attention.initial_state(memory), rows)
    for order in (list(range(6)), [1, 1, 2, 3, 5, 4], [0, 0, 3, 2, 5, 5]):  # beams change places
        state, expected_state = (select_state(one, torch.tensor(order)) for one in (state, expected_state))
        query = torch.randn(6, attention.query_size, dtype=torch.float64)
        answer = attend_rows(attention, query, memory, state)
        expected = attention.attend(query, expanded, expected_state)
        remedy = "Let attend take [batch, time, hidden], or set sequential = True."
        expect_same(_named(*answer), _named(*expected), "of beams that share a memory", remedy)
        state, expected_state = answer.state, expected.state


def check_map_values(factory: AttentionFactory) -> None:
    """If `map_values` returns a memory, its contexts are the mapped ones, and its weights the same."""
    attention = build(factory)
    memory = attention.memorize(*draw_source(attention))
    linear = nn.Linear(attention.context_size, 5, bias=False, dtype=torch.float64)
    mapped = attention.map_values(memory, linear)
    if mapped is None:
        return
    expect_batch_first("the memory of map_values", mapped, len(LENGTHS))
    queries = draw_queries(attention)
    state = attention.initial_state(memory)
    state = attention.attend(queries[:, 0], memory, state).state
    remedy = "Return None from map_values unless the context is a sum of vectors of the memory."
    for query in (queries[:, 1],) if attention.sequential else (queries[:, 1], queries):
        plain, found = (attention.attend(query, one, state) for one in (memory, mapped))
        expected = _named(linear(plain.context), plain.weights, plain.state)
        expect_same(_named(*found), expected, "with mapped values", remedy)


def check_keeps_nothing(factory: AttentionFactory) -> None:
    """The same query gives the same bits, a run leaves nothing on the part, and its state_dict is complete."""
    expect_nothing_kept(lambda: build(factory), _draw, lambda one, inputs: ask_one_by_one(one, *inputs))


def check_devices(factory: AttentionFactory) -> None:
    """On an accelerator, here an emulated one, it computes the same: no tensor stays behind on the CPU."""
    attention = build(factory)
    expect_same_on_accelerator(attention, _draw(attention), lambda one, inputs: ask_one_by_one(one, *inputs))


def _draw(attention: Attention) -> tuple[Tensor, ...]:
    return draw_queries(attention), *draw_source(attention)


def check_gradients(factory: AttentionFactory) -> None:
    """Gradients match finite differences; queries, outputs and every parameter get one."""
    attention = build(factory)
    outputs, mask = draw_source(attention)
    queries = draw_queries(attention).requires_grad_()

    def ask(queries: Tensor, outputs: Tensor) -> tuple[Tensor, ...]:
        outputs = outputs.masked_fill(~mask.unsqueeze(-1), 0.0)
        return tuple(ask_one_by_one(attention, queries, outputs, mask).values())

    expect_true_gradients(ask, (queries[:, :2].detach().requires_grad_(), outputs), "attend")
    values = ask_one_by_one(attention, queries, outputs, mask)
    expect_gradients({"context": values["context"]}, {"queries": queries, "outputs": outputs}, attention)


def check_every_partner(factory: AttentionFactory) -> None:
    """With every registered decoder and encoder: teacher forcing equals stepping, beams stay independent."""
    models.expect_exact_beside("attention", factory, ("decoder", "encoder"))


def check_export(factory: AttentionFactory) -> None:
    """A query can be exported, for any number of sentences and positions; two queries if it is sequential."""
    attention = build(factory, torch.float32)
    questions = 2 if attention.sequential else 1
    axes = (*[{0: "rows", 1: "positions"}] * 2, *[{0: "rows"}] * questions)

    def draw(lengths: Sequence[int]) -> tuple[Tensor, ...]:
        (outputs, mask), queries = draw_source(attention, lengths), draw_queries(attention, lengths)
        return outputs.detach(), mask, *queries[:, :questions].unbind(1)

    expect_exported(_Questions(attention), draw(LENGTHS), draw((2, 7, 4, 1)), axes)


def check_learning(factory: AttentionFactory) -> None:
    """A small model that sees the source only through it learns to copy short sequences in a few seconds."""
    model = models.learning_model(attention=factory, bridge=_Silent)
    models.expect_to_learn(model, "a model with the attention")


class _Silent(Bridge):
    """The decoder starts from zeros: an encoder state could pass on a few letters, and hide a broken attention."""

    def forward(self, features: Tensor) -> Tensor:
        return features.new_zeros(features.size(0), self.decoder_features)


class _Questions(nn.Module):
    """From a source and some queries to the answer to the last query."""

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, outputs: Tensor, mask: Tensor, *queries: Tensor) -> tuple[Tensor, ...]:
        memory = self.attention.memorize(outputs, mask)
        state = self.attention.initial_state(memory)
        for query in queries:
            answer = self.attention.attend(query, memory, state)
            state = answer.state
        return answer.context, answer.weights, *leaves(answer.state)


def build(factory: AttentionFactory, dtype: torch.dtype = torch.float64) -> Attention:
    """An attention in evaluation mode, of different sizes unless it requires equal ones."""
    try:
        attention = factory(QUERY_SIZE, MEMORY_SIZE)
    except ConfigError:
        attention = factory(QUERY_SIZE, QUERY_SIZE)
    return unsettle(attention.to(dtype)).eval()


def draw_source(attention: Attention, lengths: Sequence[int] = LENGTHS) -> tuple[Tensor, Tensor]:
    """Random encoder outputs, zero at padding, and their mask."""
    mask = length_mask(torch.tensor(lengths), max(lengths))
    dtype = _dtype(attention)
    outputs = torch.randn(*mask.shape, attention.memory_size, dtype=dtype)
    return outputs.masked_fill(~mask.unsqueeze(-1), 0.0).requires_grad_(), mask


def draw_queries(attention: Attention, lengths: Sequence[int] = LENGTHS) -> Tensor:
    """Random queries [batch, time, hidden]."""
    return torch.randn(len(lengths), TIMES, attention.query_size, dtype=_dtype(attention))


def ask_one_by_one(attention: Attention, queries: Tensor, outputs: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """Contexts and weights [batch, time, ...] and the last state, one query after the other.

    Args:
        attention: the attention.
        queries: [batch, time, hidden].
        outputs: [batch, source, memory].
        mask: [batch, source].
    """
    memory = attention.memorize(outputs, mask)
    state = attention.initial_state(memory)
    answers = []
    for query in queries.unbind(1):
        answers.append(attention.attend(query, memory, state))
        state = answers[-1].state
    contexts, weights = (torch.stack([one[i] for one in answers], dim=1) for i in range(2))
    return _named(contexts, weights, state)


def compare_with_alone(factory: AttentionFactory, lengths: Sequence[int]) -> None:
    """Check that every sentence of a padded batch gets the same answers as alone, query by query."""
    attention = build(factory)
    queries, (outputs, mask) = draw_queries(attention, lengths), draw_source(attention, lengths)
    for mode in modes(attention, lambda: ask_one_by_one(attention, queries, outputs, mask)):
        whole = ask_one_by_one(attention, queries, outputs, mask)
        for row, length in enumerate(lengths):
            one = slice(row, row + 1)
            alone = ask_one_by_one(attention, queries[one], outputs[one, :length], mask[one, :length])
            found = {name: whole[name][one] for name in ("context", "weights")}
            found["weights"] = found["weights"][..., :length]
            remedy = "Give padding no weight, and let no row see another."
            expected = {name: alone[name] for name in found}
            expect_same(found, expected, f"of a sentence in a batch and alone ({mode})", remedy)


def _compare_with_steps(attention: Attention, where: str, tolerance: float) -> None:
    queries, (outputs, mask) = draw_queries(attention).requires_grad_(), draw_source(attention)
    inputs = {"queries": queries, "outputs": outputs}
    expected = ask_one_by_one(attention, queries, outputs, mask)
    memory = attention.memorize(outputs, mask)
    found = _named(*attention.attend(queries, memory, attention.initial_state(memory)))
    expect_same(
        with_gradients(found, inputs, attention),
        with_gradients(expected, inputs, attention),
        f"of all queries at once and one by one ({where})",
        "Set sequential = True if an answer depends on the one before it; else fix the axis of time.",
        tolerance,
    )


def _expect_distribution(attention: Attention, lengths: Sequence[int], tolerance: float) -> None:
    outputs, mask = draw_source(attention, lengths)
    weights = ask_one_by_one(attention, draw_queries(attention, lengths), outputs, mask)["weights"].detach()
    padding = ~mask.unsqueeze(1).expand_as(weights)
    if weights[padding].any():
        raise Nonconforming(
            f"weights up to {float(weights[padding].abs().max()):.3g} at padding",
            "zero",
            "Fill the scores of padding with -inf before the softmax.",
        )
    if not bool((weights >= 0).all()):
        raise Nonconforming(
            f"a weight of {float(weights.min()):.3g}", "none below zero", "Weights are shares of attention."
        )
    sums = weights.double().sum(-1)
    expect_close(
        "the sum of weights", sums, torch.ones_like(sums), "Normalize the weights.", tolerance, weights.dtype
    )


def _named(context: Tensor, weights: Tensor, state: State) -> dict[str, Tensor]:
    return {"context": context, "weights": weights, **name_leaves("state", state)}


def _dtype(attention: Attention) -> torch.dtype:
    return next((parameter.dtype for parameter in attention.parameters()), torch.float64)


ATTENTION_CHECKS = tuple(
    Check("attention", run)
    for run in (
        check_constructor,
        check_shapes,
        check_weights,
        check_sequential,
        check_at_once_equals_steps,
        check_mixed_precision,
        check_batch_mates,
        check_select_state,
        check_beams,
        check_map_values,
        check_keeps_nothing,
        check_devices,
        check_gradients,
        check_every_partner,
        check_export,
        check_learning,
    )
)
