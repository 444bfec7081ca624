"""What a transcript says happened, held against the plan: the same rules for going on and for verifying."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import msgspec

from station.vault.ceremonies import persons, steps
from station.vault.ceremonies.plan import Plan
from station.vault.ceremonies.transcript import (
    FIRST,
    Activated,
    Attended,
    Begun,
    Closed,
    Confirmed,
    Done,
    Enrolled,
    Failed,
    Line,
    Opened,
    TranscriptError,
)


def attendance(head: str) -> bytes:
    """What a person signs on coming: all that happened so far."""
    return b"attended\0" + bytes.fromhex(head)


def confirmation(head: str, number: int, step: steps.Step) -> bytes:
    """What a person signs to confirm a step: the step, after all that happened so far."""
    content = msgspec.json.encode(step, order="sorted")
    return b"confirmed\0" + bytes.fromhex(head) + number.to_bytes(4) + sha256(content).digest()


@dataclass
class Record:
    """How far a ceremony has come."""

    plan: Plan
    opened: bool = False
    enrolled: dict[str, Enrolled] = field(default_factory=dict)
    confirmed: set[str] = field(default_factory=set)
    """By whom the step at hand was, in this attempt."""
    begun: bool = False
    """Whether the step at hand was begun before, ever."""
    results: list[dict[str, Any]] = field(default_factory=list)
    """Of the steps that are done."""
    closed: str = ""
    """SHA-256 of the bundle."""

    @property
    def at(self) -> int:
        """The number of the step at hand, from 1."""
        return len(self.results) + 1

    @property
    def step(self) -> steps.Step | None:
        """The step at hand; None if all are done."""
        return self.plan.steps[self.at - 1] if self.at <= len(self.plan.steps) else None

    @property
    def missing(self) -> list[str]:
        """Who still has to confirm the step at hand."""
        return [person.name for person in self.plan.persons if person.name not in self.confirmed]

    def follow(self, line: Line) -> None:
        """Take up one line; TranscriptError if it could not follow what was there."""
        wrong = next(self._wrong(line), None)
        if wrong is not None:
            raise TranscriptError(f"line {line.n + 1}: {wrong}")
        match line.what:
            case Opened():
                self.opened = True
            case Enrolled() as what:
                self.enrolled[what.person] = what
            case Confirmed() as what:
                self.confirmed.add(what.person)
            case Begun():
                self.begun = True
            case Failed():
                self.confirmed.clear()
            case Done() as what:
                self.results.append(what.result)
                self.confirmed.clear()
                self.begun = False
            case Closed() as what:
                self.closed = what.bundle
            case Attended() | Activated():
                pass

    def _wrong(self, line: Line) -> Iterator[str]:
        what = line.what
        if self.closed:
            yield "the ceremony was closed"
        if isinstance(what, Opened) is self.opened:
            yield "a transcript begins with `opened`, once"
        match what:
            case Opened() if what.plan != self.plan.hash or line.prev != FIRST:
                yield "it is of another plan"
            case Enrolled() | Attended() | Confirmed():
                yield from self._wrong_of_person(what, line.prev)
            case Begun() | Done() | Failed():
                yield from self._wrong_of_step(what)
            case Closed() if self.step is not None:
                yield f"step {self.at} is not done"
            case _:
                pass

    def _wrong_of_person(self, what: Enrolled | Attended | Confirmed, head: str) -> Iterator[str]:
        match what:
            case Enrolled():
                cards = {person.name: person.public for person in self.plan.persons}
                if what.person not in cards:
                    yield f"{what.person[:64]!r} is not of this ceremony"
                elif cards[what.person] not in ("", what.public.hex()):
                    yield f"this is not the key of {what.person}'s card"
                if what.person in self.enrolled:
                    yield f"{what.person} enrolled before"
            case Attended():
                yield from self._unsigned(what.person, what.signature, attendance(head))
            case Confirmed():
                yield from self._not_at_hand(what.step)
                if self.step is not None:
                    signed = confirmation(head, what.step, self.step)
                    yield from self._unsigned(what.person, what.signature, signed)

    def _wrong_of_step(self, what: Begun | Done | Failed) -> Iterator[str]:
        yield from self._not_at_hand(what.step)
        if self.missing:
            yield f"step {what.step} was not confirmed by {', '.join(self.missing)}"
        if not isinstance(what, Begun) and not self.begun:
            yield f"step {what.step} was not begun"

    def _not_at_hand(self, number: int) -> Iterator[str]:
        if self.step is None or number != self.at:
            yield f"step {number} is not at hand"

    def _unsigned(self, name: str, signature: bytes, message: bytes) -> Iterator[str]:
        enrolled = self.enrolled.get(name)
        if enrolled is None:
            yield f"{name[:64]!r} did not enrol"
        elif not persons.signed(enrolled.public, signature, message):
            yield f"the signature of {name} does not verify"


def followed(plan: Plan, lines: Iterable[Line]) -> Record:
    """Take up a whole transcript."""
    record = Record(plan)
    for line in lines:
        record.follow(line)
    return record
