"""Probers of tests: driver, asyncio's TCP or PyVISA, simulated machine, in virtual time."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from drivers.errors import EquipmentError
from drivers.links.probing import ProbingMachine
from drivers.prober.accretech_uf import AccretechOptions, AccretechUf
from drivers.prober.cascade_nucleus import CascadeNucleus, NucleusOptions
from drivers.prober.formfactor_velox import FormFactorVelox, VeloxOptions
from drivers.prober.mpi_sentio import MpiSentio, SentioOptions
from drivers.protocols.accretech import BinProfile
from drivers.transports import Port
from drivers.transports.tcp import TcpStream
from drivers.transports.visa import VisaLibrary, VisaPort
from sim.faults import Faults, parse
from sim.instrument import Instrument
from sim.lines import LINE_KNOBS, BusLines, TcpLines
from sim.prober import accretech_uf, cascade_nucleus, formfactor_velox, mpi_sentio
from sim.prober.stage import Stage
from sim.time import VirtualLoop, new_loop
from sim.visa import worlds
from tests.wafers import Wafers

T = TypeVar("T")
numbers = itertools.count(1)
Cell = Callable[..., AbstractAsyncContextManager[ProbingMachine]]


def virtually(life: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=lambda: new_loop(None)) as runner:
        return runner.run(life)


def virtual_loop() -> VirtualLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


def stage(wafers: Wafers, knobs: frozenset[str], *faults: str) -> Stage:
    wanted = tuple(parse(f"prober.{text}") for text in faults)
    return Stage(virtual_loop().clock, wafers, faults=Faults("prober", knobs, wanted, "lots"))


@asynccontextmanager
async def sentio_cell(wafers: Wafers, *faults: str, **options: Any) -> AsyncGenerator[ProbingMachine, None]:
    """A SENTIO behind asyncio's streams, connected."""
    machine = mpi_sentio.MpiSentio(stage(wafers, mpi_sentio.MpiSentio.knobs | LINE_KNOBS, *faults))
    host = f"sentio-{next(numbers)}"
    virtual_loop().hosts.plug(host, 35555, TcpLines(machine))
    prober = MpiSentio("prober", TcpStream("tcp:prober", host, 35555), SentioOptions(**options))
    await prober.connect()
    try:
        yield prober
    finally:
        await prober.aclose()


VELOX: dict[str, Any] = {"cleaning": "tips", "bins": 128}


@asynccontextmanager
async def velox_cell(wafers: Wafers, *faults: str, **options: Any) -> AsyncGenerator[ProbingMachine, None]:
    """A Velox behind asyncio's streams, connected."""
    knobs = formfactor_velox.FormFactorVelox.knobs | LINE_KNOBS
    machine = formfactor_velox.FormFactorVelox(stage(wafers, knobs, *faults))
    host = f"velox-{next(numbers)}"
    virtual_loop().hosts.plug(host, 1412, TcpLines(machine))
    options = VELOX | options
    prober = FormFactorVelox("prober", TcpStream("tcp:prober", host, 1412), VeloxOptions(**options))
    await prober.connect()
    try:
        yield prober
    finally:
        await prober.aclose()
    assert not machine.remote, "the operator has it back"


@asynccontextmanager
async def on_bus(
    machine: Instrument, make: Callable[[Port], ProbingMachine]
) -> AsyncGenerator[ProbingMachine, None]:
    """A prober behind PyVISA, connected."""
    world, resource = f"prober-{next(numbers)}", "GPIB0::5::INSTR"
    worlds.register(world)[resource] = machine
    library = VisaLibrary(f"{world}@hardbin")
    prober = make(VisaPort("visa:prober", resource, library))
    await prober.connect()
    try:
        yield prober
    finally:
        await prober.aclose()
        library.close()
        worlds.unregister(world)


@asynccontextmanager
async def velox_gpib_cell(
    wafers: Wafers, *faults: str, **options: Any
) -> AsyncGenerator[ProbingMachine, None]:
    """A Velox behind PyVISA."""
    machine = formfactor_velox.FormFactorVelox(
        stage(wafers, formfactor_velox.FormFactorVelox.knobs, *faults), enveloped=False
    )
    settings = VeloxOptions(**(VELOX | options))
    async with on_bus(BusLines(machine), lambda port: FormFactorVelox("prober", port, settings)) as prober:
        yield prober


