"""What every piece of equipment can do, whatever its role."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from drivers.roles.turn import Turn


@dataclass(frozen=True)
class Identity:
    """What a machine says of itself; an empty field is one that it does not tell."""

    maker: str
    model: str
    serial: str = ""
    firmware: str = ""


class Resource(ABC):
    """What a role of a site is bound to: a machine, or one channel of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.turn = Turn(name)

    @abstractmethod
    async def make_safe(self) -> None:
        """Bring it into its safe state and read that back; EquipmentError if it is not reached."""


class Machine(ABC):
    """One box at one port. It is made without I/O; `connect` opens it."""

    channels: Mapping[str, Resource]
    """The roles it plays, by the channel's name; a machine that has but one calls it by the empty name."""

    @abstractmethod
    async def connect(self) -> None:
        """Open the port, check that the right model answers, and bring it into its known, safe state."""

    @abstractmethod
    async def identify(self) -> Identity:
        """Ask the machine who it is."""

    @abstractmethod
    async def aclose(self) -> None:
        """Close the port; never raises."""
