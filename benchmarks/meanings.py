"""Description and unit of each figure of the summary: one line each, by name pattern."""

import re
from typing import NamedTuple


class Meaning(NamedTuple):
    """Description of a figure.

    Attributes:
        text: one line.
        unit: "ratio" and "share" are dimensionless; a share is a part of a whole, at most 1.
    """

    text: str
    unit: str


SEARCH = {"greedy": "greedy", "beam5": "beam 5"}
WORDS = {
    "": "bf16",
    "_float32": "float32",
    "_bf16": "bf16",
    "nofeed": "without input feeding",
    "feed": "with input feeding",
    "joeynmt": "JoeyNMT",
    "eole": "Eole",
    "yoyodyne": "Yoyodyne",
    "onnx": "ONNX",
    "onnx_int8": "ONNX, int8",
    "3m": "3 million",
    "10m": "10 million",
    "en_de": "English to German",
    "de_en": "German to English",
    "lead1": "first sentence as subject",
    "short": "recipe aeslc, 4 epochs",
    "no_coverage": "recipe aeslc, 4 epochs, without coverage",
    "no_pointer": "recipe aeslc, 4 epochs, without pointer",
    "checkpointed": "gradients checkpointed",
    "truncated": "gradients truncated",
    **SEARCH,
}
"""Display names of the variable parts of figure names."""

FEED = "(?P<feed>feed|nofeed)"
PRECISION = "(?P<precision>|_float32|_bf16)"
HOW = "(?P<search>greedy|beam5)"
PEER = "(?P<peer>joeynmt|eole|yoyodyne)"
WAY = "(?P<way>onnx|onnx_int8)"

