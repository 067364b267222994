"""The translator: what a sentence gives depends on that sentence alone, and lines stay lines."""

import dataclasses
import signal
import subprocess
import sys
import threading
import time
import weakref

import pytest
import torch

from s2s.errors import BundleError, ConfigError, DataError
from s2s.export.folder import export_bundle
from s2s.inference.bundle import load_bundle
from s2s.inference.translator import Translator
from s2s.runtime.translator import OnnxTranslator
from s2s.text.batch import pad, pad_targets
from s2s.text.tokenizer import EOS
from tests.references.tiny import sentences, tiny_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return tiny_bundle(tmp_path_factory.mktemp("tiny") / "bundle")


@pytest.fixture(scope="module")
def translator(bundle):
    return Translator.load(bundle)


@pytest.mark.parametrize("beam", [1, 4])
@pytest.mark.parametrize(
    ("decoder", "cell", "attention"),
    [
        ("InputFeeding", "LSTM", "LuongGeneral"),
        ("InputFeeding", "GRU", "Bahdanau"),
        ("Recurrent", "LSTM", "ScaledDot"),
        ("Recurrent", "GRU", None),
        ("Recurrent", "Elman", "LuongConcat"),
    ],
)
def test_a_sentence_does_not_depend_on_its_batch(tmp_path, decoder, cell, attention, beam):
    bundle = load_bundle(tiny_bundle(tmp_path / "b", decoder=decoder, cell=cell, attention=attention))
    lines = sentences(64)
    # float64, so that the order of sums cannot blur what is to be seen: batch mates and padding change
    # nothing.
    exact = Translator(dataclasses.replace(bundle, model=bundle.model.double()))
    options = {"beam": beam, "minimum_ratio": 1.0, "results": True}
    together = exact.translate(lines, batch_tokens=10**6, **options)
    backwards = exact.translate(lines[::-1], batch_tokens=200, **options)[::-1]
    alone = [exact.translate(line, **options) for line in lines]
    assert len({one.text for one in together}) > 32, "this model does not tell its sentences apart"
    for one, two, three in zip(together, backwards, alone, strict=True):
        assert one.tokens == two.tokens == three.tokens
        assert one.log_probs == pytest.approx(two.log_probs, abs=1e-6)
        assert one.log_probs == pytest.approx(three.log_probs, abs=1e-6)


def test_float32_scores_within_the_invariant(translator):
    lines = sentences(64, seed=1)
    together = translator.translate(lines, results=True)
    alone = [translator.translate(line, results=True) for line in lines]
    for one, two in zip(together, alone, strict=True):
        assert one.tokens == two.tokens
        assert sum(one.log_probs) == pytest.approx(sum(two.log_probs), abs=1e-5 * len(one.log_probs))


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float64, 1e-6), (torch.float32, 1e-4)],  # a search returns float32
    ids=str,
)
def test_log_probs_are_those_of_teacher_forcing(bundle, beam, dtype, tolerance):
    loaded = load_bundle(bundle)
    loaded = dataclasses.replace(loaded, model=loaded.model.to(dtype))
    translator = Translator(loaded)
    for line in sentences(20, seed=2):
        result = translator.translate(line, beam=beam, results=True)
        source = pad([loaded.source_tokenizer.encode(line)])
        ids = loaded.target_tokenizer.encode(result.text)
        if loaded.target_tokenizer.decode(ids) != result.text or len(ids) != len(result.tokens):
            continue  # the unknown token cannot be encoded back
        target = pad_targets([ids])
        gold = target.ids[:, 1:]
        with torch.no_grad():
            decoded = loaded.model(
                source, target._replace(ids=target.ids[:, :-1], lengths=target.lengths - 1)
            )
            log_probs = loaded.model.head.log_probs(decoded, source)
        forced = log_probs.gather(-1, gold.unsqueeze(-1)).flatten().tolist()
        assert gold[0, -1] == EOS
        assert result.log_probs == pytest.approx(forced[: len(result.log_probs)], abs=tolerance)
        assert len(forced) - len(result.log_probs) == (0 if result.finished else 1)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("beam", [1, 3])
