"""The kit of tokenizers against tokenizers that are wrong, each in one way: the right check must say so."""

import pytest

from s2s.testing import KITS, FailedChecks, check_tokenizer
from tests.unit.testing import wrong_tokenizers as wrong

WRONG: list[tuple[type[wrong.Sound], str, str]] = [
    (wrong.Undocumented, "constructor", "does not tell of 'depth'; expected a line in its Args section"),
    (wrong.EncodesUntrained, "untrained", r"untrained tokenizer encodes .* as \[\]; expected a DataError"),
    (wrong.FailsUntrained, "untrained", "AssertionError from an untrained tokenizer"),
    (wrong.NeverTrained, "ids", "trained is False after train; expected True"),
    (
        wrong.CountsItsOwnTokensOnly,
        "ids",
        r"id \d+ in encode of .*; expected whole numbers, 1 for unknown tokens",
    ),
    (wrong.NothingButReserved, "ids", "vocabulary_size 4; expected more than the 4 reserved ids"),
    (wrong.ShowsReservedItsOwnWay, "ids", r"shows the reserved ids as .*PAD.*; expected \['<pad>'"),
    (wrong.JoinsTokens, "ids", r"1 texts from tokens for all \d+ ids; expected one for each"),
    (
        wrong.DecodesPadding,
        "ids",
        "begin, end and padding around the ids; expected .*Leave PAD, BOS and EOS out",
    ),
    (wrong.HidesTheUnknown, "ids", "shows an unknown token as ''; expected .*Write UNKNOWN_TEXT for UNK"),
    (wrong.LowersInSilence, "known_text", "The old man.* comes back as 'the old man.*let normalize return"),
    (wrong.KnowsNothing, "known_text", r"(\d+) of \1 tokens of the training text are unknown; expected less"),
    (wrong.RefusesNUL, "hard_lines", "ValueError for NUL .*; expected ids.*Encode what is unknown as UNK"),
    (wrong.TakesTextForReserved, "hard_lines", r"id 2 \(<s>\) in encode of names of reserved tokens"),
    (wrong.StripsInSilence, "hard_lines", r"' ' \(a space\) comes back as ''; expected ' '"),
    (
        wrong.HidesTheUnknown,
        "hard_lines",
        "comes back as .*; expected .*where a token is unknown. Lose nothing",
    ),
    (wrong.PadsBatches, "batch", "a line in encode_batch gives .*; expected .*, as alone"),
    (wrong.SkipsEmptyLines, "batch", "results of a line in encode_batch; expected"),
    (wrong.ShufflesItsTokens, "deterministic", "learnt twice and dump differs; expected the same bytes"),
    (wrong.FingerprintOfTheClass, "deterministic", "learnt different tokens; expected two"),
    (
        wrong.HidesAnOption,
        "deterministic",
        "same fingerprint with lowercase=True and without it; .*self.lowercase",
    ),
    (wrong.FingerprintOfTheInstance, "deterministic", "learnt the same; expected the same fingerprint"),
    (
        wrong.OrderOfASet,
        "another_process",
        "another process gives another tokenizer; .*Sort what comes out of a set",
    ),
    (wrong.CannotBePickled, "another_process", "cannot be pickled: .*lambda.*; expected that it can"),
    (
        wrong.PickleForgets,
        "another_process",
        "in another process: .*has learnt nothing yet.*; expected no error",
    ),
    (wrong.PickleRounds, "another_process", "encode of a pickled tokenizer gives .*; expected .* as before"),
    (wrong.SavesAPickle, "saved_and_loaded", "tokenizer.json is a pickle; expected data"),
    (
        wrong.SavesTwoFiles,
        "saved_and_loaded",
        "writes options.json, tokenizer.json; expected tokenizer.json alone",
    ),
    (wrong.RestoresCharactersOnly, "saved_and_loaded", "encode after load gives .*Let restore read all"),
    (wrong.ForgetsItsOptions, "saved_and_loaded", "fingerprint differs after load"),
    (wrong.TakesAnyFile, "damaged_file", "an empty file is loaded without an error; expected a DataError"),
    (wrong.RaisesWhateverComes, "damaged_file", "JSONDecodeError for an empty file .*; expected a DataError"),
    (
        wrong.DrawsFromTheSharedGenerator,
        "sampling",
        "with seed 0 gives .*, then .*; expected the same both times",
    ),
    (wrong.SamplesEverywhere, "sampling", "encode after sampling gives .*Sample in encode_sampled alone"),
    (wrong.SamplesUnsaid, "sampling", r"samples is False, and [1-9]\d* of \d+ sampled encodings differ"),
    (wrong.SamplesNothing, "sampling", r"samples is True, and 0 of \d+ sampled encodings differ"),
    (wrong.DropsTokensInSampling, "sampling", r"\(encode_sampled\) comes back as "),
    (wrong.SharesWhatItLearnt, "instances", "encode after another instance was trained gives"),
    (wrong.LearnsWhileItEncodes, "instances", r"of \d+ ids has \d+ after it encoded|after another instance"),
    (wrong.KeepsTheLine, "threads", "beside other threads gives .*; expected .* as with one thread"),
]


def test_a_sound_tokenizer_passes() -> None:
    check_tokenizer(wrong.Sound)


@pytest.mark.parametrize(
    ("tokenizer", "check", "message"), WRONG, ids=lambda value: getattr(value, "__name__", None)
)
def test_a_wrong_tokenizer_fails(tokenizer: type[wrong.Sound], check: str, message: str) -> None:
    (run,) = (one for one in KITS["tokenizer"] if one.name == check)
    with pytest.raises(AssertionError, match=f"(?s){message}"):
        run(tokenizer)


def test_every_check_has_a_tokenizer_that_it_catches() -> None:
    assert {check for _, check, _ in WRONG} == {check.name for check in KITS["tokenizer"]}


def test_the_kit_tells_where_the_remedy_stands() -> None:
    with pytest.raises(FailedChecks, match=r"docs/plugins/tokenizer.md#hard-lines"):
        check_tokenizer(wrong.RefusesNUL)
