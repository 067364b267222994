"""Figures, tables and plots, computed from the raw results alone.

    python benchmarks/summary.py

Reads results/*.json; writes results/summary.json (one flat object), the table in README.md, and plots/*.png. Figures
without raw results are left out. Results of another machine are kept in a folder named after it,
results/MACHINE/*.json, and have a separate column in the table.
"""

import json
import operator
import re
import statistics
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from comparison import comparison
from machine import RESULTS, middle
from meanings import meaning

README = RESULTS.parent / "README.md"
PLOTS = RESULTS.parent / "plots"
MARKS = "<!-- begin of the {} -->", "<!-- end of the {} -->"
Raw = dict[str, Any]

TARGETS: dict[str, str] = {
    "train_feed_vs_joeynmt": "≥ 4.5",
    "train_nofeed_vs_joeynmt": "≥ 6",
    "train_nofeed_vs_eole": "≥ 2",
    "train_nofeed_of_limit": "≥ 0.60",
    "train_overhead_of_lightning": "≤ 0.03",
    "step_only_vs_fused_bf16": "≤ 1.25",
    "step_only_vs_fused_float32": "≤ 1.5",
    "decode_greedy_of_limit": "≥ 0.5",
    "decode_beam5_of_limit": "≥ 0.5",
    "decode_greedy_vs_joeynmt": "≥ 10",
    "decode_beam5_vs_joeynmt": "≥ 10",
    "decode_greedy_vs_eole": "≥ 2",
    "decode_beam5_vs_eole": "≥ 2",
    "latency_vs_weight_read": "≤ 2",
    "help_seconds_over_python": "≤ 0.15",
    "plugins_list_seconds": "≤ 0.3",
    "plugins_check_seconds": "≤ 60",
    "first_translation_over_import_torch": "≤ 0.5",
    "onnx_cold_start_seconds": "≤ 0.5",
    "memory_growth_30k_to_10m": "≤ 0.05",
    "translate_of_decoding_greedy": "≥ 0.95",
    "translate_of_decoding_beam5": "≥ 0.95",
    "translate_mebibytes_per_million_lines": "≤ 1",
    "validation_share_of_epoch": "≤ 0.05",
    "pointer_time_ratio": "≤ 1.25",
    "multi30k_en_de_bleu_lc_beam5": "",
    "multi30k_de_en_bleu_lc_beam5": "",
    "airline_mase": "< airline_seasonal_naive_mase",
    "airline_seasonal_naive_mase": "",
    "ewt_upos_accuracy": "≥ 92",
    "nsmc_accuracy": "> nsmc_bag_of_words_accuracy",
    "aeslc_rouge1": "≥ 23.67",
    "aeslc_rouge2": "≥ 10.29",
    "aeslc_rougeL": "≥ 23.44",
}
"""The targets, in the order of the table; other figures follow without a target."""


def compute(raw: Raw) -> dict[str, float]:
    """All available figures, by name.

    Args:
        raw: the contents of results/*.json by file name without suffix.
    """
    figures = formulas(raw)
    found = {}
    for name in [*TARGETS, *(name for name in figures if name not in TARGETS)]:
        try:
            found[name] = round(figures[name](), 4)
        except KeyError:  # not measured
            continue
    return found


class Watched(dict[str, Any]):
    """Raw results that record which files were accessed."""

    def __init__(self, raw: Raw) -> None:
        super().__init__(raw)
        self.files: set[str] = set()

    def __getitem__(self, file: str) -> Any:
        self.files.add(file)
        return super().__getitem__(file)


def machines(raw: Raw, names: Iterable[str]) -> dict[str, str]:
    """The processor that each figure was measured on; several if its results are from several."""
    watched = Watched(raw)
    figures = formulas(watched)
    found = {}
    for name in names:
        watched.files = set()
        figures[name]()
        processors = {short for file in watched.files for short in processors_of(raw[file])}
        found[name] = " and ".join(sorted(processors))
    return found


def processors_of(results: Any) -> set[str]:
    """All processors and core counts recorded in a file of results, at any depth."""
    if not isinstance(results, dict):
        return set()
    if "cpu" in results:
        name = re.sub(r"\(R\)| Processor", "", results["cpu"])
        return {f"{name}, {results['cores']} cores"}
    return {one for value in results.values() for one in processors_of(value)}


