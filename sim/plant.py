"""What the machine models of a cell are given: clock, faults, buses, and what hangs on their channels."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

from sim.bench import EMPTY, Bench
from sim.card.pcsc import SimulatedPcsc
from sim.clock import Clock
from sim.dio.lines import Lines
from sim.faults import Fault, Faults
from sim.instrument import Instrument
from sim.sockets import Load, Slot
from sim.tcp.hosts import TcpHosts
from sim.usb.backend import UsbBus
from sim.wiring import INPUT_ROLES, SUPPLY, Channel, Placement, Wire


class WitnessedFaults(Faults):
    """Faults whose strikes are reasons why a good device may be rejected."""

    def __init__(self, plant: "Plant", placed: Placement, knobs: frozenset[str]) -> None:
        super().__init__(placed.name, knobs, plant.asked, str(plant.seed))
        self._plant = plant
        self._placed = placed

    def struck(self, knob: str) -> None:
        self._plant.witness(self._placed, knob)


@dataclass(frozen=True)
class Plant:
    """One cell while it is being put together."""

    world: str
    """The name under which its machines are found on the buses."""
    bench: Bench
    clock: Clock
    seed: int
    wires: Mapping[Channel, Wire]
    asked: tuple[Fault, ...]
    visa: dict[str, Instrument]
    """What stands behind VISA resource names."""
    usb: UsbBus
    pcsc: SimulatedPcsc
    """The service that owns card readers."""
    tcp: TcpHosts
    unplugging: ExitStack
    """What takes the machines off their buses again."""
    knobs: dict[str, Faults]
    """The faults of each machine, by its name, for whoever turns them while it runs."""
    looking: Mapping[str, int] = field(default_factory=dict)
    """At which site a machine is that no pin is wired to, and that one site alone has."""
    codes: dict[str, int] = field(default_factory=dict)
    """How many codes were in front of each reader that is at no site of its own."""
    lines: dict[str, Lines] = field(default_factory=dict)
    """The lines of each digital I/O."""

    def faults(self, placed: Placement, knobs: frozenset[str]) -> Faults:
        """Return the faults of one machine; the truth of the devices at it knows when one strikes."""
        return self.knobs.setdefault(placed.name, WitnessedFaults(self, placed, knobs))

    def witness(self, placed: Placement, knob: str) -> None:
        """Note a fault that strikes for the devices at this machine; a handler, wired to none, has all."""
        wired = {wire.site for _, wire in self._wires_of(placed)}
        self.bench.note(wired or set(self.bench.sockets), f"{placed.name}.{knob}")

    def seed_of(self, placed: Placement) -> str:
        """Return what a machine draws its noise and its timing from."""
        return f"{self.seed}:{placed.name}"

    def code(self, placed: Placement) -> str:
        """Return the code of the device in front of a reader of one site; empty without a device.

        In front of any other reader is one numbered code after the other.
        """
        if (site := self.looking.get(placed.name)) is None:
            number = self.codes[placed.name] = self.codes.get(placed.name, 0) + 1
        elif (device := self.bench.sockets[site].device) is not None:
            number = device.index
        else:
            return ""
        return f"{self.bench.lot.name}-{number:06d}"

    def loads(self, placed: Placement) -> dict[str, Load]:
        """Return what hangs on the outputs of a machine, by channel; the others are open."""
        return {end.channel: self._load(wire) for end, wire in self._wires_of(placed)}

    def slots(self, placed: Placement) -> list[Slot]:
        """Return the slots of a reader, up to the last that is wired; at least one."""
        wired = {
            int(end.channel or 0): self.bench.sockets[wire.site].slot for end, wire in self._wires_of(placed)
        }
        return [wired.get(number, EMPTY) for number in range(max(wired, default=0) + 1)]

    def _wires_of(self, placed: Placement) -> list[tuple[Channel, Wire]]:
        return [(end, wire) for end, wire in self.wires.items() if end.machine == placed.name]

    def _load(self, wire: Wire) -> Load:
        socket = self.bench.sockets[wire.site]
        return socket.vdd if wire.role == SUPPLY else socket.inputs[INPUT_ROLES[wire.role]]
