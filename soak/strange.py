"""Malformed lines, as found in files: invalid UTF-8, unusual characters, extreme lengths."""

from __future__ import annotations

import random

_SCRIPTS = [
    "abcdefghijklmnopqrstuvwxyz .,äßé",
    "ABC Dr. z.B. 3.5 Mr. ?! \"«»“”„'()[]",
    "привет мир Ω αβγ",
    "你好。世界！「こんにちは」カナ ㈱",
    "안녕하세요 ᄀ\u1161\u11a8",
    "مرحبا بالعالم؟ שלום \u200f\u202e\u2066\u2069\u200e",
    "नमस्ते दुनिया। ไทยลาว မြန်မာ",
    "🎉👩‍👩‍👧‍👦🏳️‍🌈🇩🇪\U0001f3fd\ufe0f\u200d",
    "e\u0301\u0302\u0303\u0304 Z\u0335\u0336a\u0489 \u034f",
    "\x00\x01\x07\x08\x0b\x0c\x0d\x1b[31m\x1c\x1d\x1e\x7f\x80\x85\x9f",
    "\u2028\u2029\xa0\u2007\u3000\u200b\ufeff\u2060\t ",
    "\ufffd\ufffe\uffff\U0010ffff\ue000\U000e0001\u2581\u2047▁<unk></s>&amp;",
]
_BYTES = [
    b"\xff\xfe",
    b"\xc0\x80",  # NUL, overlong encoding
    b"\xed\xa0\x80",  # half a surrogate pair
    b"\xf4\x90\x80\x80",  # above the last code point
    b"\xe2\x82",  # truncated
    b"\x1f\x8b\x08",  # the start of a gzip file
    b"\xef\xbb\xbf",  # a byte order mark
    b"\x80\x80",
    b"\r",
    b'{"source": "',
    b" ||| ",
]
_ENDS = ["\x85".encode(), "\u2028".encode(), "\u2029".encode(), b"\x1c", b"\xef\xbb\xbf", b"\t", b"\x00"]


def strange_lines(seed: int, number: int) -> list[bytes]:
    """The given number of lines, without line ends."""
    generator = random.Random(seed)
    return [_line(generator) for _ in range(number)]


def _line(generator: random.Random) -> bytes:
    kind = generator.random()
    if kind < 0.08:
        return generator.choice([b"", b"", b" ", b"\t", b"\r", b"   "])
    if kind < 0.2:
        return generator.randbytes(generator.randrange(40)).replace(b"\n", b"")
    if kind < 0.25:  # one character, many times
        sign = generator.choice(generator.choice(_SCRIPTS)).encode()
        return sign * int(10 ** generator.uniform(0, 3))
    if kind < 0.3:  # any code points, of any plane: most are unassigned
        signs = (generator.randrange(0x110000) for _ in range(generator.randrange(30)))
        return "".join(map(chr, signs)).replace("\n", "").encode("utf-8", "surrogatepass")
    if kind < 0.32:  # many combining marks on a letter
        marks = generator.choices([*map(chr, range(0x300, 0x370)), *map(chr, range(0x1AB0, 0x1ACF))], k=300)
        return ("e" + "".join(marks)).encode()
    if kind < 0.34:  # characters that resemble line ends
        return b"".join(generator.choices([b"a", b"\r", b"\x0b", b"\x0c", *_ENDS], k=12))
    parts = []
    for _ in range(generator.randrange(1, 4)):
        script = generator.choice(_SCRIPTS)
        parts.append("".join(generator.choices(script, k=generator.randrange(1, 16))).encode())
        if generator.random() < 0.2:
            parts.append(generator.choice(_BYTES))
        if generator.random() < 0.3:
            parts.append(generator.choice([". ", "! ", "? ", "。", "؟ "]).encode())
    return b"".join(parts)
