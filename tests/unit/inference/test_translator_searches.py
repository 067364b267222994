"""What the translator can be asked for beyond the best output: samples, phrases, words that are not, several models."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
import torch
from sacrebleu.metrics.bleu import BLEU as SacreBLEU
from sacrebleu.metrics.chrf import CHRF

from s2s.errors import ConfigError
from s2s.inference.bundle import load_bundle
from s2s.inference.options import Options
from s2s.inference.strategies import strategy_of
from s2s.inference.translator import Translator
from s2s.registry import use_plugins
from s2s.text.shortlist import Shortlist
from s2s.text.tokenizer import BOS, EOS, PAD, UNK, UNKNOWN_TEXT
from s2s_plugins.metrics.rouge import ROUGE1
from tests.references.tiny import sentences, tiny_bundle

LINES = sentences(8, seed=21)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tiny")


@pytest.fixture(scope="module")
def bundle(folder):
    return load_bundle(tiny_bundle(folder / "one"))


@pytest.fixture(scope="module")
def translator(bundle):
    return Translator(bundle)


def trigrams(text):
    return [text[place : place + 3] for place in range(len(text) - 2)]


def test_no_ngram_twice(translator):
    free = translator.translate(LINES, min_tokens=30, limit_extra=40)
    assert any(max(Counter(trigrams(text)).values()) > 1 for text in free), "nothing to forbid"
    for search in ("Beam", "Greedy", "Sampling"):
        found = translator.translate(
            LINES, search=search, no_repeat_ngram=3, min_tokens=30, limit_extra=40, results=True
        )
        for one in found:
            assert max(Counter(zip(*(one.tokens[n:] for n in range(3)), strict=False)).values()) == 1


def test_banned_words(translator):
    free = translator.translate(LINES)
    common = [
        pair
        for pair, _ in Counter(
            a + b for text in free for a, b in zip(text, text[1:], strict=False)
        ).most_common(2)
    ]
    found = translator.translate(LINES, banned=common)
    assert not any(pair in text for pair in common for text in found)
    with pytest.raises(ConfigError, match="the model has no tokens for '🎉'; choose other words"):
        translator.translate(LINES, phrases=["a", "🎉"])
    assert translator.translate(LINES, banned=["🎉"]) == free, "what it cannot say needs no ban"


def test_a_forced_prefix(translator):
    found = translator.translate(LINES, prefix="abc ", beam=2)
    assert all(text.startswith("abc") for text in found)
    assert len(set(found)) > 1
    with pytest.raises(ConfigError, match="the model has no tokens for '🎉'; choose other words"):
        translator.translate(LINES, prefix="🎉")


def test_phrases(translator):
    found = translator.translate(LINES, phrases=["xyz", "que"], results=True)
    assert all("xyz" in one.text and "que" in one.text for one in found)
    (cut,) = translator.translate(["a"], phrases=["xyz", "que"], max_tokens=3, results=True)
    assert cut.unmet and not cut.finished


def test_what_an_output_lacks_is_told_however_it_came_to_lack_it(translator):
    cut, empty, whole = translator.translate(["a", "", "b"], prefix="abcdef", max_tokens=2, results=True)
    assert not cut.finished and "abcdef".startswith(cut.text)
    assert cut.unmet == empty.unmet == ["abcdef"] and empty.text == ""
    assert whole.unmet == ["abcdef"], "each line is cut"
    (longer,) = translator.translate(["a"], prefix="abcdef", max_tokens=9, results=True)
    assert longer.text.startswith("abcdef") and longer.unmet == []
    with pytest.warns(UserWarning, match="1 of 1 outputs lack a requested phrase or prefix"):
        assert translator.translate([""], phrases=["ab"], prefix="c") == [""]
    (both,) = translator.translate([""], phrases=["ab"], prefix="c", results=True)
    assert both.unmet == ["c", "ab"]


def test_white_space_is_like_an_empty_line(translator):
    blank = ["", "   ", " \t ", "\u00a0", "a"]
    found = translator.translate(blank, results=True)
    assert [one.text for one in found] == ["", "", "", "", translator.translate("a")]
    assert [one.source_tokens for one in found[:4]] == [[], [], [], []]


def test_groups_say_different_things(translator):
    options = {"beam": 6, "n_best": 3, "min_tokens": 3, "results": True}
    beginnings = {}
    for strength in (0.0, 5.0):
        found = translator.translate(LINES, groups=3, strength=strength, **options)
        beginnings[strength] = sum(
            len({other.text[:1] for other in [one, *one.alternatives]}) for one in found
        )
    assert beginnings[5.0] > beginnings[0.0]


def test_samples_are_a_function_of_the_line_and_the_seed(translator):
    options = {"samples": 3, "temperature": 1.5, "limit_extra": 3, "limit_ratio": 1, "results": True}
    found = translator.translate(LINES, seed=7, **options)
    alone = [translator.translate(line, seed=7, **options) for line in LINES]
    assert [one.text for one in found] == [one.text for one in alone]
    assert [len(one.alternatives) for one in found] == [2] * len(LINES)
    assert [one.text for one in found] != [one.text for one in translator.translate(LINES, seed=8, **options)]
    greedy = translator.translate(LINES, beam=1)
    assert translator.translate(LINES, top_k=1) == greedy


@pytest.mark.parametrize(
    "options",
    [
        {"samples": 2, "seed": 3, "top_p": 0.9},
        {"beam": 3, "banned": ["a", "th"], "beta": 0.2},
        {"phrases": ["xy"], "no_repeat_ngram": 2},
        {"beam": 4, "groups": 2, "prefix": "ab"},
    ],
    ids=lambda options: next(iter(options)),
)
def test_batches_windows_and_threads_change_nothing(folder, translator, options):
    before = torch.get_num_threads()
    alone = [translator.translate(line, results=True, **options) for line in LINES]
    try:
        several = Translator.load(folder / "one", threads=2)
        streamed = list(several.stream(LINES, window=6, batch_tokens=40, results=True, **options))
    finally:
        torch.set_num_threads(before)
    assert [one.tokens for one in streamed] == [one.tokens for one in alone]
    for one, two in zip(streamed, alone, strict=True):
        assert one.log_probs == pytest.approx(two.log_probs, abs=1e-5)  # sums of float32 in another order


def test_the_coverage_penalty_reads_attention(translator):
    plain = translator.translate(LINES, beam=3, results=True)
    covered = translator.translate(LINES, beam=3, beta=0.5, results=True)
    assert all(one.weights is None for one in covered)
    assert any(one.score != two.score for one, two in zip(plain, covered, strict=True))


GAINS = {
    "ChrF": lambda output, reference: CHRF().sentence_score(output, [reference]).score,
    "ChrF,word_order=2": lambda output, reference: (
        CHRF(word_order=2).sentence_score(output, [reference]).score
    ),
    "BLEU": lambda output, reference: (
        SacreBLEU(effective_order=True).sentence_score(output, [reference]).score
    ),
    "ROUGE1": lambda output, reference: ROUGE1().score([output], [[reference]]).value,
}


@pytest.mark.parametrize("risk", GAINS)
def test_minimum_risk(translator, risk):
    options = {"samples": 6, "limit_extra": 2, "limit_ratio": 1.0, "temperature": 0.7, "results": True}
    drawn = translator.translate(LINES, **options)
    best = translator.translate(LINES, minimum_risk=risk, **options)
    changed = 0
    for one, chosen in zip(drawn, best, strict=True):
        texts = [one.text, *(other.text for other in one.alternatives)]
        gains = {text: sum(GAINS[risk](text, other) for other in texts) / 6 for text in texts}
        assert chosen.score == pytest.approx(max(gains.values()))
        assert chosen.text in texts and gains[chosen.text] == pytest.approx(chosen.score)
        ranked = [chosen, *chosen.alternatives]
        assert sorted(text.text for text in ranked) == sorted(gains), "each once"
        assert [text.score for text in ranked] == sorted(gains.values(), reverse=True)
        changed += chosen.text != one.text
    assert changed, "the most probable sample was always the best"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"search": "Greedy", "beam": 3}, "search 'Greedy' takes no 'beam'. What takes it: Beam, "),
        ({"beam": 3, "temperature": 2.0}, "search 'Sampling' takes no 'beam'. What takes it: Beam, "),
        ({"seed": 3}, "search 'Beam' takes no 'seed'. What takes it: Sampling"),
        ({"search": "Beem"}, "did you mean 'Beam'"),
        ({"samples": 2, "minimum_risk": "chrf"}, "did you mean 'ChrF'"),
        ({"samples": 2, "minimum_risk": "ChrF,words=2"}, "metric 'ChrF': unknown option 'words'"),
        ({"groups": 2, "phrases": ["a"]}, "takes no 'phrases'. What takes it: ConstrainedBeam"),
    ],
)
def test_what_a_search_cannot_do_it_refuses_by_name(translator, options, message):
    with pytest.raises(ConfigError) as caught:
        translator.translate("abc", **options)
    assert message in str(caught.value)


def test_what_the_bundle_recommends_holds_where_nothing_else_is_given(bundle):
    def chosen(recommended, **given):
        return strategy_of(Options.of(given), bundle.search, recommended)

    drawing = {"class_path": "Sampling", "init_args": {"samples": 2, "top_k": 5}}
    assert chosen(drawing) is bundle.search
    strategy = chosen(drawing, seed=4)
    assert (strategy.samples, strategy.top_k, strategy.seed) == (2, 5, 4)
    assert type(chosen(drawing, beam=2)).__name__ == "Beam"
    assert type(chosen(drawing, beam=1)).__name__ == "Greedy"
    beam = {"class_path": "Beam", "init_args": {"size": 3, "alpha": 0.2}}
    strategy = chosen(beam, phrases=["a"])
    assert (type(strategy).__name__, strategy.lengths.alpha) == ("ConstrainedBeam", 0.2)
    strategy = chosen(beam, n_best=2)
    assert (type(strategy).__name__, strategy.size, strategy.n_best) == ("Beam", 3, 2)


STRANGER = """
from s2s.registry import hookimpl
from s2s.search.hypotheses import Hypothesis
from s2s.search.strategy import SearchStrategy


