"""`hardbin floor`: all stations of a plant on one page, from a process of its own."""

from pathlib import Path

import click

from station.cli import listening
from station.cli.collector import DATABASE
from station.cli.console import identity
from station.console.listening import Listen
from station.floor.database import opened
from station.floor.server import serve


@click.command()
@DATABASE
@listening.host
@listening.port(8710)
@listening.tls
@listening.people
def floor(
    database: str,
    host: str,
    port: int,
    tls_cert: Path | None,
    tls_key: Path | None,
    folder: Path,
) -> None:
    """Show the stations that a collector writes into the floor's database, until interrupted."""
    listen = Listen(host, port, listening.tls_of(tls_cert, tls_key))
    engine = opened(database)
    try:
        with identity(folder, "nobody" if listen.on_loopback else None, ()) as who:
            serve(engine, listen, who, lambda address: click.echo(f"hardbin: {address}"))
    finally:
        engine.dispose()
