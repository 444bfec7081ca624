"""The composition root: from a station file to a cell. The only place that names drivers, by entry point."""

import asyncio
import logging
import sys
import types
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Protocol, cast

import msgspec

from drivers.errors import EquipmentError, TransportError
from drivers.links.quarantine import GuardedPort
from drivers.roles import Dio, Machine, Resource, Tower
from drivers.transports import Port, Stream
from drivers.transports.fair_selector import SWITCH_INTERVAL_S, fair_loop
from drivers.transports.serial import SerialSettings
from drivers.transports.visa import VisaLibrary
from station import visa_libraries
from station.clock import Clock, RealClock
from station.config import Placed, StationConfig
from station.errors import ConfigError
from station.ports import PortError, Ports
from station.sequence import Sequence as TestSequence
from station.surroundings import Surroundings, Truth
from station.toml_file import explained

CONNECT_BOUND_S = 30.0
CLOSE_BOUND_S = 5.0

log = logging.getLogger(__name__)


class Hardware:
    """Real machines, real time."""

    usb_backend = pcsc_service = None
    simulated_s = 0.0

    def __init__(self, visa_library: str = visa_libraries.PYVISA_PY) -> None:
        """Take the library's name as the station file has it; ConfigError if it is not there."""
        try:
            self.visa_library = visa_libraries.library(visa_library)
        except ValueError as error:
            raise ConfigError(f"[visa] library: {error}") from error
        self.clock: Clock = RealClock()

    def loop_factory(self) -> asyncio.AbstractEventLoop:
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        return fair_loop()

    def port(self, port: str) -> str:
        return port

    def start(self) -> None:
        pass

    async def settle(self) -> None:
        pass

    def close(self) -> None:
        pass

    def truth(self) -> Sequence[Truth]:
        return ()


class Driver(Protocol):
    """The class of a machine, as an entry point names it."""

    Options: type[msgspec.Struct]
    port: type | types.UnionType
    """`Port`, `Stream` or either: what it speaks over."""
    line: SerialSettings
    """How its serial line is set; only of drivers that may be on one."""

    def __call__(self, name: str, port: Port | Stream | Dio, options: msgspec.Struct) -> Machine:
        """Make the machine, without I/O."""


@dataclass(frozen=True)
class Equipment:
    """Every machine of the cell, and how to let go of all of them."""

    machines: Mapping[str, Machine]
    library: VisaLibrary
    ports: Mapping[str, Port | Stream]
    """The ports of those that have one of their own, by machine."""
    behind: frozenset[str] = frozenset()
    """The machines whose port is another machine."""

    @property
    def resources(self) -> tuple[Resource, ...]:
        """Every role that any machine plays, in the order of the station file."""
        return tuple(role for machine in self.machines.values() for role in machine.channels.values())

    async def connect(self) -> None:
        """Open all machines at once, then those behind others; EquipmentError names those without answer.

        A tower that does not answer is left as it is: no lot waits for it.
        """
        failed: dict[str, EquipmentError] = {}
        for wave in (self.machines.keys() - self.behind, self.behind):
            async with asyncio.TaskGroup() as group:
                for name in (name for name in self.machines if name in wave and not failed):
                    group.create_task(_connected(name, self.machines[name], failed))
        if failed:
            lost = all(isinstance(error, TransportError) for error in failed.values())
            kind = TransportError if lost else EquipmentError
            raise kind("; ".join(_told(name, failed[name]) for name in sorted(failed)))

    async def aclose(self) -> None:
        """Close every machine, then the VISA library; bounded, and never raises."""
        loop = asyncio.get_running_loop()
        closing = [loop.create_task(_closed(name, machine)) for name, machine in self.machines.items()]
        if closing:
            _, hanging = await asyncio.wait(closing, timeout=CLOSE_BOUND_S)
            for task in hanging:
                task.cancel()
        with suppress(Exception):
            self.library.close()


async def _closed(name: str, machine: Machine) -> None:
    try:
        await machine.aclose()
    except Exception as error:  # noqa: BLE001 - the others are closed, whatever one of them raises
        log.warning("%s: closing: %s", name, error)


def _told(name: str, error: EquipmentError) -> str:
    text = " ".join(str(error).split())
    return text if text.startswith(name) else f"{name}: {text}"


async def _connected(name: str, machine: Machine, failed: dict[str, EquipmentError]) -> None:
    try:
        async with asyncio.timeout(CONNECT_BOUND_S):
            await machine.connect()
    except EquipmentError as error:
        found = error
    except TimeoutError:
        found = TransportError(f"no connection within {CONNECT_BOUND_S:g} s")
    else:
        return
    if isinstance(machine, Tower):
        log.warning("%s", _told(name, found))
    else:
        failed[name] = found


