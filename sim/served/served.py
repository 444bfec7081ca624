"""Machines of a simulated cell on real wires, in real time."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakSet

from sim.addresses import scheme_of, serial_end, tcp_address, visa_resource
from sim.instrument import Instrument
from sim.machines import MODELS, Model
from sim.serial import machine as serial
from sim.serial.machine import SerialMachine
from sim.served.clock import ServedClock
from sim.served.hislip import HislipServer
from sim.served.lines import Exchange, LineServer
from sim.served.portmap import PortMapper
from sim.served.terminal import Terminal
from sim.served.vxi11 import CORE, VERSION, AbortConnection, Links, Vxi11Connection
from sim.served.wire import Wire, wire
from sim.tcp.hosts import TcpHosts
from sim.tcp.machine import TcpMachine
from sim.visa.registry import worlds
from sim.wiring import Placed, Placement, WorldError
from sim.world import World

DEFAULTS = {"visa": "hislip", "serial": "pty", "tcp": "tcp"}
BUS_ONLY = ("hislip", "vxi11")
Machine = Instrument | SerialMachine | TcpMachine
Client = LineServer | Vxi11Connection | AbortConnection | PortMapper


@dataclass(frozen=True)
class Place:
    """Where a machine is, for whoever wants to talk to it."""

    name: str
    driver: str
    wire: str
    address: str
    """Host and port, or the path of a terminal."""
    port: str
    """As a station file writes it."""
    resource: str
    """As PyVISA opens it."""


def alone(drivers: Sequence[str]) -> list[Placed]:
    """Return a machine of each of these drivers, named after it; WorldError for one without a simulator."""
    ports = {"visa": "visa:GPIB0::{n}::INSTR", "serial": "serial:hardbin://m{n}", "tcp": "tcp:m{n}:1"}
    found = list[Placed]()
    for number, driver in enumerate(drivers, start=1):
        if (model := MODELS.get(driver)) is None or _first(model) not in ports:
            known = ", ".join(sorted(name for name, model in MODELS.items() if _first(model) in ports))
            raise WorldError(
                f"{driver!r}: no machine of the station, nor a model that can be served: {known}"
            )
        found.append(Placed(driver, driver, ports[_first(model)].format(n=number)))
    return found


def serve(  # noqa: PLR0913 - what a command may choose
    equipment: Sequence[Placement],
    sites: Mapping[int, Mapping[str, str]],
    *,
    wires: Mapping[str, str],
    devices: int,
    seed: int,
    faults: Sequence[str],
    epoch: float,
    port_mapper: int = 0,
) -> "Served":
    """Make a cell to be served, from a station's machines or, without any, from models named by `wires`."""
    placed, at = (equipment, sites) if equipment else (alone(tuple(wires)), {1: {}})
    world = World(placed, at, lot="served", devices=devices, seed=seed, faults=faults, speed=1, epoch=epoch)
    return Served(world, wires, port_mapper=port_mapper)


