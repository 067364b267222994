"""Noun phrases and clauses, and the order in which either language writes them.

English keeps subject, verb, objects. In an Orvish main clause one phrase stands before the finite verb (V2),
the particle or infinitive at the end; in a subordinate clause all verbs are at the end, the finite one last.
Both sides are strings in which commas stand alone, tidied at last by `written`.
"""

import re
from dataclasses import dataclass, field

from orvish import AUXILIARIES, NOMINATIVE, PARTICLES, PAST, PRESENT, Forms, Verb, inflect

Phrase = tuple[str, str]  # English, Orvish


@dataclass(frozen=True)
class Nominal:
    """A noun phrase; `english` as an object, `subject` as a subject (they differ in pronouns)."""

    english: str
    orvish: Forms
    gender: str
    plural: bool
    person: str = ""  # 1s, 2s, 1p; third person when empty
    subject: str = ""
    animate: bool = False

    @property
    def agreement(self) -> str:
        """The person and number that verbs agree with."""
        return self.person or ("3p" if self.plural else "3s")

    @property
    def key(self) -> str:
        """The agreement key of determiners, adjectives and participles."""
        return "p" if self.plural else self.gender

    @property
    def nominative_english(self) -> str:
        """The phrase as an English subject."""
        return self.subject or self.english

    def pronoun(self) -> "Nominal":
        """Return the pronoun that stands for this phrase."""
        if self.person:
            return self
        subject, english = ("they", "them") if self.plural else ("it", "it")
        if self.animate and not self.plural and self.gender != "n":
            subject, english = ("he", "him") if self.gender == "m" else ("she", "her")
        return Nominal(english, inflect("is", self.key), self.gender, self.plural, "", subject, self.animate)


@dataclass
class Clause:
    """A verb with all that belongs to it; Orvish sorts `middle` (rank, English, Orvish) by rank."""

    subject: Nominal
    verb: Verb
    tense: str
    modal: str = ""
    negative: bool = False
    reported: bool = False  # by a past verb: English turns will into would
    middle: list[tuple[int, str, str]] = field(default_factory=list)
    time: Phrase | None = None
    tail: Phrase | None = None  # a clause that follows all else

    def add(self, rank: int, english: str, orvish: str) -> None:
        """Append a phrase in English order."""
        self.middle.append((rank, english, orvish))


def join(*parts: str) -> str:
    """Join what is not empty."""
    return " ".join(part for part in parts if part)


def written(text: str, end: str) -> str:
    """Tidy commas, put the closing mark, begin with a capital."""
    text = re.sub(r"(?: ,)+", ",", join(text)).strip(" ,")
    return text[0].upper() + text[1:] + end


def third_person(verb: str) -> str:
    """Put the English -s on a verb."""
    if verb == "be":
        return "is"
    if verb == "have":
        return "has"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ies"
    return verb + ("es" if verb.endswith(("s", "sh", "ch", "x", "o")) else "s")


def comparative(adjective: str) -> str:
    """Compare an English adjective."""
    if adjective in ("expensive", "beautiful", "famous"):
        return f"more {adjective}"
    if adjective.endswith("y"):
        return adjective[:-1] + "ier"
    return adjective + ("r" if adjective.endswith("e") else "er")


def article(phrase: str) -> str:
    """Put `a` or `an` before an English phrase."""
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def finite(stem: str, past: bool, subject: Nominal) -> str:
    """Conjugate an Orvish verb: the present by person and number, the past by gender and number."""
    if not past:
        return stem + PRESENT[subject.agreement]
    if subject.person:
        return stem + PAST[subject.person]
    return inflect(stem + "iv", subject.key)[NOMINATIVE]


def orvish_verbs(clause: Clause) -> tuple[str, str]:
    """Return the finite form and what closes the clause (a particle or an infinitive, or nothing)."""
    past = clause.tense == "past"
    auxiliary = clause.modal or ("future" if clause.tense == "future" else "")
    if auxiliary:
        return finite(AUXILIARIES[auxiliary], past, clause.subject), clause.verb.infinitive()
    return finite(clause.verb.stem, past, clause.subject), clause.verb.particle


