"""`hardbin console`: the operator's page of one cell, from a process of its own."""

from pathlib import Path

import click

from station.cli.console_offer import SOCKET
from station.console.identity import AtTheMachine, Person
from station.console.server import Listen, serve
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
@click.option("--person", default="operator", show_default=True, help="Who stands at the machine.")
@click.option(
    "--role", "roles", multiple=True, type=click.Choice(FLOOR), default=[FLOOR[0]], show_default=True
)
def console(engine: Path, host: str, port: int, person: str, roles: tuple[str, ...]) -> None:
    """Show a cell to its operator in a browser, and take commands from there, until interrupted."""
    identity = AtTheMachine(Person(person, person, frozenset(roles)))
    serve(engine, Listen(host, port), identity, lambda address: click.echo(f"hardbin: {address}"))
