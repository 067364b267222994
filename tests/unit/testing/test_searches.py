"""The kit of search strategies against strategies that are wrong, each in one way: the right check must say so."""

import math
import random
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from s2s.nn.cell import State, leaves, select_state
from s2s.search.hypotheses import Hypothesis
from s2s.search.stepper import Step, Stepper
from s2s.search.strategy import SearchStrategy
from s2s.testing import KITS, check_search


@dataclass(frozen=True)
class Prefix:
    """What is known of the beginning of an output."""

    tokens: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    weights: list[Tensor] = field(default_factory=list)

    @property
    def score(self) -> float:
        return sum(self.log_probs)

    def hypothesis(self, *, finished: bool, source_length: int | None) -> Hypothesis:
        weights = None
        if source_length is not None:
            attended = self.weights[: len(self.tokens)]
            weights = torch.stack(attended)[:, :source_length] if attended else torch.zeros(0, source_length)
        return Hypothesis(self.tokens, self.score, self.log_probs, finished, weights)


class Sound(SearchStrategy):
    """A beam search in small steps, by the sum of log-probabilities, that goes on to the limit.

    Args:
        size: prefixes that live on.
    """

    def __init__(self, size: int = 2) -> None:
        self.size = size

    def search(
        self,
        stepper: Stepper,
        state: State,
        *,
        bos: int,
        eos: int,
        limits: Tensor,
        minimums: Tensor | None = None,
    ) -> list[list[Hypothesis]]:
        lengths = stepper.source_lengths.tolist()
        attends = False
        least = [0] * len(limits) if minimums is None else minimums.tolist()
        most = limits.tolist()
        finished: list[list[Prefix]] = [[] for _ in most]
        live = {sentence: [Prefix()] for sentence in range(len(most))}  # in the order of the stepper's rows
        unfinished: dict[int, list[Prefix]] = {}
        while live:
            width = max(map(len, live.values()))
            last = [[self.last(one, bos) for one in self.filled(ones, width)] for ones in live.values()]
            step = stepper(self.tensor(last, limits.device), state)
            attends = step.weights is not None
            stay: list[int] = []
            parents: list[int] = []
            following: dict[int, list[Prefix]] = {}
            for row, (sentence, ones) in enumerate(live.items()):
                ended, others = self.extended(
                    step, row, ones, eos, may_end=self.may_end(len(ones[0].tokens), least[sentence])
                )
                finished[sentence] += ended
                if self.goes_on(len(ones[0].tokens), most, sentence) and others:
                    chosen = others[: self.width(len(live))]
                    stay.append(row)
                    parents += [row * width + beam for beam, _ in self.filled(chosen, self.width(len(live)))]
                    following[sentence] = [prefix for _, prefix in self.filled(chosen, self.width(len(live)))]
                else:
                    unfinished[sentence] = ones
            if not stay:
                break
            stepper = self.kept(stepper, stay)
            state = self.reordered(step.state, parents)
            live = self.renamed(following)
        results = []
        for sentence, ended in enumerate(finished):
            ones = self.ranked(ended or unfinished[sentence])
            length = lengths[sentence] if attends else None
            results.append([one.hypothesis(finished=bool(ended), source_length=length) for one in ones])
        return results

    def last(self, one: Prefix, bos: int) -> int:
        return one.tokens[-1] if one.tokens else bos

    def tensor(self, numbers: list[Any], device: torch.device) -> Tensor:
        return torch.tensor(numbers, device=device)

    def filled(self, ones: list[Any], width: int) -> list[Any]:
        return [*ones, *[ones[-1]] * (width - len(ones))]

    def width(self, sentences: int) -> int:
        return self.size

    def extended(
        self, step: Step, row: int, ones: list[Prefix], eos: int, *, may_end: bool
    ) -> tuple[list[Prefix], list[tuple[int, Prefix]]]:
        """The prefixes that end, and beam and prefix of those that go on, best first."""
        ended, others = [], []
        seen: list[list[int]] = []
        for beam, one in enumerate(ones):
            if one.tokens in seen:  # a place that is filled up
                continue
            seen.append(one.tokens)
            weights = [] if step.weights is None else [step.weights[row, beam]]
            for token, log_prob in enumerate(self.values(step.log_probs[row, beam])):
                if not log_prob > -math.inf:  # NaN neither
                    continue
                log_probs, attended = [*one.log_probs, log_prob], [*one.weights, *weights]
                if token != eos:
                    others.append((beam, Prefix([*one.tokens, token], log_probs, attended)))
                elif may_end:
                    ended.append(Prefix(one.tokens, log_probs, attended))
        return ended, sorted(others, key=lambda other: self.rank(other[1]))

    def values(self, log_probs: Tensor) -> list[float]:
        values: list[float] = log_probs.tolist()
        return values

    def rank(self, one: Prefix) -> Any:
        return -one.score  # sorting is stable: the lower beam, then the lower id

    def ranked(self, ones: list[Prefix]) -> list[Prefix]:
        return sorted(ones, key=lambda one: -one.score)[: self.size]

    def may_end(self, length: int, least: int) -> bool:
        return length >= least

    def goes_on(self, length: int, most: list[int], sentence: int) -> bool:
        return length < most[sentence]

    def kept(self, stepper: Stepper, rows: list[int]) -> Stepper:
        return stepper.keep(torch.tensor(rows, device=stepper.source_lengths.device))

    def reordered(self, state: State, parents: list[int]) -> State:
        return select_state(state, torch.tensor(parents, device=leaves(state)[0].device))

    def renamed(self, live: dict[int, list[Prefix]]) -> dict[int, list[Prefix]]:
        return live