MEANINGS: dict[str, tuple[str, str]] = {
    rf"train_{FEED}{PRECISION}_tokens_per_second": ("training {feed}, {precision}", "target tokens / s"),
    rf"train_{FEED}_vs_{PEER}{PRECISION}": (
        "training speed {feed}, {precision}, over that of {peer}",
        "ratio",
    ),
    rf"train_{FEED}{PRECISION}_of_limit": (
        "training {feed}, {precision}: time of its matrix products, each at its shape's best rate, over its time",
        "share",
    ),
    rf"train_{FEED}{PRECISION}_of_peak": (
        "training {feed}, {precision}: time of its matrix products, all at the best shape's rate, over its time",
        "share",
    ),
    "train_overhead_of_lightning": ("time that Lightning adds to a bare training loop", "share"),
    rf"train_{FEED}_peak_mebibytes{PRECISION}": (
        "training {feed}, {precision}: most memory of the process",
        "MiB",
    ),
    f"step_only_vs_fused{PRECISION}": (
        "training step of an LSTM that has only `step`, over that of the library's, {precision}",
        "ratio",
    ),
    f"decode_{HOW}_of_limit{PRECISION}": (
        "translating, {search}, {precision}: time of its matrix products, each at its shape's best rate, over its time",
        "share",
    ),
    f"decode_{HOW}_of_peak{PRECISION}": (
        "translating, {search}, {precision}: time of its matrix products, all at the best shape's rate, over its time",
        "share",
    ),
    f"decode_{HOW}_vs_{PEER}{PRECISION}": (
        "translation speed, {search}, {precision}, over that of {peer}, each at its best batch size",
        "ratio",
    ),
    f"decode_{HOW}_sentences_per_second{PRECISION}": ("translating, {search}, {precision}", "sentences / s"),
    f"decode_{HOW}_bleu{PRECISION}": (
        "BLEU (cased) of the model that is timed, {search}, {precision}",
        "BLEU",
    ),
    f"latency_{HOW}_median_ms{PRECISION}": (
        "one sentence alone, {search}, {precision}: median of the test set",
        "ms",
    ),
    f"latency_{HOW}_percentile95_ms{PRECISION}": (
        "one sentence alone, {search}, {precision}: 95th percentile",
        "ms",
    ),
    "latency_vs_weight_read(?P<default>|_bf16)": (
        "one sentence alone, greedy, {default}, over the time to read the weights that each token needs from memory",
        "ratio",
    ),
    f"shortlist_{HOW}_speedup{PRECISION}": (
        "translation speed with a shortlist over that without, {search}, {precision}",
        "ratio",
    ),
    f"shortlist_{HOW}_bleu_change{PRECISION}": (
        "BLEU (cased) with a shortlist, less that without, {search}, {precision}",
        "BLEU",
    ),
    "help_seconds_over_python": ("`s2s --help`, less the start of a bare Python", "s"),
    "plugins_list_seconds": ("`s2s plugins list`", "s"),
    "plugins_check_seconds": ("`s2s plugins check` of a cell", "s"),
    "plugins_check_compiled_seconds": ("`s2s plugins check --compiled` of a cell", "s"),
    "cold_start_seconds": ("first translation of a fresh process", "s"),
    "first_translation_over_import_torch": ("first translation of a fresh process, less `import torch`", "s"),
    "onnx_cold_start_seconds": ("first translation of a fresh process, ONNX", "s"),
    "onnx_int8_cold_start_seconds": ("first translation of a fresh process, ONNX, int8", "s"),
    "onnx_installed_megabytes": ("what must be installed to translate without torch", "MB"),
    "torch_installed_megabytes": ("what must be installed to translate with torch", "MB"),
    f"{WAY}_{HOW}_speed_vs_torch": ("translation speed, {way}, {search}, over torch's in float32", "ratio"),
    f"{WAY}_{HOW}_latency_vs_torch": (
        "one sentence alone, {way}, {search}: time over torch's in float32",
        "ratio",
    ),
    f"{WAY}_{HOW}_latency_median_ms": ("one sentence alone, {way}, {search}: median", "ms"),
    f"{WAY}_{HOW}_bleu_change": ("BLEU, {way}, {search}, less torch's in float32", "BLEU"),
    r"memory_growth_30k_to_(?P<pairs>3m|10m)": (
        "growth of training's peak memory from 30,000 pairs to {pairs}",
        "share",
    ),
    f"translate_of_decoding_{HOW}": (
        "time of the bare translator over that of `s2s translate`, model loaded, {search}",
        "share",
    ),
    f"translate_{HOW}_process_seconds": ("`s2s translate` of 1,000 sentences, start included, {search}", "s"),
    "translate_mebibytes_per_million_lines": (
        "growth of the memory of `s2s translate`",
        "MiB / million lines",
    ),
    "threads_outputs_that_differ": ("most outputs that differ with another number of threads", "sentences"),
    "waiting_speedup_alone": (
        "training speed with `GOMP_SPINCOUNT=10000`, over that with the library's own busy waiting, alone",
        "ratio",
    ),
    "waiting_speedup_programs": ("the same, next to a program on each core", "ratio"),
    "waiting_speedup_training": ("the same, two trainings at once", "ratio"),
    "validation_share_of_epoch": ("time of a validation, of an epoch that ends with one", "share"),
    "pointer_time_ratio": (
        "training time with the pointer-generator over softmax, worst source length",
        "ratio",
    ),
    f"pointer_{HOW}_time_ratio": (
        "translation time with the pointer-generator over softmax, {search}",
        "ratio",
    ),
    "pointer_source2000_peak_mebibytes": (
        "training with the pointer-generator, sources of 2,000 tokens: most memory",
        "MiB",
    ),
    "segments_(?P<way>checkpointed|truncated)_memory_ratio": (
        "memory of an encoder in segments, {way}, over that in one piece",
        "ratio",
    ),
    f"bleu_over_{PEER}_after_equal_updates": ("BLEU, less that of {peer}, after equal training", "BLEU"),
    "multi30k_(?P<pair>en_de|de_en)_bleu_lc_beam5": (
        "Multi30k, test 2016, {pair}, lower-cased BLEU, beam 5",
        "BLEU",
    ),
    "airline_mase": ("airline passengers, last 48 months in one roll-out: MASE, lower is better", "MASE"),
    "airline_seasonal_naive_mase": ("airline passengers, seasonal naive forecast: MASE", "MASE"),
    "ewt_upos_accuracy": ("parts of speech, English Web Treebank, test: words with the right one", "%"),
    "nsmc_accuracy": ("sentiment of Korean film comments, test: right ones", "%"),
    "nsmc_bag_of_(?P<units>words|letters)_accuracy": (
        "sentiment of Korean film comments, test, logistic regression on bags of {units}: right ones",
        "%",
    ),
    r"aeslc_rouge(?P<n>.)": ("subjects of e-mails, test, against the sender's: ROUGE-{n}", "ROUGE"),
    r"aeslc_(?P<system>lead1|short|no_coverage|no_pointer)_rouge(?P<n>.)": (
        "subjects of e-mails, {system}: ROUGE-{n}",
        "ROUGE",
    ),
    "multi30k_en_lm_perplexity_word": (
        "captions, recipe multi30k-en-lm, test: perplexity per word",
        "perplexity",
    ),
    "aeslc_lm_perplexity_word": ("e-mails, recipe aeslc-lm, test: perplexity per word", "perplexity"),
}
"""Pattern of names -> text and unit."""


def word(key: str, part: str) -> str:
    """Display name of a variable part. Names without a precision mean bf16, for latency float32."""
    return "float32" if (key, part) == ("default", "") else WORDS.get(part, part)


def meaning(name: str) -> Meaning:
    """The description of a figure.

    Raises:
        KeyError: no pattern, or more than one, matches the name.
    """
    found = [
        Meaning(text.format(**{key: word(key, part) for key, part in match.groupdict().items()}), unit)
        for pattern, (text, unit) in MEANINGS.items()
        if (match := re.fullmatch(pattern, name))
    ]
    if len(found) != 1:
        raise KeyError(f"{name}: {len(found)} patterns in meanings.py, there must be one")
    return found[0]
