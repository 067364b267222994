"""SentencePiece: subwords learnt from raw text (Kudo and Richardson 2018)."""

import hashlib
import io
import json
import random
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import ClassVar, Literal

import sentencepiece

from s2s.errors import ConfigError, DataError
from s2s.text.tokenizer import BOS, EOS, PAD, SPECIALS, UNK, UNKNOWN_TEXT, Tokenizer, untrained
from s2s_plugins.tokenizers.subword_sampling import BPESampler, Piece, SubwordSampler, UnigramSampler

_META = "\u2581"  # how SentencePiece writes a space; it would be decoded to a space
_META_BYTES = tuple(_META.encode("utf-8"))
# characters; SentencePiece silently drops longer lines, so they are cut for training
_LONGEST_LINE = 100_000
_LEAST_COVERAGE = 0.98  # SentencePiece refuses less
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")  # how SentencePiece writes a byte
_FEW = 32  # lines; for batches the library starts threads, which takes 110 microseconds, ten times as long as a line
_SAMPLED_LINES = 2_000_000  # training reads at most this many, as memory grows with them


class SentencePiece(Tokenizer):
    """Subwords by SentencePiece, byte-pair encoding (Sennrich et al. 2016) or a unigram model (Kudo 2018).

    Lossless for every text, leading and repeated spaces, tabs, NUL and U+2581 included, when `normalization`
    is `identity` and `byte_fallback` is on. Not lossless with another normalization (which rewrites text
    before it is split), nor, without byte fallback, for characters that training did not keep: they decode
    to U+2047.

    Args:
        vocabulary_size: number of ids, including the four reserved ones and the 256 bytes of `byte_fallback`;
            fewer, with a warning, if the text does not give that many.
        algorithm: how pieces are learnt.
        character_coverage: share of the text's characters that get pieces of their own.
        byte_fallback: whether other characters are encoded as UTF-8 bytes instead of becoming unknown.
        normalization: how text is normalized before it is split; identity leaves it unchanged.
        sampling_alpha: subword regularization in training; null: off. bpe: probability of skipping a merge
            (BPE-dropout; Provilkov et al. 2020), 0.1 is usual; unigram: sharpness of the distribution that
            is sampled from (Kudo 2018), 0.2 is usual.
        symbols: texts that are always a single piece, such as the tags <2de> and <2fr>: never split, never part of
            another piece, and not changed by `normalization`.
        model: an existing SentencePiece model file to use instead of training one.
    """

    model_file: ClassVar[str] = "sentencepiece.model"

    def __init__(
        self,
        *,
        vocabulary_size: int = 8_000,
        algorithm: Literal["bpe", "unigram"] = "bpe",
        character_coverage: float = 0.9999,
        byte_fallback: bool = True,
        normalization: Literal["identity", "nfkc", "nmt_nfkc", "nfkc_cf", "nmt_nfkc_cf"] = "identity",
        sampling_alpha: float | None = None,
        symbols: list[str] | None = None,
        model: str | None = None,
    ) -> None:
        _check_symbols(symbols or [], model)
        reserved = len(SPECIALS) + (256 if byte_fallback else 0) + len(symbols or [])
        if model is None and vocabulary_size <= reserved:
            raise ConfigError(
                f"vocabulary_size is {vocabulary_size}, and {reserved} ids are taken by special tokens"
                f"{', symbols' if symbols else ''}"
                f"{' and the bytes of byte_fallback' if byte_fallback else ''}; ask for more"
            )
        if not _LEAST_COVERAGE <= character_coverage <= 1:
            raise ConfigError(
                f"character_coverage is {character_coverage}; it must lie from {_LEAST_COVERAGE} to 1"
            )
        if sampling_alpha is not None and not 0 < sampling_alpha < 1:
            raise ConfigError(
                f"sampling_alpha is {sampling_alpha}; it must lie between 0 and 1, or be null for no sampling"
            )
        self.maximum_size = vocabulary_size
        self.algorithm = algorithm
        self.character_coverage = character_coverage
        self.byte_fallback = byte_fallback
        self.normalization = normalization
        self.sampling_alpha = sampling_alpha
        self.model = model
        # Private, so that without symbols the fingerprint is as before the option existed, and old runs can resume.
        self._symbols = list(symbols or [])
        self._model: bytes | None = None

    def train(self, lines: Iterable[str]) -> None:
        """Learns the pieces, or reads the file of the option `model`."""
        if self.model is not None:
            try:
                self.restore(Path(self.model).read_bytes())
            except OSError as error:
                raise DataError(
                    f"cannot read the SentencePiece model {self.model}: {error.strerror}"
                ) from error
            return
        cut = (
            line[start : start + _LONGEST_LINE].replace(_META, " ")
            for line in lines
            for start in range(0, len(line), _LONGEST_LINE)
        )
        kept: list[str | None] = [None, *reversed(_drawn(cut, _SAMPLED_LINES))]
        model = io.BytesIO()
        try:
            sentencepiece.SentencePieceTrainer.train(
                # Lines are popped, so that only SentencePiece holds those already read. The iterator runs no Python
                # code, where a signal handler could raise: SentencePiece would report that as an error of its own.
                sentence_iterator=iter(kept.pop, None),
                model_writer=model,
                model_type=self.algorithm,
                vocab_size=self.maximum_size,
                hard_vocab_limit=False,
                character_coverage=self.character_coverage,
                user_defined_symbols=self._symbols,
                required_chars=_META,  # a space must never be written in bytes, which decode to U+2581
                byte_fallback=self.byte_fallback,
                normalization_rule_name=self.normalization,
                remove_extra_whitespaces=self.normalization != "identity",
                max_sentence_length=4 * _LONGEST_LINE,
                num_threads=1,  # the unigram model's sums depend on the number of threads
                minloglevel=2,
                pad_id=PAD,
                unk_id=UNK,
                bos_id=BOS,
                eos_id=EOS,
                pad_piece=SPECIALS[PAD],
                unk_piece=SPECIALS[UNK],
                bos_piece=SPECIALS[BOS],
                eos_piece=SPECIALS[EOS],
                unk_surface=UNKNOWN_TEXT,
            )
        except (RuntimeError, OSError) as error:
            raise self._training_failed(str(error)) from error
        self.restore(model.getvalue())
        if self.vocabulary_size < self.maximum_size:
            warnings.warn(
                f"the text gives {self.vocabulary_size} pieces, not {self.maximum_size}; "
                f"vocabulary_size is now {self.vocabulary_size}",
                stacklevel=2,
            )

    def _training_failed(self, message: str) -> DataError:
        needed = re.search(r"smaller than required_chars\. \d+ vs (\d+)", message)
        if needed:
            return DataError(
                f"vocabulary_size is {self.maximum_size}, but the text has characters for {needed[1]} pieces "
                f"at character_coverage {self.character_coverage}; set vocabulary_size above {needed[1]} or "
                "lower character_coverage"
            )
        if "sentences_.empty()" in message:
            return DataError("there is no text to train the tokenizer on: every line is empty")
        return DataError(f"SentencePiece cannot learn from this text: {message}")

    def fingerprint(self) -> str:
        """See `Tokenizer.fingerprint`; before training it covers the contents of the file that `model` names."""
        fingerprint = super().fingerprint()
        if self._symbols:
            fingerprint = hashlib.sha256(json.dumps([fingerprint, *self._symbols]).encode()).hexdigest()
        if self.model is None or self.trained or not Path(self.model).is_file():
            return fingerprint
        return hashlib.sha256(fingerprint.encode() + Path(self.model).read_bytes()).hexdigest()

    @property
    def trained(self) -> bool:
        """Whether `train` or `load` has been called."""
        return self._model is not None

    def dump(self) -> bytes:
        """The SentencePiece model, readable by other programs."""
        if self._model is None:
            raise untrained(self)
        return self._model

    def restore(self, model: bytes) -> None:
        """Reads a SentencePiece model; a foreign one gets our reserved ids, and its pieces keep their order."""
        processor = sentencepiece.SentencePieceProcessor()
        try:
            processor.load_from_serialized_proto(model)
            for i in range(processor.get_piece_size()):
                processor.id_to_piece(i)
            processor.decode(processor.unk_id())
        except (RuntimeError, IndexError, UnicodeDecodeError) as error:
            raise DataError(f"this is not a SentencePiece model: {error}") from error
        special = {processor.pad_id(), processor.unk_id(), processor.bos_id(), processor.eos_id()}
        pieces = [i for i in range(processor.get_piece_size()) if i not in special]
        self._theirs = [
            processor.pad_id(),
            processor.unk_id(),
            processor.bos_id(),
            processor.eos_id(),
            *pieces,
        ]
        self._ours = {theirs: ours for ours, theirs in enumerate(self._theirs) if theirs >= 0}
        self._same_ids = self._theirs == list(range(processor.get_piece_size()))
        self._has_bytes = processor.is_byte(processor.piece_to_id("<0x00>"))
        self._byte_ids = (
            [processor.piece_to_id(f"<0x{byte:02X}>") for byte in range(256)] if self._has_bytes else []
        )
        self._processor = processor
        self._model = model
        if self.sampling_alpha is not None:
            self._sampler = self._made_sampler(self.sampling_alpha)

    def _made_sampler(self, alpha: float) -> SubwordSampler:
        processor = self._processor
        texts = {
            processor.id_to_piece(i): Piece(i, processor.get_score(i))
            for i in range(processor.get_piece_size())
            if not (
                processor.is_control(i)
                or processor.is_unknown(i)
                or processor.is_byte(i)
                or processor.is_unused(i)
            )
        }
        # A foreign model may not be of our `algorithm`; only BPE scores are ranks.
        ranks = all(piece.score.is_integer() for piece in texts.values())
        return (BPESampler if ranks else UnigramSampler)(texts, alpha, self._symbols)

    @property
    def _ready(self) -> sentencepiece.SentencePieceProcessor:
        if self._model is None:
            raise untrained(self)
        return self._processor

    @property
    def vocabulary_size(self) -> int:
        """How many ids there are."""
        self._ready  # noqa: B018
        return len(self._theirs)

    def encode(self, text: str) -> list[int]:
        """The ids of a line."""
        encode = self._ready.encode
        try:
            ids: list[int] = self._encode_meta(text, encode) if _META in text else encode(text)
        except (TypeError, RuntimeError):
            _refuse_surrogates([text])
            raise
        return ids if self._same_ids else [self._ours[t] for t in ids]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of several lines."""
        processor = self._ready
        if len(texts) < _FEW:
            return [self.encode(text) for text in texts]
        plain = [text if _META not in text else "" for text in texts]
        try:
            encoded: list[list[int]] = processor.encode(plain)
            for i, text in enumerate(texts):
                if _META in text:
                    encoded[i] = self._encode_meta(text, processor.encode)
        except (TypeError, RuntimeError):
            _refuse_surrogates(texts)
            raise
        return encoded if self._same_ids else [[self._ours[t] for t in sentence] for sentence in encoded]

    @property
    def samples(self) -> bool:
        """Whether `sampling_alpha` is set."""
        return self.sampling_alpha is not None

    def encode_sampled(self, text: str, seed: int) -> list[int]:
        """A random segmentation, determined by `seed` alone."""
        if self.sampling_alpha is None:
            return self.encode(text)
        processor = self._ready
        chance = random.Random(seed)

        def draw(line: str) -> list[int]:
            ids: list[int] = []
            for piece in self._sampler.draw(processor.normalize(line), chance):
                if piece in self._sampler.pieces:
                    ids.append(self._sampler.pieces[piece].id)
                elif self._has_bytes:
                    ids += [self._byte_ids[byte] for byte in piece.encode("utf-8")]
                elif not ids or ids[-1] != processor.unk_id():  # adjacent unknown characters are one token
                    ids.append(processor.unk_id())
            return ids

        ids = self._encode_meta(text, draw) if _META in text else draw(text)
        return ids if self._same_ids else [self._ours[t] for t in ids]

    def _encode_meta(self, text: str, encode: Callable[[str], list[int]]) -> list[int]:
        """Encodes a line that contains U+2581, replaced by an unused character and then by its own bytes."""
        stand_in = self._stand_in(text)
        ids = encode(text.replace(_META, stand_in))
        if not self._has_bytes:
            return ids
        standing = [self._byte_ids[byte] for byte in stand_in.encode("utf-8")]
        meta = [self._byte_ids[byte] for byte in _META_BYTES]
        out: list[int] = []
        i = 0
        while i < len(ids):
            if ids[i : i + len(standing)] == standing:
                out.extend(meta)
                i += len(standing)
            else:
                out.append(ids[i])
                i += 1
        return out

    def _stand_in(self, text: str) -> str:
        processor = self._ready
        return next(
            character
            for character in map(chr, range(0x10FFFD, 0x100000, -1))
            if character not in text and processor.piece_to_id(character) == processor.unk_id()
        )

    def normalize(self, text: str) -> str:
        """A line normalized by the model's own rules; with `identity` the line itself."""
        stand_in, normalize = self._stand_in(text), self._ready.normalize
        normalized: str = normalize(text.replace(_META, stand_in))
        if normalize("a").startswith(_META):  # added before the first word, as in most models
            normalized = normalized.removeprefix(_META)
        return normalized.replace(_META, " ").replace(stand_in, _META)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids."""
        processor = self._ready
        text: str = processor.decode([self._theirs[i] for i in ids if i not in (PAD, BOS, EOS)])
        return text

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """The pieces, with U+2581 for a space."""
        processor = self._ready
        return [SPECIALS[i] if i < len(SPECIALS) else processor.id_to_piece(self._theirs[i]) for i in ids]


def _check_symbols(symbols: Sequence[str], model: str | None) -> None:
    """Rejects symbols that cannot be pieces of their own."""
    if symbols and model is not None:
        raise ConfigError(
            f"symbols are learnt with the pieces, and model {model} has learnt its own; leave out symbols or model"
        )
    for place, symbol in enumerate(symbols):
        why = None
        if not symbol:
            why = "is empty; write some text or leave it out"
        elif any(letter.isspace() or letter in (_META, "\0") for letter in symbol):
            why = "holds white space, U+2581 or NUL, which a piece of its own cannot; write it without, as <2de>"
        elif symbol in SPECIALS or _BYTE.fullmatch(symbol):
            why = (
                f"is reserved, as are {', '.join(one for one in SPECIALS if one != symbol)} and <0x00> to <0xFF>; "
                "choose another"
            )
        elif symbol in symbols[:place]:
            why = "is there twice; name it once"
        if why is not None:
            raise ConfigError(f"symbols: {symbol!r} {why}")


def _refuse_surrogates(texts: Sequence[str]) -> None:
    """Explains an error of SentencePiece, if a lone surrogate caused it."""
    if any("\ud800" <= character <= "\udfff" for text in texts for character in text):
        raise DataError("the text holds code points that UTF-8 cannot carry (lone surrogates)")


def _drawn(lines: Iterator[str], most: int) -> list[str]:
    """A uniform sample of at most `most` lines (reservoir sampling; Vitter 1985, algorithm R); the same every time.

    SentencePiece's own sampling uses a different seed in each process (0.2.3).
    """
    kept = list(islice(lines, most))
    draw = random.Random(1)
    for number, line in enumerate(lines, most):
        place = draw.randrange(number + 1)
        if place < most:
            kept[place] = line
    return kept
