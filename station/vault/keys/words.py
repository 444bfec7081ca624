"""The words in which one speaks of keys: algorithms, purposes, states, and what the register tells."""

import re
from enum import StrEnum
from typing import TypeAlias

import msgspec

from station.vault.keys.errors import RequestError

KEY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,47}")
LIMIT_MAX = 10**12
TIME_MAX = 10**11
CUSTODIANS, THRESHOLD = 3, 2
"""Of a store for production, as it is made."""


class Algorithm(StrEnum):
    """What keys are for; all symmetric keys have 256 bits."""

    AES_256 = "AES-256"
    P384 = "P-384"
    ED25519 = "Ed25519"
    ML_DSA_44 = "ML-DSA-44"
    ML_DSA_65 = "ML-DSA-65"
    ML_DSA_87 = "ML-DSA-87"
    ML_KEM_768 = "ML-KEM-768"
    ML_KEM_1024 = "ML-KEM-1024"
    ML_KEM_1024_P384 = "ML-KEM-1024+P-384"
    """Both together, for boxes of HPKE; its public half is raw: the one key, then the point."""


class Purpose(StrEnum):
    """The one thing that a key does (SP 800-57 Part 1, 5.2)."""

    DERIVE = "derive"
    """Keys of dies from a master."""
    WRAP = "wrap"
    """AES-KWP of other keys."""
    SIGN = "sign"
    ISSUE = "issue"
    """Certificates: each signature needs a ticket of an order."""
    CHECKPOINT = "checkpoint"
    """Heads of the ledger, nothing else."""
    DECAPSULATE = "decapsulate"
    RECEIVE = "receive"
    """Keys and tokens that are sealed to the store; what is under it never leaves by decapsulation."""
    OPEN = "open"
    """Boxes with RMA tokens; each is sealed anew to the store of a vault and goes nowhere else."""


class KeyState(StrEnum):
    """States of a key (SP 800-57 Part 1, 7)."""

    PRE_ACTIVE = "pre-active"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    DEACTIVATED = "deactivated"
    DESTROYED = "destroyed"
    COMPROMISED = "compromised"


class Mode(StrEnum):
    """A development store opens with a passphrase that everybody knows; a zeroised one never again."""

    PRODUCTION = "production"
    DEVELOPMENT = "development"
    ZEROISED = "zeroised"


class PqPolicy(StrEnum):
    """What becomes of ML-DSA and ML-KEM keys that the module cannot hold."""

    REFUSE = "refuse"
    SOFT = "soft"
    """They lie in the store's file, marked."""


DEVELOPMENT_CUSTODIAN = "everybody"
DEVELOPMENT_PASSPHRASE = b"hardbin development store"
"""Public: a development store is sealed, so that the code is the same, and protects nothing."""
SEALED_FOR_DIE = "rma-token "
"""Begins the name under which a token of a die is sealed to a store; no key's name begins so."""
PROOF = b"hardbin-proof-v1\0"
"""Begins what a proof of possession signs; neither DER nor a label of a derivation begins like this."""
REGISTER = "hardbin.key-register.v1"
"""What a statement of the register is."""
STATED = b'{"typ":"hardbin.key-'
"""Begins what only the store itself states."""
SOFTWARE_PQ = "software PQ key"
"""The mark of a key that lies in the file although the store has a hardware module."""
SYMMETRIC = frozenset({Algorithm.AES_256})
IMPORTED = SYMMETRIC | {Algorithm.ML_KEM_768}
"""What a store takes over that was made elsewhere; of ML-KEM the seed, so that several vaults load dies."""
SIGNING = frozenset(
    {Algorithm.P384, Algorithm.ED25519, Algorithm.ML_DSA_44, Algorithm.ML_DSA_65, Algorithm.ML_DSA_87}
)
KEM = frozenset({Algorithm.ML_KEM_768, Algorithm.ML_KEM_1024})
ML_DSA = frozenset({Algorithm.ML_DSA_44, Algorithm.ML_DSA_65, Algorithm.ML_DSA_87})
POST_QUANTUM = KEM | ML_DSA | {Algorithm.ML_KEM_1024_P384}
ALLOWED = {
    Purpose.DERIVE: SYMMETRIC,
    Purpose.WRAP: SYMMETRIC,
    Purpose.SIGN: SIGNING,
    Purpose.ISSUE: SIGNING,
    Purpose.CHECKPOINT: frozenset({Algorithm.ED25519, Algorithm.ML_DSA_44}),
    Purpose.DECAPSULATE: KEM,
    Purpose.RECEIVE: KEM,
    Purpose.OPEN: frozenset({Algorithm.ML_KEM_1024_P384}),
}
Attributes: TypeAlias = dict[str, bool]


