"""Keys that a customer wants to be born in the key store: sent wrapped into the die, and forgotten.

Only slots that profile and order both name. The die marks such a key in its attestation, the vault in its
record.
"""

from collections.abc import AsyncGenerator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from hashlib import sha384

from cryptography.hazmat.primitives.asymmetric import ec, mldsa, mlkem
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from drivers.protocols import se1
from drivers.protocols.se1_table import Algorithm, SlotAttribute
from station.vault.die.kinds import Kind
from station.vault.die.scp03 import Session
from station.vault.die.script import Script
from station.vault.faults import Code, FaultError
from station.vault.keyring import Keyring
from station.vault.secret import Secret

SIZES = {Algorithm.P384: 48, Algorithm.MLDSA65: 32, Algorithm.MLKEM768: 64}
"""Bytes of a seed; of P-384 the private number itself."""
CHECK = 8


def kinds_of(kinds: Mapping[int, Kind], imported: Collection[int]) -> dict[int, Kind]:
    """The kind of key for each slot, with the attributes of where it is born."""
    return {slot: _elsewhere(kind) if slot in imported else kind for slot, kind in kinds.items()}


def is_imported(kind: Kind) -> bool:
    """Whether a kind of key is born outside of the die."""
    return SlotAttribute.IMPORTED in kind.attributes


def _elsewhere(kind: Kind) -> Kind:
    attributes = kind.attributes & ~SlotAttribute.ON_CHIP | SlotAttribute.IMPORTED
    return replace(kind, attributes=attributes)


@dataclass(frozen=True)
class Born:
    """A key on its way into a slot."""

    slot: int
    kind: Kind
    seed: Secret
    public: bytes

    def ask(self, script: Script, session: Session, payload: int) -> None:
        """Have the die take the key over."""
        fields: dict[str, int] = {"algorithm": self.kind.algorithm, "attributes": self.kind.attributes}
        head = self.kind.algorithm.to_bytes(2) + self.kind.attributes.to_bytes(2)
        with Secret(head + bytes(self.seed.reveal())) as content:
            wrapped = session.wrapped(content)
        for apdu in se1.write_operand_all(wrapped, payload):
            script.secure("WRITE OPERAND", apdu)
        check = sha384(self.public).digest()[:CHECK]
        command = se1.command("IMPORT KEY", slot=self.slot, public_key_check=check, **fields)
        script.secure("IMPORT KEY", command, name=f"new key {self.slot}")

    def check(self, public: bytes) -> None:
        """The die must hold just this key; FaultError."""
        if public != self.public:
            raise FaultError(Code.KEY_FORMAT, f"slot {self.slot}: another key than was imported")


@asynccontextmanager
async def born(
    store: Keyring, kinds: Mapping[int, Kind], slots: Iterable[int]
) -> AsyncGenerator[Mapping[int, Born], None]:
    """New keys for those of the slots whose keys are not born on the die; their seeds are wiped after it."""
    found: dict[int, Born] = {}
    try:
        for slot in slots:
            if is_imported(kinds[slot]):
                found[slot] = await _born(store, slot, kinds[slot])
        yield found
    finally:
        for key in found.values():
            key.seed.wipe()


async def _born(store: Keyring, slot: int, kind: Kind) -> Born:
    while True:
        seed = await store.seed(SIZES[kind.algorithm])
        try:
            return Born(slot, kind, seed, _public(kind.algorithm, bytes(seed.reveal())))
        except ValueError:  # no number below the order of the curve: one of 2^190
            seed.wipe()


def _public(algorithm: Algorithm, seed: bytes) -> bytes:
    match algorithm:
        case Algorithm.P384:
            key = ec.derive_private_key(int.from_bytes(seed), ec.SECP384R1()).public_key()
            return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        case Algorithm.MLDSA65:
            return mldsa.MLDSA65PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw()
        case _:
            return mlkem.MLKEM768PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw()
