"""Frames between the vault and the key store: length u32, then MessagePack."""

import struct
from collections.abc import Iterator
from typing import TypeVar

import msgspec

from station.vault.keys.errors import KINDS, KeyStoreError, RequestError

T = TypeVar("T")
LENGTH = struct.Struct(">I")
FRAME_MAX = 1 << 20
OK, ERROR = "ok", "error"


class Fault(msgspec.Struct, frozen=True):
    """A refusal between the processes."""

    kind: str
    message: str

    def error(self) -> KeyStoreError:
        """The exception that it stands for."""
        return KINDS.get(self.kind, KeyStoreError)(self.message)


def frame(content: object) -> bytearray:
    """Encode a frame; whoever sends a secret wipes it afterwards."""
    out = bytearray(LENGTH.size)
    msgspec.msgpack.Encoder().encode_into(content, out, LENGTH.size)
    if len(out) - LENGTH.size > FRAME_MAX:
        raise RequestError(f"a frame of {len(out)} bytes is over {FRAME_MAX}")
    LENGTH.pack_into(out, 0, len(out) - LENGTH.size)
    return out


def wipe(content: bytearray) -> None:
    """Overwrite with zeros."""
    content[:] = bytes(len(content))


def length_of(head: bytes | bytearray) -> int:
    """The length that a frame's head tells; RequestError if it is none."""
    length: int = LENGTH.unpack(head)[0]
    if length > FRAME_MAX:
        raise RequestError(f"a frame of {length} bytes is over {FRAME_MAX}")
    return length


def value_of(reply: bytearray, answer: type[T]) -> T:
    """The value of an answer; raises the error that it tells."""
    try:
        _, verdict, rest = msgspec.msgpack.decode(reply, type=tuple[int, str, msgspec.Raw])
        if verdict == OK:
            return msgspec.msgpack.decode(rest, type=answer)
        fault = msgspec.msgpack.decode(rest, type=Fault)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise KeyStoreError("the key store's answer cannot be read") from None
    raise fault.error()


class Frames:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._held = bytearray()

    def fed(self, received: bytes | bytearray | memoryview) -> Iterator[bytearray]:
        """Take bytes and yield the frames that are complete; RequestError if one is too long."""
        self._held += received
        while len(self._held) >= LENGTH.size:
            end = LENGTH.size + length_of(self._held[: LENGTH.size])
            if len(self._held) < end:
                return
            whole = self._held[LENGTH.size : end]
            self._held[:end] = bytes(end)
            del self._held[:end]
            yield whole
