"""The keys of one die, as it sent them and as they were checked."""

from collections.abc import Mapping
from hashlib import sha256

from drivers.protocols import se1, se1_objects
from drivers.protocols.se1_replies import NewKey, SlotInfo
from drivers.protocols.se1_table import ObjectType, SlotState
from station.vault.die.dossier import PublicKey
from station.vault.die.kinds import Kind
from station.vault.die.script import Script
from station.vault.faults import Code, FaultError


class DieKeys:
    """Public keys by slot; empty until they were read."""

    def __init__(self, kinds: Mapping[int, Kind]) -> None:
        self.kinds = kinds
        self.public: dict[int, bytes] = {}
        """As the die sends them, which is how they are in certificates too."""
        self.spkis: dict[int, bytes] = {}

    def generate(self, slot: int) -> bytes:
        """The command that makes the key of a slot."""
        kind = self.kinds[slot]
        fields = {"slot": slot, "algorithm": kind.algorithm, "attributes": kind.attributes}
        return se1.command("GENERATE KEY PAIR", **fields)

    def check_new(self, slot: int, reply: bytes) -> None:
        """A key that was just made is valid and as long as it must be; FaultError."""
        if se1.new_key(reply) != NewKey(SlotState.VALID, self.kinds[slot].size):
            raise FaultError(Code.KEY_FORMAT, f"slot {slot}: no valid key was generated")

    def read(self, script: Script, payload: int) -> None:
        """Ask for all of them."""
        for slot, kind in self.kinds.items():
            script.read(f"key {slot}", ObjectType.PUBLIC_KEY, slot, kind.size, payload)

    def take(self, seen: Mapping[str, bytes]) -> None:
        """Check and keep what came back; FaultError for a key that is none of its algorithm."""
        for slot, kind in self.kinds.items():
            self.public[slot] = public = seen[f"key {slot}"]
            self.spkis[slot] = _spki(slot, kind, public)

    def registered(self) -> list[PublicKey]:
        """The keys as the registry keeps them."""
        return [
            PublicKey(slot, kind.algorithm, sha256(self.spkis[slot]).digest())
            for slot, kind in self.kinds.items()
        ]

    def hash(self) -> bytes:
        """The hash over all of them that proofs carry."""
        keys = ((slot, kind.algorithm, self.public[slot]) for slot, kind in self.kinds.items())
        return se1_objects.keys_hash(keys)

    def attested(self) -> dict[int, SlotInfo]:
        """What an attestation must say of each slot that holds a key."""
        return {
            slot: SlotInfo(
                slot, kind.algorithm, SlotState.VALID, kind.attributes, se1_objects.sha384(self.public[slot])
            )
            for slot, kind in self.kinds.items()
        }


def _spki(slot: int, kind: Kind, public: bytes) -> bytes:
    wrong = FaultError(
        Code.KEY_FORMAT, f"slot {slot}: {len(public)} bytes that are no {kind.algorithm.name} public key"
    )
    if len(public) != kind.size:  # a compressed point is a point too
        raise wrong
    try:
        return kind.spki(public)
    except ValueError as error:
        raise wrong from error
