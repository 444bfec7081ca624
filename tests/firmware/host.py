"""A second SCP03 host, written for the tests alone, and a die brought through personalisation with it."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding

from drivers.protocols import se1
from drivers.protocols.se1_objects import (
    Container,
    Identity,
    Object,
    issuer_ids,
    oid_der,
    order_tag,
    token_hash,
)
from drivers.protocols.se1_table import (
    PERSONALISED_SLOTS,
    Algorithm,
    ContainerKind,
    KeySet,
    LifeCycle,
    ObjectType,
    SlotAttribute,
    Token,
)
from sim.dut.chip import SOUND, Chip, ChipFaults
from sim.dut.transport import TRANSPORT_MASTER, die_keys

ISSUER_MASTER = hashlib.sha256(b"issuer master of the tests").digest()
RMA_TOKEN = bytes(range(32))
SIGNING = int(
    SlotAttribute.ON_CHIP | SlotAttribute.NO_EXPORT | SlotAttribute.SIGN | SlotAttribute.FROZEN_WHEN_SECURED
)
DECAPSULATING = SIGNING ^ int(SlotAttribute.SIGN) ^ int(SlotAttribute.DECAPSULATE)
KEYS = {1: (Algorithm.P384, SIGNING), 2: (Algorithm.MLDSA65, SIGNING), 3: (Algorithm.MLKEM768, DECAPSULATING)}


def cmac(key: bytes, data: bytes) -> bytes:
    mac = CMAC(AES(key))
    mac.update(data)
    return mac.finalize()


def block(key: bytes, data: bytes, *, iv: bytes = bytes(16), decrypt: bool = False) -> bytes:
    cipher = Cipher(AES(key), CBC(iv))
    return (cipher.decryptor() if decrypt else cipher.encryptor()).update(data)


def derived(key: bytes, label: bytes, context: bytes, bits: int = 256) -> bytes:
    rows = [label + b"\0" + bits.to_bytes(2, "big") + bytes((i,)) + context for i in (1, 2)]
    return b"".join(cmac(key, row) for row in rows)[: bits // 8]


def check_value(key: bytes) -> bytes:
    return block(key, b"\x01" * 16)[:3]


class MacError(Exception):
    """A reply's R-MAC is wrong."""


@dataclass
class Channel:
    """The host's side of one session, from the static keys and both challenges."""

    keys: tuple[bytes, bytes, bytes]
    host: bytes
    card: bytes

    def __post_init__(self) -> None:
        context, zeros = self.host + self.card, bytes(11)
        enc, mac, dek = self.keys
        self.enc = derived(enc, zeros + b"\x04", context)
        self.mac = derived(mac, zeros + b"\x06", context)
        self.rmac = derived(mac, zeros + b"\x07", context)
        self.kek = derived(dek, b"PQP1-SESSKEK", context)
        self.card_cryptogram = derived(self.mac, zeros + b"\x00", context, 128)
        self.host_cryptogram = derived(self.mac, zeros + b"\x01", context, 128)
        self.chain, self.counter = bytes(16), 0

    def authenticate(self) -> bytes:
        body = bytes.fromhex("8482330020") + self.host_cryptogram
        self.chain = cmac(self.mac, bytes(16) + body)
        return body + self.chain + b"\0"

    def wrap(self, apdu: bytes) -> bytes:
        extended = apdu[4] == 0 and len(apdu) > 5
        data = apdu[7:-2] if extended and len(apdu) > 7 else b"" if extended else apdu[5:-1]
        self.counter += 1
        if data:
            padded = data + b"\x80" + bytes(-(len(data) + 1) % 16)
            data = block(self.enc, padded, iv=block(self.enc, self.counter.to_bytes(16, "big")))
        n = len(data) + 16
        extended = extended or n > 255
        head = bytes((0x84,)) + apdu[1:4] + (b"\0" + n.to_bytes(2, "big") if extended else bytes((n,)))
        self.chain = cmac(self.mac, self.chain + head + data)
        return head + data + self.chain + (b"\0\0" if extended else b"\0")

    def unwrap(self, answer: bytes) -> se1.Reply:
        body, sw = answer[:-2], answer[-2:]
        if sw[0] not in (0x90, 0x62, 0x63):
            assert not body, "an error word must come without data"
            return se1.Reply(b"", int.from_bytes(sw, "big"))
        data, mac = body[:-16], body[-16:]
        if cmac(self.rmac, self.chain + data + sw) != mac:
            raise MacError
        if data:
            iv = block(self.enc, b"\x80" + self.counter.to_bytes(15, "big"))
            data = block(self.enc, data, iv=iv, decrypt=True).rstrip(b"\0")
            assert data[-1] == 0x80
            data = data[:-1]
        return se1.Reply(data, int.from_bytes(sw, "big"))