def formulas(raw: Raw) -> dict[str, Callable[[], float]]:
    """The formula of each figure; it raises KeyError if its raw results are missing."""
    figures: dict[str, Callable[[], float]] = {}
    for short, name in (
        ("feed", "feeding, bf16"),
        ("nofeed", "no feeding, bf16"),
        ("feed_float32", "feeding, float32"),
        ("nofeed_float32", "no feeding, float32"),
    ):
        figures[f"train_{short}_tokens_per_second"] = lambda n=name: tokens_per_second(raw, n)
        figures[f"train_{short}_of_limit"] = lambda n=name: of_limit(raw["training"]["speed"][n], "limit")
        figures[f"train_{short}_of_peak"] = lambda n=name: of_limit(raw["training"]["speed"][n], "peak")
    for precision, suffix in (("bf16", ""), ("float32", "_float32")):  # the peers' is float32
        for short, variant in (("feed", "feeding"), ("nofeed", "no feeding")):
            figures[f"train_{short}_vs_joeynmt{suffix}"] = lambda v=variant, p=precision: (
                tokens_per_second(raw, f"{v}, {p}") / of_peer(raw, "joeynmt", v)
            )
        # Eole has one hidden size for both sides: its encoder has half the units, so ours has too
        figures[f"train_nofeed_vs_eole{suffix}"] = lambda p=precision: (
            tokens_per_second(raw, f"no feeding, {p}", "halved") / of_peer(raw, "eole", "no feeding")
        )
        figures[f"train_nofeed_vs_yoyodyne{suffix}"] = lambda p=precision: (
            tokens_per_second(raw, f"no feeding, {p}") / of_peer(raw, "yoyodyne", "no feeding")
        )
    figures["train_overhead_of_lightning"] = lambda: middle(
        raw["training"]["overhead"], lambda one: one["lightning_seconds"] / one["bare_seconds"] - 1
    )
    for precision in ("bf16", "float32"):
        figures[f"step_only_vs_fused_{precision}"] = lambda p=precision: middle(
            raw["training"]["cells"][p]["samples"],
            lambda one: one["step_only_seconds"] / one["fused_seconds"],
        )
    for short, search in (("greedy", "greedy"), ("beam5", "beam 5")):
        for precision, suffix in (("bf16", ""), ("float32", "_float32")):
            name = f"{search}, {precision}"
            figures[f"decode_{short}_of_limit{suffix}"] = lambda n=name: of_limit(
                raw["decoding"]["speed"][n]["samples"], "limit"
            )
            figures[f"decode_{short}_of_peak{suffix}"] = lambda n=name: of_limit(
                raw["decoding"]["speed"][n]["samples"], "peak"
            )
            figures[f"decode_{short}_sentences_per_second_{precision}"] = lambda n=name: sentences_per_second(
                raw, n
            )
            figures[f"decode_{short}_bleu_{precision}"] = lambda n=name: raw["decoding"]["speed"][n]["BLEU"][
                "cased"
            ]["value"]
            figures[f"latency_{short}_median_ms_{precision}"] = lambda n=name: latency(raw, n, 0.5)
            figures[f"latency_{short}_percentile95_ms_{precision}"] = lambda n=name: latency(raw, n, 0.95)
        for peer in ("joeynmt", "eole"):
            for precision, suffix in (("bf16", ""), ("float32", "_float32")):  # the peers' is float32
                figures[f"decode_{short}_vs_{peer}{suffix}"] = lambda s=search, p=peer, n=precision: (
                    sentences_per_second(raw, f"{s}, {n}") / best_of_peer(raw, p, s)
                )
        for precision, suffix in (("bf16", ""), ("float32", "_float32")):
            name = f"{search}, {precision}"
            figures[f"shortlist_{short}_speedup{suffix}"] = lambda n=name: middle(
                raw["decoding"]["shortlist"]["runs"][n]["samples"],
                lambda one: one["without_seconds"] / one["with_seconds"],
            )
            figures[f"shortlist_{short}_bleu_change{suffix}"] = lambda n=name: bleu_change(
                raw["decoding"]["shortlist"]["runs"][n]["BLEU"]
            )
    figures["latency_vs_weight_read"] = lambda: vs_read(raw["decoding"]["latency"]["greedy, float32"])
    figures["latency_vs_weight_read_bf16"] = lambda: vs_read(raw["decoding"]["latency"]["greedy, bf16"])
    for name in ("list", "check", "check_compiled"):
        figures[f"plugins_{name}_seconds"] = lambda n=name: middle(
            raw["start"]["plugins"], lambda one: one[f"{n}_seconds"]
        )
    figures["help_seconds_over_python"] = lambda: middle(
        raw["start"]["help"], lambda one: one["help_seconds"] - one["python_seconds"]
    )
    figures["first_translation_over_import_torch"] = lambda: middle(
        raw["start"]["translation"], lambda one: one["translation_seconds"] - one["import_torch_seconds"]
    )
    figures["cold_start_seconds"] = lambda: middle(
        raw["start"]["translation"], lambda one: one["translation_seconds"]
    )
    for short, search in (("greedy", "greedy"), ("beam5", "beam 5")):
        figures[f"translate_of_decoding_{short}"] = lambda s=search: middle(
            raw["translating"]["speed"][s]["samples"],
            lambda one: one["bare_seconds"] / one["command_seconds"],
        )
        figures[f"translate_{short}_process_seconds"] = lambda s=search: middle(
            raw["translating"]["speed"][s]["samples"], lambda one: one["process_seconds"]
        )
    figures["translate_mebibytes_per_million_lines"] = lambda: slope(raw["translating"]["memory"]["points"])
    figures["threads_outputs_that_differ"] = lambda: max(run["differ"] for run in raw["threads"]["runs"])
    for where in ("alone", "programs", "training"):
        figures[f"waiting_speedup_{where}"] = lambda w=where: (
            waiting_speed(raw["waiting"], w, "short") / waiting_speed(raw["waiting"], w, "library")
        )
    for way in ("onnx", "int8"):
        start = "onnx_cold_start" if way == "onnx" else "onnx_int8_cold_start"
        figures[f"{start}_seconds"] = lambda w=way: middle(
            raw["runtime"]["start"], lambda one: one[f"{w}_seconds"]
        )
    figures["onnx_installed_megabytes"] = lambda: raw["runtime"]["size"]["installed"]["onnx"]["bytes"] / 1e6
    figures["torch_installed_megabytes"] = lambda: raw["runtime"]["size"]["installed"]["torch"]["bytes"] / 1e6
    for short, search in (("greedy", "greedy"), ("beam5", "beam 5")):
        for way, prefix in (("onnx", "onnx"), ("int8", "onnx_int8")):
            figures[f"{prefix}_{short}_speed_vs_torch"] = lambda s=search, w=way: middle(
                raw["runtime"]["speed"][s]["samples"], lambda one: one["torch_seconds"] / one[f"{w}_seconds"]
            )
            figures[f"{prefix}_{short}_latency_vs_torch"] = lambda s=search, w=way: (
                statistics.median(raw["runtime"]["latency"][s][f"{w}_seconds"])
                / statistics.median(raw["runtime"]["latency"][s]["torch_seconds"])
            )
            figures[f"{prefix}_{short}_latency_median_ms"] = lambda s=search, w=way: (
                1000 * statistics.median(raw["runtime"]["latency"][s][f"{w}_seconds"])
            )
            figures[f"{prefix}_{short}_bleu_change"] = lambda s=search, w=way: (
                raw["runtime"]["speed"][s]["BLEU"][w]["value"]
                - raw["runtime"]["speed"][s]["BLEU"]["torch"]["value"]
            )
    figures["memory_growth_30k_to_3m"] = lambda: growth(raw, 3_000_000)
    figures["memory_growth_30k_to_10m"] = lambda: growth(raw, 10_000_000)
    for short, variant in (("nofeed", "no feeding"), ("feed", "feeding")):
        for precision, suffix in (("bf16", ""), ("float32", "_float32")):
            name = f"{variant}, {precision}"
            figures[f"train_{short}_peak_mebibytes{suffix}"] = lambda n=name: raw["training"]["memory"][n]
    figures["validation_share_of_epoch"] = lambda: validation_share(raw["validation"])
    figures["pointer_time_ratio"] = lambda: max(
        pointer_ratio(found["samples"], "seconds_per_token") for found in raw["pointer"]["training"].values()
    )
    for short, beam in (("greedy", "1"), ("beam5", "5")):
        figures[f"pointer_{short}_time_ratio"] = lambda b=beam: pointer_ratio(
            raw["pointer"]["search"][b]["samples"], "seconds"
        )
    figures["pointer_source2000_peak_mebibytes"] = lambda: raw["pointer"]["memory"]["2000"]["pointer"][
        "mebibytes"
    ]
    for way in ("checkpointed", "truncated"):
        figures[f"segments_{way}_memory_ratio"] = lambda w=way: (
            raw["pointer"]["segments"][w]["mebibytes"]
            / raw["pointer"]["segments"]["in one piece"]["mebibytes"]
        )
    for peer in ("joeynmt", "eole"):  # after equal training
        figures[f"bleu_over_{peer}_after_equal_updates"] = lambda p=peer: (
            raw["quality"][p]["s2s"]["score"] - raw["quality"][p]["peer"]["score"]
        )
    for direction in ("en_de", "de_en"):
        recipe = "multi30k-" + direction.replace("_", "-")
        figures[f"multi30k_{direction}_bleu_lc_beam5"] = lambda r=recipe: raw["multi30k"][r][
            "test_2016_flickr"
        ]["beam5"]["BLEU_lowercase"]["value"]
    figures["nsmc_accuracy"] = lambda: raw["nsmc"]["test"]["accuracy"]
    for short, metric in (("1", "ROUGE-1"), ("2", "ROUGE-2"), ("L", "ROUGE-L")):
        figures[f"aeslc_rouge{short}"] = lambda m=metric: raw["aeslc"]["test"]["subject"]["aeslc"][m]["value"]
        figures[f"aeslc_lead1_rouge{short}"] = lambda m=metric: raw["aeslc"]["test"]["subject"]["lead-1"][m][
            "value"
        ]
        for name in ("short", "no-coverage", "no-pointer"):
            figures[f"aeslc_{name.replace('-', '_')}_rouge{short}"] = lambda m=metric, n=name: raw["aeslc"][
                "test, ablations"
            ]["subject"][f"aeslc-{n}"][m]["value"]
    for bag in ("words", "letters"):
        figures[f"nsmc_bag_of_{bag}_accuracy"] = lambda b=bag: best_bag(
            raw["nsmc"]["bag_of_words"]["chosen"], b.removesuffix("s")
        )
    for name, system in (("airline_mase", "model"), ("airline_seasonal_naive_mase", "seasonal naive")):
        figures[name] = lambda s=system: raw["airline"]["test"]["48 steps from the first 96 months"][s][
            "MASE"
        ]["mean"]
    for corpus, recipe in (("multi30k_en", "multi30k-en-lm"), ("aeslc", "aeslc-lm")):
        figures[f"{corpus}_lm_perplexity_word"] = lambda r=recipe: raw["language_models"][r]["test"][
            "perplexity_word"
        ]
    figures["ewt_upos_accuracy"] = lambda: raw["ewt"]["test"]["accuracy"]["value"]
    return figures


