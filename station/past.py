"""What insertions before this one have measured: read once from their stores, when a lot is loaded.

A device is met again by its code, or by its place on a wafer; a package also by the place of its die. Only
ended runs count: what a lot rests on does not change under it.
"""

import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import msgspec

from station import traces
from station.datalog.rows import DeviceRow, DeviceRows
from station.datalog.store import FINISHED
from station.engine.codes import is_own
from station.engine.past import SEPARATOR
from station.errors import ConfigError, StorageError
from station.model import ENGINEERING, EarlierRun, LotInfo, Measurement, Place, TraceList
from station.past_stores import PastStore, store_of

Name: TypeAlias = str | Place
"""Code or place of a device."""
UNREADABLE = (msgspec.DecodeError, struct.error, zlib.error)


@dataclass(frozen=True)
class _Run:
    """A run as it lies in a store."""

    told: EarlierRun
    number: int
    info: LotInfo
    state: str

    def __str__(self) -> str:
        return f"{self.info.product} {self.info.flow} of lot {self.info.lot} ({self.state})"

    def rests(self, product: str, flow: str) -> bool:
        """Whether a lot of this product and flow may rest on it."""
        done = self.state == FINISHED and self.info.mode != ENGINEERING
        return done and self.info.product == product and self.info.flow != flow


@dataclass
class PastResults:
    """The last contact of each device at each flow before; unpacked when it is asked for."""

    runs: tuple[EarlierRun, ...] = ()
    """Where they were read, the oldest first."""
    gone: str = ""
    """What could not be read again when a lot was taken up; empty if all could."""
    traced: TraceList | None = None
    codes: Mapping[str, Place] = field(default_factory=dict)
    """By code of a package, where its die was."""
    _devices: dict[Name, dict[str, tuple[DeviceRows, DeviceRow]]] = field(default_factory=dict)

    def of(self, code: str, place: Place | None) -> Mapping[str, Measurement]:
        """Return the results of a device, each as `flow/test`; nothing if it is not known."""
        place = place or self.codes.get(code)
        at_place = {} if place is None else self._devices.get(place, {})
        return {
            f"{flow}{SEPARATOR}{one.name}": one
            for flow, (rows, row) in (at_place | self._devices.get(code, {})).items()
            for one in rows.measured(row)
        }

    def knows(self, code: str, place: Place | None) -> bool:
        """Tell whether any result of a device is known."""
        return code in self._devices or (place or self.codes.get(code)) in self._devices

    def trace(self, path: Path) -> None:
        """Read which die is in which package; StorageError if no die of them is known."""
        traced, codes = traces.read(path)
        if not any(place in self._devices for place in codes.values()):
            raise StorageError(f"{path}: none of its {len(codes)} dies is one of which results are known")
        self.traced, self.codes = traced, codes

    def add(self, run: _Run, devices: Iterable[DeviceRow]) -> int:
        """Take the devices of a run in their order; return how many can be known again."""
        rows, flow, known = DeviceRows(run.info), run.info.flow, 0
        second = run.info.second_pass
        of_pass = "" if second is None else second.name
        for row in devices:
            code, place = rows.identity(row)
            rows.values(row)  # what cannot be read is found now, not in the lot
            names: list[Name] = [code] if is_own(code, row.part_id, of_pass) else []
            names += [place] if place is not None and place.wafer else []
            for name in names:
                self._devices.setdefault(name, {})[flow] = rows, row
            known += bool(names)
        return known


def read(sources: Iterable[str], product: str, flow: str, traced: Path | None = None) -> PastResults:
    """Read what stores have of a product at other flows; ConfigError for one that has nothing of that.

    `traced`: the list that says which die is in which package.
    """
    found = list[tuple[PastStore, _Run]]()
    try:
        for source in map(store_of, dict.fromkeys(sources)):
            found += [(source, run) for run in _needed(source, product, flow)]
        past, known = _taken(found)
        if traced is not None:
            past.trace(traced)
    except StorageError as error:
        raise ConfigError(f"earlier results: {error}") from error
    if nameless := [source for source, count in known.items() if not count]:
        which = ", ".join(nameless)
        raise ConfigError(
            f"earlier results: {which}: no device has a code or a place, by which it could be known"
        )
    return past


def _needed(source: PastStore, product: str, flow: str) -> list[_Run]:
    """Return the runs of a store on which a lot may rest; StorageError if there is none."""
    there = list(_runs(source))
    if not (needed := [run for run in there if run.rests(product, flow)]):
        has = ", ".join(map(str, there)) or "no run"
        what = f"an ended run of {product} of another flow than {flow}"
        raise StorageError(f"{source}: it has {has}; needed is {what}")
    return needed


def read_again(began: LotInfo) -> PastResults:
    """Read that on which a lot rests that is taken up; what of it is gone is said, and not known."""
    wanted = {one.run: one for one in began.earlier}
    past, gone = PastResults(), list[str]()
    for one in wanted.values():
        try:
            source = store_of(one.source)
            there = [run for run in _runs(source) if run.told.run == one.run and run.state == FINISHED]
            _taken([(source, run) for run in there], past)
            gone += [] if there else [f"{source}: {one.flow} of lot {one.lot} is not there"]
        except (ConfigError, StorageError) as error:
            gone.append(str(error))
    gone += _traced_again(past, began.traced)
    past.gone = "; ".join(dict.fromkeys(gone))
    return past


def _traced_again(past: PastResults, was: TraceList | None) -> list[str]:
    """Read which die is in which package as it was; return what is gone."""
    if was is None or not past.runs:
        return []
    try:
        now, codes = traces.read(Path(was.source))
    except StorageError as error:
        return [str(error)]
    if now != was:
        return [f"{was.source}: it is another list than when the lot began"]
    past.traced, past.codes = now, codes
    return []


def _runs(source: PastStore) -> Iterator[_Run]:
    """Yield the runs of a store; StorageError."""
    for row in source.runs():
        try:
            info = msgspec.convert(row["mir"], LotInfo)
        except msgspec.ValidationError as error:
            raise StorageError(f"{source}: run {row['id']}: {error}") from error
        told = EarlierRun(row["uuid"], info.flow, info.lot, source.name)
        yield _Run(told, row["id"], info, row["state"])


def _taken(
    found: list[tuple[PastStore, _Run]], past: PastResults | None = None
) -> tuple[PastResults, Counter[str]]:
    """Take the devices of these runs, the oldest first; count those of each store that can be known again."""
    past = past or PastResults()
    known = Counter({f"{source}": 0 for source, _ in found})
    for source, run in sorted(found, key=lambda one: one[1].info.set_up):
        try:
            with closing(source.devices(run.number)) as devices:
                known[f"{source}"] += past.add(run, devices)
        except UNREADABLE as error:
            raise StorageError(f"{source}: run {run.number} of lot {run.info.lot}: {error}") from error
        past.runs = (*past.runs, run.told)
    return past, known
