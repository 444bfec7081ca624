"""What a wafer's map costs as a file, beside the least that its text costs: each floor from the same run."""

from collections.abc import Callable
from functools import partial
from math import ceil, pi, sqrt
from pathlib import Path
from time import process_time
from typing import TypeVar

from lxml import etree

from station.datalog.maps import e142, g85
from station.datalog.maps.axes import Place
from station.datalog.maps.wafer import Die, MapBin, WaferMap

T = TypeVar("T")
BINS = tuple(MapBin(number, f"bin {number}", good=number == 1) for number in range(1, 8))


def measured(folder: Path, dies: int = 50_000, rounds: int = 3) -> dict[str, float]:
    """Write and read a round wafer of about so many dies in `folder`: CPU milliseconds, best of `rounds`."""
    found = wafer(dies)
    sheet, grid = folder / "wafer.xml", folder / "wafer.g85"
    figures: dict[str, float] = {"dies": len(found.dies)}
    for name, path, write, read in (
        ("e142", sheet, partial(e142.write, found, sheet), partial(e142.read, sheet)),
        ("g85", grid, partial(g85.write, found, grid, created=0.0), partial(g85.read, grid)),
    ):
        figures[f"{name}_write_ms"], _ = _best(rounds, write)
        figures[f"{name}_read_ms"], (back,) = _best(rounds, read)
        figures[f"{name}_bytes"] = path.stat().st_size
        if {place: die.hard for place, die in back.tested.items()} != _bins(found):
            raise AssertionError(f"{name}: the map that is read is not the one that was written")
    figures["write_floor_ms"], _ = _best(rounds, partial(_text, found, folder / "floor"))
    figures["read_floor_ms"], _ = _best(rounds, partial(etree.parse, sheet))
    return figures


def wafer(dies: int) -> WaferMap:
    """Return a round wafer; each die has a result."""
    side = ceil(sqrt(dies * 4 / pi))
    middle, radius = (side - 1) / 2, side / 2
    places = ((x, y) for y in range(side) for x in range(side))
    round_ = [(x, y) for x, y in places if (x - middle) ** 2 + (y - middle) ** 2 <= radius**2]
    found = {place: Die(hard=(bin_ := _bin(place)), soft=bin_) for place in round_}
    return WaferMap("BENCH.01", side, side, found, BINS, lot="BENCH", product="SE1")


def _bin(place: Place) -> int:
    return 1 if (place[0] * 7 + place[1] * 13) % 11 else 1 + (place[0] + place[1]) % len(BINS)


def _bins(found: WaferMap) -> dict[Place, int]:
    return {place: die.hard for place, die in found.dies.items()}


def _text(found: WaferMap, path: Path) -> None:
    """A digit a die and a line a row: less says no map."""
    bins = _bins(found)
    rows = ("".join(str(bins.get((x, y), ".")) for x in range(found.columns)) for y in range(found.rows))
    path.write_text("\n".join(rows), "ascii")


def _best(rounds: int, way: Callable[[], T]) -> tuple[float, T]:
    costs = list[float]()
    for _ in range(rounds):
        began = process_time()
        found = way()
        costs.append((process_time() - began) * 1000)
    return min(costs), found
