"""A whole simulated cell below pyvisa, pyserial and pyusb: its machines, its devices and its time.

Whatever opens a VISA session, a USB device or a serial line by the names that the world offers
(`visa_library`, `usb_backend`, `port`) reaches its machines. Worlds of one process do not meet.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import count
from pathlib import Path

from sim import cables
from sim.bench import Bench
from sim.card.pcsc import SimulatedPcsc
from sim.clock import Clock
from sim.diary import Begun, Diary, carried, found
from sim.dut.aside import Aside
from sim.dut.cards import cards
from sim.dut.chips import Chips
from sim.dut.latency import Profile
from sim.dut.lot import Lot
from sim.dut.truth import Truth
from sim.dut.wishes import KNOBS, wishes
from sim.faults import FaultError, Faults, parse
from sim.machines import MODELS
from sim.plant import Plant
from sim.plugs import plug_adapters, plug_usbtmc
from sim.tcp.hosts import TcpHosts
from sim.time import VirtualClock, VirtualLoop, new_loop
from sim.usb.backend import SimUsbBackend, UsbBus
from sim.usb.echo import echoes
from sim.visa import worlds
from sim.wiring import CARD, RESERVED, Placed, Placement, WorldError, looking, wires

__all__ = ["Placed", "Placement", "World", "WorldError"]

_numbers = count(1)
SETTLE_S = 5.0
"""Longer than any movement of a handler."""


class World:
    """The simulated cell of one run."""

    cards = staticmethod(cards)
    """Dies without a cell around them."""
    echoes = staticmethod(echoes)
    """USB devices without a cell around them."""

    carried = staticmethod(carried)
    """What somebody takes out of the bins of one world and puts into another."""

    found = staticmethod(found)
    """Where the devices of a world are, by its diary."""

    @staticmethod
    def drivers() -> frozenset[str]:
        """Return the drivers whose machines can be simulated."""
        return frozenset(MODELS)

    @staticmethod
    def all_knobs(driver: str) -> frozenset[str]:
        """Return the faults of a driver's machine; for an empty name those of devices, `machine.knob`."""
        if driver:
            return frozenset(MODELS[driver].knobs)
        return frozenset(f"{machine}.{knob}" for machine, knobs in KNOBS.items() for knob in knobs)

    def __init__(  # noqa: PLR0913 - a world is told all that a run may choose
        self,
        equipment: Sequence[Placement],
        sites: Mapping[int, Mapping[str, str]],
        *,
        lot: str,
        devices: int,
        seed: int,
        faults: Sequence[str] = (),
        speed: float | None = None,
        epoch: float,
        latency: str = "qvault",
        wafer_radius: int = 8,
        diary: Path | None = None,
    ) -> None:
        """Check everything and make nothing; WorldError and FaultError, both ValueError, say what is wrong.

        `sites`: by site, role to channel, `{1: {"io.IO": "smu-1.a", "vdd": "supply-1.1", ...}}`
        `speed`: None jumps over all waiting, 1 is real time; `epoch`: seconds since 1970 at its begin.
        `diary`: the folder of a world that outlives its process. One that goes on has the seed and the
        devices with which it began, and what was wrong with these.
        """
        self.name = f"world-{next(_numbers)}"
        self.equipment = tuple(equipment)
        self._diary = None if diary is None else Diary(diary, Begun(seed, tuple(faults)))
        if self._diary is not None and self._diary.goes_on:
            begun = self._diary.begun
            seed, faults = begun.seed, (*_of_devices(begun.faults), *faults)
            lot, devices = begun.lot or lot, begun.devices or devices
        self.faults = tuple(parse(fault) for fault in faults)
        self.seed = seed
        self._speed = speed
        self._epoch = epoch
        shared = [placed.name for placed in self.equipment if (m := MODELS.get(placed.driver)) and m.shared]
        self._wires = wires(self.equipment, sites, shared)
        self._looking = looking(sites, shared)
        self._sites = tuple(sites)
        self._check()
        asked = wishes(self.faults, seed)
        self._aside = Aside()
        chips = Chips(seed, profile(latency), asked, self._aside, self._diary)
        reads = any(wire.role == CARD for wire in self._wires.values())
        self.lot = Lot(lot, devices, seed, chips, asked, reads_chips=reads, wafer_radius=wafer_radius)
        self._loop: VirtualLoop | None = None
        self._clock: VirtualClock | None = None
        self._bench: Bench | None = None
        self._usb: SimUsbBackend | None = None
        self._pcsc: SimulatedPcsc | None = None
        self._plugged = ExitStack()
        self.knobs = dict[str, Faults]()
        """The faults of each machine, once the world was started."""

    # -- time
    def loop_factory(self) -> asyncio.AbstractEventLoop:
        """Make the loop on whose time this world lives: for `asyncio.Runner`, once."""
        self._loop = new_loop(self._speed)
        self._clock = VirtualClock(self._loop, epoch=self._epoch)
        return self._loop

    @property
    def clock(self) -> VirtualClock:
        """The station's clock: wall time, and the waiting for those whose time is not virtual."""
        if self._clock is None:
            raise RuntimeError("the world has a clock as soon as loop_factory has made its loop")
        return self._clock

    @property
    def simulated_s(self) -> float:
        """How much virtual time has passed."""
        return 0.0 if self._loop is None else self._loop.time()

    # -- ports
    @property
    def visa_library(self) -> str:
        """What pyvisa's ResourceManager is given to find this world's instruments."""
        return f"{self.name}@hardbin"

    @property
    def usb_backend(self) -> SimUsbBackend:
        """What `usb.core.find` is given to find this world's devices; known when it was started."""
        if self._usb is None:
            raise RuntimeError("the world has a USB bus as soon as it was started")
        return self._usb

    @property
    def pcsc_service(self) -> SimulatedPcsc:
        """What stands for pyscard in this world; known when it was started."""
        if self._pcsc is None:
            raise RuntimeError("the world has a PC/SC service as soon as it was started")
        return self._pcsc

    def port(self, port: str) -> str:
        """Return a port of the station file as it must be opened to land in this world."""
        mark = "serial:hardbin://"
        before, found, end = port.partition(mark)
        return f"{before}{mark}{self.name}.{end}" if found and before in ("", "prologix:") else port

    # -- machines
    @property
    def bench(self) -> Bench:
        """The load board, and what happened on it; known when the world was started."""
        if self._bench is None:
            raise RuntimeError("the world has a bench as soon as it was started")
        return self._bench

    def start(self) -> None:
        """Make the machines and put them on their buses; on the loop, before the first port is opened."""
        if self._loop is None:
            raise RuntimeError("make the loop by loop_factory before start")
        self.start_on(self._loop.clock, self._loop.hosts)

    def start_on(self, clock: Clock, hosts: TcpHosts) -> None:
        """As `start`, on a clock that need not be virtual, with TCP hosts of the caller's."""
        if self._bench is not None:
            raise RuntimeError("a world is started once")
        if self._diary is not None:
            self._diary.open(self.lot.fates)
            self._plugged.callback(self._diary.close)
        self._bench = Bench(self._sites, self.lot, clock, self._diary)
        self._usb = SimUsbBackend(UsbBus(clock))
        self._pcsc = SimulatedPcsc(clock, {})
        self._plugged.callback(worlds.unregister, self.name)
        self._aside.open(clock)
        self._plugged.callback(self._aside.close)
        plant = Plant(
            world=self.name,
            bench=self._bench,
            clock=clock,
            seed=self.seed,
            wires=self._wires,
            asked=self.faults,
            visa=worlds.register(self.name),
            usb=self._usb.bus,
            pcsc=self._pcsc,
            tcp=hosts,
            unplugging=self._plugged,
            knobs=self.knobs,
            looking=self._looking,
        )
        for placed in self.equipment:
            MODELS[placed.driver].plug(placed, plant)
        cables.lay(plant)
        plug_adapters(self.equipment, plant)
        plug_usbtmc(self.equipment, plant)

    async def settle(self) -> None:
        """Let the machines finish what they were told, such as moving the last devices into their bins."""
        await asyncio.sleep(SETTLE_S)

    def close(self) -> None:
        """Take the machines off their buses; the truth stays."""
        self._plugged.close()

    def truth(self) -> tuple[Truth, ...]:
        """Return what is true of every device of the lot, by running number."""
        if self._bench is not None:
            self._bench.mark_all()
        again = () if self._diary is None else (*self._diary.fed_again, *self._diary.again)
        there = again or range(1, self.lot.size + 1)
        return tuple(replace(self.lot.truth(index), index=number) for number, index in enumerate(there, 1))

    # -- what cannot be
    def _check(self) -> None:
        self._check_machines()
        self._check_wires()
        self._check_faults()

    def _check_machines(self) -> None:
        handlers = list[str]()
        for placed in self.equipment:
            if (model := MODELS.get(placed.driver)) is None:
                known = ", ".join(sorted(MODELS))
                raise WorldError(
                    f"equipment {placed.name!r}: {placed.driver!r} has no simulator; these have: {known}"
                )
            model.check(placed)
            handlers += [placed.name] if model.handles else []
        if len(handlers) > 1:
            raise WorldError(f"{' and '.join(handlers)} would feed the same sockets: one handler is allowed")

    def _check_wires(self) -> None:
        models = {placed.name: MODELS[placed.driver] for placed in self.equipment}
        for end, wire in self._wires.items():
            model, text = models[end.machine], f"site {wire.site}, {wire.role} = {end}"
            if end.channel not in model.channels:
                known = ", ".join(repr(name) for name in sorted(model.channels)) or "none"
                raise WorldError(
                    f"{text}: channel {end.channel!r} is not one of its channels; they are: {known}"
                )
            if model.reads_chips is not (wire.role == CARD):
                does = "reads chips" if model.reads_chips else "forces voltages"
                raise WorldError(f"{text}: that channel {does}, it cannot serve this role")

    def _check_faults(self) -> None:
        models = {placed.name: MODELS[placed.driver] for placed in self.equipment}
        for fault in self.faults:
            if fault.machine in RESERVED:
                if fault.after:
                    raise FaultError(f"fault {fault.machine}.{fault.knob}: after=N is for machines")
                continue
            if fault.machine not in models:
                known = ", ".join(sorted({*models, *RESERVED}))
                raise FaultError(f"fault {fault.machine}.{fault.knob}: no such machine; there are: {known}")
            models[fault.machine].check_fault(fault)

    def turn(self, text: str) -> None:
        """Turn a knob of a machine while the world runs; FaultError if it cannot be meant."""
        fault = parse(text)
        if (turned := self.knobs.get(fault.machine)) is None:
            known = ", ".join(sorted(self.knobs))
            raise FaultError(f"fault {text!r}: no such machine; there are: {known}")
        placed = next(placed for placed in self.equipment if placed.name == fault.machine)
        MODELS[placed.driver].check_fault(fault)
        turned.turn(fault)


def _of_devices(faults: Sequence[str]) -> tuple[str, ...]:
    """Those that are in the devices and their contacts: machines were repaired meanwhile."""
    return tuple(text for text in faults if parse(text).machine in RESERVED)


def profile(name: str) -> Profile:
    """Return the chip's timing of that name; WorldError if there is none."""
    if (found := PROFILES.get(name)) is None:
        raise WorldError(f"latency {name!r}: choose one of {', '.join(PROFILES)}")
    return found


PROFILES: Mapping[str, Profile] = {"zero": "zero", "qvault": "qvault", "qvault-full": "qvault-full"}
