"""Notices and their headlines.

A notice says in a few sentences what happens, where, when and how much, among things that do not matter; its
headline selects, copies names and figures, shortens dates and hours to one form (`Thu 16:30`, `3 May`) and
counts or adds.
"""

from collections.abc import Callable
from typing import NamedTuple

from chance import Chance, Names
from orvish import english_number

DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
# fmt: off
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)
# fmt: on
# fmt: off
ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
    "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth",
    "eighteenth", "nineteenth", "twentieth", "twenty-first", "twenty-second", "twenty-third",
    "twenty-fourth", "twenty-fifth", "twenty-sixth", "twenty-seventh", "twenty-eighth",
)
# fmt: on
# fmt: off
BUILDINGS = (
    "library", "town hall", "school", "museum", "theatre", "station", "market hall", "swimming pool",
    "mill", "community garden", "post office", "harbour office",
)
# fmt: on
ROADS = ("bridge", "tunnel", "coast road", "ferry", "cycle path", "main street", "tram line", "footpath")
WORKS = (
    "repairs",
    "painting",
    "flooding",
    "a film crew",
    "fallen trees",
    "a street party",
    "new lights",
    "snow",
)
# fmt: off
TOPICS = (
    "roof", "budget", "garden", "choir", "summer trip", "website", "heating", "parking", "winter fair",
    "kitchen",
)
# fmt: on
# fmt: off
EVENTS = (
    "concert", "book sale", "flower show", "chess evening", "poetry reading", "puppet play", "craft market",
    "baking contest", "boat race", "lantern walk",
)
# fmt: on
ANIMALS = ("cat", "dog", "parrot", "rabbit", "tortoise", "goat")
COLOURS = ("grey", "black", "white", "brown", "spotted", "striped")
OBJECTS = ("umbrella", "violin", "bicycle", "notebook", "scarf", "suitcase", "camera", "lantern")
GOODS = (
    "loaves",
    "apples",
    "candles",
    "baskets",
    "jars of honey",
    "lamps",
    "chairs",
    "blankets",
    "books",
    "kites",
)
SPORTS = ("football", "chess", "volleyball", "rowing", "table tennis", "handball")
WEATHER = ("rain", "snow", "fog", "strong wind", "sunshine", "thunder", "hail")
PRIZES = ("painting", "pottery", "gardening", "baking", "sailing", "story")
FILLERS: tuple[str, ...] = (
    "Coffee and cake will be served.",
    "Please tell your neighbours.",
    "The weather should stay mild.",
    "Children are welcome.",
    "Dogs must stay outside.",
    "Tickets cost {n} crowns at the door.",
    "For questions, ask {person}.",
    "Thanks go to {person} for the idea.",
    "Last year {n} people came.",
    "The key is with {person}.",
    "{person} of {town} took the photographs.",
    "The phone number has not changed.",
    "Parking is free after {hour}.",
    "The office opens at {hour} as usual.",
    "As always, we are grateful for your help.",
    "A map hangs beside the door of the {building}.",
    "The old {building} is not affected.",
    "Nobody was hurt.",
    "{person} sends greetings from {town}.",
    "The next letter will follow on {day}.",
)
OPENINGS = (
    "Dear all!",
    "Dear neighbours!",
    "Good morning!",
    "Hello everybody!",
    "A short note.",
    "News from the office.",
    "",
    "",
    "",
    "",
)
KINDS = {
    "moved": "meeting moved",
    "closed": "road closed",
    "event": "event",
    "missing": "animal lost",
    "sold": "sale",
    "played": "match",
    "forecast": "weather",
    "joined": "new members",
    "prize": "contest won",
    "found": "thing found",
    "opening": "opening",
}
"""What kind of notice each method of `Reporter` draws."""


class Core(NamedTuple):
    """What a notice is about: sentences that must stand in it, in order, and the headline."""

    sentences: tuple[str, ...]
    headline: str


