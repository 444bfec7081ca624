"""What the datalog costs a measurement, beside the least that its formats cost."""

import os
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path
from time import process_time

from station.datalog import schema
from station.datalog.stdf.file import StdfFile
from station.datalog.stdf.writer import PTR_HEAD
from station.datalog.store import Store
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

GOOD = Bin(1, "good", 1, BinKind.PASS)
FLOOR_TABLE = "CREATE TABLE device (id INTEGER PRIMARY KEY, site, part, vals)"
FLOOR_INSERT = "INSERT INTO device (site, part, vals) VALUES (?, ?, ?)"


def measure(folder: Path, *, tests: int = 200, sites: int = 8, touchdowns: int = 40) -> dict[str, float]:
    """Write a made-up lot into `folder` in each way; CPU seconds a measurement.

    `stdf_s` and `store_s` through the public calls; `stdf_floor_s` is one bare `struct.pack` a measurement
    and one write a touchdown, `store_floor_s` one bare `executemany` and commit a touchdown.
    """
    info = _lot(tests, sites)
    results = [_touchdown(info, seq) for seq in range(1, touchdowns + 1)]
    count = tests * sites * touchdowns
    ways: dict[str, Callable[[Path, LotInfo, list[TouchdownResult]], float]] = {
        "stdf_s": _stdf,
        "stdf_floor_s": _stdf_floor,
        "store_s": _store,
        "store_floor_s": _store_floor,
    }
    costs = {name: way(folder, info, results) / count for name, way in ways.items()}
    return {"measurements": float(count), **costs}


def _lot(tests: int, sites: int) -> LotInfo:
    limit = Limit(2e-3, 9e-3, "A")
    rows = tuple(TestDefinition(number, f"current_{number}", "P", limit) for number in range(1, tests + 1))
    return LotInfo(
        "BENCH", "SE1", "bench", "1", "0" * 64, "ST1", tuple(range(1, sites + 1)), 0, rows, (GOOD,), (), 0.0
    )


def _touchdown(info: LotInfo, seq: int) -> TouchdownResult:
    devices = tuple(_device(info, site, (seq - 1) * len(info.sites) + site) for site in info.sites)
    return TouchdownResult(seq, float(seq), seq + 0.5, devices)


def _device(info: LotInfo, site: int, part: int) -> DeviceResult:
    measured = tuple(
        Measurement(
            test.number, test.name, "P", Verdict.PASSED, value=5e-3 + (part * test.number % 97) * 1e-5
        )
        for test in info.tests
    )
    return DeviceResult(site, part, 1, GOOD, Verdict.PASSED, measured, 0.0, 0.25)


def _stdf(folder: Path, info: LotInfo, results: list[TouchdownResult]) -> float:
    file = StdfFile(folder, info)
    file.open()
    began = process_time()
    for result in results:
        file.touchdown(result)
    cost = process_time() - began
    file.abandon()
    file.part.unlink()
    return cost


def _stdf_floor(folder: Path, info: LotInfo, results: list[TouchdownResult]) -> float:
    path, pack = folder / "floor.std", PTR_HEAD
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    began = process_time()
    for result in results:
        group = [
            pack(12, 15, 10, m.test, 1, device.site, 0, 0xC0, m.value)
            for device in result.devices
            for m in device.measurements
        ]
        os.write(fd, b"".join(group))
    cost = process_time() - began
    os.close(fd)
    path.unlink()
    return cost


def _store(folder: Path, info: LotInfo, results: list[TouchdownResult]) -> float:
    store = Store(folder / "bench.db")
    store.open()
    store.begin(info)
    began = process_time()
    for result in results:
        store.commit(result)
    cost = process_time() - began
    store.close()
    _remove(store.path)
    return cost


def _store_floor(folder: Path, info: LotInfo, results: list[TouchdownResult]) -> float:
    path, layout = folder / "floor.db", struct.Struct(f"<{len(info.tests)}d")
    connection = sqlite3.connect(path)
    for pragma in schema.PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    connection.execute(FLOOR_TABLE)
    began = process_time()
    for result in results:
        rows = [(d.site, d.part, layout.pack(*[m.value for m in d.measurements])) for d in result.devices]
        with connection:
            connection.executemany(FLOOR_INSERT, rows)
    cost = process_time() - began
    connection.close()
    _remove(path)
    return cost


def _remove(database: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
