"""Additive attentions that depend on the attention weights of earlier steps, and so must run step by step."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from s2s.errors import ConfigError
from s2s.nn import Attended, ScoredMemory, State, check_size, holds
from s2s_plugins.attention.bahdanau import Bahdanau


class HistoryAttention(Bahdanau):
    """``score_j = v . tanh(W query + U output_j + b + history_j)``; the state summarizes the weights so far.

    Args:
        query_size: width of the query.
        memory_size: width of the encoder outputs.
        attention_size: width of the hidden layer; query_size if none is given.
    """

    sequential = True

    @abstractmethod
    def history(self, past: Tensor) -> Tensor:
        """The term that the state adds to each key: [batch, source] to [batch, source, attention]."""

    @abstractmethod
    def remember(self, past: Tensor, weights: Tensor) -> Tensor:
        """The next state, given the weights of this step, [batch, source]."""

    def initial_state(self, memory: ScoredMemory) -> State:
        """One leaf [batch, source] of zeros: nothing has been attended to."""
        dtype = torch.promote_types(memory.values.dtype, torch.float32)
        return (memory.values.new_zeros(memory.mask.shape, dtype=dtype),)

    def map_values(self, memory: Any, linear: Callable[[Tensor], Tensor]) -> Any | None:
        """As in every scored attention, since `attend` below changes only the keys."""
        return super().map_values(memory, linear)

    def informed(self, keys: Tensor, past: Tensor) -> Tensor:
        """Add the history to the keys.

        Args:
            keys: [sentences, 1, source, attention].
            past: the state, [sentences * beams, source].

        Returns:
            [sentences, beams, source, attention].
        """
        informed: Tensor = keys + self.history(past).unflatten(0, (keys.size(0), -1))
        return informed

    def attend(self, query: Tensor, memory: ScoredMemory, state: State) -> Attended:
        """One step, query [batch, hidden]; all steps, [batch, time, hidden], while it is not `sequential`."""
        if not self.sequential:
            return super().attend(query, memory, state)
        (past,) = state
        keys = self.informed(memory.keys.unsqueeze(1), past).flatten(0, 1)
        context, weights, _ = super().attend(query, memory._replace(keys=keys), state)
        return Attended(context, weights, (self.remember(past, weights.to(past.dtype)),))

    def attend_beams(self, query: Tensor, memory: ScoredMemory, state: State) -> Attended:
        """One step of each beam; values and mask are stored once per sentence."""
        if not (self.sequential and holds(self, "attend_beams", "masked_scores")):
            return super().attend_beams(query, memory, state)
        (past,) = state
        keys = self.informed(memory.keys.unsqueeze(1), past)
        scores = self.score(query.unsqueeze(1), keys.flatten(0, 1)).unflatten(0, keys.shape[:2]).squeeze(2)
        scores = scores.masked_fill(~memory.mask.unsqueeze(1), -torch.inf)
        weights = self.normalize(scores.to(torch.promote_types(scores.dtype, torch.float32)))
        context = (weights.to(memory.values.dtype) @ memory.values).flatten(0, 1)
        weights = weights.flatten(0, 1)
        return Attended(context, weights, (self.remember(past, weights.to(past.dtype)),))


class Location(HistoryAttention):
    """Location-aware attention (Chorowski et al. 2015, eq. 8-9): it reads the weights of the previous step.

    ::

        f = F * previous_weights                                    a convolution along the source, eq. 8
        score_j = v . tanh(W query + V output_j + U f_j + b)        eq. 9

    Args:
        query_size: width of the query.
        memory_size: width of the encoder outputs.
        attention_size: width of the hidden layer; query_size if none is given.
        filters: k, number of filters in F.
        kernel_width: r, source positions that a filter covers, an odd number. The paper's 201 is for speech at a
            hundred frames per second.

    Raises:
        ConfigError: the kernel width is even.
    """

    def __init__(
        self,
        query_size: int,
        memory_size: int,
        *,
        attention_size: int | None = None,
        filters: int = 10,
        kernel_width: int = 7,
    ) -> None:
        super().__init__(query_size, memory_size, attention_size=attention_size)
        if check_size("kernel_width", kernel_width) % 2 == 0:
            raise ConfigError(
                f"kernel_width {kernel_width} has no middle; choose an odd one, as {kernel_width + 1}"
            )
        self.filters = nn.Conv1d(
            1, check_size("filters", filters), kernel_width, padding=kernel_width // 2, bias=False
        )
        self.filter_layer = nn.Linear(filters, self.vector.numel(), bias=False)

    def history(self, past: Tensor) -> Tensor:
        """``U f``."""
        history: Tensor = self.filter_layer(self.filters(past.unsqueeze(1)).transpose(1, 2))
        return history

    def remember(self, past: Tensor, weights: Tensor) -> Tensor:
        """The last weights."""
        return weights


class Coverage(HistoryAttention):
    """Attention with coverage (See et al. 2017, eq. 10-11; after Tu et al. 2016): it reads the sums of past weights.

    ::

        c = sum of the weights of all previous steps                      eq. 10
        score_j = v . tanh(W query + U output_j + w_c c_j + b)            eq. 11

    The coverage loss of the paper (eq. 12-13) is a training option: `model.coverage_loss`.

    Args:
        query_size: width of the query.
        memory_size: width of the encoder outputs.
        attention_size: width of the hidden layer; query_size if none is given.
        after_steps: optimizer steps before coverage is used; until then this is Bahdanau attention, which need not run
            step by step and so trains faster. See et al. add coverage once the model is trained.

    Raises:
        ConfigError: a negative number of steps.
    """

    covers: Tensor

    def __init__(
        self, query_size: int, memory_size: int, *, attention_size: int | None = None, after_steps: int = 0
    ) -> None:
        super().__init__(query_size, memory_size, attention_size=attention_size)
        if after_steps < 0:
            raise ConfigError(f"after_steps {after_steps} is impossible; it must be 0 or more")
        self.coverage_layer = nn.Linear(1, self.vector.numel(), bias=False)
        nn.init.xavier_uniform_(
            self.coverage_layer.weight
        )  # for one input, torch's default would drown out the keys
        self.after_steps = after_steps
        self.sequential = not after_steps
        if after_steps:
            self.register_buffer(
                "covers", torch.zeros((), dtype=torch.bool)
            )  # saved in checkpoints and bundles
            self.register_load_state_dict_post_hook(_read_covers)  # type: ignore[no-untyped-call]

    def at_step(self, step: int) -> None:
        """Use coverage from `after_steps` on, permanently: fine-tuning restarts the count of steps."""
        if not self.sequential and step >= self.after_steps:
            self.sequential = True
            self.covers.fill_(True)

    def unused_parameters(self) -> list[nn.Parameter]:
        """See `s2s.nn.BeginsLate`: ``w_c``, until coverage is used."""
        return [] if self.sequential else list(self.coverage_layer.parameters())

    def informed(self, keys: Tensor, past: Tensor) -> Tensor:
        """``U output + b + w_c c``, without materializing ``w_c c``."""
        if not holds(self, "informed", "history"):
            return super().informed(keys, past)
        covered = past.to(keys.dtype).view(keys.size(0), -1, past.size(1), 1)
        return torch.addcmul(keys, covered, self.coverage_layer.weight.squeeze(1).to(keys.dtype))

    def history(self, past: Tensor) -> Tensor:
        """``w_c c``."""
        history: Tensor = self.coverage_layer(past.unsqueeze(-1))
        return history

    def remember(self, past: Tensor, weights: Tensor) -> Tensor:
        """The sum of the weights of each position so far."""
        return past + weights


def _read_covers(attention: Coverage, _: Any) -> None:
    attention.sequential = bool(attention.covers)
