"""What a person says of a cell that was stopped, as options: who, where devices are, what is sound."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from station import commands
from station.authority import OPERATOR
from station.lot_order import Attendance
from station.model import Whereabouts
from station.stop import ACTOR
from station.vault.desk.roles import Role

PLACES = {place.value.replace(" ", "-"): place for place in Whereabouts}
"""As a command line writes them."""
F = TypeVar("F", bound=Callable[..., Any])


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


def options(command: F) -> F:
    """Give a command the options that `recovery` takes."""
    for option in (
        click.option("--second", help="Another person of that role, where the release of the lot takes two."),
        click.option(
            "--by-role",
            type=click.Choice([Role.TECHNICIAN.value, Role.ENGINEER.value, Role.OFFICER.value]),
            default=Role.TECHNICIAN.value,
            show_default=True,
            help="In which role: whose a hold is, its cause says.",
        ),
        SITES_CLEARED,
        PLACES_FOUND,
        click.option("--reason", default="", help="What was seen and done there."),
        click.option(
            "--by", help="Who has looked at the cell of a lot that is taken up, where somebody must."
        ),
    ):
        command = option(command)
    return command


@dataclass(frozen=True)
class Said:
    """By whom, and in which role."""

    by: str | None
    role: str
    second: str | None

    @property
    def who(self) -> dict[str, Any]:
        """The persons of a command."""
        roles = frozenset({self.role})
        second = {"second": self.second, "second_roles": roles} if self.second else {}
        return {"actor": self.by, "roles": roles} | second


def recovery(
    said: Said, reason: str, places: tuple[str, ...], cleared: tuple[int, ...]
) -> commands.Recover | None:
    """Return the command of whoever has looked at the cell; UsageError if that is not whole."""
    if said.by is None:
        if places or cleared or reason or said.second:
            raise click.UsageError(
                "--found, --clear, --second and --reason are somebody's word: say --by whom"
            )
        return None
    if not reason:
        raise click.UsageError("--by needs --reason: what was seen, and done")
    return commands.Recover(
        id="recover",
        **said.who,
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
