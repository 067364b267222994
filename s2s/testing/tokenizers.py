"""The conformance kit for tokenizers.

Each check takes a factory () -> Tokenizer: a class, or a partial with the tokenizer's options. Decoded
lines are compared with `Tokenizer.normalize`: a tokenizer may rewrite text, but must declare it.
"""

from __future__ import annotations

import io
import os
import pickle
import pickletools
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from s2s.errors import DataError, S2SError
from s2s.testing import constructors
from s2s.testing.kit import Check, Nonconforming
from s2s.testing.texts import HARD_LINES, TEXT, shortened
from s2s.testing.threads import at_once
from s2s.text.tokenizer import BOS, EOS, PAD, SPECIALS, UNK, UNKNOWN_TEXT, Tokenizer

TokenizerFactory = Callable[[], Tokenizer]

OTHER_TEXT = ("Something else is written here.", "nothing of it stood there before: xyz, qqq", "%%% §§§")
LINES = (*TEXT, *HARD_LINES.values())
SEEDS = (0, 1, 2, 3, 7, 11, 2**31, 2**32 - 1)


def trained(factory: TokenizerFactory, lines: Iterable[str] = TEXT) -> Tokenizer:
    """A tokenizer trained on some lines, each once."""
    tokenizer = factory()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so little text gives fewer tokens than requested
        tokenizer.train(iter(lines))
    return tokenizer


def check_constructor(factory: TokenizerFactory) -> None:
    """The constructor is typed, documented, and builds from a name alone."""
    constructors.check_constructor(factory)


def check_untrained(factory: TokenizerFactory) -> None:
    """Before training, it has a fingerprint, and encode raises an error unless there is nothing to learn."""
    tokenizer = factory()
    tokenizer.fingerprint()
    if tokenizer.trained:  # nothing to learn
        tokenizer.encode(TEXT[0])
        return
    try:
        found = f"that an untrained tokenizer encodes {TEXT[0]!r} as {tokenizer.encode(TEXT[0])}"
    except S2SError:
        return
    except Exception as error:
        found = f"{type(error).__name__} from an untrained tokenizer ({error})"
    raise Nonconforming(
        found,
        "a DataError that says so",
        "Raise s2s.text.tokenizer.untrained(self) until train or restore was called.",
    )


def check_ids(factory: TokenizerFactory) -> None:
    """Ids are below vocabulary_size, and the four reserved ones are shown and left out as usual."""
    tokenizer = trained(factory)
    if not tokenizer.trained:
        raise Nonconforming("that trained is False after train", "True", "Let trained return it.")
    size = tokenizer.vocabulary_size
    if size <= len(SPECIALS):
        raise Nonconforming(
            f"vocabulary_size {size}", f"more than the {len(SPECIALS)} reserved ids", "Count the tokens too."
        )
    for line in TEXT:
        _expect_ids(tokenizer, line, tokenizer.encode(line), f"encode of {shortened(line)}")
    shown = tokenizer.tokens(range(size))
    if len(shown) != size or not all(isinstance(token, str) for token in shown):
        raise Nonconforming(
            f"{len(shown)} texts from tokens for all {size} ids", "one for each", "Show each id separately."
        )
    if tuple(shown[: len(SPECIALS)]) != SPECIALS:
        raise Nonconforming(
            f"that tokens shows the reserved ids as {shown[: len(SPECIALS)]}",
            f"{list(SPECIALS)}",
            "Ids 0 to 3 are PAD, UNK, BOS and EOS for every tokenizer; use SPECIALS for them.",
        )
    ids = tokenizer.encode(TEXT[0])
    framed, plain = tokenizer.decode([BOS, *ids, EOS, PAD, PAD]), tokenizer.decode(ids)
    if framed != plain:
        raise Nonconforming(
            f"that decode gives {framed!r} with begin, end and padding around the ids",
            f"{plain!r}, as without them",
            "Leave PAD, BOS and EOS out.",
        )
    for what, given in (("an unknown token", [UNK]), ("an unknown token among others", [*ids, UNK, *ids])):
        if UNKNOWN_TEXT not in tokenizer.decode(given):
            raise Nonconforming(
                f"that decode shows {what} as {shortened(tokenizer.decode(given))}",
                f"{UNKNOWN_TEXT!r} in its place",
                "Write UNKNOWN_TEXT for UNK.",
            )
    for i in range(size):
        tokenizer.decode([i])  # a model may output anything


