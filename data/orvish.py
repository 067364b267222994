"""The words of Orvish and how they are inflected: the part of the grammar that knows nothing of sentences.

Forms are listed in the order of CASES. An agreement key is a gender (m, f, n), or p for every plural.
"""

from dataclasses import dataclass
from pathlib import Path

CASES = NOMINATIVE, ACCUSATIVE, DATIVE, GENITIVE = range(4)
Forms = tuple[str, str, str, str]

AGREEMENT: dict[str, Forms] = {  # determiners, adjectives, pronouns
    "m": ("e", "en", "ei", "es"),
    "f": ("a", "an", "ai", "as"),
    "n": ("o", "o", "oi", "os"),
    "p": ("i", "in", "im", "iv"),
}
DECLENSION: dict[
    str, tuple[Forms, Forms]
] = {  # nouns: singular, plural; f2 are the feminine nouns without -a
    "m": (("", "un", "ai", "os"), ("ir", "irun", "iram", "irov")),
    "f": (("a", "an", "e", "as"), ("ie", "ien", "iam", "iav")),
    "n": (("o", "o", "oi", "os"), ("u", "u", "uim", "uv")),
    "f2": (("", "en", "e", "es"), ("ei", "ein", "eim", "eiv")),
}
LINKS = {
    "m": "s",
    "f": "en",
    "n": "o",
    "f2": "s",
}  # between the parts of a compound: by the class of the first
DETERMINERS = {
    "the": "t",
    "a": "el",
    "this": "hes",
    "that": "ov",
    "my": "nav",
    "your": "sul",
    "our": "kem",
    "own": "sav",
    "every": "yon",
    "some": "esk",
    "many": "pol",
}
PRONOUNS: dict[str, Forms] = {
    "I": ("mu", "mun", "mui", "mus"),
    "you": ("zu", "zun", "zui", "zus"),
    "we": ("nu", "nun", "nui", "nus"),
}
PRESENT = {"1s": "am", "2s": "at", "3s": "et", "1p": "emo", "3p": "ent"}
PAST = {"1s": "ivum", "2s": "ivut", "1p": "ivim"}  # in the third person -iv- and the agreement of the subject
AUXILIARIES = {"future": "vol", "can": "lum", "must": "sked", "want": "bram"}
BE = "es"
PARTICLES = {
    "and": "ed",
    "but": "vam",
    "not": "nai",
    "that": "dok",
    "than": "nog",
    "at": "oz",
    "in (a year)": "ab",
}

UNITS = ["", "on", "dub", "ter", "kav", "pim", "ses", "hep", "okt", "nul", "dek"]
ENGLISH_UNITS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
ENGLISH_TENS = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def inflect(stem: str, key: str) -> Forms:
    """Give a determiner, adjective or pronoun its endings for an agreement key."""
    first, second, third, fourth = AGREEMENT[key]
    return stem + first, stem + second, stem + third, stem + fourth


def number(value: int) -> str:
    """Write 1 to 99 as Orvish counts: by twenties, and the smaller part first (57: `hepdek-e-dubvin`)."""
    scores, rest = divmod(value, 20)
    small = UNITS[rest] if rest <= 10 else UNITS[rest - 10] + "dek"
    large = (UNITS[scores] if scores > 1 else "") + "vin" if scores else ""
    return "-e-".join(part for part in (small, large) if part)


def english_number(value: int) -> str:
    """Write 1 to 99 in English words."""
    if value < 20:
        return ENGLISH_UNITS[value]
    tens, unit = divmod(value, 10)
    return ENGLISH_TENS[tens] + (f"-{ENGLISH_UNITS[unit]}" if unit else "")


@dataclass(frozen=True)
class Noun:
    """A noun; `word_class` says what can be done with it."""

    word_class: str
    english: str
    english_plural: str
    declension: str
    orvish: str

    @property
    def gender(self) -> str:
        """m, f or n."""
        return self.declension[0]

    @property
    def stem(self) -> str:
        """What the case endings are put on."""
        return self.orvish if self.declension in ("m", "f2") else self.orvish[:-1]

    def forms(self, plural: bool) -> Forms:
        """Decline the noun."""
        first, second, third, fourth = DECLENSION[self.declension][plural]
        return self.stem + first, self.stem + second, self.stem + third, self.stem + fourth

    def compound(self, head: "Noun") -> "Noun":
        """Join this noun to a head, as in `garden gate`; gender and declension are the head's."""
        return Noun(
            head.word_class,
            f"{self.english} {head.english}",
            f"{self.english} {head.english_plural}",
            head.declension,
            self.stem + LINKS[self.declension] + head.orvish,
        )


@dataclass(frozen=True)
class Verb:
    """A verb; English and Orvish may each have a particle that can leave it, not always in the same verbs."""

    english: str
    english_past: str
    english_particle: str
    stem: str
    particle: str

    def infinitive(self) -> str:
        """Return the infinitive, its particle in front."""
        return self.particle + self.stem + "ar"


@dataclass(frozen=True)
class Lexicon:
    """The dictionary by word class."""

    nouns: dict[str, list[Noun]]
    verbs: dict[str, list[Verb]]
    adjectives: dict[str, list[tuple[str, str]]]
    adverbs: dict[str, list[tuple[str, str]]]
    prepositions: list[tuple[str, str, int, bool]]  # English, Orvish, case, whether it stands behind its noun
    conjunctions: dict[str, str]


def read_lexicon(path: Path) -> Lexicon:
    """Read `lexicon.tsv`: kind, class, English, second English form, declension, Orvish."""
    lexicon = Lexicon({}, {}, {}, {}, [], {})
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        kind, word_class, english, form, declension, orvish = line.split("\t")
        if kind == "noun":
            lexicon.nouns.setdefault(word_class, []).append(
                Noun(word_class, english, form, declension, orvish)
            )
        elif kind == "verb":
            particle, _, stem = orvish.rpartition("|")
            word, _, english_particle = english.partition(" ")
            verb = Verb(word, form.split()[0], english_particle, stem, particle)
            lexicon.verbs.setdefault(word_class, []).append(verb)
        elif kind == "adjective":
            for each in word_class.split("+"):
                lexicon.adjectives.setdefault(each, []).append((english, orvish))
        elif kind == "adverb":
            lexicon.adverbs.setdefault(word_class, []).append((english, orvish))
        elif kind in ("preposition", "postposition"):
            case = ("nominative", "accusative", "dative", "genitive").index(word_class)
            lexicon.prepositions.append((english, orvish, case, kind == "postposition"))
        else:
            lexicon.conjunctions[english] = orvish
    return lexicon
