"""Comparison of s2s and its peers: one row per program, from the raw results alone."""

import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

from machine import middle

NOTHING = "–"
Raw = dict[str, Any]


class Program(NamedTuple):
    """A row.

    Attributes:
        name: as displayed.
        peer: key in peers.json; "" for s2s.
        precision: "bf16", "float32", or "" for a peer with only one.
        decodes: whether translations were measured in this precision.
    """

    name: str
    peer: str
    precision: str
    decodes: bool = True

    def training(self, raw: Raw, variant: str) -> Raw:
        """The training results of a peer."""
        entries: Raw = raw["peers"]["training"][self.peer]
        entry: Raw = entries[f"{variant}, {self.precision}" if self.precision else variant]
        return entry

    def decoding(self, raw: Raw, beam: int) -> list[Raw]:
        """The decoding results of a peer, by batch size."""
        if not self.decodes:
            raise KeyError(self.name)
        entries = raw["peers"]["decoding"][self.peer].values()
        return [entry for entry in entries if entry.get("beam") == beam]


PROGRAMS = [
    Program("s2s, bf16", "", "bf16"),
    Program("s2s, float32", "", "float32"),
    Program("JoeyNMT", "joeynmt", ""),
    Program("Eole", "eole", ""),
    Program("plain loop, bf16", "plain", "bf16"),
    Program("plain loop, float32", "plain", "float32", decodes=False),
]


class Failed(Exception):
    """A peer failed; the message is the last line of its output."""


def checked(entry: Raw) -> Raw:
    """The entry; raises `Failed` if it records a failure."""
    if "failed" in entry:
        raise Failed(entry["failed"])
    return entry


def training(raw: Raw, program: Program, variant: str) -> str:
    """Target tokens per second."""
    if program.peer:
        entry = checked(program.training(raw, variant))
        return f"{entry['target_tokens_per_second']['median']:,.0f}"
    samples = raw["training"]["speed"][f"{variant}, {program.precision}"]
    return f"{middle(samples, lambda one: one['target_tokens'] / one['seconds']):,.0f}"


def memory(raw: Raw, program: Program, variant: str) -> str:
    """Peak memory of training in MiB."""
    if program.peer:
        return f"{checked(program.training(raw, variant))['peak_memory_mib']:,.0f}"
    return f"{raw['training']['memory'][f'{variant}, {program.precision}']:,.0f}"


def translation(raw: Raw, program: Program, search: str) -> str:
    """Sentences per second at the best batch size, and the BLEU there."""
    if program.peer:
        entries = [checked(entry) for entry in program.decoding(raw, {"greedy": 1, "beam 5": 5}[search])]
        best = max(
            (entry for entry in entries if entry["batch"] > 1),
            key=lambda entry: entry["sentences_per_second"]["median"],
            default=None,
        )
        if best is None:
            raise KeyError(search)
        speed, score = best["sentences_per_second"]["median"], best["BLEU"]["value"]
        return f"{speed:,.0f} (batch {best['batch']}, {score:.1f} BLEU)"
    found = raw["decoding"]["speed"][f"{search}, {program.precision}"]
    speed = middle(found["samples"], lambda one: one["sentences"] / one["seconds"])
    return f"{speed:,.0f} ({found['BLEU']['cased']['value']:.1f} BLEU)"


def alone(raw: Raw, program: Program) -> str:
    """Milliseconds per single sentence, greedy: median and 95th percentile."""
    if program.peer:
        entry = checked(next(entry for entry in program.decoding(raw, 1) if entry["batch"] == 1))
        return f"{entry['latency_ms']['median']:.0f} ({entry['latency_ms']['percentile_95']:.0f})"
    samples = raw["decoding"]["latency"][f"greedy, {program.precision}"]["samples"]
    seconds = sorted(second for one in samples for second in one["seconds"])
    return f"{1000 * statistics.median(seconds):.0f} ({1000 * seconds[int(0.95 * len(seconds))]:.0f})"


def cold_start(raw: Raw, program: Program) -> str:
    """Seconds from the command to the first translation."""
    if program.peer:
        if not program.decodes:
            raise KeyError(program.name)
        entry = checked(raw["peers"]["decoding"][program.peer]["cold start"])
        return f"{entry['seconds']['median']:.1f}"
    if program.precision != "float32":  # the command's default
        raise KeyError(program.name)
    return f"{middle(raw['start']['translation'], lambda one: one['translation_seconds']):.1f}"


COLUMNS: dict[str, Callable[[Raw, Program], str]] = {
    "training with input feeding": lambda raw, program: training(raw, program, "feeding"),
    "training": lambda raw, program: training(raw, program, "no feeding"),
    "MiB": lambda raw, program: memory(raw, program, "no feeding"),
    "greedy": lambda raw, program: translation(raw, program, "greedy"),
    "beam 5": lambda raw, program: translation(raw, program, "beam 5"),
    "one sentence": alone,
    "cold start": cold_start,
}


def comparison(raw: Raw) -> str:
    """One Markdown table of all programs."""
    lines = [f"| | {' | '.join(COLUMNS)} |", "|---" * (1 + len(COLUMNS)) + "|"]
    for program in PROGRAMS:
        cells = []
        for column in COLUMNS.values():
            try:
                cells.append(column(raw, program))
            except Failed as words:
                cells.append(str(words))
            except (KeyError, StopIteration):  # not measured
                cells.append(NOTHING)
        lines.append(f"| {program.name} | {' | '.join(cells)} |")
    return "\n".join(lines)