def sequence_named(name: str) -> TestSequence[Any]:
    """Load a sequence by its entry point or as `module:NAME`; ConfigError says what there is."""
    module, colon, attribute = name.partition(":")
    if colon:
        return _sequence_in(module, attribute)
    found = {entry.name: entry for entry in entry_points(group="hardbin.sequences")}
    if name not in found:
        raise ConfigError(
            f"cell.sequence: there is no sequence {name!r}; there are: {', '.join(sorted(found))}; "
            "one of your own is written module:NAME"
        )
    return cast("TestSequence[Any]", found[name].load())


def _sequence_in(module: str, attribute: str) -> TestSequence[Any]:
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"cell.sequence: {module}:{attribute}: {error}") from error
    if not isinstance(found, TestSequence):
        kind = type(found).__name__
        raise ConfigError(f"cell.sequence: {module}:{attribute} is of type {kind}, a Sequence is needed")
    return found


def may_clean(config: StationConfig) -> bool:
    """Whether what feeds the sites is of a kind that cleans tips: a prober, whose options may lack it yet."""
    names = {placed.driver for placed in config.equipment if placed.name == config.cell.handler}
    with suppress(ImportError):  # told where the machines are made
        drivers = [one.load() for one in entry_points(group="hardbin.drivers") if one.name in names]
        return any(getattr(one, "can_clean", False) for one in drivers)
    return False


def equipment(config: StationConfig, surroundings: Surroundings) -> Equipment:
    """Make every machine, opening nothing; ConfigError says which entry of the station file is wrong."""
    drivers = {entry.name: entry for entry in entry_points(group="hardbin.drivers")}
    ports = Ports(VisaLibrary(surroundings.visa_library), surroundings.usb_backend, surroundings.pcsc_service)
    machines: dict[str, Machine] = {}
    behind = set[str]()
    for placed in config.equipment:
        if placed.driver not in drivers:
            known = ", ".join(sorted(drivers))
            raise ConfigError(
                f"{config.source}: {placed.name}: no driver {placed.driver!r}; there are: {known}"
            )
        try:
            driver = cast("Driver", drivers[placed.driver].load())
            if driver.port is Dio:
                behind.add(placed.name)
                machines[placed.name] = driver(
                    placed.name, _lines(placed, machines), _options(placed, driver, config)
                )
                continue
            machines[placed.name] = _machine(placed, driver, config, ports, surroundings)
        except ImportError as error:
            raise ConfigError(f"driver {placed.driver!r} cannot be loaded: {error}") from error
        except ValueError as error:
            raise ConfigError(f"{config.source}: {placed.name}: {error}") from error
    return Equipment(machines, ports.library, ports.made, frozenset(behind))


def _lines(placed: Placed, machines: Mapping[str, Machine]) -> Dio:
    kind, _, name = placed.port.partition(":")
    found = (
        [role for role in machines[name].channels.values() if isinstance(role, Dio)]
        if name in machines
        else []
    )
    if kind != "dio" or not found:
        raise PortError(
            f"port {placed.port!r}: the driver {placed.driver} needs dio:<name>, "
            "a digital I/O that stands above it"
        )
    return found[0]


def _machine(
    placed: Placed, driver: Driver, config: StationConfig, ports: Ports, surroundings: Surroundings
) -> Machine:
    options = _options(placed, driver, config)
    line = getattr(options, "line", None) or getattr(driver, "line", None)
    port = ports.make(placed.name, surroundings.port(placed.port), line)
    if not isinstance(port, driver.port):
        wanted = "serial or tcp" if driver.port is Stream else "visa or usb"
        raise PortError(f"port {placed.port!r}: the driver {placed.driver} needs {wanted}")
    if isinstance(port, Stream):
        return driver(placed.name, port, options)
    guarded = GuardedPort(port)
    machine = driver(placed.name, guarded, options)
    guarded.quarantine = partial(_quarantined, machine)
    return machine


def _options(placed: Placed, driver: Driver, config: StationConfig) -> msgspec.Struct:
    table = dict(placed.options)
    names = {field.encode_name for field in msgspec.structs.fields(driver.Options)}
    if "sites" in names:
        table.setdefault("sites", sorted(config.sites))
    try:
        options: msgspec.Struct = msgspec.convert(table, driver.Options)
    except msgspec.ValidationError as error:
        raise ValueError(f"options: {explained(error, driver.Options, table)}") from error
    return options


def _quarantined(machine: Machine, reason: str) -> None:
    for resource in machine.channels.values():
        if resource.turn.poisoned is None:
            resource.turn.poison(reason)
