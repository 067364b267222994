"""Lines that kits give to parts: a little text to learn from, and the oddities of real text."""

from __future__ import annotations

ENGLISH = (
    "The old man walks slowly down to the sea.",
    "Two children play with a small dog on the beach.",
    "She reads the letter again and puts it into her pocket.",
    "Nobody knew why the boat had not come back.",
    "In the morning the market is full of people.",
    "He opened the window, and the cold air came in.",
    "The train to the city leaves at half past seven.",
    "They have lived in this house for thirty years.",
)
"""Sentences of seven words or more, each unlike the others."""

TEXT = (
    *ENGLISH,
    "Der alte Mann geht langsam zum Meer hinunter.",
    "Zwei Kinder spielen am Strand mit einem kleinen Hund.",
    "Niemand wußte, warum das Boot nicht zurückgekommen war.",
    "Le vieil homme descend lentement vers la mer.",
    "Personne ne savait pourquoi le bateau n’était pas revenu.",
    "El viejo camina despacio hacia el mar, ¿verdad?",
    "Stary człowiek idzie powoli nad morze.",
    "Yaşlı adam yavaş yavaş denize iniyor.",
    "Ông già đi chậm rãi xuống biển.",
    "Старик медленно спускается к морю.",
    "Никто не знал, почему лодка не вернулась.",
    "Ο γέρος κατεβαίνει αργά στη θάλασσα.",
    "الرجل العجوز ينزل ببطء إلى البحر.",
    "הזקן יורד לאט אל הים.",
    "बूढ़ा आदमी धीरे-धीरे समुद्र की ओर जाता है।",
    "ชายชราเดินช้า ๆ ลงไปที่ทะเล",
    "老人慢慢地走向大海。",
    "老人はゆっくりと海へ歩いて行く。",
    "노인은 천천히 바다로 내려간다.",
    "1, 2, 3, 10, 25 and 1000: half of 7.50 is 3.75.",
)
"""Lines of several languages and scripts, single-spaced, composed where Unicode has the composed form."""

HARD_LINES = {
    "nothing": "",
    "a space": " ",
    "spaces around and between": "  two   spaces  ",
    "tabs": "a\tb\t",
    "a carriage return": "a\rb",
    "breaks that end no line": "a\u2028b\u2029c\u0085d\x0be\x0cf",
    "other spaces": "a\u00a0b\u2009c\u3000d\u200be",
    "emoji": "\U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea \U0001f44d\U0001f3fd",
    "combining marks": "e\u0301 a\u0323\u0308 n\u0303 \u0301",
    "ligatures and wide letters": "\ufb01ne \uff42\uff4f\uff41\uff54 \u00bd \u2126",
    "right to left": "\u200fשלום abc مرحبا 123\u200e",
    "control characters": "".join(map(chr, [*range(1, 10), *range(14, 32), 127])),
    "NUL": "a\0b\0",
    "letters that no training text has": "ᚠᛇᚻ ꙮ 𒀀 ᎣᏏᏲ ⴰⵣ",
    "private letters and no characters at all": "\ue000 \U0010fffd \uffff \ufdd0 \ufffd",
    "byte order marks": "\ufeffa\ufeff",
    "names of reserved tokens": "<pad> <unk> <s> </s> <s>a</s> <0x41> [UNK] [PAD] <|endoftext|>",
    "signs that tokenizers write": "\u2581a \u2581\u2581 b\u2581 \u2047 \u2047\u2047 c@@ ##d \u0120e",
    "quotes and backslashes": "\"a\" 'b' \\n \\\\ \\u0041 {} [] % $x",
    "a long line": " ".join(["the old man walks down to the sea"] * 1000),
    "a long word": "sea" * 3000,
}
"""Description -> line. Each is valid in a UTF-8 file: none has a line feed or half of a surrogate pair."""


def shortened(text: str, most: int = 60) -> str:
    """A text as it is shown in a message."""
    shown = ascii(text)
    return shown if len(shown) <= most else f"{shown[: most // 2]}... ({len(text):,} characters)"
