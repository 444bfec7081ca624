"""What is asked of the registry, and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from station.vault.die.dossier import Dossier
from station.vault.die.recovery import Intent, Standing


class Purpose(Enum):
    """Why a unit is brought."""

    PERSONALISE = 1
    RESUME = 2
    VERIFY = 3
    LOAD = 4
    TERMINATE = 5
    RMA_OPEN = 6
    OPEN_TEST = 7

    @property
    def makes(self) -> bool:
        """Whether it goes on with what an order allows."""
        return self in (Purpose.PERSONALISE, Purpose.RESUME)

    @property
    def sorts(self) -> bool:
        """Whether it is for dies in test; needs no order, and a unit may be seen for the first time."""
        return self in (Purpose.LOAD, Purpose.OPEN_TEST)


@dataclass(frozen=True)
class Admission:
    """Who asks for admission of what."""

    unit: str
    lot: str
    purpose: Purpose
    session: bytes
    now: float
    fingerprint: bytes = b""
    """Of the sequence, SHA-256."""
    station: str = ""


@dataclass(frozen=True)
class Step:
    """A unit's step forward: where it stands now, and what is announced next."""

    unit: str
    session: bytes
    now: float
    standing: Standing
    intent: Intent
    proofs: Mapping[str, str] | None = None
    """Hashes and nonces for the device record; kept with the step."""
    passed: tuple[Standing, ...] = ()
    """Where it stood on the way here, which needed no commit of its own."""


@dataclass(frozen=True)
class Admitted:
    """A unit that may be served, under what its lot says."""

    product: str
    order: str
    dossier: Dossier
    imported: tuple[int, ...] = ()
    """Slots whose keys are born in the key store."""
    customer_data: tuple[bytes, ...] = ()
    """The customer's own objects, by slot from 0."""
