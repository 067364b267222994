"""Decoding speed of s2s on Multi30k's test set of 2016, in batches and one sentence at a time.

    python benchmarks/decoding.py                everything, into results/decoding.json
    python benchmarks/decoding.py speed          only the named parts: speed, batches, latency, shortlist

* speed: sentences per second, greedy and with beam 5, in float32 and (if the processor supports it)
  bfloat16, alternating; the machine's limit (limits.py) is measured before and after each sample. With BLEU.
* batches: the same at other batch sizes, with BLEU and the number of outputs that differ from those of batch size 1.
* latency: seconds per sentence, one at a time, greedy and with beam 5, and the time to read from memory what the
  decoder must read once per token: its weights, the output layer and a row of the embedding.
* shortlist: seconds and BLEU with and without a shortlist learnt from the training text, alternating.

The model is that of trained.py.
"""

import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from limits import BYTES, Limit, read_rate
from machine import RESULTS, repeated, save
from products import Architecture
from trained import bundle
from workload import PRECISIONS as MEASURED
from workload import lines

from s2s.inference.translator import Translator
from s2s.text.shortlist import Learnt, learn_shortlist
from s2s_plugins.metrics.bleu import BLEU

PRECISIONS = {
    name: precision for name, precision in (("float32", "float32"), ("bf16", "bfloat16")) if name in MEASURED
}
SEARCHES = {"greedy": 1, "beam 5": 5}
SAMPLES = 4
BATCH_TOKENS = {
    "1 sentence": 1,
    "256 tokens": 256,
    "1024 tokens": 1024,
    "2048 tokens": 2048,
    "8192 tokens": 8192,
}
SINGLE = 100
BYTES_EACH = {"float32": 4, "bf16": 2}


def translators() -> dict[str, Translator]:
    """One per precision."""
    return {name: Translator.load(bundle(), precision=precision) for name, precision in PRECISIONS.items()}


def scores(outputs: Sequence[str]) -> dict[str, Any]:
    """BLEU of the whole test set, cased and lower-cased."""
    found = {}
    for name, lowercase in (("cased", False), ("lowercase", True)):
        score = BLEU(lowercase=lowercase).score(list(outputs), [lines("test", "de")])
        found[name] = {"value": score.value, "signature": score.signature}
    return found


def speed() -> dict[str, Any]:
    """Samples of each search and precision, at the translator's default batch size."""
    ready = translators()
    sources = lines("test", "en")
    measured: dict[str, Any] = {}
    limits: dict[str, Limit] = {}
    for search, beam in SEARCHES.items():
        for precision, translator in ready.items():
            name = f"{search}, {precision}"
            found = translator.translate(sources, beam=beam, results=True)
            pairs = [(len(one.source_tokens), len(one.tokens) + one.finished) for one in found]
            rows = round(2048 * len(pairs) / sum(source for source, _ in pairs))  # a batch holds 2048 tokens
            products = Architecture().decoding_shapes(pairs, rows, beam=beam)
            limits[name] = Limit(products, precision)
            measured[name] = {
                "BLEU": scores([one.text for one in found]),
                "unfinished": sum(not one.finished for one in found),
                "source_tokens": sum(source for source, _ in pairs),
                "target_tokens": sum(target for _, target in pairs),
                "multiply_adds": sum(amount for _, amount in products),
                "samples": [],
            }

    def sample(name: str) -> dict[str, Any]:
        search, precision = name.split(", ")
        before = limits[name].now()
        began = time.perf_counter()
        ready[precision].translate(sources, beam=SEARCHES[search])
        seconds = time.perf_counter() - began
        return {"sentences": len(sources), "seconds": seconds, "limits": [before, limits[name].now()]}

    for _ in range(SAMPLES):
        for name, result in measured.items():
            result["samples"] += repeated(lambda name=name: sample(name), 1)
    return measured


def batches() -> dict[str, Any]:
    """One sample per batch size; beam search with batch size 1 is left out, as it takes a minute."""
    sources = lines("test", "en")
    measured: dict[str, Any] = {}
    for precision, translator in translators().items():
        for search, beam in SEARCHES.items():
            reference: list[str] | None = None
            for size, batch_tokens in BATCH_TOKENS.items():
                if batch_tokens == 1 and beam > 1:
                    continue
                began = time.perf_counter()
                outputs = translator.translate(sources, beam=beam, batch_tokens=batch_tokens)
                seconds = time.perf_counter() - began
                reference = reference or outputs
                measured[f"{search}, {precision}, {size}"] = {
                    "sentences_per_second": len(sources) / seconds,
                    "BLEU": scores(outputs)["cased"]["value"],
                    "differ": sum(a != b for a, b in zip(outputs, reference, strict=True)),
                }
    return measured