class KeyRef(msgspec.Struct, frozen=True):
    """A key's name."""

    id: str


class KeyProfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a key is to be, before there is one."""

    id: str
    algorithm: Algorithm
    purpose: Purpose
    limit: int | None = None
    """Uses in its whole life; None: not limited."""
    not_before: int = 0
    not_after: int | None = None
    """Unix seconds of its crypto period."""

    def check(self) -> None:
        """Raise RequestError if there can be no such key."""
        if not KEY_ID.fullmatch(self.id):
            raise RequestError(f"key id {self.id[:64]!r}: letters, digits and . _ -, at most 48")
        if self.algorithm not in ALLOWED[self.purpose]:
            fit = ", ".join(sorted(ALLOWED[self.purpose]))
            raise RequestError(f"key {self.id}: {self.algorithm} cannot {self.purpose}; allowed: {fit}")
        if self.limit is not None and not 1 <= self.limit <= LIMIT_MAX:
            raise RequestError(f"key {self.id}: limit {self.limit} is not from 1 to {LIMIT_MAX}")
        if self.not_after is not None and self.not_after <= self.not_before:
            raise RequestError(f"key {self.id}: its period ends before it begins")
        if not 0 <= self.not_before <= TIME_MAX or (self.not_after or 0) > TIME_MAX:
            raise RequestError(f"key {self.id}: its period is from 0 to {TIME_MAX}, in Unix seconds")


class Ticket(msgspec.Struct, frozen=True):
    """A counted use: the order that a signature is for; empty where no order is needed."""

    order: str = ""


class Approval(msgspec.Struct, frozen=True):
    """Who wants a key's state changed, and why; kept in the register."""

    actor: str
    reason: str


class Change(msgspec.Struct, frozen=True):
    """One change of a key's state."""

    state: KeyState
    at: int
    actor: str
    reason: str


class Entry(msgspec.Struct, frozen=True):
    """What the register tells of a key; nothing of it is secret."""

    profile: KeyProfile
    state: KeyState
    where: str
    """`soft` or `token`."""
    origin: str
    """`generated` or `imported`."""
    public: bytes
    """SubjectPublicKeyInfo, DER; empty for a symmetric key, and for one whose making was cut short."""
    made: bool
    """Whether its making was finished."""
    mark: str = ""
    used: int = 0
    """Uses counted or wasted up to the last start or rewrite."""
    history: tuple[Change, ...] = ()

    @property
    def id(self) -> str:
        """The key's name."""
        return self.profile.id


class BackupShare(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A share outside the store, sealed under its holder's passphrase; it opens the store if enough come."""

    store: str
    """The store's id in hex."""
    holder: str
    threshold: int
    of: int
    salt: bytes
    nonce: bytes
    box: bytes


class Signatory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person whose signature a store believes."""

    person: str
    roles: tuple[str, ...]
    ed25519: bytes
    """The raw public key."""


class SealedKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key on its way to a store, sealed to one of its keys."""

    store: str
    """The store's id in hex."""
    kem: str
    key: str
    """The name that it will have."""
    ciphertext: bytes
    box: bytes


class Use(msgspec.Struct, frozen=True):
    """How far a counter has come: `leased` is durable and at most 100 ahead of `used`."""

    used: int
    leased: int
    limit: int | None


class Health(msgspec.Struct, frozen=True):
    """How the store is; answered in every state, without custodians."""

    state: str
    """`sealed`, `active` or `zeroised`."""
    store: str
    """The store's id in hex."""
    mode: Mode
    backend: str
    custodians: tuple[str, ...]
    threshold: int
    shares: int
    """Shares given so far."""
    keys: int
    findings: tuple[str, ...] = ()
    """Differences between the register and the objects."""
    module: str = ""
    """Maker, model and serial number of the token."""
    mechanisms: tuple[str, ...] = ()
    memory_locked: bool = False
    dumpable: bool = True
    before: str = ""
    """The id of the store that this one was recovered from, in hex."""
