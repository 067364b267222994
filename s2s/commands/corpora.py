"""Help texts: how corpora are named on the command line."""

PAIRS = (
    "a file that `s2s fit` reads (see: s2s plugins list --kind corpus), two files SOURCE,TARGET, or as in a "
    "configuration, '{path: more.jsonl, source_key: body, target_key: title}'"
)
TEXTS = f"a file of lines, or pairs: {PAIRS}"
