"""Where simulated machines meet simulated devices: what handler, SMU, supply and reader see of them."""

from collections.abc import Mapping, Sequence
from typing import Protocol


class Load(Protocol):
    """What hangs on one output of an instrument: a pin of whatever device is in contact, or nothing."""

    def current(self, volts: float) -> float:
        """Amps that flow into the load at a voltage."""

    def driven(self, volts: float | None) -> None:
        """The output has come to `volts`, or is disconnected (None)."""


class Slot(Protocol):
    """The card interface of whatever device is in contact."""

    def present(self) -> bool:
        """Whether a device makes contact."""

    def activate(self) -> bytes | None:
        """Reset the chip and return its ATR, None if it is mute."""

    def deactivate(self) -> None:
        """Take clock and reset away."""

    def apdu(self, command: bytes) -> tuple[bytes | None, float]:
        """Give the chip a command; return its reply (None: mute) and the seconds that it takes."""


class Sockets(Protocol):
    """All sockets of the cell, as a handler fills and empties them."""

    def load(self) -> frozenset[int]:
        """Fill the sockets with the next devices; return the sites that got one, none when none are left."""

    def refeed(self, bins: frozenset[int]) -> int:
        """Put the devices of these hard bins that were fed once back into the input; return how many."""

    def code(self, site: int) -> str:
        """Return what is written on the device at a site."""

    def land(self) -> None:
        """Close the contacts."""

    def lift(self) -> None:
        """Open the contacts; the devices stay."""

    def promised(self, bins: Mapping[int, int]) -> None:
        """Be told the hard bin of each site, which the machine has accepted and will carry out by itself."""

    def sort(self, bins: Mapping[int, int]) -> None:
        """Move the device of each site into its hard bin."""


class Wafers(Protocol):
    """The wafers of a lot and the card above them, as a prober brings one to the other."""

    @property
    def count(self) -> int:
        """How many there are, numbered from 1."""

    def name(self, wafer: int) -> str:
        """Return the id that is written on a wafer."""

    def dies(self, wafer: int) -> Sequence[tuple[int, int]]:
        """Return the places x, y that are to be tested, in the order of the map."""

    def land(self, wafer: int, x: int, y: int) -> None:
        """Close the contacts; the card's reference stands on die x, y."""

    def lift(self) -> None:
        """Open the contacts."""

    def mark(self, wafer: int, x: int, y: int, hard_bin: int) -> None:
        """The prober's map has got a bin for this die."""


class OpenCircuit:
    """Nothing is connected."""

    def current(self, volts: float) -> float:
        del volts
        return 0.0

    def driven(self, volts: float | None) -> None:
        pass


def voltage_at(load: Load, amps: float, limit_v: float) -> float:
    """Return the voltage within ±`limit_v` at which `load` takes `amps`, or the limit; to 0.1 nV."""
    low, high = -limit_v, limit_v
    for _ in range(60):
        if high - low < 1e-10:
            break
        middle = (low + high) / 2
        low, high = (middle, high) if load.current(middle) < amps else (low, middle)
    return (low + high) / 2
