"""NaN and infinity at random steps and places of a training, compared to a training that skips these steps."""

import json
import math
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor

from s2s.nn import Encoded, map_state
from s2s.training.bad_batches import KEPT
from soak.attack import Attack, Broken, Outcome
from soak.short_training import BATCHES, differences, last_checkpoint, train, write_pairs

BAD = (math.nan, math.inf, -math.inf)
PLACES = (
    "NaN in what the encoder says",
    "bad number times loss",
    "bad number beside loss",
    "bad number in a gradient",
)


class Injection(Callback):
    """Puts a bad number into one batch of each of the given steps.

    Args:
        steps: the accumulated batch and the place to corrupt, by step number from 0.
        chance: chooses the number, and the parameter.
    """

    def __init__(self, steps: dict[int, tuple[int, str]], chance: random.Random) -> None:
        self.steps = steps
        self.chance = chance
        self.undo: list[Callable[[], None]] = []
        self.lines: dict[int, list[list[int]]] = {}

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        step, within = trainer.global_step, batch_idx % trainer.accumulate_grad_batches
        self.lines.setdefault(step, []).append(batch.lines.tolist())
        if step in self.steps and self.steps[step][0] == within:
            self._spoil(pl_module, self.steps[step][1])

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        while self.undo:
            self.undo.pop()()

    def _spoil(self, module: Any, place: str) -> None:
        number = self.chance.choice(BAD)

        def spoilt(value: Tensor, by: float) -> Tensor:
            value = value.clone()
            value.view(-1)[0] = by
            return value

        if place == "NaN in what the encoder says":

            def spoil_encoded(encoder: Any, given: Any, encoded: Encoded) -> Encoded:
                state = map_state(lambda leaf: spoilt(leaf, math.nan), encoded.state)
                return encoded._replace(outputs=spoilt(encoded.outputs, math.nan), state=state)

            self.undo.append(module.model.encoder.register_forward_hook(spoil_encoded).remove)
        elif place == "bad number in a gradient":
            parameter = self.chance.choice(list(module.parameters()))
            self.undo.append(parameter.register_hook(lambda gradient: spoilt(gradient, number)).remove)
        else:
            batch_loss = module.batch_loss

            def bad_loss(batch: Any) -> Any:
                loss = batch_loss(batch)
                total = loss.total * number if "times" in place else loss.total + number
                return loss._replace(total=total)

            module.batch_loss = bad_loss
            self.undo.append(lambda: delattr(module, "batch_loss"))


class LeftOut(Callback):
    """Drops the gradient of given steps, and their part in the average, without knowing what is bad in them."""

    def __init__(self, steps: dict[int, Any]) -> None:
        self.steps = steps

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        if trainer.global_step in self.steps:
            pl_module.zero_grad()
            pl_module.step = []
            pl_module.on_before_optimizer_step = lambda optimizer: None  # until the end of the batch

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        if vars(pl_module).pop("on_before_optimizer_step", None) is None:
            return
        for callback in trainer.callbacks:
            if isinstance(
                callback, WeightAveraging
            ):  # it is called after this one, and would count the step as done
                callback._latest_update_step = trainer.global_step


class BadNumbers(Attack):
    """Steps with NaN or infinity somewhere."""

    name = "bad-numbers"
    promise = "a step with NaN or infinity is skipped, counted and named, and training is that without it, bit by bit"
    units = "steps"
    attempts = 1000
    short = 2

    def prepare(self, folder: Path) -> None:
        """Write the corpus."""
        self.shared = folder
        write_pairs(folder)

    def attempt(self, number: int, folder: Path) -> Outcome:
        """Train with some bad steps, and compare to a training without these steps."""
        chance = random.Random(number)
        accumulated = chance.choice((1, 3))
        total = 2 * math.ceil(BATCHES / accumulated)
        options: dict[str, Any] = {
            "trainer.accumulate_grad_batches": accumulated,
            "trainer.gradient_clip_val": chance.choice((0.0, 0.1, 1.0)),
            "trainer.gradient_clip_algorithm": chance.choice(("norm", "value")),
            "trainer.precision": chance.choice(("32-true", "bf16-mixed")),
            "model.average_decay": chance.choice((0.0, 0.9)),
            "seed_everything": number + 1,
        }
        steps = {
            step: (chance.randrange(min(accumulated, 2)), chance.choice(PLACES))
            for step in chance.sample(range(total), chance.randint(1, 4))
        }
        injection = Injection(steps, chance)
        module: Any = train(self.shared, folder / "bad", [injection], **options).module
        train(self.shared, folder / "twin", [LeftOut(steps)], **options)
        found, expected = last_checkpoint(folder / "bad"), last_checkpoint(folder / "twin")
        for part in ("state_dict", "optimizer_states", "lr_schedulers", "global_step"):
            if differing := differences(found[part], expected[part], part):
                raise Broken(f"{options}, bad {steps}: another {', '.join(differing[:3])}")
        if module.troubles.skipped_steps != len(steps):
            raise Broken(f"{options}, bad {steps}: {module.troubles.skipped_steps} steps were skipped")
        for step in sorted(steps)[-KEPT:]:
            self._check_kept(folder / "bad", step, steps[step], injection.lines[step], module)
        return Outcome(Counter(place for _, place in steps.values()))

    def _check_kept(
        self, run: Path, step: int, spoilt: tuple[int, str], lines: list[list[int]], module: Any
    ) -> None:
        kept = run / "bad_batches" / f"step-{step + 1}.jsonl"
        records = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]
        within, place = spoilt
        bad = [line for part in lines for line in part] if "gradient" in place else lines[within]
        store = module.data.store("train")
        if [record["origin"] for record in records] != [store.origin(line) for line in bad]:
            raise Broken(f"step {step + 1} ({place}): {kept.name} holds other examples than its bad batch")
