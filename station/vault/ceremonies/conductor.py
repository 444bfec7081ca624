"""Carries a plan out: each step shown, confirmed by all its persons, done, and on disk before the next."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import msgspec

from station.clock import Clock
from station.custody import durable_file
from station.errors import ConfigError, StoppedError
from station.vault.ceremonies import bundle, persons, plan, printed, record, steps, transcript
from station.vault.ceremonies.attributes import Dumped
from station.vault.ceremonies.deeds import Deeds, Result, Sitting
from station.vault.ceremonies.questions import Questions
from station.vault.ceremonies.transcript import (
    Activated,
    Attended,
    Begun,
    Closed,
    Confirmed,
    Done,
    Enrolled,
    Failed,
    Opened,
    Transcript,
)
from station.vault.keys.control import own
from station.vault.keys.errors import KeyStoreError

PRINTED = "transcript.txt"


class Outcome(NamedTuple):
    """What a ceremony came to."""

    transcript: str
    """Its hash."""
    bundle: str
    """SHA-256 of the bundle."""
    steps: int


class Conductor:
    """One sitting: from the first step that is not done to the last."""

    def __init__(self, folder: Path, questions: Questions, clock: Clock) -> None:
        self._folder, self._questions, self._clock = folder, questions, clock
        self._plan = plan.read(folder)
        self._record = record.Record(self._plan)
        self._attendants: list[persons.Attendant] = []
        self._transcript: Transcript

    def run(self) -> Outcome:
        """Begin and carry out; ConfigError if the ceremony was begun before."""
        if (self._folder / transcript.FILE).exists():
            raise ConfigError(f"{self._folder}: was begun before; `hardbin key ceremony resume` goes on")
        with self._sitting(new=True):
            self._add(Opened(self._plan.hash))
            return self._carried_out()

    def resume(self) -> Outcome:
        """Go on where it was interrupted."""
        if not (self._folder / transcript.FILE).exists():
            raise ConfigError(f"{self._folder}: was not begun; `hardbin key ceremony run` begins")
        with self._sitting(new=False):
            for line in self._transcript.lines:
                self._record.follow(line)
            if self._record.closed and (self._folder / PRINTED).exists():
                raise ConfigError(f"{self._folder}: this ceremony is over; `verify` checks it")
            if self._record.closed:
                return self._printed()
            if not self._record.opened:
                self._add(Opened(self._plan.hash))
            return self._carried_out()

    @contextmanager
    def _sitting(self, *, new: bool) -> Iterator[None]:
        """Keep the ceremony's folder to ourselves."""
        try:
            with durable_file.held(self._folder):
                self._transcript = Transcript(self._folder / transcript.FILE, new=new)
                try:
                    yield
                finally:
                    self._transcript.close()
        except BlockingIOError:
            raise ConfigError(f"{self._folder}: somebody else carries this ceremony out now") from None

    def _carried_out(self) -> Outcome:
        self._questions.say(printed.heading(self._plan))
        self._attend()
        with own(Path(self._plan.store)) as store:
            deeds = Deeds(
                Sitting(self._plan, self._folder, self._record.results),
                store,
                self._questions,
                lambda name: self._add(Activated(name)),
            )
            while (step := self._record.step) is not None:
                self._take(step, deeds)
        return self._closed()

    def _add(self, what: transcript.What) -> None:
        self._record.follow(self._transcript.add(what, self._clock.unix()))

    def _attend(self) -> None:
        """Have each person come: enrol with a passphrase for this ceremony, later give the same again."""
        for person in self._plan.persons:
            attendant = self._coming(person)
            if person.name not in self._record.enrolled:
                self._add(Enrolled(person.name, attendant.salt, attendant.public))
            self._attendants.append(attendant)
            signature = attendant.sign(record.attendance(self._transcript.head))
            self._add(Attended(person.name, signature))

    def _coming(self, person: plan.Person) -> persons.Attendant:
        name, known = person.name, self._record.enrolled.get(person.name)
        if person.public:
            file = Path(self._questions.word(f"key file of {name}"))
            passphrase = self._questions.secret(f"passphrase of {name}", new=False)
            return persons.carded(name, bytes.fromhex(person.public), file, passphrase)
        passphrase = self._questions.secret(f"passphrase of {name}", new=known is None)
        if known is None:
            return persons.enrolled(name, passphrase)
        return persons.returned(name, passphrase, known.salt, known.public)

    def _take(self, step: steps.Step, deeds: Deeds) -> None:
        number = self._record.at
        self._questions.say(printed.shown(self._plan, number))
        for attendant in self._attendants:
            if attendant.name in self._record.missing:
                self._confirm(attendant, number, step)
        again = self._record.begun
        if not again:
            self._add(Begun(number))
        try:
            result = deeds.do(step, again=again)
        except KeyStoreError as error:
            self._add(Failed(number, str(error)))
            raise
        self._add(Done(number, result))
        self._questions.say(printed.came(result))

    def _confirm(self, attendant: persons.Attendant, number: int, step: steps.Step) -> None:
        if not self._questions.yes(f"{attendant.name} confirms step {number}"):
            raise StoppedError(
                f"{attendant.name} did not confirm step {number}; `hardbin key ceremony resume` asks again"
            )
        signature = attendant.sign(record.confirmation(self._transcript.head, number, step))
        self._add(Confirmed(number, attendant.name, signature))

    def _closed(self) -> Outcome:
        content = content_of(self._plan, self._record.results, self._transcript.head)
        sealed = bundle.sealed(content, self._attendants)
        durable_file.replace(self._folder / bundle.FILE, sealed)
        self._add(Closed(sha256(sealed).hexdigest()))
        return self._printed()

    def _printed(self) -> Outcome:
        """Write the text that is printed; all that may be missing once a ceremony is closed."""
        text = printed.whole(self._plan, self._transcript.lines, self._transcript.head)
        durable_file.replace(self._folder / PRINTED, text.encode())
        return Outcome(self._transcript.head, self._record.closed, len(self._plan.steps))


def content_of(wanted: plan.Plan, results: list[Result], head: str) -> bundle.Content:
    """What a ceremony's bundle must say, by its transcript alone."""
    dump: Result = {"store": "", "keys": []}
    files: dict[str, str] = {}
    revoked = ""
    for step, result in zip(wanted.steps, results, strict=True):
        files |= result.get("files", {})
        revoked = result.get("revoked", revoked)
        if isinstance(step, steps.Dump):
            dump = result
    return bundle.Content(
        ceremony=wanted.ceremony,
        plan=wanted.hash,
        transcript=head,
        store=dump["store"],
        keys=msgspec.convert(dump["keys"], tuple[Dumped, ...]),
        files=files,
        revoked=revoked,
    )