def check_known_text(factory: TokenizerFactory) -> None:
    """Decoding restores the training lines, and most of their tokens are known."""
    tokenizer = trained(factory)
    unknown = total = 0
    for line in TEXT:
        ids = tokenizer.encode(line)
        _expect_given_back(tokenizer, line, ids, "encode")
        unknown, total = unknown + ids.count(UNK), total + len(ids)
    if not unknown < total / 2:  # no tokens at all: none known
        raise Nonconforming(
            f"that {unknown} of {total} tokens of the training text are unknown",
            "less than half of them",
            "Learn tokens from the lines; if an option limits them, give the kit a partial with another value.",
        )


def check_hard_lines(factory: TokenizerFactory) -> None:
    """For any line: no error, no reserved id but UNK, and decode restores what normalize returns."""
    tokenizer = trained(factory)
    for what, line in HARD_LINES.items():
        try:
            ids = tokenizer.encode(line)
        except Exception as error:
            raise Nonconforming(
                f"{type(error).__name__} for {what} ({shortened(line)}): {error}",
                "ids: a line of a file must not end a run",
                "Encode what is unknown as UNK.",
            ) from error
        _expect_ids(tokenizer, line, ids, f"encode of {what} ({shortened(line)})")
        _expect_given_back(tokenizer, line, ids, what)


def check_batch(factory: TokenizerFactory) -> None:
    """Each line gives the same ids in encode_batch as alone, whatever is beside it."""
    tokenizer = trained(factory)
    alone = [tokenizer.encode(line) for line in LINES]
    remedy = "A line's ids must depend on that line alone; override encode_batch only for speed."
    for order in (range(len(LINES)), range(len(LINES) - 1, -1, -1), [3] * 3, []):
        found = tokenizer.encode_batch([LINES[i] for i in order])
        _expect_same("a line in encode_batch", found, [alone[i] for i in order], "as alone", remedy)


def check_deterministic(factory: TokenizerFactory) -> None:
    """The same lines give the same tokenizer; other lines or options give another fingerprint."""
    first, second, other = trained(factory), trained(factory), trained(factory, OTHER_TEXT)
    if first.dump() != second.dump():
        raise Nonconforming(
            "that the same lines were learnt twice and dump differs",
            "the same bytes",
            "Break ties by the tokens themselves, and seed all sampling.",
        )
    for found, expected, same in (
        (second.fingerprint(), first.fingerprint(), True),
        (other.fingerprint(), first.fingerprint(), other.dump() == first.dump()),
    ):
        int(found, 16)
        if (found == expected) != same:
            raise Nonconforming(
                f"fingerprints {found[:12]}... and {expected[:12]}... of tokenizers that learnt "
                f"{'the same' if same else 'different tokens'}",
                "the same fingerprint" if same else "two: data made with one must not be used for the other",
                "Let fingerprint depend on options and dump, as Tokenizer.fingerprint does.",
            )
    for name, value in constructors.other_options(factory):
        try:
            another = partial(factory, **{name: value})()
        except S2SError:
            continue  # an invalid value
        if another.fingerprint() == factory().fingerprint():
            raise Nonconforming(
                f"the same fingerprint with {name}={value!r} and without it",
                "two: what is learnt and stored with one must not be used for the other",
                f"Keep options in public attributes (self.{name}), which Tokenizer.fingerprint reads.",
            )


