import io
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from typing import Any

import pytest
import sentencepiece

from s2s.errors import ConfigError, DataError, Terminated
from s2s.testing import check_tokenizer
from s2s.text.tokenizer import UNK
from s2s_plugins.tokenizers.sentencepiece import SentencePiece, _drawn

TEXT = [
    f"the {a} {b} saw the {c}"
    for a in ("old", "new", "lower")
    for b in ("man", "boat")
    for c in ("sea", "shore")
]


def trained(**options: object) -> SentencePiece:
    tokenizer = SentencePiece(**{"vocabulary_size": 290, **options})  # type: ignore[arg-type]
    tokenizer.train(TEXT)
    return tokenizer


def test_vocabulary_is_clamped_and_said() -> None:
    with pytest.warns(UserWarning, match=r"the text gives \d+ pieces, not 8000; vocabulary_size is now \d+"):
        tokenizer = trained(vocabulary_size=8000)
    assert 260 < tokenizer.vocabulary_size < 8000


def test_vocabulary_too_small_for_the_characters() -> None:
    with pytest.raises(DataError, match=r"vocabulary_size is 262.*set vocabulary_size above \d+"):
        trained(vocabulary_size=262)


def test_unknown_characters_without_byte_fallback() -> None:
    tokenizer = trained(vocabulary_size=30, byte_fallback=False)
    assert UNK in tokenizer.encode("\u6f22")
    assert UNK in tokenizer.encode("\u2581")
    assert UNK not in tokenizer.encode("the boat")


@pytest.mark.parametrize("algorithm", ["bpe", "unigram"])
def test_sampling_depends_on_the_seed_alone(algorithm: str) -> None:
    tokenizer = trained(algorithm=algorithm, sampling_alpha=0.3, vocabulary_size=285)
    line = TEXT[0]
    first = [tokenizer.encode_sampled(line, seed) for seed in range(20)]
    assert len({tuple(ids) for ids in first}) >= 3
    assert all(tokenizer.decode(ids) == line for ids in first)
    sentencepiece.set_random_generator_seed(99)
    backwards = [tokenizer.encode_sampled(line, seed) for seed in reversed(range(20))]
    assert backwards[::-1] == first
    elsewhere: list[list[int]] = []
    thread = threading.Thread(
        target=lambda: elsewhere.extend(tokenizer.encode_sampled(line, s) for s in range(20))
    )
    thread.start()
    thread.join()
    assert elsewhere == first
    assert tokenizer.encode(line) == tokenizer.encode(line)


def test_an_existing_model_keeps_its_pieces_and_gets_our_reserved_ids(tmp_path) -> None:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT * 3),
        model_writer=model,
        vocab_size=40,
        hard_vocab_limit=False,
        minloglevel=2,
    )  # SentencePiece's own ids: unk 0, bos 1, eos 2, no pad
    path = tmp_path / "theirs.model"
    path.write_bytes(model.getvalue())
    ours = SentencePiece(model=str(path))
    ours.train([])
    theirs = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    ids = ours.encode(TEXT[0])
    assert ours.tokens(ids) == theirs.encode(TEXT[0], out_type=str)
    assert ours.vocabulary_size == theirs.vocab_size() + 1
    assert min(ids) >= 4
    assert ours.decode(ids) == TEXT[0]
    assert UNK in ours.encode("\u6f22")


def without_piece(model: bytes, number: int) -> bytes:
    """A model whose pieces, the fields that it begins with, are one less; each has a byte for its length."""
    start = 0
    for _ in range(number):
        start += 2 + model[start + 1]
    assert model[start] == 0x0A and model[start + 1] < 0x80
    return model[:start] + model[start + 2 + model[start + 1] :]


@pytest.mark.parametrize("number", range(5))
def test_a_model_that_lacks_a_piece_is_refused_or_works(number: int) -> None:
    other = SentencePiece()
    try:
        other.restore(without_piece(trained().dump(), number))
    except DataError as error:
        assert "this is not a SentencePiece model" in str(error)
    else:
        assert other.decode(other.encode(TEXT[0])) == TEXT[0]


def test_missing_model() -> None:
    with pytest.raises(DataError, match=r"cannot read the SentencePiece model nowhere\.model"):
        SentencePiece(model="nowhere.model").train([])