class Host:
    """A die under power and what one says to it, in the clear or in a session."""

    def __init__(self, chip: Chip, *, payload: int = 1024) -> None:
        self.chip = chip
        self.payload = payload
        self.seconds = 0.0
        self.replies: list[bytes] = []
        """Every answer of the die as it went over the wire, and as it was in the clear."""
        self.channel: Channel | None = None
        self.power()
        told = self.plain("GET UID")
        self.uid = se1.uid_of(told.data) if told.ok else b""

    def power(self) -> None:
        """Cold reset."""
        self.chip.power(None)
        self.chip.power(3.3)
        assert self.chip.atr() is not None
        self.channel = None

    def raw(self, apdu: bytes) -> bytes:
        """Bytes out, bytes back; ConnectionError if the die is mute."""
        answer, seconds = self.chip.apdu(apdu)
        self.seconds += seconds
        if answer is None:
            raise ConnectionError
        self.replies.append(answer)
        return answer

    def plain(self, name: str, **fields: int | bytes) -> se1.Reply:
        """One command in the clear."""
        return se1.split(self.raw(se1.command(name, **fields)))

    def send(self, apdu: bytes) -> se1.Reply:
        """One command, in the session if there is one."""
        if self.channel is None:
            return se1.split(self.raw(apdu))
        reply = self.channel.unwrap(self.raw(self.channel.wrap(apdu)))
        self.replies.append(reply.data)
        return reply

    def do(self, name: str, **fields: int | bytes) -> bytes:
        """One command that must succeed."""
        return self.done(se1.command(name, **fields))

    def done(self, *apdus: bytes) -> bytes:
        """Commands that must succeed; their data joined."""
        joined = b""
        for apdu in apdus:
            reply = self.send(apdu)
            assert reply.ok, f"{apdu[:4].hex(' ')}: {se1.status_name(reply.sw)}"
            joined += reply.data
        return joined

    def keys(self, kvn: int) -> tuple[bytes, bytes, bytes]:
        master = TRANSPORT_MASTER if kvn == KeySet.TRANSPORT else ISSUER_MASTER
        return die_keys(master, self.uid, kvn)

    def open(self, kvn: int = KeySet.TRANSPORT) -> Channel:
        """Open a session with a key set; the card cryptogram must be right."""
        self.channel = None
        keys, challenge = self.keys(kvn), os.urandom(16)
        offered = se1.challenge(self.plain("INITIALIZE UPDATE", kvn=kvn, host_challenge=challenge).data)
        channel = Channel(keys, challenge, offered.card_challenge)
        assert channel.card_cryptogram == offered.card_cryptogram
        assert se1.split(self.raw(channel.authenticate())).ok
        self.channel = channel
        return channel

    def read(self, kind: int, slot: int, length: int) -> bytes:
        return self.done(*se1.read_all(kind, slot, length, self.payload))

    def store(self, container: bytes) -> bytes:
        return self.done(*se1.store_data(container, self.payload))

    def generate(self, slot: int = 2) -> bytes:
        """Generate a key pair, return the public key."""
        algorithm, attributes = KEYS[slot]
        data = self.do("GENERATE KEY PAIR", slot=slot, algorithm=algorithm, attributes=attributes)
        return self.read(ObjectType.PUBLIC_KEY, slot, se1.new_key(data).public_key_length)

    def put_issuer_keys(self) -> bytes:
        assert self.channel is not None
        keys = self.keys(KeySet.ISSUER)
        wrapped = [aes_key_wrap_with_padding(self.channel.kek, key) for key in keys]
        return self.done(put_key(KeySet.ISSUER, wrapped, [check_value(key) for key in keys]))