def check_another_process(factory: TokenizerFactory) -> None:
    """In another process, such as a worker, it gives the same ids, and learns the same from the same lines."""
    tokenizer = trained(factory)
    try:
        given = pickle.dumps((factory, tokenizer, LINES, TEXT))
    except Exception as error:
        raise Nonconforming(
            f"that it cannot be pickled: {error}",
            "that it can: it is sent to worker processes",
            "Define the class at module level; write __getstate__ and __setstate__ if a member cannot be pickled.",
        ) from error
    seed = str(int(os.environ.get("PYTHONHASHSEED", "random") == "1") + 1)  # another order of sets of strings
    path = os.pathsep.join(str(Path(folder).resolve()) for folder in sys.path)
    child = subprocess.run(
        [sys.executable, "-c", _CHILD],
        input=given,
        capture_output=True,
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
    )
    if child.returncode:
        raise Nonconforming(
            f"in another process: {child.stderr.decode(errors='replace').strip().splitlines()[-1]}",
            "no error",
            "Let the pickled tokenizer contain all that it needs.",
        )
    ids, dump = pickle.loads(child.stdout)
    remedy = "Pickle all that was learnt."
    _expect_same("encode of a pickled tokenizer", ids, tokenizer.encode_batch(LINES), "as before", remedy)
    if dump != tokenizer.dump():
        raise Nonconforming(
            "that training on the same lines in another process gives another tokenizer",
            "the same dump",
            "Sort what comes out of a set or a counter: the order of sets differs between processes.",
        )


_CHILD = """
import pickle, sys, warnings
warnings.simplefilter("ignore")
answer, sys.stdout = sys.stdout.buffer, sys.stderr  # an import may print
factory, tokenizer, lines, text = pickle.load(sys.stdin.buffer)
again = factory()
again.train(iter(text))
answer.write(pickle.dumps((tokenizer.encode_batch(lines), again.dump())))
"""


def check_saved_and_loaded(factory: TokenizerFactory) -> None:
    """`save` writes one data file, and `load` restores the same tokenizer from it."""
    tokenizer, loaded = trained(factory), factory()
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "not there yet" / "tokenizer"
        tokenizer.save(folder)
        written = sorted(path.name for path in folder.iterdir())
        if written != [tokenizer.model_file]:
            raise Nonconforming(
                f"that save writes {', '.join(written) or 'nothing'}",
                f"{tokenizer.model_file} alone, as model_file says: a bundle includes nothing else",
                "Put all that was learnt into dump.",
            )
        if _holds_pickle((folder / tokenizer.model_file).read_bytes()):
            raise Nonconforming(
                f"that {tokenizer.model_file} is a pickle",
                "data, for instance JSON: loading a pickle runs code of its sender",
                "Write dump and restore without pickle.",
            )
        loaded.load(folder)
    remedy = "Let restore read all that dump writes, into an instance built with the same options."
    _expect_same(
        "encode after load", loaded.encode_batch(LINES), tokenizer.encode_batch(LINES), "as before", remedy
    )
    size = tokenizer.vocabulary_size
    for what, found, expected in (
        ("trained", loaded.trained, True),
        ("vocabulary_size", loaded.vocabulary_size, size),
        ("tokens", loaded.tokens(range(size)), tokenizer.tokens(range(size))),
        ("fingerprint", loaded.fingerprint(), tokenizer.fingerprint()),
        ("dump", loaded.dump(), tokenizer.dump()),
    ):
        if found != expected:
            raise Nonconforming(
                f"that {what} differs after load: {shortened(str(found))}",
                shortened(str(expected)),
                remedy,
            )


