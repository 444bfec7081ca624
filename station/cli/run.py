"""`hardbin run`: one lot, from the first device to the report."""

import asyncio
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import click
from click.core import ParameterSource
from msgspec import json

from station import commands
from station import config as station_config
from station.assemble import Hardware
from station.cli import recovery
from station.cli.codes import ANSWERS, Exit
from station.cli.onlookers import Onlookers
from station.cli.onlookers import options as onlooking
from station.cli.progress import LiveProgress, PlainProgress, Progress
from station.cli.summary import shown
from station.cli.temperature import options as temperature_options
from station.config import StationConfig
from station.custody.journal import read
from station.engine.history import History
from station.engine.states import State
from station.lot_folder import make_folder, remove_if_never_loaded
from station.lot_order import Attendance, LotOrder, RefusedError, started_here
from station.model import ENGINEERING
from station.open_lot import JOURNAL, epoch_after, history_in
from station.report import LotReport
from station.run import LotSession, Watch
from station.second_pass import Asked, asked_for
from station.set_up import Study, Temperature
from station.signals import signals_call
from station.stop import StopRequest
from station.surroundings import (
    CELLS,
    EPOCH,
    FINAL_TEST,
    WORLD,
    Surroundings,
    simulated,
    simulated_again,
    simulated_station_file,
)

LOT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,30}")


class Speed(click.ParamType[float | None]):
    """`jump`, or how many times faster than real time."""

    name = "jump|FACTOR"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | None:
        if value in (None, "jump"):
            return None
        try:
            factor = float(str(value))
        except ValueError:
            factor = 0.0
        if factor <= 0:
            self.fail(f"{value!r}: write jump, or a factor above 0 (1 is real time)", param, ctx)
        return factor


