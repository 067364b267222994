"""Texts that a language model writes: against the model by hand, counted draws, all texts that there are."""

import itertools
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

import s2s
from s2s.errors import BundleError, ConfigError, DataError
from s2s.inference.generator import Generator
from s2s.inference.model_bundle import load_model_bundle
from s2s.nn import LanguageModel
from s2s.nn.language_model import no_source
from s2s.nn.prepared import Prepared
from s2s.padded import Padded
from s2s.search.hypotheses import Hypothesis
from s2s.text.tokenizer import BOS, EOS, PAD, UNK
from s2s_plugins.search.beam import Beam
from tests.references.tiny import tiny_bundle
from tests.references.tiny_language_model import tiny_language_model


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_language_model(tmp_path_factory.mktemp("lm") / "bundle")


@pytest.fixture(scope="module")
def generator(bundle: Path) -> Generator:
    return Generator.load(bundle)


@pytest.fixture(scope="module")
def model(bundle: Path) -> LanguageModel:
    """The model by itself, in float64."""
    return load_model_bundle(bundle, LanguageModel).model.double()


def next_log_probs(model: LanguageModel, read: list[int]) -> torch.Tensor:
    """Of every token after those that were read, the whole of them read anew."""
    with torch.no_grad():
        decoded, _ = model(Padded(torch.tensor([[BOS, *read]]), torch.tensor([len(read) + 1])))
        return model.head.log_probs(decoded, no_source(torch.tensor([1])))[0, -1]


def sayable(model: LanguageModel, read: list[int]) -> torch.Tensor:
    values = next_log_probs(model, read)
    values[[PAD, UNK, BOS]] = -torch.inf
    return values


def test_greedy_takes_the_most_probable_token_at_each_step(
    generator: Generator, model: LanguageModel
) -> None:
    found = generator.generate("the", search="Greedy", results=True, max_tokens=12)
    read, said, values = generator.tokenizer.encode("the"), [], []
    while len(said) < 12 and EOS not in said:
        log_probs = sayable(model, [*read, *said])
        said.append(int(log_probs.argmax()))
        values.append(float(log_probs.max()))
    assert found.tokens == generator.tokenizer.tokens(said)
    assert found.log_probs == pytest.approx(values, abs=1e-5)
    assert found.score == pytest.approx(sum(values), abs=1e-4)
    assert found.text == generator.tokenizer.decode([*read, *said])
    assert found.finished == (EOS in said)


def test_draws_are_as_frequent_as_they_are_probable(generator: Generator, model: LanguageModel) -> None:
    """Of 2,000 first words each is within four standard deviations."""
    drawn = Counter(
        one.tokens[0]
        for one in generator.generate("old", count=2000, results=True, max_tokens=1)
        if one.tokens
    )
    share = sayable(model, generator.tokenizer.encode("old")).exp()
    share = share / share.sum()
    for token in range(EOS + 1, len(share)):
        p = float(share[token])
        expected = generator.tokenizer.tokens([token])[0]
        assert abs(drawn[expected] - 2000 * p) <= 4 * math.sqrt(2000 * p * (1 - p)) + 1, expected


@pytest.mark.parametrize(
    ("options", "allowed"), [({"top_k": 2}, 2), ({"top_p": 1e-6}, 1), ({"temperature": 0.01}, 1)]
)
def test_draws_are_limited_to_what_is_likely(
    generator: Generator, model: LanguageModel, options: dict[str, Any], allowed: int
) -> None:
    best = sayable(model, []).topk(allowed).indices.tolist()
    found = generator.generate(count=64, results=True, max_tokens=1, min_tokens=0, **options)
    first = {one.tokens[0] if one.tokens else "cut" for one in found}
    assert first <= {*generator.tokenizer.tokens(best), "cut"}


def test_a_beam_finds_the_best_text_of_all(generator: Generator, model: LanguageModel) -> None:
    """Every text of two words at most after a prompt, by its log-probability."""
    prompt = generator.tokenizer.encode("sea")
    words = range(EOS + 1, model.vocabulary_size)
    scores = {}
    for said in itertools.chain(*(itertools.product(words, repeat=length) for length in (0, 1, 2))):
        read, total = list(prompt), 0.0
        for token in (*said, EOS):
            total += float(next_log_probs(model, read)[token])
            read.append(token)
        scores[said] = total
    best = sorted(scores, key=lambda said: -scores[said])[:3]
    found = generator.generate(
        "sea", count=3, results=True, beam=60, normalization="none", alpha=0.0, max_tokens=2
    )
    finished = [one for one in found if one.finished]
    assert [one.text for one in finished] == [generator.tokenizer.decode([*prompt, *said]) for said in best]
    assert [one.score for one in finished] == pytest.approx([scores[said] for said in best], abs=1e-4)