class Sampling(Sound):
    """Draws an output from the model's distribution, token by token."""

    expected_failures = {
        "deterministic": "it draws",
        "batch_mates": "each sentence draws from the same generator",
        "ties": "it draws",
        "threads": "threads draw from the same generator",
    }

    def __init__(self) -> None:
        super().__init__(size=1)

    def extended(self, step: Step, row: int, ones: list[Prefix], eos: int, *, may_end: bool) -> Any:
        probabilities = step.log_probs[row, 0].exp().nan_to_num(nan=0.0)
        if not may_end:
            probabilities[eos] = 0.0
        if not probabilities.any():
            return [], []
        token = int(probabilities.multinomial(1))
        ended, others = super().extended(step, row, ones, eos, may_end=may_end)
        others = [other for other in others if other[1].tokens[-1] == token]
        return (ended, []) if token == eos else ([], others)


class Undocumented(Sound):
    """An option that nobody explains."""

    def __init__(self, size: int = 2) -> None:
        super().__init__(size)


class Finds(Sound):
    """Changes what a sound one finds.

    Args:
        size: as there.
    """

    def search(self, *arguments: Any, **options: Any) -> Any:
        return self.changed(super().search(*arguments, **options))

    def changed(self, found: list[list[Hypothesis]]) -> Any:
        return [[self.other(one) for one in ones] for ones in found]

    def other(self, one: Hypothesis) -> Hypothesis:
        return one


class LosesASentence(Finds):
    def changed(self, found: list[list[Hypothesis]]) -> Any:
        return found[:-1]


class HidesTheUnfinished(Finds):
    def changed(self, found: list[list[Hypothesis]]) -> Any:
        return [[one for one in ones if one.finished] for ones in found]


class WritesTheEnd(Finds):
    def other(self, one: Hypothesis) -> Hypothesis:
        return replace(one, tokens=[*one.tokens, 3] if one.finished else one.tokens)


class PadsItsOutputs(Finds):
    def other(self, one: Hypothesis) -> Hypothesis:
        return replace(one, tokens=one.tokens + [0] * (6 - len(one.tokens)))


class CallsAllFinished(Finds):
    def other(self, one: Hypothesis) -> Hypothesis:
        return replace(one, finished=True)


class StopsEarly(Sound):
    def goes_on(self, length: int, most: list[int], sentence: int) -> bool:
        return length < most[sentence] - 1

    def may_end(self, length: int, least: int) -> bool:
        return False