def check_damaged_file(factory: TokenizerFactory) -> None:
    """A file that is missing, empty or of another kind raises a DataError."""
    dump = trained(factory).dump()
    with tempfile.TemporaryDirectory() as folder:
        for what, contents in (
            ("no file", None),
            ("an empty file", b""),
            ("half of a file", dump[: len(dump) // 2]),
            ("a file of something else", b"\x89PNG\r\n\x1a\n\x00rubbish \xff"),
        ):
            tokenizer = factory()
            if contents is not None:
                (Path(folder) / tokenizer.model_file).write_bytes(contents)
            try:
                tokenizer.load(folder)
            except DataError:
                continue
            except Exception as error:
                found = f"{type(error).__name__} for {what} ({shortened(str(error))})"
            else:
                found = f"that {what} is loaded without an error"
            raise Nonconforming(
                found,
                "a DataError that names what is wrong",
                "Validate the data in restore, and raise DataError.",
            )


def check_sampling(factory: TokenizerFactory) -> None:
    """encode_sampled gives an encoding that depends on line and seed alone; encode never samples."""
    tokenizer = trained(factory)
    lines = (*TEXT, *(line for line in LINES if 0 < len(line) < 100))
    plain = [tokenizer.encode(line) for line in lines]
    drawn = _drawn(tokenizer, lines, SEEDS)
    again = _drawn(tokenizer, lines[::-1], SEEDS[::-1])
    remedy = "Sample from a generator created from the seed in each call."
    for key, ids in drawn.items():
        if again[key] != ids:
            raise Nonconforming(
                f"that encode_sampled of {shortened(key[0])} with seed {key[1]} gives {ids[:9]}, "
                f"then {again[key][:9]}",
                "the same both times",
                remedy,
            )
        _expect_ids(tokenizer, key[0], ids, f"encode_sampled of {shortened(key[0])}")
        _expect_given_back(tokenizer, key[0], ids, "encode_sampled")
    _expect_same(
        "encode after sampling",
        [tokenizer.encode(line) for line in lines],
        plain,
        "as before",
        "Sample in encode_sampled alone: validation and translation must not.",
    )
    differing = sum(ids != tokenizer.encode(line) for (line, _), ids in drawn.items())
    if tokenizer.samples != (differing > 0):
        raise Nonconforming(
            f"that samples is {tokenizer.samples}, and {differing} of {len(drawn)} sampled encodings differ from "
            "encode",
            "some if samples is True, and none if it is False",
            "samples tells whether training must encode again in each epoch.",
        )


def check_instances(factory: TokenizerFactory) -> None:
    """Neither another instance nor encoding changes what a tokenizer learnt."""
    tokenizer = trained(factory)
    dump, size = tokenizer.dump(), tokenizer.vocabulary_size
    ids = [tokenizer.encode(line) for line in LINES]
    other = trained(factory, OTHER_TEXT)
    for line in LINES:
        other.encode(line)
    again = [tokenizer.encode(line) for line in LINES]
    remedy = "Keep what is learnt on self, learn only in train, and keep nothing of a line."
    _expect_same("encode after another instance was trained", again, ids, "as before", remedy)
    if (tokenizer.dump(), tokenizer.vocabulary_size) != (dump, size):
        raise Nonconforming(
            f"that a tokenizer of {size} ids has {tokenizer.vocabulary_size} after it encoded, or another dump",
            "no change",
            remedy,
        )


def check_threads(factory: TokenizerFactory) -> None:
    """Several threads may encode, sample and decode concurrently."""
    tokenizer = trained(factory)
    lines = [(seed, line) for seed, line in enumerate(LINES) if len(line) < 1000]
    shares = [lines[i:] + lines[:i] for i in range(4)]
    one_by_one = [_treated(tokenizer, share) for share in shares]
    for found, expected in zip(
        at_once([partial(_treated, tokenizer, share) for share in shares]), one_by_one, strict=True
    ):
        _expect_same(
            "a line, encoded and decoded beside other threads",
            found,
            expected,
            "as with one thread",
            "Keep nothing of a line on self, not even for a moment.",
        )


TOKENIZER_CHECKS = tuple(
    Check("tokenizer", run)
    for run in (
        check_constructor,
        check_untrained,
        check_ids,
        check_known_text,
        check_hard_lines,
        check_batch,
        check_deterministic,
        check_another_process,
        check_saved_and_loaded,
        check_damaged_file,
        check_sampling,
        check_instances,
        check_threads,
    )
)
"""All of them, in the order in which they are run."""


def _expect_ids(tokenizer: Tokenizer, line: str, ids: Sequence[int], what: str) -> None:
    size = tokenizer.vocabulary_size
    for i in ids:
        if not isinstance(i, int) or not (i == UNK or len(SPECIALS) <= i < size):
            named = f" ({SPECIALS[i]})" if isinstance(i, int) and 0 <= i < len(SPECIALS) else ""
            raise Nonconforming(
                f"id {i!r}{named} in {what}",
                f"whole numbers, {UNK} for unknown tokens, else {len(SPECIALS)} to {size - 1} "
                "(vocabulary_size - 1)",
                "The model has vocabulary_size ids; PAD, BOS and EOS are added later, by the batch.",
            )


def _expect_given_back(tokenizer: Tokenizer, line: str, ids: Sequence[int], what: str) -> None:
    decoded, wanted = tokenizer.decode(ids), tokenizer.normalize(line)
    parts = decoded.split(UNKNOWN_TEXT) if UNK in ids else [decoded]
    if not _are_parts(parts, wanted):
        raise Nonconforming(
            f"that {shortened(line)} ({what}) comes back as {shortened(decoded)}",
            f"{shortened(wanted)}, except {UNKNOWN_TEXT!r} where a token is unknown",
            "Lose nothing; if the tokenizer rewrites lines on purpose, let normalize return the rewritten line.",
        )


def _are_parts(parts: Sequence[str], text: str) -> bool:
    """Whether a text consists of these parts in order, with something unknown between each two."""
    first, *others = parts
    if not others:
        return text == first
    if not text.startswith(first):
        return False
    place = len(first)
    for part in others[:-1]:
        place = text.find(part, place + 1)
        if place < 0:
            return False
        place += len(part)
    return text.endswith(others[-1]) and len(text) - len(others[-1]) > place


def _expect_same(
    what: str, found: Sequence[object], expected: Sequence[object], how: str, remedy: str
) -> None:
    if len(found) != len(expected):
        raise Nonconforming(f"{len(found)} results of {what}", f"{len(expected)}", remedy)
    for one, other in zip(found, expected, strict=True):
        if one != other:
            raise Nonconforming(
                f"that {what} gives {shortened(str(one))}", f"{shortened(str(other))}, {how}", remedy
            )


def _drawn(
    tokenizer: Tokenizer, lines: Sequence[str], seeds: Sequence[int]
) -> dict[tuple[str, int], list[int]]:
    return {(line, seed): tokenizer.encode_sampled(line, seed) for seed in seeds for line in lines}


def _treated(
    tokenizer: Tokenizer, lines: Sequence[tuple[int, str]]
) -> list[tuple[list[int], list[int], str]]:
    """Ids, sampled ids and text of each line, from seed and line."""
    treated = []
    for seed, line in lines:
        ids = tokenizer.encode(line)
        treated.append((ids, tokenizer.encode_sampled(line, seed), tokenizer.decode(ids)))
    return treated


def _holds_pickle(contents: bytes) -> bool:
    """Whether a file is a pickle, or an archive with one inside, as torch.save writes."""
    if zipfile.is_zipfile(io.BytesIO(contents)):
        with zipfile.ZipFile(io.BytesIO(contents)) as archive:
            return any(_holds_pickle(archive.read(name)) for name in archive.namelist())
    try:
        operations = list(pickletools.genops(contents))
    except ValueError:
        return False
    return len(operations) > 1 and operations[-1][2] == len(contents) - 1  # a lone "." is a pickle, too
