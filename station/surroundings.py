"""Where a cell runs: what a run needs of the world, real or simulated, and how to get a simulated one."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from typing import Protocol, cast

from drivers.roles.card import Card
from station.clock import Clock
from station.config import StationConfig
from station.errors import ConfigError

WORLD = "world"
"""Where a lot's folder keeps the simulated world in which it was begun."""
EPOCH = 1_800_000_000.0
"""When simulated time begins: 2027-01-15 08:00 UTC. A seed gives the same bytes on every day."""


class Truth(Protocol):
    """What a simulated world knows of one device, and the station must not."""

    @property
    def index(self) -> int:
        """Running number in the lot, from 1."""

    @property
    def good(self) -> bool:
        """Whether nothing is wrong with it."""

    @property
    def defect(self) -> str:
        """What is wrong with it."""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why a station may reject it."""

    @property
    def hard_bin(self) -> int | None:
        """Where it physically ended."""

    @property
    def sealed(self) -> bool:
        """Whether its life cycle says so."""

    @property
    def uid(self) -> bytes:
        """Who it is."""

    @property
    def place(self) -> tuple[str, int, int] | None:
        """Wafer, x and y of a die; None of a device that came in a handler, or did not come."""


class Surroundings(Protocol):
    """What a run needs of the world outside."""

    @property
    def clock(self) -> Clock:
        """The station's clock."""

    @property
    def visa_library(self) -> str:
        """What PyVISA's resource manager is given."""

    @property
    def usb_backend(self) -> object | None:
        """PyUSB's backend; None for the system's."""

    @property
    def pcsc_service(self) -> object | None:
        """What stands for pyscard's functions; None for the system's service."""

    @property
    def simulated_s(self) -> float:
        """Virtual seconds that have passed; 0 on hardware."""

    def loop_factory(self) -> asyncio.AbstractEventLoop:
        """Make the loop of the run."""

    def port(self, port: str) -> str:
        """Return a port of the station file as it must be opened here."""

    def start(self) -> None:
        """Begin, on the loop, before the first port is opened."""

    async def settle(self) -> None:
        """Let the machines finish what they were told to do."""

    def close(self) -> None:
        """End."""

    def truth(self) -> Sequence[Truth]:
        """What is true of every device; empty on hardware."""


