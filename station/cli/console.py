"""`hardbin console`: the operator's page of one cell, from a process of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from station.cli.console_offer import SOCKET
from station.clock import RealClock
from station.console.identity import AtTheMachine, Badges, Identity, Person
from station.console.server import Listen, serve
from station.people.people import people
from station.people.trail import station_of
from station.vault.desk.roles import Role

FLOOR = [Role.OPERATOR.value, Role.TECHNICIAN.value, Role.ENGINEER.value]


@click.command()
@click.option(
    "--engine",
    type=click.Path(dir_okay=False, path_type=Path),
    default=SOCKET,
    show_default=True,
    help="The socket that `hardbin run` or `hardbin serve` offers with --console.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Of this machine, on loopback.")
@click.option("--port", type=click.IntRange(0, 65535), default=8700, show_default=True, help="0: a free one.")
@click.option(
    "--people",
    "folder",
    envvar="HARDBIN_PEOPLE",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("station-data/people"),
    show_default=True,
    help="The accounts of `hardbin people`; with any there, persons log in.",
)
@click.option("--person", help="Nobody logs in: this person stands at the machine.")
@click.option("--role", "roles", multiple=True, type=click.Choice(FLOOR), help="In this role; repeatable.")
def console(
    engine: Path, host: str, port: int, folder: Path, person: str | None, roles: tuple[str, ...]
) -> None:
    """Show a cell to its operator in a browser, and take commands from there, until interrupted."""
    if roles and person is None:
        raise click.UsageError("--role is that of --person: whoever logs in has roles of his own")
    listen = Listen(host, port)
    with _identity(folder, person, roles) as identity:
        serve(engine, listen, identity, lambda address: click.echo(f"hardbin: {address}"))


@contextmanager
def _identity(folder: Path, person: str | None, roles: tuple[str, ...]) -> Iterator[Identity]:
    if person is not None:
        yield AtTheMachine(Person(person, person, frozenset(roles or FLOOR[:1])))
        return
    with people(folder, station_of(folder), RealClock().unix) as inside:
        badges = Badges(inside, "console")
        try:
            yield badges
        finally:
            badges.close()
