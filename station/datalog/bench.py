"""What the datalog costs, beside the least that its formats cost: each floor from the same run."""

import os
import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import process_time

import numpy as np
import pyarrow.parquet as pq

from station import durations
from station.analysis import average
from station.datalog import parquet, schema
from station.datalog.stdf.columns import load
from station.datalog.stdf.file import StdfFile
from station.datalog.store import Store
from station.engine.judge import judged
from station.model import (
    Bin,
    BinKind,
    DeviceResult,
    Limit,
    LotInfo,
    Measurement,
    TestDefinition,
    TouchdownResult,
    Verdict,
)
from station.sequence import Parametric, Site

GOOD = Bin(1, "good", 1, BinKind.PASS)
FLOOR_TABLE = "CREATE TABLE device (id INTEGER PRIMARY KEY, site, part, vals)"
FLOOR_INSERT = "INSERT INTO device (site, part, vals) VALUES (?, ?, ?)"
FLOOR_COLUMN = "SELECT substr(vals, 1, 8) FROM device"
FLOOR_RECORD = struct.Struct("<HBBIBBBBf").pack
SITES, TESTS = 8, 100
LIMIT = Limit(2e-3, 9e-3, "A")
PARTS = 10_000
"""Of the lot that is read: a million values."""

Seconds = dict[str, float]


def measured(folder: Path, *, touchdowns: int = 60, parts: int = PARTS, rounds: int = 3) -> dict[str, float]:
    """Write and read made-up lots in `folder`, best of `rounds`; rates by CPU time, the rest by the clock."""
    best = [_best(rounds, partial(way, folder, touchdowns)) for way in (writing, storing)]
    count = touchdowns * SITES * TESTS
    rates = {f"{name}_per_cpu_s": count / seconds for found in best for name, seconds in found.items()}
    return rates | reading(folder, touchdowns, rounds) | _whole_lot(folder, parts, rounds)


def stdf_measured(folder: Path, touchdowns: int = 60, rounds: int = 3) -> dict[str, float]:
    """Write and read STDF alone, best of `rounds`: records per CPU-second."""
    best = _best(rounds, partial(writing, folder, touchdowns))
    count = touchdowns * SITES * TESTS
    rates = {f"{name}_per_cpu_s": count / seconds for name, seconds in best.items()}
    return rates | reading(folder, touchdowns, rounds)


def _best(rounds: int, way: Callable[[], Seconds]) -> Seconds:
    found = [way() for _ in range(rounds)]
    return {name: min(one[name] for one in found) for name in found[0]}


@contextmanager
def _timed(into: Seconds, name: str, clock: Callable[[], float] = process_time) -> Iterator[None]:
    began = clock()
    yield
    into[name] = clock() - began


# -- lots that never were
def _lot(touchdowns: int) -> LotInfo:
    rows = tuple(TestDefinition(number, f"current_{number}", "P", LIMIT) for number in range(1, TESTS + 1))
    sites = tuple(range(1, SITES + 1))
    return LotInfo(
        "BENCH", "SE1", "bench", "1", "0" * 64, "ST1", sites, touchdowns * SITES, rows, (GOOD,), (), 0.0
    )


def _value(part: int, test: int) -> float:
    return 5e-3 + (part * test % 97) * 1e-5


def _plain(test: TestDefinition, value: float) -> Measurement:
    return Measurement(test.number, test.name, "P", Verdict.PASSED, value=value)


def _touchdown(info: LotInfo, seq: int) -> TouchdownResult:
    first = (seq - 1) * SITES
    times_s = (durations.kept(2e-3),) * len(info.tests) if durations.taken(seq) else ()
    devices = tuple(
        _device(
            site,
            first + site,
            [_plain(test, _value(first + site, test.number)) for test in info.tests],
            times_s,
        )
        for site in info.sites
    )
    return TouchdownResult(seq, float(seq), seq + 0.5, devices)


def _device(
    site: int, part: int, measurements: list[Measurement], times_s: tuple[float, ...]
) -> DeviceResult:
    return DeviceResult(site, part, 1, GOOD, Verdict.PASSED, tuple(measurements), 0.0, 0.25, times_s=times_s)


# -- writing
async def _current(site: Site) -> float:
    """Never awaited: the rows are only judged."""
    return 0.0


def writing(folder: Path, touchdowns: int) -> Seconds:
    """Return the CPU of as many touchdowns in STDF, and of their floor."""
    info, costs = _lot(touchdowns), Seconds()
    rows = [Parametric(test.number, _current, LIMIT, bin=GOOD) for test in info.tests]
    readings = [
        [[_value(seq * SITES + site, test) for test in range(1, TESTS + 1)] for site in info.sites]
        for seq in range(touchdowns)
    ]
    file, spent = StdfFile(folder, info), (durations.kept(2e-3),) * TESTS
    file.open()
    with _timed(costs, "stdf_write"):
        for seq, sites in enumerate(readings, 1):
            devices = tuple(
                _device(
                    site,
                    (seq - 1) * SITES + site,
                    list(map(judged, rows, values)),
                    spent if durations.taken(seq) else (),
                )
                for site, values in zip(info.sites, sites, strict=True)
            )
            file.touchdown(TouchdownResult(seq, float(seq), seq + 0.5, devices))
    file.abandon()
    file.part.unlink()
    _bare_records(folder / "floor.std", readings, costs)
    return costs


