"""`hardbin bench`: speeds, each beside its floor from the same run."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from msgspec import json

from drivers.roles.card import Card
from station.cli import bench_files
from station.cli.bench_all import all_
from station.cli.bench_compare import compare
from station.cli.bench_gate import gate
from station.cli.bench_handshake import handshake
from station.cli.bench_soak import soak
from station.engine.bench import measured
from station.equip import bench as drivers_bench
from station.remote import bench as mqtt_bench
from station.surroundings import simulated_cards
from station.vault import bench as vault_bench
from station.vault import bench_dies

LABELS = {
    "kept_per_cpu_s": "measurements per CPU-second, results kept",
    "stdf_per_cpu_s": "measurements per CPU-second, with STDF and store",
    "floor_per_cpu_s": "floor: bare await, limit check and append",
    "efficiency_8_sites": "parallel efficiency, 8 sites x 5 ms of instrument time",
    "efficiency_32_sites": "parallel efficiency, 32 sites x 5 ms of instrument time",
    "rss_growth_mb_per_100k": "memory growth over 100,000 devices, MB",
}

VAULT_LABELS = {
    "dies_per_s_core": "dies a second that one core does, vault and key store, dies without latency",
    "vault_cpu_ms": "ms of CPU a die of them, the vault",
    "key_store_cpu_ms": "ms of CPU a die of them, the key store",
    "crypto_bound_per_s_core": "floor: a die's public-key operations alone, same run",
    "vault_over_crypto": "CPU of a die / that of its public-key operations",
    "endorsement_p99_ms": "ms of the vault from the proofs to the certificates, 99 of 100, {sites} sites",
    "endorsement_seen_p99_ms": "ms, as a station sees it, which simulates its dies meanwhile",
    "endorsement_together_p99_ms": "ms, the same, if all {sites} begin at once",
    "dies_per_s_{sites}_sites": "dies a second, {sites} sites, latency {latency}, payload {payload}",
    "chips_per_hour": "chips/hour, the same",
    "of_sites_over_die_time": "of what {sites} such dies could do if the vault took no time",
    "ledger_events_per_s": "events a second, each with its leaf and on disk",
    "leaked_sessions": "channels left open by {torn} dies that lost contact",
    "leaked_files": "files and sockets left open by the same",
}


DATALOG_LABELS = {
    "stdf_write_per_cpu_s": "STDF records per CPU-second, limits compared, through the public calls",
    "stdf_floor_per_cpu_s": "floor: one bare struct.pack a record, one write a touchdown",
    "store_per_cpu_s": "measurements stored per CPU-second, each touchdown on disk and read back",
    "store_floor_per_cpu_s": "floor: one bare executemany and commit a touchdown",
    "stdf_read_per_s": "STDF records read per CPU-second",
    "stdf_read_floor_per_s": "floor: from header to header, bare struct",
    "bytes_per_measurement": "bytes of the database a measurement",
    "bytes_floor": "floor: a table of nothing but the values",
    "one_test_10k_ms": "CPU ms to read one test of 10,000 devices",
    "one_test_floor_ms": "floor: bare SQL over the same values",
    "pat_ms": "CPU ms for part average limits of 100 tests, and who is outside, 10,000 parts",
    "pat_floor_ms": "floor: their quartiles alone, by numpy",
    "parquet_1m_s": "CPU-s to write a million values from the store to Parquet",
    "parquet_floor_s": "floor: the same table from memory",
}

DRIVERS_COLUMNS = ("call", "bare", "handoff", "chain of 10", "p99 loaded", "call/handoff", "of CPU")

MQTT_LABELS = {
    "round_trip_p50_ms": "ms from a signed command to its reply, half of them",
    "round_trip_p95_ms": "ms, 95 of 100",
    "round_trip_ml_dsa_p50_ms": "ms, signed with ML-DSA-65 too, half of them",
    "events_per_s": "events a second from the engine's bus to a listener, each on disk on its way",
    "engine_us_per_event": "microseconds of the engine's loop an event",
}

CONSOLE_LABELS = {
    "server_cpu_percent": "% of a core for the console's process, {rate} dies a second, one browser",
    "paint_p50_ms": "ms from the event to the painted die, half of them",
    "paint_p95_ms": "ms, 95 of 100",
    "cpu_50_clients_percent": "% of a core with 50 browsers' streams",
    "page_kb": "kB of the whole page, uncompressed, in Hindi with its fonts",
    "external_requests": "requests to another host",
    "reconnects": "times that the browser was cut off: the console was killed and started again",
    "lost_dies": "places of the map that differ from the server's in the end",
}

BATCH = 500
"""Dies that are there at a time where contact is lost; each has a memory."""
DIE_S = {"zero": 0.0, "qvault": 5.7, "qvault-full": 7.9}
"""What a die takes about, by the latency of its silicon."""
FINE = 10
"""Smaller figures are ratios, of which more digits are told."""
CPU_SITES = 8
"""Sites side by side where only CPU counts."""


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
@click.option("--touchdowns", type=click.IntRange(1), default=60, show_default=True, help="Of 8 x 100 tests.")
@click.option("--json", "as_json", is_flag=True, help="Print one object.")
def datalog(touchdowns: int, as_json: bool) -> None:
    """STDF, store, Parquet and part averages over made-up lots, each figure beside its floor."""
    from station.datalog.bench import measured as datalog_measured

    with TemporaryDirectory(prefix="hardbin-bench-") as folder:
        figures = datalog_measured(Path(folder), touchdowns=touchdowns)
    if as_json:
        click.echo(json.encode(figures))
        return
    for key, figure in figures.items():
        shown = f"{figure:,.0f}" if figure >= 1000 else f"{figure:.3g}"
        click.echo(f"{shown:>12}  {DATALOG_LABELS[key]}")


@bench.command()
@click.option(
    "--queries", type=click.IntRange(64), default=320, show_default=True, help="Of each figure's rounds."
)
@click.option(
    "--events", type=click.IntRange(2), default=100, show_default=True, help="Lines that nobody asked for."
)
@click.option("--json", "as_json", is_flag=True, help="Print one object.")
def drivers(queries: int, events: int, as_json: bool) -> None:
    """Ports at 1 to 32 instruments: what a query costs beside the library alone and a bare hand-off."""
    report = drivers_bench.measured(queries, events, lambda doing: click.echo(f"... {doing}", err=True))
    if as_json:
        click.echo(json.encode(report))
        return
    click.echo(f"{'us a query, middle round':<26}" + "".join(f"{name:>13}" for name in DRIVERS_COLUMNS))
    for transport, rows in report.transports.items():
        for row in rows:
            figures = (row.call_us, row.bare_us, row.handoff_us, row.chain10_us, row.p99_us)
            ratios = row.call_us / row.handoff_us, row.call_cpu_us / row.handoff_cpu_us
            told = "".join(f"{figure:>13.1f}" for figure in figures)
            told += "".join(f"{ratio:>13.2f}" for ratio in ratios)
            click.echo(f"{transport:<8}{row.instruments:>6} at once   {told}")
    for transport, late in report.unsolicited.items():
        told = f"{late.idle_ms:g} ms, {late.loaded_ms:g} ms while the loop is never idle"
        click.echo(f"{transport}: from an unasked line to its event, 99 of 100 within {told}")


@bench.command()
@click.option("--devices", type=click.IntRange(2), default=128, show_default=True, help="For each part.")
@click.option("--sites", type=click.IntRange(1, 64), default=64, show_default=True)
@click.option(
    "--latency", type=click.Choice(["zero", "qvault", "qvault-full"]), default="qvault", show_default=True
)
@click.option("--payload", type=click.Choice(["223", "1024", "4096"]), default="1024", show_default=True)
@click.option(
    "--torn", type=click.IntRange(1), default=128, show_default=True, help="Dies that lose contact."
)
@click.option("--ahead", is_flag=True, help="It goes before all other work of the machine; for root.")
@click.option("--json", "as_json", is_flag=True, help="Print one object.")
def vault(
    *, devices: int, sites: int, latency: str, payload: str, torn: int, ahead: bool, as_json: bool
) -> None:
    """The vault with simulated dies and no cell around them, in real time."""

    def cards(part: int, count: int, how: str) -> Sequence[Card]:
        first = part * devices
        return simulated_cards(range(first, first + count), payload=int(payload), latency=how)

    def batches(first: int, count: int) -> Iterator[Sequence[Card]]:
        for start in range(first, first + count, BATCH):
            dies = range(start, min(start + BATCH, first + count))
            yield simulated_cards(dies, payload=int(payload), latency="zero")

    few = min(sites, CPU_SITES)
    with _running(ahead=ahead) as running:
        figures, operations = vault_bench.cpu_of_dies(running, cards(0, devices, "zero"), few)
    with _running(ahead=ahead) as running:
        figures = {
            **figures,
            **vault_bench.side_by_side(running, cards(1, devices, latency), sites, DIE_S[latency]),
            **vault_bench.together(running, cards(2, sites, latency)),
            "ledger_events_per_s": vault_bench.ledger_events_per_s(),
            **vault_bench.leaked(running, batches(2 * devices + sites, torn), few),
        }
    conditions = {"devices": devices, "sites": sites, "latency": latency, "payload": int(payload)}
    conditions |= {"torn": torn, "ahead": ahead}
    if as_json:
        click.echo(json.encode({**conditions, **figures, "operations": operations}))
        return
    labels = {key.format(**conditions): text.format(**conditions) for key, text in VAULT_LABELS.items()}
    for key, figure in figures.items():
        click.echo(f"{figure:>12,.{1 if figure >= FINE else 3}f}  {labels[key]}")
    click.echo("\nthe floor: a die's public-key operations, each alone")
    for row in operations:
        told = "{times:>4} x {ms:6.3f} ms  {where:<9}  {algorithm:<14}  {what}"
        click.echo(told.format_map(row))


@contextmanager
def _running(*, ahead: bool) -> Iterator[bench_dies.Bench]:
    """A vault; SIGTERM ends it, its folder too, as SIGINT does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with bench_dies.bench(ahead=ahead) as running:
            yield running
    except PermissionError as error:
        raise click.ClickException(f"--ahead: {error.strerror}; only root goes before others") from error
    finally:
        signal.signal(signal.SIGTERM, before)