class MeansInsteadOfValues(Finds):
    def other(self, one: Hypothesis) -> Hypothesis:
        return replace(one, log_probs=[sum(one.log_probs) / len(one.log_probs)] * len(one.log_probs))


class StatesStayBehind(Sound):
    def reordered(self, state: State, parents: list[int]) -> State:
        of_the_best = [parents[i - i % self.size] for i in range(len(parents))]
        return super().reordered(state, of_the_best)


class WorstFirst(Finds):
    def changed(self, found: list[list[Hypothesis]]) -> Any:
        return [ones[::-1] for ones in found]


class ScoresNothing(Finds):
    def other(self, one: Hypothesis) -> Hypothesis:
        return replace(one, score=-math.inf)


class ScoresBackwards(Finds):
    def changed(self, found: list[list[Hypothesis]]) -> Any:
        return [[replace(one, score=-one.score) for one in ones[::-1]] for ones in found]


class OneTooMany(Sound):
    def goes_on(self, length: int, most: list[int], sentence: int) -> bool:
        return length <= most[sentence]

    def may_end(self, length: int, least: int) -> bool:
        return length > least


class EndsTooSoon(Sound):
    def may_end(self, length: int, least: int) -> bool:
        return True


class NeedsMinimums(Sound):
    def search(self, *arguments: Any, **options: Any) -> Any:
        options["minimums"].tolist()
        return super().search(*arguments, **options)


class LikesTheUnlikely(Sound):
    def rank(self, one: Prefix) -> Any:
        return one.log_probs[-1]


class WiderInABatch(Sound):
    def width(self, sentences: int) -> int:
        return self.size if sentences == 1 else 1


class KeepsNoAccount(Sound):
    """Sentences leave the stepper, and the others take their names."""

    def renamed(self, live: dict[int, list[Prefix]]) -> dict[int, list[Prefix]]:
        return dict(enumerate(live.values()))

    def search(self, stepper: Any, state: Any, **options: Any) -> Any:
        try:
            return super().search(stepper, state, **options)
        except KeyError:  # nothing is known of those that nobody went on with
            return [[Hypothesis([], 0.0, [], False)] for _ in options["limits"]]


class ForgetsToTellTheStepper(Sound):
    def kept(self, stepper: Stepper, rows: list[int]) -> Stepper:
        return stepper


class KeepsInAnotherOrder(Sound):
    def kept(self, stepper: Stepper, rows: list[int]) -> Stepper:
        return stepper.keep(torch.tensor(rows[::-1]))


class CountsOldRows(Sound):
    def kept(self, stepper: Stepper, rows: list[int]) -> Stepper:
        return stepper.keep(torch.tensor(rows) + 100)


class KeepsTwice(Sound):
    def kept(self, stepper: Stepper, rows: list[int]) -> Stepper:
        return stepper.keep(torch.tensor(rows * 2))


class LosesStates(Sound):
    def reordered(self, state: State, parents: list[int]) -> State:
        return super().reordered(state, parents[:-1])


class BeginsWithTheEnd(Sound):
    def last(self, one: Prefix, bos: int) -> int:
        return super().last(one, 3)


class LastOfEquals(Sound):
    def rank(self, one: Prefix) -> Any:
        return (-one.score, [-token for token in one.tokens])


class SaysThatItDraws(Sound):
    draws = True


class DrawsUnsaid(Sampling):
    expected_failures = {}


class DrawsElsewhere(Sound):
    def rank(self, one: Prefix) -> Any:
        return -one.score - random.random()


class CountsItsSearches(Sound):
    searches = 0

    def search(self, *arguments: Any, **options: Any) -> Any:
        self.searches += 1
        return super().search(*arguments, **options)


class StepsOnTheCPU(Sound):
    def tensor(self, numbers: list[Any], device: torch.device) -> Tensor:
        return torch.tensor(numbers)


