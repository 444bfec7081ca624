"""Keys in a hardware module, by PKCS#11. One thread in one process: python-pkcs11 tells no module to lock.

Post-quantum keys lie in the token if its mechanisms show ML-DSA and ML-KEM (PKCS#11 3.2); if not, the store's
policy refuses them, or keeps them in the file and marks them.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha384
from itertools import chain
from typing import TypeVar

import pkcs11
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass, PKCS11Error
from pkcs11.types import (
    DecapsulateMixin,
    Key,
    Object,
    PublicKey,
    SecretKey,
    Session,
    SignMixin,
    Slot,
    UnwrapMixin,
    WrapMixin,
)

from station.vault.keys import token_objects
from station.vault.keys.backend import Place
from station.vault.keys.errors import ModuleError, PolicyError, RequestError
from station.vault.keys.header import Token
from station.vault.keys.soft import AES_KEY, WRAPPED_MAX, SoftKeys
from station.vault.keys.token_objects import GUARDED, WAYS, Template
from station.vault.keys.words import (
    POST_QUANTUM,
    SOFTWARE_PQ,
    SYMMETRIC,
    Algorithm,
    Attributes,
    Entry,
    KeyProfile,
    PqPolicy,
)
from station.vault.secret import Secret

LABEL = "hardbin:"
"""Begins the labels of our objects; others of the token are not touched."""
KWP = (Mechanism.AES_KEY_WRAP_KWP, Mechanism.AES_KEY_WRAP_PAD)
"""SoftHSM2 has RFC 5649 under the older number, which elsewhere means another padding: a test decides."""
KWP_UNIT = 8
Able = TypeVar("Able", SignMixin, WrapMixin, UnwrapMixin, DecapsulateMixin)
NEEDED = (Algorithm.AES_256, Algorithm.P384)
EXPOSED: Template = {Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True, Attribute.TOKEN: False}
"""A session object on its way in or out: its value is known here anyway."""


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Name what the module was asked for when it refuses."""
    try:
        yield
    except PKCS11Error as error:
        raise ModuleError(f"{what}: the module says {type(error).__name__}") from None


