"""The attribute dump: what each key of a ceremony is, beside what the plan says that it should be."""

import os
from collections.abc import Iterator
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from station.vault.ceremonies import steps
from station.vault.ceremonies.plan import Plan
from station.vault.keys import calls
from station.vault.keys.control import Control
from station.vault.keys.errors import PolicyError
from station.vault.keys.words import PROOF, SIGNING, Attributes, Entry, Health, KeyProfile, KeyState, Purpose

NONCE = 32
GUARDED = {"token": True, "sensitive": True}
"""What a token must say of each key."""
BORN_THERE = {"never_extractable": True, "local": True}
PROVABLE = frozenset({KeyState.PRE_ACTIVE, KeyState.ACTIVE})
NOT_PROVEN = frozenset({Purpose.WRAP, Purpose.DECAPSULATE, Purpose.RECEIVE, Purpose.OPEN})


class Dumped(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One key, as it was found."""

    profile: KeyProfile
    state: KeyState
    where: str
    origin: str
    mark: str
    public: bytes
    attributes: Attributes
    proven: bool
    """Whether its private half signed a fresh nonce that its public half verified."""


def wanted(plan: Plan) -> dict[str, tuple[KeyProfile | None, KeyState]]:
    """The keys of a plan: their profile, if it makes them, and their state at its end."""
    found: dict[str, tuple[KeyProfile | None, KeyState]] = {}
    for step in plan.steps:
        match step:
            case steps.Generate() | steps.LoadSealed():
                found[step.profile.id] = (step.profile, KeyState.PRE_ACTIVE)
            case steps.Move():
                profile, _ = found.get(step.key, (None, step.state))
                found[step.key] = (profile, step.state)
            case _:
                pass
    return found


def dumped(store: Control, plan: Plan) -> list[Dumped]:
    """Look at each key of a plan; PolicyError tells every difference."""
    health = store.ask(calls.Health(), Health)
    entries = {entry.id: entry for entry in store.ask(calls.Entries(), list[Entry])}
    keys, wrong = [], [*health.findings]
    expected = wanted(plan) or {key: (None, entry.state) for key, entry in entries.items()}
    for key, (profile, state) in expected.items():
        if key not in entries:
            wrong.append(f"{key}: it is not in the register")
            continue
        found = _dumped(store, entries[key])
        keys.append(found)
        wrong += [f"{key}: {difference}" for difference in differences(found, profile, state)]
    if wrong:
        raise PolicyError("; ".join(wrong))
    return keys


def differences(found: Dumped, profile: KeyProfile | None, state: KeyState) -> Iterator[str]:
    """Say how a key differs from its profile, and from what protects such a key."""
    if profile is not None and found.profile != profile:
        yield "its profile is not the plan's"
    if found.state is not state:
        yield f"it is {found.state}, not {state}"
    if found.state is KeyState.DESTROYED:
        if found.attributes.get("present", True):
            yield "it is destroyed, and still there"
        return
    needed = {"present": True}
    if found.where == "token":
        needed |= GUARDED | (BORN_THERE if found.origin == "generated" else {})
    for name, value in needed.items():
        if found.attributes.get(name) is not value:
            yield f"it is not {name}"
    provable = found.state in PROVABLE and found.profile.purpose not in NOT_PROVEN
    if provable and not found.proven:
        yield "it does not prove itself"


def _dumped(store: Control, entry: Entry) -> Dumped:
    return Dumped(
        profile=entry.profile,
        state=entry.state,
        where=entry.where,
        origin=entry.origin,
        mark=entry.mark,
        public=entry.public,
        attributes=store.ask(calls.Attest(entry.id), Attributes),
        proven=_proven(store, entry),
    )


def _proven(store: Control, entry: Entry) -> bool:
    """Have a key sign a nonce; a symmetric one has to give the same MAC twice, and another for another."""
    if entry.state not in PROVABLE or entry.profile.purpose in NOT_PROVEN:
        return False
    nonce = os.urandom(NONCE)
    proof = store.ask(calls.Prove(entry.id, nonce), bytes)
    if entry.profile.algorithm in SIGNING:
        return verified(entry.public, proof, PROOF + nonce)
    again, other = (store.ask(calls.Prove(entry.id, one), bytes) for one in (nonce, os.urandom(NONCE)))
    return proof == again != other


def verified(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether a signature of a key of the store, by its SubjectPublicKeyInfo, is over this message."""
    key = load_der_public_key(public)
    try:
        match key:
            case ec.EllipticCurvePublicKey():
                key.verify(signature, message, ec.ECDSA(hashes.SHA384()))
            case (
                ed25519.Ed25519PublicKey()
                | mldsa.MLDSA44PublicKey()
                | mldsa.MLDSA65PublicKey()
                | mldsa.MLDSA87PublicKey()
            ):
                key.verify(signature, message)
            case _:
                return False
    except InvalidSignature:
        return False
    return True


def plain(keys: list[Dumped]) -> list[Any]:
    """As a transcript and a bundle have it."""
    found: list[Any] = msgspec.to_builtins(keys)
    return found