def test_threads_change_nothing(bundle, precision, beam):
    lines = sentences(64, seed=6)
    before = torch.get_num_threads()
    found = {}
    try:
        for threads in (1, 2, 3):
            translator = Translator.load(bundle, precision=precision, threads=threads)
            found[threads] = translator.translate(lines, beam=beam, results=True, batch_tokens=100)
    finally:
        torch.set_num_threads(before)
    # bfloat16 rounds what it is given: a last bit more or less there is 8 bits here.
    tolerance = 1e-5 if precision == "float32" else 0.02
    for one, two, three in zip(*found.values(), strict=True):
        assert one.tokens == two.tokens == three.tokens
        assert one.log_probs == pytest.approx(two.log_probs, abs=tolerance)
        assert one.log_probs == pytest.approx(three.log_probs, abs=tolerance)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_threads_that_translate_at_once_get_what_each_would_get_alone(bundle, two_threads):
    translator = Translator.load(bundle)
    texts = [sentences(30, seed=seed) for seed in range(4)]
    expected = [Translator.load(bundle).translate(lines, results=True) for lines in texts]
    start, found, torch_says = threading.Barrier(4), {}, {}

    def work(number):
        start.wait(10)
        found[number] = translator.translate(texts[number], results=True, batch_tokens=100)
        torch_says[number] = torch.get_num_threads()

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert torch_says == dict.fromkeys(range(4), 2)
    for number, alone in enumerate(expected):
        assert [one.tokens for one in found[number]] == [one.tokens for one in alone]
        for one, two in zip(found[number], alone, strict=True):
            # As invariant 2 says: of the score, per token.
            assert sum(one.log_probs) == pytest.approx(sum(two.log_probs), abs=1e-5 * len(two.log_probs))


def test_ctrl_c_does_not_wait_for_a_long_search(bundle):
    translator = Translator.load(bundle, threads=2)
    main = threading.main_thread().ident
    timer = threading.Timer(0.3, signal.pthread_kill, (main, signal.SIGINT))
    timer.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        translator.translate("abc", beam=1, min_tokens=10**6, limit_extra=10**6)  # it would take minutes
    assert time.monotonic() - began < 20


def test_an_error_in_a_thread_is_raised_and_the_threads_are_as_before(bundle, monkeypatch):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        translator = Translator.load(bundle)

        def fail(*arguments, **options):
            raise DataError("no search today")

        monkeypatch.setattr(translator.bundle.search, "search", fail)
        with pytest.raises(DataError, match="no search today"):
            translator.translate(sentences(20), batch_tokens=50)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_folding_changes_nothing(bundle, precision):
    lines = sentences(40, seed=7)
    translator = Translator.load(bundle, precision=precision)
    first = translator.translate("a", results=True)
    assert translator._members[0].prepared.folded is None, "one token does not pay for the vocabulary"
    translator.translate(lines)
    assert translator._members[0].prepared.folded is not None
    again = translator.translate("a", results=True)
    assert again.tokens == first.tokens
    assert again.log_probs == pytest.approx(first.log_probs, abs=1e-5 if precision == "float32" else 0.02)


def test_a_model_is_folded_once_even_if_there_is_nothing_to_fold(bundle, monkeypatch):
    translator, folded = Translator.load(bundle), []
    monkeypatch.setattr(translator._members[0].prepared, "fold", lambda: folded.append(1))
    for _ in range(3):
        translator.translate(sentences(40, seed=7))
    assert folded == [1]


def test_while_a_thread_folds_the_model_others_go_on(bundle):
    translator = Translator.load(bundle)
    with translator._members[0]._folding:  # as in a process that was forked in the meantime
        translator.translate(sentences(40, seed=7))
        assert translator._members[0].prepared.folded is None
    translator.translate(sentences(40, seed=7))
    assert translator._members[0].prepared.folded is not None


def test_order_and_empty_lines(translator):
    lines = ["", "abc", "", "de", "fghijk", "", "abc", ""]
    outputs = translator.translate(lines)
    assert [bool(line) for line in outputs[::2]] == [False, False, bool(outputs[4]), bool(outputs[6])]
    assert outputs[0] == outputs[2] == outputs[5] == outputs[7] == ""
    assert outputs[1] == outputs[6] == translator.translate("abc")
    assert translator.translate([]) == []
    assert translator.translate("") == ""
    assert translator.translate(("abc", "de")) == [outputs[1], outputs[3]]
    empty = translator.translate("", results=True)
    assert (empty.text, empty.tokens, empty.finished) == ("", [], True)


