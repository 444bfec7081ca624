"""Keys and their proofs, one fault at a time; the die is its mathematics only."""

import hmac
from dataclasses import dataclass, field
from typing import Literal

import pytest

from drivers.protocols.se1_objects import KEM_LABEL, PROOF_LABEL, Proof
from drivers.protocols.se1_table import Algorithm, Slot
from sim.dut import crypto
from station.vault.die.kinds import KINDS
from station.vault.die.proofs import Attesting, Possession
from station.vault.die.script import Script
from station.vault.die.slots import DieKeys
from station.vault.faults import Code, Fate, FaultError
from tests.station.vault.dies import Here

NONCE = bytes(range(32))
SEEDS = {Slot.ID_EC: bytes(range(1, 49)), Slot.ID_PQ: bytes(range(32)), Slot.ID_KEM: bytes(range(64))}
PAIRS = {slot: crypto.keypair(KINDS[slot].algorithm, seed) for slot, seed in SEEDS.items()}
PUBLIC = {f"key {slot:d}": public for slot, (_, public) in PAIRS.items()}
Fault = Literal["none", "signature", "secret", "no rejection"]


def keys() -> DieKeys:
    made = DieKeys(KINDS)
    made.take(PUBLIC)
    return made


@dataclass
class Plain(Script):
    """A script that is not wrapped."""

    asked: list[tuple[str, bytes]] = field(default_factory=list)

    def secure(self, command: str, apdu: bytes, *expect: int, name: str = "", reply: int = 223) -> None:
        del expect, reply
        self.asked.append((name or command, apdu))


def proof_of(made: DieKeys) -> Proof:
    return Proof(bytes(16), NONCE, made.hash(), bytes(32))


def answers(script: Plain, proof: Proof, fault: Fault, at: int) -> dict[str, bytes]:
    """What a die answers; `at` is the slot that has the fault."""
    said: dict[str, bytes] = {}
    for slot in (Slot.ID_EC, Slot.ID_PQ):
        message = proof.message(PROOF_LABEL) + (b"!" if (fault, at) == ("signature", slot) else b"")
        said[f"signature {slot:d}"] = crypto.sign(KINDS[slot].algorithm, PAIRS[slot][0], PROOF_LABEL, message)
    good = ciphertext = b""
    for name, apdu in script.asked:
        if name == "WRITE OPERAND":
            ciphertext = apdu[7:-2] if apdu[4] == 0 else apdu[5:-1]
        elif "tag" in name:
            good = good or ciphertext
            opened = good if fault == "no rejection" else ciphertext
            secret = crypto.decaps(PAIRS[Slot.ID_KEM][0], opened)
            secret = bytes(32) if fault == "secret" else secret
            said[name] = hmac.digest(secret, proof.message(KEM_LABEL), "sha384")
    return said


async def outcome(fault: Fault, at: int = 0, *, reject: bool = True) -> dict[str, str]:
    made = keys()
    possession, script = Possession(made, NONCE, reject=reject), Plain("S3 prove")
    possession.ask(script, 4096)
    proof = proof_of(made)
    return await possession.check(answers(script, proof, fault, at), proof, Here())


@pytest.mark.parametrize("reject", [True, False])
async def test_a_die_that_holds_its_keys_proves_it(reject: bool) -> None:
    proofs = await outcome("none", reject=reject)
    assert set(proofs) == {"nonce", "pop_1_sha384", "pop_2_sha384", "pop_3_sha384"}


@pytest.mark.parametrize(
    ("fault", "at", "code"),
    [
        ("signature", 1, Code.PROOF_SIGNATURE),
        ("signature", 2, Code.PROOF_SIGNATURE),
        ("secret", 3, Code.PROOF_KEM),
        ("no rejection", 3, Code.PROOF_REJECTION),
    ],
)
async def test_a_key_that_is_not_proven_is_found(fault: Fault, at: int, code: Code) -> None:
    with pytest.raises(FaultError, match=f"slot {at} ") as caught:
        await outcome(fault, at)
    assert (caught.value.code, caught.value.fate) == (code, Fate.QUARANTINE)


async def test_a_missing_rejection_is_not_seen_in_a_die_that_is_not_asked() -> None:
    assert await outcome("no rejection", reject=False)


def with_coefficient(public: bytes, value: int) -> bytes:
    """An ML-KEM key whose first coefficient, 12 bits, little end first, is `value`."""
    return bytes((value & 0xFF, public[1] & 0xF0 | value >> 8)) + public[2:]


EC, PQ, KEM = (PUBLIC[f"key {slot}"] for slot in (1, 2, 3))
BAD = [
    (1, EC[:-1] + bytes((EC[-1] ^ 1,))),
    (1, b"\x04" + bytes(96)),
    (1, bytes((2 + (EC[-1] & 1),)) + EC[1:49]),
    (1, EC[:-1]),
    (2, PQ[:-1]),
    (2, PQ + b"\0"),
    (3, with_coefficient(KEM, 3329)),
    (3, with_coefficient(KEM, 4095)),
    (3, KEM[:-1]),
]


@pytest.mark.parametrize(("slot", "public"), BAD, ids=range(len(BAD)))
def test_bytes_that_are_no_key_are_refused(slot: int, public: bytes) -> None:
    with pytest.raises(FaultError, match=f"slot {slot}: {len(public)} bytes that are no") as caught:
        DieKeys(KINDS).take(PUBLIC | {f"key {slot}": public})
    assert caught.value.code is Code.KEY_FORMAT


def test_the_largest_coefficient_of_a_key_is_taken() -> None:
    assert KINDS[Slot.ID_KEM].spki(with_coefficient(KEM, 3328))


@pytest.mark.parametrize("algorithm", [Algorithm.P384, Algorithm.MLDSA65, Algorithm.MLKEM768])
def test_the_key_bits_are_the_end_of_what_is_certified(algorithm: Algorithm) -> None:
    kind = next(kind for kind in KINDS.values() if kind.algorithm is algorithm)
    public = next(PUBLIC[f"key {slot:d}"] for slot, other in KINDS.items() if other is kind)
    assert kind.spki(public).endswith(b"\0" + public)
    assert len(public) == kind.size


def test_a_slot_that_does_not_sign_cannot_attest() -> None:
    with pytest.raises(TypeError, match="slot 3 cannot attest"):
        Attesting(keys(), 3, NONCE)


def test_what_was_sent_to_a_die_is_wiped_whatever_it_answers() -> None:
    possession = Possession(keys(), NONCE, reject=True)
    possession.ask(Plain("S3"), 1024)
    (secret,) = possession._secrets.values()
    assert any(secret.reveal())
    possession.close()
    assert not any(secret.reveal())
