"""A sentence's result depends on that sentence alone: for all registered parts, pairwise, in float32."""

import copy
import inspect
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from s2s.errors import ConfigError
from s2s.nn import Seq2Seq
from s2s.padded import Padded
from s2s.registry import catalogue
from s2s.registry.parts import factory
from s2s.search.hypotheses import Hypothesis
from s2s.search.stepper import ModelStepper
from s2s.search.strategy import SearchStrategy
from s2s.testing import models
from s2s.testing.kit import Nonconforming
from s2s.testing.odd_cells import OddCell, SlotCell
from s2s.text.batch import pad, pad_targets
from s2s.text.tokenizer import BOS, EOS
from soak.attack import Attack, Broken, Outcome
from soak.pairwise import Row, pairwise

PER_TOKEN = 1e-5
"""Tolerance of log-probabilities in float32, as promised in the docs."""
ROUNDINGS = 4
"""Some parts magnify rounding: alone in float32, a sentence already deviates from float64. Up to this multiple of
that deviation is tolerated, and such sentences are counted."""
NEAR_TIE = 1e-4
"""Hypotheses whose scores differ by no more may be swapped."""
MOST_TIES = 1 / 1000
"""The maximum share of such sentences."""
LIMIT = 7
NONE = "none"


class Setting(NamedTuple):
    """How sentences are batched.

    Attributes:
        name: for messages.
        batches: which sentences, in order.
        width: extra columns of padding, filled with garbage.
        threads: number of torch threads.
    """

    name: str
    batches: list[list[int]]
    width: int = 0
    threads: int = 1


def choices() -> dict[str, list[str]]:
    """The parts to combine; the plainest comes first."""

    def first(plain: str, names: Sequence[str]) -> list[str]:
        return [plain, *sorted(set(names) - {plain})]

    known = {kind: first(models.PARTNERS[kind], catalogue().names(kind)) for kind in models.PARTNERS}
    known["embedding"] = ["Lookup"]  # the others need files
    known["cell"] += ["odd", "slots"]
    known["attention"] += [NONE]
    known["search"] += ["Beam with coverage"]
    return {**known, "layers": ["1", "2"], "tied": ["no", "yes"], "residual": ["no", "yes"]}


def part(kind: str, name: str) -> Any:
    """A factory of the part."""
    if name == NONE:
        return None
    if name in ("odd", "slots"):
        return {"odd": OddCell, "slots": SlotCell}[name]
    return factory(kind, name)


