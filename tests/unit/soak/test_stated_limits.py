"""docs/reliability.md states the limits that the code has."""

from s2s.evaluation.lines import MOST_TEXT
from s2s.inference.scoring import MOST_PAIRS_OF_TOKENS, MOST_TOKENS
from s2s.series.table import MOST_BYTES, MOST_ROWS
from s2s.text.annotated import LONGEST_SENTENCE
from s2s.text.corpus import LINE_COST, LONGEST_LINE
from soak.table import PAGE


def test_limits():
    section = (
        PAGE.read_text(encoding="utf-8").split("\n## Text and files from anywhere\n")[1].split("\n## ")[0]
    )
    rows = [line for line in section.splitlines() if line.startswith("| a ")]
    stated = {row.split("|")[1].strip().split(" (")[0]: row.split("|")[2].strip() for row in rows}
    kept = f", each line counted with {LINE_COST} bytes more"
    assert stated == {
        "a line": f"{LONGEST_LINE >> 20} MiB",
        "a sentence of CoNLL-U or columns": f"{LONGEST_SENTENCE >> 20} MiB{kept}",
        "a file that is one document": f"{LONGEST_LINE >> 20} MiB",
        "a file of `s2s evaluate`": f"{MOST_TEXT >> 20} MiB{kept}",
        "a series in CSV": f"{MOST_BYTES >> 20} MiB unpacked, {MOST_ROWS:,} rows",
        "a line of `s2s score`, or its translation": (
            f"{MOST_TOKENS:,} tokens, and 2²⁸ pairs of source and target tokens"
        ),
    }
    assert MOST_PAIRS_OF_TOKENS == 2**28
