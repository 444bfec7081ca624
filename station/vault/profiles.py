"""What a product demands of its devices: keys, screening limits, certificate fields."""

from collections.abc import Mapping
from hashlib import sha256

import msgspec

from drivers.protocols.se1_table import PERSONALISED_SLOTS, Algorithm, Slot
from station.vault.kinds import KINDS, Kind

DEVELOPMENT_ARC = "1.3.6.1.4.1.32473"
"""Documentation number of RFC 5612; production refuses it."""


class Trng(msgspec.Struct, frozen=True):
    """Cut-offs of SP 800-90B section 4.4 at alpha = 2^-40 for one bit of entropy a sample."""

    rct: int = 41
    apt: int = 625
    window: int = 1024


class Profile(msgspec.Struct, frozen=True):
    """One product; its SHA-256 goes into every device."""

    product: str
    number: int
    """The product number in UIDs and identities."""
    organisation: str = "hardbin development"
    policy_oid: str = DEVELOPMENT_ARC + ".1.1.1"
    slots: tuple[int, ...] = PERSONALISED_SLOTS
    """The slots that get a key; the chip's own list, since the chip wants each of them before it locks."""
    attesting: int = Slot.ID_PQ
    rejection_check: int = 16
    """One die in so many, drawn by the vault, is also sent a ciphertext that it must reject; 1: each."""
    payload_max: int = 4096
    budget_factor: float = 1.0
    trng: Trng = Trng()

    def hash(self) -> bytes:
        """SHA-256 of the canonical JSON of the profile."""
        return sha256(msgspec.json.encode(self, order="deterministic")).digest()

    def kinds(self) -> dict[int, Kind]:
        """The kind of key for each slot, in order."""
        return {slot: KINDS[Slot(slot)] for slot in sorted(self.slots)}

    def authorities(self) -> tuple[Algorithm, ...]:
        """The algorithms of the issuing keys that the certificates need, in order."""
        return tuple(sorted({kind.authority for kind in self.kinds().values()}))


SE1 = Profile(product="se1", number=0x0001)
PRODUCTS: Mapping[str, Profile] = {SE1.product: SE1}
