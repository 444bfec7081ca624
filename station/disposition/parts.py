"""The devices of a stored run as a disposition sees them: last contact of each, in order of their numbers."""

from hashlib import sha256

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from station.datalog.maps.extent import astray
from station.datalog.rows import DeviceRow, DeviceRows, sparse_flags
from station.datalog.stdf.flags import ALARM
from station.datalog.store import FINISHED, Store
from station.errors import ConfigError
from station.model import LotInfo, Place
from station.past_stores import store_of

NOT_GOOD = 0x18


class Parts(Struct, frozen=True):
    """One element a device. `values` is devices × tests, NaN where no single number is to be believed."""

    info: LotInfo
    numbers: NDArray[np.int64]
    bins: NDArray[np.int64]
    """Soft bins."""
    good: NDArray[np.bool_]
    values: NDArray[np.float64]
    places: tuple[Place | None, ...]
    sealed: bool
    """Whether a device of the lot has an identity."""
    codes: tuple[str, ...]
    """What was read on each device; empty where nothing is."""
    digest: str
    """SHA-256 of the rows that all this rests on, hex."""

    @property
    def failing(self) -> frozenset[int]:
        """The soft bins of devices that failed."""
        return frozenset(map(int, np.unique(self.bins[np.logical_not(self.good)])))

    def wafers(self) -> dict[str, NDArray[np.int64]]:
        """Return the positions of the devices of each wafer, in the order of the wafers."""
        found = dict[str, list[int]]()
        for at, place in enumerate(self.places):
            if place is not None:
                found.setdefault(place.wafer, []).append(at)
        for wafer, of in found.items():
            if off := astray([(place.x, place.y) for place in map(self.places.__getitem__, of) if place]):
                raise ConfigError(f"lot {self.info.lot}: wafer {wafer}: {off}")
        return {wafer: np.array(of, np.int64) for wafer, of in found.items()}

    def grid(self, of: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return row and column of devices on their wafer, from 0."""
        placed = [place for place in (self.places[at] for at in of) if place is not None]
        x, y = np.array([place.x for place in placed]), np.array([place.y for place in placed])
        return y - y.min(), x - x.min()


def parts_of(store: Store, run: int) -> Parts:
    """Read a run."""
    return made_of(store.info(run), list(store.devices(run)))


def plant_parts(text: str) -> list[Parts]:
    """Read the ended runs of lots in the plant's database; `text`: as `station.past_stores` has it."""
    source = store_of(text)
    runs = [run for run in source.runs() if run["state"] == FINISHED]
    if not runs:
        raise ConfigError(f"{text}: it has no ended run of these lots")
    return [made_of(msgspec.convert(run["mir"], LotInfo), list(source.devices(run["id"]))) for run in runs]


def made_of(info: LotInfo, rows: list[DeviceRow]) -> Parts:
    """Return the devices of these contacts."""
    last = {row.part_id: row for row in rows}
    ordered = [last[number] for number in sorted(last)]
    packer = DeviceRows(info)
    devices = [packer.unpack(row) for row in ordered]
    values = np.array([packer.values(row) for row in ordered], np.float64).reshape(-1, len(info.tests))
    values[:, [test.kind != "P" for test in info.tests]] = np.nan
    for at, row in enumerate(ordered):
        values[at, [place for place, flag in sparse_flags(row).items() if flag & ALARM]] = np.nan
    flags = np.array([row.part_flg for row in ordered], np.int64)
    return Parts(
        info,
        np.array(sorted(last), np.int64),
        np.array([row.sbin for row in ordered], np.int64),
        np.equal(flags & NOT_GOOD, 0),
        values,
        tuple(device.place for device in devices),
        any(device.personalisation is not None for device in devices),
        tuple(device.code for device in devices),
        _digest(rows),
    )


def _digest(rows: list[DeviceRow]) -> str:
    return sha256(msgspec.msgpack.encode(rows)).hexdigest()
