"""Everything in s2s that reads a file, with valid contents as seeds."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from s2s.errors import S2SError
from soak.attack import Broken

PAIRS = b"one\teins\ntwo  x\tzw\xc3\xa4i\n\nthree\t drei\n"
RECORD = b'{"source": "one", "target": "eins", "more": ["un", "uno"]}\n'
LINES = b"one\ntwo  x\nthr\xc3\xa9e\n"
RECORDS = RECORD + (b'{"source": "\\u0074wo\\n", "target": "zwei", "more": "deux"}\n\n')
SENTENCES = (
    b"# text = a b\n1\ta\ta\tDET\t_\t_\t2\tdet\t_\t_\n2-3\tb c\t_\t_\t_\t_\t_\t_\t_\t_\n"
    b"2\tb\tb\tNOUN\t_\t_\t0\troot\t_\t_\n2.1\tc\t_\t_\t_\t_\t_\t_\t_\t_\n\n"
    b"1\tx y\tx\tX\t_\t_\t0\troot\t_\t_\n\n"
)
COLUMNS = b"a\tDET\nb c\tNOUN\n\nx O\n\n"
SERIES = b'day,"warm",cold\n2024-01-01,1.5,-2\n2024-01-02,2e3,0\n'
VECTORS = b"2 3\nthe 1 2 3\nold . . 4 -5e-1 6\n"
YAML = b"task: Seq2Seq\ndata:\n  train: [a.en, {path: b.tsv, weight: 2}]\nmodel: &m {encoder: {cell: GRU}}\n"


class Reader(NamedTuple):
    """A function that reads a file.

    Attributes:
        file: the name of the file.
        prepare: writes other required files into a folder, and returns valid contents of the file.
        read: reads the file to its end, and uses the contents.
        inputs: per attempt of the long form, by when a reader's coverage has long stopped growing.
    """

    file: str
    prepare: Callable[[Path], list[bytes]]
    read: Callable[[Path], object]
    inputs: int = 20_000


def read(reader: Reader, folder: Path, content: bytes) -> str:
    """Read a file: "read", or "refused" with an error that names it.

    Raises:
        Broken: anything else.
    """
    path = folder / reader.file
    path.write_bytes(content)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            reader.read(path)
    except S2SError as error:
        if path.name not in str(error) and str(folder) not in str(error):
            raise Broken(f"an error that names no file: {error}") from error
        return "refused"
    except Exception as error:
        raise Broken(f"{type(error).__name__}: {str(error)[:500]}") from error
    return "read"


def readers() -> dict[str, Reader]:
    """All readers by name."""
    known = {
        "tsv": Reader("pairs.tsv", _given(PAIRS, PAIRS[:8]), _pairs),
        "tsv-columns": Reader(
            "pairs.tsv", _given(PAIRS), partial(_pairs, source_key="2", target_key="1", references_key=["2"])
        ),
        "tsv-gz": Reader("pairs.tsv.gz", _given(gzip.compress(PAIRS, mtime=0), PAIRS), _pairs),
        "jsonl": Reader("pairs.jsonl", _given(RECORD, RECORDS), partial(_pairs, references_key=["more"])),
        "lines": Reader("text.txt", _given(LINES), _pairs),
        "two-files": Reader("text.en", _two_files, _two),
        "conllu": Reader("words.conllu", _given(SENTENCES), _pairs),
        "columns": Reader("words.conll", _given(COLUMNS), _pairs),
        "label-conllu": Reader("words.conllu", _given(SENTENCES), partial(_annotated, "conllu")),
        "label-columns": Reader("words.conll", _given(COLUMNS), partial(_annotated, "columns")),
        "translate": Reader("text.en.gz", _given(LINES, gzip.compress(LINES, mtime=0)), _incoming),
        "translate-jsonl": Reader("lines.jsonl", _given(_WISHES), _wishes),
        "documents": Reader("documents.jsonl", _given(RECORD, RECORDS), _documents),
        "scored-lines": Reader("text.de", _given(LINES), _scored),
        "scored-jsonl": Reader("texts.jsonl", _given(RECORD, RECORDS), partial(_scored, mark="#more")),
        "series": Reader("series.csv", _given(SERIES, SERIES.replace(b",", b";")), _series),
        "series-gz": Reader("series.csv.gz", _given(gzip.compress(SERIES, mtime=0)), _series),
        "vectors": Reader("vectors.txt", _given(VECTORS, VECTORS[4:]), _vectors),
        "configuration": Reader("mine.yaml", _given(YAML), _configuration, inputs=2_000),
        "bundle-config": Reader("config.json", _bundle_config, _bundle),
        "export-config": Reader("export.json", _export_config, _export),
        "weights": Reader("weights.safetensors", _weights, _model, inputs=5_000),
        "shortlist": Reader("shortlist.safetensors", _shortlist, _read_shortlist),
        "tokenizer-config": Reader("config.json", _tokenizer_config, _tokenizer),
        "output-note": Reader("out.partial.json", _output_note, _resumed),
        "digests": Reader("files.json", _digests, _digested),
    }
    for name in ("Characters", "Words", "Labels", "Bytes"):
        known[f"tokenizer-{name}"] = Reader("tokenizer.json", partial(_learnt, name), partial(_load, name))
    for file in ("store.json", "source.ids", "target.offsets", "source.text", "target.text_offsets", "lines"):
        known[f"store-{file}"] = Reader(file, partial(_store, file), _stored)
    return known


_WISHES = (
    b'{"source": "one", "prefix": "e", "phrases": ["in"], "banned": ["x"]}\n{"source": "two"}\n\nnothing\n'
)


def _given(*contents: bytes) -> Callable[[Path], list[bytes]]:
    return lambda folder: list(contents)


def _two_files(folder: Path) -> list[bytes]:
    (folder / "text.de").write_bytes(b"eins\nzwei\ndrei\n")
    return [LINES]


def _bundle_config(folder: Path) -> list[bytes]:
    return [_unsigned(folder, "config.json")]


def _unsigned(folder: Path, name: str) -> bytes:
    """A bundle's configuration without checksums, as otherwise mutations would fail the checksum and not be read."""
    from s2s.inference import checksums
    from tests.references.tiny import tiny_bundle

    tiny_bundle(folder)
    config = json.loads((folder / "config.json").read_bytes())
    del config[checksums.OWN]
    config["sha256"] = {}
    (folder / "config.json").write_text(json.dumps(config))
    return (folder / "config.json").read_bytes()


