"""`hardbin disposition`: outliers, bad neighbourhoods and limits of lots, over stored results."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
from rich.table import Table

from station.cli.codes import Exit
from station.cli.said import Said, says
from station.cli.stdf_files import JSON, chosen, must_exist
from station.cli.terminal import terminal
from station.clock import RealClock
from station.custody import durable_file
from station.datalog.store import Store
from station.errors import ConfigError
from station.past_stores import PLANT
from station.report import LotReport, TruthReport

if TYPE_CHECKING:
    from station.analysis.shares import Share
    from station.by_policy import TruthShare
    from station.disposition.course import Disposition
    from station.disposition.parts import Parts

STORE = click.argument("store", type=click.Path(path_type=Path))
RUN = click.option("--run", type=click.IntRange(1), help="Of a store with several runs.")
SHOWN = 20


@click.group()
def disposition() -> None:
    """Apply a rules file to the stored results of a lot, or make one of earlier lots."""


@disposition.command()
@STORE
@click.option("--rules", required=True, type=click.Path(path_type=Path), help="The rules file.")
@RUN
@click.option("--report", type=click.Path(path_type=Path), help="report.json of a simulated lot: its truth.")
@click.option("--out", type=click.Path(path_type=Path), help="Write what came of it, as an audit entry.")
@click.option(
    "--stdf", nargs=2, type=click.Path(path_type=Path), help="The lot's file, and one with new bins."
)
@JSON
def apply(
    store: Path,
    rules: Path,
    run: int | None,
    report: Path | None,
    out: Path | None,
    stdf: tuple[Path, Path] | None,
    *,
    as_json: bool,
) -> None:
    """Tell which good devices of a lot go to other bins, by which policy, and what the lot is beyond.

    Exit code 12 if the lot is to be held.
    """
    from station.disposition.course import disposed
    from station.disposition.rules import read

    must_exist(store, rules, *filter(None, (report,)), *(stdf[:1] if stdf else ()))
    truth = None if report is None else _truth(report)
    bad, live = (None, ()) if truth is None else (truth.bad, truth.policies)
    parts = _parts(store, run)
    found = disposed(parts, read(rules), bad=bad, live=live)
    if stdf:
        from station.datalog.stdf.header import lot_id
        from station.disposition.rebinned import rebinned

        rebinned(stdf[0], stdf[1], found, lot_id(parts.info), RealClock().unix())
    if out is not None:
        _new(out, msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        _shown(found)
    if found.beyond:
        click.get_current_context().exit(Exit.HELD)


@disposition.command()
@click.argument("stores", nargs=-1, required=True)
@click.option("--name", required=True, help="Of the rules.")
@click.option("--bin", "target", nargs=2, type=int, required=True, help="Soft and hard bin of outliers.")
@click.option("--sigmas", type=float, default=6.0, show_default=True, help="Of the part average limits.")
@click.option("--quantity", type=click.IntRange(1), help="Devices of a lot to come; else as the last one.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The new rules file.")
@says
def baseline(
    stores: tuple[str, ...],
    name: str,
    target: tuple[int, int],
    sigmas: float,
    quantity: int | None,
    out: Path,
) -> Said:
    """Make rules of six or more lots: static part average limits, yield and bin limits."""
    from station.disposition.baseline import static_of, statistical_of
    from station.disposition.rules import Rules, Target

    lots = [lot for store in stores for lot in _lots(store)]
    made = Rules(
        name,
        1,
        lots[0].info.product,
        static_of(lots, Target(*target), sigmas=sigmas),
        statistical=statistical_of(lots, quantity=quantity or len(lots[-1].numbers)),
    )
    _new(out, made.toml().encode())
    devices = sum(len(lot.numbers) for lot in lots)
    words = f"{out}: limits of {len(lots)} lots, {devices} devices"
    return Said(words, file=out, lots=len(lots), devices=devices)


def _lots(text: str) -> "list[Parts]":
    """Read the lot of a store, or those that a text names in the plant's database."""
    from station.disposition.parts import plant_parts

    if text.startswith(PLANT):
        return plant_parts(text)
    must_exist(Path(text))
    return [_parts(Path(text), None)]


def _parts(path: Path, run: int | None) -> "Parts":
    from station.disposition.parts import parts_of

    store = Store(path)
    try:
        return parts_of(store, chosen(store, run))
    finally:
        store.close()


def _truth(path: Path) -> TruthReport:
    try:
        report = msgspec.json.decode(path.read_bytes(), type=LotReport)
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path}: not a report: {error}") from error
    if report.truth is None:
        raise ConfigError(f"{path}: lot {report.lot} was not simulated, nobody knows its truth")
    return report.truth


def _new(out: Path, content: bytes) -> None:
    if out.exists():
        raise ConfigError(f"{out} is there already")
    durable_file.replace(out, content)


def _shown(found: "Disposition") -> None:
    console = terminal()
    console.print(f"Lot {found.lot} by {found.rules}: {len(found.moved)} of {found.devices} devices move")
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("policy", "moved", "good", "escapes", "overkill"):
        table.add_column(heading, justify="left" if heading == "policy" else "right")
    for row in _rows(found):
        table.add_row(*row)
    console.print(table)
    for one in found.beyond:
        console.print(f"{one.rule}: {one.seen} -> {one.action}")
    for moved in found.moved[:SHOWN]:
        where = f" ({moved.wafer} {moved.x}, {moved.y})" if moved.wafer else ""
        console.print(
            f"  {moved.part}{where}: bin {moved.was} -> {moved.becomes} {moved.policy}: {moved.seen}"
        )
    if len(found.moved) > SHOWN:
        console.print(f"  and {len(found.moved) - SHOWN} more; --json names all")


def _rows(found: "Disposition") -> Iterator[tuple[str, ...]]:
    """The policies of the running lot come first; those that did nothing are left out."""
    for before in found.live:
        if before.devices or before.trips:
            yield (
                f"(live) {before.policy}",
                f"{before.devices}",
                "",
                _told(before.escapes),
                _told(before.overkill),
            )
    for stage in found.stages:
        known = stage.escapes, stage.overkill
        shares = ("" if one is None else _told(one) for one in known)
        yield (stage.policy, f"{stage.moved}", f"{stage.good}", *shares)


def _told(one: "Share | TruthShare") -> str:
    return f"{one.count} of {one.of} (to {one.high:.2%})"
