"""Whatever brings the dies of a wafer under the probe card: a wafer prober."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
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


@dataclass(frozen=True)
class WaferLoaded:
    """A wafer is on the chuck, aligned."""

    cassette: int
    slot: int
    wafer: str


@dataclass(frozen=True)
class WaferEnded:
    """No die of this wafer is left."""

    wafer: str


@dataclass(frozen=True)
class CassetteEnded:
    """No wafer of this cassette is left."""

    cassette: int


@dataclass(frozen=True)
class LotEnded:
    """No wafer is left."""


@dataclass(frozen=True)
class Paused:
    """An operator, or the station, has stopped the probing."""


@dataclass(frozen=True)
class Resumed:
    """It goes on."""


@dataclass(frozen=True)
class StartedByOperator:
    """Somebody has raised the chuck or started a test at the machine."""


@dataclass(frozen=True)
class AlarmRaised:
    """The machine has stopped and says why."""

    code: str
    text: str


@dataclass(frozen=True)
class VacuumLost:
    """The chuck does not hold the wafer."""


@dataclass(frozen=True)
class TemperatureReached:
    """The chuck has its temperature and has soaked."""

    celsius: float


ProberEvent: TypeAlias = (
    WaferLoaded
    | WaferEnded
    | CassetteEnded
    | LotEnded
    | Paused
    | Resumed
    | StartedByOperator
    | AlarmRaised
    | VacuumLost
    | TemperatureReached
)


def unheard(event: ProberEvent) -> None:
    """Let an event go by."""
    del event


class Prober(Feeder):
    """Loads wafers, steps from die to die, lands; the safe state of its chuck is separated.

    A touchdown ends with `sort`: the bins are marked in the prober's own map where it has one, then the chuck
    separates. Nothing moves sideways in contact, and each position is read back.
    """

    rests = True
    modes: frozenset[StepMode]
    """How it can step."""
    heard: Callable[[ProberEvent], None] = staticmethod(unheard)
    """Set by whoever wants to know what happens at the machine."""

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
