"""Which model plays the machine of which driver, and how it gets onto its bus."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sim.dut.device import Device, MakeChip, Silicon
from sim.faults import Fault
from sim.plant import Plant, Unplug
from sim.wiring import Placement, WorldError


@dataclass(frozen=True)
class Model:
    """One kind of machine."""

    scheme: str
    """Where its port must be: visa, usb or serial."""
    plug: Callable[[Placement, Plant], Unplug]

    def check(self, placed: Placement) -> None:
        """Refuse a port at which this machine cannot be."""
        if placed.port.partition(":")[0] != self.scheme:
            raise WorldError(
                f"{placed.name}: {placed.driver} sits at a {self.scheme}: port, not at {placed.port!r}"
            )


MODELS: Mapping[str, Model] = {}


def silicon(latency: str, faults: tuple[Fault, ...]) -> MakeChip:
    """Return what makes the chip of a device."""

    def make(device: Device) -> Silicon:
        raise WorldError(f"device {device.index}: no chip model")

    return make
