"""`hardbin console`: the operator's page of one cell, from a process of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from station.cli import listening
from station.clock import RealClock
from station.console.identity import AtTheMachine, Badges, Identity, Person
from station.console.listening import Listen
from station.console.server import serve
from station.people.people import people
from station.people.trail import station_of
from station.vault.desk.roles import Role

FLOOR = [Role.OPERATOR.value, Role.TECHNICIAN.value, Role.ENGINEER.value]


@click.command()
@listening.engine
@listening.host
@listening.port(8700)
@listening.tls
@listening.people
@click.option("--person", help="Nobody logs in: this person stands at the machine.")
@click.option("--role", "roles", multiple=True, type=click.Choice(FLOOR), help="In this role; repeatable.")
def console(
    engine: Path,
    host: str,
    port: int,
    tls_cert: Path | None,
    tls_key: Path | None,
    folder: Path,
    person: str | None,
    roles: tuple[str, ...],
) -> None:
    """Show a cell to its operator in a browser, and take commands from there, until interrupted."""
    if roles and person is None:
        raise click.UsageError("--role is that of --person: whoever logs in has roles of his own")
    listen = Listen(host, port, listening.tls_of(tls_cert, tls_key))
    with identity(folder, person, roles) as who:
        serve(engine, listen, who, lambda address: click.echo(f"hardbin: {address}"))


@contextmanager
def identity(folder: Path, person: str | None, roles: tuple[str, ...]) -> Iterator[Identity]:
    """Have whoever logs in, or the one person of the command line, while the block lasts."""
    if person is not None:
        yield AtTheMachine(Person(person, person, frozenset(roles or FLOOR[:1])))
        return
    with people(folder, station_of(folder), RealClock().unix) as inside:
        badges = Badges(inside, "console")
        try:
            yield badges
        finally:
            badges.close()