def _export_config(folder: Path) -> list[bytes]:
    for name in ("encoder.onnx", "step.onnx", "weights.bin"):
        (folder / name).write_bytes(b"nothing")
    config = {
        "format": 1,
        "s2s_version": "0",
        "runtime": {},
        "precision": "float32",
        "model": {},
        "search": "Beam",
        "graphs": {},
        "sha256": {},
    }
    return [json.dumps(config).encode()]


def _weights(folder: Path) -> list[bytes]:
    _unsigned(folder, "config.json")
    return [(folder / "weights.safetensors").read_bytes()]


def _shortlist(folder: Path) -> list[bytes]:
    import numpy as np

    from s2s.text.shortlist import Shortlist

    path = folder / "shortlist.safetensors"
    Shortlist(np.full((9, 2), 5, np.int32), np.arange(6, dtype=np.int32)).write(path)
    return [path.read_bytes()]


def _tokenizer_config(folder: Path) -> list[bytes]:
    _learnt("Characters", folder / "tokenizer")
    (folder / "tokenizer" / "tokenizer.json").write_bytes(_learnt("Characters", folder / "tokenizer")[0])
    spec = {"class_path": "Characters", "init_args": {"vocabulary_size": 99, "minimum_count": 1}}
    return [json.dumps({"tokenizer": spec}).encode()]


def _learnt(name: str, folder: Path) -> list[bytes]:
    from s2s.registry.parts import factory

    tokenizer = factory("tokenizer", name)()
    tokenizer.train(["one two", "\u2028 x"])
    tokenizer.save(folder)
    return [tokenizer.dump()]


def _output_note(folder: Path) -> list[bytes]:
    (folder / "out.partial").write_bytes(b"one\ntwo\n")
    return [json.dumps({"made_of": {"beam": 2}, "lines": 2, "checksum": 7, "bytes": 8}).encode()]


def _digests(folder: Path) -> list[bytes]:
    (folder / "a.tsv").write_bytes(PAIRS)
    status = (folder / "a.tsv").stat()
    return [
        json.dumps(
            {str(folder / "a.tsv"): [status.st_size, status.st_mtime_ns, "00"], "b": [1, 2, "c"]}
        ).encode()
    ]


def _store(file: str, folder: Path) -> list[bytes]:
    from s2s.registry.parts import factory
    from s2s.text.corpus import CorpusSpec
    from s2s.text.store_builder import pair_store

    tokenizer = factory("tokenizer", "Bytes")()
    (folder / "pairs.tsv").write_bytes(PAIRS)
    spec = CorpusSpec(path=str(folder / "pairs.tsv"))
    store = pair_store(folder / "cache", "train", [spec], tokenizer, tokenizer, on_bad_line="skip")
    for path in store.folder.iterdir():
        path.rename(folder / path.name)
    return [(folder / file).read_bytes()]


