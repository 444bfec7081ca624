"""Requests and certificates of authorities, as a ceremony makes them with the keys of a store."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from cryptography.x509 import ReasonFlags

from station.errors import ConfigError
from station.vault.ceremonies import steps
from station.vault.keys import calls
from station.vault.keys.control import Control
from station.vault.keys.errors import PolicyError, RequestError
from station.vault.keys.words import Algorithm, Entry, KeyState
from station.vault.pki import authorities, chains
from station.vault.pki.authorities import RANKS, TOP, House, Rank, Trust
from station.vault.pki.crl import CrlDraft, Revoked
from station.vault.pki.signing import ALGORITHMS, Signing, VerifyingKey

DAY_S = 86_400
ROLES = {Algorithm.ML_DSA_87: "root", Algorithm.P384: "root EC"}
OF = {Algorithm.P384: "P384", Algorithm.ML_DSA_65: "MLDSA65"}


class StoreSigning(Signing):
    """Signs with the keys of a store; an issuing key that is not active signs its own request only."""

    def __init__(self, store: Control) -> None:
        self._store = store
        self._entries = {entry.id: entry for entry in store.ask(calls.Entries(), list[Entry])}

    async def sign(self, key: str, message: bytes, order: str) -> bytes:
        """Sign a message."""
        if self.entry(key).state is KeyState.PRE_ACTIVE:
            return self._store.ask(calls.SignRequest(key, message), bytes)
        del order
        return self._store.ask(calls.Sign(key, message, ""), bytes)

    def public(self, key: str) -> VerifyingKey:
        """The public half of a key."""
        found = load_der_public_key(self.entry(key).public)
        for kind in ALGORITHMS:
            if isinstance(found, kind):
                return found
        raise PolicyError(f"key {key}: no key that authorities have")

    def entry(self, key: str) -> Entry:
        """What the register tells of a key."""
        if key not in self._entries:
            raise RequestError(f"there is no key {key[:64]!r}")
        return self._entries[key]


def request(store: Control, step: steps.Request) -> bytes:
    """The PKCS #10 request of an issuing key."""
    signing = StoreSigning(store)
    rank = _rank(signing, step.key)
    return asyncio.run(authorities.request(signing, rank, step.house, authorities.CEREMONY))


def root(store: Control, step: steps.CertifyRoot, since: int) -> bytes:
    """The certificate of a root."""
    signing = StoreSigning(store)
    algorithm = signing.entry(step.key).profile.algorithm
    if algorithm not in ROLES:
        raise PolicyError(f"key {step.key}: a root is {' or '.join(ROLES)}, not {algorithm}")
    rank = Rank(step.key, ROLES[algorithm], TOP.file)
    since_then = datetime.fromtimestamp(since, UTC)
    return asyncio.run(
        authorities.root_certificate(signing, step.house, since_then, authorities.CEREMONY, rank)
    )


def certify(store: Control, step: steps.Certify, folder: Path, since: int) -> bytes:
    """The certificate that a root gives to a request."""
    signing, trust = StoreSigning(store), _trust(step.house, folder / step.root)
    above = chains.verifying_key(chains.loaded(trust.root, step.root))
    if above != signing.public(step.key):
        raise PolicyError(f"{step.root}: not the certificate of {step.key}")
    asked, then = _read(folder / step.request), datetime.fromtimestamp(since, UTC)
    try:
        return asyncio.run(authorities.certify(asked, trust, signing, then, authorities.CEREMONY, step.key))
    except ConfigError as error:
        raise PolicyError(f"{step.request}: {error}") from error


class RevokedAuthority(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An issuing authority that is not one any more."""

    serial: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{40}\Z")]
    """Of its certificate."""
    reason: Literal["cACompromise", "superseded", "cessationOfOperation", "affiliationChanged"]
    since: Annotated[int, msgspec.Meta(ge=0, le=10**11)]
    """Unix seconds."""


def root_list(store: Control, step: steps.RootList, folder: Path, now: int) -> bytes:
    """A root's list of the authorities that it has revoked."""
    signing = StoreSigning(store)
    anchor = chains.Anchor(chains.loaded(_read(folder / step.root), step.root))
    if anchor.key != signing.public(step.key):
        raise PolicyError(f"{step.root}: not the certificate of {step.key}")
    gone = _revoked(folder / step.revoked) if step.revoked else ()
    draft = CrlDraft(anchor, step.number, now, now + step.days * DAY_S, gone)
    try:
        return asyncio.run(authorities.root_list(draft, signing, authorities.CEREMONY, step.key))
    except ConfigError as error:
        raise PolicyError(str(error)) from error


def _revoked(path: Path) -> tuple[Revoked, ...]:
    try:
        found = msgspec.json.decode(_read(path), type=tuple[RevokedAuthority, ...])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestError(f"{path}: not a list of revoked authorities: {error}") from error
    return tuple(Revoked(bytes.fromhex(one.serial), ReasonFlags(one.reason), one.since) for one in found)


def take(store: Control, step: steps.TakeCertificate, folder: Path) -> dict[str, bytes]:
    """The files that the vault takes: the root's certificate and the key's, checked against each other."""
    signing, trust = StoreSigning(store), _trust(step.house, folder / step.root)
    rank, certificate = _rank(signing, step.key), _read(folder / step.certificate)
    try:
        authorities.take(certificate, rank, signing, trust)
    except ConfigError as error:
        raise PolicyError(f"{step.certificate}: {error}") from error
    return {authorities.ROOT_FILE: trust.root, rank.file: certificate}


def _rank(signing: StoreSigning, key: str) -> Rank:
    algorithm = signing.entry(key).profile.algorithm
    for known, rank in RANKS.items():
        if OF.get(algorithm) == known.name:
            return Rank(key, rank.role, rank.file)
    raise PolicyError(f"key {key}: an issuing key is {' or '.join(OF)}, not {algorithm}")


def _trust(house: House, path: Path) -> Trust:
    return Trust(house, _read(path))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RequestError(f"{path}: {error.strerror}") from error
