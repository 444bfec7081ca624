"""What holds keys: the file, or a module. Its verbs know of no states, limits or people."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from station.vault.keys.words import Attributes, Entry, KeyProfile
from station.vault.secret import Secret


@dataclass(frozen=True)
class Place:
    """Where a key is going to lie."""

    where: str
    mark: str = ""


class Backend(Protocol):
    """Keys of one store. All calls come from one thread; each may raise ModuleError."""

    @property
    def module(self) -> str:
        """Maker, model and serial number, if there is a module."""

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """What the module can do, of what we ask for."""

    def place(self, profile: KeyProfile) -> Place:
        """Where such a key would lie; PolicyError if it may lie nowhere."""

    def generate(self, profile: KeyProfile) -> bytes:
        """Make a key and return its SubjectPublicKeyInfo, empty for a symmetric one."""

    def load(self, profile: KeyProfile, key: Secret) -> None:
        """Take over a symmetric key."""

    def records(self) -> Mapping[str, Secret]:
        """What must lie in the file, by key."""

    def found(self) -> Iterable[str]:
        """The keys that are there."""

    def public(self, key: str) -> bytes:
        """The SubjectPublicKeyInfo, read anew from where the key lies; empty for a symmetric one."""

    def mac(self, key: str, message: bytes) -> bytes:
        """AES-CMAC."""

    def wrap(self, key: str, content: Secret) -> bytes:
        """AES-KWP."""

    def unwrap(self, key: str, wrapped: bytes) -> Secret:
        """The other way; PolicyError if it was changed."""

    def sign(self, key: str, message: bytes) -> bytes:
        """Sign a whole message."""

    def decapsulate(self, key: str, ciphertext: bytes) -> Secret:
        """The shared secret."""

    def open_box(self, key: str, box: bytes, info: bytes) -> Secret:
        """What is in a box of HPKE; PolicyError if it was changed, or is another key's."""

    def random(self, size: int) -> bytes:
        """Random bytes."""

    def attest(self, key: str) -> Attributes:
        """What protects the key."""

    def exportable(self, entry: Entry) -> list[str]:
        """Try to get a key out; return what should have been refused and was not."""

    def destroy(self, key: str) -> None:
        """End a key; nothing happens if it is not there."""

    def close(self) -> None:
        """Wipe and leave."""
