"""What the station and its clients need of a broker, whichever it is."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

AGAIN_S = (0.1, 0.5, 1.0, 2.0, 5.0)
"""How long to wait before the next try to connect, or to write what was refused."""


class LinkError(Exception):
    """The broker is away, or will not have us."""


@dataclass(frozen=True)
class Message:
    """What is published, and what arrives."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    """To be kept for those who come later; of one that arrives, that it is kept."""
    response_topic: str = ""
    correlation: bytes = b""
    expiry_s: int | None = None
    content_type: str = "application/json"


class Link(Protocol):
    """One connection."""

    async def publish(self, message: Message) -> None:
        """Return when the broker has it (QoS 1) or it is on its way (QoS 0); LinkError."""

    async def subscribe(self, *patterns: str) -> None:
        """Ask for messages; `+` stands for one level, `#` for all that follow. LinkError."""

    def messages(self) -> AsyncIterator[Message]:
        """Yield what arrives; LinkError when the connection is gone."""


class Broker(Protocol):
    """Where one connects."""

    def link(self, name: str, will: Message | None = None) -> AbstractAsyncContextManager[Link]:
        """Connect under a name; the will is published if the connection is lost. LinkError."""