def met(name: str, figures: dict[str, float]) -> str:
    """Whether a figure reaches its target, yes or **no**; empty if it has none or was not measured."""
    relation, _, limit = TARGETS.get(name, "").partition(" ")
    needed = {name, limit} if limit.isidentifier() else {name}
    if not relation or not needed <= figures.keys():
        return ""
    wanted = figures[limit] if limit in needed else float(limit)
    compare = {"≥": operator.ge, "≤": operator.le, ">": operator.gt, "<": operator.lt}[relation]
    return "yes" if compare(figures[name], wanted) else "**no**"


def best_bag(chosen: Raw, of: str) -> float:
    """Test accuracy, in per cent, of the bag of words (or of letters) that is best on the dev split."""
    bags = [bag for family, bag in chosen.items() if family.startswith(of)]
    return 100 * float(max(bags, key=lambda one: one["dev_accuracy"])["test_accuracy"])


def tokens_per_second(raw: Raw, name: str, part: str = "speed") -> float:
    """Target tokens per second of the bare loop."""
    return middle(raw["training"][part][name], lambda one: one["target_tokens"] / one["seconds"])


def of_peer(raw: Raw, peer: str, variant: str) -> float:
    """Target tokens per second of a peer."""
    return float(raw["peers"]["training"][peer][variant]["target_tokens_per_second"]["median"])


