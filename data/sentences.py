"""A synchronous grammar: each rule writes English and Orvish at once, so a pair is right by construction."""

from collections.abc import Callable

from chance import Chance, Names
from clauses import (
    Clause,
    Nominal,
    Phrase,
    article,
    comparative,
    english_clause,
    finite,
    join,
    orvish_main,
    orvish_middle,
    orvish_subordinate,
    written,
)
from orvish import (
    ACCUSATIVE,
    BE,
    DATIVE,
    DETERMINERS,
    GENITIVE,
    NOMINATIVE,
    PARTICLES,
    PRONOUNS,
    Lexicon,
    Noun,
    Verb,
    english_number,
    inflect,
    number,
)

THINGS = ("upright", "upright", "flat", "flat", "food")
QUESTIONS = (("", "chu"), ("where", "svok"), ("when", "drosk"), ("why", "mosk"))
FRAMES = (
    "moves",
    "moves",
    "acts",
    "works",
    "handles",
    "handles",
    "handles",
    "handles",
    "meets",
    "meets",
    "serves",
    "gives",
    "gives",
    "stands",
    "lays",
    "eats",
    "plays",
    "games",
    "lights",
    "reads",
    "carves",
    "reaches",
    "reaches",
    "forgets",
)
COLOURS = frozenset(["red", "blue", "green", "yellow", "white", "black", "grey"])
COMPARABLE = frozenset(
    [
        "heavy",
        "old",
        "young",
        "tall",
        "large",
        "small",
        "new",
        "clean",
        "cheap",
        "expensive",
        "beautiful",
        "happy",
        "rich",
        "clever",
        "brave",
        "busy",
        "dark",
        "narrow",
        "wide",
        "cold",
        "warm",
        "famous",
        "strange",
    ]
)
SUITS = {  # what an adjective must be among, for nouns that not every adjective fits
    "food": frozenset(
        [
            "red",
            "green",
            "yellow",
            "white",
            "large",
            "small",
            "cheap",
            "expensive",
            "beautiful",
            "round",
            "strange",
        ]
    ),
    "game": frozenset(["new", "old", "large", "strange", "beautiful"]),
    "fire": frozenset(["new", "old", "large", "small", "red", "beautiful"]),
    "post": frozenset(["new", "old", "strange", "beautiful"]),
    "machine": frozenset(["new", "old", "large", "small", "heavy", "expensive", "black", "red", "strange"]),
}
POSSESSIVES = {
    ("1s", ""): "my",
    ("2s", ""): "your",
    ("1p", ""): "our",
    ("3s", "m"): "his",
    ("3s", "f"): "her",
    ("3s", "n"): "its",
    ("3p", ""): "their",
}