class Reporter:
    """Draws notices."""

    def __init__(self, names: Names, chance: Chance) -> None:
        """Keep the sources.

        Args:
            names: Where people and towns get their names.
            chance: Where all draws come from.
        """
        self.names = names
        self.chance = chance
        self._kinds: tuple[Callable[[], Core], ...] = (
            self.moved,
            self.closed,
            self.event,
            self.missing,
            self.sold,
            self.played,
            self.forecast,
            self.joined,
            self.prize,
            self.found,
            self.opening,
        )

    def notice(self) -> tuple[str, str]:
        """Draw a notice of one paragraph, and its headline."""
        text, headline, _ = self._draw()
        return text, headline

    def classified(self) -> tuple[str, str]:
        """Draw a notice of one paragraph, and what kind it is."""
        text, _, kind = self._draw()
        return text, kind

    def _draw(self) -> tuple[str, str, str]:
        chance = self.chance
        draw = chance.pick(self._kinds)
        core = draw()
        sentences = list(core.sentences)
        for _ in range(chance.between(1, 4)):
            sentences.insert(chance.between(0, len(sentences)), self._filler())
        opening = chance.pick(OPENINGS)
        if len(set(sentences)) < len(sentences):
            return self._draw()
        text = " ".join(([opening] if opening else []) + sentences)
        return text, core.headline, KINDS[draw.__name__]

    def _filler(self) -> str:
        chance = self.chance
        return chance.pick(FILLERS).format(
            n=chance.between(12, 240),
            person=self._person(),
            town=self._town(),
            hour=self._hour()[0],
            building=chance.pick(BUILDINGS),
            day=chance.pick(DAYS),
        )

    # What is put in

    def _person(self) -> str:
        return f"{self._given()} {self.names.draw('family')}"

    def _given(self) -> str:
        return self.names.draw(self.chance.pick(("feminine", "masculine")))

    def _town(self) -> str:
        return self.names.draw("town")

    def _day(self) -> tuple[str, str]:
        day = self.chance.pick(DAYS)
        return day, day[:3]

    def _hour(self) -> tuple[str, str]:
        """Draw a time of day between eight in the morning and nine in the evening: in words, and as hh:mm."""
        chance = self.chance
        hour, (words, minutes) = (
            chance.between(8, 20),
            chance.pick((("half past", 30), ("a quarter past", 15), ("a quarter to", -15), ("", 0), ("", 0))),
        )
        total = hour * 60 + minutes
        name = english_number((hour - 1) % 12 + 1)
        part = "in the morning" if total < 720 else "in the afternoon" if total < 1080 else "in the evening"
        said = f"{words} {name}" if words else f"{name} o'clock"
        return f"{said} {part}", f"{total // 60}:{total % 60:02}"

    def _date(self) -> tuple[int, str, str, str]:
        """Draw a date: the day, the month, and the date as it is said and as headlines put it."""
        day, month = self.chance.between(1, 28), self.chance.pick(MONTHS)
        said = self.chance.pick((f"the {ORDINALS[day - 1]} of {month}", f"{month} {day}", f"{day} {month}"))
        return day, month, said, f"{day} {month[:3]}"

    def _amount(self) -> tuple[int, str]:
        value = self.chance.between(2, 20)
        return value, english_number(value)

    def _named(self, things: tuple[str, ...]) -> str:
        return f"{self._town()} {self.chance.pick(things)}"

    # Kinds of notices

    def moved(self) -> Core:
        """Draw a meeting put off: the new time counts, not the old one."""
        chance = self.chance
        topic, (old_day, _), (day, short), (hour, clock) = (
            chance.pick(TOPICS),
            self._day(),
            self._day(),
            self._hour(),
        )
        old_hour, room = self._hour()[0], chance.between(2, 420)
        who = self._person()
        variants = (
            (
                f"The meeting about the {topic} planned for {old_day} at {old_hour} has been moved.",
                f"We will meet on {day} at {hour} in room {room}, and {who} will take notes.",
            ),
            (
                f"{who} cannot come on {old_day}, so we have to move the {topic} meeting to {day}.",
                f"It begins at {hour}, no longer at {old_hour}, in room {room}.",
            ),
            (
                f"Because room {room + 1} is being painted, the {topic} meeting of {old_day} "
                f"will be held in room {room}.",
                f"The new time is {day}, {hour}, as {who} asked.",
            ),
        )
        return Core(
            chance.pick(variants), f"{topic.capitalize()} meeting moved to {short} {clock}, room {room}"
        )

    def closed(self) -> Core:
        """Draw a road closed for some days: the headline counts the days."""
        chance = self.chance
        road, reason = self._named(ROADS), chance.pick(WORKS)
        day, month, _, short = self._date()
        length = chance.between(2, 9)
        day = min(day, 28 - length)
        short = f"{day} {month[:3]}"
        last = ORDINALS[day + length - 2]
        variants = (
            (
                f"From the {ORDINALS[day - 1]} to the {last} of {month} nobody can use the {road}.",
                f"The reason is {reason}, says {self._person()}.",
            ),
            (
                f"Owing to {reason}, the {road} is closed from {month} {day} to {month} {day + length - 1}.",
                f"Travellers can go by way of {self._town()}.",
            ),
        )
        return Core(chance.pick(variants), f"{road} closed for {length} days from {short}")

    def event(self) -> Core:
        """Draw an event: what, where, when."""
        chance = self.chance
        event, place, (day, short), (hour, clock) = (
            chance.pick(EVENTS),
            self._named(BUILDINGS),
            self._day(),
            self._hour(),
        )
        host = self._person()
        variants = (
            (
                f"On {day} {host} invites everybody to a {event}.",
                f"It takes place in the {place} and begins at {hour}.",
            ),
            (f"The {place} is the scene of a {event} this {day}.", f"{host} opens it at {hour}."),
            (
                f"Come to the {event} at {hour} on {day}!",
                f"You will find us in the {place}; ask for {host}.",
            ),
        )
        return Core(chance.pick(variants), f"{event.capitalize()} at {place}, {short} {clock}")

    def missing(self) -> Core:
        """Draw a lost animal."""
        chance = self.chance
        animal, colour, owner, town = chance.pick(ANIMALS), chance.pick(COLOURS), self._person(), self._town()
        pet, food = self._given(), chance.pick(("fish", "carrots", "bread"))
        variants = (
            (
                f"{owner} is looking for {pet}, a {colour} {animal}.",
                f"It ran away near {town} on {self._day()[0]} and likes {food}.",
            ),
            (
                f"Has anybody seen a {colour} {animal} that answers to the name of {pet}?",
                f"It was last seen in {town} by {self._person()}, and {owner} misses it very much.",
            ),
        )
        return Core(chance.pick(variants), f"{colour.capitalize()} {animal} {pet} missing in {town}")

    def sold(self) -> Core:
        """Draw sales on two days: the headline adds them."""
        chance = self.chance
        goods, seller, town = chance.pick(GOODS), self._person(), self._town()
        (first, first_words), (second, second_words) = self._amount(), self._amount()
        day, later = chance.pick(DAYS[:3]), chance.pick(DAYS[3:])
        variants = (
            (
                f"{seller} sold {first_words} {goods} at the market of {town} on {day}.",
                f"On {later} another {second_words} were sold.",
            ),
            (
                f"At the market of {town}, {first_words} {goods} found a buyer on {day} "
                f"and {second_words} more on {later}.",
                f"{seller} is content.",
            ),
        )
        return Core(chance.pick(variants), f"{seller} sells {first + second} {goods} in {town}")

    def played(self) -> Core:
        """Draw a match: who won is to be found out."""
        chance = self.chance
        home, away, sport = self._town(), self._town(), chance.pick(SPORTS)
        high = chance.between(1, 9)
        low = chance.between(0, high - 1)
        best, day = self._person(), chance.pick(DAYS)
        text = chance.pick(
            (
                (
                    f"In the {sport} match on {day}, {home} lost to {away} by {english_number(low)} to "
                    f"{english_number(high)}.",
                    f"The best player was {best}.",
                ),
                (
                    f"{away} won the {sport} match against {home}.",
                    f"It was {english_number(high)} to {english_number(low)} in the end, thanks to {best}.",
                ),
                (
                    f"{home} played {sport} against {away} and got {english_number(low)} points.",
                    f"The guests got {english_number(high)}, most of them through {best}.",
                ),
            )
        )
        return Core(text, f"{sport.capitalize()}: {away} beats {home} {high}-{low}")

    def forecast(self) -> Core:
        """Draw a forecast: the highest of two temperatures."""
        chance = self.chance
        weather, town, (day, short) = chance.pick(WEATHER), self._town(), self._day()
        low = chance.between(1, 25)
        high = low + chance.between(1, 9)
        variants = (
            (
                f"For {day} the weather station at {town} expects {weather}.",
                f"It will be {english_number(low)} degrees in the morning and {english_number(high)} later.",
            ),
            (
                f"In {town} there will be {weather} on {day}, says {self._person()}.",
                f"Temperatures lie between {english_number(low)} and {english_number(high)} degrees.",
            ),
        )
        return Core(chance.pick(variants), f"{short}: {weather} in {town}, up to {high} degrees")

    def joined(self) -> Core:
        """Draw new members: the headline counts them."""
        chance = self.chance
        club, town = (
            chance.pick(("choir", "rowing club", "chess club", "theatre group", "garden club")),
            self._town(),
        )
        people = [self._given() for _ in range(chance.between(2, 6))]
        listed = ", ".join(people[:-1]) + " and " + people[-1]
        variants = (
            (
                f"We welcome {listed} to the {club} of {town}.",
                f"They met {self._person()} on {self._day()[0]}.",
            ),
            (
                f"The {club} of {town} has grown.",
                f"{listed} came to the meeting on {self._day()[0]} and want to stay.",
            ),
        )
        return Core(chance.pick(variants), f"{len(people)} new members for {town} {club}")

    def prize(self) -> Core:
        """Draw a prize: first place among three."""
        chance = self.chance
        kind, town, winner = chance.pick(PRIZES), self._town(), self._person()
        second, third = self._person(), self._person()
        variants = (
            (
                f"The {kind} contest of {town} is over.",
                f"{second} came second and {third} third; the first prize went to {winner}.",
            ),
            (
                f"{winner} came first in the {kind} contest of {town}, before {second}.",
                f"{third} gave the prize.",
            ),
            (
                f"Neither {second} nor {third} but {winner} has won the {kind} contest.",
                f"It was held in {town}.",
            ),
        )
        return Core(chance.pick(variants), f"{winner} wins {kind} contest in {town}")

    def found(self) -> Core:
        """Draw something found."""
        chance = self.chance
        thing, colour, (day, _), place = (
            chance.pick(OBJECTS),
            chance.pick(COLOURS[:4]),
            self._day(),
            self._named(BUILDINGS),
        )
        finder = self._person()
        variants = (
            (
                f"Somebody left a {colour} {thing} in the {place} on {day}.",
                f"{finder} keeps it until it is called for.",
            ),
            (
                f"{finder} has found a {thing} in the {place}.",
                f"It is {colour} and has been there since {day}.",
            ),
        )
        return Core(chance.pick(variants), f"{colour.capitalize()} {thing} found in {place}")

    def opening(self) -> Core:
        """Draw an opening: the date in short form."""
        chance = self.chance
        place, (_, _, said, short), builder = self._named(BUILDINGS), self._date(), self._person()
        variants = (
            (
                f"After {english_number(chance.between(2, 19))} months of work the {place} is ready.",
                f"{builder} will open it on {said}.",
            ),
            (
                f"On {said} the new {place} opens its doors.",
                f"It was built by {builder} and cost less than planned.",
            ),
        )
        return Core(chance.pick(variants), f"New {place} opens on {short}")
