"""The firmware against the reference vectors."""

import hashlib
import tomllib
from math import comb
from pathlib import Path
from random import Random
from typing import Any

import pytest

from drivers.protocols import se1
from drivers.protocols.se1_objects import KEM_LABEL, Proof, keys_hash
from drivers.protocols.se1_table import Algorithm, Kat, KeySet, LifeCycle, StatusWord
from sim.dut import crypto, transport
from sim.dut.chip import Chip
from tests.firmware.host import Channel, Host, identity, personalise, ready, specimen, twin

VECTORS: dict[str, Any] = tomllib.loads(Path("tests/golden/personalisation.toml").read_text())


def taken(section: str, name: str) -> bytes:
    return bytes.fromhex(VECTORS[section][name])


class Scripted(Random):
    """Says what it was told to say, once, then is random."""

    def __init__(self, data: bytes) -> None:
        super().__init__(0)
        self.data = data

    def randbytes(self, n: int) -> bytes:
        said, self.data = self.data[:n], self.data[n:]
        return said or super().randbytes(n)


@pytest.fixture
def die(monkeypatch: pytest.MonkeyPatch) -> Host:
    """The die of the vectors: OP_READY, two test transitions, fifth boot, a known card challenge."""
    monkeypatch.setattr(transport, "TRANSPORT_MASTER", taken("die_keys", "transport_master"))
    chip = Chip.from_sort(0, uid=taken("uid", "uid"), latency="zero", state=LifeCycle.OP_READY)
    chip.memory.bits.discard(18)  # the third transition
    host = Host(chip)
    while se1.die_status(host.do("DIE STATUS")).boots < 5:
        host.power()
    chip.__dict__["drbg"] = Scripted(taken("scp03", "card_challenge"))
    return host


def open_as_told(die: Host) -> Channel:
    assert die.raw(taken("scp03", "initialize_update")) == taken("scp03", "initialize_update_reply")
    assert die.raw(taken("scp03", "external_authenticate")).hex() == "9000"
    keys = tuple(bytes.fromhex(key) for key in VECTORS["die_keys"]["kvn30"])
    enc, mac, dek = keys
    channel = Channel((enc, mac, dek), taken("scp03", "host_challenge"), taken("scp03", "card_challenge"))
    channel.authenticate()
    return channel


def test_session_byte_by_byte(die: Host) -> None:
    open_as_told(die)
    status, generate, lock = ([bytes.fromhex(item) for item in row] for row in VECTORS["scp03"]["exchanges"])
    assert die.raw(status[1]) == status[3]
    for row in (generate, lock):
        assert die.raw(row[1]).hex() == f"{StatusWord.CONDITIONS:04x}", "the MAC held, the state did not"


def test_host_of_these_tests_agrees_with_the_vectors(die: Host) -> None:
    channel = open_as_told(die)
    assert (channel.enc, channel.mac, channel.rmac) == tuple(
        taken("scp03", name) for name in ("s_enc", "s_mac", "s_rmac")
    )
    assert channel.kek == taken("scp03", "session_kek")
    for plain, wrapped, reply, wrapped_reply in VECTORS["scp03"]["exchanges"]:
        assert channel.wrap(bytes.fromhex(plain)).hex() == wrapped
        assert channel.unwrap(bytes.fromhex(wrapped_reply)) == se1.split(bytes.fromhex(reply))


def test_put_key(die: Host) -> None:
    die.channel = open_as_told(die)
    die.store(identity(taken("uid", "uid")).container())
    reply = die.done(se1.apdu(bytes.fromhex("80d80081"), taken("put_key", "data")))
    assert reply == taken("put_key", "reply")
    assert se1.check_values(reply).enc.hex() == VECTORS["die_keys"]["kcv31"][0]


def test_transport_keys() -> None:
    uid = taken("uid", "uid")
    wrapping = transport.transport_wrapping_key(
        taken("pqp0", "shared_secret"), bytes(1184), b"\x5a" * 1088, uid
    )
    assert wrapping == taken("pqp0", "kw")
    keys = transport.die_keys(taken("die_keys", "transport_master"), uid, KeySet.TRANSPORT)
    assert [key.hex() for key in keys] == VECTORS["die_keys"]["kvn30"]
    wrapped = transport.wrapped_transport_keys(wrapping, keys, taken("pqp0", "test_token"), uid)
    assert b"\x30" + wrapped == taken("pqp0", "put_transport_keys")


def test_identity_container_of_the_vectors_is_taken(die: Host) -> None:
    die.channel = open_as_told(die)
    die.store(taken("identity", "container"))
    assert se1.die_status(die.do("DIE STATUS")).life_cycle is LifeCycle.INITIALIZED
    assert die.read(0x01, 0, 203) == taken("identity", "container")[18:-48]