class Says(SearchStrategy):
    \"\"\"Says one token again and again.

    Args:
        token: that it says.
        times: how often.
    \"\"\"

    def __init__(self, *, token: int, times: int = 2) -> None:
        self.tokens = [token] * times

    def search(self, stepper, state, *, bos, eos, limits, minimums):
        return [[Hypothesis(self.tokens, 0.0, [0.0] * len(self.tokens), False)] for _ in limits]


@hookimpl
def s2s_search_strategies():
    return {"Says": "made_up_says:Says"}
"""


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    module = tmp_path_factory.mktemp("plugins") / "made_up_says.py"
    module.write_text(STRANGER)
    use_plugins(plugin_dirs=[module])
    yield
    use_plugins()


def test_options_of_a_search_that_no_translation_knows(stranger, translator, bundle):
    once, thrice = (
        translator.translate("abc", search=search, results=True).tokens
        for search in ("Says,token=5,times=1", "Says,token=5,times=3")
    )
    assert len(once) == 1 and thrice == once * 3
    recommended = {"class_path": "Says", "init_args": {"token": 6, "times": 4}}
    strategy = strategy_of(Options.of({"search": "Says,times=1"}), bundle.search, recommended)
    assert strategy.tokens == [6], "what is not given is as the bundle recommends"


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ("Says", "search 'Says': option 'token' has no default; give it a value"),
        ("Says,tokem=5", "unknown option 'tokem'; did you mean 'token'"),
        ("Says,token=a", "option 'token' is 'a'; it must be of type int"),
        ("Says,token", "search 'token': expected KEY=VALUE"),
        ("Beam,size=3", "'size' is given beside the search, as 'beam', not within its name"),
        ("Beam,alpha=1", "'alpha' is given beside the search, as 'alpha', not within its name"),
    ],
)
def test_options_of_a_search_that_cannot_be(stranger, translator, search, message):
    with pytest.raises(ConfigError) as caught:
        translator.translate("abc", search=search)
    assert message in str(caught.value)


def test_unknowns_become_the_source_word_that_was_looked_at(folder):
    bundle = load_bundle(tiny_bundle(folder / "unknown"))
    with torch.no_grad():
        bundle.model.head.bias[UNK] = 20.0  # it knows nothing
    translator = Translator(bundle)
    # With one word there is but one that can have been looked at.
    plain = translator.translate("Größe7", max_tokens=3, results=True, weights=True)
    assert UNKNOWN_TEXT in plain.text
    found = translator.translate("Größe7", max_tokens=3, replace_unknowns=True, results=True)
    assert found.text == plain.text.replace(UNKNOWN_TEXT, "Größe7") and found.weights is None
    # With several, the attention says which.
    line = "abc def ghi"
    plain = translator.translate(line, max_tokens=4, results=True, weights=True)
    words = line.split()
    looked = [int(row.argmax()) for row in plain.weights]
    assert set(plain.tokens) == {"<unk>"}
    # A piece is a letter here, and the space before a word belongs to it.
    expected = "".join(words[line[: place + 1].count(" ")] for place in looked)
    assert translator.translate(line, max_tokens=4, replace_unknowns=True) == expected
    blind = load_bundle(tiny_bundle(folder / "blind", decoder="Recurrent", attention=None))
    with torch.no_grad():
        blind.model.head.bias[UNK] = 20.0
    with pytest.raises(ConfigError, match="this model has no attention.*translate without replace_unknowns"):
        Translator(blind).translate("abc", replace_unknowns=True)


class TestSeveralModels:
    def test_twins_say_what_one_says(self, bundle, folder):
        twins = Translator.load(folder / "one", models=[folder / "one", folder / "one"])
        alone = Translator(bundle)
        for one, two in zip(
            twins.translate(LINES, results=True, weights=True),
            alone.translate(LINES, results=True, weights=True),
            strict=True,
        ):
            assert one.tokens == two.tokens
            assert one.log_probs == pytest.approx(two.log_probs, abs=1e-5)
            assert torch.allclose(one.weights, two.weights, atol=1e-5)

    def test_each_token_has_the_mean_of_the_probabilities(self, bundle, folder):
        # The first token is said before anything else: its probabilities are those of each model alone.
        other = load_bundle(tiny_bundle(folder / "other", seed=5))
        options = {"samples": 40, "max_tokens": 1, "results": True}
        together = Translator(bundle, models=[other]).translate("abc", **options)
        alone = [
            {tuple(one.tokens): one.log_probs[0] for one in [found, *found.alternatives]}
            for found in (Translator(each).translate("abc", **options) for each in (bundle, other))
        ]
        compared = 0
        for one in [together, *together.alternatives]:
            if all(tuple(one.tokens) in each for each in alone):
                compared += 1
                logs = torch.tensor([each[tuple(one.tokens)] for each in alone])
                assert one.log_probs[0] == pytest.approx(float(logs.exp().mean().log()), abs=1e-5)
        assert compared

    def test_batches_and_threads_change_nothing(self, bundle, folder):
        other = load_bundle(tiny_bundle(folder / "third", seed=6))
        translator = Translator(bundle, models=[other])
        together = translator.translate(["", *LINES], results=True)
        assert together[0].text == ""
        for one, line in zip(together[1:], LINES, strict=True):
            assert one.tokens == translator.translate(line, results=True).tokens

    def test_constraints_penalties_and_shortlists_hold_for_all_together(self, bundle, folder):
        size = bundle.target_tokenizer.vocabulary_size
        nothing = np.full((size, 1), PAD, dtype=np.int32)
        short = Shortlist(nothing, np.array([PAD, UNK, BOS, EOS, 7, 8, 9], dtype=np.int32))
        bundle = dataclasses.replace(bundle, shortlist=short)
        allowed = set(bundle.target_tokenizer.decode([7, 8, 9]))
        other = load_bundle(tiny_bundle(folder / "fourth", seed=7))
        translator = Translator(bundle, models=[other])
        free = translator.translate(LINES, shortlist=True, min_tokens=4, beta=0.3)
        assert set("".join(free)) <= allowed | {UNKNOWN_TEXT}
        pair = Counter(text[:2] for text in free).most_common(1)[0][0]
        assert not any(
            pair in text
            for text in translator.translate(LINES, shortlist=True, min_tokens=4, beta=0.3, banned=[pair])
        )
        assert all(text.startswith("zz") for text in translator.translate(LINES, prefix="zz", samples=2))

    def test_the_target_pieces_must_be_the_same(self, bundle, folder):
        larger = load_bundle(tiny_bundle(folder / "larger", target_text=["abcdefgh"]))
        with pytest.raises(ConfigError, match="the first model has .* target pieces and number 2 has"):
            Translator(bundle, models=[larger])
        text = ["abcdefghijklmnopqrstuvwxyz .,äß!"]  # as many, and another
        another = load_bundle(tiny_bundle(folder / "another", target_text=text))
        with pytest.raises(ConfigError, match="target piece .* in the first model and .* in number 2"):
            Translator(bundle, models=[another])
