"""`hardbin bench all`: every part in a process of its own, each figure beside what was promised of it."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import click
from msgspec import json

from station.cli.codes import Exit

Report: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Promise:
    """A figure of one part, and the bound that it is to keep on two quiet cores."""

    part: str
    figure: str
    bound: float
    least: bool = True
    """Whether the bound is the least; else the most."""
    floor: str = ""
    """The part's figure of what cannot be done without, measured in the same run."""

    def kept(self, value: float) -> bool:
        """Whether a value keeps it."""
        return value >= self.bound if self.least else value <= self.bound


@dataclass(frozen=True)
class Result:
    """A figure as it was measured."""

    part: str
    figure: str
    value: float | None
    """None if its part could not be measured."""
    bound: float
    least: bool
    """Whether the bound is the least."""
    kept: bool
    floor: float | None = None
    """The same without hardbin, in the same run."""
    why: str = ""
    """Why it could not be measured."""


PROMISES = (
    Promise("engine", "kept_per_cpu_s", 20_000, floor="floor_per_cpu_s"),
    Promise("engine", "stdf_per_cpu_s", 15_000, floor="floor_per_cpu_s"),
    Promise("engine", "efficiency_8_sites", 0.90),
    Promise("engine", "efficiency_32_sites", 0.80),
    Promise("engine", "rss_growth_mb_per_100k", 20, least=False),
    Promise("lot", "wall_s", 60, least=False),
    Promise("lot", "time_to_safe_s", 2, least=False),
    Promise("soak", "growth_mb", 20, least=False),
    Promise("soak", "shift_wall_s", 600, least=False),
    Promise("soak", "shift_wrong", 0, least=False),
    Promise("vault", "dies_per_s_core", 100, floor="crypto_bound_per_s_core"),
    Promise("vault", "endorsement_p99_ms", 50, least=False),
    Promise("vault", "of_sites_over_die_time", 0.95),
    Promise("vault", "ledger_events_per_s", 5_000),
    Promise("vault", "leaked_sessions", 0, least=False),
    Promise("drivers", "worst_call_over_handoff", 1.5, least=False),
    Promise("drivers", "worst_cpu_over_handoff", 1.5, least=False),
    Promise("drivers", "worst_unsolicited_ms", 5, least=False),
    Promise("datalog", "stdf_write_per_cpu_s", 500_000, floor="stdf_floor_per_cpu_s"),
    Promise("datalog", "stdf_read_per_s", 1_000_000, floor="stdf_read_floor_per_s"),
    Promise("datalog", "store_per_cpu_s", 1_000_000, floor="store_floor_per_cpu_s"),
    Promise("datalog", "bytes_per_measurement", 10, least=False, floor="bytes_floor"),
    Promise("datalog", "one_test_10k_ms", 20, least=False, floor="one_test_floor_ms"),
    Promise("datalog", "pat_ms", 50, least=False, floor="pat_floor_ms"),
    Promise("datalog", "parquet_1m_s", 0.2, least=False, floor="parquet_floor_s"),
    Promise("mqtt", "round_trip_p50_ms", 10, least=False),
    Promise("mqtt", "events_per_s", 1_000),
    Promise("console", "server_cpu_percent", 6, least=False),
    Promise("console", "paint_p95_ms", 100, least=False),
    Promise("console", "cpu_50_clients_percent", 10, least=False),
    Promise("console", "page_kb", 350, least=False),
    Promise("console", "external_requests", 0, least=False),
    Promise("console", "lost_dies", 0, least=False),
)
PARTS: Mapping[str, tuple[str, ...]] = {
    "engine": ("bench", "engine"),
    "lot": ("run", "--devices", "1000", "--sites", "16", "--lot", "BENCH"),
    "soak": ("bench", "soak", "--devices", "100000"),
    "vault": ("bench", "vault", "--payload", "4096", "--devices", "256"),
    "drivers": ("bench", "drivers"),
    "datalog": ("bench", "datalog"),
    "mqtt": ("bench", "mqtt"),
    "console": ("bench", "console"),
}
"""What each part is asked by."""


@click.command(name="all")
@click.option("--part", "parts", multiple=True, type=click.Choice(list(PARTS)), help="Only these.")
@click.option("--json", "as_json", is_flag=True, help="Print one object.")
def all_(parts: tuple[str, ...], *, as_json: bool) -> Exit:
    """All parts, one after the other, each figure beside its promise; leave the machine alone meanwhile."""
    found = list(results(parts or tuple(PARTS), ask))
    if as_json:
        click.echo(json.encode(found))
    else:
        click.echo(f"{'part':<8} {'figure':<26} {'value':>14}  {'promised':>14} {'floor':>14}")
        for one in found:
            click.echo(_line(one))
    missing = {one.part: one.why for one in found if one.value is None}
    for part, why in missing.items():
        click.echo(f"{part} not measured: {why}", err=True)
    return Exit.UNEXPECTED if missing else Exit.OK


def _line(one: Result) -> str:
    promised = f"{'>=' if one.least else '<='} {one.bound:,.10g}"
    value = "-" if one.value is None else f"{one.value:,.10g}"
    floor = "" if one.floor is None else f"{one.floor:,.6g}"
    line = f"{one.part:<8} {one.figure:<26} {value:>14}  {promised:>14} {floor:>14}"
    return (
        line.rstrip() if one.kept else f"{line}  {'NOT MEASURED' if one.value is None else 'NOT AS PROMISED'}"
    )


def results(parts: tuple[str, ...], measured: Callable[[str], Report]) -> Iterator[Result]:
    """Measure part by part; the worst stands for many of one kind; a part that fails is told, too."""
    for part in parts:
        promises = [promise for promise in PROMISES if promise.part == part]
        try:
            report = {**measured(part)}
        except click.ClickException as error:
            for promise in promises:
                yield Result(
                    part, promise.figure, None, promise.bound, promise.least, kept=False, why=error.message
                )
            continue
        if part == "drivers":
            report |= _worst(report)
        for promise in promises:
            yield _result(promise, report)


def _result(promise: Promise, report: Report) -> Result:
    value = float(report[promise.figure])
    return Result(
        promise.part,
        promise.figure,
        round(value, 4),
        promise.bound,
        promise.least,
        promise.kept(value),
        round(float(report[promise.floor]), 4) if promise.floor else None,
    )


def _worst(report: Report) -> dict[str, float]:
    rows = [row for rows in report["transports"].values() for row in rows]
    late = [one["loaded_ms"] for one in report["unsolicited"].values()]
    return {
        "worst_call_over_handoff": max(row["call_us"] / row["handoff_us"] for row in rows),
        "worst_cpu_over_handoff": max(row["call_cpu_us"] / row["handoff_cpu_us"] for row in rows),
        "worst_unsolicited_ms": max(late),
    }


def ask(part: str) -> Report:
    """Run one part in a process of its own, so that none bears the memory of another."""
    click.echo(f"... {part}", err=True)
    return asked(*PARTS[part])


def asked(*words: str) -> Report:
    """Run a `hardbin` command in a folder of its own, and return its object; ClickException if it fails."""
    with TemporaryDirectory(prefix="hardbin-bench-") as folder:
        command = [sys.executable, "-P", "-m", "station.cli", *words, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)  # noqa: S603
    if done.returncode:
        raise click.ClickException(f"{' '.join(words)} ended with {done.returncode}: {done.stderr[-2000:]}")
    report: Report = json.decode(done.stdout)
    return report
