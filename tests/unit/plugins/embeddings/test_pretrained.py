"""Vectors of a file in the rows of their words."""

import gzip
from pathlib import Path

import pytest
import torch

import s2s
from s2s.errors import ConfigError, DataError
from s2s_plugins.embeddings.pretrained import PretrainedEmbedding

GLOVE = "the 1 2 3\nBoat 4 5 6\nboat 7 8 9\n. . . 0 0 1\nunused x y z\nthe 9 9 9\n"
WORDS = ["<pad>", "<unk>", "<s>", "</s>", "the", "Boat", "boat", "The", "sea"]


NONE = "f.txt: no line has a word and 3 numbers behind it"


def begun(path: Path, tokens: list[str], size: int = 3) -> tuple[PretrainedEmbedding, str]:
    torch.manual_seed(0)
    embedding = PretrainedEmbedding(len(tokens), path=str(path), size=size)
    return embedding, embedding.begin_with(tokens)


def test_words_have_their_vectors(tmp_path: Path) -> None:
    (tmp_path / "glove.txt").write_text(GLOVE)
    embedding, said = begun(tmp_path / "glove.txt", WORDS)
    rows = embedding.weight.tolist()
    assert rows[4:8] == [
        [1, 2, 3],
        [4, 5, 6],
        [7, 8, 9],
        [1, 2, 3],
    ]  # the first one of a word; "The" as "the"
    assert said == f"{tmp_path}/glove.txt: vectors for 4 of 9 tokens (44.4 %), 1 of them in lower case"
    # The others are drawn, and spread as those are.
    torch.manual_seed(0)
    drawn = PretrainedEmbedding(len(WORDS), size=3).weight
    scale = torch.tensor([[1.0, 2, 3], [4, 5, 6], [7, 8, 9], [1, 2, 3]]).std(correction=0) / drawn.std(
        correction=0
    )
    others = [0, 1, 2, 3, 8]
    torch.testing.assert_close(embedding.weight[others], drawn[others] * scale)
    (tmp_path / "glove.txt").unlink()
    assert embedding(torch.tensor([4])).tolist() == [[1, 2, 3]]


def test_pieces_that_begin_a_word(tmp_path: Path) -> None:
    (tmp_path / "vectors.txt").write_text("the 1 2 3\nat 4 5 6\n, 7 8 9\n")
    embedding, said = begun(tmp_path / "vectors.txt", ["\u2581the", "at", "\u2581at", ",", "\u2581", "the"])
    assert embedding.weight.tolist()[0] == [1, 2, 3] and embedding.weight.tolist()[2:4] == [
        [4, 5, 6],
        [7, 8, 9],
    ]
    assert "3 of 6 tokens" in said


def test_the_form_of_fasttext_packed(tmp_path: Path) -> None:
    (tmp_path / "a.vec.gz").write_bytes(gzip.compress("2 3\nthe 1 2 3 \nété -4e-1 5 6 \n".encode()))
    embedding, _ = begun(tmp_path / "a.vec.gz", ["été", "the"])
    torch.testing.assert_close(embedding.weight.detach(), torch.tensor([[-0.4, 5, 6], [1, 2, 3]]))


