"""What every piece of equipment can do, whatever its role."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import ClassVar

from drivers.roles.turn import Turn


@dataclass(frozen=True)
class Identity:
    """What a machine says of itself; an empty field is one that it does not tell."""

    maker: str
    model: str
    serial: str = ""
    firmware: str = ""


def _in_turn(verb: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
    @wraps(verb)
    async def used(self: "Resource", *arguments: object, **named: object) -> object:
        self.turn.must_be_mine()
        return await verb(self, *arguments, **named)

    return used


class Resource(ABC):
    """What a role of a site is bound to: a machine, or one channel of it."""

    exclusive: ClassVar[frozenset[str]] = frozenset()
    """The verbs that sites may use in turns only: one would read by what another one has set."""
    slow_s: float = 0.0
    """How much longer than others of its role it may take to be safe."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name in cls.exclusive & cls.__dict__.keys():
            if not getattr(verb := cls.__dict__[name], "__isabstractmethod__", False):
                setattr(cls, name, _in_turn(verb))

    def __init__(self, name: str) -> None:
        self.name = name
        self.turn = Turn(name)

    @abstractmethod
    async def make_safe(self) -> None:
        """Bring it into its safe state and read that back; EquipmentError if it is not reached."""

    async def health(self) -> str:
        """Ask how it is, and change nothing; EquipmentError says what is wrong with it.

        Empty where it has nothing to tell beyond what its machine does.
        """
        return ""


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

    async def read_errors(self) -> None:  # noqa: B027 - most machines have no queue
        """Ask a connected machine for its queue of errors; InstrumentError if there are any."""

    @abstractmethod
    async def aclose(self) -> None:
        """Close the port; never raises."""