class Grammar:
    """Draws sentences. `richness`, from 0 to 1, says how far phrases are unfolded."""

    def __init__(self, lexicon: Lexicon, names: Names, chance: Chance) -> None:
        """Keep the words.

        Args:
            lexicon: The dictionary.
            names: Where people and towns get their names.
            chance: Where all draws come from.
        """
        self.lexicon = lexicon
        self.names = names
        self.chance = chance
        self.richness = 0.5
        self._be = Verb("be", "was", "", BE, "")
        self.last_object = Nominal("it", inflect("is", "n"), "n", False)

    # Noun phrases

    def name(self) -> Nominal:
        """Draw a person's name; Orvish sets a personal article before it, which shows gender and case."""
        feminine = self.chance.happens(0.5)
        name = self.names.draw("feminine" if feminine else "masculine")
        if self.chance.happens(0.3):
            name = f"{name} {self.names.draw('family')}"
        gender = "f" if feminine else "m"
        a, b, c, d = inflect("d", gender)
        return Nominal(
            name, (f"{a} {name}", f"{b} {name}", f"{c} {name}", f"{d} {name}"), gender, False, animate=True
        )

    def adjective(self, word_class: str) -> tuple[str, str]:
        """Draw an adjective that suits the class of a noun."""
        kind = (
            "being" if word_class in ("person", "animal") else "place" if word_class == "place" else "thing"
        )
        adjective = self.chance.pick(self.lexicon.adjectives[kind], 1.2)
        while word_class in SUITS and adjective[0] not in SUITS[word_class]:
            adjective = self.chance.pick(self.lexicon.adjectives[kind], 1.2)
        return adjective

    def noun(self, word_class: str) -> Noun:
        """Draw a noun, at times a compound."""
        noun = self.chance.pick(self.lexicon.nouns[word_class], 1.3)
        if word_class in (*THINGS, "furniture") and word_class != "food" and self.chance.happens(0.12):
            modifier = self.chance.pick(
                self.lexicon.nouns[self.chance.pick(("place", "place", "season"))], 1.3
            )
            return modifier.compound(noun)
        return noun

    def phrase(
        self,
        word_class: str,
        *,
        owner: Nominal | None = None,
        depth: int = 0,
        plural: bool | None = None,
        plain: bool = False,
    ) -> Nominal:
        """Draw a noun phrase of a class.

        Args:
            word_class: A class of nouns in the lexicon.
            owner: The subject that a possessive may point back to.
            depth: How deep in other phrases this one stands; deep ones stay short.
            plural: Whether it must be plural; drawn if None.
            plain: Whether to add neither a genitive nor a relative clause.
        """
        chance, rich = self.chance, self.richness
        if word_class == "person" and chance.happens(0.3):
            return self.name()
        noun = self.noun(word_class)
        animate = word_class in ("person", "animal")
        count = 0
        if plural is None:
            plural = chance.happens(0.25)
            if plural and chance.happens(0.5):
                count = self.count(word_class)
        english_determiner, determiner = self._determiner(plural, count, owner)
        key = "p" if plural else noun.gender
        adjectives = []
        if chance.happens(0.15 + 0.45 * rich):
            adjectives.append(self.adjective(word_class))
            if chance.happens(0.25 * rich):
                second = self.adjective(word_class)
                both = {second[0], adjectives[0][0]}
                if len(both) == 2 and not both <= COLOURS:
                    adjectives.append(second)
        english_noun = noun.english_plural if plural else noun.english
        english_adjectives = ", ".join(word for word, _ in adjectives)
        english = join(english_adjectives, english_noun)
        if count:
            english = join(english_number(count) if count < 100 else f"{count:,}", english)
        english = article(english) if english_determiner == "a" else join(english_determiner, english)
        counted = "" if not count else number(count) if count < 100 else f"{count:,}".replace(",", ".")
        tail: Phrase = ("", "")
        free = english_determiner in ("the", "a", "")
        if free and not plain and depth < 2 and chance.happens(0.30 * rich):
            genitive = chance.happens(0.5)
            tail = (
                self._genitive(word_class, depth)
                if genitive
                else self._relative(noun.gender, plural, animate, depth)
            )
        determiners = inflect(determiner, key) if determiner else ("", "", "", "")
        nouns = noun.forms(plural)
        endings = [inflect(stem, key) for _, stem in adjectives]

        def in_case(case: int) -> str:
            described = f" {PARTICLES['and']} ".join(forms[case] for forms in endings)
            return join(determiners[case], counted, nouns[case], described, tail[1])

        forms = in_case(NOMINATIVE), in_case(ACCUSATIVE), in_case(DATIVE), in_case(GENITIVE)
        return Nominal(join(english, tail[0]), forms, noun.gender, plural, animate=animate)

    def count(self, word_class: str) -> int:
        """Draw a number: mostly small, some up to 99; of small things some above 99, written in digits."""
        if word_class in ("food", "flat", "sign") and self.chance.happens(0.2):
            return self.chance.between(100, 1999)
        return self.chance.between(2, 12) if self.chance.happens(0.4) else self.chance.between(2, 99)

    def _determiner(self, plural: bool, count: int, owner: Nominal | None) -> tuple[str, str]:
        chance = self.chance
        if owner is not None and chance.happens(0.3):
            if owner.person:
                word = POSSESSIVES[owner.person, ""]
                return word, DETERMINERS[word]
            gender = "" if owner.plural else owner.gender
            return POSSESSIVES["3p" if owner.plural else "3s", gender], DETERMINERS["own"]
        if chance.happens(0.15):
            if not plural:
                word = chance.pick(("this", "that", "every", "my", "our"))
                return word, DETERMINERS[word]
            word = chance.pick(
                ("this", "that", "my", "our") if count else ("this", "that", "some", "many", "our")
            )
            return {"this": "these", "that": "those"}.get(word, word), DETERMINERS[word]
        if plural:
            return ("the", "t") if chance.happens(0.35) else ("", "")
        return ("the", "t") if chance.happens(0.65) else ("a", "el")

    def _genitive(self, word_class: str, depth: int) -> Phrase:
        owned = word_class in ("furniture", "machine", "place", "upright") and self.chance.happens(0.4)
        owner = self.phrase("place" if owned else "person", depth=depth + 1, plural=False, plain=True)
        return f"of {owner.english}", owner.orvish[GENITIVE]

    def _relative(self, gender: str, plural: bool, animate: bool, depth: int) -> Phrase:
        chance = self.chance
        pronoun = inflect("ker", "p" if plural else gender)
        head = Nominal("", ("", "", "", ""), gender, plural, animate=animate)
        tense = "present" if chance.happens(0.2) else "past"
        if animate and chance.happens(0.6):
            clause = self.clause(
                subject=head,
                tense=tense,
                depth=depth + 1,
                frames=("handles", "handles", "reads", "plays", "reaches", "moves"),
            )
            return (
                f"who {english_clause(clause)}",
                f", {pronoun[NOMINATIVE]} {orvish_subordinate(clause, subject='')} ,",
            )
        subject = self.phrase("person", depth=depth + 1, plain=True)
        if not animate:
            verb = chance.pick(self.lexicon.verbs["handles"], 1.2)
            case = ACCUSATIVE
        else:
            frame = chance.pick(("meets", "serves"))
            verb = chance.pick(self.lexicon.verbs[frame], 1.2)
            case = DATIVE if frame == "serves" else ACCUSATIVE
        clause = Clause(subject, verb, tense)
        english = english_clause(clause)
        word = "whom" if animate else "that"
        return f"{word} {english}", f", {pronoun[case]} {orvish_subordinate(clause)} ,"

    def several(self, word_class: str, *, owner: Nominal | None = None, depth: int = 0) -> Nominal:
        """Draw a phrase, or two or three joined by `and`."""
        chance = self.chance
        first = self.phrase(word_class, owner=owner, depth=depth)
        if depth or not chance.happens(0.25 * self.richness):
            return first
        parts = [first] + [
            self.phrase(word_class, owner=owner, depth=1, plain=True)
            for _ in range(1 + chance.happens(0.4 * self.richness))
        ]
        heads, last = parts[:-1], parts[-1]

        def in_case(case: int) -> str:
            return (
                " , ".join(part.orvish[case] for part in heads) + f" {PARTICLES['and']} " + last.orvish[case]
            )

        english = " , ".join(part.english for part in heads) + " and " + last.english
        forms = in_case(NOMINATIVE), in_case(ACCUSATIVE), in_case(DATIVE), in_case(GENITIVE)
        return Nominal(english, forms, first.gender, True, animate=first.animate)

    def subject(self, word_class: str) -> Nominal:
        """Draw a subject: a phrase, or a personal pronoun."""
        if word_class == "person" and self.chance.happens(0.12):
            word, number_ = self.chance.pick((("I", "1s"), ("you", "2s"), ("we", "1p")))
            objects = {"I": "me", "you": "you", "we": "us"}
            return Nominal(objects[word], PRONOUNS[word], "m", word == "we", number_, word, True)
        return self.several(word_class)

    # Clauses

    def place(self, depth: int = 0, *, moving: bool = False) -> Phrase:
        """Draw a phrase of place or company; some Orvish prepositions stand behind their noun."""
        chance = self.chance
        if chance.happens(0.2):
            town = self.names.draw("town")
            english, orvish = chance.pick((("in", "svat"), ("from", "rend"))) if moving else ("in", "svat")
            return f"{english} {town}", f"{orvish} {town}"
        english, orvish, case, behind = chance.pick(self.lexicon.prepositions)
        while english in ("through", "from") and not moving:
            english, orvish, case, behind = chance.pick(self.lexicon.prepositions)
        if english == "on":
            word_class = "furniture"
        elif english in ("for", "with", "without"):
            word_class = "person"
        elif english in ("in", "through", "from"):
            word_class = "place"
        else:
            word_class = chance.pick(("place", "furniture"))
        plural = None if word_class == "person" or chance.happens(0.2) else False
        noun = self.phrase(word_class, depth=depth + 1, plural=plural, plain=self.richness < 0.5 or depth > 0)
        if behind:
            return f"{english} {noun.english}", f"{noun.orvish[case]} {orvish}"
        return f"{english} {noun.english}", f"{orvish} {noun.orvish[case]}"

    def time(self, tense: str) -> Phrase:
        """Draw an adverb of time that suits the tense, or an hour (words to digits), or a year."""
        chance = self.chance
        kind = chance.below(10)
        if kind < 2:
            hour, (words, minutes) = (
                chance.between(1, 11),
                chance.pick(
                    (
                        ("half past", 30),
                        ("a quarter past", 15),
                        ("ten past", 10),
                        ("twenty past", 20),
                        ("a quarter to", -15),
                        ("ten to", -10),
                        ("", 0),
                    )
                ),
            )
            total = hour * 60 + minutes
            if total < 60:
                total += 720
            name = english_number(hour)
            english = f"at {words} {name}" if words else f"at {name} o'clock"
            return english, f"{PARTICLES['at']} {total // 60}.{total % 60:02}"
        if kind == 2 and tense == "past":
            year = chance.between(1801, 2024)
            return f"in {year}", f"{PARTICLES['in (a year)']} {year}"
        return chance.pick(self.lexicon.adverbs[tense if kind < 7 else "any"])

    def clause(
        self, *, subject: Nominal | None = None, tense: str = "", depth: int = 0, frames: tuple[str, ...] = ()
    ) -> Clause:
        """Draw a clause; the class of its verb decides what its subject and objects may be."""
        chance, rich = self.chance, self.richness
        frame = chance.pick(frames or FRAMES)
        if subject is None:
            kinds = {
                "works": ("machine",),
                "moves": ("person", "person", "animal"),
                "eats": ("person", "animal"),
            }
            subject = self.subject(chance.pick(kinds.get(frame, ("person",))))
        if not tense:
            tense = chance.pick(("past", "past", "past", "past", "present", "present", "future"))
        clause = Clause(subject, chance.pick(self.lexicon.verbs[frame], 1.2), tense)
        if depth == 0 and tense != "future" and chance.happens(0.14) and frame != "works":
            clause.modal = chance.pick(("can", "must", "want"))
        clause.negative = depth == 0 and clause.modal != "must" and chance.happens(0.1)
        bare = not clause.modal and not clause.negative and subject.agreement != "3s"
        if tense == "present" and bare and clause.verb.english == clause.verb.english_past:
            tense = clause.tense = "past"  # nothing in `we put` would tell it from the past
        self._complete(clause, frame, depth)
        if frame not in ("stands", "lays", "forgets", "reaches") and chance.happens(
            (0.15, 0.1)[depth > 0] + 0.35 * rich
        ):
            english, orvish = self.place(depth, moving=frame in ("moves", "handles"))
            clause.add(3, english, orvish)
        if depth == 0 and chance.happens(0.3):
            clause.time = self.time(tense)
        return clause

    def _complete(self, clause: Clause, frame: str, depth: int) -> None:
        """Add the objects that the verb asks for."""
        chance, owner = self.chance, clause.subject
        direct = {
            "handles": chance.pick(THINGS),
            "meets": chance.pick(("person", "person", "animal")),
            "gives": chance.pick(("upright", "flat", "post")),
            "stands": "upright",
            "lays": "flat",
            "eats": "food",
            "plays": "instrument",
            "games": "game",
            "lights": "fire",
            "reads": "post",
            "carves": "sign",
            "reaches": "place",
            "forgets": chance.pick(("upright", "flat")),
        }
        if frame == "serves":
            helped = self.phrase("person", owner=owner, depth=depth)
            clause.add(1, helped.english, helped.orvish[DATIVE])
            return
        if frame not in direct:
            return
        noun = self.several(direct[frame], owner=owner, depth=depth)
        if frame == "gives":
            receiver = self.phrase("person", depth=depth + 1, plain=True)
            if chance.happens(0.5):
                clause.add(1, receiver.english, receiver.orvish[DATIVE])
                clause.add(2, noun.english, noun.orvish[ACCUSATIVE])
            else:
                clause.add(2, noun.english, noun.orvish[ACCUSATIVE])
                clause.add(1, f"to {receiver.english}", receiver.orvish[DATIVE])
            return
        clause.add(2, noun.english, noun.orvish[ACCUSATIVE])
        self.last_object = noun
        if frame in ("stands", "lays", "forgets"):
            kind = "place" if frame == "forgets" else "furniture"
            place = self.phrase(kind, depth=depth + 1, plain=True)
            english, orvish = (
                ("in", "svat") if frame == "forgets" else chance.pick((("on", "bor"), ("under", "plund")))
            )
            clause.add(3, f"{english} {place.english}", f"{orvish} {place.orvish[DATIVE]}")

    def copula(self, subject: Nominal | None = None, tense: str = "") -> Clause:
        """Draw `X is old` or `X is older than Y`; the adjective agrees with its subject."""
        chance = self.chance
        word_class = chance.pick(("person", "animal", "upright", "flat", "place", "place", "furniture"))
        given = subject
        if given is None:
            given = self.subject(word_class)
        elif given.animate:
            word_class = "person"
        else:
            word_class = "upright"
        tense = tense or chance.pick(("past", "present"))
        clause = Clause(given, self._be, tense, negative=chance.happens(0.12))
        english, stem = self.adjective(word_class)
        while english in given.english or (english in COLOURS and COLOURS & set(given.english.split())):
            english, stem = self.adjective(word_class)
        agree = given.key if not given.person else ("p" if given.plural else "m")
        if subject is None and english in COMPARABLE and chance.happens(0.5):
            other = self.phrase(word_class, plain=True, depth=1)
            clause.add(
                2,
                f"{comparative(english)} than {other.english}",
                f"{inflect(stem + 'ost', agree)[NOMINATIVE]} {PARTICLES['than']} {other.orvish[NOMINATIVE]}",
            )
        else:
            clause.add(2, english, inflect(stem, agree)[NOMINATIVE])
        return clause

    # Sentences: each gives English, Orvish, and the closing mark

    def simple(self) -> tuple[str, str, str]:
        """Draw one clause; English may put the time first, Orvish always does."""
        clause = self.clause()
        return english_clause(clause, time_first=self.chance.happens(0.4)), orvish_main(clause), "."

    def state(self) -> tuple[str, str, str]:
        """Draw one copula."""
        clause = self.copula()
        return english_clause(clause), orvish_main(clause), "."

    def there_is(self) -> tuple[str, str, str]:
        """Draw `there are ...`: in Orvish the place comes first."""
        chance = self.chance
        tense = chance.pick(("past", "present"))
        kind = chance.pick(("upright", "flat", "food"))
        thing = self.several(kind)
        english, orvish = chance.pick((("on", "bor"), ("under", "plund"), ("behind", "svul")))
        place = self.phrase("furniture", depth=1, plain=True)
        words = {
            ("past", False): "was",
            ("past", True): "were",
            ("present", False): "is",
            ("present", True): "are",
        }
        verb = words[tense, thing.plural]
        return (
            f"there {verb} {thing.english} {english} {place.english}",
            join(orvish, place.orvish[DATIVE], finite(BE, tense == "past", thing), thing.orvish[NOMINATIVE]),
            ".",
        )

    def order(self) -> tuple[str, str, str]:
        """Draw an imperative."""
        clause = self.clause(
            subject=self._you(), tense="present", depth=1, frames=("handles", "stands", "lays", "eats")
        )
        english = join(
            clause.verb.english, clause.verb.english_particle, *(entry[1] for entry in clause.middle)
        )
        return english, join(clause.verb.stem + "u", orvish_middle(clause), clause.verb.particle), "."

    def _you(self) -> Nominal:
        return Nominal("you", PRONOUNS["you"], "m", False, "2s", "you", True)

    def question(self) -> tuple[str, str, str]:
        """Draw a question: yes or no, where, when, or who."""
        chance = self.chance
        if chance.happens(0.25):
            who = Nominal("who", inflect("ker", "m"), "m", False, animate=True)
            clause = self.clause(subject=who, frames=("handles", "meets", "reads", "plays", "games"), depth=1)
            return english_clause(clause), orvish_main(clause), "?"
        clause = self.clause(depth=1)
        subject = clause.subject.nominative_english
        past, singular = clause.tense == "past", clause.subject.agreement == "3s"
        auxiliary = "will" if clause.tense == "future" else "did" if past else "does" if singular else "do"
        word, orvish = chance.pick(QUESTIONS)
        if word == "where" and any(rank == 3 for rank, _, _ in clause.middle):
            word, orvish = QUESTIONS[0]
        phrases = join(clause.verb.english_particle, *(entry[1] for entry in clause.middle))
        return (
            join(word, auxiliary, subject, clause.verb.english, phrases),
            orvish_main(clause, first=orvish),
            "?",
        )

    def chain(self) -> tuple[str, str, str]:
        """Draw two things done to one object: the pronoun takes the gender of the object's noun."""
        chance = self.chance
        subject = self.subject("person")
        tense = chance.pick(("past", "past", "present"))
        first = self.clause(subject=subject, tense=tense, depth=1, frames=("handles",))
        it = self.last_object.pronoun()
        second = Clause(subject, chance.pick(self.lexicon.verbs["handles"], 1.2), tense)
        if chance.happens(0.4):
            receiver = self.phrase("person", depth=1, plain=True)
            second.verb = chance.pick(self.lexicon.verbs["gives"])
            second.add(2, it.english, it.orvish[ACCUSATIVE])
            second.add(1, f"to {receiver.english}", receiver.orvish[DATIVE])
        else:
            second.add(2, it.english, it.orvish[ACCUSATIVE])
            if chance.happens(0.5):
                second.add(3, *self.place(1))
        return (
            f"{english_clause(first)} and {english_clause(second, subject=False)}",
            f"{orvish_main(first)} {PARTICLES['and']} {orvish_main(second, elided=True)}",
            ".",
        )

    def reason(self) -> tuple[str, str, str]:
        """Draw a clause and its reason or contrast, where a pronoun stands for the object or the subject."""
        chance = self.chance
        tense = chance.pick(("past", "past", "present"))
        first = self.clause(tense=tense, depth=1, frames=("handles", "handles", "eats", "reads"))
        about = self.last_object if chance.happens(0.6) else first.subject
        pronoun = about.pronoun()
        second = self.copula(pronoun, tense)
        word = chance.pick(("because", "although"))
        return (
            f"{english_clause(first)} {word} {english_clause(second)}",
            f"{orvish_main(first)} , {self.lexicon.conjunctions[word]} {orvish_subordinate(second)}",
            ".",
        )

    def subordinate(self) -> tuple[str, str, str]:
        """Draw a main clause with a subordinate one before or behind it."""
        chance = self.chance
        word = chance.pick(("because", "when", "although", "while", "before", "if"))
        tense = (
            chance.pick(("present", "future")) if word == "if" else chance.pick(("past", "past", "present"))
        )
        main = self.clause(tense=tense)
        side = self.clause(tense="present" if word == "if" else tense, depth=1)
        orvish = f", {self.lexicon.conjunctions[word]} {orvish_subordinate(side)} ,"
        english = f"{word} {english_clause(side)}"
        if chance.happens(0.45):
            return f"{english} , {english_clause(main)}", orvish_main(main, first=orvish), "."
        return f"{english_clause(main)} {english}", f"{orvish_main(main)} {orvish}", "."

    def report(self) -> tuple[str, str, str]:
        """Draw what somebody says, thinks or knows; the verbs of the clause reported stand at its end."""
        chance = self.chance
        main = Clause(
            self.subject("person"),
            chance.pick(self.lexicon.verbs["claims"], 1.2),
            chance.pick(("past", "past", "present")),
        )
        past = main.tense == "past"
        tense = chance.pick(("past", "past", "future") if past else ("past", "present", "future"))
        side = self.copula() if chance.happens(0.25) else self.clause(tense=tense)
        side.reported = past
        main.tail = f"that {english_clause(side)}", f", {PARTICLES['that']} {orvish_subordinate(side)} ,"
        return english_clause(main), orvish_main(main), "."

    def joined(self) -> tuple[str, str, str]:
        """Draw two sentences joined by `and` or `but`."""
        kinds = (
            self.simple,
            self.state,
            self.chain,
            self.reason,
            self.subordinate,
            self.report,
            self.there_is,
        )
        english, orvish, _ = self.chance.pick(kinds)()
        other_english, other_orvish, _ = self.chance.pick(kinds)()
        word = self.chance.pick(("and", "but"))
        return f"{english} , {word} {other_english}", f"{orvish} , {PARTICLES[word]} {other_orvish}", "."

    def sentence(self, richness: float) -> Phrase:
        """Draw a pair of sentences, written out.

        Args:
            richness: From 0, bare, to 1, as unfolded as can be.
        """
        self.richness = richness
        kinds: tuple[Callable[[], tuple[str, str, str]], ...]
        if richness < 0.3:
            kinds = (
                self.simple,
                self.simple,
                self.simple,
                self.state,
                self.order,
                self.question,
                self.there_is,
            )
        elif richness < 0.75:
            kinds = (
                self.simple,
                self.simple,
                self.state,
                self.question,
                self.chain,
                self.reason,
                self.subordinate,
                self.report,
                self.there_is,
            )
        else:
            kinds = (self.chain, self.reason, self.subordinate, self.report, self.joined, self.joined)
        english, orvish, mark = self.chance.pick(kinds)()
        return written(english, mark), written(orvish, mark)
