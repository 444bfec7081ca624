"""The wafers of an STDF file, or of a store: WCR says how they lie, the PRRs what became of each die."""

from pathlib import Path

from msgspec.structs import replace

from station.datalog.maps.axes import Notch, Place, View
from station.datalog.maps.extent import astray
from station.datalog.maps.wafer import Die, DieState, MapBin, WaferMap, joined
from station.datalog.rows import DeviceRows
from station.datalog.stdf.columns import load
from station.datalog.stdf.fields import Value
from station.datalog.stdf.header import MILLIMETRES, lot_id
from station.datalog.stdf.records import Record
from station.datalog.stdf.trailer import hard_bin_name
from station.datalog.store import Store
from station.errors import MapError
from station.set_up import WaferGeometry

NOWHERE = -32768
TO_MM = {1: 25.4, 2: 10.0, 3: 1.0, 4: 0.0254}
"""WF_UNITS to millimetres: inch, cm, mm, mil."""
GOOD = {"P": True, "F": False}
"""HBIN_PF, where it is not blank."""
FLATS: dict[str, Notch] = {"D": "D", "L": "L", "U": "U", "R": "R"}


def read(path: Path) -> list[WaferMap]:
    """Return the wafers of a file, upright and in one grid, each die as it was contacted last.

    Axes that the file does not tell are taken as X to the right, Y downwards, notch down.
    """
    found = load(path)
    if found.fault:
        raise MapError(f"{path}: {found.fault}")
    named = {record.name: record for record in found.others}
    geometry, master = named.get("WCR", Record("WCR", {})), named.get("MIR", Record("MIR", {}))
    return _maps(str(path), _wafers(found.others), (geometry, master), _bins(found.others))


def of_store(store: Store, run: int) -> list[WaferMap]:
    """Return the wafers of a stored run in the same way."""
    info = store.info(run)
    rows, wafers = DeviceRows(info), dict[str, dict[Place, Die]]()
    for row in store.devices(run):
        if (place := rows.place(row)) is not None:
            wafers.setdefault(place.wafer, {})[place.x, place.y] = Die(
                DieState.TESTED, row.hbin, row.sbin, row.exec_no
            )
    kinds = {bin_.hard: bin_.good for bin_ in info.bins}
    bins = tuple(MapBin(hard, hard_bin_name(hard, info), good) for hard, good in sorted(kinds.items()))
    master = Record("MIR", {"LOT_ID": lot_id(info), "PART_TYP": info.product})
    return _maps(f"{store.path}, run {run}", wafers, (_geometry(info.wafers), master), bins)


def _geometry(wafers: WaferGeometry | None) -> Record:
    if wafers is None:
        return Record("WCR", {})
    width, height = wafers.die_mm
    sides: dict[str, Value] = {"WF_FLAT": wafers.notch, "POS_X": wafers.x_grows, "POS_Y": wafers.y_grows}
    sizes: dict[str, Value] = {"WAFR_SIZ": wafers.diameter_mm, "DIE_WID": width, "DIE_HT": height}
    return Record("WCR", {**sides, **sizes, "WF_UNITS": MILLIMETRES})


def _maps(
    path: str,
    wafers: dict[str, dict[Place, Die]],
    said: tuple[Record, Record],
    bins: tuple[MapBin, ...],
) -> list[WaferMap]:
    turned = {wafer: _turned(dies, said[0]) for wafer, dies in wafers.items()}
    places = [place for dies in turned.values() for place in dies]
    if not places:
        raise MapError(f"{path}: no die has a place on a wafer: it is no file of a wafer sort")
    for wafer, dies in turned.items():
        if off := astray(dies):
            raise MapError(f"{path}: wafer {wafer}: {off}")
    if off := astray(places):
        raise MapError(f"{path}: {off}")
    return [_upright(wafer, dies, places, said, bins) for wafer, dies in turned.items()]


def _wafers(records: tuple[Record, ...]) -> dict[str, dict[Place, Die]]:
    """Return the dies of each wafer by X and Y."""
    found, wafer = dict[str, dict[Place, Die]](), ""
    for record in records:
        if record.name == "WIR":
            wafer = record.text("WAFER_ID")
        elif record.name == "PRR":
            place = (record.integer("X_COORD"), record.integer("Y_COORD"))
            if NOWHERE not in place:
                dies = found.setdefault(wafer, {})
                before = dies[place].contacts if place in dies else 0
                hard, soft = record.integer("HARD_BIN"), record.integer("SOFT_BIN")
                dies[place] = Die(DieState.TESTED, hard, soft if soft != 65535 else hard, before + 1)
    return found


def _bins(records: tuple[Record, ...]) -> tuple[MapBin, ...]:
    """Return the hard bins; one whose HBR does not say P or F is good if a part has passed into it."""
    passed = {r.integer("HARD_BIN") for r in records if r.name == "PRR" and not r.integer("PART_FLG") & 0x18}
    named = {
        (number := record.integer("HBIN_NUM")): (
            record.text("HBIN_NAM"),
            GOOD.get(record.text("HBIN_PF"), number in passed),
        )
        for record in records
        if record.name == "HBR"
    }
    found = named | dict.fromkeys(passed - named.keys(), ("", True))
    return tuple(MapBin(number, name, good) for number, (name, good) in sorted(found.items()))


def _view(geometry: Record) -> View:
    return View(FLATS.get(geometry.text("WF_FLAT"), "D"))


def _turned(dies: dict[Place, Die], geometry: Record) -> dict[Place, Die]:
    """Turn the dies of a wafer so that its notch is down, about the origin of the coordinates."""
    right, down = geometry.text("POS_X") != "L", geometry.text("POS_Y") != "U"
    view = _view(geometry)
    return {view.upright((x if right else -x, y if down else -y)): die for (x, y), die in dies.items()}


def _upright(
    wafer: str,
    dies: dict[Place, Die],
    places: list[Place],
    said: tuple[Record, Record],
    bins: tuple[MapBin, ...],
) -> WaferMap:
    """Put a wafer into the grid of all wafers of its file, of which it may have few dies."""
    geometry, master = said
    view = _view(geometry)
    left, top = min(u for u, _ in places), min(v for _, v in places)
    placed = {(u - left, v - top): die for (u, v), die in sorted(dies.items())}
    scale = TO_MM.get(geometry.integer("WF_UNITS"), 0.0)
    size = (geometry.real("DIE_WID") * scale, geometry.real("DIE_HT") * scale)
    found = WaferMap(
        wafer,
        1 + max(u for u, _ in places) - left,
        1 + max(v for _, v in places) - top,
        placed,
        bins,
        master.text("LOT_ID"),
        master.text("PART_TYP"),
        geometry.real("WAFR_SIZ") * scale,
        size if view.notch in {"D", "U"} else (size[1], size[0]),
    )
    return replace(found, bins=joined(found.bins, found.counts()))
