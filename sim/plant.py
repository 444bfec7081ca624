"""What the machine models of a cell are given: clock, faults, and what hangs on their channels."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sim.bench import OPEN, Bench
from sim.clock import Clock
from sim.faults import Fault, Faults
from sim.sockets import Load, Slot
from sim.wiring import CARD, INPUT_ROLES, SUPPLY, Channel, Placement, Wire, WorldError

Unplug = Callable[[], None]
"""Takes a machine off its bus again."""


@dataclass(frozen=True)
class Plant:
    """One cell while it is being put together."""

    world: str
    """The name under which its machines are found on the buses."""
    bench: Bench
    clock: Clock
    seed: int
    lot: str
    wires: Mapping[Channel, Wire]
    asked: tuple[Fault, ...]

    def faults(self, placed: Placement, knobs: frozenset[str]) -> Faults:
        """Return the faults of one machine; FaultError for a knob that it does not have."""
        return Faults(placed.name, knobs, self.asked, str(self.seed))

    def load(self, placed: Placement, channel: str) -> Load:
        """Return what hangs on an output; nothing where the station file names nothing."""
        wire = self.wires.get(Channel(placed.name, channel))
        if wire is None:
            return OPEN
        socket = self.bench.sockets[wire.site]
        if wire.role == SUPPLY:
            return socket.vdd
        if wire.role not in INPUT_ROLES:
            raise WorldError(
                f"{placed.name}.{channel} forces voltages, it cannot be {wire.role} of site {wire.site}"
            )
        return socket.inputs[INPUT_ROLES[wire.role]]

    def slot(self, placed: Placement, channel: str) -> Slot | None:
        """Return the device that a slot of a reader reaches, None where none is wired."""
        wire = self.wires.get(Channel(placed.name, channel))
        if wire is None:
            return None
        if wire.role != CARD:
            raise WorldError(
                f"{placed.name}.{channel} reads chips, it cannot be {wire.role} of site {wire.site}"
            )
        return self.bench.sockets[wire.site].slot
