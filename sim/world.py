"""A whole simulated cell below pyvisa, pyserial and pyusb: its machines, its devices and its time.

Whatever opens a VISA session, a USB device or a serial line by the names that the world offers
(`visa_library`, `usb_backend`, `port`) reaches its machines. Worlds of one process do not meet.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import count

from sim.bench import Bench
from sim.dut.lot import Lot, wishes
from sim.dut.truth import Truth
from sim.faults import FaultError, parse
from sim.machines import MODELS, silicon
from sim.plant import Plant
from sim.time import VirtualClock, VirtualLoop, new_loop
from sim.wiring import RESERVED, Placed, Placement, WorldError, wires

__all__ = ["Placed", "Placement", "World", "WorldError"]

_numbers = count(1)


class World:
    """The simulated cell of one run."""

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
    ) -> None:
        """Check everything and make nothing; WorldError and FaultError, both ValueError, say what is wrong.

        `sites`: by site, role to channel, `{1: {"io.IO": "smu-1.a", "vdd": "supply-1.1", ...}}`
        `speed`: None jumps over all waiting, 1 is real time; `epoch`: seconds since 1970 at its begin.
        """
        self.name = f"world-{next(_numbers)}"
        self.equipment = tuple(equipment)
        self.faults = tuple(parse(fault) for fault in faults)
        self.seed = seed
        self._speed = speed
        self._epoch = epoch
        self._wires = wires(self.equipment, sites)
        self._sites = tuple(sites)
        self._check()
        self.lot = Lot(lot, devices, seed, silicon(latency, self.faults), wishes(self.faults))
        self._loop: VirtualLoop | None = None
        self._clock: VirtualClock | None = None
        self._bench: Bench | None = None
        self._plugged = ExitStack()

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

    def port(self, port: str) -> str:
        """Return a port of the station file as it must be opened to land in this world."""
        prefix = "serial:hardbin://"
        return f"{prefix}{self.name}.{port[len(prefix) :]}" if port.startswith(prefix) else port

    # -- machines
    @property
    def bench(self) -> Bench:
        """The load board, between `start` and `close` and after it."""
        if self._bench is None:
            raise RuntimeError("the world has a bench as soon as it was started")
        return self._bench

    def start(self) -> None:
        """Make the machines and put them on their buses; on the loop, before the first port is opened."""
        if self._loop is None:
            raise RuntimeError("make the loop by loop_factory before start")
        if self._bench is not None:
            raise RuntimeError("a world is started once")
        self._bench = Bench(self._sites, self.lot, self._loop.clock)
        plant = Plant(
            world=self.name,
            bench=self._bench,
            clock=self._loop.clock,
            seed=self.seed,
            lot=self.lot.name,
            wires=self._wires,
            asked=self.faults,
        )
        for placed in self.equipment:
            self._plugged.callback(MODELS[placed.driver].plug(placed, plant))

    def close(self) -> None:
        """Take the machines off their buses; the truth stays."""
        self._plugged.close()

    def truth(self) -> tuple[Truth, ...]:
        """Return what is true of every device of the lot, by running number."""
        if self._bench is not None:
            self._bench.mark_all()
        return tuple(self.lot.truth(index) for index in range(1, self.lot.size + 1))

    def _check(self) -> None:
        for placed in self.equipment:
            if (model := MODELS.get(placed.driver)) is None:
                known = ", ".join(sorted(MODELS))
                raise WorldError(
                    f"{placed.name}: no simulator for driver {placed.driver!r}; there are {known}"
                )
            model.check(placed)
        machines = {placed.name for placed in self.equipment} | set(RESERVED)
        for fault in self.faults:
            if fault.machine not in machines:
                known = ", ".join(sorted(machines))
                raise FaultError(f"fault {fault.machine}.{fault.knob}: no such machine; there are {known}")
