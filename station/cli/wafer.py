"""`hardbin wafer`: the maps of wafers, as files and as people see them."""

from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from station.cli.said import Said, says
from station.cli.stdf_files import must_exist
from station.clock import RealClock
from station.datalog.maps import e142, g85
from station.datalog.maps import stdf as from_stdf
from station.datalog.maps.axes import NOTCHES, Notch, View
from station.datalog.maps.codes import TYPES
from station.datalog.maps.picture import picture
from station.datalog.maps.sheet import RowOrder
from station.datalog.maps.wafer import WaferMap
from station.datalog.new_file import new_file
from station.errors import MapError

FILE = click.argument("file", type=click.Path(path_type=Path))
WAFER = click.option("--wafer", help="Which one, of a file with several.")
ORDER = click.option(
    "--row-order", "order", type=click.Choice(["seen", "origin"]), default="seen", show_default=True,
    help="Whether rows are listed as they are seen, or from where the coordinates begin.",
)  # fmt: skip
BASE = click.option(
    "--base", type=int, default=0, show_default=True, help="The first coordinate of the file."
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group()
def wafer() -> None:
    """Show, convert and compare wafer maps: of STDF files, SEMI E142 and SEMI G85."""


@wafer.command()
@FILE
@ORDER
@BASE
@JSON
def show(file: Path, order: RowOrder, base: int, *, as_json: bool) -> None:
    """Print the wafers of a file, notch down: dies, good ones, bins."""
    maps = read(file, order, base)
    if as_json:
        click.echo(msgspec.json.encode([_numbers(one) for one in maps]))
        return
    click.echo("\n\n".join(map(picture, maps)))


def _numbers(found: WaferMap) -> dict[str, object]:
    counts = found.counts()
    return {
        "wafer": found.wafer,
        "lot": found.lot,
        "columns": found.columns,
        "rows": found.rows,
        "tested": sum(counts.values()),
        "good": found.good,
        "bins": [
            {"number": b.number, "name": b.name, "good": b.good, "count": counts[b.number]}
            for b in found.bins
        ],
    }


@wafer.command("map")
@FILE
@WAFER
@ORDER
@BASE
@click.option(
    "--format", "kind", type=click.Choice(["ascii", "e142", "g85"]), default="ascii", show_default=True
)
@click.option("-o", "--out", type=click.Path(path_type=Path), help="The new file; needed but for ascii.")
@click.option("--notch", type=click.Choice(NOTCHES), default="D", show_default=True, help="Where it is seen.")
@click.option("--bottom", is_flag=True, help="Seen from the bottom side.")
@click.option("--bin-type", type=click.Choice(list(TYPES)), help="HexaDecimal for e142, Ascii for g85.")
@says
def map_(
    file: Path,
    wafer: str | None,
    order: RowOrder,
    base: int,
    kind: str,
    out: Path | None,
    notch: Notch,
    bottom: bool,
    bin_type: str | None,
) -> Said:
    """Write one wafer as a map file, or print it."""
    found = _one(read(file, order, base), wafer, file)
    if kind == "ascii":
        shown = picture(found)
        return Said(shown, wafer=found.wafer, lines=shown.splitlines())
    if out is None:
        raise click.UsageError(f"--format {kind} needs --out FILE")
    view = View(notch, bottom=bottom)
    with new_file(out) as part:
        if kind == "e142":
            e142.write(found, part, view=view, kind=bin_type or "HexaDecimal")
        else:
            g85.write(found, part, created=RealClock().unix(), view=view, kind=bin_type or "Ascii")
    return Said("", file=out, wafer=found.wafer)


@wafer.command()
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@WAFER
@JSON
def compare(first: Path, second: Path, wafer: str | None, *, as_json: bool) -> None:
    """Compare a wafer in two files, die by die: what was recovered, what was lost."""
    from station.analysis.wafers import compared

    maps = [_one(read(file, "seen", 0), wafer, file) for file in (first, second)]
    found = compared(maps[0], maps[1])
    if as_json:
        moved = [{"from": a, "to": b, "dies": count} for (a, b), count in sorted(found.changed.items())]
        plain = msgspec.to_builtins(msgspec.structs.replace(found, changed={}))
        click.echo(msgspec.json.encode(plain | {"changed": moved}))
        return
    click.echo(
        f"{found.same} dies alike, {len(found.places)} not: {found.recovered} recovered, {found.lost} lost"
    )
    for (was, is_), count in sorted(found.changed.items()):
        click.echo(f"{count:>6}  bin {was} -> bin {is_}")
    if found.only_first or found.only_second:
        click.echo(f"tested in one only: {found.only_first} in the first, {found.only_second} in the second")


def read(file: Path, order: RowOrder, base: int) -> list[WaferMap]:
    """Return the wafers of a file of any of the three kinds, known by how it begins."""
    must_exist(file)
    with file.open("rb") as opened:
        head = opened.read(6)
    if head[2:4] == b"\0\x0a":
        return from_stdf.read(file)
    reader: Callable[..., list[WaferMap]] = e142.read if b"MapData" in file.read_bytes()[:2000] else g85.read
    return reader(file, order=order, base=base)


def _one(maps: list[WaferMap], name: str | None, file: Path) -> WaferMap:
    found = [one for one in maps if name is None or one.wafer == name]
    if len(found) != 1:
        names = ", ".join(one.wafer for one in maps)
        raise MapError(f"{file}: it has the wafers {names}; say one of them with --wafer")
    return found[0]
