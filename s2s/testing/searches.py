"""The conformance kit for search strategies.

Each check takes a factory () -> SearchStrategy: a class, or a partial with the strategy's options. Results are
compared with tables that hold all outputs of a model, and that check their calls (`s2s.testing.tables`).

A strategy that samples declares it (`SearchStrategy.draws`) and samples by `Stepper.fingerprints`, so that its results
depend on the sentence alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from s2s.padded import Padded
from s2s.search.hypotheses import Hypothesis
from s2s.search.strategy import SearchStrategy
from s2s.testing import constructors, models
from s2s.testing.accelerator import emulated_accelerator, is_not_emulated
from s2s.testing.kit import Check, Nonconforming, told
from s2s.testing.tables import (
    LONGEST,
    VOCABULARY,
    WORDS,
    TableStepper,
    certain_tables,
    prefix_number,
    random_tables,
    random_weights,
    source_lengths,
)
from s2s.testing.threads import at_once
from s2s.text.batch import pad, pad_targets
from s2s.text.tokenizer import BOS, EOS, PAD

SearchFactory = Callable[[], SearchStrategy]
Found = list[list[Hypothesis]]

LIMITS = (6, 5, 4, 3, 2, 1, 0, 6, 6)
MINIMUMS = (0, 0, 2, 3, 1, 1, 0, 0, 4)

ROUNDING = 1e-5
"""For float32 sums of up to seven log-probabilities, in any order of the operations."""


def check_constructor(factory: SearchFactory) -> None:
    """The constructor is typed, documented, and builds from a name alone."""
    constructors.check_constructor(factory)


def check_hypotheses(factory: SearchFactory) -> None:
    """At least one per sentence, of words alone, finished by the end of the sentence or marked as unfinished."""
    tables = random_tables(len(LIMITS), seed=1)
    endless = tables.clone()
    endless[..., EOS] = -torch.inf
    for given in (tables, endless):
        found = _search(factory(), given)
        if len(found) != len(LIMITS):
            raise Nonconforming(
                f"results for {len(found)} of {len(LIMITS)} sentences",
                "one list for each",
                "Omit no sentence.",
            )
        for sentence, hypotheses in enumerate(found):
            if not hypotheses:
                raise Nonconforming(
                    f"no hypothesis for sentence {sentence}",
                    "at least one",
                    "If nothing is finished at the limit, return what there is, marked as unfinished.",
                )
            for one in hypotheses:
                _expect_form(one, f"sentence {sentence}")
                if not one.finished and len(one.tokens) < LIMITS[sentence]:
                    raise Nonconforming(
                        f"that {one.tokens} of sentence {sentence} is unfinished at {len(one.tokens)} tokens",
                        f"that it continues, as its limit is {LIMITS[sentence]}",
                        "A hypothesis is unfinished only at the limit, or if nothing can follow.",
                    )


def check_log_probs(factory: SearchFactory) -> None:
    """Each token has the log-probability that the model gives it after the tokens before it."""
    tables = random_tables(len(LIMITS), seed=2)
    for sentence, hypotheses in enumerate(_search(factory(), tables)):
        for one in hypotheses:
            _expect_log_probs(one, _recomputed(tables[sentence], one), f"sentence {sentence}")


def check_state(factory: SearchFactory) -> None:
    """The state follows its beam: each prefix is continued from its own state."""
    tables = random_tables(len(LIMITS), seed=3)
    stepper = TableStepper(tables)
    for sentence, hypotheses in enumerate(_run(factory(), stepper, LIMITS, MINIMUMS)):
        for one in hypotheses:
            for length in range(len(one.log_probs)):
                if (sentence, tuple(one.tokens[:length])) not in stepper.asked:
                    raise Nonconforming(
                        f"hypothesis {one.tokens} of sentence {sentence}, and that the stepper was never asked what "
                        f"follows {one.tokens[:length]}",
                        "a state for each of its prefixes",
                        "Select the rows of the state that the beams come from: select_state(step.state, parents).",
                    )


def check_scores(factory: SearchFactory) -> None:
    """Finished hypotheses first, each group best first; at equal length, the more probable has the better score."""
    tables = random_tables(len(LIMITS), seed=4)
    for sentence, hypotheses in enumerate(_search(factory(), tables)):
        scores = [one.score for one in hypotheses]
        if not all(map(math.isfinite, scores)):
            raise Nonconforming(
                f"scores {scores} of sentence {sentence}",
                "finite numbers",
                "Return no hypothesis of probability zero.",
            )
        ranks = [(not one.finished, -one.score) for one in hypotheses]
        if ranks != sorted(ranks):
            raise Nonconforming(
                f"hypotheses of sentence {sentence} in the order "
                f"{[(round(one.score, 3), 'finished' if one.finished else 'unfinished') for one in hypotheses]}",
                "finished ones first, the best score first in each group",
                "Sort them.",
            )
        for one in hypotheses:
            for other in hypotheses:
                same = (len(one.tokens), one.finished) == (len(other.tokens), other.finished)
                likelier = sum(one.log_probs) - sum(other.log_probs)
                if same and likelier > ROUNDING and one.score < other.score:
                    raise Nonconforming(
                        f"score {one.score:.4f} of {one.tokens}, whose log-probabilities sum to "
                        f"{sum(one.log_probs):.4f}, and {other.score:.4f} of {other.tokens} with "
                        f"{sum(other.log_probs):.4f}",
                        "the better score for the more probable of two hypotheses of equal length",
                        "Compute the score from the sum of log-probabilities, the end's included.",
                    )


def check_limits(factory: SearchFactory) -> None:
    """Limits and minimums apply per sentence; without minimums, there are none."""
    tables = random_tables(len(LIMITS), seed=5)
    for sentence, hypotheses in enumerate(_search(factory(), tables)):
        for one in hypotheses:
            if len(one.tokens) > LIMITS[sentence]:
                raise Nonconforming(
                    f"{len(one.tokens)} tokens for sentence {sentence}",
                    f"{LIMITS[sentence]} at most",
                    "Use limits[sentence]; the end is not counted.",
                )
            if one.finished and len(one.tokens) < MINIMUMS[sentence]:
                raise Nonconforming(
                    f"that sentence {sentence} ends after {len(one.tokens)} tokens",
                    f"{MINIMUMS[sentence]} at least",
                    "Do not allow the end of the sentence before minimums[sentence] tokens.",
                )
    try:
        without = _seeded(lambda: _search(factory(), tables, minimums=None))
    except Exception as error:
        raise Nonconforming(
            f"{type(error).__name__} without minimums: {error}", "none at all", "minimums may be None."
        ) from error
    zeros = _seeded(lambda: _search(factory(), tables, minimums=(0,) * len(LIMITS)))
    _expect_same("without minimums", without, zeros, "with minimums of 0", "None stands for no minimum.")


def check_certain(factory: SearchFactory) -> None:
    """If the model is almost certain, its output is found."""
    paths = ((4, 5, 6), (), (6,), (5, 5, 5, 5, 4), (1, 4))
    tables = certain_tables(paths, seed=6)
    limits, minimums = (LONGEST,) * len(paths), (0,) * len(paths)
    for path, hypotheses in zip(paths, _search(factory(), tables, limits, minimums), strict=True):
        if (hypotheses[0].tokens, hypotheses[0].finished) != (list(path), True):
            raise Nonconforming(
                f"{hypotheses[0].tokens} ({'finished' if hypotheses[0].finished else 'unfinished'}) first",
                f"{list(path)}, finished: each of its tokens has a probability above 0.999",
                "Follow the stepper's log-probabilities.",
            )


def check_batch_mates(factory: SearchFactory) -> None:
    """A sentence alone, in a batch and in a reordered batch: the same hypotheses."""
    strategy, tables = factory(), random_tables(len(LIMITS), seed=7)
    together = _search(strategy, tables)
    backwards = _search(strategy, tables.flip(0), LIMITS[::-1], MINIMUMS[::-1])[::-1]
    alone = [
        _search(strategy, tables[i : i + 1], LIMITS[i : i + 1], MINIMUMS[i : i + 1])[0]
        for i in range(len(LIMITS))
    ]
    remedy = "No sentence may see another: no width, limit or stop may depend on the whole batch."
    _expect_same("in a batch", together, alone, "alone", remedy)
    _expect_same("in a reversed batch", backwards, alone, "alone", remedy)
    tables[0] = torch.nan  # a model that has diverged
    _expect_same(
        "beside one for which the model gives NaN", _search(strategy, tables)[1:], alone[1:], "alone", remedy
    )


def check_leaving(factory: SearchFactory) -> None:
    """Finished sentences are dropped from the stepper together with their tokens and states, or not at all."""
    paths = [(), (4, 5, 6, 4, 5), (), (6, 6), (), (5, 4, 6, 5), (), ()] * 3
    for seed, sentences in enumerate((paths, paths[::-1])):
        tables = certain_tables(sentences, seed=seed)
        limits = [len(path) for path in sentences]
        for path, hypotheses in zip(sentences, _search(factory(), tables, limits, None), strict=True):
            if hypotheses[0].tokens != list(path):
                raise Nonconforming(
                    f"{hypotheses[0].tokens} where other sentences of the batch finished before",
                    f"{list(path)}",
                    "Track which sentence each row belongs to, also after stepper.keep.",
                )


def check_ties(factory: SearchFactory) -> None:
    """On ties the lower beam comes first, then the lower id; if it samples, each comes first somewhere."""
    strategy = factory()
    tables = random_tables(32 if strategy.draws else 2, seed=8)
    tables[:] = -torch.inf
    for length in (0, 1):
        for prefix in range(prefix_number([WORDS[0]] * length), prefix_number([WORDS[-1]] * length) + 1):
            tables[:, prefix, [5, 6]] = math.log(0.5)
    tables[:, prefix_number([1, 1]) :, EOS] = 0.0  # after two tokens
    unreachable = prefix_number([4])  # it distinguishes the sentences
    tables[:, unreachable] = random_tables(len(tables), seed=8)[:, unreachable]
    equal = [[5, 5], [5, 6], [6, 5], [6, 6]]
    searched = _search(strategy, tables, (4,) * len(tables), None)
    if strategy.draws:
        first = sorted({tuple(hypotheses[0].tokens) for hypotheses in searched})
        if [list(one) for one in first] != equal:
            raise Nonconforming(
                f"that of four equally probable outputs {first} came first in {len(tables)} sentences",
                "each of them somewhere, as `draws` is True",
                "Sample by Stepper.fingerprints, so that each sentence samples for itself.",
            )
        return
    for hypotheses in searched:
        found = [one.tokens for one in hypotheses]
        if found != equal[: len(found)]:
            raise Nonconforming(
                f"{found} where 5 and 6 are equally probable twice",
                "[5, 5] first, then [5, 6], [6, 5] and [6, 6]",
                "Sort stably, and choose tokens by s2s.nn.top or stepper.best: torch.topk leaves ties to chance.",
            )


def check_deterministic(factory: SearchFactory) -> None:
    """The same sentences give the same hypotheses, whatever was sampled before."""
    strategy, tables = factory(), random_tables(len(LIMITS), seed=9, sharpness=0.5)
    first, second = (_seeded(lambda: _search(strategy, tables), seed) for seed in (1, 2))
    remedy = "Do not sample, or only by Stepper.fingerprints and a seed."
    _expect_same("at the first time", first, second, "at the second", remedy)


def check_repeatable(factory: SearchFactory) -> None:
    """The same torch seed gives the same hypotheses, even if it samples."""
    strategy, tables = factory(), random_tables(len(LIMITS), seed=10, sharpness=0.5)
    first, second = (_seeded(lambda: _search(strategy, tables)) for _ in range(2))
    remedy = "Sample only from torch's generator: a validation seeds it, so that a resumed run is the same."
    _expect_same("with one seed", first, second, "with the same again", remedy)


def check_keeps_nothing(factory: SearchFactory) -> None:
    """A search changes neither the strategy nor the next search."""
    strategy, tables = factory(), random_tables(len(LIMITS), seed=11)
    before = repr(vars(strategy))
    first = _seeded(lambda: _search(strategy, tables))
    _search(strategy, tables[:3].flip(0), (6, 6, 6), None)
    again = _seeded(lambda: _search(strategy, tables))
    remedy = "Keep nothing on self: search is given all that it needs."
    if repr(vars(strategy)) != before:
        raise Nonconforming(f"attributes {vars(strategy)} after a search", f"{before}, as before", remedy)
    _expect_same("after another search", again, first, "before it", remedy)


def check_devices(factory: SearchFactory) -> None:
    """On an accelerator, here an emulated one, it finds the same: no tensor stays behind on the CPU."""
    with torch.device("cpu"), torch.no_grad(), emulated_accelerator() as device:
        model, source = models.small_model().eval(), pad(models.SENTENCES)
        expected = _seeded(lambda: models.search(model, source, factory()))
        remedy = "Create tensors beside a given one (x.new_zeros, torch.arange(..., device=x.device))."
        try:
            model.to(device)
            source = Padded(source.ids.to(device), source.lengths.to(device))
            found = _seeded(lambda: models.search(model, source, factory()))
        except Exception as error:
            if is_not_emulated(error):
                return  # only a real one can tell
            where = "no error: all tensors where the stepper's are"
            raise Nonconforming(f"on an accelerator {told(error)}", where, remedy) from error
        _expect_same("on an accelerator", found, expected, "on the CPU", remedy)


def check_threads(factory: SearchFactory) -> None:
    """Several threads may search concurrently, each its own sentences."""
    strategy = factory()
    tables = [random_tables(len(LIMITS), seed=seed) for seed in range(4)]
    one_by_one = [_search(strategy, table) for table in tables]
    remedy = "Keep nothing on self, not even during a search: translation uses threads."
    try:
        found = at_once([partial(_search, strategy, table, waits=True) for table in tables])
    except Exception as error:
        raise Nonconforming(
            f"{type(error).__name__} beside other threads: {error}", "no error", remedy
        ) from error
    for beside, alone in zip(found, one_by_one, strict=True):
        _expect_same("beside other threads", beside, alone, "with one thread", remedy)


def check_dead_ends(factory: SearchFactory) -> None:
    """If nothing can follow, or the model gives NaN, a sentence ends unfinished, without an error."""
    tables = random_tables(5, seed=12)
    limits, minimums = (5, 5, 5, 5, 5), (0, 2, 0, 0, 0)
    only_end = torch.full((VOCABULARY,), -torch.inf)
    only_end[EOS] = 0.0
    tables[:2] = only_end  # one may end at once; the other must not, so nothing can follow
    tables[2] = -torch.inf
    tables[2, 0, 5] = 0.0  # one token, then nothing
    tables[3] = torch.nan
    tables[4, 1:] = torch.nan
    tables[4, 0, EOS] = -torch.inf
    try:
        found = _search(factory(), tables, limits, minimums)
    except Exception as error:
        raise Nonconforming(
            f"{type(error).__name__} where nothing can follow: {error}",
            "hypotheses, unfinished ones",
            "End a sentence unfinished when no token has a log-probability above -inf.",
        ) from error
    possible: tuple[tuple[list[int], bool], ...] = (([], True), ([], False), ([5], False), ([], False))
    for output, hypotheses in zip(possible, found[:4], strict=True):
        told = [(one.tokens, one.finished) for one in hypotheses]
        if set(map(repr, told)) != {repr(output)}:
            raise Nonconforming(
                f"{told} (tokens, finished)",
                f"{output}: nothing else is possible",
                "A token of log-probability -inf or NaN never follows.",
            )
    for one in found[4]:
        _expect_form(one, "a sentence with NaN after the first token")
        if one.finished or not all(map(math.isfinite, [one.score, *one.log_probs])):
            raise Nonconforming(
                f"{one} where the model gives NaN after the first token",
                "an unfinished hypothesis of finite numbers",
                "Treat NaN as -inf: a diverged model must not end the search for other sentences.",
            )


def check_weights(factory: SearchFactory) -> None:
    """If the stepper returns attention, hypotheses hold it per token over their source, else None."""
    tables = random_tables(len(LIMITS), seed=13)
    if any(one.weights is not None for hypotheses in _search(factory(), tables) for one in hypotheses):
        raise Nonconforming(
            "weights, though the stepper gave none",
            "None",
            "Pass on Step.weights, None included.",
        )
    weights = random_weights(len(LIMITS), seed=14)
    lengths = source_lengths(torch.arange(len(LIMITS), device="cpu")).tolist()
    found = _run(factory(), TableStepper(tables, weights=weights), LIMITS, MINIMUMS)
    remedy = "Row i belongs to token i: it is Step.weights of the step in which token i was chosen."
    for sentence, hypotheses in enumerate(found):
        for one in hypotheses:
            shape = None if one.weights is None else tuple(one.weights.shape)
            if one.weights is None or shape != (len(one.tokens), lengths[sentence]):
                raise Nonconforming(
                    f"weights of shape {shape} for {len(one.tokens)} tokens over {lengths[sentence]} of the source",
                    f"{(len(one.tokens), lengths[sentence])}",
                    "One row for each token, none for the end, without the source's padding.",
                )
            if one.weights.device.type != "cpu":
                raise Nonconforming(f"weights on {one.weights.device}", "cpu", "Move them there at the end.")
            for i, row in enumerate(one.weights):
                expected = weights[sentence, prefix_number(one.tokens[:i]), : lengths[sentence]].cpu()
                if not torch.allclose(row, expected, atol=ROUNDING):
                    raise Nonconforming(
                        f"weights {row.tolist()} for token {i} of {one.tokens}",
                        f"{expected.tolist()}",
                        remedy,
                    )


def check_model(factory: SearchFactory) -> None:
    """With a model: valid hypotheses, each with the log-probabilities of teacher forcing."""
    model = models.small_model().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)  # less uniform than an untrained model
    source = pad(((4, 5, 6, 7, 8), (9,), (10, 11, 4)))
    with torch.no_grad():
        found: Found = models.search(model, source, factory())
        for row, hypotheses in enumerate(found):
            index = torch.tensor([row])
            alone = Padded(source.ids[index, : int(source.lengths[row])], source.lengths[index])
            for one in hypotheses:
                _expect_form(one, f"sentence {row} of a model")
                target = pad_targets([one.tokens])
                inputs = Padded(target.ids[:, :-1], target.lengths - 1)
                log_probs = model.head.log_probs(model(alone, inputs), alone)[0]
                said = [*one.tokens, EOS][: len(one.log_probs)]
                expected = [float(log_probs[time, token]) for time, token in enumerate(said)]
                _expect_log_probs(one, expected, f"sentence {row} of a model")


def check_no_sentences(factory: SearchFactory) -> None:
    """An empty batch gives no results."""
    try:
        found = _search(factory(), random_tables(0, seed=15), (), ())
    except Exception as error:
        raise Nonconforming(
            f"{type(error).__name__} for a batch of no sentences: {error}",
            "an empty list",
            "Take no maximum of an empty tensor.",
        ) from error
    if found != []:
        raise Nonconforming(
            f"{found} for a batch of no sentences", "an empty list", "Return one list for each."
        )


SEARCH_CHECKS = tuple(
    Check("search", run)
    for run in (
        check_constructor,
        check_hypotheses,
        check_log_probs,
        check_state,
        check_scores,
        check_limits,
        check_certain,
        check_batch_mates,
        check_leaving,
        check_ties,
        check_deterministic,
        check_repeatable,
        check_keeps_nothing,
        check_devices,
        check_threads,
        check_dead_ends,
        check_weights,
        check_model,
        check_no_sentences,
    )
)
"""All of them, in the order in which they are run."""


def _search(
    strategy: SearchStrategy,
    tables: Tensor,
    limits: Sequence[int] = LIMITS,
    minimums: Sequence[int] | None = MINIMUMS,
    *,
    waits: bool = False,
) -> Found:
    return _run(strategy, TableStepper(tables, waits=waits), limits, minimums)


def _run(
    strategy: SearchStrategy,
    stepper: TableStepper,
    limits: Sequence[int],
    minimums: Sequence[int] | None,
) -> Found:
    def numbers(given: Sequence[int]) -> Tensor:
        return torch.tensor(given, dtype=torch.int64, device=stepper.tables.device)

    return strategy.search(
        stepper,
        stepper.initial_state(),
        bos=BOS,
        eos=EOS,
        limits=numbers(limits),
        minimums=None if minimums is None else numbers(minimums),
    )


def _seeded(search: Callable[[], Found], seed: int = 0) -> Found:
    torch.manual_seed(seed)
    return search()


def _recomputed(table: Tensor, one: Hypothesis) -> list[float]:
    said = [*one.tokens, EOS][: len(one.tokens) + one.finished]
    return [float(table[prefix_number(one.tokens[:i]), token]) for i, token in enumerate(said)]


def _expect_form(one: Hypothesis, where: str) -> None:
    reserved = {PAD: "padding", BOS: "the start of the sentence", EOS: "the end of the sentence"}
    for token in one.tokens:
        if not isinstance(token, int) or token in reserved:
            raise Nonconforming(
                f"token {token!r}{f' ({reserved[token]})' if token in reserved else ''} in {one.tokens} ({where})",
                "words alone, as Python numbers",
                "Leave out start, end and padding; read tensors by tolist().",
            )
    if len(one.log_probs) != len(one.tokens) + one.finished:
        raise Nonconforming(
            f"{len(one.log_probs)} log-probabilities for {len(one.tokens)} tokens, "
            f"{'finished' if one.finished else 'unfinished'} ({where})",
            "one for each token, and one for the end if it is finished",
            "finished means that the end of the sentence was chosen, not that the limit was reached.",
        )


def _expect_log_probs(one: Hypothesis, expected: Sequence[float], where: str) -> None:
    found = [round(value, 4) for value in one.log_probs]
    told = [round(value, 4) for value in expected]
    close = len(found) == len(told) and all(
        abs(value - wanted) <= ROUNDING * max(1.0, abs(wanted))
        for value, wanted in zip(one.log_probs, expected, strict=True)
    )
    if not close:
        raise Nonconforming(
            f"log-probabilities {found} of {one.tokens} ({where})",
            f"{told}, as the model gives",
            "Return those of the chosen tokens, the end's last, and let each beam keep its own state.",
        )


def _expect_same(what: str, found: Found, expected: Found, how: str, remedy: str) -> None:
    for sentence, (ones, others) in enumerate(zip(found, expected, strict=True)):
        close = len(ones) == len(others) and all(
            (one.tokens, one.finished) == (other.tokens, other.finished)
            and abs(one.score - other.score) <= ROUNDING * max(1.0, abs(other.score))
            for one, other in zip(ones, others, strict=True)
        )
        if not close:
            raise Nonconforming(
                f"{_told(ones)} for sentence {sentence} {what}", f"{_told(others)}, as {how}", remedy
            )


def _told(hypotheses: Sequence[Hypothesis]) -> str:
    return "; ".join(f"{one.tokens} {one.score:.4f}" for one in hypotheses)
