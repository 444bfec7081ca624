"""What a die must prove: that it holds its keys (S3), and what it is (attestation)."""

import hmac
from collections.abc import Mapping

from drivers.protocols import se1, se1_objects
from drivers.protocols.se1_objects import ATTESTATION_LABEL, KEM_LABEL, PROOF_LABEL
from drivers.protocols.se1_replies import SLOT_ENTRY
from drivers.protocols.se1_table import LifeCycle, ObjectType, SlotState
from station.vault.die.kinds import KemKind, SigningKind
from station.vault.die.script import Script
from station.vault.die.slots import DieKeys
from station.vault.faults import Code, FaultError
from station.vault.secret import Secret
from station.vault.work import Work

PROOF, ATTEST = 0, 1
SLOTS = 3
ATTESTATION_SIZE = se1_objects.ATTESTATION.size + SLOTS * SLOT_ENTRY


class Possession:
    """One round of S3: each key over the same fresh nonce, in one script."""

    def __init__(self, keys: DieKeys, nonce: bytes, *, reject: bool) -> None:
        """`reject`: the die is also sent ciphertexts with one byte changed."""
        self._keys, self._nonce, self._reject = keys, nonce, reject
        self._secrets: dict[int, Secret] = {}

    def ask(self, script: Script, payload: int) -> None:
        """Add what the die is asked."""
        for slot, kind in self._keys.kinds.items():
            match kind:
                case SigningKind():
                    sign(script, PROOF, slot, self._nonce, kind.signature_size, payload)
                case KemKind():
                    self._encapsulate(script, slot, kind, payload)

    def _encapsulate(self, script: Script, slot: int, kind: KemKind, payload: int) -> None:
        ciphertext, secret = kind.encapsulate(self._keys.public[slot])
        self._secrets[slot] = Secret(secret)
        _open(script, f"tag {slot}", slot, self._nonce, ciphertext, payload)
        if self._reject:
            place = self._nonce[0] * len(ciphertext) // 256
            changed = ciphertext[:place] + bytes((ciphertext[place] ^ 1,)) + ciphertext[place + 1 :]
            _open(script, f"other tag {slot}", slot, self._nonce, changed, payload)

    def close(self) -> None:
        """Wipe the secrets that were sent, whatever became of the proofs."""
        for secret in self._secrets.values():
            secret.wipe()

    async def check(self, seen: Mapping[str, bytes], proof: se1_objects.Proof, work: Work) -> dict[str, str]:
        """Check the answers and return what the record keeps of them; FaultError."""
        await work(self._check_signatures, seen, proof.message(PROOF_LABEL))
        proofs = {"nonce": self._nonce.hex()}
        for slot, kind in self._keys.kinds.items():
            match kind:
                case SigningKind():
                    answer = seen[f"signature {slot}"]
                case KemKind():
                    answer = seen[f"tag {slot}"]
                    self._check_tag(slot, answer, seen.get(f"other tag {slot}"), proof.message(KEM_LABEL))
            proofs[f"pop_{slot}_sha384"] = se1_objects.sha384(answer).hex()
        return proofs

    def _check_signatures(self, seen: Mapping[str, bytes], message: bytes) -> None:
        for slot, kind in self._keys.kinds.items():
            if isinstance(kind, KemKind):
                continue
            if not kind.verify(self._keys.public[slot], seen[f"signature {slot}"], message, PROOF_LABEL):
                raise FaultError(Code.PROOF_SIGNATURE, f"the key in slot {slot} does not prove itself")

    def _check_tag(self, slot: int, tag: bytes, other: bytes | None, message: bytes) -> None:
        right = hmac.digest(self._secrets[slot].reveal(), message, "sha384")
        if not hmac.compare_digest(tag, right):
            raise FaultError(Code.PROOF_KEM, f"the key in slot {slot} does not open what was sent to it")
        if other is not None and (other == right or len(other) != len(right)):
            raise FaultError(Code.PROOF_REJECTION, f"slot {slot} opens a ciphertext that was changed")


class Attesting:
    """One attestation, signed by the key that the profile names."""

    def __init__(self, keys: DieKeys, slot: int, nonce: bytes) -> None:
        kind = keys.kinds[slot]
        if not isinstance(kind, SigningKind):
            raise TypeError(f"slot {slot} cannot attest: it does not sign")
        self._keys, self._slot, self._kind, self._nonce = keys, slot, kind, nonce

    def ask(self, script: Script, payload: int) -> None:
        """Add the command and the reading of its result."""
        size = ATTESTATION_SIZE + self._kind.signature_size
        sign(script, ATTEST, self._slot, self._nonce, size, payload)

    async def check(
        self, seen: Mapping[str, bytes], known: tuple[bytes, LifeCycle, bytes, int], work: Work
    ) -> dict[str, str]:
        """Check signature and content, and return what the record keeps; FaultError.

        `known` is what the die must say: UID, life cycle, store hash, key set of the session.
        """
        said, message, signature = se1_objects.decode_attestation(seen[f"signature {self._slot}"])
        public = self._keys.public[self._slot]
        if not await work(self._kind.verify, public, signature, message, ATTESTATION_LABEL):
            raise FaultError(Code.ATTESTATION, "the attestation's signature is wrong")
        slots = {entry.slot: entry for entry in said.slots if entry.state is not SlotState.EMPTY}
        found = (said.uid, said.life_cycle, said.store_hash, said.key_set)
        if (found, said.nonce, said.alarms, slots) != (known, self._nonce, 0, self._keys.attested()):
            raise FaultError(Code.ATTESTATION, "the die attests something else than the vault knows of it")
        return {
            "attestation_sha384": se1_objects.sha384(message + signature).hex(),
            "store_sha384": said.store_hash.hex(),
            "firmware": f"{said.firmware_version:08x}",
            "rom": f"{said.rom_version:08x}",
            "code_hash": said.rom_hash.hex(),
        }


def sign(script: Script, kind: int, slot: int, nonce: bytes, size: int, payload: int) -> None:
    """Have a slot sign, and read the result of `size` bytes."""
    ask = se1.command("INTERNAL AUTHENTICATE", kind=kind, slot=slot, nonce=nonce)
    script.secure("INTERNAL AUTHENTICATE", ask)
    script.read(f"signature {slot}", ObjectType.RESULT, 0, size, payload)


def _open(script: Script, name: str, slot: int, nonce: bytes, ciphertext: bytes, payload: int) -> None:
    for apdu in se1.write_operand_all(ciphertext, payload):
        script.secure("WRITE OPERAND", apdu)
    ask = se1.command("GENERAL AUTHENTICATE", slot=slot, nonce=nonce)
    script.secure("GENERAL AUTHENTICATE", ask, name=name)