def latency() -> dict[str, Any]:
    """Each of the first sentences by itself, alternating; and memory bandwidth, before and after."""
    ready = translators()
    chosen = lines("test", "en")[:SINGLE]
    needed = Architecture().read_per_token()
    measured: dict[str, Any] = {}
    for search, beam in SEARCHES.items():
        for precision, translator in ready.items():
            translator.translate(lines("test", "en"), beam=beam)  # warm up
            before = {name: read_rate(size) for name, size in BYTES.items()}
            samples = repeated(lambda t=translator, b=beam: one_by_one(t, chosen, b), 3)
            after = {name: read_rate(size) for name, size in BYTES.items()}
            measured[f"{search}, {precision}"] = {
                "bytes_per_token": needed * BYTES_EACH[precision],
                "bytes_per_second": [before, after],
                "samples": samples,
            }
    return measured


def one_by_one(translator: Translator, sources: Sequence[str], beam: int) -> dict[str, Any]:
    """Seconds and output tokens (including the end) of each sentence."""
    seconds, tokens = [], []
    for source in sources:
        began = time.perf_counter()
        found = translator.translate(source, beam=beam, results=True)
        seconds.append(time.perf_counter() - began)
        tokens.append(len(found.tokens) + found.finished)
    return {"seconds": seconds, "tokens": tokens}


def shortlist() -> dict[str, Any]:
    """Samples of each search and precision, with and without the shortlist."""
    ready = translators()
    sources = lines("test", "en")
    began = time.perf_counter()
    learnt = learn(ready["float32"])
    measured: dict[str, Any] = {
        "learning": {
            "seconds": time.perf_counter() - began,
            "pairs": learnt.used,
            "covered": learnt.covered,
            "pieces": learnt.pieces,
        },
        "runs": {},
    }
    for translator in ready.values():
        translator.bundle = dataclasses.replace(translator.bundle, shortlist=learnt.shortlist)
    ways = {"without": False, "with": True}
    for search, beam in SEARCHES.items():
        for precision, translator in ready.items():
            outputs = {
                way: translator.translate(sources, beam=beam, shortlist=use) for way, use in ways.items()
            }
            measured["runs"][f"{search}, {precision}"] = {
                "BLEU": {way: scores(found) for way, found in outputs.items()},
                "differ": sum(a != b for a, b in zip(*outputs.values(), strict=True)),
                "samples": [],
            }

    def sample(name: str) -> dict[str, Any]:
        search, precision = name.split(", ")
        seconds = {}
        for way, use in ways.items():
            began = time.perf_counter()
            ready[precision].translate(sources, beam=SEARCHES[search], shortlist=use)
            seconds[f"{way}_seconds"] = time.perf_counter() - began
        return {"sentences": len(sources), **seconds}

    for _ in range(SAMPLES):
        for name, result in measured["runs"].items():
            result["samples"] += repeated(lambda name=name: sample(name), 1)
    return measured


def learn(translator: Translator) -> Learnt:
    """Learn the shortlist from the text that the model was trained on."""
    bundle = translator.bundle
    sizes = bundle.source_tokenizer.vocabulary_size, bundle.target_tokenizer.vocabulary_size
    pairs = zip(lines("train", "en"), lines("train", "de"), strict=True)

    def encode(given: list[tuple[str, str]]) -> list[tuple[list[int], list[int]]]:
        sources, targets = zip(*given, strict=True)
        return list(
            zip(
                bundle.source_tokenizer.encode_batch(sources),
                bundle.target_tokenizer.encode_batch(targets),
                strict=True,
            )
        )

    return learn_shortlist(pairs, encode, *sizes)


PARTS = {"speed": speed, "batches": batches, "latency": latency, "shortlist": shortlist}


def main() -> None:
    path = RESULTS / "decoding.json"
    measured = json.loads(path.read_text()) if path.is_file() else {}
    for name in sys.argv[1:] or PARTS:
        measured[name] = PARTS[name]()
        print(name, flush=True)
    save(
        "decoding",
        {name: measured[name] for name in PARTS if name in measured},
        ["python", "benchmarks/decoding.py"],
    )


if __name__ == "__main__":
    main()
