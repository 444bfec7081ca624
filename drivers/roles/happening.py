"""What a handler or a prober says out of turn."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Coded:
    """What a machine says in a code and words of its own."""

    code: str
    text: str


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


class AlarmRaised(Coded):
    """The machine has stopped and says why."""


@dataclass(frozen=True)
class VacuumLost:
    """The chuck does not hold the wafer."""


@dataclass(frozen=True)
class TemperatureReached:
    """The chuck has its temperature and has soaked."""

    celsius: float


@dataclass(frozen=True)
class NeedlesCleaned:
    """What touches the devices was cleaned: because somebody asked, a rule, or the driver by itself."""


class Warned(Coded):
    """The machine wants somebody to know something, and goes on."""


class Jammed(Coded):
    """A device is stuck on its way; where those in motion are, nobody knows."""


class PartDropped(Coded):
    """A device has fallen out of its pick."""


class OutputFull(Coded):
    """A tube or tray for sorted devices is full."""


@dataclass(frozen=True)
class InputEmpty:
    """No device is left to be tested."""


class DoorOpened(Coded):
    """Somebody has opened the machine."""


@dataclass(frozen=True)
class EmptyCheckRequested:
    """It asks whether all sockets are empty."""


Happening: TypeAlias = (
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
    | NeedlesCleaned
    | Warned
    | Jammed
    | PartDropped
    | OutputFull
    | InputEmpty
    | DoorOpened
    | EmptyCheckRequested
)


def unheard(event: Happening) -> None:
    """Let it go by."""
    del event
