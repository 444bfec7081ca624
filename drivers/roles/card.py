"""The chip's card interface, as a reader reaches it."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from drivers.errors import DutError
from drivers.roles.resource import Resource


@dataclass(frozen=True, slots=True)
class Apdu:
    """One command to the chip."""

    command: bytes
    expect: tuple[int, ...] = (0x9000,)
    """Status words after which a script goes on."""
    budget_s: float = 5.0
    """How long the chip may take, waiting-time extensions included."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset the chip; the reply's data is its ATR."""

    cold: bool = False
    budget_s: float = 3.0


CardStep: TypeAlias = Apdu | Reset


class Stopped(Enum):
    """Why a script ended."""

    END = "end"
    STATUS_WORD = "status word"
    LINK = "link"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class CardReply:
    """What the chip answered."""

    data: bytes
    status: int
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class ScriptReply:
    """The replies in order, and why the script ended; a step that was not answered has no reply."""

    replies: tuple[CardReply, ...]
    stopped: Stopped


class Card(Resource):
    """One slot of a reader and the chip in it."""

    @abstractmethod
    async def power_on(self) -> bytes:
        """Activate the chip, agree on the protocol and return its ATR; DutError if it is mute."""

    @abstractmethod
    async def power_off(self) -> None:
        """Deactivate the contacts in order."""

    @abstractmethod
    async def run(self, script: Sequence[CardStep]) -> ScriptReply:
        """Do the steps in order in one hop and stop after the first that does not end as expected.

        A mute or failing chip is told by `stopped`; EquipmentError only for the reader's own faults.
        """

    async def transmit(self, command: bytes, *, budget_s: float = 5.0) -> CardReply:
        """Send one command and return the reply whatever its status word; DutError if the chip is silent."""
        answer = await self.run((Apdu(command, expect=(), budget_s=budget_s),))
        if not answer.replies:
            raise DutError(f"no answer to {command[:4].hex(' ')} ({answer.stopped.value})", silent=True)
        return answer.replies[0]
