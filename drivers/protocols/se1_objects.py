"""What the chip `se1` stores and signs: UID, HBC1 containers, identity, proof message, attestation.

Integers are big-endian, hashes SHA-384 unless named otherwise. Bytes that cannot be read raise `DutError`.
"""

import hashlib
import struct
from collections.abc import Iterable

import msgspec

from drivers.errors import DutError
from drivers.protocols.se1 import slot_info
from drivers.protocols.se1_replies import SLOT_ENTRY, SlotInfo
from drivers.protocols.se1_table import Algorithm, ContainerKind, LifeCycle, ObjectType

UID = struct.Struct(">HHHIBhh")
HEADER = 7
MAGIC = b"HBC1"
IDENTITY = struct.Struct(">B16s16sH32s32s48sQ16sB31s")
PROOF_LABEL = b"PQP1-POP"
KEM_LABEL = b"PQP1-KEM"
ATTESTATION_LABEL = b"PQP1-ATT"
ATTESTATION = struct.Struct(">8sBB16s32sII48s48sBBBBIHB")

PUBLIC_KEY_SIZES = {Algorithm.P384: 97, Algorithm.MLDSA65: 1952, Algorithm.MLKEM768: 1184}
SIGNATURE_SIZES = {Algorithm.P384: 96, Algorithm.MLDSA65: 3309}


def sha384(data: bytes) -> bytes:
    """Hash as every structure here does."""
    return hashlib.sha384(data).digest()


def crc8(data: bytes) -> int:
    """CRC-8, polynomial 07, start 00."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07) & 0xFF if crc & 0x80 else crc << 1
    return crc


class Uid(msgspec.Struct, frozen=True):
    """Where a die was born: 16 bytes on the wire, the last one a CRC-8."""

    creator: int
    product: int
    plant_code: int
    lot: int
    wafer: int
    x: int
    y: int

    def encode(self) -> bytes:
        """The 16 bytes, CRC included."""
        body = UID.pack(self.creator, self.product, self.plant_code, self.lot, self.wafer, self.x, self.y)
        return body + bytes((crc8(body),))


def decode_uid(data: bytes) -> Uid:
    """Read 16 bytes; DutError if the CRC is wrong."""
    if len(data) != 16 or crc8(data[:15]) != data[15]:
        raise DutError(f"UID {data[:32].hex()}: not 16 bytes with a right CRC-8")
    return Uid(*UID.unpack(data[:15]))


class Object(msgspec.Struct, frozen=True):
    """One object of a container: type, slot, algorithm, data."""

    type: int
    slot: int
    algorithm: int
    data: bytes

    def encode(self) -> bytes:
        """Header of seven bytes, then the data."""
        header = struct.pack(">BBH", self.type, self.slot, self.algorithm)
        return header + len(self.data).to_bytes(3, "big") + self.data


class Container(msgspec.Struct, frozen=True):
    """A container HBC1 as STORE DATA carries it."""

    kind: int
    objects: tuple[Object, ...]

    def encode(self) -> bytes:
        """Magic, version, kind, count, length, objects, SHA-384 of everything before."""
        body = b"".join(item.encode() for item in self.objects)
        head = MAGIC + struct.pack(">BBH", 1, self.kind, len(self.objects)) + len(body).to_bytes(3, "big")
        return head + body + sha384(head + body)


def decode_container(data: bytes) -> Container:
    """Read a container; DutError if anything about it is wrong."""
    if len(data) < 59 or data[:5] != MAGIC + b"\x01" or sha384(data[:-48]) != data[-48:]:
        raise DutError("not a container HBC1 of version 1 with a right hash")
    if int.from_bytes(data[8:11], "big") != len(data) - 59:
        raise DutError("container: length of the objects is wrong")
    objects = tuple(_objects(data[11:-48]))
    if int.from_bytes(data[6:8], "big") != len(objects):
        raise DutError("container: object count is wrong")
    return Container(data[5], objects)


def _objects(body: bytes) -> Iterable[Object]:
    at = 0
    while at < len(body):
        length = int.from_bytes(body[at + 4 : at + HEADER], "big")
        end = at + HEADER + length
        if end > len(body):
            raise DutError("container: an object is longer than what holds it")
        kind, slot, algorithm = struct.unpack(">BBH", body[at : at + 4])
        yield Object(kind, slot, algorithm, body[at + HEADER : end])
        at = end


def store_hash(containers: Iterable[bytes]) -> bytes:
    """Hash of the committed containers, each complete, in order of kind."""
    ordered: list[bytes] = sorted(containers, key=_kind)
    return sha384(b"".join(ordered))


def _kind(container: bytes) -> int:
    return container[5]


class Identity(msgspec.Struct, frozen=True):
    """The IDENTITY object, 203 bytes; `policy_oid` is the DER encoding with tag and length."""

    uid: bytes
    serial: str
    product: int
    profile_hash: bytes
    fingerprint: bytes
    rma_token_hash: bytes
    issued_at: int
    """Unix seconds."""
    order: bytes
    """SHA-256 of the order's id, cut to 16 bytes; see `order_tag`."""
    policy_oid: bytes

    def encode(self) -> bytes:
        """The 203 bytes."""
        serial = self.serial.encode("ascii")
        if len(serial) > 16 or len(self.policy_oid) > 31:
            raise ValueError(f"identity: serial {self.serial!r} or policy OID is too long")
        return IDENTITY.pack(
            1,
            self.uid,
            serial,
            self.product,
            self.profile_hash,
            self.fingerprint,
            self.rma_token_hash,
            self.issued_at,
            self.order,
            len(self.policy_oid),
            self.policy_oid,
        )

    def container(self) -> bytes:
        """The identity container."""
        identity = Object(ObjectType.IDENTITY, 0, 0, self.encode())
        return Container(ContainerKind.IDENTITY, (identity,)).encode()