def test_a_text_of_lines_is_translated_line_by_line(translator):
    lines = ["abc", "", "de"]
    assert translator.translate("abc\n\nde") == "\n".join(translator.translate(lines))
    assert translator.translate(["abc\n\nde", "abc"]) == [
        "\n".join(translator.translate(lines)),
        translator.translate("abc"),
    ]
    assert translator.translate("\n") == "\n"
    # Other line ends are characters as good as any.
    assert "\n" not in translator.translate("abc\rde\u2028f\x0bg\x85h")
    with pytest.raises(DataError, match="text 1 has several lines.*split it at its newlines"):
        translator.translate(["abc", "d\ne"], results=True)


@pytest.mark.parametrize(
    "text",
    [
        "\ud800 half a pair",
        "\x00\x01",
        "🎉 日本語 שלום",
        " ",
        "\t\t",
        "x" * 3000,
        "\ufffe\U0010ffff",
        "a\u0301\u200d",
    ],
)
def test_every_str_is_accepted(translator, text):
    output = translator.translate(text, beam=1)
    assert isinstance(output, str) and "\n" not in output
    output.encode("utf-8")


def test_a_newline_that_the_model_says_does_not_break_the_line(tmp_path):
    translator = Translator.load(tiny_bundle(tmp_path / "b", target_text=["\nab"]))
    outputs = translator.translate(sentences(20), limit_extra=60)
    assert not any("\n" in output for output in outputs)
    assert any(" " in output for output in outputs)


def test_n_best_and_scores(translator):
    for line in sentences(5, seed=3):
        result = translator.translate(line, beam=4, n_best=4, results=True)
        found = [result, *result.alternatives]
        finished = [one for one in found if one.finished]
        assert found[: len(finished)] == finished
        assert [one.score for one in finished] == sorted((one.score for one in finished), reverse=True)
        assert len(found) == 4
        for one in found:
            assert len(one.log_probs) == len(one.tokens) + one.finished
            assert one.score == pytest.approx(
                sum(one.log_probs) / ((5 + len(one.log_probs)) / 6) ** 0.6, abs=1e-5
            )
            assert one.source_tokens == list(line)
        plain = translator.translate(line, beam=4, normalization="none", results=True)
        assert plain.score == pytest.approx(sum(plain.log_probs), abs=1e-5)
        assert translator.translate(line, beam=3, alpha=0.0) == translator.translate(
            line, normalization="none"
        )


def test_lengths_are_relative_to_the_source(translator):
    lines = sentences(30, seed=4)
    for result, line in zip(
        translator.translate(lines, limit_ratio=0.5, limit_extra=1, results=True), lines, strict=True
    ):
        assert len(result.tokens) <= len(line) // 2 + 1
    for result, line in zip(translator.translate(lines, minimum_ratio=1.5, results=True), lines, strict=True):
        assert len(result.tokens) >= 1.5 * len(line)
    # A minimum above the limit gives way to it.
    for result in translator.translate(lines, minimum_ratio=9, limit_ratio=1, limit_extra=0, results=True):
        assert len(result.tokens) == len(result.source_tokens)


def test_attention_weights_on_demand(translator):
    result = translator.translate("abcdef", results=True, weights=True)
    assert result.weights.shape == (len(result.tokens), 6)
    assert result.weights.sum(dim=1).tolist() == pytest.approx([1.0] * len(result.tokens), abs=1e-5)
    assert translator.translate("abcdef", results=True).weights is None


def test_bfloat16(bundle):
    lines = sentences(16, seed=5)
    fast = Translator.load(bundle, precision="bfloat16").translate(lines, beam=1, results=True, limit_extra=1)
    exact = Translator.load(bundle).translate(lines, beam=1, results=True, limit_extra=1)
    # bf16 keeps 8 bits of the mantissa: the first token's log-probability agrees to a few percent where the
    # tokens agree.
    same = [(a, b) for a, b in zip(fast, exact, strict=True) if a.tokens[:1] == b.tokens[:1] and a.tokens]
    assert len(same) >= 8
    assert all(a.log_probs[0] == pytest.approx(b.log_probs[0], abs=0.3) for a, b in same)
    assert any(a.log_probs != b.log_probs for a, b in same), "bfloat16 was not used"


