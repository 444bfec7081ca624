"""What may be asked of the key store's process."""

from typing import NoReturn, TypeAlias

import msgspec

from station.vault.keys.words import Approval, BackupShare, KeyProfile, KeyState, Mode, PqPolicy, Signatory


class _Call(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Arguments of an operation, in order."""


class _Secret(_Call, frozen=True, eq=False):
    """Arguments that nobody may see: not printed, compared or pickled, whoever logs the call."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a call with a secret is not pickled")


class Custodian(_Secret, frozen=True, eq=False):
    """Somebody who holds a share."""

    name: str
    passphrase: bytearray


class TokenPlan(_Secret, frozen=True, eq=False):
    """A token that is to hold the keys; it has been initialised."""

    module: str
    label: str
    pq: PqPolicy
    pin: bytearray


class Init(_Call, frozen=True):
    """Make a store."""

    mode: Mode
    custodians: tuple[Custodian, ...]
    token: TokenPlan | None


class Activate(_Secret, frozen=True, eq=False):
    """Give a share."""

    custodian: str
    passphrase: bytearray


class Health(_Call, frozen=True):
    """How the store is."""


class Entries(_Call, frozen=True):
    """The register."""


class Zeroise(_Call, frozen=True):
    """Destroy the store: its id in hex, so that nobody means another one."""

    store: str


class Decide(_Call, frozen=True):
    """Bring a key into another state, by people: all but stopping it takes as many custodians as opening."""

    key: str
    state: KeyState
    approval: Approval
    by: tuple[Custodian, ...]


class DecideSigned(_Call, frozen=True):
    """Bring a key into another state, by a statement that two security officers signed."""

    statement: bytes


class Repassphrase(_Secret, frozen=True, eq=False):
    """Give a share another passphrase."""

    custodian: str
    old: bytearray
    new: bytearray


class Reshare(_Call, frozen=True):
    """Draw a new key for the file and give shares of it to these; the old shares are worth nothing."""

    by: tuple[Custodian, ...]
    custodians: tuple[Custodian, ...]
    threshold: int
    recovered: bool
    """The store was recovered: it gets another id, and names the old one."""
    lost: int
    """Uses of each key that the copy it was recovered from does not know of."""


class Backup(_Call, frozen=True):
    """Cut the file's key into further shares, which are kept elsewhere."""

    by: tuple[Custodian, ...]
    holders: tuple[Custodian, ...]
    threshold: int


class Trust(_Call, frozen=True):
    """Whose signatures under work orders are believed from now on."""

    by: tuple[Custodian, ...]
    persons: tuple[Signatory, ...]


class Restore(_Secret, frozen=True, eq=False):
    """Give a share of a backup."""

    share: BackupShare
    passphrase: bytearray


class StateRegister(_Call, frozen=True):
    """The register as a statement that these keys sign."""

    keys: tuple[str, ...]


class SignRequest(_Call, frozen=True):
    """Have an issuing key sign a PKCS #10 request for itself, also before it is active."""

    key: str
    info: bytes


class LoadSealed(_Call, frozen=True):
    """Take over a key that was sealed to a key of this store."""

    profile: KeyProfile
    kem: str
    ciphertext: bytes
    box: bytes


class Reseal(_Call, frozen=True):
    """Open the box with a die's RMA token and seal it to a vault's store, given by its id and a key of it."""

    key: str
    uid: bytes
    box: bytes
    store: str
    kem: str
    public: bytes


class RmaToken(_Call, frozen=True):
    """The RMA token of a die that was sealed to this store."""

    uid: bytes
    kem: str
    ciphertext: bytes
    box: bytes


class Generate(_Call, frozen=True):
    """Make a key."""

    profile: KeyProfile


class Load(_Secret, frozen=True, eq=False):
    """Take over a key."""

    profile: KeyProfile
    key: bytearray


class Derive(_Call, frozen=True):
    """Keys from a master, one for each label."""

    key: str
    labels: tuple[bytes, ...]
    context: bytes
    bits: int


class Random(_Call, frozen=True):
    """Random bytes."""

    size: int


class Wrap(_Secret, frozen=True, eq=False):
    """Wrap a key."""

    kek: str
    key: bytearray


class Unwrap(_Call, frozen=True):
    """Unwrap a key."""

    kek: str
    wrapped: bytes


class Sign(_Call, frozen=True):
    """Sign for an order."""

    key: str
    message: bytes
    order: str


class SignAll(_Call, frozen=True):
    """Several signatures, in one question."""

    asked: tuple[Sign, ...]


class Decapsulate(_Call, frozen=True):
    """The shared secret of a ciphertext."""

    key: str
    ciphertext: bytes


class OpenLedger(_Call, frozen=True):
    """Name the ledger whose heads are signed."""

    origin: str


class RotateLedger(_Call, frozen=True):
    """Sign for the next ledger: its name, and the leaves in which the old one and it name each other."""

    origin: str
    last: bytes
    proof: tuple[bytes, ...]
    first: bytes


class SignCheckpoint(_Call, frozen=True):
    """Sign a head."""

    old: int
    size: int
    root: bytes
    proof: tuple[bytes, ...]


class OpenOrder(_Call, frozen=True):
    """Allow signatures for a work order that persons signed."""

    statement: bytes


class Move(_Call, frozen=True):
    """Bring a key into another state; `destroyed` ends it."""

    key: str
    state: KeyState
    approval: Approval


class Public(_Call, frozen=True):
    """A key's public half."""

    key: str


class Prove(_Call, frozen=True):
    """Proof of possession."""

    key: str
    nonce: bytes


class Attest(_Call, frozen=True):
    """What protects a key."""

    key: str


class Usage(_Call, frozen=True):
    """A key's counter."""

    key: str


Call: TypeAlias = (
    Init
    | Decide
    | DecideSigned
    | Repassphrase
    | Reshare
    | Backup
    | Restore
    | Trust
    | StateRegister
    | SignRequest
    | LoadSealed
    | Reseal
    | RmaToken
    | Activate
    | Health
    | Entries
    | Zeroise
    | Generate
    | Load
    | Derive
    | Random
    | Wrap
    | Unwrap
    | Sign
    | SignAll
    | Decapsulate
    | OpenLedger
    | RotateLedger
    | SignCheckpoint
    | OpenOrder
    | Move
    | Public
    | Prove
    | Attest
    | Usage
)
