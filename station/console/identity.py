"""Who stands before the console: whoever has logged in, or the one person whom its start named."""

from collections.abc import Callable
from typing import Protocol, TypeVar

import msgspec
from msgspec import Struct
from starlette.requests import Request

from station.people.people import People
from station.people.person import PeopleError
from station.writer import Writer

COOKIE = "hardbin-session"


T = TypeVar("T")


class OnPeople(Protocol):
    """Does something with the station's people, on their thread."""

    async def __call__(self, work: Callable[[People], T]) -> T:
        """Return what it comes to; PeopleError."""


class Person(Struct, frozen=True):
    """A person, in the roles that he or she has here and now."""

    id: str
    name: str
    roles: frozenset[str]


class Identity(Protocol):
    """Tells whose request it is."""

    logs_in: bool
    """Whether persons log in and out here."""
    on_people: OnPeople | None
    """Does something with the station's people, on their thread; None where nobody logs in."""

    @property
    def accounts(self) -> bool:
        """Whether there are persons who can log in."""

    async def person(self, request: Request, *, active: bool) -> Person | None:
        """Return the person of a request's session, None for whoever has none; `active`: somebody touched.

        StorageError.
        """

    async def enter(self, badge: str, pin: str) -> str:
        """Log in and return the session's token; PeopleError."""

    async def leave(self, request: Request) -> None:
        """Log out."""


class AtTheMachine:
    """Whoever reaches the page is this one person: fit for loopback alone, where nobody else can."""

    logs_in = False
    accounts = False
    on_people: OnPeople | None = None

    def __init__(self, person: Person) -> None:
        self._person = person

    async def person(self, request: Request, *, active: bool) -> Person | None:
        return self._person

    async def enter(self, badge: str, pin: str) -> str:
        raise PeopleError("wrong_state", "this console was started for one person: nobody logs in")

    async def leave(self, request: Request) -> None:
        return


class Badges:
    """Persons with accounts at this station; what they do is in its ledger of people."""

    logs_in = True

    def __init__(self, people: People, place: str) -> None:
        self._people, self._place = people, place
        self._writer, self._looking = Writer("people"), Writer("sessions")
        self.on_people: OnPeople | None = self._on_people

    async def _on_people(self, work: Callable[[People], T]) -> T:
        return await self._writer.run(work, self._people)

    @property
    def accounts(self) -> bool:
        return not self._people.empty()

    async def person(self, request: Request, *, active: bool) -> Person | None:
        token = request.cookies.get(COOKIE)
        if not token:
            return None
        thread = self._writer if active else self._looking
        session = await thread.run(self._people.session, token, active=active)
        return None if session is None else msgspec.convert(session.person, Person, from_attributes=True)

    async def enter(self, badge: str, pin: str) -> str:
        return await self._writer.run(self._people.enter, badge, pin, self._place)

    async def leave(self, request: Request) -> None:
        if token := request.cookies.get(COOKIE):
            await self._writer.run(self._people.leave, token)

    def close(self) -> None:
        """End the threads."""
        self._looking.close()
        self._writer.close()