def put_key(kvn: int, wrapped: Sequence[bytes], check_values: Sequence[bytes]) -> bytes:
    """PUT KEY: three keys wrapped with AES-KWP (40 bytes each) and their check values, ENC MAC DEK."""
    keys = [b"\x88\x29\x20" + key + b"\x03" + check for key, check in zip(wrapped, check_values, strict=True)]
    enc, mac, dek = keys
    return se1.command("PUT KEY", kvn=kvn, enc=enc, mac=mac, dek=dek)


def identity(uid: bytes) -> Identity:
    return Identity(
        uid=uid,
        serial="SE1A0000001017",
        product=1,
        profile_hash=bytes(32),
        fingerprint=bytes(range(32)),
        rma_token_hash=token_hash(b"PQP1-RMA", uid, RMA_TOKEN),
        issued_at=1780272000,
        order=order_tag("WO-2026-000123"),
        policy_oid=oid_der("1.3.6.1.4.1.32473.1.1.1"),
    )


def credentials(slots: tuple[int, ...] = PERSONALISED_SLOTS, *, size: int = 700) -> bytes:
    certificates = [Object(ObjectType.CERTIFICATE, slot, KEYS[slot][0], os.urandom(size)) for slot in slots]
    issuers = Object(ObjectType.ISSUER_IDS, 0, 0, issuer_ids([(0x0202, bytes(20))]))
    return Container(ContainerKind.CREDENTIALS, (*certificates, issuers)).encode()


STEPS = ("identity", "keys", "credentials", "rotate", "delete", "lock")


def personalise(host: Host, *, until: str = "lock") -> None:
    """Bring an OP_READY die through the steps of PQP-1, up to and with the one named."""
    host.open()
    for step in STEPS[: STEPS.index(until) + 1]:
        match step:
            case "identity":
                host.store(identity(host.uid).container())
            case "keys":
                for slot in PERSONALISED_SLOTS:
                    host.generate(slot)
            case "credentials":
                host.store(credentials())
            case "rotate":
                host.put_issuer_keys()
                host.open(KeySet.ISSUER)
            case "delete":
                host.done(se1.delete_key(KeySet.TRANSPORT))
            case "lock":
                host.do("SET STATUS", life_cycle=LifeCycle.SECURED)


def ready(index: int = 0, *, faults: ChipFaults = SOUND) -> Host:
    """A die in OP_READY, without latency."""
    state = LifeCycle.OP_READY
    return Host(Chip.from_sort(index, seed="t", latency="zero", state=state, faults=faults))


def twin(chip: Chip, *, faults: ChipFaults = SOUND) -> Host:
    """Another die with the same memory, under power."""
    other = Chip(chip.index, seed="twin", latency="zero", faults=faults)
    other.memory.adopt(chip.memory)
    return Host(other)


@cache
def specimen(state: LifeCycle) -> Chip:
    """A die in a state, never to be changed: take a twin."""
    if state in (LifeCycle.RAW, LifeCycle.TEST_LOCKED, LifeCycle.TEST_UNLOCKED, LifeCycle.OP_READY):
        return Chip.from_sort(5, seed="t", latency="zero", state=state)
    if state is LifeCycle.INITIALIZED:
        host = twin(specimen(LifeCycle.OP_READY))
        personalise(host, until="credentials")
        return host.chip
    host = twin(specimen(LifeCycle.INITIALIZED))
    host.open()
    host.put_issuer_keys()
    host.open(KeySet.ISSUER)
    host.done(se1.delete_key(KeySet.TRANSPORT))
    host.do("SET STATUS", life_cycle=LifeCycle.SECURED)
    match state:
        case LifeCycle.RMA:
            host.channel = None
            host.power()
            host.do("VERIFY TOKEN", kind=Token.RMA, token=RMA_TOKEN)
        case LifeCycle.CARD_LOCKED | LifeCycle.TERMINATED:
            host.do("SET STATUS", life_cycle=state)
    return host.chip
