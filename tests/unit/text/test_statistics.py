import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from s2s.errors import DataError
from s2s.registry import use_plugins
from s2s.text.statistics import corpus_statistics, overlaps
from s2s_plugins.tokenizers.characters import Characters


def test_a_small_corpus_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("a bb\tx\na bb\tx\nc\tx\nbroken\na a a a\ty z\n", encoding="utf-8")
    tokenizer = Characters()
    tokenizer.train(["ab xyz"])
    about = corpus_statistics(str(path), [tokenizer, tokenizer])
    source = about.sides["source"]
    assert (source.lines, source.repeated_lines, source.distinct_words) == (4, 1, 3)
    assert (source.words.mean, source.words.median, source.words.longest) == (9 / 4, 2.0, 4)
    assert (source.characters.mean, source.characters.longest) == (16 / 4, 7)
    assert source.pieces_per_word == 16 / 9
    assert source.unknown_share == 1 / 16  # the c
    assert about.sides["target"].repeated_lines == 2
    assert about.repeated_pairs == 1
    assert about.report == [f"skipped 1 line: not two columns, at {path}:4"]


def test_overlap(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("a\tx\nb\ty\nc\tz\n", encoding="utf-8")
    (tmp_path / "test.tsv").write_text("a\tx\nb\tz\nd\tz\n", encoding="utf-8")
    (tmp_path / "lines").write_text("a\n\nb\n", encoding="utf-8")
    train, test, lines = (
        corpus_statistics(str(tmp_path / name)) for name in ("train.tsv", "test.tsv", "lines")
    )
    (found,) = overlaps([train, test])
    assert (found.corpus, found.inside) == (test.name, train.name)
    assert found.lines == {"source": 2, "target": 3, "pair": 1}
    assert overlaps([train, lines]) == []
    assert lines.sides["text"].lines == 3
    assert lines.sides["text"].pieces is None


READER = """
from s2s.registry import hookimpl
from s2s.text.corpus import Corpus, Pair, plain_suffix, read_lines


class Equations(Corpus):
    @classmethod
    def reads(cls, spec):
        return spec.path is not None and plain_suffix(spec.path) == ".equations"

    def pairs(self, report):
        return (Pair(*text.split("=", 1), line) for line, text in read_lines(self.spec.path, report))


class Quoted(Equations):
    sides = ("target",)

    @classmethod
    def reads(cls, spec):
        return spec.path is not None and plain_suffix(spec.path) == ".quoted"

    def pairs(self, report):
        return (Pair("", text.strip('"'), line) for line, text in read_lines(self.spec.path, report))


@hookimpl
def s2s_corpora():
    return {"Equations": "made_up_readers:Equations", "Quoted": "made_up_readers:Quoted"}
"""


@pytest.fixture
def readers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "made_up_readers.py").write_text(READER)
    use_plugins(plugin_dirs=[tmp_path / "made_up_readers.py"])
    yield tmp_path
    use_plugins()
    del sys.modules["made_up_readers"]  # another test's file is another module


def test_what_fit_reads_as_pairs_is_pairs(readers: Path) -> None:
    conllu = "# text = b a\n1\tb\t_\tX\t_\t_\t_\t_\t_\t_\n2\ta\t_\tY\t_\t_\t_\t_\t_\t_\n\n"
    columns = "b\tX\na\tY\n\n"
    jsonl = '{"body": "b a", "title": "X Y"}\n'
    texts = {
        "a.conllu": conllu,
        "a.bio": columns,
        "a.equations": "b a=X Y\n",
        "lines": "b a=X Y\n",
        "a.jsonl": jsonl,
    }
    for name, text in texts.items():
        (readers / name).write_text(text)
    keys = f"{{path: {readers}/a.jsonl, source_key: body, target_key: title}}"
    for name in ("a.conllu", "a.bio", "a.equations", f"{{path: {readers}/lines, reader: Equations}}", keys):
        about = corpus_statistics(name if name.startswith("{") else str(readers / name))
        assert {side: one.distinct_words for side, one in about.sides.items()} == {"source": 2, "target": 2}
        assert [(one.lines, one.characters.longest) for one in about.sides.values()] == [(1, 3)] * 2


def test_what_has_one_side(readers: Path) -> None:
    for name in ("a.quoted", "a.txt", "a"):
        (readers / name).write_text('"b a"\n\n')
    for name, longest in (("a.quoted", 3), ("a.txt", 5), ("a", 5), (f"{{path: {readers}/a}}", 5)):
        about = corpus_statistics(name if name.startswith("{") else str(readers / name))
        assert [(side, one.lines, one.characters.longest) for side, one in about.sides.items()] == [
            ("text", 2, longest)
        ]


def test_nothing_to_count(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("\n", encoding="utf-8")
    with pytest.raises(DataError, match="no line to count; skipped 1 line: empty line"):
        corpus_statistics(str(tmp_path / "a.tsv"))
    path = tmp_path / "a.jsonl"
    path.write_text('{"body": "a", "title": "b"}\n', encoding="utf-8")
    told = f"no key 'source', at {path}:1 (it has 'body', 'title'; name others as '{{path: {path}, source_key: KEY, "
    with pytest.raises(DataError, match=re.escape(told)):
        corpus_statistics(str(path))