def sentences_per_second(raw: Raw, name: str) -> float:
    """Speed on the test set, at the translator's default batch size."""
    return middle(raw["decoding"]["speed"][name]["samples"], lambda one: one["sentences"] / one["seconds"])


def of_limit(samples: list[Raw], kind: str) -> float:
    """The time at the machine's limit, relative to the measured time; the faster of before and after counts."""
    return middle(samples, lambda one: min(limit[kind] for limit in one["limits"]) / one["seconds"])


def bleu_change(scores: Raw) -> float:
    """Cased BLEU with the shortlist minus that without."""
    return float(scores["with"]["cased"]["value"] - scores["without"]["cased"]["value"])


def best_of_peer(raw: Raw, peer: str, search: str) -> float:
    """Sentences per second at the peer's best batch size; results with batch size 1 alone do not count."""
    beam = {"greedy": 1, "beam 5": 5}[search]
    runs = [run for run in raw["peers"]["decoding"][peer].values() if run.get("beam") == beam]
    if all(run.get("batch") == 1 for run in runs):
        raise KeyError(search)
    return max(run["sentences_per_second"]["median"] for run in runs)


def latency(raw: Raw, name: str, share: float) -> float:
    """Milliseconds within which the given share of single sentences is translated."""

    def quantile(seconds: list[float]) -> float:
        return sorted(seconds)[min(len(seconds) - 1, int(share * len(seconds)))]

    return 1000 * middle(raw["decoding"]["latency"][name]["samples"], lambda one: quantile(one["seconds"]))


