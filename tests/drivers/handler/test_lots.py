"""Whole lots: driver, PyVISA or pySerial, simulated handler, in virtual time; and what goes wrong."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

from drivers.errors import EquipmentError, InstrumentError
from drivers.handler.binon import BinonHandler, BinonOptions
from drivers.handler.exatron import ExatronHandler, ExatronOptions
from drivers.protocols.binon import profile_of
from drivers.protocols.exatron import Mode
from drivers.roles import Handler, Touchdown
from drivers.transports.serial import SerialStream
from drivers.transports.visa import VisaLibrary, VisaPort
from sim.faults import Faults, parse
from sim.handler import binon, exatron
from sim.serial import machine as line_end
from sim.serial import protocol_hardbin
from sim.time import VirtualLoop, new_loop
from sim.visa import worlds
from tests.trays import Trays, full

T = TypeVar("T")

LOT = {"lot_query": "SRQKIND?", "lot_running": "SRQKIND 2", "lot_ended": "SRQKIND 8", "retest_code": "R"}
GOOD = 1
_numbers = itertools.count()


def virtually(life: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=lambda: new_loop(None)) as runner:
        return runner.run(life)


def clock() -> VirtualLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


def faults_of(knobs: frozenset[str], *texts: str) -> Faults:
    return Faults("handler", knobs, tuple(parse(f"handler.{text}") for text in texts), "lots")


@asynccontextmanager
async def binon_cell(trays: Trays, *faults: str, sites: int = 4) -> AsyncGenerator[BinonHandler, None]:
    """A handler behind PyVISA, connected and started."""
    world, resource = f"binon{next(_numbers)}", "GPIB0::1::INSTR"
    machine = binon.BinonHandler(
        clock().clock,
        trays,
        profile_of("", LOT),
        sites=sites,
        faults=faults_of(binon.BinonHandler.knobs, *faults),
    )
    worlds.register(world)[resource] = machine
    library = VisaLibrary(f"{world}@hardbin")
    options = BinonOptions(sites=frozenset(range(1, sites + 1)), fields=LOT)
    handler = BinonHandler("handler", VisaPort("visa:handler", resource, library), options)
    await handler.connect()
    machine.start()
    try:
        yield handler
    finally:
        await handler.aclose()
        library.close()
        worlds.unregister(world)


@asynccontextmanager
async def exatron_cell(
    trays: Trays, *faults: str, mode: Mode = "hp", retest_sort: int | None = None, quiet_s: float = 0.0
) -> AsyncGenerator[ExatronHandler, None]:
    """A handler behind pySerial, connected and started."""
    end = f"exatron{next(_numbers)}"
    machine = exatron.ExatronHandler(
        clock().clock,
        trays,
        mode=mode,
        retest_sort=retest_sort,
        faults=faults_of(exatron.ExatronHandler.knobs, *faults),
    )
    protocol_hardbin.known_to_pyserial()
    line_end.plug(end, machine)
    options = ExatronOptions(mode=mode, retest_sort=retest_sort, empty_ends_lot=mode == "hp", quiet_s=quiet_s)
    line = SerialStream("serial:handler", f"hardbin://{end}", ExatronHandler.line)
    handler = ExatronHandler("handler", line, options)
    await handler.connect()
    machine.start()
    try:
        yield handler
    finally:
        await handler.aclose()
        line_end.unplug(end)


@dataclass
class Run:
    """A lot as the station saw it."""

    trays: Trays
    steady: bool = True
    """Whether the handler keeps its contacts closed until it is told to open them."""
    expected: dict[int, int] = field(default_factory=dict)
    """The hard bin that was ordered, by device, and confirmed."""
    tested: list[tuple[int, ...]] = field(default_factory=list)
    """The devices of each touchdown when it was announced."""
    faults: list[EquipmentError] = field(default_factory=list)

    async def live(self, handler: Handler, *, test_s: float = 0.5, faults: int = 0) -> None:
        """Sort until the lot is over; go on after as many faults as are allowed."""
        await handler.start_lot("L1")
        while len(self.faults) <= faults:
            try:
                await self._touchdowns(handler, test_s)
                return
            except EquipmentError as error:
                self.faults.append(error)
        raise self.faults[-1]

    async def _touchdowns(self, handler: Handler, test_s: float) -> None:
        async with aclosing(handler.touchdowns()) as touchdowns:
            async for touchdown in touchdowns:
                devices = dict(self.trays.sockets)
                assert touchdown.sites == devices.keys()
                assert self.trays.down or not self.steady, "a test begins with closed contacts"
                self.tested.append(tuple(devices.values()))
                await asyncio.sleep(test_s)
                bins = {site: 1 + devices[site] % 7 for site in touchdown.sites}
                await handler.sort(bins)
                self.expected |= {devices[site]: number for site, number in bins.items()}


Cell = Callable[..., Any]


def lot(cell: Cell, trays: Trays, *knobs: str, faults: int = 0, **options: Any) -> Run:
    run = Run(trays)

    async def life() -> None:
        async with cell(trays, *knobs, **options) as handler:
            await run.live(handler, faults=faults)

    virtually(life())
    return run


@pytest.mark.parametrize("lost", ["drop_srq@p=0.05", "drop_srq=line@p=0.05"])
def test_five_hundred_touchdowns_with_lost_service_requests(lost: str) -> None:
    run = lot(binon_cell, full(4, 500), lost)
    assert run.trays.bins == run.expected
    assert len(run.expected) == 2000
    assert len(run.tested) == 500


@pytest.mark.parametrize(
    "fault",
    [
        "dup_srq=3@p=0.2",
        "late_srq=8000@p=0.1",
        "late_srq=50@p=0.2",
        "truncate=1@p=0.1",
        "truncate=17@p=0.1",
        "empty_reply@p=0.1",
        "corrupt_echo@p=0.1",
        "manual_start@p=0.2",
        "spurious_stb@p=0.2",
        "strict_sites",
    ],
)
def test_what_the_driver_makes_good_by_itself(fault: str) -> None:
    run = lot(binon_cell, full(4, 100), fault)
    assert run.trays.bins == run.expected
    assert len(run.expected) == 400
    assert len(run.tested) == 100


def test_all_of_it_together() -> None:
    knobs = (
        "drop_srq",
        "dup_srq=2",
        "late_srq=300",
        "truncate",
        "empty_reply",
        "corrupt_echo",
        "manual_start",
    )
    run = lot(binon_cell, full(4, 100), *(f"{knob}@p=0.08" for knob in knobs), faults=20)
    assert run.trays.bins.items() >= run.expected.items()
    assert len(run.trays.bins) == 400


@pytest.mark.parametrize(
    ("fault", "says"),
    [("extra_site@every=10", "configured are sites 1, 2, 3, 4"), ("jam=0x50@p=0.05", "0x50")],
)
def test_what_needs_a_person(fault: str, says: str) -> None:
    run = lot(binon_cell, full(4, 100), fault, faults=40)
    assert run.faults
    assert all(says in str(error) for error in run.faults)
    assert run.trays.bins == run.expected
    assert len(run.expected) == 400


def test_devices_that_an_operator_took_out_get_no_bin() -> None:
    run = lot(binon_cell, full(4, 100), "operator_skip=0.4@p=0.1", faults=40)
    assert run.faults
    taken = {device for device, number in run.trays.bins.items() if number == binon.NOBODY}
    assert len(taken) == 4 * len(run.faults)
    assert taken.isdisjoint(run.expected)
    assert run.expected == {d: n for d, n in run.trays.bins.items() if d not in taken}


def test_sites_come_and_go() -> None:
    trays = Trays([frozenset(sites) for sites in ((1, 2, 3, 4), (2,), (4, 1), (3,))])
    run = lot(binon_cell, trays)
    assert trays.bins == run.expected
    assert run.tested == [(1, 2, 3, 4), (5,), (6, 7), (8,)]


def test_a_lot_is_the_same_each_time() -> None:
    def landings() -> tuple[list[tuple[int, ...]], float]:
        trays = full(4, 30)

        async def life() -> float:
            async with binon_cell(trays, "drop_srq@p=0.1", "truncate@p=0.1") as handler:
                await Run(trays).live(handler)
            return clock().time()

        return trays.landings, virtually(life())

    assert landings() == landings()


def test_the_same_devices_land_again_and_then_move_on() -> None:
    trays = Trays([frozenset({1, 2}), frozenset({2})])

    async def life() -> None:
        async with binon_cell(trays, sites=2) as handler, aclosing(handler.touchdowns()) as touchdowns:
            first = await anext(touchdowns)
            await handler.replunge()
            assert await anext(touchdowns) == first
            await handler.sort({1: GOOD, 2: 2})
            assert (await anext(touchdowns)).sites == {2}

    virtually(life())
    assert trays.landings == [(1, 2), (1, 2), (3,)]
    assert trays.bins == {1: 1, 2: 2}


def test_a_cancelled_wait_loses_no_touchdown() -> None:
    trays = full(4, 3)

    async def life() -> Touchdown:
        async with binon_cell(trays) as handler:
            for after_s in (0.0, 0.2, 0.5, 0.7, 0.8, 0.9, 1.0):
                async with aclosing(handler.touchdowns()) as touchdowns:
                    try:
                        async with asyncio.timeout(after_s):
                            return await anext(touchdowns)
                    except TimeoutError:
                        pass
            async with aclosing(handler.touchdowns()) as touchdowns:
                return await anext(touchdowns)

    assert virtually(life()).sites == {1, 2, 3, 4}


@pytest.mark.parametrize("after_s", [0.0, 0.004, 0.006, 0.05, 0.1, 0.2, 0.3, 0.4])
def test_a_cancelled_sort_is_never_said_again(after_s: float) -> None:
    trays = full(2, 2)

    async def life() -> None:
        async with binon_cell(trays, sites=2) as handler, aclosing(handler.touchdowns()) as touchdowns:
            await anext(touchdowns)
            with suppress(TimeoutError):
                async with asyncio.timeout(after_s):
                    await handler.sort({1: 3, 2: 4})
            sent = after_s > 0.004  # before that it was still looking for stale requests
            if sent:
                with pytest.raises(EquipmentError, match="nothing was sent"):
                    await handler.sort({1: 5, 2: 5})
            await asyncio.sleep(0.5)

    virtually(life())
    assert trays.bins in ({}, {1: 3, 2: 4})


def test_a_handler_that_lost_its_power_is_an_alarm() -> None:
    async def life() -> None:
        trays = full(1, 1)
        machine = binon.BinonHandler(clock().clock, trays, profile_of("so1000"), sites=1)
        worlds.register("unplugged")["GPIB0::1::INSTR"] = machine
        library = VisaLibrary("unplugged@hardbin")
        port = VisaPort("visa:handler", "GPIB0::1::INSTR", library)
        handler = BinonHandler("handler", port, BinonOptions(sites=frozenset({1}), profile="so1000"))
        await handler.connect()
        machine.unplug()
        async with aclosing(handler.touchdowns()) as touchdowns:
            with pytest.raises(EquipmentError):
                await anext(touchdowns)
        await handler.aclose()
        library.close()
        worlds.unregister("unplugged")

    virtually(life())


def test_a_jam_has_its_number() -> None:
    run = lot(binon_cell, full(4, 2), "jam=0x50@once", faults=1)
    assert isinstance(run.faults[0], InstrumentError)
    assert run.faults[0].code == 0x50


# -- Exatron
@pytest.mark.parametrize("faults", [("chunk=1",), ()])
def test_an_exatron_lot(faults: tuple[str, ...]) -> None:
    run = lot(exatron_cell, full(1, 50), *faults)
    assert run.trays.bins == run.expected
    assert len(run.expected) == 50


@pytest.mark.parametrize("mode", ["exatron", "super"])
def test_modes_that_do_not_tell_of_an_empty_input(mode: Mode) -> None:
    run = Run(full(1, 20))

    async def life() -> None:
        async with exatron_cell(run.trays, mode=mode, quiet_s=30.0) as handler:
            with pytest.raises(EquipmentError):
                await run.live(handler)

    virtually(life())
    assert run.trays.bins == run.expected
    assert len(run.expected) == 20


def test_an_exatron_lot_in_super_mode_with_a_retest() -> None:
    trays = full(1, 3)

    async def life() -> None:
        async with (
            exatron_cell(trays, mode="super", retest_sort=8) as handler,
            aclosing(handler.touchdowns()) as touchdowns,
        ):
            for number in (1, 2):
                await anext(touchdowns)
                await handler.replunge()
                await anext(touchdowns)
                await handler.sort({1: number})
            await anext(touchdowns)
            await handler.sort({1: 3})

    virtually(life())
    assert trays.landings == [(1,), (1,), (2,), (2,), (3,)]
    assert trays.bins == {1: 1, 2: 2, 3: 3}


def test_a_sort_that_an_exatron_does_not_understand_is_said_again() -> None:
    """Super mode alone answers ERROR: the part has not moved then."""
    run = Run(full(1, 20))

    async def life() -> None:
        async with exatron_cell(run.trays, "misread@every=4", mode="super", quiet_s=30.0) as handler:
            with pytest.raises(EquipmentError, match="said None, expected was Word.TEST"):
                await run.live(handler)

    virtually(life())
    assert run.trays.bins == run.expected
    assert len(run.expected) == 20


@pytest.mark.parametrize("ends", ["announce_end", "announce_end=0x48"])
def test_an_input_that_is_empty_may_be_told(ends: str) -> None:
    run = Run(full(4, 5))

    async def life() -> None:
        async with binon_cell(run.trays, ends) as handler:
            with suppress(InstrumentError):  # 0x48 is an alarm of the usual dialect
                await run.live(handler)

    virtually(life())
    assert run.trays.bins == run.expected
    assert len(run.expected) == 20


@pytest.mark.parametrize(
    "fault",
    [
        "noise@p=0.05",
        "drop_tx@p=0.05",
        "drop_rx@p=0.05",
        "part_dropped@p=0.05",
        "jam@p=0.1",
        "output_full@p=0.1",
    ],
)
def test_what_goes_wrong_on_the_line_moves_no_device_to_a_wrong_bin(fault: str) -> None:
    run = Run(full(1, 40))

    async def life() -> None:
        async with exatron_cell(run.trays, fault, quiet_s=200.0) as handler:
            with pytest.raises(EquipmentError):
                await run.live(handler, faults=15)
                raise EquipmentError("the lot is over")

    virtually(life())
    sorted_here = run.trays.bins.keys() & run.expected.keys()
    assert {d: run.trays.bins[d] for d in sorted_here} == {d: run.expected[d] for d in sorted_here}
    assert run.faults
    assert sorted_here


def test_a_part_that_an_exatron_offers_anew_after_a_power_loss_is_tested_anew() -> None:
    """The handler has no word for it, so it looks like another part; its bin is the last one."""
    run = Run(full(1, 40), steady=False)

    async def life() -> None:
        async with exatron_cell(run.trays, "power_cycle@every=10", quiet_s=200.0) as handler:
            await run.live(handler)

    virtually(life())
    assert run.trays.bins == run.expected
    assert len(run.tested) == 44
    assert len(run.expected) == 40


def test_an_exatron_abort_goes_to_the_home_bin() -> None:
    trays = full(1, 1)

    async def life() -> None:
        async with exatron_cell(trays) as handler, aclosing(handler.touchdowns()) as touchdowns:
            await anext(touchdowns)
            await handler.abort()
            await asyncio.sleep(5.0)

    virtually(life())
    assert trays.bins == {1: 5}
