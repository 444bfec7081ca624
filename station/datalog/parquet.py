"""Parquet of the store: one row a value, for whoever analyses lots with tools of their own."""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeAlias

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from station.datalog.new_file import new_file
from station.datalog.rows import DeviceRow
from station.datalog.stdf.columns import Columns, load
from station.datalog.store import Store
from station.errors import StorageError
from station.model import LotInfo

FLAG = np.dtype([("place", "<u2"), ("test", "u1"), ("parm", "u1")])
BY_DEVICE = {
    "part": "<i4",
    "contact": "<i2",
    "site": "u1",
    "part_flg": "u1",
    "hard_bin": "<u2",
    "soft_bin": "<u2",
}
PLACES = (
    ("part_flg", "PART_FLG", "u1"),
    ("hard_bin", "HARD_BIN", "<u2"),
    ("soft_bin", "SOFT_BIN", "<u2"),
    ("x", "X_COORD", "<i2"),
    ("y", "Y_COORD", "<i2"),
)
SPLIT = ("value",)
ROW_GROUP = 1 << 20
Write: TypeAlias = Callable[[pa.Table, BinaryIO], None]


def table(store: Store, run: int) -> pa.Table:
    """Return a run as an Arrow table, one row for each value: contacts in order, tests in datalog order.

    `test_flg` and `parm_flg` are those of STDF. A functional test has the value 1.0 or 0.0; what
    failed without a number, or is no single number, is a row whose `value` is null.
    """
    info, rows = store.info(run), list(store.devices(run))
    tests, contacts = len(info.tests), len(rows)
    values = np.frombuffer(b"".join([row.vals for row in rows]), "<f8")
    flagged = _flags(rows, tests)
    kept: NDArray[np.bool_] = (values == values) | flagged.any(axis=0)
    numbers = np.array([test.number for test in info.tests], "<u4")
    arrays = {name: np.repeat(column, tests) for name, column in _by_device(rows).items()}
    arrays["test"] = np.tile(numbers, contacts)
    arrays |= {"value": values, "test_flg": flagged[0], "parm_flg": flagged[1]}
    if not kept.all():
        arrays = {name: column[kept] for name, column in arrays.items()}
    columns = {name: pa.array(column, from_pandas=name in SPLIT) for name, column in arrays.items()}
    return pa.table(columns).replace_schema_metadata(_metadata(info, run))


def export(store: Store, run: int, path: Path) -> int:
    """Write a run to a Parquet file and return its rows; it gets its name when it is whole and on disk."""
    return kept(table(store, run), path, write)


def table_of(stdf: Path) -> pa.Table:
    """Return the parametric results of an STDF file as a table, as float32 has them."""
    found = load(stdf)
    if found.fault:
        raise StorageError(f"{stdf}: {found.fault}")
    return file_table(found)


def file_table(found: Columns) -> pa.Table:
    """Return the PTRs of a file as an Arrow table; `value` is null where a flag says that there is none."""
    ends = [record for record in found.others if record.name == "PRR"]
    of = found.contact
    numbers = {
        name: np.array([*(record.integer(name) for record in ends), 0], np.int64)[of]
        for name in ("PART_FLG", "HARD_BIN", "SOFT_BIN", "X_COORD", "Y_COORD")
    }
    parts = pa.array([*(record.text("PART_ID") for record in ends), ""])
    columns = {
        "part": parts.take(pa.array(np.where(of < 0, len(ends), of))),
        "head": found.head,
        "site": found.site,
        **{column: numbers[name].astype(kind) for column, name, kind in PLACES},
        "test": found.test,
        "value": pa.array(found.result, mask=~found.usable),
        "test_flg": found.flags,
        "parm_flg": found.parm,
    }
    return pa.table({name: pa.array(column) for name, column in columns.items()})


def kept(found: pa.Table, path: Path, written: Write) -> int:
    """Write a table to a new file, which gets its name when it is whole and on disk; return the rows."""
    with new_file(path) as part, part.open("wb") as file:
        written(found, file)
    return int(found.num_rows)


def write(found: pa.Table, file: BinaryIO) -> None:
    """Write a table as this station's Parquet files are: zstd, floats split by byte.

    Runs of equal numbers are left to zstd: a dictionary costs twice the time and saves nothing.
    """
    pq.write_table(
        found,
        file,
        compression="zstd",
        use_dictionary=False,
        use_byte_stream_split=list(SPLIT),
        row_group_size=ROW_GROUP,
    )


def _by_device(rows: list[DeviceRow]) -> dict[str, NDArray[np.generic]]:
    taken = [(row.part_id, row.exec_no, row.site, row.part_flg, row.hbin, row.sbin) for row in rows]
    whole = np.array(taken, np.int64).reshape(len(rows), len(BY_DEVICE))
    return {name: whole[:, i].astype(kind) for i, (name, kind) in enumerate(BY_DEVICE.items())}


def _flags(rows: list[DeviceRow], tests: int) -> NDArray[np.uint8]:
    """Return TEST_FLG and PARM_FLG, a row each, of every test of every contact; 0 where it simply passed."""
    found = np.zeros((2, len(rows) * tests), np.uint8)
    for number, row in enumerate(rows):
        if row.flags:
            sparse = np.frombuffer(row.flags, FLAG)
            at = number * tests + sparse["place"].astype(np.int64)
            found[0, at], found[1, at] = sparse["test"], sparse["parm"]
    return found


def _metadata(info: LotInfo, run: int) -> dict[str, str]:
    return {
        "hardbin.lot": info.lot,
        "hardbin.run": str(run),
        "hardbin.product": info.product,
        "hardbin.station": info.station,
        "hardbin.sequence": f"{info.sequence} {info.sequence_version}",
        "hardbin.fingerprint": info.fingerprint,
        "hardbin.tests": msgspec.json.encode(info.tests).decode(),
    }
