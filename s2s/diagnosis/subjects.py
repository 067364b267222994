"""The cells to examine: any in the catalogue, each with its own options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from s2s.errors import ConfigError
from s2s.nn.cell import RecurrentCell
from s2s.nn.unroll import unroll
from s2s.registry import catalogue
from s2s.registry.parts import Spec, factory, options, read_spec


class Unfit(Exception):
    """Why a cell cannot take part in a measurement."""


class Subject(NamedTuple):
    """A cell by its name, with options."""

    name: str
    options: dict[str, Any]

    @property
    def label(self) -> str:
        """What tables and pictures call it: the name, and the options that are not as they come."""
        return " ".join([self.name, *(f"{key}={value}" for key, value in self.options.items())])

    def has(self, option: str) -> bool:
        """Whether the cell has an option of that name."""
        return option in options(catalogue().load("cell", self.name))

    def with_option(self, option: str, value: Any) -> Subject:
        """The same cell, one option set."""
        return Subject(self.name, {**self.options, option: value})

    def build(self, input_size: int, hidden_size: int, seed: int) -> RecurrentCell:
        """The cell; equal seeds give equal weights."""
        torch.manual_seed(seed)
        cell: RecurrentCell = factory("cell", {"class_path": self.name, "init_args": self.options})(
            input_size, hidden_size
        )
        return cell


def subjects(cells: Sequence[Spec]) -> list[Subject]:
    """The subjects that names or specs mean, in their order.

    Raises:
        ConfigError: no cell, an unknown name or option, or one given twice.
        PluginError: a cell that cannot be imported.
    """
    if not cells:
        raise ConfigError("no cell is named. See: s2s plugins list --kind cell")
    found: list[Subject] = []
    for spec in cells:
        factory("cell", spec)  # names are held against the catalogue before minutes are spent
        subject = Subject(*read_spec("cell", spec))
        if subject in found:
            raise ConfigError(f"cell {subject.label!r} is given twice; cells are compared with each other")
        found.append(subject)
    return found


def try_out(subject: Subject, input_size: int, hidden_size: int) -> None:
    """Build the cell and run it over three steps, forward and backward, in both types that are needed.

    Raises:
        Unfit: it cannot be built so, or fails.
    """
    sizes = f"input_size {input_size}, hidden_size {hidden_size}"
    try:
        cell = subject.build(input_size, hidden_size, seed=0)
    except Exception as error:  # whatever it is, it is the plugin's
        cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
        raise Unfit(f"it cannot be built with {sizes}: {_told(cause)}") from error
    for dtype in (torch.float32, torch.float64):
        try:
            x = torch.randn(2, 3, input_size, dtype=dtype, requires_grad=True)
            outputs, _ = unroll(cell.to(dtype), x, torch.tensor([3, 3]))
            outputs.sum().backward()
        except Exception as error:
            raise Unfit(f"it cannot run with {sizes} in {dtype}: {_told(error)}") from error


def scale_recurrence(cell: RecurrentCell, factor: float) -> None:
    """Scale the recurrent weight matrices: those that `project` does not use.

    If such a matrix is orthogonal, as it is initially in most cells, its spectral radius is then `factor`.

    Raises:
        Unfit: there is no such matrix, or it cannot be told from the input's.
    """
    parameters = list(cell.parameters())
    dtype = parameters[0].dtype if parameters else torch.float32
    x = torch.zeros(1, cell.input_size, dtype=dtype, requires_grad=True)
    projected = cell.project(x)
    if projected is x:
        raise Unfit("it owns no projection, so its recurrent weights cannot be told from those of the input")
    used: tuple[Tensor | None, ...] = torch.autograd.grad(
        projected.sum(), [x, *parameters], allow_unused=True
    )[1:]
    matrices = [
        weight for weight, by in zip(parameters, used, strict=True) if by is None and weight.dim() > 1
    ]
    if not matrices:
        raise Unfit("it has no recurrent matrix")
    for weight in matrices:
        weight.data.mul_(factor)


def _told(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
