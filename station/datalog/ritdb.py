"""RITdb (SEMI E183) of a run: entities as rows of one narrow table in an SQLite file.

Made from what open translators write; the text of the standard was not at hand.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from station.datalog.new_file import new_file
from station.datalog.rows import DeviceRow, DeviceRows
from station.datalog.stdf import flags
from station.datalog.stdf.notes import alarms as alarms_of
from station.datalog.store import Store
from station.model import Bin, Limit, LotInfo, Measurement, TestDefinition, Verdict

INVALID = "XV"
TOLD = {Verdict.PASSED: "PV", Verdict.FAILED: "FV", Verdict.NOT_JUDGED: INVALID}
"""What stands beside a result."""
TABLE = (
    "CREATE TABLE ritdb1(sequence integer PRIMARY KEY, entityID integer, indexID integer DEFAULT 0, "
    "name TEXT DEFAULT R, value none, value2 TEXT)"
)
INDEXES = (
    "CREATE INDEX ritdb1_entity ON ritdb1(entityID DESC, name DESC)",
    "CREATE INDEX ritdb1_name ON ritdb1(name, value DESC, indexID)",
)
INSERT = "INSERT INTO ritdb1(entityID, indexID, name, value, value2) VALUES (?, ?, ?, ?, ?)"
NOT_GOOD, ABORTED = 0x18, 0x10

Value: TypeAlias = "str | int | float"
Row: TypeAlias = "tuple[int, int, str, Value | None, str | None]"


def export(store: Store, run: int, path: Path) -> int:
    """Write a run to a new file and return its rows; it gets its name when it is whole and on disk."""
    with new_file(path) as part:
        return _written(store, run, part)


def _written(store: Store, run: int, path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        connection.execute(TABLE)
        count = connection.executemany(INSERT, _Entities(store, run).rows()).rowcount
        for index in INDEXES:
            connection.execute(index)
        connection.commit()
    finally:
        connection.close()
    return count


class _Entities:
    """Gives each entity its number, and yields the rows of all."""

    def __init__(self, store: Store, run: int) -> None:
        self._store, self._run = store, run
        self._info = store.info(run)
        self._last = 0
        self._sites = dict[int, int]()
        self._bins = dict[int, int]()
        self._packer = DeviceRows(self._info)
        self._results = dict[tuple[int, str], int]()
        """By number of the test, and channel of one that has a result for each."""

    def rows(self) -> Iterator[Row]:
        info = self._info
        yield from self._entity("RUN_INFO", **_run_info(info))
        yield from self._entity(
            "PRODUCT_CELL_CONFIGURATION",
            JOB_NAME=info.sequence,
            JOB_VERSION=info.sequence_version,
            TEST_TEMPERATURE=info.temperature,
        )
        yield from self._entity("CELL_INVENTORY", **{"class": "TESTER", "NAME": info.station})
        yield from self._entity("CELL_INVENTORY", **{"class": "HANDLER", "NAME": info.handler_id})
        for site in info.sites:
            yield from self._entity("SITE_INFO", SITE_ID=site)
            self._sites[site] = self._last
        for bin_ in info.bins:
            yield from self._bin(bin_)
        channels = [(test, pin) for test in info.tests for pin in test.pins or ("",)]
        for order, (test, pin) in enumerate(channels, start=1):
            yield from self._test(order, test, pin)
        last = dict[int, tuple[DeviceRow, int]]()
        for row in self._store.devices(self._run):
            yield from self._contact(row)
            last[row.part_id] = row, self._last
        for row, contact in last.values():
            yield from self._part(row, contact)

    def _entity(self, kind: str, **attributes: Value) -> Iterator[Row]:
        self._last += 1
        yield self._last, 0, "ENTITY_TYPE", kind, None
        for name, value in attributes.items():
            yield self._last, 0, name, value, None

    def _bin(self, bin_: Bin) -> Iterator[Row]:
        yield from self._entity(
            "BIN",
            BIN_TYPE="SOFTBIN",
            BIN_NUMBER=bin_.number,
            BIN_NAME=bin_.name,
            BIN_PF=flags.PASS_FAIL[bin_.kind],
            **{"hardbin.HARD_BIN": bin_.hard},
        )
        self._bins[bin_.number] = self._last

    def _test(self, order: int, test: TestDefinition, pin: str) -> Iterator[Row]:
        limit, name = test.limit or Limit(None, None, ""), f"{test.name}/{pin}" if pin else test.name
        channel: dict[str, Value] = {"hardbin.CHANNEL": pin} if pin else {}
        yield from self._entity(
            "RESULT_INFO",
            RESULT_NUMBER=test.number,
            RESULT_NAME=name,
            RESULT_ID=f"{test.number}:{name}",
            RESULT_ORDER=order,
            RESULT_UNITS=limit.unit,
            RESULT_SCALE=flags.scale(test.limit),
            RESULT_DATA_TYPE="FLOAT",
            TEST_TYPE=test.kind,
            ANALYZABLE="N" if test.kind == "F" else "Y",
            **channel,
        )
        self._results[test.number, pin] = result = self._last
        sides = {"LL": limit.low, "UL": limit.high}
        known = {name: side for name, side in sides.items() if side is not None}
        if known:
            self._last += 1
            yield self._last, 0, "ENTITY_TYPE", "RESULT_LIMIT_SET", None
            for name, side in known.items():
                yield self._last, result, name, side, None
            yield self._last, result, "LIMIT_COMPARE_TYPE", "I", None

    def _contact(self, row: DeviceRow) -> Iterator[Row]:
        device = self._packer.unpack(row)
        yield from self._entity(
            "PART_RESULT_EVENT",
            SITE_INFO_EID=self._sites[row.site],
            PART_ID=device.name,
            BIN_EID=self._bins[row.sbin],
            NUM_TESTS=row.n_exec,
            EVENT_TEST_TIME=row.test_ms / 1000,
            PF="F" if row.part_flg & NOT_GOOD else "P",
        )
        alarms = alarms_of(device)
        for measured in device.measurements:
            told = INVALID if measured.test in alarms else TOLD[measured.verdict]
            for pin, value in self._values(measured):
                yield self._last, self._results[measured.test, pin], "R", value, told

    def _values(self, measured: Measurement) -> Iterator[tuple[str, float | None]]:
        """Yield the results of a test by channel; None where it has none."""
        if measured.kind == "F":
            yield "", float(measured.verdict is Verdict.PASSED)
        elif measured.kind == "P":
            yield "", measured.value
        else:
            pins = next(test.pins for test in self._info.tests if test.number == measured.test)
            given = dict(zip(pins, measured.values, strict=False))
            yield from ((pin, None if value != value else value) for pin, value in given.items())
            yield from ((pin, None) for pin in pins if pin not in given)

    def _part(self, row: DeviceRow, contact: int) -> Iterator[Row]:
        device = self._packer.unpack(row)
        place = device.place
        where: dict[str, Value] = {} if place is None else {"PART_X": place.x, "PART_Y": place.y}
        wafer: dict[str, Value] = {} if place is None else {"hardbin.WAFER": place.wafer}
        yield from self._entity(
            "PART_INSTANCE_OUT",
            PART_ID=device.name,
            DISPOSITION_BIN_EID=self._bins[row.sbin],
            RETEST_CODE=row.exec_no - 1,
            **where,
            **wafer,
            **{"hardbin.PART_RESULT_EVENT_EID": contact},
        )


def _run_info(info: LotInfo) -> dict[str, Value]:
    return {
        "LOT_ID": info.lot,
        "PRODUCT_ID": info.product,
        "CELL_ID": info.station,
        "TEST_PASS_NAME": info.flow,
        "RUN_START_DTTM_UTC": info.set_up,
        "USECASE": "datalog.wafer" if info.wafers is not None else "datalog.unit",
        "hardbin.FINGERPRINT": info.fingerprint,
    }