class RemembersInSecret(Sound):
    ranks: list[Any] = []

    def search(self, *arguments: Any, **options: Any) -> Any:
        self.ranks.append(arguments[0])
        return super().search(*arguments, **options)

    def width(self, sentences: int) -> int:
        return self.size if len(self.ranks) < 2 else 1


class SharesItsStepper(Sound):
    def search(self, stepper: Stepper, state: State, **options: Any) -> Any:  # type: ignore[override]
        vars(self)["stepper"] = stepper
        found = super().search(stepper, state, **options)
        del vars(self)["stepper"]
        return found

    def kept(self, stepper: Stepper, rows: list[int]) -> Stepper:
        self.stepper: Stepper = super().kept(self.stepper, rows)
        return self.stepper


class NeedsAToken(Sound):
    def extended(self, step: Step, *arguments: Any, **options: Any) -> Any:
        ended, others = super().extended(step, *arguments, **options)
        if not ended and not others:
            raise IndexError("list index out of range")
        return ended, others


class FollowsTheImpossible(Sound):
    def values(self, log_probs: Tensor) -> list[float]:
        return [max(value, -1e9) for value in log_probs.nan_to_num(nan=-1e9).tolist()]


class WeightsOfNobody(Finds):
    def other(self, one: Hypothesis) -> Hypothesis:
        return replace(one, weights=torch.zeros(len(one.tokens), 4))


class WeightsOfTheStepBefore(Finds):
    def other(self, one: Hypothesis) -> Hypothesis:
        return replace(one, weights=None if one.weights is None else one.weights.roll(1, 0))


class WeightsOfPadding(Sound):
    def search(self, stepper: Stepper, state: State, **options: Any) -> Any:  # type: ignore[override]
        stepper.source_lengths = torch.full_like(stepper.source_lengths, 4)
        return super().search(stepper, state, **options)


class KnowsSevenTokens(Finds):
    def other(self, one: Hypothesis) -> Hypothesis:
        known = [min(token, 6) for token in one.tokens]
        return replace(one, tokens=known)


class NeedsASentence(Sound):
    def search(self, stepper: Stepper, state: State, **options: Any) -> Any:  # type: ignore[override]
        options["limits"].max()
        return super().search(stepper, state, **options)


class FindsSomethingInNothing(Sound):
    def search(self, stepper: Stepper, state: State, **options: Any) -> Any:  # type: ignore[override]
        return super().search(stepper, state, **options) or [[]]