def test_another_normalization_rewrites() -> None:
    tokenizer = trained(normalization="nmt_nfkc")
    for line in ("the  \uff42oat", " the\u2581boat\u200b "):
        assert tokenizer.decode(tokenizer.encode(line)) == tokenizer.normalize(line)
    assert tokenizer.normalize("the  \uff42oat") == "the boat"
    assert trained().normalize(" the  \uff42oat\u2581 ") == " the  \uff42oat\u2581 "


def test_the_greatest_seed_is_a_seed() -> None:
    tokenizer = trained(sampling_alpha=0.3)
    first = [tokenizer.encode_sampled(TEXT[0], 2**32 - 1) for _ in range(20)]
    assert all(ids == first[0] for ids in first)


def test_errors_of_the_lines_come_through() -> None:
    def lines():
        yield TEXT[0]
        raise DataError("train.en:2: not UTF-8")

    with pytest.raises(DataError, match="train.en:2: not UTF-8"):
        SentencePiece().train(lines())


@pytest.mark.parametrize("stopped", [KeyboardInterrupt(), Terminated(15)])
def test_ctrl_c_comes_through(stopped: BaseException) -> None:
    def lines():
        yield "a b c"
        raise stopped

    with pytest.raises(type(stopped)) as caught:
        SentencePiece(vocabulary_size=300).train(lines())
    assert caught.value is stopped


