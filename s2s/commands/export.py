"""`s2s export`: writes a bundle for runtimes without torch."""

from __future__ import annotations

import sys
from pathlib import Path

from s2s.commands.bundles import expect_bundle
from s2s.commands.command_line import CommandLine

SUMMARY = "export a bundle to ONNX, for translation without torch"

_RUNTIMES = ("onnx",)


def main(argv: list[str]) -> int:
    """Run `s2s export BUNDLE`."""
    parser = CommandLine(
        prog="s2s export",
        description="Export a bundle's model as ONNX graphs to a folder that `s2s translate` reads like a bundle, but "
        "without torch: numpy and onnxruntime are enough.",
        epilog="Parts from plugins are exported like any other; `s2s plugins check` tells whether they can be.",
    )
    add = parser.add_argument
    add("bundle", metavar="BUNDLE", help="folder of the model, as `s2s fit` writes it")
    add("--to", choices=_RUNTIMES, default="onnx", help="target runtime (default: onnx)")
    add(
        "--int8",
        action="store_true",
        help="8-bit weights: about a third of the size, often faster, slightly less accurate; see --compare",
    )
    add(
        "--output",
        metavar="DIR",
        help="folder of the export; an existing export is replaced (default: next to the bundle, its name with -onnx "
        "or -onnx-int8 appended)",
    )
    add(
        "--compare",
        metavar="FILE",
        help="text with translations, pairs.tsv, pairs.jsonl or SOURCE,TARGET: translate it with bundle and export, "
        "and print the BLEU of each and how many outputs are identical",
    )
    options = parser.parse_args(argv)
    expect_bundle(options.bundle)
    bundle = Path(options.bundle)
    suffix = f"-{options.to}{'-int8' if options.int8 else ''}"
    folder = Path(options.output) if options.output else bundle.with_name(f"{bundle.resolve().name}{suffix}")

    try:
        from s2s.export.folder import export_bundle
    except ImportError as missing:
        from s2s.errors import ConfigError

        raise ConfigError(
            f"exporting needs the packages of s2s[onnx], and {missing.name} is not installed: pip install 's2s[onnx]'"
        ) from missing

    print(export_bundle(bundle, folder, int8=options.int8), flush=True)
    if (lacking := _search_that_it_lacks(folder)) is not None:
        print(f"s2s: {lacking}", file=sys.stderr)
    if options.compare:
        print("\n".join(_comparison(bundle, folder, options.compare)), flush=True)
    return 0


def _search_that_it_lacks(folder: Path) -> str | None:
    from s2s.errors import ConfigError
    from s2s.inference.exported import EXPORTED
    from s2s.inference.options import Options
    from s2s.runtime.strategies import strategy_of

    try:
        strategy_of(Options(), EXPORTED.read_config(folder)["search"], folder.name)
    except ConfigError as error:
        return str(error)
    return None


def _comparison(bundle: Path, folder: Path, file: str) -> list[str]:
    from s2s.commands.bad_lines import NO_CHOICE
    from s2s.inference.translator import Translator
    from s2s.registry import catalogue
    from s2s.runtime.translator import OnnxTranslator
    from s2s.text.corpus import LineReport, open_corpus

    pairs = list(open_corpus(file).pairs(LineReport(remedy=NO_CHOICE)))
    sources, references = [pair.source for pair in pairs], [pair.target for pair in pairs]
    outputs = {
        str(bundle): Translator.load(bundle).translate(sources),
        str(folder): OnnxTranslator.load(folder).translate(sources),
    }
    bleu = catalogue().load("metric", "BLEU")()
    scores = [bleu.score(lines, [references]) for lines in outputs.values()]
    width = max(map(len, outputs))
    lines = [
        f"{name:<{width}}  BLEU {score.value:.2f}"
        + (f" ({score.value - scores[0].value:+.2f})" if score is not scores[0] else "")
        for name, score in zip(outputs, scores, strict=True)
    ]
    same = sum(one == other for one, other in zip(*outputs.values(), strict=True))
    return [*lines, f"{same:,} of {len(sources):,} outputs are the same; {scores[0].signature}"]
