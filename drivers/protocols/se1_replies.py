"""What the chip `se1` tells in its replies, as `se1` reads them."""

from enum import IntFlag

import msgspec

from drivers.protocols.se1_table import LifeCycle, SlotState

SLOT_ENTRY = 54
HEALTH = ("sound", "start-up failed", "repetition count", "adaptive proportion")


class DieStatus(msgspec.Struct, frozen=True):
    """DIE STATUS: what the die has become; `slots` are the states of slots 1 to 3."""

    life_cycle: LifeCycle
    rom_version: int
    firmware_version: int
    auth_failures: int
    token_failures: int
    test_transitions: int
    slots: tuple[SlotState, SlotState, SlotState]
    containers: int
    """Bit 0 identity, 1 credentials, 2 customer, 7 staging under way."""
    in_session: bool
    alarms: int
    """Bits of `Alarms`."""
    boots: int


class SelfTests(IntFlag):
    """The bits of SELF TEST and RUN BIST."""

    AES = 1
    SHA = 2
    DRBG = 4
    TRNG = 8
    """Start-up test of the noise source."""
    ECDSA = 16
    MLDSA = 32
    MLKEM = 64
    ROM = 128
    NVM = 256
    ALL = 511


class Alarms(IntFlag):
    """The bits of the alarms in DIE STATUS."""

    SENSOR = 1
    NVM = 2
    RNG = 4
    CAST = 8


class SelfTest(msgspec.Struct, frozen=True):
    """SELF TEST and RUN BIST: which of `SelfTests` ran and which failed."""

    run: int
    failed: int


class TrngHealth(msgspec.Struct, frozen=True):
    """TRNG HEALTH: counts of the repetition (RCT) and proportion (APT) tests of SP 800-90B since reset."""

    state: str
    """One of `HEALTH`; any but the first is held until reset."""
    rct_cutoff: int
    rct_longest: int
    apt_cutoff: int
    apt_worst: int
    apt_window: int
    samples: int


class SlotInfo(msgspec.Struct, frozen=True):
    """One slot as SLOT INFO and the attestation tell it; the hash is SHA-384 of the public key."""

    slot: int
    algorithm: int
    state: SlotState
    attributes: int
    public_key_hash: bytes


class Challenge(msgspec.Struct, frozen=True):
    """The reply to INITIALIZE UPDATE."""

    diversification: bytes
    kvn: int
    scp: int
    i: int
    card_challenge: bytes
    card_cryptogram: bytes


class CheckValues(msgspec.Struct, frozen=True):
    """The reply to PUT KEY and PUT TRANSPORT KEYS."""

    kvn: int
    enc: bytes
    mac: bytes
    dek: bytes


class NewKey(msgspec.Struct, frozen=True):
    """The reply to GENERATE KEY PAIR and IMPORT KEY."""

    state: SlotState
    public_key_length: int