@pytest.mark.parametrize("window", [1, 2, 3, 5, 1000])
def test_a_stream_is_what_translate_gives_for_every_window(translator, window):
    texts = ["", "abc\n\nde", *sentences(20, seed=8), "", "\n"]
    expected = translator.translate(texts)
    assert list(translator.stream(iter(texts), window=window)) == expected
    assert translator.translate(iter(texts)) == expected
    lines = sentences(12, seed=9)
    results = list(translator.stream(lines, window=window, results=True, n_best=2, batch_tokens=40))
    for one, two in zip(results, translator.translate(lines, results=True, n_best=2), strict=True):
        assert one.tokens == two.tokens and len(one.alternatives) == len(two.alternatives)
        assert one.log_probs == pytest.approx(two.log_probs, abs=1e-5)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("window", [1, 2, 5, 8])
def test_a_stream_reads_no_more_than_its_window_ahead(bundle, window, threads, two_threads):
    torch.set_num_threads(threads)
    translator = Translator.load(bundle)
    read = answered = 0
    most = 0

    def endless():
        nonlocal read, most
        while True:
            read += 1
            most = max(most, read - answered)
            yield "abc"[: read % 4]

    stream = translator.stream(endless(), window=window, beam=1, batch_tokens=4)
    assert read == 0, "lazy"
    for answered in range(29):  # noqa: B007
        next(stream)
    stream.close()
    # It must read far enough to fill its two halves, and no further.
    assert most == (window if window % 2 == 0 or window == 1 else window - 1)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("window", [1, 2, 6, 1000])
@pytest.mark.parametrize("last", [OSError("the disk is gone"), 3])
def test_a_stream_answers_what_came_before_an_error(translator, window, last):
    lines = sentences(8, seed=9)

    def broken():
        yield from lines
        if isinstance(last, OSError):
            raise last
        yield last

    answers = []
    with pytest.raises((OSError, DataError), match="the disk is gone|text 8 is a int"):
        answers.extend(translator.stream(broken(), window=window))
    assert answers == translator.translate(lines)


@pytest.mark.parametrize("results", [False, True])
def test_a_stream_forgets_what_it_has_answered(translator, results):
    class Line(str):
        pass

    seen = []

    def lines():
        while True:
            line = Line("abc")
            seen.append(weakref.ref(line))
            yield line

    stream = translator.stream(lines(), window=4, beam=1, results=results)
    for _ in range(40):
        next(stream)
    # Two windows of two, and what the generators have in their hands.
    assert sum(line() is not None for line in seen) <= 8


def test_a_stream_of_long_texts_is_bounded_by_their_letters(translator, monkeypatch):
    monkeypatch.setattr("s2s.inference.windows.WINDOW_LETTERS", 10)
    read = []
    texts = (read.append(text) or text for text in ["abcdefghijkl"] * 9)
    next(translator.stream(texts, beam=1))
    assert len(read) == 2, "one window that is answered, one that is searched meanwhile"


def test_windows_of_ones_own(translator):
    lines = sentences(7, seed=10)
    expected = translator.translate(lines)
    answered, asked = [], []

    def windows():
        for first in range(0, 7, 2):
            yield lines[first : first + 2]
            yield []  # all answers before anything else is read
            asked.append(len(answered))

    for found in translator.stream_windows(windows()):
        answered += [one.text for one in found]
    assert answered == expected
    assert asked == [2, 4, 6, 7]


