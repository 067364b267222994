"""`s2s score`: how probable given translations are to a model."""

from __future__ import annotations

import json
import math
import sys

from s2s.commands.command_line import CommandLine

SUMMARY = "log-probability of given translations, and perplexity"


def main(argv: list[str]) -> int:
    """Run `s2s score BUNDLE SRC TGT`."""
    parser = CommandLine(
        prog="s2s score",
        description="Print the log-probability (natural logarithm) that a model gives to each translation, a line for "
        "a line, and the perplexity per token, ends counted, on standard error.",
        epilog="Where the source line is empty, an empty translation has log-probability 0 and any other -inf; such "
        "lines have no tokens and do not count in the perplexity.",
    )
    add = parser.add_argument
    add("bundle", metavar="BUNDLE", help="folder of the model, as `s2s fit` writes it")
    add("source", metavar="SRC", help="source lines, plain or gzip; - is standard input")
    add("target", metavar="TGT", help="their translations, as many lines")
    add(
        "--tokens",
        action="store_true",
        help="add a tab and JSON: [[token, log-probability], ...], the end last",
    )
    add("--json", action="store_true", help="print nothing but the totals, as JSON")
    add("--output", metavar="FILE", help="write here when all is done (default: standard output)")
    add("--batch-tokens", type=int, metavar="N", help="most tokens of a batch (default: 4096)")
    add("--device", default="cpu", help="such as cpu or cuda (default: cpu)")
    add("--threads", type=int, metavar="N", help="CPU threads (default: torch's choice)")
    options = parser.parse_args(argv)

    from s2s.commands.aligned_lines import AlignedLines
    from s2s.commands.output import Output
    from s2s.commands.threads import use_threads
    from s2s.inference.bundle import load_bundle
    from s2s.inference.scoring import BATCH_TOKENS, exp, score

    use_threads(options.threads)
    bundle = load_bundle(options.bundle)
    pairs = AlignedLines(options.source, options.target)
    batch_tokens = BATCH_TOKENS if options.batch_tokens is None else options.batch_tokens
    lines = tokens = impossible = 0
    total = 0.0
    with Output(options.output) as output:
        for sources, targets in pairs.blocks():
            for one in score(bundle, sources, targets, batch_tokens=batch_tokens, device=options.device):
                lines += 1
                tokens += len(one.tokens)
                impossible += one.log_prob == -math.inf and not one.tokens
                total += math.fsum(one.log_probs)
                if options.json:
                    continue
                rows = [
                    [token, _json(round(value, 6))]
                    for token, value in zip(one.tokens, one.log_probs, strict=True)
                ]
                more = f"\t{json.dumps(rows, ensure_ascii=False)}" if options.tokens else ""
                output.write(f"{one.log_prob:.6f}{more}\n")
            output.flush()
        perplexity = exp(-total / tokens) if tokens else math.nan
        if options.json:
            totals = {
                "lines": lines,
                "tokens": tokens,
                "log_prob": _json(total),
                "perplexity": _json(perplexity),
                "impossible": impossible,
            }
            output.write(json.dumps(totals, indent=2) + "\n")
    pairs.tell()
    if impossible:
        print(
            f"s2s: {impossible} of {lines} lines have an empty source and a translation; they do not count in the "
            "perplexity",
            file=sys.stderr,
        )
    if not options.json:
        print(
            f"s2s: {lines:,} lines, {tokens:,} tokens, log-probability {total:.3f}, perplexity {perplexity:.4g}",
            file=sys.stderr,
        )
    return 0


def _json(value: float) -> float | None:
    return value if math.isfinite(value) else None  # JSON knows no infinity
