"""`s2s generate`: generates texts with a language model."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from s2s.commands.bundles import expect_bundle
from s2s.commands.command_line import CommandLine
from s2s.commands.threads import WITHIN, use_threads
from s2s.errors import ConfigError
from s2s.inference.batch_sizes import TEXT_TOKENS
from s2s.inference.options import Options, flags
from s2s.search.defaults import SEED

if TYPE_CHECKING:
    from s2s.commands.output import Output
    from s2s.inference.generator import Generator

SUMMARY = "generate texts with a language model, from scratch or from a prompt"

_OPTIONS = (
    "search",
    "beam",
    "normalization",
    "alpha",
    "temperature",
    "top_k",
    "top_p",
    "seed",
    "min_tokens",
    "max_tokens",
    "no_repeat_ngram",
    "banned",
)
"""Options of a translation that also apply to texts without a source."""

_OTHERWISE = {
    "search": "search strategy, optionally with its own options; see: s2s plugins list --kind search (default: "
    "Sampling, or one that supports the given options)",
    "beam": "beam size (Sutskever et al. 2014); 1 is greedy search (default: no beam, texts are sampled)",
    "seed": f"random seed; samples depend only on it, the prompt and the text's number (default: {SEED})",
    "max_tokens": f"maximum tokens of a text, without those of the prompt (default: {TEXT_TOKENS})",
    "min_tokens": f"minimum tokens of a text, without those of the prompt (default: {Options.min_tokens})",
}
"""Help of the options that have another meaning here."""


def main(argv: list[str]) -> int:
    """Run `s2s generate BUNDLE`."""
    command = parser().parse_args(argv)
    options: dict[str, Any] = {name: getattr(command, name) for name in _OPTIONS}
    options = {name: value for name, value in options.items() if value is not None}
    if command.count < 1:
        raise ConfigError(f"--count is {command.count}; it must be 1 or more")

    from s2s.commands.output import Output

    prompts = _Prompts(command.prompt or [""], command.prompts)
    expect_bundle(command.bundle)

    from s2s.inference.generator import Generator

    use_threads(command.threads)
    generator = Generator.load(command.bundle, device=command.device)
    with Output(command.output) as output:
        drawn = generator.draws(**options)
        waited_for = command.jsonl or command.output is not None or not drawn and command.count > 1
        if prompts.alone is not None and not waited_for:
            _stream(generator, prompts.alone, command.count, options, output)
            return 0
        for some in prompts.windows():
            for one in generator.generate(some, count=command.count, results=True, **options):
                row = json.dumps(asdict(one), ensure_ascii=False) if command.jsonl else _one_line(one.text)
                output.write(f"{row}\n")
            output.flush()
    for note in prompts.notes:
        print(f"s2s: {note}", file=sys.stderr)
    return 0


class _Prompts:
    """The prompts: what texts begin with.

    Args:
        given: those of the command line.
        file: a file with one prompt per line; None: use those of the command line.

    Attributes:
        notes: about the file, once it has been read.

    Raises:
        DataError: there is no such file.
    """

    def __init__(self, given: list[str], file: str | None) -> None:
        from s2s.inference.incoming import Incoming

        self._given = given
        self._incoming = None if file is None else Incoming([file])
        self.notes: list[str] = []

    @property
    def alone(self) -> str | None:
        """The only prompt, if there is only one on the command line."""
        return self._given[0] if self._incoming is None and len(self._given) == 1 else None

    def windows(self) -> Iterator[list[str]]:
        """A few prompts at a time, in order."""
        from s2s.inference.generator import ROWS
        from s2s.inference.incoming import Decoder

        if self._incoming is None:
            yield self._given
            return
        decode = Decoder()
        for window in self._incoming.windows():
            for start in range(0, len(window), ROWS):
                yield [decode(line) for line in window[start : start + ROWS]]
        self.notes += [*self._incoming.report.notes, *decode.notes()]


def _stream(generator: Generator, prompt: str, count: int, options: dict[str, Any], output: Output) -> None:
    for number in range(count):
        with closing(generator.stream(prompt, number=number, **options)) as words:
            for word in words:
                output.write(_one_line(word))
                output.flush()
        output.write("\n")
        output.flush()


def _one_line(text: str) -> str:
    return text.replace("\n", " ")


def parser() -> CommandLine:
    """The command line; search options are those of `s2s translate`."""
    parser = CommandLine(
        prog="s2s generate",
        description="Generate texts with a language model, one per line, printed word by word.",
        epilog="Each option has the same name in Python: --top-k is top_k of s2s.Generator.generate.",
    )
    add = parser.add_argument
    add("bundle", metavar="BUNDLE", help="folder of the model, as `s2s fit --task LanguageModel` writes it")
    begins = parser.add_mutually_exclusive_group()
    begins.add_argument(
        "--prompt",
        action="append",
        metavar="TEXT",
        help="beginning of the text (default: empty); may be given more than once",
    )
    begins.add_argument(
        "--prompts",
        metavar="FILE",
        help="file of prompts, one per line, plain or gzip; - is standard input",
    )
    add("--count", type=int, default=1, metavar="N", help="number of texts per prompt (default: 1)")
    add("--jsonl", action="store_true", help="print a JSON object per text: text, tokens, log-probabilities")
    add("--output", metavar="FILE", help="write the result here at the end (default: standard output)")
    known = {flag.name: flag for flag in flags()}
    for name in _OPTIONS:
        flag = known[name]
        about = _OTHERWISE.get(name, flag.about).replace("%", "%%")
        value: dict[str, Any] = {
            "type": flag.kind,
            "metavar": flag.metavar,
            "choices": flag.choices or None,
        }
        if flag.kind is tuple:
            value = {"action": "append", "metavar": flag.metavar}
        add(*flag.flags, dest=name, default=None, help=about, **value)
    add("--device", default="cpu", help="such as cpu or cuda (default: cpu)")
    add("--threads", type=int, metavar="N", help=f"{WITHIN} (default: all cores)")
    return parser