def _bare_records(path: Path, readings: list[list[list[float]]], costs: Seconds) -> None:
    """One `struct.pack` a measurement, one write a touchdown."""
    pack, numbers = FLOOR_RECORD, range(1, TESTS + 1)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    with _timed(costs, "stdf_floor"):
        for sites in readings:
            group = [
                pack(12, 15, 10, test, 1, site, 0, 0xC0, value)
                for site, values in enumerate(sites, 1)
                for test, value in zip(numbers, values, strict=True)
            ]
            os.write(fd, b"".join(group))
    os.close(fd)
    path.unlink()


# -- storing
def storing(folder: Path, touchdowns: int) -> Seconds:
    """Return the CPU of as many touchdowns in the store, and of their floor."""
    info, costs = _lot(touchdowns), Seconds()
    first, *results = (_touchdown(info, seq) for seq in range(1, touchdowns + 2))
    store = _store(folder, info)
    store.commit(first)  # statements are compiled once a lot, whatever its size
    with _timed(costs, "store"):
        for result in results:
            store.commit(result)
    store.close()
    _remove(store.path)
    _bare_rows(folder / "floor.db", results, costs)
    return costs


def _bare_rows(path: Path, results: list[TouchdownResult], costs: Seconds) -> None:
    """One `executemany` and commit a touchdown."""
    layout, connection = struct.Struct(f"<{TESTS}d"), _bare(path)
    with _timed(costs, "store_floor"):
        for result in results:
            rows = [(d.site, d.part, layout.pack(*[m.value for m in d.measurements])) for d in result.devices]
            with connection:
                connection.executemany(FLOOR_INSERT, rows)
    connection.close()
    _remove(path)


def _store(folder: Path, info: LotInfo) -> Store:
    store = Store(folder / "bench.db")
    store.open()
    store.begin(info)
    return store


def _bare(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    for pragma in schema.PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    connection.execute(FLOOR_TABLE)
    return connection


def _remove(database: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)


# -- reading
def reading(folder: Path, touchdowns: int, rounds: int) -> dict[str, float]:
    """Return STDF records read per CPU-second, and those of their floor, best of `rounds`."""
    info = _lot(touchdowns)
    file = StdfFile(folder, info)
    file.open()
    for seq in range(1, touchdowns + 1):
        file.touchdown(_touchdown(info, seq))
    path = file.close(float(touchdowns))
    records = load(path).records

    def way() -> Seconds:
        costs = Seconds()
        with _timed(costs, "read"):
            load(path)
        with _timed(costs, "floor"):
            _walk(path.read_bytes())
        return costs

    best = _best(rounds, way)
    path.unlink()
    return {"stdf_read_per_s": records / best["read"], "stdf_read_floor_per_s": records / best["floor"]}


def _walk(data: bytes) -> int:
    """From header to header, and the numbers of each PTR."""
    header, result = struct.Struct("<HBB").unpack_from, struct.Struct("<IBBBBf").unpack_from
    at = results = 0
    while at < len(data):
        length, typ, sub = header(data, at)
        if typ == 15 and sub == 10:
            result(data, at + 4)
            results += 1
        at += 4 + length
    return results


# -- a whole lot
def _whole_lot(folder: Path, parts: int, rounds: int) -> dict[str, float]:
    info = _lot(parts // SITES)
    store = _store(folder, info)
    bare = _bare(folder / "floor.db")
    layout = struct.Struct(f"<{TESTS}d")
    for seq in range(1, parts // SITES + 1):
        result = _touchdown(info, seq)
        store.commit(result)
        rows = [(d.site, d.part, layout.pack(*[m.value for m in d.measurements])) for d in result.devices]
        with bare:
            bare.executemany(FLOOR_INSERT, rows)
    store.close()  # as it is when engineers look: nothing is left in the write-ahead log
    store = Store(store.path)
    best = _best(rounds, partial(_looked_at, folder, store, bare))
    bare.close()
    store.close()
    sizes = [(folder / name).stat().st_size for name in ("bench.db", "floor.db")]
    for name in ("bench.db", "floor.db"):
        _remove(folder / name)
    values = parts // SITES * SITES * TESTS
    return {
        "bytes_per_measurement": sizes[0] / values,
        "bytes_floor": sizes[1] / values,
        "one_test_10k_ms": best["one_test"] * 1000 * PARTS / parts,
        "one_test_floor_ms": best["one_test_floor"] * 1000 * PARTS / parts,
        "pat_ms": best["pat"] * 1000,
        "pat_floor_ms": best["pat_floor"] * 1000,
        "parquet_1m_s": best["parquet"] * 1e6 / values,
        "parquet_floor_s": best["parquet_floor"] * 1e6 / values,
    }


def _looked_at(folder: Path, store: Store, bare: sqlite3.Connection) -> Seconds:
    costs, path = Seconds(), folder / "bench.parquet"
    with _timed(costs, "one_test"):
        store.column(1, 1)
    with _timed(costs, "one_test_floor"):
        np.frombuffer(b"".join([value for (value,) in bare.execute(FLOOR_COLUMN)]))
    values = np.random.default_rng(1).normal(5e-3, 1e-4, (100, PARTS))
    low, high = np.full(100, 2e-3), np.full(100, 9e-3)
    with _timed(costs, "pat"):
        average.rejected(values, average.limits(values, spec_low=low, spec_high=high))
    with _timed(costs, "pat_floor"):
        np.partition(values, [PARTS // 4, PARTS // 2, 3 * PARTS // 4], axis=1)
    with _timed(costs, "parquet"):
        parquet.export(store, 1, path)
    found = pq.read_table(path)
    with path.open("wb") as file, _timed(costs, "parquet_floor"):
        parquet.write(found, file)
    path.unlink()
    return costs