@click.command()
@click.option("--lot", help="Name of the lot; by default the next free SIM-nnnn.")
@click.option("--devices", type=click.IntRange(1, 10_000_000), default=256, show_default=True)
@click.option("--sites", type=click.IntRange(1, 64), help="By default as in the station file.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the simulated world.")
@click.option("--speed", type=Speed(), default="jump", show_default=True, help="How simulated time passes.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("lots"), show_default=True
)
@click.option(
    "--fault", "faults", multiple=True, help="machine.knob[=value][@once|@every=N|@p=P], repeatable."
)
@click.option("--flow", type=click.Choice(list(CELLS)), help="Which simulated cell; by default final-test.")
@click.option("--station", type=click.Path(dir_okay=False, path_type=Path), help="Station file.")
@click.option("--recipe", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Signed recipe.")
@click.option(
    "--trials", type=click.IntRange(1, 50), default=1, show_default=True, help="Test each device so often."
)
@temperature_options
@click.option("--hardware", is_flag=True, help="Drive real machines; needs --station.")
@onlooking
@click.option(
    "--second-pass",
    "again",
    metavar="LOT",
    help="Test once more what lies in the retest bins of a closed lot in --out.",
)
@click.option(
    "--earlier",
    metavar="STORE",
    multiple=True,
    help="Results of an insertion before this one, for which rules may ask: results.db, or postgresql://...#LOT.",
)
@click.option(
    "--traced",
    type=click.Path(dir_okay=False, path_type=Path),
    help="List of code, wafer, x, y: which die is in which package.",
)
@click.option("--resume", metavar="LOT", help="Go on with a lot that was left open, in --out.")
@recovery.options
@click.option("--json", "as_json", is_flag=True, help="Print one result object and nothing else.")
def run(
    lot: str | None,
    devices: int,
    sites: int | None,
    seed: int,
    speed: float | None,
    out: Path,
    faults: tuple[str, ...],
    flow: str | None,
    station: Path | None,
    recipe: Path | None,
    trials: int,
    temperature: Temperature | None,
    hardware: bool,
    onlookers: Onlookers,
    again: str | None,
    earlier: tuple[str, ...],
    traced: Path | None,
    resume: str | None,
    recover: commands.Recover | None,
    as_json: bool,
) -> int:
    """Test, personalise, bin and log one lot; simulated unless --hardware is given."""
    if hardware and station is None:
        raise click.UsageError("--hardware needs --station FILE")
    if flow and station is not None:
        raise click.UsageError("--flow chooses a simulated cell, --station FILE is one: give one of them")
    if hardware and faults:
        raise click.UsageError("--fault is for simulated machines")
    if again is not None and (lot is not None or resume or trials > 1 or _given("devices")):
        raise click.UsageError("--second-pass names lot and devices; no --lot, --devices, --trials, --resume")
    history = None if resume is None else _left(out / resume, *earlier, traced)
    if history is not None:
        lot, devices, sites = history.info.lot, history.info.quantity, len(history.info.sites)
        temperature = history.info.tempered
    config = station_config.load(station or simulated_station_file(flow or FINAL_TEST), sites=sites)
    asked = None if again is None else asked_for(out, again, config, recipe, temperature)
    if asked is not None:
        lot, devices = asked.name, asked.devices
    name = _named(lot, out)
    later = history.info.second_pass if history else asked.second if asked else None
    order = LotOrder(
        name, devices, out / name, seed, recipe, temperature, _studied(history, trials), later, bool(history),
        earlier, traced, ENGINEERING if trials > 1 else "",
    )  # fmt: skip
    order = order if history is None else replace(order, began=history.info)
    surroundings = partial(_surroundings, config, order, faults, speed, hardware=hardware)
    if history is not None:
        there = recovery.taken_up_here(recover)
        world = surroundings(epoch=epoch_after(history))
        try:
            report = _ran(config, order, world, _progress(order, quiet=as_json), onlookers, there)
        except RefusedError as refused:
            return _refused(refused)
        return _ended(report, as_json=as_json)
    with _begun(order, asked, surroundings, simulated_too=not hardware) as world:
        report = _ran(config, order, world, _progress(order, quiet=as_json), onlookers)
    return _ended(report, as_json=as_json)


def _left(folder: Path, *given: object) -> History:
    """Return what became of a lot that is to go on."""
    if any(given):
        raise click.UsageError("--resume goes on with the earlier results of its lot: no --earlier, --traced")
    return history_in(folder)


def _studied(history: History | None, trials: int) -> Study | None:
    if history is not None:
        return history.info.study
    return Study(trials) if trials > 1 else None


def _named(lot: str | None, out: Path) -> str:
    name = _free_name(out) if lot is None else lot
    if not LOT_NAME.fullmatch(name):
        raise click.UsageError(f"--lot {name!r}: letters, digits and _ . - are allowed, at most 31")
    return name


def _surroundings(
    config: StationConfig,
    order: LotOrder,
    faults: tuple[str, ...],
    speed: float | None,
    *,
    hardware: bool,
    epoch: float,
) -> Surroundings:
    if hardware:
        return Hardware(config.visa.library)
    return simulated(
        config,
        lot=order.lot,
        devices=order.devices,
        seed=order.seed,
        faults=faults,
        speed=speed,
        epoch=epoch,
        diary=order.folder / WORLD,
    )


@contextmanager
def _begun(
    order: LotOrder, asked: Asked | None, surroundings: Callable[..., Surroundings], *, simulated_too: bool
) -> Iterator[Surroundings]:
    """Have the lot's folder and its surroundings inside the block; no folder stays of a lot that never was.

    The world of a second pass is in the folder before it begins: somebody has brought the devices.
    """
    world = surroundings(epoch=EPOCH) if asked is None else None
    make_folder(order.folder)
    try:
        if asked is not None and simulated_too:
            first = asked.first
            simulated_again(
                asked.before, order.folder, asked.second.bins, lot=first.lot, devices=first.quantity
            )
        yield world or surroundings(epoch=EPOCH if asked is None else asked.at)
    finally:
        remove_if_never_loaded(order.folder)


def _given(option: str) -> bool:
    """Whether somebody has written an option that has a default."""
    return click.get_current_context().get_parameter_source(option) is not ParameterSource.DEFAULT


def _refused(refused: RefusedError) -> int:
    """The lot waits for somebody: say for what."""
    click.echo(f"hardbin: {refused}", err=True)
    return ANSWERS[refused.receipt.code]


def _ended(report: LotReport, *, as_json: bool) -> int:
    _told(report, as_json=as_json)
    return _code(report)


def _told(report: LotReport, *, as_json: bool) -> None:
    """Print the result; a reader that is gone does not change what became of the lot."""
    try:
        if as_json:
            click.echo(json.encode(report))
        else:
            shown(report)
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):  # rich would end the process here
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _ran(
    config: StationConfig,
    order: LotOrder,
    surroundings: Surroundings,
    progress: Progress,
    onlookers: Onlookers,
    there: Attendance | None = None,
) -> LotReport:
    with ExitStack() as stack:
        attendance = there or started_here(order)
        watches: list[Watch] = [progress.follow]
        lines = 0
        if order.again:
            happened = list(read(order.folder / JOURNAL))
            lines = len(happened)
            progress.recall(happened)
        real, journal = isinstance(surroundings, Hardware), (order.folder / JOURNAL).absolute()
        door, more, of_vault = stack.enter_context(onlookers.following(config, journal, lines, real=real))
        if more:
            alone = attendance.unattended and not onlookers.attend
            attendance = replace(attendance, unattended=alone, loaded=door.enter)
            watches += more
        session = LotSession(config, order, surroundings, time.perf_counter, attendance, of_vault)
        with asyncio.Runner(loop_factory=surroundings.loop_factory) as runner:
            return runner.run(_run(session, watches))


def _progress(order: LotOrder, *, quiet: bool) -> Progress:
    if quiet:
        return Progress(order.devices)
    return LiveProgress(order.devices) if sys.stdout.isatty() else PlainProgress(order.devices)


async def _run(session: LotSession, watches: list[Watch]) -> LotReport:
    stop = StopRequest()
    with signals_call(stop.ask):
        return await session.run(watches, stop)


def _free_name(out: Path) -> str:
    taken = {path.name for path in out.iterdir()} if out.is_dir() else set()
    return next(name for n in range(1, 100_000) if (name := f"SIM-{n:04}") not in taken)


def _code(report: LotReport) -> int:
    match report.state:
        case State.CLOSED.value:
            return Exit.OK if report.truth is None or report.truth.agrees else Exit.INTEGRITY
        case State.ABORTED.value | State.PAUSED.value:
            return Exit.INTERRUPTED
        case _:
            return Exit.HELD
