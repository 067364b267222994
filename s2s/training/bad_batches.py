"""Skipped training batches: their examples are saved as small corpora, to be inspected and tried again."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from s2s.counted import counted
from s2s.durable import make_folder, write_durably
from s2s.training.datamodule import Example

KEPT = 5
"""Maximum number of files, the latest ones. Skipped steps leave the weights unchanged, so later ones show as much."""

NAMED = 3
"""Number of examples that a message names; the file has all."""

FOLDER = "bad_batches"


@dataclass
class Troubles:
    """What went wrong since training began, kept in checkpoints.

    Attributes:
        in_a_row: latest consecutive steps without an update.
        skipped_steps: steps without a finite loss and gradient.
        split_batches: batches that did not fit into memory as a whole.
        skipped_examples: examples that did not fit alone.
    """

    in_a_row: int = 0
    skipped_steps: int = 0
    split_batches: int = 0
    skipped_examples: int = 0

    def told(self, folder: Path) -> list[str]:
        """Lines for the end of a run.

        Args:
            folder: of the run.
        """
        lines = []
        if self.skipped_steps:
            kept = f"; see {folder / FOLDER}" if (folder / FOLDER).is_dir() else ""
            lines.append(
                f"{counted(self.skipped_steps, 'step')} skipped because loss or gradient was not finite{kept}"
            )
        if self.split_batches:
            lines.append(
                f"{counted(self.split_batches, 'batch', 'batches')} split for lack of memory; "
                "a lower data.batch_tokens or data.batch_sentences saves the time that splitting takes"
            )
        if self.skipped_examples:
            lines.append(
                f"{counted(self.skipped_examples, 'example')} left out, too large for the memory even alone; "
                "limit their length (for example data.max_source_tokens), or use a smaller model"
            )
        return lines


def named(examples: Sequence[Example]) -> str:
    """Some examples in a line of text: "train.tsv:3, train.tsv:17 and 62 more"; empty if there are none."""
    told = ", ".join(example.origin for example in examples[:NAMED])
    more = len(examples) - NAMED
    return f"{told} and {more:,} more" if more > 0 else told


def keep(run_folder: Path, step: int, examples: Sequence[Example]) -> Path:
    """Write examples as a corpus, one JSON object a line, and delete older ones beyond KEPT.

    Args:
        run_folder: of the run.
        step: that was skipped, from 1.
        examples: of its batches.

    Returns:
        The file.
    """
    folder = run_folder / FOLDER
    make_folder(folder)
    path = folder / f"step-{step}.jsonl"
    lines = [json.dumps({**one.record, "origin": one.origin}, ensure_ascii=False) for one in examples]
    write_durably(path, "".join(f"{line}\n" for line in lines))
    # A run that goes on from an earlier step comes to lower numbers again.
    others = [other for other in folder.glob("step-*.jsonl") if other != path]
    for old in sorted(others, key=lambda other: other.stat().st_mtime_ns)[: 1 - KEPT]:
        old.unlink()
    return path


def command(run_folder: Path, corpus: Path, bundle: Path | None) -> str:
    """The command that trains on such a corpus only.

    Args:
        run_folder: folder of the run that it comes from.
        corpus: the file that `keep` wrote.
        bundle: the model at that time; None: a new one.
    """
    words = ["s2s", "fit", "-c", f"{run_folder}/config.yaml", "--data.train", str(corpus)]
    words += ["--run_folder", f"{run_folder}-{corpus.stem}"]
    words += [] if bundle is None else ["--model.start_from", str(bundle)]
    return shlex.join(words)