@bench.command()
@click.option("--mqtt", "url", help="A broker on loopback; by default a Mosquitto of its own.")
@click.option("--rounds", type=click.IntRange(20), default=500, show_default=True, help="Signed commands.")
@click.option("--events", type=click.IntRange(100, 10_000), default=5000, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one object.")
def mqtt(*, url: str | None, rounds: int, events: int, as_json: bool) -> None:
    """Signed commands to their reply and events to a listener, through a broker on loopback."""
    figures = mqtt_bench.measured(url, rounds, events)
    if as_json:
        click.echo(json.encode(figures))
        return
    click.echo(f"{figures.pop('broker'):>12}  broker")
    for key, figure in figures.items():
        click.echo(f"{figure:>12,.10g}  {MQTT_LABELS[key]}")


@bench.command()
@click.option("--seconds", type=click.FloatRange(2), default=20.0, show_default=True, help="Of each window.")
@click.option("--rate", type=click.IntRange(8), default=200, show_default=True, help="Dies a second.")
@click.option("--dies", type=click.IntRange(1000), default=50_000, show_default=True, help="Of the wafer.")
@click.option("--json", "as_json", is_flag=True, help="Print one object.")
def console(*, seconds: float, rate: int, dies: int, as_json: bool) -> None:
    """The operator's page of a large wafer, in a headless Chromium; needs Chromium and Playwright."""
    from station.console.bench import measured as console_measured

    figures = console_measured(seconds, rate, dies)
    if as_json:
        click.echo(json.encode(figures))
        return
    for key, figure in figures.items():
        click.echo(f"{figure:>12,.10g}  {CONSOLE_LABELS[key].format(rate=rate)}")


for command in bench_files.COMMANDS:
    bench.add_command(command)
bench.add_command(all_)
bench.add_command(compare)
bench.add_command(gate)
bench.add_command(handshake)
bench.add_command(soak)
