"""`hardbin study golden`: known units are measured on the cell, and compared with their reference values."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
from rich.table import Table
from rich.text import Text

from station.cli.codes import Exit
from station.cli.study_lot import tested
from station.cli.terminal import terminal
from station.custody import durable_file
from station.errors import ConfigError
from station.lot_folder import STORE
from station.surroundings import CELLS

if TYPE_CHECKING:
    from station.analysis.golden import Check, Contact
    from station.model import LotInfo

LOT = "golden"
RESULT = "golden.json"


@click.command()
@click.argument("units", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--learn", type=click.IntRange(1, 1000), help="Measure so many units and write the file UNITS.")
@click.option("--trials", type=click.IntRange(2, 50), default=5, show_default=True)
@click.option("--flow", type=click.Choice(list(CELLS)), help="Which simulated cell; by default wafer-sort.")
@click.option("--station", type=click.Path(dir_okay=False, path_type=Path), help="Station file.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the simulated world.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("golden"), show_default=True
)
@click.option("--hardware", is_flag=True, help="Drive real machines; needs --station.")
@click.option("--yes", is_flag=True, help="Do not ask whether the units are in.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def golden(
    context: click.Context,
    units: Path,
    learn: int | None,
    trials: int,
    flow: str | None,
    station: Path | None,
    seed: int,
    out: Path,
    *,
    hardware: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Measure golden units, each --trials times, and say whether every site still measures right.

    UNITS names them, in the order in which they are put in. Exit code 12 if a site is out of tolerance.
    """
    from station.analysis.golden import read
    from station.analysis.golden_lot import checked, measured
    from station.golden_check import keep

    known = None if learn is not None else read(units)
    if known is None and units.exists():
        raise ConfigError(f"{units} is there already: it is never overwritten")
    if out.exists():
        raise ConfigError(f"{out} exists: a check is never overwritten, choose another --out")
    count = len(known.units) if known is not None else learn or 0
    tested(context, LOT, count, "put golden units")
    if known is None:
        info, contacts, _ = measured(out / LOT / STORE)
        _learn(units, info, contacts)
        return
    found = checked(units, out / LOT / STORE)
    keep(out / RESULT, found)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        _shown(found, out / RESULT)
    if not found.passed:
        context.exit(Exit.HELD)


def _learn(path: Path, info: "LotInfo", contacts: "list[Contact]") -> None:
    from station.analysis.golden import learned

    found = learned(path.stem, info.product, info.sequence, info.tests, contacts)
    lines = [
        f"{key} = {msgspec.json.encode(getattr(found, key)).decode()}"
        for key in ("name", "product", "sequence")
    ]
    lines += [
        "",
        "[tolerance]    # by test, in its unit: how far a site's mean may lie off, and its values scatter",
    ]
    lines += [
        f"{test} = {{ shift = {one.shift!r}, spread = {one.spread!r} }}"
        for test, one in found.tolerance.items()
    ]
    for unit in found.units:
        values = ", ".join(f"{test} = {value!r}" for test, value in unit.values.items())
        lines += ["", "[[units]]", f'name = "{unit.name}"', f"values = {{ {values} }}"]
    durable_file.replace(path, ("\n".join(lines) + "\n").encode())
    click.echo(
        f"{path}: {len(found.units)} units, tests {', '.join(found.tolerance)}; look at it before you use it"
    )


def _shown(found: "Check", path: Path) -> None:
    console = terminal()
    verdict = ("in tolerance", "green") if found.passed else ("out of tolerance", "bold red")
    console.print(Text.assemble(f"Golden units {found.units} at {found.station}: ", verdict))
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("test", "name", "site", "contacts", "shift", "allowed", "spread", "allowed"):
        table.add_column(heading, justify="left" if heading == "name" else "right")
    for one in found.seen:
        numbers = (one.shift, one.allowed.shift, one.spread, one.allowed.spread)
        row = (str(one.test), one.name, str(one.site), str(one.contacts), *(f"{n:.4g}" for n in numbers))
        table.add_row(*row, style="" if one.passed else "red")
    console.print(table)
    if found.offsets:
        console.print("An engineer may put these into a recipe, and have it signed:")
        for test in dict.fromkeys(one.test for one in found.offsets):
            sites = [f"{o.site} = {o.value:.6g}" for o in found.offsets if o.test == test and o.allowed]
            console.print(f"  offsets.{test} = {{ {', '.join(sites)} }}")
        for far in (offset for offset in found.offsets if not offset.allowed):
            console.print(f"  test {far.test} at site {far.site} is over a fifth of the span off: repair it")
    console.print(f"kept in {path}")
