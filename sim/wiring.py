"""What a station file says of a simulated cell, checked: its machines, and what hangs on each channel."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

CARD = "chip"
SUPPLY = "vdd"
INPUT_ROLES = {"io.IO": "IO", "io.CLK": "CLK", "io.RST": "RST"}
ROLES = (*INPUT_ROLES, SUPPLY, CARD)
RESERVED = ("dut", "socket", "chip")
"""Machines of the simulator itself, in the names of faults."""


class WorldError(ValueError):
    """A cell that cannot be simulated as it is written: what, where, what is allowed."""


class Placement(Protocol):
    """One machine of the station file, as whoever reads that file calls it."""

    @property
    def name(self) -> str:
        """How site and messages call it."""

    @property
    def driver(self) -> str:
        """The driver's name in the registry, which also chooses the simulator's model."""

    @property
    def port(self) -> str:
        """Where it is, as in `visa:GPIB0::7::INSTR`."""

    @property
    def options(self) -> Mapping[str, object]:
        """What the file says of it besides."""

    @property
    def serial(self) -> str:
        """The serial number that it has there; empty if the file does not say."""


@dataclass(frozen=True)
class Placed:
    """One machine of the station file."""

    name: str
    driver: str
    port: str
    options: Mapping[str, object] = field(default_factory=dict)
    serial: str = ""


@dataclass(frozen=True)
class Channel:
    """One channel of one machine; the channel is empty where a machine has but one."""

    machine: str
    channel: str

    def __str__(self) -> str:
        return f"{self.machine}.{self.channel}" if self.channel else self.machine


@dataclass(frozen=True)
class Wire:
    """What one channel is soldered to."""

    site: int
    role: str


def channel(text: str) -> Channel:
    """Read `smu-1.a`, or `fine-1` of a machine with one channel."""
    machine, _, name = text.partition(".")
    return Channel(machine, name)


def wires(
    equipment: Sequence[Placement],
    sites: Mapping[int, Mapping[str, str]],
    shared: Collection[str] = frozenset(),
) -> Mapping[Channel, Wire]:
    """Return what hangs on each channel; WorldError names the first thing that cannot be.

    `shared`: the machines that need no pin; a sequence may call them what it likes, and `sim.cables` tells
    what is at them.
    """
    machines = {placed.name for placed in equipment}
    _names(equipment)
    found = dict[Channel, Wire]()
    for wire, text in _bindings(sites):
        end = channel(text)
        if end.machine not in machines:
            raise WorldError(
                f"site {wire.site}, {wire.role} = {text!r}: no machine {end.machine!r} in [[equipment]]"
            )
        if wire.role not in ROLES:
            if end.machine in shared:
                continue
            raise WorldError(
                f"site {wire.site}: no pin of se1 is called {wire.role!r}; there are {', '.join(ROLES)}, and "
                f"{end.machine} must be wired to one of them"
            )
        if end in found:
            other = found[end]
            raise WorldError(
                f"site {wire.site}, {wire.role} = {text!r}: that channel is wired to {other.role} of site "
                f"{other.site}, and the simulated load board has no multiplexer"
            )
        found[end] = wire
    return found


def looking(sites: Mapping[int, Mapping[str, str]], shared: Collection[str]) -> Mapping[str, int]:
    """Return at which site each machine is that needs no pin and that one site alone has."""
    found: dict[str, set[int]] = {}
    for site, bindings in sites.items():
        for text in bindings.values():
            if (name := channel(text).machine) in shared:
                found.setdefault(name, set()).add(site)
    return {name: next(iter(at)) for name, at in found.items() if len(at) == 1}


def _names(equipment: Sequence[Placement]) -> None:
    seen, ports = set[str](), dict[str, str]()
    for placed in equipment:
        if placed.name in seen or placed.name in RESERVED:
            why = "is taken" if placed.name in seen else "belongs to the simulator"
            raise WorldError(f"equipment {placed.name!r}: the name {why}")
        if (other := ports.setdefault(placed.port, placed.name)) != placed.name:
            raise WorldError(f"equipment {placed.name!r}: port {placed.port!r} is taken by {other!r}")
        seen.add(placed.name)


def _bindings(sites: Mapping[int, Mapping[str, str]]) -> Iterator[tuple[Wire, str]]:
    for site in sorted(sites):
        if site < 1:
            raise WorldError(f"site {site}: sites count from 1")
        for role, text in sites[site].items():
            yield Wire(site, role), text
