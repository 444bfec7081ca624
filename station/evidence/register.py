"""The key register of a bundle: every key of the vault's store, its public half, its life and its uses."""

from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec import Struct

from station.errors import EvidenceError, TrustError
from station.evidence import stated
from station.evidence.archive import Archive
from station.evidence.bundle import REGISTER, STATED
from station.evidence.certificates import Authorities
from station.evidence.finding import Finding
from station.evidence.revocations import Issued
from station.evidence.strict import decoded
from station.evidence.trust import Trust
from station.vault.keys.words import Entry
from station.vault.pki.signing import spki


class KeyChange(Struct, frozen=True, forbid_unknown_fields=True):
    """A change of a key's state, in unix seconds."""

    state: str
    at: int
    actor: str
    reason: str


class RegisteredKey(Struct, frozen=True, forbid_unknown_fields=True):
    """One key; `public` is its SubjectPublicKeyInfo in base64, empty for a symmetric key."""

    id: str
    algorithm: str
    purpose: str
    state: str
    where: str
    origin: str
    public: str
    mark: str
    limit: int | None
    used: int
    """Uses, those of leases that a crash wasted included."""
    history: tuple[KeyChange, ...]

    @classmethod
    def of(cls, entry: Entry, used: int) -> "RegisteredKey":
        """Take over what the key store tells."""
        profile = entry.profile
        return cls(
            id=entry.id,
            algorithm=profile.algorithm.value,
            purpose=profile.purpose.value,
            state=entry.state.value,
            where=entry.where,
            origin=entry.origin,
            public=b64encode(entry.public).decode(),
            mark=entry.mark,
            limit=profile.limit,
            used=used,
            history=tuple(KeyChange(one.state.value, one.at, one.actor, one.reason) for one in entry.history),
        )


class Register(Struct, frozen=True, forbid_unknown_fields=True):
    """`key-register.json`."""

    v: Literal[1]
    keys: tuple[RegisteredKey, ...]


def stranger(bundle: Archive, trust: Trust) -> str:
    """Say which key of the bundle has a trusted one's name and is another; empty if none is known to."""
    try:
        public = {key.id: key.public for key in _read(bundle).keys}
    except EvidenceError:
        return ""
    others = [key.kid for key in trust.records if public.get(key.kid, key.public) != key.public]
    return f"its key store's {others[0]} is another key than the trusted one" if others else ""


def differences(
    bundle: Archive, trust: Trust, authorities: Authorities, issued: Sequence[Issued]
) -> Iterator[Finding]:
    """Compare the register with the keys that signed, and their uses with what there is of them."""
    register = _read(bundle)
    for what in (*_counted(register), *_known(register, trust), *_uses(register, authorities, issued)):
        yield Finding(REGISTER, what)
    for what in _stated(bundle, register, trust):
        yield Finding(STATED, what)


def _read(bundle: Archive) -> Register:
    try:
        return decoded(bundle.read(REGISTER), Register)
    except EvidenceError as error:
        raise EvidenceError(f"{REGISTER}: {error}") from error


def _stated(bundle: Archive, register: Register, trust: Trust) -> Iterator[str]:
    """The store itself states what the vault tells of its keys."""
    try:
        found = stated.read(bundle.read(STATED), trust.record_keys())
    except (EvidenceError, TrustError) as error:
        yield str(error)
        return
    yield from stated.faults(found, trust)
    if tuple(RegisteredKey.of(entry, entry.used) for entry in found.keys) != register.keys:
        yield f"states other keys than {REGISTER} has"


def _counted(register: Register) -> Iterator[str]:
    for key in register.keys:
        if key.limit is not None and key.used > key.limit:
            yield f"{key.id} was used {key.used} times, {key.limit} are allowed"


def _known(register: Register, trust: Trust) -> Iterator[str]:
    """A key that signed must be one of the store, under its name."""
    there = {(key.id, key.public) for key in register.keys}
    for one in trust.records:
        if (one.kid, one.public) not in there:
            yield f"has no key {one.kid} like the trusted one"


def _uses(register: Register, authorities: Authorities, issued: Sequence[Issued]) -> Iterator[str]:
    """Each certificate of the lot was one use of its issuing key."""
    counts = Counter(one.issuer for one in issued)
    by_public = {key.public: key for key in register.keys}
    for identifier, authority in authorities.by_identifier.items():
        key = by_public.get(b64encode(spki(authority.key)).decode())
        if key is None:
            yield f"has no key of the authority {authority.certificate.subject.rfc4514_string()}"
        elif key.used < counts[identifier.hex()]:
            yield f"{key.id} was used {key.used} times, but issued {counts[identifier.hex()]} certificates"