def build(row: Row, seed: int, *, dropout: float = 0.0, size: int = 6) -> Seq2Seq:
    """A model with random weights.

    Raises:
        ConfigError: these parts do not fit together.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        parts = {kind: part(kind, row[kind]) for kind in models.PARTNERS if kind != "search"}
        options = {"layers": int(row["layers"]), "residual": row["residual"] == "yes", "dropout": dropout}
        for kind in ("encoder", "decoder"):
            parts[kind] = models.with_options(parts[kind], **options)
        return models.small_model(size=size, tied=row["tied"] == "yes", **parts)


def possible(row: Row) -> bool:
    """Whether these parts fit together; those that do not raise an error that says why."""
    try:
        build(row, 0)
        strategy(row)
    except ConfigError:
        return False
    return row["search"] != "Beam with coverage" or row["attention"] != NONE


def strategy(row: Row) -> SearchStrategy:
    """The search strategy, with three beams if it has any."""
    if row["search"] == "Beam with coverage":
        return models.with_options(factory("search", "Beam"), size=3, beta=0.3)()  # type: ignore[no-any-return]
    part = factory("search", row["search"])
    return models.with_options(part, size=3, groups=3, samples=2, n_best=1)()  # type: ignore[no-any-return]


class Exactness(Attack):
    """Combinations of all registered parts."""

    name = "exactness"
    promise = (
        "a sentence's tokens and scores are the same at every batch size, order, padding, number of threads and with "
        "any batch mates; step by step is all at once; a seed gives the same numbers twice"
    )
    units = "sentences"
    attempts = 4000
    short = 6

    def prepare(self, folder: Path) -> None:
        """Choose the combinations."""
        self.rows: list[Row] = []
        self.next_rows = pairwise(choices(), possible)
        self.sentences = self.ties = 0

    def attempt(self, number: int, folder: Path) -> Outcome:
        """Test one combination of parts, with its own weights and sentences."""
        row = self._row(number)
        what = " ".join(f"{kind}={name}" for kind, name in row.items() if kind != "embedding")
        chance = random.Random(number)
        model = build(row, number, size=2 * chance.randint(2, 5)).eval()
        try:
            models.expect_exact(copy.deepcopy(model), "")
        except Nonconforming as error:
            raise Broken(f"{what}: {error}") from error
        self._same_twice(row, number, what)
        sentences = draw(chance, own=model.head.copies)
        counts = self._everywhere_the_same(model, strategy(row), sentences, chance, what)
        self.sentences += counts["outputs the same"] + counts["near ties of outputs"]
        self.ties += counts["near ties of outputs"]
        if self.sentences >= 1 / MOST_TIES and self.ties > MOST_TIES * self.sentences:
            raise Broken(
                f"{self.ties} near ties among {self.sentences} sentences; see how that could become so many"
            )
        return Outcome(counts, {"combinations": float(len(self.rows))})

    def _row(self, number: int) -> Row:
        while len(self.rows) <= number and (row := next(self.next_rows, None)) is not None:
            self.rows.append(row)
        return self.rows[number % len(self.rows)]

    def _same_twice(self, row: Row, number: int, what: str) -> None:
        """The same seed gives the same loss and the same gradients, including dropout."""
        found = []
        for _ in range(2):
            model = build(row, number, dropout=0.3).train()
            chance = random.Random(number)
            source, target = pad(draw(chance)), pad_targets(draw(chance))
            inputs = Padded(target.ids[:, :-1], target.lengths - 1)
            torch.manual_seed(number)
            model.loss(source, inputs, target.ids[:, 1:]).total.backward()
            found.append([p.grad for p in model.parameters() if p.grad is not None])
        if not all(map(torch.equal, *found)):
            raise Broken(f"{what}: other gradients of the same seed")

    def _everywhere_the_same(
        self,
        model: Seq2Seq,
        search: SearchStrategy,
        sentences: list[list[int]],
        chance: random.Random,
        what: str,
    ) -> Counter[str]:
        everyone = list(range(len(sentences)))
        mixed = chance.sample(everyone, len(everyone))
        cut = chance.randint(2, len(everyone) - 1)
        alone = Setting("alone", [[place] for place in everyone])
        others = [
            Setting("all in a batch", [everyone]),
            Setting("in another order", [mixed]),
            Setting(f"in batches of {cut} at most", [mixed[:cut], mixed[cut:]]),
            Setting("beside copies of itself", [[*mixed, *everyone]]),
            Setting("with more padding", [everyone], width=chance.randint(1, 9)),
            Setting("by two threads", [everyone], threads=2),
        ]
        expected = find(model, search, sentences, alone, chance)
        forced = {place: hypothesis.tokens for place, hypothesis in expected.items()}
        scores = score(model, sentences, forced, alone, chance)
        exact = score(copy.deepcopy(model).double(), sentences, forced, alone, chance)
        counts: Counter[str] = Counter()
        for setting in others:
            for place, found in score(model, sentences, forced, setting, chance).items():
                off = float((found - scores[place]).abs().max())
                most = PER_TOKEN * max(1.0, float(scores[place].abs().max()))
                rounding = float((scores[place] - exact[place]).abs().max())
                if off > max(most, ROUNDINGS * rounding):
                    raise Broken(
                        f"{what}: sentence {sentences[place]} {setting.name}: scores are off by {off:.2g}; alone, "
                        f"float32 is off by {rounding:.2g}"
                    )
                counts[
                    "scores within 1e-5" if off <= most else "scores within what float32 rounds alone"
                ] += 1
            for place, hypothesis in find(model, search, sentences, setting, chance).items():
                counts[self._same(hypothesis, expected[place], search, f"{what}: {setting.name}")] += 1
        return counts

    @staticmethod
    def _same(one: Hypothesis, other: Hypothesis, search: SearchStrategy, what: str) -> str:
        if one.tokens == other.tokens and one.finished == other.finished:
            off = max((abs(a - b) for a, b in zip(one.log_probs, other.log_probs, strict=True)), default=0.0)
            if off > NEAR_TIE * max(1.0, *map(abs, other.log_probs)):  # `score` has a stricter check
                raise Broken(f"{what}: log-probabilities of {one.tokens} are off by {off:.2g}")
            return "outputs the same"
        # If rounding changes a sampled token, the score can be anything.
        if search.draws or abs(one.score - other.score) <= NEAR_TIE:
            return "near ties of outputs"
        raise Broken(
            f"{what}: {one.tokens} with a score of {one.score:.6f}, and alone {other.tokens} with {other.score:.6f}"
        )


def draw(chance: random.Random, *, own: bool = False) -> list[list[int]]:
    """Six sentences of one to nine tokens; if `own`, with out-of-vocabulary words, numbered as they occur."""
    sentences = []
    for _ in range(6):
        tokens = [chance.choice(models.LETTERS) for _ in range(chance.randint(1, 9))]
        if own:
            kinds = [token for token in dict.fromkeys(tokens) if chance.random() < 0.3]
            tokens = [models.VOCABULARY + kinds.index(token) if token in kinds else token for token in tokens]
        sentences.append(tokens)
    return sentences


def sources(sentences: list[list[int]], batch: list[int], setting: Setting, chance: random.Random) -> Padded:
    """A batch; padding contains random tokens."""
    padded = pad([sentences[place] for place in batch])
    width = padded.ids.size(1) + setting.width
    garbage = torch.tensor([[chance.choice(models.LETTERS) for _ in range(width)] for _ in batch])
    garbage[:, : padded.ids.size(1)][padded.mask] = padded.ids[padded.mask]
    return Padded(garbage, padded.lengths)


def find(
    model: Seq2Seq,
    search: SearchStrategy,
    sentences: list[list[int]],
    setting: Setting,
    chance: random.Random,
) -> dict[int, Hypothesis]:
    """The best hypothesis of each sentence."""
    found: dict[int, Hypothesis] = {}
    with torch.inference_mode(), threads(setting.threads):
        for batch in setting.batches:
            source = sources(sentences, batch, setting, chance)
            memory, state = model.encode(source)
            stepper = ModelStepper(model, source, memory, with_weights=search.reads_weights)
            limits = torch.tensor([LIMIT - place % 3 for place in batch])
            constrained = "phrases" in inspect.signature(search.search).parameters
            more: dict[str, Any] = {"phrases": [[[4 + place % 3]] for place in batch]} if constrained else {}
            hypotheses = search.search(stepper, state, bos=BOS, eos=EOS, limits=limits, **more)
            for place, ones in zip(batch, hypotheses, strict=True):
                found.setdefault(place, ones[0])
    return found


def score(
    model: Seq2Seq,
    sentences: list[list[int]],
    forced: dict[int, list[int]],
    setting: Setting,
    chance: random.Random,
) -> dict[int, Tensor]:
    """Log-probabilities of given outputs, with teacher forcing."""
    found: dict[int, Tensor] = {}
    with torch.inference_mode(), threads(setting.threads):
        for batch in setting.batches:
            source = sources(sentences, batch, setting, chance)
            target = pad_targets([forced[place] for place in batch])
            inputs = Padded(target.ids[:, :-1], target.lengths - 1)
            log_probs = model.head.log_probs(model(source, inputs), source)
            gold = log_probs.gather(-1, target.ids[:, 1:].unsqueeze(-1)).squeeze(-1)
            for row, place in enumerate(batch):
                found.setdefault(place, gold[row, : int(inputs.lengths[row])])
    return found


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Set the number of torch threads temporarily."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
