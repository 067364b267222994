"""Input and output of the demos."""

import shlex
from collections.abc import Mapping, Sequence

SHOWN = 10


def read_pairs(path: str) -> tuple[list[str], list[str]]:
    """Sources and targets of a corpus, such as `embedded:translation/test.tsv`."""
    from s2s.text.corpus import LineReport, open_corpus

    pairs = list(open_corpus(path).pairs(LineReport()))
    return [pair.source for pair in pairs], [pair.target for pair in pairs]


def echo(text: str) -> str:
    """The beginning of a command that reads a text from standard input, whatever characters the text has."""
    return f"echo {shlex.quote(text)}"


def print_examples(columns: Mapping[str, Sequence[str]]) -> None:
    """Some of many, each as a few lines.

    Args:
        columns: the texts of all examples, by column name.
    """
    wide = max(map(len, columns))
    number = len(next(iter(columns.values())))
    step = max(1, number // SHOWN)
    print()
    for place in range(0, step * SHOWN, step)[:number]:
        for name, texts in columns.items():
            print(f"  {name:<{wide}}  {texts[place]}")
        print()
