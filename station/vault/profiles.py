"""What a product demands of its devices: keys, screening limits, certificate fields."""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from typing import Literal

import msgspec

from drivers.protocols.se1_table import PERSONALISED_SLOTS, Algorithm, Slot
from station.vault.die.kinds import KINDS, Kind, SigningKind

DEVELOPMENT_ARC = "1.3.6.1.4.1.32473"
"""Documentation number of RFC 5612; production refuses it."""
DEVELOPMENT_ORGANISATION = "hardbin development"


PRODUCT = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
OID = re.compile(r"[0-2](\.(0|[1-9][0-9]{0,9})){1,20}")
PAYLOAD_MIN, PAYLOAD_MAX = 223, 4096
CUSTOMER_MAX = 8192
"""Beside two banks of certificates in the memory of a chip."""
NUMBER_MAX, BUDGET_FACTOR_MAX = 0xFFFF, 100.0


class Trng(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Cut-offs of SP 800-90B section 4.4 at alpha = 2^-40 for one bit of entropy a sample."""

    rct: int = 41
    apt: int = 625
    window: int = 1024


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One product; its SHA-256 goes into every device."""

    product: str
    number: int
    """The product number in UIDs and identities."""
    organisation: str = DEVELOPMENT_ORGANISATION
    policy_oid: str = DEVELOPMENT_ARC + ".1.1.1"
    hardware_type: str = ""
    """hwType, an OID, of a hardwareModuleName (RFC 4108) in certificates; empty: no such name."""
    crl_base: str = ""
    """Where lists of revoked certificates can be fetched; empty: certificates do not say it."""
    ocsp: bool = False
    """Whether an answer about each certificate is signed in advance."""
    pq_only: bool = False
    """Whether P-384 keys too are certified by the ML-DSA authority."""
    slots: tuple[int, ...] = PERSONALISED_SLOTS
    """The slots that get a key; the chip's own list, since the chip wants each of them before it locks."""
    attesting: int = Slot.ID_PQ
    rejection_check: int = 16
    """One die in so many, drawn by the vault, is also sent a ciphertext that it must reject; 1: each."""
    readback: Literal["hash", "full"] = "hash"
    """What is read back of the certificates after they were written: their hash, or all of it as well."""
    payload_max: int = 4096
    budget_factor: float = 1.0
    trng: Trng = Trng()
    import_keys: tuple[int, ...] = ()
    """Slots whose keys an order may have born in the key store instead of on the die."""
    customer_bytes: int = 0
    """How much data of his own a customer may have in each device, by his order."""

    def encode(self) -> bytes:
        """The canonical JSON of the profile."""
        return msgspec.json.encode(self, order="deterministic")

    def hash(self) -> bytes:
        """SHA-256 of the canonical JSON."""
        return sha256(self.encode()).digest()

    def kinds(self) -> Mapping[int, Kind]:
        """The kind of key for each slot, in order."""
        return _kinds(self.slots, pq_only=self.pq_only)

    def authorities(self) -> tuple[Algorithm, ...]:
        """The algorithms of the issuing keys that the certificates need, in order."""
        return tuple(sorted({kind.authority for kind in self.kinds().values()}))

    def faults(self) -> list[str]:
        """Say what in it no device can be made by."""
        wrong = [f"slot {slot} has no key" for slot in self.slots if slot not in KINDS]
        if frozenset(self.slots) != frozenset(PERSONALISED_SLOTS):
            wrong.append(f"slots must be {PERSONALISED_SLOTS}, as the chip wants them")
        if not isinstance(KINDS.get(self.attesting), SigningKind):
            wrong.append(f"slot {self.attesting} cannot attest")
        if not PAYLOAD_MIN <= self.payload_max <= PAYLOAD_MAX:
            wrong.append(f"payload_max {self.payload_max} is not from {PAYLOAD_MIN} to {PAYLOAD_MAX}")
        if self.rejection_check < 1 or not 0 < self.budget_factor <= BUDGET_FACTOR_MAX:
            wrong.append(f"rejection_check is from 1, budget_factor up to {BUDGET_FACTOR_MAX:g}")
        if not set(self.import_keys) <= set(self.slots):
            wrong.append(f"import_keys {self.import_keys} are not all slots of it")
        if not 0 <= self.customer_bytes <= CUSTOMER_MAX:
            wrong.append(f"customer_bytes {self.customer_bytes} is not from 0 to {CUSTOMER_MAX}")
        if not PRODUCT.fullmatch(self.product) or not 0 <= self.number <= NUMBER_MAX:
            wrong.append("product: small letters, digits and -, at most 32; number: 16 bits")
        oids = (self.policy_oid, *filter(None, (self.hardware_type,)))
        return wrong + [f"{oid[:64]!r} is no OID" for oid in oids if not OID.fullmatch(oid)]

    def refused(self) -> list[str]:
        """Say why production cannot make devices by it."""
        wrong = [
            f"{name} {oid} lies in the documentation arc {DEVELOPMENT_ARC}"
            for name, oid in (("policy_oid", self.policy_oid), ("hardware_type", self.hardware_type))
            if f"{oid}.".startswith(f"{DEVELOPMENT_ARC}.")
        ]
        if self.organisation == DEVELOPMENT_ORGANISATION:
            wrong.append(f"organisation is {DEVELOPMENT_ORGANISATION!r}")
        return wrong


@lru_cache
def _kinds(slots: tuple[int, ...], *, pq_only: bool) -> Mapping[int, Kind]:
    kinds = {slot: KINDS[Slot(slot)] for slot in sorted(slots)}
    if not pq_only:
        return kinds
    return {slot: replace(kind, authority=Algorithm.MLDSA65) for slot, kind in kinds.items()}


SE1 = Profile(product="se1", number=0x0001)
PRODUCTS: Mapping[str, Profile] = {SE1.product: SE1}