@pytest.mark.parametrize("seconds", [0.002, 0.02, 0.2])
def test_a_signal_while_it_learns_comes_through(seconds: float) -> None:
    def lines():
        yield from (f"a{i} b{i % 7} c" for i in range(50_000))
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def stop(*_: object) -> None:
        raise Terminated(15)

    before = signal.signal(signal.SIGALRM, stop)
    try:
        with pytest.raises(Terminated):
            SentencePiece(vocabulary_size=300).train(lines())
            time.sleep(1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_lone_surrogates() -> None:
    with pytest.raises(DataError, match="lone surrogates"):
        trained().encode("\ud800")
    with pytest.raises(DataError, match="lone surrogates"):
        trained().encode_batch(["a", "\udfff\u2581"])
    with pytest.raises(DataError, match="lone surrogates"):
        trained().encode_batch(["a", "\udfff\u2581"] * 20)


def test_very_long_lines_are_learnt_from() -> None:
    tokenizer = SentencePiece(vocabulary_size=300)
    tokenizer.train(["the boat and the net " * 20_000])
    assert len(tokenizer.encode("the boat")) <= 3


@pytest.mark.parametrize(
    "options",
    [
        {"sampling_alpha": 0.0},
        {"character_coverage": 1.5},
        {"character_coverage": 0.97},
        {"vocabulary_size": 260},
    ],
)
def test_impossible_options(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        SentencePiece(**options)  # type: ignore[arg-type]


def test_from_much_text_the_same_lines_are_drawn_in_every_process(monkeypatch) -> None:
    lines = [f"{number:04} {number % 7 * 'ab'}{number % 11 * 'cd'}" for number in range(1_000)]
    monkeypatch.setattr("s2s_plugins.tokenizers.sentencepiece._SAMPLED_LINES", 50)
    few = SentencePiece(vocabulary_size=330)
    few.train(lines)
    other = subprocess.run(
        [sys.executable, "-c", _TRAINED_ELSEWHERE],
        input="\n".join(lines).encode(),
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    assert few.dump() == other
    monkeypatch.undo()
    all_of_them = SentencePiece(vocabulary_size=330)
    all_of_them.train(lines)
    assert all_of_them.dump() != few.dump()


_TRAINED_ELSEWHERE = """
import sys
from s2s_plugins.tokenizers import sentencepiece
sentencepiece._SAMPLED_LINES = 50
tokenizer = sentencepiece.SentencePiece(vocabulary_size=330)
tokenizer.train(sys.stdin.read().split("\\n"))
sys.stdout.buffer.write(tokenizer.dump())
"""


def test_each_line_is_as_likely_to_be_drawn() -> None:
    drawn = [int(line) for line in _drawn(iter(map(str, range(10_000))), 1_000)]
    assert len(set(drawn)) == 1_000
    tenths = [sum(number // 1_000 == tenth for number in drawn) for tenth in range(10)]
    # a hypergeometric count of mean 100 and standard deviation 9; 5 of them
    assert all(abs(count - 100) < 45 for count in tenths), tenths
    assert list(_drawn(iter("abc"), 3)) == list("abc")  # as many as there may be: in their order
    assert list(_drawn(iter(""), 3)) == []


TAGS = ["<2de>", "<2de-x>", "<2>", 'a,"b']
TAGGED = [f"{tag} {line}" for tag in TAGS for line in TEXT]


def of_tags(**options: Any) -> SentencePiece:
    tokenizer = SentencePiece(**{"vocabulary_size": 330, "symbols": TAGS, **options})
    tokenizer.train(TAGGED)
    return tokenizer


@pytest.mark.parametrize("algorithm", ["bpe", "unigram"])
@pytest.mark.parametrize("normalization", ["identity", "nmt_nfkc_cf"])
def test_a_symbol_is_one_piece_wherever_it_stands(algorithm: str, normalization: str) -> None:
    tokenizer = of_tags(algorithm=algorithm, normalization=normalization, sampling_alpha=0.5)
    ids = {tag: tokenizer.tokens(range(tokenizer.vocabulary_size)).index(tag) for tag in TAGS}
    for tag in TAGS:
        for line in (f"{tag} the boat", f"the boat {tag}", f"the{tag}boat", f"{tag}{tag} saw the {tag}sea"):
            encodings = [tokenizer.encode(line), *tokenizer.encode_batch([line] * 40)]
            encodings += [tokenizer.encode_sampled(line, seed) for seed in range(20)]
            # the unigram model of so little text has letters alone
            assert algorithm == "unigram" or len({tuple(encoding) for encoding in encodings}) > 1
            for encoding in encodings:
                assert encoding.count(ids[tag]) == line.count(tag)
                assert not {ids[other] for other in TAGS if other != tag} & set(encoding)
                assert tokenizer.decode(encoding) == line
    learnt = [token for token in tokenizer.tokens(range(tokenizer.vocabulary_size)) if token not in TAGS]
    assert not any(tag in token for token in learnt for tag in TAGS)


def test_without_symbols_a_tag_is_several_pieces() -> None:
    tokenizer = trained()
    assert "<2de>" not in tokenizer.tokens(tokenizer.encode("<2de> the boat"))


def test_symbols_are_in_the_fingerprint_and_do_not_change_that_of_others() -> None:
    plain = SentencePiece().fingerprint()
    assert SentencePiece(symbols=[]).fingerprint() == plain
    others = {SentencePiece(symbols=symbols).fingerprint() for symbols in (["<a>"], ["<b>"], ["<a>", "<b>"])}
    assert len({plain, *others}) == 4


def test_tokenizers_with_symbols_conform() -> None:
    check_tokenizer(
        partial(SentencePiece, vocabulary_size=500, symbols=["<2de>", "<2fr>"], sampling_alpha=0.1)
    )


@pytest.mark.parametrize(
    ("symbols", "message"),
    [
        ([""], "symbols: '' is empty"),
        (["<2 de>"], "symbols: '<2 de>' holds white space, .* write it without, as <2de>"),
        (["<2de>\n"], "holds white space"),
        (["\u2581de"], "holds white space, U"),
        (
            ["<2de>", "<s>"],
            "symbols: '<s>' is reserved, as are <pad>, <unk>, </s> and <0x00> to <0xFF>; choose",
        ),
        (["<0x41>"], "symbols: '<0x41>' is reserved"),
        (["<a>", "<a>"], "symbols: '<a>' is there twice; name it once"),
    ],
)
def test_a_symbol_that_cannot_be_is_refused(symbols: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SentencePiece(symbols=symbols)


def test_symbols_need_their_place_and_a_model_that_is_learnt() -> None:
    with pytest.raises(
        ConfigError, match="262 ids are taken by special tokens, symbols and the bytes of byte_fallback; ask"
    ):
        SentencePiece(vocabulary_size=262, symbols=["<a>", "<b>"])
    with pytest.raises(ConfigError, match="model old.model has learnt its own; leave out symbols or model"):
        SentencePiece(model="old.model", symbols=["<a>"])
