"""What every piece of equipment can do, whatever its role."""

from abc import ABC, abstractmethod
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
    """One driver instance, or one channel of it, that a role is bound to."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.turn = Turn(name)

    @abstractmethod
    async def connect(self) -> None:
        """Open the port, check that the right machine answers, bring it into its known state."""

    @abstractmethod
    async def identify(self) -> Identity:
        """Ask the machine who it is."""

    @abstractmethod
    async def make_safe(self) -> None:
        """Bring it into its safe state and read that back; EquipmentError if it is not reached."""

    @abstractmethod
    async def aclose(self) -> None:
        """Close the port; never raises."""