def test_a_text_depends_on_seed_prompt_and_number_alone(generator: Generator) -> None:
    many = generator.generate("the", count=100)
    assert generator.generate("the", count=7) == many[:7]
    assert generator.generate("the") == many[0]
    assert len(set(many)) > 30
    assert generator.generate("the", count=7, seed=2) != many[:7]
    ends = [text.removeprefix("the") for text in many[:20]]
    assert [text.removeprefix("sea") for text in generator.generate("sea", count=20)] != ends


@pytest.mark.parametrize("decoder", ["Recurrent", "InputFeeding"])
@pytest.mark.parametrize("tokenizer", ["Words", "Characters", "Bytes"])
def test_what_is_streamed_is_what_is_generated(tmp_path: Path, tokenizer: str, decoder: str) -> None:
    folder = tiny_language_model(tmp_path / "bundle", tokenizer=tokenizer, decoder=decoder, end=-1.0)
    generator = Generator.load(folder)
    for prompt in ("", "the old", "the ", "strange"):
        texts = generator.generate(prompt, count=3, max_tokens=30)
        for number, text in enumerate(texts):
            parts = list(generator.stream(prompt, number=number, max_tokens=30))
            assert "".join(parts) == text
            assert text.startswith(prompt.rstrip())
            if tokenizer != "Bytes":  # whose texts have signs of all scripts
                assert all(part[0].isspace() for part in parts[1:]), "words come whole"
    for search in ({"beam": 3}, {"search": "Greedy"}):
        assert "".join(generator.stream("the", max_tokens=9, **search)) == generator.generate(
            "the", max_tokens=9, **search
        )


def test_a_beam_of_one_is_not_final_before_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = Generator.load(tiny_language_model(tmp_path / "bundle", end=0.5))
    said_too_early = 0
    for alpha in (0.6, 2.0):
        for prompt in ("", "the", "the old", "sea"):
            options: Any = {"search": "Beam", "beam": 1, "alpha": alpha, "max_tokens": 20}
            text = generator.generate(prompt, **options)
            assert "".join(generator.stream(prompt, **options)) == text
            with monkeypatch.context() as changed:
                changed.setattr(Beam, "tokens_are_final", True)
                said_too_early += "".join(generator.stream(prompt, **options)) != text
    assert said_too_early, "what was said before the end was always right"


def test_what_cannot_be_generated_from_is_told(generator: Generator) -> None:
    with pytest.raises(DataError, match="the prompt is a int, not a str: 5"):
        generator.stream(5)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="the prompt is a NoneType, not a str: None"):
        generator.following(None)  # type: ignore[arg-type]
    with pytest.raises(
        ConfigError, match="count is 3, which is the n_best of a search that .*'Greedy' takes no 'n_best'"
    ):
        generator.generate("the", search="Greedy", count=3)


SPACED = "the  old sea, \u6d77\u306f is\tcalm \u2581 \U0001f30a caf\u00e9 "
"""Spaces in a row, a script without spaces, characters of several bytes, the sign of SentencePiece for a space."""


@pytest.mark.parametrize(
    "tokenizer",
    [
        "Words",
        "Characters",
        "Bytes",
        {"class_path": "SentencePiece", "init_args": {"vocabulary_size": 300}},
        {"class_path": "SentencePiece", "init_args": {"vocabulary_size": 300, "normalization": "nmt_nfkc"}},
    ],
)
def test_a_long_text_is_decoded_in_time_that_grows_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokenizer: Any
) -> None:
    """A text of 600 tokens in short words: its parts are the whole, and few tokens are decoded often."""
    folder = tiny_language_model(tmp_path / "bundle", tokenizer=tokenizer, text=SPACED)
    generator = Generator.load(folder)
    said = generator.tokenizer.encode(SPACED * 30)[:600]
    found = Hypothesis(said, 0.0, [0.0] * len(said), False, None)
    decoded: list[int] = []
    decode = generator.tokenizer.decode
    monkeypatch.setattr(generator.tokenizer, "decode", lambda ids: (decoded.append(len(ids)), decode(ids))[1])
    for prompt in ("", "the ", "old sea"):
        decoded.clear()
        parts = list(generator._growing(prompt, iter([*said, found])))
        assert parts.pop() is found
        assert sum(decoded) < 20 * len(said)
        text = generator._text(prompt, said)
        given = "".join(map(str, parts))
        assert text.startswith(given) and not set(" \t\u6d77\u306f") & set(text[len(given) + 1 :].rstrip())
        assert len(parts) > 100