def simulated(  # noqa: PLR0913 - all that a simulated world may be told
    config: StationConfig,
    *,
    lot: str,
    devices: int,
    seed: int,
    faults: Sequence[str],
    speed: float | None,
    epoch: float,
    diary: Path | None = None,
) -> Surroundings:
    """Make the simulated world; ConfigError where the configuration or a fault cannot be meant.

    `diary`: the folder in which it is kept beyond the life of this process, and from which it goes on.
    """
    world = _world()
    try:
        made = world(
            config.equipment,
            config.sites,
            lot=lot,
            devices=devices,
            seed=seed,
            faults=faults,
            speed=speed,
            epoch=epoch,
            latency=config.simulation.latency,
            wafer_radius=config.simulation.wafer_radius,
            diary=diary,
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return cast("Surroundings", made)


FINAL_TEST, WAFER_SORT = "final-test", "wafer-sort"
CELLS = {FINAL_TEST: "station.toml", WAFER_SORT: "wafer_sort.toml"}
"""The simulated cells, by what they do."""


def simulated_station_file(flow: str = FINAL_TEST) -> Path:
    """Return the station file of a simulated cell."""
    return Path(str(files(_world().__module__.partition(".")[0]) / CELLS[flow]))


def without_keys(station_file: str) -> str:
    """Return the text of a simulated final-test cell's file for a cell that sees no chips and tests alone."""
    text = station_file.replace('sequence = "se1-final-test"', 'sequence = "se1-electrical-sort"')
    return "".join(line for line in text.splitlines(True) if not line.startswith("chip = "))


class Place(Protocol):
    """Where a served machine is."""

    @property
    def name(self) -> str:
        """What the station calls it."""

    @property
    def driver(self) -> str:
        """Whose machine it is."""

    @property
    def wire(self) -> str:
        """What carries it: tcp, hislip, vxi11, pty."""

    @property
    def address(self) -> str:
        """Host and port, or a path."""

    @property
    def port(self) -> str:
        """As a station file writes it."""

    @property
    def resource(self) -> str:
        """As PyVISA opens it."""


class Served(Protocol):
    """Simulated machines on real wires."""

    async def start(self) -> Sequence[Place]:
        """Make them and serve them; OSError if an address cannot be had."""

    def turn(self, fault: str) -> None:
        """Turn a knob; ValueError says what cannot be meant."""

    def clear(self, machine: str, knob: str) -> None:
        """Turn a knob back, all for an empty name."""

    def knobs(self) -> Mapping[str, Sequence[str]]:
        """What is turned, by machine; one without faults has an empty entry."""

    async def aclose(self) -> None:
        """Take them away."""


def served(
    config: StationConfig | None,
    *,
    wires: Mapping[str, str],
    devices: int,
    seed: int,
    faults: Sequence[str],
    port_mapper: int = 0,
) -> Served:
    """Make simulated machines to be served: of a station, or models by themselves."""
    make = _simulation("served")
    try:
        made = make(
            () if config is None else config.equipment,
            {} if config is None else config.sites,
            wires=wires,
            devices=devices,
            seed=seed,
            faults=faults,
            epoch=EPOCH,
            port_mapper=port_mapper,
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return cast("Served", made)


class _Simulator(Protocol):
    """What benches need of a simulator."""

    def cards(self, indices: range, *, payload: int, latency: str) -> Sequence[Card]:
        """Make the good dies of these numbers."""

    def found(self, folder: Path) -> Mapping[int, int | None]:
        """Look where the devices of a world are that was kept in a folder."""

    def carried(self, before: Path, after: Path, bins: frozenset[int], lot: str, devices: int) -> None:
        """Take the devices of some hard bins from one kept world into another."""

    def all_knobs(self, driver: str) -> frozenset[str]:
        """Name the faults of a model, or of devices."""

    def drivers(self) -> frozenset[str]:
        """Name the drivers that have a model."""

    def echoes(self, count: int, loop: asyncio.AbstractEventLoop) -> object:
        """Make a PyUSB backend with devices that answer at once."""


def simulated_cards(indices: range, *, payload: int, latency: str) -> Sequence[Card]:
    """Return good dies of `se1`, by their numbers, at their card interface, ready to be personalised."""
    return cast("_Simulator", _world()).cards(indices, payload=payload, latency=latency)


def simulated_whereabouts(world: Path) -> Mapping[int, int | None]:
    """Return where the devices of a kept world are that were ever in a socket: the hard bin; None: in it."""
    return cast("_Simulator", _world()).found(world)


def simulated_again(before: Path, after: Path, bins: Collection[int], *, lot: str, devices: int) -> None:
    """Put the devices that lie in these hard bins of a kept world into one that begins in another folder.

    `lot`, `devices`: of which lot they are, and how many that had. ConfigError if no world was kept.
    """
    try:
        cast("_Simulator", _world()).carried(before / WORLD, after / WORLD, frozenset(bins), lot, devices)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def simulated_knobs(driver: str) -> frozenset[str]:
    """Return the faults of a driver's machine; for an empty name those of devices, `machine.knob`."""
    return cast("_Simulator", _world()).all_knobs(driver)


def simulated_drivers() -> frozenset[str]:
    """Return the drivers whose machines can be simulated."""
    return cast("_Simulator", _world()).drivers()


def usb_echoes(count: int) -> object:
    """Return a PyUSB backend with `count` devices that answer at once, in real time on the running loop."""
    return cast("_Simulator", _world()).echoes(count, asyncio.get_running_loop())


def _world() -> type:
    return cast("type", _simulation("default"))


@cache
def _simulation(name: str) -> Callable[..., object]:
    for entry in entry_points(group="hardbin.simulation", name=name):
        try:
            return cast("Callable[..., object]", entry.load())
        except ImportError as error:
            raise ConfigError(f"the simulator {entry.value} is not installed: {error}") from error
    raise ConfigError("no simulator is installed: this is a production installation, run with --hardware")