def test_what_cannot_be_is_said_before_the_first_text_is_read(translator):
    with pytest.raises(ConfigError, match="window is 0; it must be 1 or more"):
        translator.stream(["abc"], window=0)
    with pytest.raises(ConfigError, match="beam is 0"):
        translator.stream(["abc"], beam=0)
    with pytest.raises(BundleError, match="the bundle has no shortlist"):
        translator.stream(["abc"], shortlist=True)
    with pytest.raises(ConfigError, match="unknown option 'beem'; did you mean 'beam'"):
        translator.translate("abc", beem=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam": 0}, "beam is 0"),
        ({"beam": 2, "n_best": 3}, "n_best 3 is impossible with a beam of 2"),
        ({"normalization": "mean"}, "unknown normalization 'mean'; known: wu, length, none"),
        ({"limit_extra": -1}, "limit_extra is -1"),
        ({"batch_tokens": 0}, "batch_tokens is 0; it must be 1 or more"),
    ],
)
def test_impossible_options(translator, options, message):
    with pytest.raises(ConfigError, match=message):
        translator.translate("abc", **options)


def test_what_is_no_text(translator):
    with pytest.raises(DataError, match="text 1 is a bytes, not a str: b'de'"):
        translator.translate(["abc", b"de"])
    with pytest.raises(DataError, match="text 1 is a bytes, not a str: b'de'"):
        list(translator.stream(["abc", b"de"]))
    with pytest.raises(DataError, match="for one text use translate"):
        translator.stream("abc")


def test_absolute_lengths(translator):
    lines = sentences(30, seed=4)
    for result in translator.translate(lines, max_tokens=3, results=True):
        assert len(result.tokens) <= 3
    for result in translator.translate(lines, min_tokens=9, results=True):
        assert len(result.tokens) >= 9
    # A minimum above the limit gives way to it.
    for result in translator.translate(lines, min_tokens=9, max_tokens=4, results=True):
        assert len(result.tokens) == 4


def test_a_long_line_is_read_as_far_as_the_encoder_can(tmp_path):
    table = {"hidden_size": 10, "layers": 1, "positions": "learned", "longest": 10}
    bundle = tiny_bundle(tmp_path / "b", encoder={"class_path": "Convolutional", "init_args": table})
    exported = export_bundle(bundle, tmp_path / "exported")
    for one in (Translator.load(bundle), OnnxTranslator.load(exported)):
        lines = ["abcdeabcdeab", "abc", ""]
        found = one.translate(lines, results=True)
        assert [result.truncated for result in found] == [True, False, False]
        assert [result.text for result in found] == [one.translate("abcdeabcde"), one.translate("abc"), ""]
        assert one.translate("abcdeabcdeab", max_source_tokens=3, results=True).text == one.translate("abc")
        with pytest.warns(UserWarning, match="1 of 3 lines have more than 10 tokens; only so many"):
            one.translate(lines)


def test_a_long_line_is_read_as_far_as_allowed_and_this_is_told(translator):
    lines = ["abcdefgh", "abc", "abcdefghi", ""]
    cut, whole, *_ = translator.translate(lines, max_source_tokens=5, results=True)
    assert (cut.truncated, whole.truncated) == (True, False)
    assert cut.source_tokens == list("abcde")
    assert cut.text == translator.translate("abcde")
    assert not translator.translate("abcde", max_source_tokens=5, results=True).truncated
    with pytest.warns(UserWarning, match="2 of 4 lines have more than 5 tokens.*See max_source_tokens"):
        translator.translate(lines, max_source_tokens=5)
    with pytest.warns(UserWarning, match="1 of 1 lines have more than 5 tokens"):
        list(translator.stream(["a\nb", "abcdefgh"][1:], max_source_tokens=5))


def test_impossible_places(bundle):
    with pytest.raises(ConfigError, match="unknown precision 'float16'; choose one of float32, bfloat16"):
        Translator.load(bundle, precision="float16")
    with pytest.raises(ConfigError, match="device 'gpu' cannot be used here"):
        Translator.load(bundle, device="gpu")
    with pytest.raises(ConfigError, match="threads is 0"):
        Translator.load(bundle, threads=0)


def test_needs_no_lightning_and_no_pickle(bundle):
    program = (
        "import sys, s2s, pickle, torch\n"
        "pickle.load = pickle.loads = torch.load = None\n"
        f"print(s2s.Translator.load({str(bundle)!r}).translate('abc', beam=2))\n"
        "heavy = [name for name in sys.modules if 'lightning' in name or name == 'sacrebleu']\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