def test_words_come_while_the_search_goes_on(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 0
    real = Prepared.decode_step

    def counted(*args: Any) -> Any:
        nonlocal steps
        steps += 1
        return real(*args)

    monkeypatch.setattr(Prepared, "decode_step", counted)
    generator = Generator.load(bundle)
    words = generator.stream("the", max_tokens=100_000, min_tokens=100_000)
    parts = [next(words) for _ in range(5)]
    assert all(part.strip() for part in parts)
    words.close()  # nobody waits any more: the search ends
    assert 5 <= steps < 100_000


def test_an_error_of_the_search_comes_out_of_the_stream(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any) -> Any:
        raise RuntimeError("no memory")

    monkeypatch.setattr(Prepared, "decode_step", broken)
    with pytest.raises(RuntimeError, match="no memory"):
        list(Generator.load(bundle).stream())


@pytest.mark.parametrize(
    "options", [{"top_p": 0.9}, {"search": "Greedy"}, {"beam": 3}, {"no_repeat_ngram": 2}]
)
def test_several_prompts_give_what_each_gives_alone(
    generator: Generator, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    prompts = ["the old sea", "", "calm", "strange sea", "the", "the"]
    alone = [generator.generate(prompt, max_tokens=12, results=True, **options) for prompt in prompts]
    for rows in (64, 4, 1):
        monkeypatch.setattr("s2s.inference.generator.ROWS", rows)
        monkeypatch.setattr("s2s.inference.generator.SCORED_TOKENS", 2 * rows)
        found = generator.generate(prompts, max_tokens=12, results=True, **options)
        assert [(one.text, one.prompt, one.tokens) for one in found] == [
            (one.text, one.prompt, one.tokens) for one in alone
        ]
        for one, other in zip(found, alone, strict=True):
            assert one.log_probs == pytest.approx(other.log_probs, abs=1e-5)
    assert generator.generate(prompts, max_tokens=12, **options) == [one.text for one in alone]


def test_several_texts_of_several_prompts(generator: Generator) -> None:
    """Prompt by prompt; of a search that does not draw its best ones."""
    drawn: dict[str, Any] = {"seed": 3, "min_tokens": 3}
    for options in (drawn, {"beam": 4}):
        expected = [
            text for prompt in ("sea", "the") for text in generator.generate(prompt, count=3, **options)
        ]
        assert generator.generate(("sea", "the"), count=3, **options) == expected
        assert len(set(expected)) > 3
    assert generator.generate([]) == [] and generator.generate(["sea"]) == [generator.generate("sea")]
    with pytest.raises(DataError, match="prompt 1 is a int, not a str: 3"):
        generator.generate(["sea", 3])  # type: ignore[list-item]


def test_limits(generator: Generator) -> None:
    for one in generator.generate(count=20, results=True, max_tokens=3, min_tokens=3):
        assert len([token for token in one.tokens if token != "</s>"]) == 3
        assert one.finished == (one.tokens[-1] == "</s>")
    assert {one.text for one in generator.generate("the", count=3, results=True, max_tokens=0)} == {"the"}


def test_what_may_not_be_said(generator: Generator) -> None:
    texts = generator.generate("the", count=50, banned=["sea"], no_repeat_ngram=1)
    assert not any("sea" in text.split() for text in texts)
    for text in texts:
        words = text.split()[1:]
        assert len(words) == len(set(words))


def test_unknown_words_of_a_prompt_stay_and_none_are_said(generator: Generator) -> None:
    texts = generator.generate("Grüße  of the", count=50)
    assert all(text.startswith("Grüße  of the") for text in texts)
    assert not any("⁇" in text for text in texts)


def test_what_follows_and_how_probable(generator: Generator, model: LanguageModel) -> None:
    values = sayable(model, generator.tokenizer.encode("the old")).exp()
    best = values.topk(4)
    found = generator.following("the old", count=4)
    assert [token for token, _ in found] == generator.tokenizer.tokens(best.indices.tolist())
    assert [p for _, p in found] == pytest.approx(best.values.tolist(), abs=1e-6)


def test_scores_are_those_of_the_chain_rule(generator: Generator, model: LanguageModel) -> None:
    texts = ["the old sea", "", "calm", "is the sea old", "strange sea"]
    for text, one in zip(texts, generator.score(texts), strict=True):
        read = generator.tokenizer.encode(text)
        expected = [
            float(next_log_probs(model, read[:place])[token]) for place, token in enumerate([*read, EOS])
        ]
        assert one.log_probs == pytest.approx(expected, abs=1e-5)
        assert one.tokens == generator.tokenizer.tokens([*read, EOS])
        assert one.log_prob == pytest.approx(sum(expected), abs=1e-5)
    for batch_tokens in (1, 7):
        for one, other in zip(
            generator.score(texts, batch_tokens=batch_tokens), generator.score(texts), strict=True
        ):
            assert one.log_probs == pytest.approx(other.log_probs, abs=1e-5)


def test_scores_of_a_stream_are_those_of_the_uncut_one(generator: Generator, model: LanguageModel) -> None:
    texts = ["the old sea", "calm", "is the sea"]
    pieces = [generator.tokenizer.encode(text) for text in texts]
    read = [token for text in pieces for token in (BOS, *text)]
    said = [token for text in pieces for token in (*text, EOS)]
    with torch.no_grad():
        decoded, _ = model(Padded(torch.tensor([read]), torch.tensor([len(read)])))
        values = model.head.log_probs(decoded, no_source(torch.tensor([1])))[0]
    expected = [float(values[place, token]) for place, token in enumerate(said)]
    found = [value for one in generator.score(texts, as_stream=True) for value in one.log_probs]
    assert found == pytest.approx(expected, abs=1e-5)
    scorer = generator.scorer(as_stream=True)
    assert [*scorer(texts[:1]), *scorer(texts[1:])] == generator.score(texts, as_stream=True)
    assert found[4:] != pytest.approx(
        [value for one in generator.score(texts[1:]) for value in one.log_probs], abs=1e-3
    )


def test_a_long_text_is_read_part_by_part(generator: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["the old sea is calm is the old sea", "calm"]
    expected, stream = generator.score(texts), generator.score(texts, as_stream=True)
    monkeypatch.setattr("s2s.inference.text_scoring.AT_ONCE", 3)
    parts = []
    forward = LanguageModel.forward

    def counted(self: LanguageModel, inputs: Padded, state: object = None) -> object:
        parts.append(inputs.ids.shape[1])
        return forward(self, inputs, state)

    monkeypatch.setattr(LanguageModel, "forward", counted)
    for found, wanted in (
        (generator.score(texts, batch_tokens=1), expected),
        (generator.score(texts, as_stream=True), stream),
    ):
        for one, other in zip(found, wanted, strict=True):
            assert one.tokens == other.tokens
            assert one.log_probs == pytest.approx(other.log_probs, abs=1e-5)
            assert one.log_prob == pytest.approx(other.log_prob, abs=1e-5)
    assert max(parts) == 3


def test_it_is_a_public_name() -> None:
    assert s2s.Generator is Generator


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"count": 0}, "count is 0; it must be 1 or more"),
        ({"beams": 3}, "unknown option 'beams'; did you mean 'beam'"),
        ({"limit_ratio": 2.0}, "unknown option 'limit_ratio'"),
        ({"temperature": 0.0}, "temperature is 0.0; it must be above 0"),
        ({"search": "Greedy", "count": 2}, "search 'Greedy' takes no 'n_best'. What takes it: Beam"),
    ],
)
def test_what_cannot_be(generator: Generator, options: dict[str, Any], error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        generator.generate("the", **options)


def test_only_texts_are_scored(generator: Generator) -> None:
    with pytest.raises(DataError, match="text 1 is a int, not a str: 3"):
        generator.score(["the", 3])  # type: ignore[list-item]
    with pytest.raises(ConfigError, match="batch_tokens is 0; it must be 1 or more"):
        generator.score(["the"], batch_tokens=0)
    with pytest.raises(DataError, match=r"such as a list; for one text: score\(\[text\]\)"):
        generator.score("the")


def test_as_many_followers_as_there_can_be(generator: Generator) -> None:
    found = generator.following("the", count=10**6)
    never = set(generator.tokenizer.tokens([PAD, UNK, BOS]))
    assert len(found) == generator.tokenizer.vocabulary_size - len(never) == len({name for name, _ in found})
    assert not never & {name for name, _ in found} and all(chance > 0 for _, chance in found)
    with pytest.raises(ConfigError, match="count is -1; it must be 1 or more"):
        generator.following("the", count=-1)


def test_other_bundles_are_told_what_they_are_for(bundle: Path, tmp_path: Path) -> None:
    other = tiny_bundle(tmp_path / "other")
    with pytest.raises(
        BundleError, match="holds a recurrent encoder-decoder model; use it with: s2s translate"
    ):
        Generator.load(other)
    with pytest.raises(BundleError, match="holds a recurrent language model; use it with: s2s generate"):
        s2s.Translator.load(bundle)


def test_a_device_that_is_not_here(bundle: Path) -> None:
    with pytest.raises(ConfigError, match="device 'nonsense' cannot be used here"):
        Generator.load(bundle, device="nonsense")
