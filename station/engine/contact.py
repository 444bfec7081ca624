"""One device in contact, and the journal as its run sees it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from station.model import Measurement, Personalisation
from station.sequence import Die


class Custody(Protocol):
    """The journal as a device run sees it; each call returns when the record is on disk."""

    async def intend(self, die: Die, part: int) -> None:
        """From here on the device is spoiled."""

    async def ended(self, die: Die, part: int, outcome: Personalisation | None, reason: str) -> None:
        """The vault's verdict, or that there is none and why."""


@dataclass(frozen=True)
class Contact:
    """Which device this is, and which of its contacts."""

    seq: int
    part: int
    number: int
    unit: str
    lot: str
    session: bytes
    recovers: bool = False
    """Only the vault sees the device: no row that tests is run."""
    past: Mapping[str, Measurement] = field(default_factory=dict)
    """What earlier insertions have measured on the device, each as `flow/test`."""