def decode_identity(data: bytes) -> Identity:
    """Read an IDENTITY object."""
    if len(data) != IDENTITY.size or data[0] != 1 or data[171] > 31:
        raise DutError(f"identity: not {IDENTITY.size} bytes of format 1")
    _, uid, serial, product, profile, fingerprint, rma, issued, order, oid_length, oid = IDENTITY.unpack(data)
    text = serial.rstrip(b"\0").decode("ascii", "replace")
    return Identity(uid, text, product, profile, fingerprint, rma, issued, order, oid[:oid_length])


def order_tag(order_id: str) -> bytes:
    """The order's id as an identity carries it."""
    return hashlib.sha256(order_id.encode()).digest()[:16]


def oid_der(dotted: str) -> bytes:
    """DER of an object identifier with tag and length."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    body = b"".join(_arc(arc) for arc in (40 * first + second, *rest))
    return bytes((0x06, len(body))) + body


def _arc(value: int) -> bytes:
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(value & 0x7F | 0x80)
    return bytes(reversed(digits))


def token_hash(label: bytes, uid: bytes, token: bytes) -> bytes:
    """What a die keeps of a token; label `PQP1-TST` or `PQP1-RMA`."""
    return sha384(label + uid + token)


def issuer_ids(issuers: Iterable[tuple[int, bytes]]) -> bytes:
    """The ISSUER_IDS object's data: algorithm and subject key identifier (20 bytes) per issuer."""
    return b"".join(algorithm.to_bytes(2, "big") + ski for algorithm, ski in issuers)


def keys_hash(keys: Iterable[tuple[int, int, bytes]]) -> bytes:
    """Hash over (slot, algorithm, public key) of the die's keys in order of slot."""
    objects = (Object(ObjectType.PUBLIC_KEY, slot, algorithm, key) for slot, algorithm, key in sorted(keys))
    return sha384(b"".join(item.encode() for item in objects))


class Proof(msgspec.Struct, frozen=True):
    """What a die signs, or tags with a KEM secret, to prove that it holds its keys."""

    uid: bytes
    nonce: bytes
    keys_hash: bytes
    fingerprint: bytes
    life_cycle: int = LifeCycle.INITIALIZED

    def message(self, label: bytes = PROOF_LABEL) -> bytes:
        """The 138 bytes under `PROOF_LABEL` or `KEM_LABEL`."""
        head = label + bytes((1, self.life_cycle))
        return head + self.uid + self.nonce + self.keys_hash + self.fingerprint


class Attestation(msgspec.Struct, frozen=True):
    """What a die says of itself under a signature."""

    life_cycle: int
    uid: bytes
    nonce: bytes
    rom_version: int
    firmware_version: int
    rom_hash: bytes
    store_hash: bytes
    key_set: int
    auth_failures: int
    token_failures: int
    test_transitions: int
    boots: int
    alarms: int
    slots: tuple[SlotInfo, ...]


def decode_attestation(data: bytes) -> tuple[Attestation, bytes, bytes]:
    """Read the RESULT buffer: the attestation, its bytes as signed (context `PQP1-ATT`), the signature."""
    if len(data) < ATTESTATION.size or data[:9] != ATTESTATION_LABEL + b"\x01":
        raise DutError(f"attestation of {len(data)} bytes: label or format is wrong")
    _, _, *values, count = ATTESTATION.unpack(data[: ATTESTATION.size])
    end = ATTESTATION.size + count * SLOT_ENTRY
    if len(data) < end:
        raise DutError(f"attestation of {len(data)} bytes ends inside its {count} slots")
    values.append(slot_info(data[ATTESTATION.size : end]))
    told = msgspec.convert(dict(zip(Attestation.__struct_fields__, values, strict=True)), Attestation)
    return told, data[:end], data[end:]
