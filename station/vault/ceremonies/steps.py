"""The steps that a ceremony can consist of, as data. Each says in `text` what the persons confirm."""

from typing import TypeAlias, get_args

import msgspec

from station.vault.keys.words import KeyProfile, KeyState, Mode, PqPolicy
from station.vault.pki.authorities import House


class _Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="do"):
    text: str


class Inspect(_Step, frozen=True, tag="inspect"):
    """Write down what the machine is and runs, and which of its networks are up."""


class MakeStore(_Step, frozen=True, tag="make-store"):
    """Make a key store whose shares go to custodians."""

    mode: Mode
    custodians: tuple[str, ...]
    module: str = ""
    """A PKCS#11 module; empty: the keys lie in the file."""
    token: str = ""
    pq: PqPolicy = PqPolicy.REFUSE


class OpenStore(_Step, frozen=True, tag="open-store"):
    """Have custodians open the store, or holders of a backup."""

    backup: str = ""
    """The folder with the backup's shares."""


class Generate(_Step, frozen=True, tag="generate"):
    """Make a key, pre-active."""

    profile: KeyProfile


class OpenLedger(_Step, frozen=True, tag="open-ledger"):
    """Name the ledger whose heads the store signs."""

    origin: str


class Move(_Step, frozen=True, tag="change"):
    """Bring a key into another state."""

    key: str
    state: KeyState
    reason: str


class Request(_Step, frozen=True, tag="request"):
    """Write an issuing key's request for a certificate."""

    key: str
    house: House
    file: str


class CertifyRoot(_Step, frozen=True, tag="certify-root"):
    """Write a root's certificate, signed by itself."""

    key: str
    house: House
    file: str


class Certify(_Step, frozen=True, tag="certify"):
    """Answer the request of an issuing key by a root's signature."""

    key: str
    house: House
    root: str
    """The file with the root's certificate."""
    request: str
    file: str


class RootList(_Step, frozen=True, tag="root-list"):
    """Have a root sign its list of revoked authorities."""

    key: str
    root: str
    """The file with the root's certificate."""
    number: int
    days: int
    """How long the list may be used."""
    file: str
    revoked: str = ""
    """A file with the revoked ones; empty: there are none."""


class TakeCertificate(_Step, frozen=True, tag="take-certificate"):
    """Check what the root has answered, and put it where the vault looks for it."""

    key: str
    house: House
    root: str
    certificate: str
    into: str
    """The vault's folder."""


class Backup(_Step, frozen=True, tag="backup"):
    """Cut the file's key into further shares, a file for each holder."""

    holders: tuple[str, ...]
    threshold: int


class Recover(_Step, frozen=True, tag="recover"):
    """Make a copy of a store a store of its own: another key, other shares, another id."""

    custodians: tuple[str, ...]
    threshold: int
    lost: int
    """Uses of each limited key that the copy cannot know of."""


class LoadSealed(_Step, frozen=True, tag="load-sealed"):
    """Take over a key that was sealed to this store."""

    profile: KeyProfile
    kem: str
    file: str


class TakeRma(_Step, frozen=True, tag="take-rma"):
    """Put the public key that RMA tokens are sealed to where the vault looks for it."""

    file: str
    into: str
    """The vault's folder."""


class PublishRma(_Step, frozen=True, tag="publish-rma"):
    """Write the public half of an RMA key."""

    key: str
    file: str


class OpenBox(_Step, frozen=True, tag="open-box"):
    """Open the box with the RMA token of one unit, and seal it to the store of its vault."""

    key: str
    box: str
    """The file that the vault's desk gave."""
    bundle: str
    """That of the vault's `init-vault`: to which store, and which key of it."""
    kem: str
    file: str


class Mask(_Step, frozen=True, tag="mask"):
    """Write what the ROM of a mask set must hold: hashes of the plant's key and of the raw token."""

    kem: str
    raw: str
    number: int
    """The product's, as in UIDs."""
    file: str


class Dump(_Step, frozen=True, tag="dump"):
    """Compare every key of this ceremony, or all of the store, with its profile; a difference fails."""


Step: TypeAlias = (
    Inspect
    | MakeStore
    | OpenStore
    | Generate
    | LoadSealed
    | OpenLedger
    | Move
    | Request
    | CertifyRoot
    | Certify
    | RootList
    | TakeCertificate
    | TakeRma
    | PublishRma
    | OpenBox
    | Mask
    | Backup
    | Recover
    | Dump
)
NAMES: dict[type[Step], str] = {kind: str(kind.__struct_config__.tag) for kind in get_args(Step)}


def title(step: Step) -> str:
    """What a step does, in a few words."""
    name = NAMES[type(step)]
    match step:
        case MakeStore():
            return f"{name} {step.mode}"
        case Generate() | LoadSealed():
            profile = step.profile
            return f"{name} {profile.id}, {profile.algorithm} to {profile.purpose}"
        case OpenLedger():
            return f"{name} {step.origin}"
        case Move():
            return f"{name} {step.key} to {step.state}"
        case Request() | CertifyRoot() | TakeCertificate():
            return f"{name} {step.key}"
        case Certify():
            return f"{name} {step.request} by {step.key}"
        case Backup():
            return f"{name} {step.threshold} of {len(step.holders)}"
        case _:
            return name