PROFILE = BinProfile(command="XB", done_stb=(69,), bin_width=3, filler="...")
"""A bin coding that a user might fill in."""


@asynccontextmanager
async def accretech_cell(
    wafers: Wafers, *faults: str, control_map: str | None = None, **options: Any
) -> AsyncGenerator[ProbingMachine, None]:
    """A UF behind PyVISA; its control map has the dies of the wafers."""
    card = options.get("card", ((0, 0),))
    chosen: dict[str, Any] = {"bin_profile": PROFILE, "mark": True, "clean_command": "NC"} | options
    made = stage(wafers, accretech_uf.AccretechUf.knobs, *faults)
    machine = accretech_uf.AccretechUf(made, card=card, profile=chosen["bin_profile"])
    with TemporaryDirectory() as folder:
        path = Path(folder) / "dies.mdf"
        path.write_text("[DIEINFO]\n" + "".join(f"PROB={x},{y}\n" for x, y in wafers.places))
        chosen["control_map"] = str(path) if control_map is None else control_map
        settings = AccretechOptions(**chosen)
        async with on_bus(machine, lambda port: AccretechUf("prober", port, settings)) as prober:
            yield prober


@asynccontextmanager
async def nucleus_cell(wafers: Wafers, *faults: str, **options: Any) -> AsyncGenerator[ProbingMachine, None]:
    """A Nucleus behind PyVISA, with a wafer on its chuck."""
    made = stage(wafers, cascade_nucleus.CascadeNucleus.knobs, *faults)
    made.put(1)
    machine = BusLines(cascade_nucleus.CascadeNucleus(made))
    settings = NucleusOptions(**options)
    async with on_bus(machine, lambda port: CascadeNucleus("prober", port, settings)) as prober:
        yield prober


@dataclass
class Run:
    """A lot as the station saw it."""

    wafers: Wafers
    sites: int = 1
    expected: dict[tuple[str, int, int], int] = field(default_factory=dict)
    """The hard bin that was ordered, by wafer, x, y, and confirmed."""
    faults: list[EquipmentError] = field(default_factory=list)
    events: list[object] = field(default_factory=list)
    touchdowns: int = 0

    async def live(self, prober: ProbingMachine, *, test_s: float = 0.2, faults: int = 0) -> None:
        """Bin until the lot is over; after a fault make safe and go on, as often as is allowed."""
        prober.heard = self.events.append
        await prober.start_lot("L1")
        while len(self.faults) <= faults:
            try:
                await self._touchdowns(prober, test_s)
                return
            except EquipmentError as error:
                self.faults.append(error)
                await prober.make_safe()
                assert not self.wafers.down, "safe is separated"
        raise self.faults[-1]

    async def _touchdowns(self, prober: ProbingMachine, test_s: float) -> None:
        async with aclosing(prober.touchdowns()) as touchdowns:
            async for touchdown in touchdowns:
                assert self.wafers.down, "a test begins in contact"
                self.touchdowns += 1
                wafer, x, y = self.wafers.landings[-1]
                assert touchdown.wafer in (self.wafers.name(wafer), "wafer")
                offsets = prober._card.over(x, y)
                assert touchdown.positions.items() <= offsets.items(), "the die that is named is touched"
                assert touchdown.sites == touchdown.positions.keys()
                await asyncio.sleep(test_s)
                bins = {site: 1 + (site + x + y) % 7 for site in touchdown.sites}
                await prober.sort(bins)
                assert not self.wafers.down
                for site, place in touchdown.positions.items():
                    assert (touchdown.wafer, *place) not in self.expected, "tested twice"
                    self.expected[touchdown.wafer, *place] = bins[site]

    @property
    def marked(self) -> dict[tuple[str, int, int], int]:
        """What stands in the prober's own maps."""
        return {(self.wafers.name(w), x, y): b for (w, x, y), b in self.wafers.marks.items()}

    @property
    def complete(self) -> bool:
        """Whether every die of every wafer has a bin."""
        return len(self.expected) == len(self.wafers.places) * self.wafers.count


def lot(cell: Cell, wafers: Wafers, *knobs: str, faults: int = 0, **options: Any) -> Run:
    run = Run(wafers)

    async def life() -> None:
        async with cell(wafers, *knobs, **options) as prober:
            await run.live(prober, faults=faults)

    virtually(life())
    return run
