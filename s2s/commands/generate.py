"""`s2s generate`: texts that a language model writes."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from s2s.commands.command_line import CommandLine
from s2s.commands.threads import WITHIN, use_threads
from s2s.inference.batch_sizes import TEXT_TOKENS
from s2s.inference.options import Options, flags
from s2s.search.defaults import SEED

if TYPE_CHECKING:
    from s2s.commands.output import Output
    from s2s.inference.generator import Generator

SUMMARY = "write texts with a language model, from their begin or from a prompt"

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
"""Of a translation, that texts without a source have too."""

_OTHERWISE = {
    "search": "name of a search strategy; see: s2s plugins list --kind search (default: Sampling, or one that takes "
    "the options that are given)",
    "beam": "size of the beam (Sutskever et al. 2014); 1 is greedy (default: no beam, texts are drawn)",
    "seed": f"what is drawn is a function of it, of the prompt and of the text's number (default: {SEED})",
    "max_tokens": f"most tokens of a text, those of the prompt not counted (default: {TEXT_TOKENS})",
    "min_tokens": f"fewest tokens of a text, those of the prompt not counted (default: {Options.min_tokens})",
}
"""What the help says of those that mean something else here."""


def main(argv: list[str]) -> int:
    """Run `s2s generate BUNDLE`."""
    command = parser().parse_args(argv)
    options: dict[str, Any] = {name: getattr(command, name) for name in _OPTIONS}
    options = {name: value for name, value in options.items() if value is not None}

    from s2s.commands.output import Output
    from s2s.inference.generator import Generator

    use_threads(command.threads)
    generator = Generator.load(command.bundle, device=command.device)
    with Output(command.output) as output:
        drawn = generator.draws(**options)
        if command.jsonl or command.output is not None or not drawn and command.count > 1:
            found = generator.generate(command.prompt, count=command.count, results=True, **options)
            for one in found:
                row = {name: value for name, value in asdict(one).items()}
                output.write(
                    f"{json.dumps(row, ensure_ascii=False)}\n"
                    if command.jsonl
                    else f"{_one_line(one.text)}\n"
                )
        else:
            _stream(generator, command.prompt, command.count, options, output)
    return 0


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
    """The command line; what a search can be asked for is as for `s2s translate`."""
    parser = CommandLine(
        prog="s2s generate",
        description="Write texts with a language model: a line each, word after word as they come.",
        epilog="Each option has the same name in Python: --top-k is top_k of s2s.Generator.generate.",
    )
    add = parser.add_argument
    add("bundle", metavar="BUNDLE", help="folder of the model, as `s2s fit --task LanguageModel` writes it")
    add("--prompt", default="", metavar="TEXT", help="what each text begins with (default: nothing)")
    add("--count", type=int, default=1, metavar="N", help="how many texts (default: 1)")
    add("--jsonl", action="store_true", help="an object in a line: text, tokens, their log-probabilities")
    add("--output", metavar="FILE", help="write here when all is done (default: standard output)")
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
    add("--threads", type=int, metavar="N", help=f"{WITHIN} (default: torch's choice)")
    return parser