WRONG: list[tuple[type[Sound], str, str]] = [
    (Undocumented, "constructor", "does not tell of 'size'; expected a line in its Args section"),
    (LosesASentence, "hypotheses", "results for 8 of 9 sentences; expected one list for each"),
    (HidesTheUnfinished, "hypotheses", r"no hypothesis for sentence \d; expected at least one"),
    (WritesTheEnd, "hypotheses", r"token 3 \(the end of the sentence\) in .*; expected words alone"),
    (PadsItsOutputs, "hypotheses", r"token 0 \(padding\) in"),
    (
        CallsAllFinished,
        "hypotheses",
        r"\d log-probabilities for \d tokens, finished .*; expected one for each token",
    ),
    (
        StopsEarly,
        "hypotheses",
        "of sentence 0 is unfinished at 5 tokens; expected that it continues, .* limit is 6",
    ),
    (MeansInsteadOfValues, "log_probs", "log-probabilities .* of .* as the model gives"),
    (StatesStayBehind, "log_probs", "log-probabilities .* of .*let each beam keep its own state"),
    (
        StatesStayBehind,
        "state",
        "the stepper was never asked what follows .*; expected a state for each of its prefixes",
    ),
    (WorstFirst, "scores", r"in the order \[.*; expected finished ones first, the best score first"),
    (ScoresNothing, "scores", r"scores \[-inf.*; expected finite numbers"),
    (
        ScoresBackwards,
        "scores",
        "whose log-probabilities sum to .*; expected the better score for the more",
    ),
    (OneTooMany, "limits", "tokens for sentence .* at most. Use limits"),
    (EndsTooSoon, "limits", r"sentence \d ends after \d tokens; expected \d at least"),
    (NeedsMinimums, "limits", "AttributeError without minimums: .*; expected none at all"),
    (
        LikesTheUnlikely,
        "certain",
        r"first; expected \[4, 5, 6\], finished: each of its tokens has a probability",
    ),
    (
        WiderInABatch,
        "batch_mates",
        r"for sentence \d in a batch; expected .*, as alone. No sentence may see another",
    ),
    (ForgetsToTellTheStepper, "leaving", r"tokens \[\d+, 2\] of torch.int64 for a stepper of 24 sentences"),
    (
        KeepsInAnotherOrder,
        "leaving",
        r"the state of sentence \d+ in row 0, which belongs to sentence \d+; .*select_state",
    ),
    (
        KeepsNoAccount,
        "leaving",
        "where other sentences of the batch finished before.*which sentence each row",
    ),
    (
        CountsOldRows,
        "leaving",
        r"keep\(.*\) of a stepper of 24 sentences; expected rows of the present batch",
    ),
    (KeepsTwice, "leaving", r"keep\(.*\); expected each row once"),
    (LosesStates, "leaving", r"a state of \d+ rows for \d+ sentences with 2 beams; expected \d+ rows"),
    (BeginsWithTheEnd, "certain", "3 as the first token; expected bos, 2"),
    (
        SaysThatItDraws,
        "ties",
        r"that of four equally probable outputs \[\(5, 5\)\] came first in 32 sentences",
    ),
    (LastOfEquals, "ties", r"6, 6.* where 5 and 6 are equally probable twice; expected \[5, 5\] first"),
    (DrawsUnsaid, "deterministic", r"for sentence \d at the first time; expected .* as at the second"),
    (
        DrawsElsewhere,
        "repeatable",
        r"for sentence \d with one seed; expected .*Sample only from torch's generator",
    ),
    (
        CountsItsSearches,
        "keeps_nothing",
        r"attributes \{.*'searches': 3.*\} after a search; expected .*as before",
    ),
    (RemembersInSecret, "keeps_nothing", r"for sentence \d after another search; expected .*, as before it"),
    (
        StepsOnTheCPU,
        "devices",
        r"on an accelerator DeviceMismatch: embedding of tensors .* one on the CPU, of shape .*device=x.device",
    ),
    (SharesItsStepper, "threads", "beside other threads.*not even during a search"),
    (
        NeedsAToken,
        "dead_ends",
        "IndexError where nothing can follow: .*; expected hypotheses, unfinished ones",
    ),
    (FollowsTheImpossible, "dead_ends", r"\(tokens, finished\); expected .*nothing else is possible"),
    (WeightsOfNobody, "weights", "weights, though the stepper gave none; expected None"),
    (WeightsOfTheStepBefore, "weights", r"weights \[.*\] for token \d of .*Row i belongs to token i"),
    (WeightsOfPadding, "weights", r"weights of shape \(\d, 4\) for \d tokens over 2 of the source"),
    (KnowsSevenTokens, "model", "log-probabilities .* of a model.*as the model gives"),
    (NeedsASentence, "no_sentences", "for a batch of no sentences: .*; expected an empty list"),
    (
        FindsSomethingInNothing,
        "no_sentences",
        r"\[\[\]\] for a batch of no sentences; expected an empty list",
    ),
]


@pytest.mark.parametrize("strategy", [Sound, Sampling])
def test_a_sound_strategy_passes(strategy: type[Sound]) -> None:
    check_search(strategy)


@pytest.mark.parametrize(
    ("strategy", "check", "message"), WRONG, ids=lambda value: getattr(value, "__name__", None)
)
def test_a_wrong_strategy_fails(strategy: type[Sound], check: str, message: str) -> None:
    (run,) = (one for one in KITS["search"] if one.name == check)
    with pytest.raises(AssertionError, match=f"(?s){message}"):
        run(strategy)


def test_every_check_has_a_strategy_that_it_catches() -> None:
    assert {check for _, check, _ in WRONG} == {check.name for check in KITS["search"]}
