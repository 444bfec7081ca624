"""Who stands before the console: the narrow seam between it and whoever knows the people."""

from typing import Protocol

from msgspec import Struct
from starlette.requests import Request


class Person(Struct, frozen=True):
    """A person, in the roles that he or she has here and now."""

    id: str
    name: str
    roles: frozenset[str]


class Identity(Protocol):
    """Tells whose request it is."""

    async def person(self, request: Request) -> Person | None:
        """Return the person of a request's session; None for whoever has not logged in."""


class AtTheMachine:
    """Whoever reaches the page is this one person: fit for loopback alone, where nobody else can."""

    def __init__(self, person: Person) -> None:
        self._person = person

    async def person(self, request: Request) -> Person | None:
        return self._person
