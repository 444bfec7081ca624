"""The steps that a ceremony can consist of, as data. Each says in `text` what the persons confirm."""

from typing import TypeAlias

import msgspec

from station.vault.keys.words import KeyProfile, KeyState, Mode, PqPolicy


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
    """Have custodians open the store."""


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


class Dump(_Step, frozen=True, tag="dump"):
    """Compare every key of this ceremony with its profile; a difference fails."""


Step: TypeAlias = Inspect | MakeStore | OpenStore | Generate | OpenLedger | Move | Dump
NAMES = {
    kind: str(kind.__struct_config__.tag)
    for kind in (Inspect, MakeStore, OpenStore, Generate, OpenLedger, Move, Dump)
}


def title(step: Step) -> str:
    """What a step does, in a few words."""
    match step:
        case MakeStore():
            return f"make-store {step.mode}"
        case Generate():
            profile = step.profile
            return f"generate {profile.id}, {profile.algorithm} to {profile.purpose}"
        case OpenLedger():
            return f"open-ledger {step.origin}"
        case Move():
            return f"change {step.key} to {step.state}"
        case _:
            return NAMES[type(step)]
