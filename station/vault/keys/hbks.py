"""The file HBKS: header, then sealed records; written anew and renamed, so that a crash leaves old or new.

Record 0 seals the digest of the header and of all other records, so that no part can be changed, left out,
added or exchanged for one of another time. Each record: length u32, nonce 12, AES-256-GCM of MessagePack
`[name, bytes]`; associated data: store id, record number u32, version.
"""

import os
import struct
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from station.vault.keys.errors import DamagedError
from station.vault.keys.header import MAGIC, PREFIX, VERSION, Header, check_of, damaged, parse
from station.vault.secret import Secret

NONCE, TAG = 12, 16
LENGTH = struct.Struct(">I")
MODE = 0o600
FILE_MAX = 64 << 20
SEAL = "seal"

Records = Mapping[str, Secret]


def encode(header: Header, records: Records, kek: Secret) -> bytes:
    """Write a store's file."""
    head = header_only(header)
    cipher = AESGCM(kek.reveal())
    sealed = b"".join(
        _sealed(cipher, header, number, name, secret)
        for number, (name, secret) in enumerate(records.items(), 1)
    )
    with Secret(sha256(head + sealed).digest()) as digest:
        return head + _sealed(cipher, header, 0, SEAL, digest) + sealed


def header_only(header: Header) -> bytes:
    """The part of a file that is not sealed; all of it for a zeroised store."""
    body = msgspec.json.encode(header)
    return PREFIX.pack(MAGIC, VERSION, len(body)) + body


def decode(content: bytes, kek: Secret, name: str) -> tuple[Header, dict[str, Secret]]:
    """Read a store's file and prove every byte of it; DamagedError, one message whatever is wrong."""
    header, end = parse(content, name)
    if check_of(kek) != header.check:
        raise DamagedError(damaged(name))
    cipher, records = AESGCM(kek.reveal()), dict[str, Secret]()
    try:
        boxes = [*_boxes(content, end)]
        opened = [_opened(cipher, header, number, box) for number, box in enumerate(boxes)]
        (seal, digest), *rest = opened
        rest_at = end + LENGTH.size + len(boxes[0])
        expected = sha256(content[:end] + content[rest_at:]).digest()
        if seal != SEAL or bytes(digest.reveal()) != expected:
            raise DamagedError(damaged(name))
        records.update(rest)
    except (InvalidTag, ValueError, struct.error, msgspec.DecodeError):
        raise DamagedError(damaged(name)) from None
    return header, records


def _sealed(cipher: AESGCM, header: Header, number: int, name: str, secret: Secret) -> bytes:
    plain, nonce = bytearray(), os.urandom(NONCE)
    msgspec.msgpack.Encoder().encode_into((name, secret.reveal()), plain)
    box = nonce + cipher.encrypt(nonce, plain, _bound(header, number))
    plain[:] = bytes(len(plain))
    return LENGTH.pack(len(box)) + box


def _opened(cipher: AESGCM, header: Header, number: int, box: bytes) -> tuple[str, Secret]:
    with Secret(bytes(max(0, len(box) - NONCE - TAG))) as plain:
        cipher.decrypt_into(box[:NONCE], box[NONCE:], _bound(header, number), plain.reveal())
        name, content = msgspec.msgpack.decode(plain.reveal(), type=tuple[str, bytearray])
    secret = Secret(content)
    content[:] = bytes(len(content))
    return name, secret


def _boxes(content: bytes, at: int) -> Iterator[bytes]:
    while at < len(content):
        (length,) = LENGTH.unpack_from(content, at)
        at += LENGTH.size
        if at + length > len(content) or length < NONCE + TAG:
            raise ValueError("a record is cut short")
        yield content[at : at + length]
        at += length


def _bound(header: Header, number: int) -> bytes:
    return header.store + LENGTH.pack(number) + bytes([VERSION])


def read(path: Path) -> bytes:
    """Return the bytes of a store's file; DamagedError if it is far too large."""
    with path.open("rb") as file:
        content = file.read(FILE_MAX + 1)
    if len(content) > FILE_MAX:
        raise DamagedError(damaged(str(path)))
    return content


def write(path: Path, content: bytes) -> None:
    """Put a file in the place of another: new file, fsync, rename, fsync of the folder."""
    temporary = path.with_suffix(".new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    file = os.open(temporary, flags, MODE)
    try:
        _write_all(file, content)
        os.fsync(file)
    finally:
        os.close(file)
    os.rename(temporary, path)  # noqa: PTH104 - one module for all steps, which tests cut between
    sync_folder(path.parent)


def overwrite(path: Path) -> None:
    """Write zeros over all of a file, in its place."""
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        _write_all(file, bytes(os.fstat(file).st_size))
        os.fsync(file)
    finally:
        os.close(file)


def sync_folder(folder: Path) -> None:
    """Make what was made or renamed in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_all(file: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]
