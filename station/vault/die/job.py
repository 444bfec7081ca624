"""What a personalisation is given: the job, the way to the die, and the vault's means."""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from drivers.protocols.se1_table import SlotState
from station.vault.asked import Purpose
from station.vault.die import scp03
from station.vault.die.recovery import Reading
from station.vault.die.script import Script
from station.vault.endorsements import Endorsements
from station.vault.keyring import Keyring
from station.vault.pki.issuer import Issuer
from station.vault.profiles import PRODUCTS, Profile
from station.vault.registry import Registry
from station.vault.vigilance import Place, Vigilance
from station.vault.work import Work


@dataclass(frozen=True)
class Job:
    """One die on one contact, as the station asks for it."""

    unit: str
    lot: str
    order: str
    session: bytes
    fingerprint: bytes
    site: str
    station: str
    now: float
    """Unix seconds."""
    purpose: Purpose = Purpose.PERSONALISE
    imported: tuple[int, ...] = ()
    """Slots whose keys are born in the key store."""
    customer_data: tuple[bytes, ...] = ()
    """The customer's own objects, by slot from 0."""
    payload_max: int = 0
    """The most that the station's link carries per command; 0: as much as the die says."""

    @property
    def place(self) -> Place:
        """Where the die is in contact."""
        return Place(self.station, self.site, self.lot)


@dataclass(frozen=True)
class Sealed:
    """What the station may know of a sealed device."""

    uid: bytes
    serial: str
    record: bytes
    certificates: tuple[bytes, ...]
    leaf: int
    """Index of the ledger's leaf that tells of it."""


class Link(Protocol):
    """The way to the die."""

    async def run(self, script: Script) -> dict[str, bytes]:
        """Have a script relayed and return what came back, checked; DoubtError, GoneError."""


@dataclass(frozen=True)
class Means:
    """What the vault has to do its work with."""

    store: Keyring
    issuer: Issuer
    registry: Registry
    profile: Profile
    work: Work
    products: Mapping[str, Profile] = field(default_factory=lambda: PRODUCTS)
    """All that may be made; `profile` is that of the die's own product."""
    vigilance: Vigilance = field(default_factory=Vigilance)
    """Counts what goes wrong, over all dies."""
    endorsements: Endorsements = field(default_factory=Endorsements)
    """How long dies wait for their certificates."""


@dataclass
class Die:
    """What is known of the die in this session."""

    uid: bytes
    payload: int
    reading: Reading
    slots: tuple[SlotState, ...]
    session: scp03.Session
    born: Awaitable[tuple[bytes, bytes]] | None = None
    """Hash and sealed box of an RMA token, made while the die is busy with its self-tests."""
