"""Whatever brings the dies of a wafer under the probe card: a wafer prober."""

from abc import abstractmethod
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from drivers.roles.feeder import Feeder

StepMode: TypeAlias = Literal["prober_master", "tester_master"]
"""Who says which die is next: the prober by its own map, or the station."""


class Die(NamedTuple):
    """A place of the wafer map: index x, y, and a subsite within the die."""

    x: int
    y: int
    subsite: int = 0

    def __str__(self) -> str:
        return f"die {self.x}, {self.y}" + (f" subsite {self.subsite}" if self.subsite else "")


@dataclass(frozen=True)
class LotData:
    """What the prober knows of the lot; what it does not tell is empty."""

    lot: str = ""
    product: str = ""
    operator: str = ""


class Prober(Feeder):
    """Loads wafers, steps from die to die, lands; the safe state of its chuck is separated.

    A touchdown ends with `sort`: the bins are marked in the prober's own map where it has one, then the chuck
    separates. Nothing moves sideways in contact, and each position is read back.
    """

    rests = True
    modes: frozenset[StepMode]
    """How it can step."""

    @abstractmethod
    async def slots(self, cassette: int) -> tuple[int, ...]:
        """Return the slots of a cassette in which there is a wafer."""

    @abstractmethod
    async def load(self, cassette: int, slot: int) -> None:
        """Bring a wafer onto the chuck."""

    @abstractmethod
    async def unload(self) -> None:
        """Bring the wafer back to where it came from."""

    @abstractmethod
    async def align(self) -> None:
        """Align the wafer on the chuck."""

    @abstractmethod
    async def step_to(self, x: int, y: int, subsite: int = 0) -> None:
        """Separate, go to a die, and read back that it is this one."""

    @abstractmethod
    async def position(self) -> Die:
        """Return the die that is under the card's reference site."""

    @abstractmethod
    def contacting(self) -> AbstractAsyncContextManager[None]:
        """Be in contact inside the block, separated after it."""

    @abstractmethod
    async def dies(self) -> tuple[Die, ...]:
        """Return the dies that are to be tested, as the map of the prober, or of its options, has them."""

    @abstractmethod
    async def mark(self, bins: Mapping[Die, int]) -> None:
        """Write bins into the prober's own map; EquipmentError where it has none."""

    @abstractmethod
    async def load_map(self, name: str) -> None:
        """Let the prober take a map that it has stored (map down)."""

    @abstractmethod
    async def read_map(self) -> Mapping[Die, int | None]:
        """Return the bin of each die in the prober's own map, None where it has none (map up)."""

    @abstractmethod
    async def wafer_id(self) -> str:
        """Return the id of the wafer on the chuck; empty if it was not read."""

    @abstractmethod
    async def lot_info(self) -> LotData:
        """Return what the prober knows of the lot."""

    @abstractmethod
    async def set_temperature(self, celsius: float, *, soak_s: float) -> None:
        """Bring the chuck to a temperature, in degrees Celsius, and wait until it has been there `soak_s`."""

    @abstractmethod
    async def temperature(self) -> float:
        """Return the chuck's temperature in degrees Celsius."""

    @abstractmethod
    async def abort(self) -> None:
        """Stop what moves, separate."""
