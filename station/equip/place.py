"""Where an engineer talks to: a machine of a station, simulated or real, or a port by itself."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from drivers.errors import EquipmentError
from drivers.roles import Machine
from drivers.transports import Port, Stream
from drivers.transports.serial import SerialSettings
from drivers.transports.visa import VisaLibrary
from station import assemble
from station.config import StationConfig
from station.errors import ConfigError
from station.ports import Ports
from station.surroundings import EPOCH, Surroundings, simulated

SCHEMES = ("visa", "serial", "tcp", "usb", "usbtmc", "hislip", "prologix")
LOT = "bench"
"""What a handler or prober is told its lot is called, by the simulator and by the cycle."""
DEVICES = 100_000
"""As many as a simulated handler or prober has to bring: it hardly ever ends by itself."""


@dataclass(frozen=True)
class Bench:
    """The engineer's choice: which station, whether its machines are real, how ports are set."""

    config: StationConfig | None
    hardware: bool
    faults: tuple[str, ...] = ()
    baud: int = 9600
    """Of serial ports that no driver sets."""
    visa_library: str = ""
    """Instead of the station's, or of PyVISA-py."""

    def surroundings(self) -> Surroundings:
        """Return what it runs in."""
        if self.config is None or self.hardware:
            library = "@py" if self.config is None else self.config.visa.library
            return assemble.Hardware(self.visa_library or library)
        return simulated(
            self.config,
            lot=LOT,
            devices=DEVICES,
            seed=1,
            faults=self.faults,
            speed=None,
            epoch=EPOCH,
        )

    @property
    def real(self) -> bool:
        """Whether what answers is not the simulator of this process."""
        return self.config is None or self.hardware


def is_port(place: str) -> bool:
    """Whether a place is a port by itself, as `visa:GPIB0::7::INSTR`, and not the name of a machine."""
    return place.partition(":")[0] in SCHEMES


class Reach:
    """What can be reached from one bench, on the running loop."""

    def __init__(self, bench: Bench, surroundings: Surroundings) -> None:
        self._bench = bench
        self._surroundings = surroundings
        self._library = VisaLibrary(surroundings.visa_library)
        self._made: assemble.Equipment | None = None
        if bench.config is not None:
            self._made = assemble.equipment(bench.config, surroundings)

    @property
    def names(self) -> tuple[str, ...]:
        """The machines of the station."""
        return () if self._made is None else tuple(self._made.machines)

    def machine(self, name: str) -> Machine:
        """Return a machine of the station, not opened; ConfigError says which there are."""
        if self._made is None or name not in self._made.machines:
            known = ", ".join(self.names) or "none, for there is no --station"
            raise ConfigError(
                f"no machine {name!r}; there are: {known}; a port is written like visa:GPIB0::7::INSTR"
            )
        return self._made.machines[name]

    @asynccontextmanager
    async def port(self, place: str) -> AsyncGenerator[Port | Stream, None]:
        """Open the bare port of a machine, or a port by itself: nothing is said to what is there."""
        port = self._port(place)
        await port.open()
        try:
            yield port
        finally:
            await port.aclose()

    def _port(self, place: str) -> Port | Stream:
        if not is_port(place):
            machine = self.machine(place)
            if self._made is None or place not in self._made.ports:
                raise ConfigError(f"{place}: a {type(machine).__name__} has no port of its own")
            return self._made.ports[place]
        try:
            around = self._surroundings
            return Ports(self._library, around.usb_backend, around.pcsc_service).make(
                place, place, SerialSettings(baud=self._bench.baud)
            )
        except ValueError as error:
            raise ConfigError(str(error)) from error

    @asynccontextmanager
    async def connected(self, name: str) -> AsyncGenerator[Machine, None]:
        """Connect a machine by its driver, which brings it into its safe state, and leave it in that.

        A machine behind the lines of another one comes with that one.
        """
        machine = self.machine(name)
        async with AsyncExitStack() as stack:
            if front := self._in_front_of(name):
                await stack.enter_async_context(self.connected(front))
            stack.push_async_callback(machine.aclose)
            await machine.connect()
            try:
                yield machine
            except EquipmentError:
                with suppress(EquipmentError):
                    await _made_safe(machine)
                raise
            await _made_safe(machine)

    def _in_front_of(self, name: str) -> str:
        """Name the machine whose lines a machine is at; empty if it has a port of its own."""
        placed = () if self._bench.config is None else self._bench.config.equipment
        kind, _, front = next((one.port for one in placed if one.name == name), "").partition(":")
        return front if kind == "dio" else ""

    async def aclose(self) -> None:
        """Let go of everything."""
        if self._made is not None:
            await self._made.aclose()
        self._library.close()


async def _made_safe(machine: Machine) -> None:
    for role in machine.channels.values():
        await role.make_safe()


@asynccontextmanager
async def reach(bench: Bench, surroundings: Surroundings) -> AsyncGenerator[Reach, None]:
    """Reach the machines of a bench; its world begins and ends with the block."""
    async with AsyncExitStack() as stack:
        stack.callback(surroundings.close)
        surroundings.start()
        reached = Reach(bench, surroundings)
        stack.push_async_callback(reached.aclose)
        yield reached


def runner(surroundings: Surroundings) -> asyncio.Runner:
    """Make the runner whose time the bench lives on."""
    return asyncio.Runner(loop_factory=surroundings.loop_factory)
