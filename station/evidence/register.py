"""The key register of a bundle: every key of the vault's store, its public half, its life and its uses."""

from base64 import b64encode
from typing import Literal

from msgspec import Struct

from station.vault.keys.words import Entry


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
