"""`hardbin metrics`: a cell for Prometheus, and the dashboards and rules that go with it."""

from importlib.resources import as_file, files
from pathlib import Path

import click

from station.cli import listening
from station.cli.said import Said, says
from station.custody import durable_file
from station.errors import ConfigError
from station.metrics import server

SHIPPED = ("station.json", "alerts.yml", "prometheus.yml")


@click.group()
def metrics() -> None:
    """Show a cell to Prometheus and Grafana."""


@metrics.command()
@listening.engine
@listening.host
@listening.port(9464)
def serve(engine: Path, host: str, port: int) -> None:
    """Follow an engine and answer Prometheus at /metrics, until interrupted."""
    server.serve(engine, host, port, lambda address: click.echo(f"hardbin: {address}"))


@metrics.command(name="files")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@says
def files_(folder: Path) -> Said:
    """Write the Grafana dashboard, the alert rules and a scrape configuration into FOLDER."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in SHIPPED:
        with as_file(files("station.metrics") / "floor" / name) as found:
            if (folder / name).exists():
                raise ConfigError(f"{folder / name} is there already")
            durable_file.replace(folder / name, found.read_bytes())
    written = [str(folder / name) for name in SHIPPED]
    return Said("\n".join(written), files=written)
