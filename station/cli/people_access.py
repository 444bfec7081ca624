"""How commands reach the people of a station, and hear the PINs of those who want something."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec

from station.cli.codes import ANSWERS
from station.cli.key_access import passphrases as secrets_in
from station.cli.key_access import stop
from station.clock import RealClock
from station.console.identity import Person
from station.people import people
from station.people.people import DATABASE, People
from station.people.person import PeopleError
from station.people.trail import station_of

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
PIN_FILES = click.option("--pin-file", "files", type=FILE, multiple=True, help="A PIN, from a file.")
PIN_FDS = click.option("--pin-fd", "fds", type=int, multiple=True, help="A PIN, from a descriptor.")


def persons(
    folder: Path, named: Sequence[str], roles: Collection[str], pins: Iterator[str]
) -> tuple[Person, ...]:
    """Return who they are: by badge and PIN where the station has accounts, else as they say."""
    if not has_accounts(folder):
        return tuple(Person(one, one, frozenset(roles)) for one in named)
    with opened(folder) as inside:
        found = [inside.proof(one, next(pins, None) or asked(one)).person for one in named]
    return tuple(msgspec.convert(one, Person, from_attributes=True) for one in found)


def has_accounts(folder: Path) -> bool:
    """Whether persons log in at this station."""
    return (folder / DATABASE).exists()


@contextmanager
def opened(folder: Path) -> Iterator[People]:
    """Have the people whose accounts are in a folder; what they refuse ends the command with its code."""
    name = station_of(folder)
    with said(), people.people(folder, name, RealClock().unix) as inside:
        yield inside


@contextmanager
def said() -> Iterator[None]:
    """Say what is refused, and end with its code."""
    try:
        yield
    except PeopleError as error:
        stop(ANSWERS[error.code], str(error))


def pins(files: tuple[Path, ...], fds: tuple[int, ...]) -> Iterator[str]:
    """Yield the PINs that were given, from files and descriptors."""
    return (one.decode(errors="replace") for one in secrets_in(files, fds))


def asked(badge: str) -> str:
    """Ask for a PIN at the terminal."""
    return str(click.prompt(f"PIN of badge {badge}", hide_input=True, err=True))
