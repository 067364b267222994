"""UTF-8 bytes as tokens."""

from collections.abc import Iterable, Sequence

from s2s.errors import DataError
from s2s.text.tokenizer import SPECIALS, UNK, UNKNOWN_TEXT, Tokenizer

_MODEL = b'{"bytes": 256}\n'


class Bytes(Tokenizer):
    """Each UTF-8 byte is a token: 260 ids, nothing to learn, nothing unknown.

    Lossless for every text: `decode(encode(x)) == x`. Ids that do not form UTF-8 (a model may output any ids)
    decode to U+FFFD.
    """

    def train(self, lines: Iterable[str]) -> None:
        """Does nothing: there is nothing to learn."""

    @property
    def trained(self) -> bool:
        """Always."""
        return True

    @property
    def vocabulary_size(self) -> int:
        """256 bytes and the reserved ids."""
        return len(SPECIALS) + 256

    def encode(self, text: str) -> list[int]:
        """The bytes of a line."""
        return [byte + len(SPECIALS) for byte in text.encode("utf-8")]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids."""
        unknown = UNKNOWN_TEXT.encode("utf-8")
        parts = [
            bytes([i - len(SPECIALS)]) if i >= len(SPECIALS) else unknown if i == UNK else b"" for i in ids
        ]
        return b"".join(parts).decode("utf-8", errors="replace")

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """Bytes as `<0x41>`."""
        return [SPECIALS[i] if i < len(SPECIALS) else f"<0x{i - len(SPECIALS):02X}>" for i in ids]

    def dump(self) -> bytes:
        """A constant."""
        return _MODEL

    def restore(self, model: bytes) -> None:
        """Checks that the file is what `dump` gives."""
        if model != _MODEL:
            raise DataError("this is not the file of a Bytes tokenizer")
