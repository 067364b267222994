"""Two processes share an epoch: together they see all of it, and go on where they, or one alone, stopped."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from tests.unit.training import two_processes
from tests.unit.training.two_processes import fit


def on_two(folder: Path) -> list[dict[str, Any]]:
    command = [sys.executable, two_processes.__file__, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in (0, 1)]


def test_two_processes(tmp_path: Path) -> None:
    words = ["a", "b", "c", "d", "e", "f", "g", "h"]
    lines = [f"{' '.join(words[: 1 + i % 8])}\t{' '.join(words[: 1 + i % 5])}\n" for i in range(75)]
    (tmp_path / "train.tsv").write_text("".join(lines), encoding="utf-8")
    (tmp_path / "one.tsv").write_text("a b\tc\n", encoding="utf-8")
    alone = fit(tmp_path, 1)
    told = on_two(tmp_path)
    ranks = [rank["whole"] for rank in told]
    assert ranks[0]["lists"] == ranks[1]["lists"]
    for epoch, batches in enumerate(ranks[0]["lists"]):
        own = [[lines for e, lines in rank["seen"] if e == epoch] for rank in ranks]
        assert len(own[0]) == len(own[1])
        together = [batch for pair in zip(*own, strict=True) for batch in pair]
        assert together[: len(batches)] == batches
        assert together[len(batches) :] == batches[: len(together) - len(batches)]
    # each line is validated once, by one of the two, after each epoch
    assert sorted(ranks[0]["validated"] + ranks[1]["validated"]) == sorted([*range(75)] * 2)

    assert [rank["one sentence"]["validated"] for rank in told] == [[0, 0], []]

    for rank in (0, 1):
        assert told[rank]["resumed"]["seen"] == ranks[rank]["seen"][5:]

    # SIGTERM to the first alone: both leave together, with what they have in common saved
    for where in ("training", "validation"):
        saved = torch.load(tmp_path / where / "last.ckpt", weights_only=True)
        one, other = (told[rank][f"ended in {where}"] for rank in (0, 1))
        assert one["status"] == other["status"] == 143
        assert len(one["seen"]) == len(other["seen"]) == saved["global_step"] < len(ranks[0]["seen"])
        in_validation = where == "validation"
        # The first decides within a second, at the latest at the end of the epoch, after which a validation is due.
        at_the_end = saved["global_step"] == -(-len(ranks[0]["lists"][0]) // 2)
        due = in_validation or at_the_end
        assert saved["loops"]["fit_loop"]["state_dict"]["validation_due"] == due
        batches_validated = (len(ranks[0]["validated"]) // 2) * in_validation
        assert len(one["validated"]) < batches_validated or not in_validation
        assert bool(one["validated"]) == bool(other["validated"]) == in_validation

    # One process has seen five batches, then two go on: the rest of the list is theirs in turn, and so is the next.
    first, second = ranks[0]["lists"]
    for rank in (0, 1):
        each = -(-len(first[5:]) // 2)
        rest = [[0, lines] for lines in [*first[5:], *first][rank::2][:each]]
        assert told[rank]["resumed from one"]["seen"] == rest + [
            seen for seen in ranks[rank]["seen"] if seen[0] == 1
        ]
    # Two have seen five each, then one goes on.
    assert fit(tmp_path, 1, resumed_from=2)["seen"] == alone["seen"][10:]
    assert alone["seen"] == [[0, lines] for lines in first] + [[1, lines] for lines in second]
