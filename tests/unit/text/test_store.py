import errno
import json
import os
import pickle
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import s2s.text.store_builder as builder_module
from s2s.errors import DataError
from s2s.registry import use_plugins
from s2s.text.corpus import CorpusSpec
from s2s.text.store import Column, PairStore
from s2s.text.store_builder import corpus_lines, file_digest, pair_store
from s2s_plugins.tokenizers.bytes import Bytes
from s2s_plugins.tokenizers.characters import Characters


class Counting(Bytes):
    """Bytes that counts what it encodes."""

    def __init__(self) -> None:
        self._encoded = 0

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        self._encoded += len(texts)
        return super().encode_batch(texts)


PAIRS = [("one", "eins"), ("two  x", "zw\u00e4i"), ("\u00a0tab", "drei\u2028"), ("four", "v")]


def write(path: Path, pairs: Sequence[tuple[str, str]] = PAIRS) -> CorpusSpec:
    path.write_bytes("".join(f"{source}\t{target}\n" for source, target in pairs).encode())
    return CorpusSpec(path=str(path))


def settle(*paths: Path) -> None:
    """Makes files look as if they had been written long ago."""
    for path in paths:
        then = time.time() - 100
        os.utime(path, (then, then))


def build(folder: Path, *corpora: CorpusSpec, tokenizer: Bytes | None = None, **options: object) -> PairStore:
    tokenizer = tokenizer or Bytes()
    return pair_store(folder / "cache", "train", corpora, tokenizer, tokenizer, **options)  # type: ignore[arg-type]


def test_text_ids_and_origins_come_back(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a.tsv"), write(tmp_path / "b.tsv", [("five", "f")])
    store = build(tmp_path, first, second)
    expected = [*PAIRS, ("five", "f")]
    assert len(store) == 5
    assert [(store.text("source", i), store.text("target", i)) for i in range(5)] == expected
    assert [store.ids("target", i).tolist() for i in range(5)] == [Bytes().encode(t) for _, t in expected]
    assert store.lengths("source")[:].tolist() == [len(s.encode()) for s, _ in expected]
    assert store.ids("source", 0).dtype == np.uint16
    assert store.bounds == [(0, 4), (4, 5)]
    assert store.origin(3) == f"{first.path}:4"
    assert store.origin(4) == f"{second.path}:1"
    copy = pickle.loads(pickle.dumps(store))
    assert copy.text("source", 2) == expected[2][0]


def test_built_once_and_again_when_something_changes(tmp_path: Path) -> None:
    corpus = write(tmp_path / "a.tsv")
    counting = Counting()
    one = build(tmp_path, corpus, tokenizer=counting)
    assert counting._encoded == 8
    assert build(tmp_path, corpus, tokenizer=counting).fingerprint == one.fingerprint
    settle(tmp_path / "a.tsv")  # touched, not changed
    assert build(tmp_path, corpus, tokenizer=counting).fingerprint == one.fingerprint
    assert counting._encoded == 8

    text = write(tmp_path / "a.tsv", [("One", "eins"), *PAIRS[1:]])  # as long as before
    assert build(tmp_path, text, tokenizer=counting).text("source", 0) == "One"
    options = build(tmp_path, text, tokenizer=counting, max_source_tokens=3)
    characters = Characters()
    characters.train(["abcdefghijklmnopqrstuvwxyz"])
    other = pair_store(tmp_path / "cache", "train", [text], characters, characters)
    assert len({one.fingerprint, options.fingerprint, other.fingerprint}) == 3


READER = """
from s2s.registry import hookimpl
from s2s.text.corpus import Corpus, Pair, read_lines


class Reader(Corpus):
    gives_references = True

    @classmethod
    def reads(cls, spec):
        return False

    def pairs(self, report):
        for line, text in read_lines(self.spec.path, report):
            source, *targets = text.split(" = ")
            yield Pair(source, targets[{target}], line, tuple(targets))


@hookimpl
def s2s_corpora():
    return {{"{name}": "{module}:Reader"}}
"""


@pytest.mark.parametrize("keys", [{}, {"references_key": ("all",)}])
def test_what_another_reader_read_is_another_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: dict[str, Any]
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    readers = {"First": 0, "Last": -1}
    modules = {name: tmp_path / f"made_up_{name.lower()}.py" for name in readers}
    for name, target in readers.items():
        module = modules[name].stem
        modules[name].write_text(READER.format(name=name, target=target, module=module))
    (tmp_path / "text").write_text("a = b = c\n")
    try:
        use_plugins(plugin_dirs=list(modules.values()))
        for name, target in (("First", "b"), ("Last", "c")):
            store = build(tmp_path, CorpusSpec(path=str(tmp_path / "text"), reader=name, **keys))
            assert store.text("target", 0) == target
    finally:
        use_plugins()
        for path in modules.values():
            sys.modules.pop(path.stem, None)  # another test's file is another module


def test_a_build_that_dies_leaves_no_store(tmp_path: Path) -> None:
    corpus = write(tmp_path / "a.tsv", PAIRS * 6000)  # more than one chunk

    class Dying(Bytes):
        def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
            if self.left == 0:
                raise KeyboardInterrupt
            self.left -= 1
            return super().encode_batch(texts)

    Dying.left = 3  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path, corpus, tokenizer=Dying())
    assert not list((tmp_path / "cache").glob("*/store.json"))
    assert not list((tmp_path / "cache").glob(".*.partial"))
    Dying.left = -1  # type: ignore[attr-defined]
    assert len(build(tmp_path, corpus, tokenizer=Dying())) == 24_000


