"""`hardbin bench`: speeds, each beside its floor from the same run."""

import click
from msgspec import json

from station.engine.bench import measured
from station.surroundings import simulated_cards
from station.vault import bench as vault_bench

LABELS = {
    "kept_per_cpu_s": "measurements per CPU-second, results kept",
    "stdf_per_cpu_s": "measurements per CPU-second, with STDF and store",
    "floor_per_cpu_s": "floor: bare await, limit check and append",
    "efficiency_8_sites": "parallel efficiency, 8 sites x 5 ms of instrument time",
    "efficiency_32_sites": "parallel efficiency, 32 sites x 5 ms of instrument time",
    "rss_growth_mb_per_100k": "memory growth over 100,000 devices, MB",
}

VAULT_LABELS = {
    "chips_per_hour": "chips/hour, {sites} sites, latency {latency}, payload {payload}",
    "chips_per_hour_per_vault_core": "chips/hour that one core of the vault could do",
    "vault_cpu_ms_per_die": "ms of CPU a die: vault",
    "crypto_cpu_ms_per_die": "ms of CPU a die: its public-key operations alone, same run",
    "vault_over_crypto": "vault / public-key operations",
    "exchange_p50_ms": "ms for an answer of the vault, median",
    "exchange_p99_ms": "ms for an answer of the vault, 99 of 100",
}


@click.group()
def bench() -> None:
    """Measure how fast this machine runs a cell."""


@bench.command()
@click.option("--touchdowns", type=click.IntRange(1), default=20, show_default=True)
@click.option("--devices", type=click.IntRange(1000), default=100_000, show_default=True, help="For memory.")
@click.option("--json", "as_json", is_flag=True, help="Print one object.")
def engine(touchdowns: int, devices: int, as_json: bool) -> None:
    """The engine with the simulator out of the way: 16 sites x 200 tests."""
    figures = measured(touchdowns, devices)
    if as_json:
        click.echo(json.encode(figures))
        return
    for key, figure in figures.items():
        click.echo(f"{figure:>12,.10g}  {LABELS[key]}")
    ratio = figures["kept_per_cpu_s"] / figures["floor_per_cpu_s"]
    click.echo(f"{ratio:>12.4f}  engine / floor")


@bench.command()
@click.option("--devices", type=click.IntRange(2), default=128, show_default=True)
@click.option("--sites", type=click.IntRange(1, 64), default=8, show_default=True)
@click.option(
    "--latency", type=click.Choice(["zero", "qvault", "qvault-full"]), default="zero", show_default=True
)
@click.option("--payload", type=click.Choice(["223", "1024", "4096"]), default="1024", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one object.")
def vault(devices: int, sites: int, latency: str, payload: str, as_json: bool) -> None:
    """The vault with simulated dies and no cell around them, in real time."""
    cards = simulated_cards(devices, payload=int(payload), latency=latency)
    figures = vault_bench.measured(cards, sites)
    conditions = {"devices": devices, "sites": sites, "latency": latency, "payload": int(payload)}
    if as_json:
        click.echo(json.encode({**conditions, **figures}))
        return
    for key, figure in figures.items():
        click.echo(f"{figure:>12,.1f}  {VAULT_LABELS[key].format(**conditions)}")