def vs_read(measured: Raw) -> float:
    """Seconds per single sentence, relative to the time to read from memory what each token needs."""
    rate = statistics.mean(reading["memory"] for reading in measured["bytes_per_second"])
    return middle(
        measured["samples"],
        lambda one: sum(one["seconds"]) / (sum(one["tokens"]) * measured["bytes_per_token"] / rate),
    )


def growth(raw: Raw, pairs: int) -> float:
    """Growth of training memory from 30 thousand pairs to `pairs`."""
    measured = raw["memory"]["pairs"]
    return measured[str(pairs)]["train"]["mebibytes"] / measured["30000"]["train"]["mebibytes"] - 1


def slope(points: list[list[float]]) -> float:
    """MiB per million lines, by least squares, without the first quarter of the lines: start-up is no growth."""
    done = [(lines / 1e6, held) for lines, held in points if lines >= points[-1][0] / 4]
    return statistics.linear_regression(*zip(*done, strict=True)).slope


def waiting_speed(waiting: dict[str, Any], where: str, way: str) -> float:
    """Target tokens per second of results/waiting.json."""
    (run,) = (one for one in waiting["runs"] if (one["where"], one["way"]) == (where, way))
    return middle(run["samples"], lambda one: one["target_tokens_per_second"])


def threads(raw: Raw) -> dict[str, dict[int, float]]:
    """Milliseconds per sentence by number of threads, by question and circumstances, from results/threads.json."""
    found: dict[str, dict[int, float]] = {}
    for run in raw["threads"]["runs"]:
        for question in ("many", "single", "shared"):
            own = found.setdefault(f"{question}, {run['where']}", {})
            own[run["threads"]] = 1000 * middle(
                run["samples"], lambda one, q=question: statistics.median(one[q])
            )
    return found


def validation_share(measured: Raw) -> float:
    """Share of the validation in an epoch that ends with one."""
    batches = measured["batches_per_epoch"]
    return middle(
        measured["samples"],
        lambda one: one["validation_seconds"] / (one["validation_seconds"] + batches * one["batch_seconds"]),
    )


def pointer_ratio(samples: list[Raw], figure: str) -> float:
    """Time with the pointer-generator, relative to the softmax."""
    return middle(samples, lambda one: one[f"pointer_{figure}"] / one[f"softmax_{figure}"])


def table(figures: dict[str, float], on: dict[str, str], elsewhere: dict[str, dict[str, float]]) -> str:
    """All figures as one Markdown table.

    Args:
        figures: the main figures.
        on: the machine that each was measured on.
        elsewhere: figures of other machines, by machine name.
    """
    rows = [
        " | ".join(["| figure | what it is | unit | measured | on | target | met", *elsewhere]) + " |",
        "|---" * (7 + len(elsewhere)) + "|",
    ]
    for name in dict.fromkeys(
        [*TARGETS, *figures, *(name for other in elsewhere.values() for name in other)]
    ):
        text, unit = meaning(name)
        measured = f"{figures[name]:,.4g}" if name in figures else "not measured"
        cells = [name, text, unit, measured, on.get(name, ""), TARGETS.get(name, ""), met(name, figures)]
        cells += [f"{other[name]:,.4g}" if name in other else "" for other in elsewhere.values()]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def made_table(raw: Raw, figures: dict[str, float], elsewhere: dict[str, dict[str, float]]) -> str:
    """The table for these raw results."""
    return table(figures, machines(raw, figures), elsewhere)