def test_one_builds_and_others_wait(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("fcntl")
    folder = tmp_path / "cache" / "store"
    done: list[str] = []

    def other() -> None:
        with builder_module.one_builder(folder):
            done.append("the other")

    with ThreadPoolExecutor() as pool:
        with builder_module.one_builder(folder):
            waits = pool.submit(other)
            time.sleep(3 * builder_module._POLL_SECONDS)
            done.append("the first")
        waits.result()
    assert done == ["the first", "the other"]
    assert capsys.readouterr().err == f"s2s: waiting for another process that is building {folder}\n"
    assert os.listdir(tmp_path / "cache") == []


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_disk_that_knows_no_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(pytest.importorskip("fcntl"), "flock", refuse)
    assert len(build(tmp_path, write(tmp_path / "a.tsv"))) == len(PAIRS)
    assert not list((tmp_path / "cache").glob("*.lock"))


def test_a_damaged_store_is_refused(tmp_path: Path) -> None:
    corpus = write(tmp_path / "a.tsv")
    store = build(tmp_path, corpus)
    ids = store.folder / "source.ids"
    ids.write_bytes(ids.read_bytes()[:-2])
    with pytest.raises(DataError, match="is damaged"):
        build(tmp_path, corpus)
    with pytest.raises(DataError, match="no finished token store"):
        PairStore(tmp_path, [])


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("pairs", None, "store.json lacks or misstates bounds"),
        ("pairs", -1, "store.json lacks or misstates bounds"),
        ("pairs", 10**30, "store.json lacks or misstates bounds"),
        ("bounds", [[0, 2]], "store.json lacks or misstates bounds"),
        ("bounds", [[0, 9], [9, 4]], "store.json lacks or misstates bounds"),
        ("bounds", 3, "store.json lacks or misstates"),
        ("source_dtype", "object", "store.json lacks or misstates 'object'"),
        ("source_dtype", "float64", "store.json lacks or misstates 'float64'"),
        ("report", 3, "store.json lacks or misstates"),
    ],
)
def test_a_store_that_states_what_cannot_be_is_refused(
    tmp_path: Path, entry: str, value: object, message: str
) -> None:
    about = build(tmp_path, write(tmp_path / "a.tsv")).folder / "store.json"
    about.write_text(json.dumps({**json.loads(about.read_text()), entry: value}))
    with pytest.raises(DataError, match=f"is damaged: {message}.*; delete it"):
        build(tmp_path, CorpusSpec(path=str(tmp_path / "a.tsv")))


def test_offsets_and_text_that_cannot_be_are_refused(tmp_path: Path) -> None:
    folder = build(tmp_path, write(tmp_path / "a.tsv")).folder
    text = folder / "source.text"
    text.write_bytes(b"\xff" + text.read_bytes()[1:])
    with pytest.raises(DataError, match="source.text is damaged: 'utf-8' codec can't.*; delete the folder"):
        PairStore(folder, [("a.tsv",)]).text("source", 0)
    offsets = folder / "target.offsets"
    ends = np.frombuffer(offsets.read_bytes(), np.int64).copy()
    for wrong in (-5, 10**12):
        offsets.write_bytes(np.concatenate([ends[:1], [wrong], ends[2:]]).tobytes())
        store = PairStore(folder, [("a.tsv",)])
        with pytest.raises(DataError, match="target.offsets is damaged: .*; delete the folder"):
            store.lengths("target")[:]
        with pytest.raises(
            DataError, match="target.offsets is damaged: pair . from .* to .*; delete the folder"
        ):
            [store.ids("target", pair) for pair in range(2)]