class Served:
    """Some machines of one world, each on a wire of its own."""

    def __init__(self, world: World, wanted: Mapping[str, str], *, port_mapper: int = 0) -> None:
        """Take machine to wire, an empty one for the usual; all machines that can be, if none is named.

        `port_mapper` is the port at which VXI-11 machines are found by their address alone; 0: nowhere.
        """
        self._world = world
        self._port_mapper = port_mapper
        self._mapped = set[str]()
        self._links = dict[Instrument, Links]()
        self._placed = {placed.name: placed for placed in world.equipment}
        names = wanted or {name: "" for name, placed in self._placed.items() if scheme_of(placed) in DEFAULTS}
        self._wires = {name: self._wire(name, text) for name, text in names.items()}
        self._opened = AsyncExitStack()

    def _wire(self, name: str, text: str) -> Wire:
        if (placed := self._placed.get(name)) is None:
            raise WorldError(f"no machine {name!r}; there are: {', '.join(self._placed)}")
        if (usual := DEFAULTS.get(scheme_of(placed))) is None:
            raise WorldError(f"{name}: a {placed.driver} is at USB, which cannot be served")
        found = wire(text or usual)
        if found.kind in BUS_ONLY and scheme_of(placed) != "visa":
            raise WorldError(
                f"{name}: {found.kind} is for machines on a bus; a {placed.driver} takes tcp or pty"
            )
        return found

    async def start(self) -> list[Place]:
        """Make the machines and serve them; OSError if an address cannot be had."""
        loop = asyncio.get_running_loop()
        clock, hosts = ServedClock(loop), TcpHosts(loop)
        self._opened.callback(self._world.close)
        self._world.start_on(clock, hosts)
        places = list[Place]()
        for name, wanted in self._wires.items():
            placed = self._placed[name]
            machine = self._machine(placed, hosts)
            places.append(await self._serve(placed, wanted, machine, clock))
        return places

    def turn(self, fault: str) -> None:
        """Turn a knob of a machine; ValueError says what cannot be meant."""
        self._world.turn(fault)

    def clear(self, machine: str, knob: str) -> None:
        """Turn a knob back, all of the machine for an empty name; ValueError if there is no such machine."""
        if (turned := self._world.knobs.get(machine)) is None:
            raise WorldError(f"no machine {machine!r}; there are: {', '.join(sorted(self._world.knobs))}")
        for fault in turned.turned():
            if knob in ("", fault.knob):
                turned.clear(fault.knob)

    def knobs(self) -> dict[str, list[str]]:
        """Return what is turned, by machine."""
        return {name: [fault.knob for fault in turned.turned()] for name, turned in self._world.knobs.items()}

    async def aclose(self) -> None:
        """Take everything away."""
        await self._opened.aclose()

    def _machine(self, placed: Placement, hosts: TcpHosts) -> Machine:
        found: Machine | None
        match scheme_of(placed):
            case "visa":
                found = worlds[self._world.name][visa_resource(placed)]
            case "serial":
                found = serial.at_end(f"{self._world.name}.{serial_end(placed)}")
            case _:
                found = hosts.machine(*tcp_address(placed))
        if found is None:
            raise WorldError(f"{placed.name}: the simulated machine is not at its place")
        return found

    async def _serve(self, placed: Placement, wanted: Wire, machine: Machine, clock: ServedClock) -> Place:
        if wanted.kind == "pty":
            return self._terminal(placed, wanted, Exchange(machine, clock))
        if isinstance(machine, Instrument) and wanted.kind == "vxi11":
            links = self._links[machine] = Links()
            _, links.abort_port = await self._listen(
                self._noted(lambda: AbortConnection(links)), wanted.host, 0
            )
        host, port = await self._listen(self._protocol(wanted, machine, clock), wanted.host, wanted.port)
        if wanted.kind == "vxi11" and self._port_mapper:
            await self._map(host, port)
        resource = {
            "tcp": f"TCPIP0::{host}::{port}::SOCKET",
            "hislip": f"TCPIP0::{host}::hislip0,{port}::INSTR",
            "vxi11": f"TCPIP0::{host},{port}::inst0::INSTR",
        }[wanted.kind]
        at = f"tcp:{host}:{port}" if scheme_of(placed) == "tcp" else f"visa:{resource}"
        return Place(placed.name, placed.driver, wanted.kind, f"{host}:{port}", at, resource)

    async def _listen(self, make: Callable[[], asyncio.Protocol], host: str, port: int) -> tuple[str, int]:
        server = await asyncio.get_running_loop().create_server(make, host, port)
        self._opened.callback(server.close)
        found: tuple[str, int] = server.sockets[0].getsockname()[:2]
        return found

    async def _map(self, host: str, port: int) -> None:
        """Have the first VXI-11 machine of an address found by its port mapper."""
        if host in self._mapped:
            return
        self._mapped.add(host)
        ports = {(CORE, VERSION): port}
        await self._listen(self._noted(lambda: PortMapper(ports)), host, self._port_mapper)

    def _protocol(self, wanted: Wire, machine: Machine, clock: ServedClock) -> Callable[[], asyncio.Protocol]:
        if isinstance(machine, Instrument) and wanted.kind == "hislip":
            server = HislipServer(machine, clock)
            self._opened.callback(server.close)
            return server.connection
        if isinstance(machine, Instrument) and wanted.kind == "vxi11":
            return self._noted(lambda: Vxi11Connection(machine, clock, self._links[machine]))
        exchange = Exchange(machine, clock)
        return self._noted(lambda: LineServer(exchange))

    def _noted(self, make: Callable[[], Client]) -> Callable[[], asyncio.Protocol]:
        """Let go of the clients, too, when all is over."""
        clients = WeakSet[Client]()

        def connection() -> asyncio.Protocol:
            clients.add(client := make())
            return client

        def close() -> None:
            for client in tuple(clients):
                client.close()

        self._opened.callback(close)
        return connection

    def _terminal(self, placed: Placement, wanted: Wire, exchange: Exchange) -> Place:
        terminal = Terminal(exchange)
        self._opened.callback(terminal.close)
        path = terminal.path
        if wanted.link:
            Path(wanted.link).symlink_to(path)
            self._opened.callback(_unlink, wanted.link)
            path = wanted.link
        return Place(placed.name, placed.driver, "pty", path, f"serial:{path}", f"ASRL{path}::INSTR")


def _first(model: Model) -> str:
    """Return where a machine's port usually is."""
    return model.scheme.partition("|")[0]


def _unlink(path: str) -> None:
    with suppress(OSError):
        Path(path).unlink()
