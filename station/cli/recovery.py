"""What a person says of a cell that was stopped, as options: who, where devices are, what is sound."""

from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from station import commands
from station.authority import OPERATOR
from station.cli import listening, people_access
from station.console.identity import Person
from station.lot_order import Attendance
from station.model import Whereabouts
from station.stop import ACTOR
from station.vault.desk.roles import Role

PLACES = {place.value.replace(" ", "-"): place for place in Whereabouts}
"""As a command line writes them."""
T = TypeVar("T")


SITES_CLEARED = click.option(
    "--clear", "cleared", multiple=True, type=int, metavar="SITE", help="A site that is sound again."
)
PLACES_FOUND = click.option(
    "--found",
    "places",
    multiple=True,
    metavar="SITE=PLACE",
    help=f"Where its device is: {', '.join(PLACES)}.",
)


def options(command: Callable[..., T]) -> Callable[..., T]:
    """Give a command, which has `--hardware`, what whoever has looked at the cell says, as `recover`."""

    @wraps(command)
    def run(
        by: str | None,
        by_role: str | None,
        second: str | None,
        reason: str,
        places: tuple[str, ...],
        cleared: tuple[int, ...],
        folder: Path,
        files: tuple[Path, ...],
        fds: tuple[int, ...],
        hardware: bool,  # noqa: FBT001 - click gives it by its name
        **rest: Any,  # noqa: ANN401 - what the command has besides
    ) -> T:
        recover = None
        if by is not None:
            if not reason:
                raise click.UsageError("--by needs --reason: what was seen, and done")
            named = (by,) if second is None else (by, second)
            who = _persons(folder, named, by_role, people_access.pins(files, fds), hardware=hardware)
            recover = _recover(who, reason, places, cleared)
        elif places or cleared or reason or second:
            raise click.UsageError(
                "--found, --clear, --second and --reason are somebody's word: say --by whom"
            )
        return command(recover=recover, hardware=hardware, **rest)

    for option in (
        people_access.PIN_FDS,
        people_access.PIN_FILES,
        listening.people,
        click.option("--second", help="Another person, where the release of the lot takes two."),
        click.option(
            "--by-role",
            type=click.Choice([Role.TECHNICIAN.value, Role.ENGINEER.value, Role.OFFICER.value]),
            help="In which role, where nobody logs in; a technician if nothing is said.",
        ),
        SITES_CLEARED,
        PLACES_FOUND,
        click.option("--reason", default="", help="What was seen and done there."),
        click.option(
            "--by", help="Who has looked at the cell of a lot that is taken up, where somebody must."
        ),
    ):
        run = option(run)
    return run


def _persons(
    folder: Path, named: tuple[str, ...], role: str | None, pins: Iterator[str], *, hardware: bool
) -> tuple[Person, ...]:
    """Return who has looked: whoever has an account logs in; without any, a word is believed, and it is said.

    Of a real cell nobody is a security officer by his word.
    """
    if people_access.has_accounts(folder):
        if role is not None:
            raise click.UsageError(f"--by-role: the people of {folder} have their own; --by is a badge")
    elif hardware and role == Role.OFFICER:
        raise click.UsageError(f"--by-role {role}: no accounts are at {folder}, and an officer logs in")
    else:
        click.echo(f"hardbin: no accounts are at {folder}: {', '.join(named)} by their word", err=True)
    return people_access.persons(folder, named, {role or Role.TECHNICIAN.value}, pins)


def _recover(
    who: tuple[Person, ...], reason: str, places: tuple[str, ...], cleared: tuple[int, ...]
) -> commands.Recover:
    first, *others = who
    second: dict[str, Any] = {"second": others[0].id, "second_roles": others[0].roles} if others else {}
    return commands.Recover(
        id="recover",
        actor=first.id,
        roles=first.roles,
        **second,
        reason=reason,
        found=dict(map(place_of, places)),
        cleared=frozenset(cleared),
    )


def place_of(text: str) -> tuple[int, Whereabouts]:
    """Return site and place of what somebody has found; UsageError for what is none."""
    site, _, place = text.partition("=")
    if not site.isdecimal() or place not in PLACES:
        raise click.UsageError(
            f"--found {text!r}: write SITE=PLACE, where PLACE is one of {', '.join(PLACES)}"
        )
    return int(site), PLACES[place]


def taken_up_here(recover: commands.Recover | None) -> Attendance:
    """Whoever resumes a lot stands at the machine, lets it go on, and does not stay."""
    resume = commands.Resume(id="resume", actor=ACTOR, roles=OPERATOR)
    return Attendance((resume,), unattended=True, recover=recover)
