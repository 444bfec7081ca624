"""`hardbin people`: accounts of a station. Badges and PINs let persons in; two of them keep the accounts."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec

import click
import msgspec
from rich.table import Table

from station.cli.codes import ANSWERS
from station.cli.key_access import passphrases as secrets_in
from station.cli.key_access import stop
from station.cli.people_access import FILE, PIN_FDS, PIN_FILES, asked, opened, pins, said
from station.cli.said import Said, says
from station.cli.terminal import terminal
from station.clock import RealClock
from station.people import people as opening
from station.people.accounts import Account
from station.people.dual_control import Proof
from station.people.people import People
from station.people.person import PeopleError
from station.people.trail import station_of
from station.vault.desk.roles import Role

P = ParamSpec("P")

FOLDER = click.option(
    "--folder",
    envvar="HARDBIN_PEOPLE",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("station-data/people"),
    show_default=True,
    help="Where the accounts are.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object or list.")
BY = click.option(
    "--by", "badges", multiple=True, required=True, help="Badge of whoever does it; twice for two."
)
ROLES = click.option(
    "--role", "roles", multiple=True, required=True, type=click.Choice([one.value for one in Role])
)
NAME = click.argument("name", metavar="PERSON")


@click.group()
def people() -> None:
    """Keep the accounts of a station: who has a badge, and which roles."""


@people.command()
@click.option("--name", required=True, help="Of the station, as in its station file.")
@FOLDER
@JSON
def init(name: str, folder: Path, *, as_json: bool) -> None:
    """Make the first engineer and the first security officer, and print their one-time codes.

    There are no default accounts; whoever has a code sets badge and PIN with `hardbin people enrol`.
    """
    if (folder / "ledger.key").exists() and station_of(folder) != name:
        stop(ANSWERS["wrong_state"], f"{folder}: has the people of {station_of(folder)}, not of {name}")
    with said(), opening.people(folder, name, RealClock().unix) as inside:
        codes = inside.found()
    _show(codes, [f"{who}: {code}" for who, code in codes.items()], as_json=as_json)


@people.command()
@click.option("--badge", required=True, help="What the badge reader says.")
@click.option("--code-file", type=FILE, help="The one-time code, from a file; asked for otherwise.")
@PIN_FILES
@PIN_FDS
@FOLDER
@JSON
def enrol(
    badge: str,
    code_file: Path | None,
    files: tuple[Path, ...],
    fds: tuple[int, ...],
    folder: Path,
    *,
    as_json: bool,
) -> None:
    """Set one's own badge and PIN with a one-time code."""
    with opened(folder) as inside:
        codes = secrets_in(() if code_file is None else (code_file,), ())
        code = next(codes, None)
        text = str(click.prompt("Code", err=True)) if code is None else code.decode(errors="replace")
        pin = next(pins(files, fds), None)
        if pin is None:
            pin = str(click.prompt("New PIN", hide_input=True, confirmation_prompt=True, err=True))
        person = inside.enrol(text, badge, pin)
    told = {"person": person.id, "name": person.name, "roles": sorted(person.roles)}
    _show(told, [f"{person.id} {person.name}: {', '.join(sorted(person.roles))}"], as_json=as_json)


def _kept(
    command: Callable[Concatenate[People, tuple[Proof, ...], P], object],
) -> Callable[..., None]:
    """Give a command the people, and the fresh word of those who do it."""

    @wraps(command)
    def run(
        folder: Path,
        badges: tuple[str, ...],
        files: tuple[Path, ...],
        fds: tuple[int, ...],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None:
        with opened(folder) as inside:
            given = pins(files, fds)
            proofs = tuple(inside.proof(badge, next(given, None) or asked(badge)) for badge in badges)
            command(inside, proofs, *args, **kwargs)

    for option in (FOLDER, BY, PIN_FILES, PIN_FDS):
        run = option(run)
    return run


@people.command()
@NAME
@ROLES
@JSON
@_kept
def add(
    inside: People, proofs: tuple[Proof, ...], name: str, roles: tuple[str, ...], *, as_json: bool
) -> None:
    """Make an account, by an engineer and a security officer; print the code with which it is enrolled."""
    code = inside.add(name, frozenset(map(Role, roles)), _two(proofs))
    _show({"name": name, "code": code}, [f"{name}: {code}"], as_json=as_json)


@people.command(name="roles")
@NAME
@ROLES
@JSON
@_kept
def roles_(
    inside: People, proofs: tuple[Proof, ...], name: str, roles: tuple[str, ...], *, as_json: bool
) -> None:
    """Give a person other roles, by an engineer and a security officer."""
    inside.give_roles(name, frozenset(map(Role, roles)), _two(proofs))
    _show({"name": name, "roles": sorted(roles)}, [f"{name}: {', '.join(sorted(roles))}"], as_json=as_json)


@people.command()
@NAME
@JSON
@_kept
def renew(inside: People, proofs: tuple[Proof, ...], name: str, *, as_json: bool) -> None:
    """Print a new one-time code for somebody who has lost badge or PIN, by the two."""
    code = inside.renew(name, _two(proofs))
    _show({"name": name, "code": code}, [f"{name}: {code}"], as_json=as_json)


@people.command()
@NAME
@JSON
@_kept
def disable(inside: People, proofs: tuple[Proof, ...], name: str, *, as_json: bool) -> None:
    """Let a person do nothing any more, at once, by an engineer or a security officer."""
    inside.disable(name, proofs[0])
    _show({"name": name, "state": "disabled"}, [f"{name}: disabled"], as_json=as_json)


@people.command()
@NAME
@JSON
@_kept
def unlock(inside: People, proofs: tuple[Proof, ...], name: str, *, as_json: bool) -> None:
    """Let a person who is locked out try again, by an engineer or a security officer."""
    inside.unlock(name, proofs[0])
    _show({"name": name, "state": "active"}, [f"{name}: may try again"], as_json=as_json)


@people.command(name="list")
@FOLDER
@JSON
def list_(folder: Path, *, as_json: bool) -> None:
    """Print the accounts: names, roles, and how each stands."""
    with opened(folder) as inside:
        found = inside.listed()
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        _table(found)


@people.command()
@FOLDER
@says
def key(folder: Path) -> Said:
    """Print the public keys of the ledger of people, for `hardbin audit verify FOLDER/ledger --key`."""
    with opened(folder) as inside:
        return Said("\n".join(inside.log_keys), keys=list(inside.log_keys))


def _two(proofs: tuple[Proof, ...]) -> tuple[Proof, Proof]:
    if len(proofs) != 2:  # noqa: PLR2004 - two persons
        raise PeopleError(
            "bad_arguments", "this takes two persons: --by BADGE of an engineer and of an officer"
        )
    return proofs[0], proofs[1]


# -- shown
def _show(body: object, lines: list[str], *, as_json: bool) -> None:
    click.echo(msgspec.json.encode(body).decode() if as_json else "\n".join(lines))


def _table(found: list[Account]) -> None:
    table = Table("person", "name", "roles", "state", "security keys", box=None)
    for one in found:
        table.add_row(one.person, one.name, ", ".join(one.roles), one.state, str(one.security_keys))
    terminal(soft_wrap=False).print(table)