def _pairs(path: Path, **keys: Any) -> None:
    from s2s.text.corpus import LineReport, open_corpus

    report = LineReport("skip")
    for pair in open_corpus({"path": str(path), **keys}).pairs(report):
        _text(pair.source, pair.target, *pair.references)
    _text(*report.lines())
    for _ in open_corpus({"path": str(path), **keys}).pairs(LineReport()):
        pass


def _text(*texts: str) -> None:
    for text in texts:
        text.encode("utf-8")  # fails for a lone surrogate


def _two(path: Path) -> None:
    from s2s.text.corpus import LineReport, open_corpus

    for policy in ("skip", "error"):
        for pair in open_corpus(f"{path},{path.with_suffix('.de')}").pairs(LineReport(policy)):
            _text(pair.source, pair.target)


def _annotated(form: str, path: Path) -> None:
    from s2s.inference.annotation import Annotation, Sentences, layout_of
    from s2s.inference.incoming import Decoder
    from s2s.inference.labeller import Labelled

    annotation, decode = Annotation(layout_of(form, None, None, None)), Decoder()
    for window in Sentences([str(path)]).windows():
        for block in window:
            text = decode(block)
            words = annotation.words(text)
            annotation.written(text, Labelled(words, ["X"] * len(words), [1.0] * len(words), 1))
    _text(*annotation.notes())


def _incoming(path: Path) -> None:
    from s2s.inference.incoming import Decoder, Incoming

    decode = Decoder()
    for window in Incoming([str(path)]).windows():
        _text(*map(decode, window))


def _wishes(path: Path) -> None:
    from s2s.inference.incoming import Decoder, Incoming
    from s2s.inference.json_lines import JsonLines

    objects, decode = JsonLines(), Decoder()
    for window in Incoming([str(path)]).windows():
        for line in window:
            assert "\n" not in objects(decode(line)).text
    for note in objects.notes():
        assert note


def _documents(path: Path) -> None:
    from s2s.inference.documents import Documents

    for window in Documents([str(path)]).windows():
        for document in window:
            document.decode("utf-8")


def _scored(path: Path, mark: str = "") -> None:
    from s2s.evaluation.lines import read_texts

    sets = read_texts(f"{path}{mark}")
    assert len({len(texts) for texts in sets}) == 1


def _series(path: Path) -> None:
    from s2s.series import read_table

    table = read_table(path, date="day", date_optional=True)
    assert table.values.shape == (len(table.lines), len(table.names))


def _vectors(path: Path) -> None:
    from s2s.text.corpus import LineReport
    from s2s_plugins.embeddings.pretrained import vectors

    for _, vector in vectors(str(path), 3, {"the", "old . ."}, LineReport("skip")):
        assert vector.isfinite().all() and vector.shape == (3,)


def _configuration(path: Path) -> None:
    from s2s.training.options import read_config

    read_config(str(path))


def _bundle(path: Path) -> None:
    from s2s.inference.architectures import model_class
    from s2s.inference.bundle_config import read_config
    from s2s.inference.model_bundle import check_files

    folder = path.parent
    config = read_config(folder)
    model_class(folder, config)
    check_files(folder, config)


def _export(path: Path) -> None:
    from s2s.inference.exported import EXPORTED

    EXPORTED.check_files(path.parent, EXPORTED.read_config(path.parent))


def _model(path: Path) -> None:
    from s2s.inference.bundle import load_bundle

    load_bundle(path.parent)


def _read_shortlist(path: Path) -> None:
    from s2s.text.shortlist import Shortlist

    Shortlist.read(path, 9, 12)


def _tokenizer(path: Path) -> None:
    from s2s.commands.tokenizer import read_tokenizer

    read_tokenizer(path.parent)


def _load(name: str, path: Path) -> None:
    from s2s.registry.parts import factory

    tokenizer = factory("tokenizer", name)()
    tokenizer.load(path.parent)
    tokenizer.decode(range(tokenizer.vocabulary_size))


def _resumed(path: Path) -> None:
    from s2s.inference.outgoing import Outgoing

    (path.parent / "out").unlink(missing_ok=True)
    (path.parent / "out.partial").write_bytes(b"one\ntwo\n")
    with Outgoing(str(path.parent / "out"), made_of={"beam": 2}, resume=True) as out:
        out.write("three\n", [b"3"])


def _digested(path: Path) -> None:
    from s2s.text.store_builder import file_digest

    file_digest(str(path.parent / "a.tsv"), path.parent)


def _stored(path: Path) -> None:
    from s2s.text.store import PairStore

    store = PairStore(path.parent, [["pairs.tsv"]])
    _each(store, range(len(store)))


def _each(store: Any, pairs: Iterable[int]) -> None:
    for pair in pairs:
        for side in ("source", "target"):
            store.ids(side, pair)
            _text(store.text(side, pair))
        store.origin(pair)