def orvish_middle(clause: Clause) -> str:
    """Order what stands between the verbs: dative, accusative, then the rest; negation closes it."""
    ordered = sorted(clause.middle, key=lambda entry: entry[0])
    return join(*(orvish for _, _, orvish in ordered), PARTICLES["not"] if clause.negative else "")


def orvish_main(clause: Clause, *, first: str = "", elided: bool = False) -> str:
    """Write a main clause.

    Args:
        clause: What to write.
        first: What stands before the verb; the time or else the subject, if empty.
        elided: Whether the subject is left out, as after `and`.
    """
    verb, closing = orvish_verbs(clause)
    subject = "" if elided else clause.subject.orvish[NOMINATIVE]
    time = clause.time[1] if clause.time else ""
    tail = clause.tail[1] if clause.tail else ""
    middle = orvish_middle(clause)
    if elided:
        return join(verb, time, middle, closing, tail)
    if first:
        return join(first, verb, subject, time, middle, closing, tail)
    if time:
        return join(time, verb, subject, middle, closing, tail)
    return join(subject, verb, middle, closing, tail)


def orvish_subordinate(clause: Clause, *, subject: str | None = None) -> str:
    """Write a clause with its verbs at the end; a relative pronoun may have taken the subject's place."""
    verb, closing = orvish_verbs(clause)
    auxiliary = clause.modal or clause.tense == "future"
    verbs = join(closing, verb) if auxiliary else closing + verb
    named = clause.subject.orvish[NOMINATIVE] if subject is None else subject
    return join(
        named,
        clause.time[1] if clause.time else "",
        orvish_middle(clause),
        verbs,
        clause.tail[1] if clause.tail else "",
    )


def english_verbs(clause: Clause) -> tuple[str, str]:
    """Return the English auxiliary (with its negation) and the main verb's form."""
    verb, subject = clause.verb, clause.subject
    singular = subject.agreement == "3s"
    past = clause.tense == "past"
    if clause.modal == "can":
        return ("could" if past else "can") if not clause.negative else (
            "could not" if past else "cannot"
        ), verb.english
    if clause.modal == "must":
        return ("had to" if past else "has to" if singular else "have to"), verb.english
    if clause.modal == "want":
        if clause.negative:
            return join("did" if past else "does" if singular else "do", "not want to"), verb.english
        return ("wanted to" if past else "wants to" if singular else "want to"), verb.english
    if clause.tense == "future":
        return join("would" if clause.reported else "will", "not" if clause.negative else ""), verb.english
    if verb.english == "be":
        plural = subject.agreement in ("2s", "1p", "3p")
        am = "am" if subject.agreement == "1s" else "are" if plural else "is"
        return ("were" if plural else "was") if past else am, "not" if clause.negative else ""
    if clause.negative:
        return join("did" if past else "does" if singular else "do", "not"), verb.english
    if past:
        return "", verb.english_past
    return "", third_person(verb.english) if singular else verb.english


def english_clause(clause: Clause, *, subject: bool = True, time_first: bool = False) -> str:
    """Write the clause in English order; the particle follows the verb, or a pronoun that is its object."""
    auxiliary, verb = english_verbs(clause)
    phrases = [english for _, english, _ in clause.middle]
    particle = clause.verb.english_particle
    if particle and phrases and phrases[0] in ("it", "them", "him", "her", "me", "you", "us"):
        phrases.insert(1, particle)
    else:
        phrases.insert(0, particle)
    time = clause.time[0] if clause.time else ""
    return join(
        f"{time} ," if time and time_first else "",
        clause.subject.nominative_english if subject else "",
        auxiliary,
        verb,
        *phrases,
        "" if time_first else time,
        clause.tail[0] if clause.tail else "",
    )
