"""What is known of a person, and the refusals of whoever knows the people."""

from msgspec import Struct

from station.vault.desk.roles import Role


class Person(Struct, frozen=True):
    """A person with an account at this station."""

    id: str
    """The pseudonym that goes into records."""
    name: str
    roles: frozenset[Role]


class PeopleError(Exception):
    """What was refused, with its code of `station.cli.codes`; what it says may be shown to whoever asked."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