def test_proof_and_tag() -> None:
    """The firmware's messages are those of the codec, which the vectors pin."""
    host = ready()
    personalise(host, until="keys")
    public = host.chip.public_keys()
    keys = [
        (slot, kind, public[slot])
        for slot, kind in zip(sorted(public), (0x0102, 0x0202, 0x0302), strict=True)
    ]
    proof = Proof(host.uid, bytes(range(32)), keys_hash(keys), bytes(range(32)))
    for slot, algorithm, key in keys[:2]:
        n = se1.result_length(host.do("INTERNAL AUTHENTICATE", kind=0, slot=slot, nonce=proof.nonce))
        signature = host.read(0x7E, 0, n)
        assert signed(algorithm, key, b"PQP1-POP", proof.message(), signature)
    ciphertext, secret = crypto.encaps(keys[2][2])
    host.done(*se1.write_operand_all(ciphertext, 1024))
    tag = host.do("GENERAL AUTHENTICATE", slot=3, nonce=proof.nonce)
    assert tag == crypto.digest(secret, proof.message(KEM_LABEL))


def signed(algorithm: int, public: bytes, label: bytes, message: bytes, signature: bytes) -> bool:
    """Whether a signature holds under its label, and no other."""
    if algorithm == Algorithm.P384:
        return crypto.verify(algorithm, public, b"", message, signature)
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey

    MLDSA65PublicKey.from_public_bytes(public).verify(signature, message, label)
    return not crypto.verify(algorithm, public, b"", message, signature)


def answer(operand: bytes, kat: Kat) -> bytes:
    host = twin(specimen(LifeCycle.TEST_UNLOCKED))
    host.done(*se1.write_operand_all(operand, 1024))
    return host.do("RUN KAT", kat=kat)


def test_known_answers_of_key_generation() -> None:
    for kat, section in ((Kat.MLDSA65_KEYGEN, "mldsa65_keygen"), (Kat.MLKEM768_KEYGEN, "mlkem768_keygen")):
        for _, _, seed, digest in VECTORS["kat"][section]["cases"]:
            assert answer(bytes.fromhex(seed), kat).hex() == digest


def test_known_answers_of_decapsulation() -> None:
    vector = VECTORS["kat"]["mlkem768_decaps"]
    seed, ciphertext = bytes.fromhex(vector["seed"]), bytes.fromhex(vector["ciphertext"])
    spoilt = ciphertext[:-1] + bytes((ciphertext[-1] ^ 1,))
    assert answer(seed + ciphertext, Kat.MLKEM768_DECAPS).hex() == vector["answer"]
    assert answer(seed + spoilt, Kat.MLKEM768_DECAPS).hex() == vector["rejected_answer"]
    rejected = hashlib.shake_256(seed[32:] + spoilt).digest(32)
    assert hashlib.sha384(rejected).hexdigest() == vector["rejected_answer"]


def test_known_answers_of_verification() -> None:
    yes, no = (hashlib.sha384(bytes((accepted,))).digest() for accepted in (1, 0))
    for kat, algorithm, seed, context in (
        (Kat.MLDSA65_VERIFY, Algorithm.MLDSA65, bytes(32), b"\0"),
        (Kat.MLDSA65_VERIFY, Algorithm.MLDSA65, bytes(32), b"\3abc"),
        (Kat.ECDSA_P384_VERIFY, Algorithm.P384, bytes(48), b""),
    ):
        private, public = crypto.keypair(algorithm, seed)
        signature = crypto.sign(algorithm, private, context[1:], b"message")
        assert answer(public + signature + context + b"message", kat) == yes
        assert answer(public + signature + context + b"another", kat) == no


def test_known_answers_of_symmetric_algorithms() -> None:
    key = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
    tag = bytes.fromhex("028962f61b7bf89efc6b551f4667d983")  # SP 800-38B, appendix D.3, example 9
    assert answer(key, Kat.AES_CMAC) == hashlib.sha384(tag).digest()
    assert answer(b"abc", Kat.SHA384) == hashlib.sha384(b"abc").digest()


def test_known_answer_needs_its_operand() -> None:
    host = twin(specimen(LifeCycle.TEST_UNLOCKED))
    host.done(se1.write_operand(0, bytes(31)))
    for kat in Kat:
        if kat is not Kat.SHA384:
            assert host.plain("RUN KAT", kat=kat).sw == StatusWord.DATA
    assert host.plain("RUN KAT", kat=0x55).sw == StatusWord.P1P2
    host.done(*se1.write_operand_all(bytes(1952 + 3309) + b"\4abc", 1024))
    assert host.plain("RUN KAT", kat=Kat.MLDSA65_VERIFY).sw == StatusWord.DATA, "less context than it says"


def test_health_cutoffs_are_those_of_sp_800_90b() -> None:
    host = twin(specimen(LifeCycle.TEST_UNLOCKED))
    health = se1.trng_health(host.do("TRNG HEALTH"))
    row = next(row for row in VECTORS["trng_cutoffs"]["rows"] if row[:3] == [40, 1.0, health.apt_window])
    assert [health.rct_cutoff, health.apt_cutoff] == row[3:]
    tail = sum(comb(1024, k) for k in range(row[4], 1025))
    assert tail * 2**40 <= 2**1024 < (tail + comb(1024, row[4] - 1)) * 2**40