def with_tables(
    readme: str, raw: Raw, figures: dict[str, float], elsewhere: dict[str, dict[str, float]]
) -> str:
    """The README with its tables replaced."""
    for name, made in (("table", made_table(raw, figures, elsewhere)), ("peers", comparison(raw))):
        begin, end = (mark.format(name) for mark in MARKS)
        before, rest = readme.split(begin)
        _, after = rest.split(end)
        readme = f"{before}{begin}\n{made}\n{end}{after}"
    return readme


def read(folder: Path) -> Raw:
    """All raw results."""
    return {
        path.stem: json.loads(path.read_text()) for path in folder.glob("*.json") if path.stem != "summary"
    }


def other_machines(folder: Path) -> dict[str, dict[str, float]]:
    """The figures of other machines, by folder name."""
    return {path.name: compute(read(path)) for path in sorted(folder.iterdir()) if path.is_dir()}


def plot(raw: Raw) -> None:
    """Plot the curves, memory against corpus size, and threads, one file each."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    PLOTS.mkdir(exist_ok=True)
    if "curves" in raw:
        figure, axes = pyplot.subplots(2, 3, figsize=(11, 6), layout="constrained")
        curves = {
            name: {point["value"]: 1000 * point["seconds"] for point in points}
            for name, points in raw["curves"]["training"].items()
        }
        beams = {point["value"]: 1000 / point["sentences_per_second"] for point in raw["curves"]["beam"]}
        for axis, (name, points) in zip(axes.flat, {**curves, "beam": beams}.items(), strict=True):
            draw(axis, points)
            axis.set(xlabel=name, ylabel=f"milliseconds per {'sentence' if name == 'beam' else 'step'}")
        figure.savefig(PLOTS / "curves.png", dpi=90)
    if "memory" in raw:
        sizes = {int(pairs): measured for pairs, measured in raw["memory"]["pairs"].items()}
        figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
        for label, part in (("training", "train"), ("preparation", "build")):
            draw(left, {size: one[part]["mebibytes"] for size, one in sizes.items()}, label)
        left.set(xlabel="pairs", ylabel="MiB", yscale="linear", ylim=(0, None))
        for label in ("store", "tokenizer"):
            draw(right, {size: one["build"][f"{label}_seconds"] for size, one in sizes.items()}, label)
        right.set(xlabel="pairs", ylabel="seconds")
        left.legend()
        right.legend()
        figure.savefig(PLOTS / "corpus.png", dpi=90)
    if "pointer" in raw:
        figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
        for head in ("softmax", "pointer"):
            speed = {
                int(length): 1e6 * middle(found["samples"], lambda one, h=head: one[f"{h}_seconds_per_token"])
                for length, found in raw["pointer"]["training"].items()
            }
            held = {
                int(length): found[head]["mebibytes"] for length, found in raw["pointer"]["memory"].items()
            }
            draw(left, speed, head)
            draw(right, held, head)
        left.set(xlabel="source tokens", ylabel="microseconds per target token")
        right.set(xlabel="source tokens", ylabel="MiB", yscale="linear", ylim=(0, None))
        left.legend()
        figure.savefig(PLOTS / "pointer.png", dpi=90)

    if "threads" in raw:
        figure, axis = pyplot.subplots(figsize=(7, 4), layout="constrained")
        for label, points in threads(raw).items():
            draw(axis, points, label)
        axis.set(xlabel="threads", ylabel="milliseconds per sentence")
        figure.legend(loc="outside right upper")
        figure.savefig(PLOTS / "threads.png", dpi=90)


def draw(axis: Any, points: dict[int, float], label: str | None = None) -> None:
    """Draw a curve on logarithmic axes, with its points' values as x ticks and round numbers as y ticks."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.loglog(list(points), list(points.values()), "o-", label=label)
    axis.set_xticks(list(points), [shortly(value) for value in points])
    axis.set_xticks([], minor=True)
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.yaxis.set_minor_formatter(NullFormatter())


def shortly(value: int) -> str:
    """Abbreviate whole thousands with k and whole millions with M."""
    for unit, name in ((1_000_000, "M"), (1_000, "k")):
        if value >= unit and value % unit == 0:
            return f"{value // unit}{name}"
    return str(value)


def main() -> None:
    raw = read(RESULTS)
    figures = compute(raw)
    (RESULTS / "summary.json").write_text(json.dumps(figures, indent=1) + "\n")
    elsewhere = other_machines(RESULTS)
    README.write_text(with_tables(README.read_text(), raw, figures, elsewhere))
    plot(raw)
    print(made_table(raw, figures, elsewhere))


if __name__ == "__main__":
    main()