def test_a_pipe_in_the_place_of_a_column_is_not_waited_for(tmp_path: Path) -> None:
    folder = build(tmp_path, write(tmp_path / "a.tsv")).folder
    (folder / "lines").unlink()
    os.mkfifo(folder / "lines")
    with pytest.raises(DataError, match="lines is missing or damaged; delete the folder"):
        PairStore(folder, [("a.tsv",)])


@pytest.mark.parametrize("written", [False, True])
def test_a_pipe_is_no_corpus(tmp_path: Path, written: bool) -> None:
    """It would be waited for, or be empty when it has been read once."""
    pipe = tmp_path / "a.tsv"
    os.mkfifo(pipe)
    writer = os.open(pipe, os.O_RDWR) if written else None
    with pytest.raises(
        DataError,
        match=f"cannot read {pipe}: not an ordinary file; text is read more than once: write it to a file first",
    ):
        build(tmp_path, CorpusSpec(path=str(pipe)))
    if writer is not None:
        os.close(writer)


def test_of_several_builders_one_builds(tmp_path: Path) -> None:
    corpus = write(tmp_path / "a.tsv", PAIRS * 500)
    counting = Counting()
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: build(tmp_path, corpus, tokenizer=counting), range(4)))
    assert counting._encoded == 2 * 2000
    assert {len(store) for store in stores} == {2000}


def test_too_long(tmp_path: Path) -> None:
    corpus = write(tmp_path / "a.tsv", [("abc", "x"), ("abcd", "x"), ("a", "wxyz"), ("abcde", "wxyz")])
    skipped = build(tmp_path, corpus, max_source_tokens=3, max_target_tokens=3)
    assert [skipped.text("source", i) for i in range(len(skipped))] == ["abc"]
    assert skipped.report == [
        f"skipped 2 lines: source longer than 3 tokens, at {corpus.path}:2, {corpus.path}:4",
        f"skipped 1 line: target longer than 3 tokens, at {corpus.path}:3",
    ]
    cut = build(tmp_path, corpus, max_source_tokens=3, max_target_tokens=3, on_too_long="truncate")
    assert cut.lengths("source")[:].tolist() == [3, 3, 1, 3]
    assert cut.lengths("target")[:].tolist() == [1, 1, 3, 3]
    assert cut.text("source", 3) == "abcde"
    assert cut.report[0].startswith("shortened 2 lines: source longer than 3 tokens")
    with pytest.raises(
        DataError, match=r"a\.tsv:2: source longer than 3 tokens \(it has 4\); raise max_source_tokens"
    ):
        build(tmp_path, corpus, max_source_tokens=3, on_too_long="error")