class TokenKeys:
    """The back end `pkcs11`."""

    def __init__(
        self, token: Token, pin: Secret, entries: Iterable[Entry], records: Mapping[str, Secret]
    ) -> None:
        known = list(entries)
        self._policy = token.pq
        self._algorithms = {entry.id: entry.profile.algorithm for entry in known}
        self._objects: dict[str, Object] = {}
        self._soft = SoftKeys(known, records)
        self._session = _session(token, pin)
        with asking("start"):
            slot: Slot = self._session.token.slot
            self._mechanisms = frozenset(int(mechanism) for mechanism in slot.get_mechanisms())
            self.module = _maker(self._session)
            self._kwp = self._wrapping_mechanism()
        missing = [algorithm for algorithm in NEEDED if not WAYS[algorithm].listed(self._mechanisms)]
        if missing:
            raise ModuleError(f"{token.module}: the module cannot do {', '.join(missing)}")

    @property
    def mechanisms(self) -> tuple[str, ...]:
        listed = [algorithm.value for algorithm, way in WAYS.items() if way.listed(self._mechanisms)]
        return (*listed, *(["AES-KWP"] if self._kwp is not None else []))

    def place(self, profile: KeyProfile) -> Place:
        way = WAYS.get(profile.algorithm)
        if way is not None and way.listed(self._mechanisms):
            return Place("token")
        if profile.algorithm in POST_QUANTUM and self._policy is PqPolicy.SOFT:
            return Place("soft", SOFTWARE_PQ)
        raise PolicyError(
            f"key {profile.id}: the module has no {profile.algorithm}, and the policy is refuse"
        )

    def generate(self, profile: KeyProfile) -> bytes:
        if self.place(profile).where == "soft":
            return self._soft.generate(profile)
        self._algorithms[profile.id] = profile.algorithm
        with asking(f"generate {profile.id}"):
            token_objects.generate(self._session, profile, LABEL + profile.id)
        return self.public(profile.id)

    def load(self, profile: KeyProfile, key: Secret) -> None:
        if profile.algorithm not in SYMMETRIC:
            if self.place(profile).where != "soft":
                raise RequestError(f"key {profile.id}: the token makes its {profile.algorithm} keys itself")
            self._soft.load(profile, key)
            return
        if len(key) != AES_KEY:
            raise RequestError(f"key {profile.id}: an AES key of this store has {AES_KEY} bytes")
        self._algorithms[profile.id] = profile.algorithm
        may = token_objects.capabilities(profile)
        template = {
            **GUARDED,
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.AES,
            Attribute.TOKEN: True,
            Attribute.ID: profile.id.encode(),
            Attribute.LABEL: LABEL + profile.id,
            Attribute.VALUE: bytes(key.reveal()),
            Attribute.SIGN: bool(may & pkcs11.MechanismFlag.SIGN),
            Attribute.WRAP: bool(may & pkcs11.MechanismFlag.WRAP),
            Attribute.UNWRAP: bool(may & pkcs11.MechanismFlag.UNWRAP),
        }
        with asking(f"load {profile.id}"):
            self._session.create_object(template)

    def records(self) -> Mapping[str, Secret]:
        return self._soft.records()

    def found(self) -> Iterable[str]:
        with asking("look for keys"):
            objects = chain(*(self._ours(kind) for kind in (ObjectClass.SECRET_KEY, ObjectClass.PRIVATE_KEY)))
            return (*self._soft.found(), *(label.removeprefix(LABEL) for label in objects))

    def _ours(self, kind: ObjectClass) -> list[str]:
        objects = self._session.get_objects({Attribute.CLASS: kind, Attribute.TOKEN: True})
        labels = [str(found[Attribute.LABEL]) for found in objects]
        return [label for label in labels if label.startswith(LABEL)]

    def public(self, key: str) -> bytes:
        if key in self._soft.found():
            return self._soft.public(key)
        algorithm = self._algorithms[key]
        if algorithm is Algorithm.AES_256:
            return b""
        with asking(f"public half of {key}"):
            found = self._session.get_key(ObjectClass.PUBLIC_KEY, label=LABEL + key, id=key.encode())
            if not isinstance(found, PublicKey):
                raise ModuleError(f"the public half of {key} is no public key")
            return token_objects.spki(algorithm, found)

    def mac(self, key: str, message: bytes) -> bytes:
        with asking(f"MAC by {key}"):
            return self._able(key, SignMixin).sign(message, mechanism=Mechanism.AES_CMAC)

    def wrap(self, key: str, content: Secret) -> bytes:
        mechanism = self._mechanism()
        if not 1 <= len(content) <= WRAPPED_MAX or len(content) % KWP_UNIT:
            raise RequestError(f"a module wraps keys of whole {KWP_UNIT} bytes, at most {WRAPPED_MAX}")
        with asking(f"wrap under {key}"), self._exposed(content) as wanted:
            return self._able(key, WrapMixin).wrap_key(wanted, mechanism=mechanism)

    def unwrap(self, key: str, wrapped: bytes) -> Secret:
        mechanism, size = self._mechanism(), len(wrapped) - KWP_UNIT
        if not 1 <= size <= WRAPPED_MAX or size % KWP_UNIT:
            raise RequestError(f"a wrapped key has whole {KWP_UNIT} bytes, at most {WRAPPED_MAX + KWP_UNIT}")
        kek = self._able(key, UnwrapMixin)
        kind = (ObjectClass.SECRET_KEY, KeyType.GENERIC_SECRET)
        try:
            opened = kek.unwrap_key(*kind, wrapped, mechanism=mechanism, template=EXPOSED)
        except PKCS11Error:
            raise PolicyError("a wrapped key was changed, or is under another key") from None
        with asking(f"unwrap under {key}"):
            secret = Secret(opened[Attribute.VALUE])
            opened.destroy()
        return secret

    def sign(self, key: str, message: bytes) -> bytes:
        if key in self._soft.found():
            return self._soft.sign(key, message)
        signer, algorithm = self._able(key, SignMixin), self._algorithms[key]
        way = WAYS[algorithm]
        with asking(f"sign with {key}"):
            if algorithm is not Algorithm.P384:
                return signer.sign(message, mechanism=way.use)
            signature = signer.sign(sha384(message).digest(), mechanism=way.use)
        half = len(signature) // 2
        return encode_dss_signature(int.from_bytes(signature[:half]), int.from_bytes(signature[half:]))

    def decapsulate(self, key: str, ciphertext: bytes) -> Secret:
        if key in self._soft.found():
            return self._soft.decapsulate(key, ciphertext)
        with asking(f"decapsulate with {key}"):
            shared = self._able(key, DecapsulateMixin).decapsulate_key(
                ciphertext, KeyType.GENERIC_SECRET, 256, mechanism=Mechanism.ML_KEM, template=EXPOSED
            )
            secret = Secret(shared[Attribute.VALUE])
            shared.destroy()
        return secret

    def open_box(self, key: str, box: bytes, info: bytes) -> Secret:
        return self._soft.open_box(key, box, info)

    def random(self, size: int) -> bytes:
        with asking("random bytes"):
            return self._session.generate_random(size * 8)

    def attest(self, key: str) -> Attributes:
        if key in self._soft.found():
            return self._soft.attest(key)
        found = self._held(key)
        with asking(f"attributes of {key}"):
            return {
                "present": True,
                "token": bool(found[Attribute.TOKEN]),
                "sensitive": bool(found[Attribute.SENSITIVE]) and not found[Attribute.EXTRACTABLE],
                "never_extractable": bool(found[Attribute.NEVER_EXTRACTABLE]),
                "local": bool(found[Attribute.LOCAL]),
            }

    def exportable(self, entry: Entry) -> list[str]:
        """Read the value, and wrap the key under another: the module must refuse both."""
        if entry.id in self._soft.found():
            return []
        found, wrong = self._held(entry.id), list[str]()
        with suppress(PKCS11Error):
            _ = found[Attribute.VALUE]
            wrong.append(f"the value of {entry.id} can be read")
        if self._kwp is not None and self._wraps(found):
            wrong.append(f"key {entry.id} can be wrapped")
        return wrong

    def destroy(self, key: str) -> None:
        self._objects.pop(key, None)
        self._soft.destroy(key)
        with asking(f"destroy {key}"):
            ours = {Attribute.LABEL: LABEL + key, Attribute.TOKEN: True}
            for found in [*self._session.get_objects(ours)]:
                found.destroy()

    def close(self) -> None:
        self._soft.close()
        with asking("leave"):
            self._session.close()

    def _held(self, key: str) -> Object:
        """Look a key up, once."""
        if key not in self._objects:
            symmetric = self._algorithms[key] is Algorithm.AES_256
            kind = ObjectClass.SECRET_KEY if symmetric else ObjectClass.PRIVATE_KEY
            with asking(f"look for {key}"):
                self._objects[key] = self._session.get_key(kind, label=LABEL + key, id=key.encode())
        return self._objects[key]

    def _able(self, key: str, kind: type[Able]) -> Able:
        """Look a key up that the token lets do this."""
        found = self._held(key)
        if not isinstance(found, kind):
            raise PolicyError(f"the token does not let key {key} do this")
        return found

    def _mechanism(self) -> Mechanism:
        if self._kwp is None:
            raise ModuleError("the module has no AES-KWP (RFC 5649)")
        return self._kwp

    @contextmanager
    def _exposed(self, content: Secret) -> Iterator[SecretKey]:
        kind = {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.KEY_TYPE: KeyType.GENERIC_SECRET}
        held = self._session.create_object({**EXPOSED, **kind, Attribute.VALUE: bytes(content.reveal())})
        try:
            if not isinstance(held, SecretKey):
                raise ModuleError("the module made no key of what it was given")
            yield held
        finally:
            held.destroy()

    def _wraps(self, found: Object) -> bool:
        """Whether a key can be got out by wrapping it."""
        may = pkcs11.MechanismFlag.WRAP | pkcs11.MechanismFlag.UNWRAP
        with asking("a key to try exports with"):
            thief = self._session.generate_key(KeyType.AES, 256, capabilities=may, template=GUARDED)
        try:
            if isinstance(thief, WrapMixin) and isinstance(found, Key):
                thief.wrap_key(found, mechanism=self._kwp)
                return True
        except PKCS11Error:
            return False
        finally:
            thief.destroy()
        return False

    def _wrapping_mechanism(self) -> Mechanism | None:
        """The mechanism that gives what RFC 5649 says, tried with a key that both sides know."""
        known, content = bytes(range(AES_KEY)), Secret(bytes(range(16)))
        template: Template = {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.AES,
            Attribute.VALUE: known,
            Attribute.TOKEN: False,
            Attribute.WRAP: True,
        }
        expected = aes_key_wrap_with_padding(known, bytes(content.reveal()))
        kek = self._session.create_object(template)
        try:
            with self._exposed(content) as wanted:
                return next((m for m in KWP if self._wrapped(kek, wanted, m) == expected), None)
        finally:
            kek.destroy()

    def _wrapped(self, kek: Object, wanted: SecretKey, mechanism: Mechanism) -> bytes | None:
        if mechanism.value not in self._mechanisms or not isinstance(kek, WrapMixin):
            return None
        try:
            return kek.wrap_key(wanted, mechanism=mechanism)
        except PKCS11Error:
            return None


def _session(token: Token, pin: Secret) -> Session:
    try:
        library = pkcs11.lib(token.module)
    except (RuntimeError, OSError):
        raise ModuleError(f"{token.module}: cannot be loaded as a PKCS#11 module") from None
    with asking(f"token {token.label!r}"):
        return library.get_token(token_label=token.label).open(rw=True, user_pin=pin.reveal().decode())


def _maker(session: Session) -> str:
    token = session.token
    return f"{token.manufacturer_id} {token.model} {bytes(token.serial).decode(errors='replace')}".strip()