def test_nothing_found(tmp_path: Path) -> None:
    (tmp_path / "glove.txt").write_text(GLOVE)
    _, said = begun(tmp_path / "glove.txt", ["xyz"])
    assert "vectors for 0 of 1 tokens (0.0 %)" in said


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"boat 1 2", "not 3 numbers behind the word"),
        (b"boat 1 2 3 4", "not 3 numbers behind the word"),
        (b"", "not 3 numbers behind the word"),
        (b"boat 1 x 3", "a number that is no finite one"),
        (b"boat inf 2 3", "a number that is no finite one"),
        (b"\xff 1 2 3", "not UTF-8"),
    ],
)
@pytest.mark.parametrize("place", [1, 2, 4])
def test_bad_lines_are_left_out_counted_and_told(tmp_path: Path, bad: bytes, reason: str, place: int) -> None:
    if place == 1 and bad.count(b" ") in (2, 4):
        return  # the first line tells how wide the vectors are
    lines = [b"the 1 2 3", b"Boat 4 5 6", b"boat 7 8 9"]
    lines.insert(place - 1, bad)
    (tmp_path / "f.txt").write_bytes(b"\n".join([*lines, b""]))
    embedding, said = begun(tmp_path / "f.txt", WORDS)
    assert embedding.weight.tolist()[4:7] == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    found, left_out = said.split("\n")
    assert "vectors for 4 of 9 tokens" in found
    assert left_out == f"skipped 1 line: {reason}, at {tmp_path}/f.txt:{place}"


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (
            "the 1 2\n",
            ConfigError,
            "has vectors of 2 numbers, but the embedding has size 3; set .*size: 2, or",
        ),
        ("5 300\nthe 1\n", ConfigError, "has vectors of 300 numbers, but the embedding has size 3"),
        (
            "the 1 x 3\nboat 1 nan 3\n",
            DataError,
            f"{NONE}; skipped 2 lines: a number that is no finite one, at .*:1, .*:2",
        ),
        (
            b"\xff 1 2 3\n\n",
            DataError,
            f"{NONE}; skipped 1 line: not 3 numbers .*:2; skipped 1 line: not UTF-8, at .*:1",
        ),
        ("", DataError, NONE),
        ("1 3\n", DataError, NONE),
        (None, DataError, "there is no file .*f.txt"),
    ],
)
def test_what_cannot_be(
    tmp_path: Path, text: str | bytes | None, error: type[Exception], message: str
) -> None:
    if text is not None:
        (tmp_path / "f.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(error, match=message):
        begun(tmp_path / "f.txt", WORDS)


def test_without_a_path() -> None:
    with pytest.raises(ConfigError, match="begins with vectors of a file; set model.embedding.path: FILE"):
        PretrainedEmbedding(3, size=2).begin_with(["a", "b", "c"])


@pytest.mark.filterwarnings("ignore:the text gives .* pieces:UserWarning")
def test_only_training_reads_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It begins with them; the bundle, a resumed run and a test need no file."""
    monkeypatch.chdir(tmp_path)
    Path("pairs.tsv").write_text("the boat\tboat the\nboat\tboat\n" * 10)
    Path("vectors.txt").write_text("the 0.5 0.25 0.125 1\n")
    options = {
        "data.train": "pairs.tsv",
        "data.validation": "pairs.tsv",
        "data.test": "pairs.tsv",
        "data.tokenizer": "Words",
        "model.embedding": {"class_path": "Pretrained", "init_args": {"path": "vectors.txt", "size": 4}},
        "model.encoder.hidden_size": 4,
        "model.decoder.hidden_size": 4,
        "model.learning_rate": 0.0,
        "trainer.max_epochs": 1,
    }
    fitted = s2s.fit("demo", run_folder="run", **options)
    assert "vectors.txt: vectors for 1 of 6 tokens (16.7 %)" in "".join(capsys.readouterr())
    Path("vectors.txt").unlink()
    bundle = s2s.Translator.load(fitted.bundle).bundle
    (row,) = bundle.source_tokenizer.encode("the")
    assert bundle.model.source_embedding.weight[row].tolist() == [0.5, 0.25, 0.125, 1]
    s2s.fit("run/config.yaml", ckpt_path="last", accept_changes=True, **{"trainer.max_epochs": 2})


def test_a_first_line_of_too_many_digits_is_none_of_sizes(tmp_path: Path) -> None:
    (tmp_path / "f.txt").write_text(f"2 {'9' * 5_000}\n")
    with pytest.raises(ConfigError, match=r"f\.txt has vectors of 1 numbers"):
        begun(tmp_path / "f.txt", WORDS)


def test_a_number_too_large_for_the_table_is_no_number(tmp_path: Path) -> None:
    (tmp_path / "f.txt").write_text("the 1 2 3\nsea 1 1e39 3\n")
    embedding, said = begun(tmp_path / "f.txt", WORDS)
    assert embedding.weight.isfinite().all()
    assert f"skipped 1 line: a number that is no finite one, at {tmp_path}/f.txt:2" in said