def test_bad_lines(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(b"a\tx\n\nb\xff\ty\nc\tz\n")
    corpus = CorpusSpec(path=str(tmp_path / "a.tsv"))
    with pytest.raises(DataError, match=r"a\.tsv:2: empty line"):
        build(tmp_path, corpus)
    store = build(tmp_path, corpus, on_bad_line="skip")
    assert [store.origin(i)[-2:] for i in range(len(store))] == [":1", ":4"]
    assert len(store.report) == 2
    (tmp_path / "a.tsv").write_bytes(b"\n")
    with pytest.raises(DataError, match="no pair is left to use; skipped 1 line: empty line"):
        build(tmp_path, corpus, on_bad_line="skip")
    (tmp_path / "a.tsv").write_bytes(b"")
    with pytest.raises(DataError, match=r"a\.tsv: no pair in it$"):
        build(tmp_path, corpus)


def test_a_pair_without_tokens_is_a_bad_line(tmp_path: Path) -> None:
    class Deleting(Bytes):
        def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
            return super().encode_batch([text.replace("\u00ad", "") for text in texts])

    corpus = write(tmp_path / "a.tsv", [("a", "x"), ("\u00ad", "y"), ("b\u00ad", "z"), ("c", "\u00ad\u00ad")])
    with pytest.raises(DataError, match=r"a\.tsv:2: no tokens in the source; mend .* on_bad_line: skip"):
        build(tmp_path, corpus, tokenizer=Deleting())
    store = build(tmp_path, corpus, tokenizer=Deleting(), on_bad_line="skip")
    assert [store.text("target", i) for i in range(len(store))] == ["x", "z"]
    assert store.lengths("source")[:].tolist() == [1, 1]
    assert store.report == [
        f"skipped 1 line: no tokens in the source, at {corpus.path}:2",
        f"skipped 1 line: no tokens in the target, at {corpus.path}:4",
    ]


def test_a_digest_is_remembered_only_for_files_that_have_settled(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"1")
    first = file_digest(str(path), tmp_path)
    path.write_bytes(b"2")  # perhaps within the clock's tick: same size, same time
    assert file_digest(str(path), tmp_path) != first
    settle(path)
    second = file_digest(str(path), tmp_path)
    assert file_digest(str(path), tmp_path) == second
    path.write_bytes(b"3")
    assert file_digest(str(path), tmp_path) not in (first, second)
    with pytest.raises(DataError, match="there is no file"):
        file_digest(str(tmp_path / "none"), tmp_path)


def test_files_without_a_pair_are_named(tmp_path: Path) -> None:
    empty = CorpusSpec(source=str(tmp_path / "a.en"), target=str(tmp_path / "a.de"))
    for path in empty.paths:
        Path(path).write_text("\n")
    with pytest.raises(
        DataError, match=r"a\.en,.*a\.de: there is no pair of lines to learn from; skipped 1 line"
    ):
        list(corpus_lines([empty], ["source", "target"], "skip"))
    for path in empty.paths:
        Path(path).write_text("")
    with pytest.raises(DataError, match=r"a\.en,.*a\.de: there is no pair of lines to learn from$"):
        list(corpus_lines([empty], ["source", "target"], "error"))


def test_lines_for_a_tokenizer(tmp_path: Path) -> None:
    corpus = write(tmp_path / "a.tsv", PAIRS[:2])
    assert list(corpus_lines([corpus], ["source"], "error")) == ["one", "two  x"]
    assert list(corpus_lines([corpus], ["source", "target"], "error")) == [
        "one",
        "eins",
        "two  x",
        "zw\u00e4i",
    ]


@pytest.mark.parametrize("on_too_long", ["skip", "truncate"])
def test_all_cores_write_what_one_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_too_long: str
) -> None:
    pairs = [("x" * (1 + i % 7), "y" * (1 + i % 5)) for i in range(1000)]
    corpus = write(tmp_path / "a.tsv", pairs)
    monkeypatch.setattr(builder_module, "_CHUNK_PAIRS", 64)
    options = {"max_source_tokens": 5, "on_too_long": on_too_long}
    one = build(tmp_path / "one", corpus, **options)
    monkeypatch.setattr(builder_module, "_PARALLEL_BYTES", 0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    counting = Counting()
    all_cores = build(tmp_path / "all", corpus, tokenizer=counting, **options)
    assert counting._encoded == 0, "this process encoded, though others were to"
    assert all_cores.report == one.report and "source longer than 5 tokens" in one.report[0]
    for path in sorted(one.folder.iterdir()):
        if path.name != "store.json":  # tells the tokenizer
            assert path.read_bytes() == (all_cores.folder / path.name).read_bytes(), path.name


def test_an_error_in_another_process_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Bytes):
        def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
            raise DataError("cannot encode this")

    monkeypatch.setattr(builder_module, "_PARALLEL_BYTES", 0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    with pytest.raises(DataError, match="cannot encode this"):
        build(tmp_path, write(tmp_path / "a.tsv"), tokenizer=Broken())


ORPHANS = """
import multiprocessing, sys, time
from pathlib import Path
import s2s.text.store_builder as builder
from s2s.text.corpus import CorpusSpec, Pair
from s2s_plugins.tokenizers.bytes import Bytes

class Endless:
    def pairs(self, report):
        yield Pair("a", "x", 1)
        yield Pair("a", "x", 1)  # by now the others have the first
        print(*[child.pid for child in multiprocessing.active_children()], flush=True)
        time.sleep(60)

builder._CHUNK_PAIRS, builder._PARALLEL_BYTES = 1, 0
builder.available_cores = lambda most: 3
builder.open_corpus = lambda spec, sides=(): Endless()
builder.pair_store(Path("cache"), "train", [CorpusSpec(path="a.tsv")], Bytes(), Bytes())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are started otherwise")
def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    write(tmp_path / "a.tsv")
    with subprocess.Popen([sys.executable, "-c", ORPHANS], cwd=tmp_path, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        parent.kill()
        ended = select.select([parent.stdout], [], [], 10)[
            0
        ]  # at its end when the last process has closed it
        for pid in workers if not ended else []:
            os.kill(pid, signal.SIGKILL)
    assert len(workers) == 3 and ended


@pytest.mark.parametrize("way", ["as the system can", "as Windows can"])
def test_a_part_of_a_column_is_read_as_of_an_array(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    if way == "as Windows can":
        monkeypatch.delattr(os, "preadv", raising=False)
    numbers = np.arange(50, dtype=np.uint16)
    numbers.tofile(tmp_path / "numbers")
    column = Column(tmp_path / "numbers", numbers.dtype)
    for part in (slice(None), slice(3, 7), slice(-4, None), slice(40, 90), slice(7, 7), slice(9, 2)):
        assert column[part].tolist() == numbers[part].tolist()
    copy = pickle.loads(pickle.dumps(column))
    assert copy[1:3].tolist() == [1, 2] and len(copy) == 50
    with ThreadPoolExecutor(4) as pool:
        parts = [slice(i % 40, i % 40 + 9) for i in range(400)]
        assert [part.tolist() for part in pool.map(column.__getitem__, parts)] == [
            numbers[part].tolist() for part in parts
        ]
    os.truncate(tmp_path / "numbers", 10)
    with pytest.raises(DataError, match="become shorter"):
        column[0:50]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("fingerprint", None),
        ("pairs", None),
        ("pairs", "4"),
        ("bounds", [[0, 3]]),
        ("bounds", [[0, 2], [3, 4]]),
        ("bounds", 4),
        ("source_dtype", "float64"),
        ("target_dtype", {}),
        ("report", 1),
    ],
)
def test_a_damaged_description_is_refused(tmp_path: Path, key: str, value: object) -> None:
    store = build(tmp_path, write(tmp_path / "a.tsv"))
    about = json.loads((store.folder / "store.json").read_text())
    (store.folder / "store.json").write_text(json.dumps({**about, key: value} if value else {}))
    with pytest.raises(
        DataError, match=f"{store.folder} is damaged: store.json lacks or misstates .*; delete it"
    ):
        PairStore(store.folder, [["a.tsv"]])
    (store.folder / "store.json").write_text("[" * 9_999)
    with pytest.raises(DataError, match="is no finished token store: it is nested too deeply"):
        PairStore(store.folder, [["a.tsv"]])


def test_damaged_text_is_told_when_it_is_read(tmp_path: Path) -> None:
    store = build(tmp_path, write(tmp_path / "a.tsv"))
    path = store.folder / "target.text"
    path.write_bytes(b"\xff" + path.read_bytes()[1:])
    with pytest.raises(DataError, match=f"{path} is damaged: .*; delete the folder"):
        PairStore(store.folder, [["a.tsv"]]).text("target", 0)


@pytest.mark.parametrize("known", ["1", "[" * 9_999, '{"%s": [1]}', '{"%s": {}}'])
def test_digests_that_say_something_else_are_computed(tmp_path: Path, known: str) -> None:
    write(tmp_path / "a.tsv")
    digest = file_digest(str(tmp_path / "a.tsv"), tmp_path / "cache")
    (tmp_path / "cache").mkdir(exist_ok=True)
    (tmp_path / "cache" / "files.json").write_text(known.replace("%s", str(tmp_path / "a.tsv")))
    assert file_digest(str(tmp_path / "a.tsv"), tmp_path / "cache") == digest


def test_long_lines_are_encoded_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder_module, "_CHUNK_LETTERS", 10)
    sizes = []
    encode = Bytes.encode_batch
    monkeypatch.setattr(
        Bytes, "encode_batch", lambda self, texts: sizes.append(len(texts)) or encode(self, texts)
    )
    pairs = [("a" * 20, "b"), ("c", "d"), ("e", "f" * 7), ("g", "h")]
    store = build(tmp_path, write(tmp_path / "a.tsv", pairs))
    assert sizes[::2] == [1, 2, 1]
    assert [(store.text("source", i), store.text("target", i)) for i in range(4)] == pairs
